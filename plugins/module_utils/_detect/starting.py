# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which unit or SysV script starts an installation, and so restarts it.

Root restarts what is found here, so belonging to a unit's control group is not enough: a supervisor, a scheduler or a
session has the JVM in its own, and would be restarted with all else that it runs. A unit counts when its ``ExecStart=``
leads to the installation, or when the JVM is its main process.
"""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._detect.doubts import Installation
from ansible_collections.collab.rtc.plugins.module_utils._detect.installations import unit_of
from ansible_collections.collab.rtc.plugins.module_utils._facts import ServiceUnit
from ansible_collections.collab.rtc.plugins.module_utils._host import service_units
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.service_units import Starter, UnitState


def choose_starter(
    rootfs: RootFs, found: Installation, states: dict[str, UnitState], named: str = ""
) -> Starter | None:
    """What really starts an installation, ``None`` when that is unknown.

    The one that the inventory names; else the one whose main process, or whose control group, its process is in; else
    the active one, else the enabled one, units before scripts.

    :param named: what the inventory names; where the host has none of that name, nothing else is taken for it.
    """
    if named:
        name = named if named.endswith(".service") else named + ".service"
        other = Starter("systemd", name, name) if _is_active(states, name) else None  # made while the host runs
        return service_units.find(rootfs, named) or other
    unit = found.proc.unit if found.proc else ""
    for starter in found.starters:
        if unit and unit in (starter.name, starter.name + ".service"):
            return starter
    if unit and _is_main(found, states):
        own = service_units.find(rootfs, unit)
        # What others can write tells nothing about options and Java.
        return own if own and not own.writers else Starter("systemd", unit, unit)
    ranked = sorted(
        found.starters,
        key=lambda item: (
            not _is_active(states, unit_of(item)),
            not service_units.enabled(rootfs, item.name),
            item.kind != "systemd",
            item.name,
        ),
    )
    return ranked[0] if ranked else None


def describe_service(
    found: Installation, starter: Starter | None, states: dict[str, UnitState], named: str = ""
) -> ServiceUnit:
    """What starts and stops an installation, as a fact.

    :param named: as for :func:`choose_starter`.
    """
    unit = found.proc.unit if found.proc else ""
    if starter is None:
        return ServiceUnit("none", "", False, _explain_none(found, unit, named))
    name = unit_of(starter)
    belongs = unit == name or (starter.kind == "sysv" and not states and found.proc is not None)
    short = starter.name[: -len(".service")] if starter.kind == "systemd" else starter.name
    if named:
        found.evidence.append(f"rtc_application_service names {starter.path}")
    elif starter not in found.starters:
        found.evidence.append(f"process {found.proc.pid if found.proc else 0} is the main process of {unit}")
    elif len(found.starters) > 1:
        others = ", ".join(item.path for item in found.starters if item is not starter)
        found.evidence.append(f"{starter.path} is taken for what starts it; {others} could, too")
    return ServiceUnit(starter.kind, short, states[name].active if name in states else belongs)


def _is_main(found: Installation, states: dict[str, UnitState]) -> bool:
    """Whether the process is the main one of the unit that it belongs to."""
    return found.proc is not None and found.proc.unit in states and states[found.proc.unit].main_pid == found.proc.pid


def _is_active(states: dict[str, UnitState], name: str) -> bool:
    return name in states and states[name].active


def _explain_none(found: Installation, unit: str, named: str) -> str:
    if named:
        return f"rtc_application_service names {named}, and the host has neither a unit nor a SysV script of that name"
    if unit and found.proc is not None:
        return (
            f"process {found.proc.pid} is in the control group of {unit}, which does not lead to {found.path}, and is"
            " not its main process"
        )
    return f"no unit and no SysV script leads to {found.path}"
