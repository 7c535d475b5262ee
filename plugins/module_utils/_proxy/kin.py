# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes belong to a server's master: another instance of the same program is a stranger."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection

from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon


def family(master: int, names: Collection[str]) -> set[int]:
    """A master, all processes below it, and those of the same programs that it came from (nginx's upgrade by USR2)."""
    if not master:
        return set()
    parents = {pid: parent for pid in daemon.list_pids() for parent in daemon.read_fields(pid, 1)}
    found = {master}
    while parents.get(master, 0) > 1 and daemon.name_of(parents[master]) in names:
        master = parents[master]
        found.add(master)
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


def network(pid: int | str) -> str:
    """The network namespace of a process; "" when it may not be seen."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/net")
    return ""


def parent(pid: int) -> int:
    """The process that it was started by, or that has inherited it; 0 when it is gone."""
    return next(iter(daemon.read_fields(pid, 1)), 0)
