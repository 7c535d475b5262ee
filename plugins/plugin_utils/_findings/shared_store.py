# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the store that several RTC servers share: RTC451 to RTC459, and RTC495. Pure.

What is wrong with a store is said by the RTC server that uses it (``rtc-server check-config``), in its words; here is
decided what that means for the run. It tells of the store that the service uses now: where the inventory names another
one, or the run brings another release, an error of now must not stop what corrects it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import StoreState
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import store
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredState
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import (
    Classification,
    ClassifiedSite,
    Node,
    PlanInput,
)

APART = 10.0  # seconds between clocks: what NTP keeps is a hundredth, and what is measured is good to a second
_FAULTS = {"read_only": "RTC453", "newer": "RTC454", "pooler": "RTC455", "primaries": "RTC489"}
_RISKS = {"fsync": "RTC451", "full_page_writes": "RTC451", "synchronous_standby_names": "RTC452", "primaries": "RTC489"}


def check(plan_input: PlanInput, classification: Classification, state: DesiredState) -> Iterator[Finding]:
    """All findings about the stores of all sites."""
    yield from _check_sharing(classification.sites)
    for classified, wanted in zip(classification.sites, state.sites, strict=True):
        kinds = {node.host: node.service.kind for node in wanted.nodes}
        nodes = [node for node in classified.nodes if kinds[node.host] == "deployed"]
        for finding in _check_site(classified, nodes, plan_input.schema):
            finding.site = classified.site.name
            yield finding


def _check_sharing(sites: list[ClassifiedSite]) -> Iterator[Finding]:
    """Sites of one store."""
    seen: list[ClassifiedSite] = []
    for classified in sites:
        url = classified.settings.store_url
        hosts = {node.host for node in classified.nodes}
        for other in seen if url else ():
            apart = hosts.isdisjoint(node.host for node in other.nodes)
            if store.is_same(url, other.settings.store_url, apart):
                text = f"{other.site.name} and {classified.site.name} both have the store {_name(url)}."
                yield make("RTC456", classified.nodes[0].host, text, site=classified.site.name)
                break
        seen += [classified] if url else []


def _check_site(classified: ClassifiedSite, nodes: list[Node], schema: int) -> Iterator[Finding]:
    first = classified.nodes[0]
    for node in classified.nodes[1:]:
        one, other = first.settings.store_url, node.settings.store_url
        if not (one or other) or (one and other and store.is_same(one, other, apart=True)):
            continue
        if one and other and store.is_same(one, other):  # a relay on each of them may lead to one database
            text = f"{classified.site.name}: {first.host} and {node.host} each have {_name(one)} of their own machine."
            yield make("RTC456", node.host, text, severity="warning")
        else:
            text = f"{classified.site.name}: {first.host} has {_name(one)}, and {node.host} {_name(other)}."
            yield make("RTC456", node.host, text)
    for node in nodes:
        yield from _check_move(node)
    yield from _check_journals([node for node in nodes if node.settings.store_url])
    yield from _check_states([node for node in nodes if node.settings.store_url], schema)


def _name(url: str) -> str:
    """A store, for messages: no user is shown, and a password there is none."""
    try:
        return str(store.parse(url)) if url else "a journal of its own"
    except ValueError:
        return "an address that cannot be read"


def _check_move(node: Node) -> Iterator[Finding]:
    """Whether the store of now would be left behind."""
    known = find_store(node)
    was, where = (known.url, "its configuration") if known else (_find_recorded(node), "the record of what is managed")
    will = node.settings.store_url
    if not was or (will and store.is_same(was, will)):
        return
    if known and not known.unknown and not known.fault and known.projects == 0:
        return
    holds = "which cannot be asked now for its projects"
    if known and known.projects > 0:
        holds = f"which has {known.projects} {'project' if known.projects == 1 else 'projects'}"
    yield make(
        "RTC458",
        node.host,
        f"{node.host}: the RTC server has the store {_name(was)} by {where}, {holds}."
        f" The inventory wants {_name(will)}.",
        [known.fault or known.unknown] if known else [],
    )


def _check_journals(nodes: list[Node]) -> Iterator[Finding]:
    """Journals of nodes whose projects the run moves into the store: of the first node; the others stood by."""
    own = [node for node in nodes if node.deployed and not find_store(node)]
    serving = next((node for node in own if node.deployed and node.deployed.active), None)
    if serving and serving is not own[0] and not any(map(find_store, nodes)):
        # Its users would go on with what the first one has of an earlier time, and their own changes fit no more.
        text = f"The RTC server of {own[0].host} does not run, so users have their projects at {serving.host}. The run"
        text += f" would move the journal of {own[0].host} first."
        remedy = f"Put {serving.host} before {own[0].host} in their group, or start that again, and run again."
        yield make("RTC495", serving.host, text, remedy=remedy)
        return
    for node in own[:1]:
        text = f"The RTC server of {node.host} has a journal of its own. The run moves its projects into the store"
        text += f" {_name(node.settings.store_url)}: the service stands still meanwhile, and clients start over."
        yield make("RTC495", node.host, text, severity="info")
    for node in own[1:]:
        if node.deployed and node.deployed.active:
            text = (
                f"The RTC server of {node.host} stands by with a journal of its own: it would serve users while those"
            )
            text += f" of {own[0].host} are moved into the store."
            units = f"rtc-server@{node.kind}.service rtc-server@{node.kind}.socket"
            remedy = f"systemctl stop {units} on {node.host}, and run again, with one host at a time."
            yield make("RTC495", node.host, text, remedy=remedy)


def find_store(node: Node) -> StoreState | None:
    """The store that the running configuration of a node names."""
    return node.deployed.store if node.deployed else None


def _find_recorded(node: Node) -> str:
    """The store that the record says was configured, where the configuration is gone."""
    if node.deployed is not None:
        return ""
    entries = (item for item in node.facts.managed.entries if item.key == f"instance {node.kind}")
    return next((str(item.what.get("store") or "") for item in entries), "")


def _check_states(nodes: list[Node], schema: int) -> Iterator[Finding]:
    """What the stores were found to be. All nodes of a site see the same: it is said once."""
    unseen: list[str] = []
    said: set[str] = set()
    clocks: list[tuple[float, str]] = []
    for node in nodes:
        known = find_store(node)
        if known is None or _name(known.url) != _name(node.settings.store_url):
            unseen.append(node.host)
            continue
        where = f"The store {_name(known.url)}, as {node.host} sees it"
        if known.unknown:
            yield make("RTC459", node.host, f"{where}: {known.unknown}")
        elif known.fault:
            number = _FAULTS.get(known.kind, "RTC459")
            if number == "RTC454" and known.needs <= schema:
                continue  # the release that this run brings knows it
            if number not in said or number == "RTC459":
                yield make(number, node.host, f"{where}: {known.fault}")
            said.add(number)
        else:
            clocks.append((known.ahead, node.host))
            for name, words in known.risks.items():
                if name in _RISKS and name not in said:
                    used = "warning" if name == "primaries" else ""  # it is known which one to use
                    yield make(_RISKS[name], node.host, f"{where}: {words}.", severity=used)
                said.add(name)
    if unseen:
        text = (
            f"No RTC server on {', '.join(unseen)} uses {_name(nodes[0].settings.store_url)} yet, so nothing was asked."
        )
        yield make("RTC459", unseen[0], text, severity="info")
    if clocks and max(clocks)[0] - min(clocks)[0] >= APART:
        (slow, behind), (fast, ahead) = min(clocks), max(clocks)
        yield make("RTC457", ahead, f"The clock of {ahead} is {fast - slow:.0f} seconds ahead of that of {behind}.")
