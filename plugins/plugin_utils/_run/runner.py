# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who runs this: the process on the controller, for the leases of hosts, and the inventory, for their records."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts


def identify() -> str:
    """Identifies the process of this run: "MACHINE-ID PID START"; "" where the system does not tell.

    Actions run in a child of it.
    """
    return _describe(os.getppid())


def find_dead(facts: Iterable[HostFacts]) -> list[str]:
    """Runs that hold the lease of a host, began on this controller, and are no more."""
    machine = _read("/etc/machine-id")
    dead = []
    for one in facts:
        known = one.managed
        parts = known.lease_controller.split(" ")
        began_here = known.lease_run and machine and len(parts) == 3 and parts[0] == machine and parts[1].isdigit()
        if began_here and _describe(int(parts[1])) != known.lease_controller:
            dead.append(known.lease_run)
    return sorted(set(dead))


def name_inventory(sources: Sequence[str] | None) -> str:
    """A name for an inventory that does not depend on where it was checked out: "production/hosts.yml"."""
    first = os.path.abspath(str(sources[0])) if sources else ""
    return "/".join(first.rstrip("/").split("/")[-2:])


def _describe(pid: int) -> str:
    machine, status = _read("/etc/machine-id"), _read(f"/proc/{pid}/stat")
    # proc(5): field 22 is when it was started; the name in field 2 may have blanks and brackets.
    fields = status.rpartition(")")[2].split()
    return f"{machine} {pid} {fields[19]}" if machine and len(fields) > 19 else ""


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return ""
