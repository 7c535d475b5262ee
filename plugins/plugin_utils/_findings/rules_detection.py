# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about what detection saw on hosts: RTC0xx. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Doubted, HostFacts
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.rules_inventory import list_misplaced
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import reaching
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import KINDS
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Classification, Node, PlanInput

SHOWN = 5  # so many unreadable parts are listed one by one


def check_hosts(plan_input: PlanInput, classification: Classification) -> list[Finding]:
    """Findings about hosts, whatever their sites are."""
    found = [
        make("RTC001", host, f"Nothing is known about {host}: {why}", remedy=reaching.find_remedy(why))
        for host, why in plan_input.failed.items()
    ]
    misplaced = list_misplaced(plan_input)
    listed = {
        kind: {
            routing.identify(plan_input.facts[host])
            for host in plan_input.groups.get(kind, [])
            if host in plan_input.facts
        }
        for kind in KINDS
    }
    for host, facts in plan_input.facts.items():
        found += _check_visibility(host, facts)
        found += [_report_doubted(host, item) for item in facts.doubted]
        if host not in misplaced:
            found += _check_applications(host, plan_input, classification, listed)
    return found


def check_node(node: Node) -> Iterator[Finding]:
    """Findings about an application, whatever its site is."""
    application = node.application
    if application.process is None:
        name = f"{application.kind.capitalize()} in {application.install_dir} on {node.host}"
        doubted = [
            item for item in node.facts.doubted if item.what == "process" and item.path == application.install_dir
        ]
        others = [f"process {item.pid} of user {item.user} does not count (RTC009)" for item in doubted]
        yield make("RTC007", node.host, f"{name} does not run.", others)


def _check_visibility(host: str, facts: HostFacts) -> Iterator[Finding]:
    parts = [f"{item.what}: {item.reason}" for item in facts.unreadable]
    if parts:
        more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
        yield make(
            "RTC002",
            host,
            f"{len(parts)} part{'s' if len(parts) > 1 else ''} of {host} could not be seen.",
            [*parts[:SHOWN], more.strip()],
        )
    if not facts.root:
        yield make("RTC003", host, f"Detection on {host} ran without root.")


def _report_doubted(host: str, item: Doubted) -> Finding:
    if item.what == "starter":
        return make("RTC010", host, f"{item.path} on {host} does not count: {item.reason}.", item.evidence)
    if item.what == "process":
        whose = f" for {item.path}" if item.path else ""
        return make(
            "RTC009",
            host,
            f"Process {item.pid} of user {item.user} on {host} does not count{whose}: {item.reason}.",
            item.evidence,
        )
    name = f"{item.kind.capitalize()} in {item.path} on {host}, owned by {item.user}"
    remedy = (
        f"If it is the application, set rtc_install_dir: {item.path} (or give the directories above it to root alone)."
        " If not, ask its owner what it is for."
    )
    return make("RTC008", host, f"{name}, does not count: {item.reason}.", item.evidence, remedy)


def _check_applications(
    host: str, plan_input: PlanInput, classification: Classification, machines: dict[str, set[routing.Machine]]
) -> Iterator[Finding]:
    facts = plan_input.facts[host]
    for kind in KINDS:
        listed = host in plan_input.groups.get(kind, [])
        there = [item for item in facts.applications if item.kind == kind]
        if not listed:
            # One that is to have nothing any more is in its group, and was left out of it for the plan.
            known = kind in plan_input.settings.get(host, {}) and plan_input.is_absent(host, kind)
            for item in [] if known else there:
                if routing.identify(facts) not in machines[kind]:  # the same machine may be listed under another name
                    yield make(
                        "RTC006",
                        host,
                        f"{kind.capitalize()} in {item.install_dir} on {host} is left alone.",
                        item.evidence,
                    )
            continue
        choice = classification.choices[host, kind]
        if choice.application:
            continue
        if len(there) > 1 and not plan_input.settings_of(host, kind).install_dir:
            yield make("RTC005", host, f"{host} has several installations of {kind.capitalize()}; {choice.reason}.")
        elif plan_input.settings_of(host, kind).install_dir:
            others = ", ".join(item.install_dir for item in there)
            remedy = "Correct rtc_install_dir: it has to be the application's own directory, with bin and conf in it"
            remedy += f" (on the host: {others})." if others else ", or correct the group of the host."
            yield make("RTC004", host, f"{host} is in the group {kind}, but {choice.reason}.", remedy=remedy)
        else:
            yield make("RTC004", host, f"{host} is in the group {kind}, but {choice.reason}.")
