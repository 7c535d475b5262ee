# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this collection has made on the host, and what became of it."""

from __future__ import annotations

import time

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Managed, ManagedEntry
from ansible_collections.collab.rtc.plugins.module_utils._managed import lease, record, states


def describe() -> Managed:
    """The record with the state of each entry; why there is none to be used is in ``error``."""
    found = Managed()
    try:
        held = lease.read()
        if held is not None:
            found.lease_run, found.lease_user, found.lease_controller = held.run, held.user, held.controller
            found.lease_seconds = time.time() - held.since
        known = record.load()
    except RtcError as exc:
        found.error = str(exc)
        return found
    found.machine, found.host, found.hosts = known.machine, known.host, known.hosts
    found.entries = [_describe_entry(entry) for entry in known.entries]
    return found


def _describe_entry(entry: record.Entry) -> ManagedEntry:
    told = ManagedEntry(
        key=entry.key,
        kind=entry.kind,
        site=entry.site,
        owners=entry.owners,
        inventory=entry.inventory,
        run=entry.run,
        what=entry.what,
        spec=entry.spec,
        before=entry.before,
    )
    try:
        parts = states.read_parts(entry)
    except RtcError as exc:
        told.state, told.diff = states.UNKNOWN, str(exc)
        return told
    told.state = states.judge(entry, parts)
    if told.state == states.EDITED:
        told.diff = states.make_diff(entry, parts)
    if entry.kind == "connector":
        told.current = parts
    return told
