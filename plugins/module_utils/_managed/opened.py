# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports of firewalld, and ports and booleans of SELinux, that were opened for proxies, as entries of the record."""

from __future__ import annotations

import re
from typing import Any, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._managed import record
from ansible_collections.collab.rtc.plugins.module_utils._managed.record import Entry, Record
from ansible_collections.collab.rtc.plugins.module_utils._proxy.selinux_firewalld import (
    BOOLEANS,
    Setting,
    close,
    reopen,
)
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

KIND = "setting"
_PORT = re.compile(r"-(\d+)$")


def note(path: str, undo_dir: str, run: str, vhosts: Sequence[Any], kind: str, settings: Sequence[Setting]) -> None:
    """Record what is about to be opened, with the sites of the virtual hosts that it is for.

    :param path: of the record. Where it has none of these virtual hosts, nothing is recorded: the module runs alone.
    :param vhosts: of the proxy, and ``kind`` is its kind.
    :raises RtcError: it cannot be written, or the run was given up; then nothing may be opened.
    """
    records.require_going(undo_dir)
    known = record.load(path)
    for setting in settings:
        keys = {f"vhost {kind} {item.name}" for item in vhosts if setting.port in (0, item.port)}
        used = [entry for entry in known.entries if entry.key in keys]
        if not used:
            continue
        old = known.find(setting.key)
        owners = [owner for entry in [*([old] if old else []), *used] for owner in entry.owners]
        what = _facts.to_dict(setting) if old is None else old.what
        known.entries = [entry for entry in known.entries if entry is not old]
        known.entries.append(
            Entry(setting.key, KIND, used[0].site, list(dict.fromkeys(owners)), used[0].inventory, run, what)
        )
    known.entries.sort(key=lambda entry: entry.key)
    record.save(known, undo_dir, path)


def read(entry: Entry) -> Setting:
    """The setting of an entry."""
    return _facts.from_dict(Setting, entry.what)


def find_users(setting: Setting, entries: Sequence[Entry]) -> list[Entry]:
    """The virtual hosts that need a setting."""
    found = []
    for entry in entries:
        if entry.kind == "vhost":
            match = _PORT.search(str(entry.what.get("name", "")))
            port = entry.what.get("port") or (int(match.group(1)) if match else 0)
            wants = (
                BOOLEANS.get(entry.what.get("kind", "")) == setting.name if not setting.port else port == setting.port
            )
            found += [entry] if wants else []
    return found


def change(now: Record, wanted: Record) -> None:
    """Close what is in one record and not in the other, and open what is the other way round.

    :raises RtcError: a command failed.
    """
    old, new = ({entry.key: entry for entry in one.entries if entry.kind == KIND} for one in (now, wanted))
    close([read(entry) for key, entry in old.items() if key not in new])
    reopen([read(entry) for key, entry in new.items() if key not in old])
