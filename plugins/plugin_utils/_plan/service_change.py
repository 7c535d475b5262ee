# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run does to an RTC server that serves users: another release, a restart, a reload. Pure.

A renewed secret or certificate is not seen here: a plan has no secrets, and keys are read on the host. A reload is
enough for those.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts, ManagedEntry
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import limits, release
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan, RtcPlan

RESTART = "it is restarted, and its users are disconnected for some seconds"
RELOAD = "it is reloaded, and nobody is disconnected"
EITHER = f"{RELOAD}; where that is not enough, {RESTART}"


def find_releases(plan_input: PlanInput, plan: Plan) -> dict[str, str]:
    """Host -> name of the release that is to be current there; hosts where that is not known are left out."""
    found = {}
    for host, host_plan in plan.hosts.items():
        names = {_find_release(plan_input, host, item) for item in host_plan.rtc if item.service == "deployed"}
        if len(names) == 1 and "" not in names:
            found[host] = names.pop()
    return found


def _find_release(plan_input: PlanInput, host: str, item: RtcPlan) -> str:
    supply = plan_input.bundles.get(host, plan_input.supply)
    if not supply.version or not item.python_version:
        return ""
    tag = release.make_tag(item.python_version, item.machine)
    own = release.name_release(supply.version, tag, supply.digest)
    asked = plan_input.settings_of(host, item.instance).server_version
    if not asked or release.is_meant(own, asked, tag):
        return own
    kept = release.list_meant(plan_input.facts[host].releases, asked, tag) if host in plan_input.facts else []
    return kept[0] if len(kept) == 1 else ""  # of several the host chooses


def list_fixed(item: RtcPlan) -> list[Any]:
    """What a process has for as long as it runs, of what a plan knows (``reload.py`` of the RTC server)."""
    server, admin = item.config.get("server", {}), item.config.get("admin")
    return [
        *(server.get(name) for name in ("address", "port", "label")),
        item.config.get("journal"),
        bool(item.config.get("tls")),
        item.python,
        item.store_ca,
        limits.render_drop_in(item.config.get("limits")),
        *([admin.get("listen"), item.panel_ca] if admin else []),  # its url follows a reload
    ]


def find_other_release(instance: str, facts: HostFacts, wanted: str) -> str:
    """The current release of an instance, where another one is wanted; else ""."""
    current = next((one.release for one in facts.rtc if one.instance == instance), "")
    return current if wanted and current != wanted else ""


def describe_effect(what: dict[str, Any], entry: ManagedEntry | None, facts: HostFacts, wanted: str) -> str:
    """What a change means for the users of an instance, as the end of a line of the plan; "" where it has none.

    :param what: of the instance, as the record is to have it.
    :param wanted: the release that is to be current; "" where that is not known.
    """
    current = find_other_release(what["instance"], facts, wanted)
    another = f"; release {current} → {wanted}" if current else ""
    if not any(one.instance == what["instance"] and one.active for one in facts.rtc):
        return another
    known = entry.what.get("fixed") if entry and entry.state == "as_written" else None
    if current or (known and known != what["fixed"]):
        return f"{another}; {RESTART}"
    return f"; {RELOAD if known else EITHER}"
