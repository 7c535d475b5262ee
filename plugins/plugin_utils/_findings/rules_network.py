# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about names, addresses, firewall and SELinux: RTC6xx. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts
from ansible_collections.collab.rtc.plugins.module_utils._obstacle_facts import (
    SELINUX_BOOLEANS,
    SELINUX_PORTS,
    Unwritable,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.selinux_firewalld import BOOLEANS
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import firewalls
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredNode, DesiredProxy, DesiredSite
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan

RECORD = "/var/lib/collab-rtc/managed.json"


def check_node(classified: ClassifiedSite, node: Node, wanted_node: DesiredNode) -> Iterator[Finding]:
    """Findings about the server name as an application's host sees it; one at most, the first cause."""
    name = classified.site.server_name
    if name not in node.facts.resolves:
        yield make("RTC608", node.host, f"{node.host} was not asked for the addresses of {name}.")
        return
    addresses = node.facts.resolves[name]
    if not addresses:
        yield make("RTC601", node.host, f"{name} does not resolve on {node.host}.")
        return
    service = wanted_node.service.address
    if wanted_node.beside_proxy and service in addresses:
        yield make("RTC606", node.host, f"{name} is {service} on {node.host}, where the RTC service itself is.")
        return
    expected = _find_expected(classified, node)
    if expected is not None and not any(routing.is_own(address, expected[1]) for address in addresses):
        listed = ", ".join(addresses)
        yield make("RTC602", node.host, f"{name} is {listed} on {node.host}, and not {expected[0]}.")


def _find_expected(classified: ClassifiedSite, node: Node) -> tuple[str, HostFacts] | None:
    """The host that the name should lead to, where that is known."""
    if classified.proxy is None:
        return node.host, node.facts
    return (classified.proxy.host, classified.proxy.facts) if classified.proxy.facts else None


def check_site(classified: ClassifiedSite, wanted: DesiredSite) -> Iterator[Finding]:
    """Findings about the host that users' RTC connections arrive at, and those behind it."""
    port, proxy = classified.site.rtc_port, classified.proxy
    if proxy is None:
        for node in classified.nodes:
            yield from firewalls.check(node.host, node.facts, port)
    elif proxy.facts is not None:
        managed = wanted.proxy is not None and wanted.proxy.managed
        yield from firewalls.check(proxy.host, proxy.facts, port, by_role=managed)
        for node, wanted_node in zip(classified.nodes, wanted.nodes, strict=True):
            if not wanted_node.beside_proxy:
                yield from firewalls.check(node.host, node.facts, port, proxy.facts.addresses)
        if wanted.proxy and wanted.proxy.managed:
            yield from _check_selinux(wanted.proxy, proxy.facts, port)
            yield from _check_listen(wanted.proxy, proxy.facts)


def _check_selinux(proxy: DesiredProxy, facts: HostFacts, port: int) -> Iterator[Finding]:
    if facts.selinux != "enforcing":
        return
    host, boolean = proxy.host, BOOLEANS[proxy.kind]
    reason = next((one.reason for one in facts.unreadable if one.what == SELINUX_PORTS), "")
    if reason:  # the run would have to stop when everything else of the proxy is written
        yield make("RTC609", host, f"SELinux is enforcing on {host}, and its ports are not known: {reason}.")
    elif port not in facts.selinux_ports:
        other = facts.selinux_types.get(str(port), "")
        if other:
            text = f"SELinux on {host} has port {port} as {other}. A run makes it http_port_t: whatever else listens"
            text += f" there under {other} may not do so any more."
            remedy = f"Set another rtc_port; or leave it to the run. Back: semanage port -m -t {other} -p tcp {port}."
            yield make("RTC646", host, text, remedy=remedy)
        else:
            remedy = f"semanage port -a -t http_port_t -p tcp {port}. A run does it."
            text = f"SELinux is enforcing on {host}, and port {port} is not of type http_port_t."
            yield make("RTC604", host, text, remedy=remedy)
    may_connect = facts.selinux_haproxy_connect if proxy.kind == "haproxy" else facts.selinux_connect
    if may_connect is None and not any(one.what == SELINUX_BOOLEANS for one in facts.unreadable):
        policy = "haproxy" if proxy.kind == "haproxy" else "apache"
        text = f"SELinux is enforcing on {host}, and its policy has no {boolean}: whether {proxy.kind} may connect to"
        remedy = f"semodule --list=full | grep {policy}; semodule -e {policy} where it is disabled, else reinstall the"
        remedy += f" policy (dnf reinstall selinux-policy-targeted). What was refused: ausearch -m avc -c {proxy.kind}."
        yield make("RTC645", host, f"{text} RTC is not known.", remedy=remedy)
    if may_connect is False:
        remedy = f"setsebool -P {boolean} on. A run does it."
        yield make("RTC605", host, f"SELinux is enforcing on {host}, and {boolean} is off.", remedy=remedy)


def check_writing(plan: Plan, facts: Mapping[str, HostFacts]) -> Iterator[Finding]:
    """Findings about what the plan changes and nobody can write."""
    for host, host_plan in plan.hosts.items():
        known = facts[host].unwritable if host in facts else []
        if not known:
            continue
        kinds = {proxy.kind: posixpath.dirname(proxy.config) for proxy in facts[host].proxies}
        changed = [(one["site"], one["kind"], one["what"]) for one in host_plan.records if _may_write(one)]
        changed += [(one.site, one.kind, one.what) for one in host_plan.removals]
        found = {
            (site, item.why): item
            for site, kind, what in changed
            for path in _list_paths(kind, what, kinds)
            for item in known
            if _is_kept(item, path)
        }
        for (site, why), item in found.items():
            text = f"{item.path} cannot be written on {host}: {why}."
            yield make("RTC647", host, text, remedy=f"{item.remedy}, and run again. Nothing was changed.", site=site)


def _may_write(record: Mapping[str, Any]) -> bool:
    """Of what is adopted, attributes and authorities are right; what files of ours hold is only seen on the host."""
    return not record["adopt"] or record["kind"] in ("vhost", "instance")


def _list_paths(kind: str, what: Mapping[str, Any], kinds: Mapping[str, str]) -> list[str]:
    """What is written for an entry of the record; a directory that ends with a slash stands for one below it."""
    paths = [*([what["path"]] if "path" in what else []), *what.get("files", []), RECORD]
    if kind == "instance":
        paths += [unit.UNIT, f"{unit.BASE}/current", f"{unit.BASE}/releases/new"]
    elif kind == "vhost" and not what.get("files"):
        paths += [f"{kinds[what['kind']]}/"] if what.get("kind") in kinds else []
    elif kind == "package":
        paths.append("/usr/new")
    return paths


def _is_kept(item: Unwritable, path: str) -> bool:
    if path.endswith("/"):
        return path[:-1] in (item.path, posixpath.dirname(item.path))
    return item.path in (path, posixpath.dirname(path))


def _check_listen(proxy: DesiredProxy, facts: HostFacts) -> Iterator[Finding]:
    addresses = proxy.rtc.plan.listen
    if not addresses:
        yield make("RTC607", proxy.host, f"No address of {proxy.host} is known to listen on.", remedy="Set rtc_listen.")
    for address in addresses:
        if address not in routing.WILDCARDS and not routing.is_own(address, facts):
            yield make("RTC607", proxy.host, f"rtc_listen: {proxy.host} does not have the address {address}.")
