# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan as a difference: what is wanted of a host beside what the record says is managed there. Pure.

Removed is only what a site of this run had before: each entry of the record names the site's nodes, its *owners*, which
outlive its name and port. What belongs to hosts outside of the run, or to another inventory, is left alone. What nobody
owns any more is an *orphan*: it is reported, and goes where the inventory says so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts, ManagedEntry
from ansible_collections.collab.rtc.plugins.module_utils._managed import record
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rendering import bracket
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import limits, unit
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import panel as rtc_server_panel
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import store as rtc_server_store
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import parse_pem
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import service_change, unwanted
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import list_attributes
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import (
    ConnectorPlan,
    HostPlan,
    Plan,
    RtcPlan,
    Site,
    TrustPlan,
    Work,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.wanted import Scope, Wanted, name_owner

FORMAT = 12  # of what is written for a plan; raise it when a renderer changes, so that what is recorded is written anew


def make_spec(value: Any, *more: str) -> str:
    """The digest of what is asked for."""
    text = json.dumps([FORMAT, value, *more], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def list_wanted(plan: HostPlan, facts: HostFacts, scope: Scope, sites: Mapping[str, Site]) -> list[Wanted]:
    """All that the sites need on a host."""
    return [
        *_list_connectors(plan, facts),
        *_list_trust(plan, facts),
        *_list_instances(plan, facts, sites),
        *_list_proxy(plan, facts, scope),
        *_list_textfiles(plan),
    ]


def _list_connectors(plan: HostPlan, facts: HostFacts) -> Iterable[Wanted]:
    for item in plan.connectors:
        attributes = " ".join(
            f"no {name}" if value is None else f'{name}="{value}"' for name, value in item.attributes.items()
        )
        what = {
            "path": item.path,
            "port": item.connector_port,
            "application": item.application,
            "attributes": sorted(item.attributes),
            "tomcat_version": item.tomcat_version,
            "properties": item.properties,
        }
        yield Wanted(
            key=f"connector {item.path} {item.connector_port}",
            kind="connector",
            site=item.site,
            text=f"{item.path}, connector {item.connector_port}: {attributes}",
            what=what,
            spec=make_spec(item.attributes),
            is_there=_has_attributes(item, facts),
        )


def _has_attributes(item: ConnectorPlan, facts: HostFacts) -> bool:
    files = [one.server_xml for one in facts.applications if one.server_xml and one.server_xml.path == item.path]
    for connector in (one for file in files for one in file.connectors if one.port == item.connector_port):
        now = list_attributes(connector)
        return all(now.get(name, "") == (value or "") for name, value in item.attributes.items())
    return False


def _list_trust(plan: HostPlan, facts: HostFacts) -> Iterable[Wanted]:
    trusted = {
        store.path: set(store.fingerprints)
        for application in facts.applications
        for store in ([application.java.truststore] if application.java and application.java.truststore else [])
    }
    for item in plan.trust:
        prints = list_fingerprints(item)
        yield Wanted(
            key=f"trust {item.path} {item.application}",
            kind="trust",
            site=item.site,
            text=f"trust store {item.path}: {_count_authorities(len(item.certificates))}",
            what={
                "path": item.path,
                "jre_home": item.jre_home,
                "application": item.application,
                "wants": prints,
                "certificates": [one for one in prints if one not in trusted.get(item.path, set())],
            },
            spec=make_spec([item.path, item.certificates, item.copy_from]),
            is_there=bool(prints) and set(prints) <= trusted.get(item.path, set()),
        )
    for option in plan.trust_options:
        if option.truststore:
            yield Wanted(
                key=f"trust_option {option.path}",
                kind="trust_option",
                site=option.site,
                text=f"{option.path}: -Djavax.net.ssl.trustStore={option.truststore}",
                what={"path": option.path, "application": option.application},
                spec=make_spec(option.truststore),
                is_there=any(
                    application.java
                    and application.java.option
                    and application.java.option.managed_store == option.truststore
                    for application in facts.applications
                ),
            )


def _count_authorities(count: int) -> str:
    return f"{count} {'authority' if count == 1 else 'authorities'}"


def list_fingerprints(item: TrustPlan) -> list[str]:
    """The authorities of a plan's trust store that are known before they are fetched."""
    found: list[str] = []
    for one in item.certificates:
        with contextlib.suppress(RtcError):
            found += [item.fingerprint for item in parse_pem(one["pem"], "")] if one.get("pem") else []
    return found


def _list_instances(plan: HostPlan, facts: HostFacts, sites: Mapping[str, Site]) -> Iterable[Wanted]:
    for item in plan.rtc:
        if item.service == "deployed":
            yield Wanted(
                key=f"instance {item.instance}",
                kind="instance",
                site=item.site,
                text=f"RTC server: {item.instance}, {item.address}:{item.port}"
                + (", with TLS" if item.tls_from else ""),
                what={
                    "instance": item.instance,
                    "python": item.python,
                    "fixed": make_spec(service_change.list_fixed(item)),
                    "files": list_instance_files(
                        item.instance, bool(_find_store(item)), bool(item.config.get("admin"))
                    ),
                    **({"store": _find_store(item)} if _find_store(item) else {}),
                    "site": describe_site(sites[item.site], plan) if item.site in sites else {},
                },
                spec=make_spec(
                    [item.config, item.python, item.tls_from, item.tls_port, item.tls_name],
                    *filter(None, [item.store_ca, item.panel_ca]),
                ),
                is_there=any(
                    one.instance == item.instance and one.port == item.port and one.active for one in facts.rtc
                ),
            )


def _find_store(item: RtcPlan) -> str:
    return str(item.config.get("journal", {}).get("store_url") or "")


def describe_site(site: Site, plan: HostPlan) -> dict[str, Any]:
    """How a site is reached and whom to trust: what is needed when the inventory wants something else by now."""
    trust = [item for item in plan.trust if item.site == site.name]
    return {
        "base_url": site.base_url,
        "rtc_url": site.rtc_url,
        "ca": [one["pem"] for item in trust for one in item.certificates if one.get("pem")],
        "truststore": trust[0].path if trust else "",
        # Its own host tells itself what is there; of another one nothing is known once the inventory has it no more.
        **({"proxy": site.proxy_host} if site.proxy_host not in ("", *site.nodes) else {}),
    }


def list_instance_files(instance: str, has_store: bool, has_panel: bool) -> list[str]:
    """The files of an instance that have no secret."""
    tls = unit.tls_drop_in(instance)
    store = [rtc_server_store.drop_in(tls)] if has_store else []
    panel = [rtc_server_panel.drop_in(tls)] if has_panel else []
    sockets = [unit.socket_unit(instance), unit.socket_drop_in(tls)]
    return [f"{unit.CONFIG_DIR}/{instance}.toml", limits.drop_in(tls), tls, *sockets, *store, *panel]


def _list_proxy(plan: HostPlan, facts: HostFacts, scope: Scope) -> Iterable[Wanted]:
    managed = {(proxy.kind, host.file) for proxy in facts.proxies for host in proxy.hosts if host.managed}
    for item in plan.vhosts:
        name, spec = f"{item.name}.conf", {**dataclasses.asdict(item), "site": ""}
        if not item.panel_port:  # as it was recorded before there were panels
            del spec["panel_port"], spec["panel_from"]
        targets = ", ".join(f"{one['scheme']}://{bracket(str(one['host']))}:{one['port']}" for one in item.upstreams)
        yield Wanted(
            key=f"vhost {item.kind} {item.name}",
            kind="vhost",
            site=item.site,
            text=f"{item.kind} {item.name}: {', '.join(item.listen)} port {item.port} → {targets}",
            what={
                "kind": item.kind,
                "name": item.name,
                "port": item.port,
                "reads": [path for path in (item.certificate, item.key, item.upstream_ca) if path],
            },
            spec=make_spec(spec),
            is_there=any(
                kind == item.kind and (file.endswith("/" + name) or kind == "haproxy") for kind, file in managed
            ),
        )
    for copy in plan.certificates:
        site = scope.names.get(
            posixpath.basename(posixpath.dirname(copy["dest"])), ""
        )  # its directory is a server name
        yield Wanted(
            key=f"file {copy['dest']}",
            kind="file",
            site=site,
            text=f"file {copy['dest']}",
            what={"path": copy["dest"]},
            spec=make_spec(copy, scope.digests.get(site, {}).get(copy.get("holds", ""), "")),
            is_there=False,
        )
    for name in plan.packages:
        site = plan.vhosts[0].site if plan.vhosts else ""
        yield Wanted(f"package {name}", "package", site, f"install {name}", {"name": name}, make_spec(name), False)


def _list_textfiles(plan: HostPlan) -> Iterable[Wanted]:
    """What is in them changes with each verification, so the record does not know it."""
    for item in plan.textfiles:
        key, text = f"textfile {item.path}", f"results for node_exporter: {item.path}"
        yield Wanted(key, "textfile", item.site, text, {"path": item.path}, make_spec(item.path), False)


def compare(plan: Plan, facts: Mapping[str, HostFacts], scope: Scope) -> None:
    """Fill in ``work``, ``records`` and ``removals`` of each host."""
    owners = {site.name: [name_owner(host, site.application) for host in site.nodes] for site in plan.sites}
    site_of = {owner: site for site, names in owners.items() for owner in names}
    sites = {site.name: site for site in plan.sites}
    for host, host_plan in plan.hosts.items():
        if host in facts:
            wanted = list_wanted(host_plan, facts[host], scope, sites)
            _compare_host(host_plan, facts[host], scope, owners, site_of, wanted)


def _compare_host(
    plan: HostPlan,
    facts: HostFacts,
    scope: Scope,
    owners: Mapping[str, list[str]],
    site_of: Mapping[str, str],
    wanted: list[Wanted],
) -> None:
    plan.recorded = {
        entry.key: {"run": entry.run, "edited": entry.state == "edited"}
        for entry in facts.managed.entries
        if entry.inventory == scope.inventory
    }
    cloned = find_stranger(plan.host, facts, scope.inventory)
    recorded = {} if cloned else {entry.key: entry for entry in facts.managed.entries}
    keys = {item.key for item in wanted}
    for item in wanted:
        entry = recorded.get(item.key)
        mine = owners.get(item.site, [])
        overwrite = bool(scope.overwrite & set(mine))
        action = _choose_action(item, entry, plan, overwrite)
        if entry and action == "change" and not overwrite and is_taken(entry, mine, scope.inventory):
            action = "conflict"
        diff, effect = entry.diff if entry and action == "conflict" else "", ""
        if item.kind == "instance":
            wanted_release = scope.releases.get(plan.host, "")
            if action == "nothing" and service_change.find_other_release(item.what["instance"], facts, wanted_release):
                action = "change"
            if action in ("create", "change", "adopt"):
                effect = service_change.describe_effect(item.what, entry, facts, wanted_release)
        plan.work.append(Work(item.site, action, item.key, item.text + effect, diff))
        _keep_what(item, entry, recorded.values())
        # A node came or went, the site is reached in another way, or the inventory has another name.
        known = entry is None or (entry.owners == mine and entry.inventory == scope.inventory)
        moved = action == "nothing" and entry is not None and (not known or _is_told_anew(item, entry))
        if moved or action not in ("nothing", "conflict"):
            plan.records.append(
                {
                    "key": item.key,
                    "kind": item.kind,
                    "site": item.site,
                    "owners": mine,
                    "inventory": scope.inventory,
                    "what": item.what,
                    "spec": item.spec,
                    "adopt": action == "adopt",
                }
            )
    unwanted.take_away(
        plan, facts, [entry for entry in recorded.values() if entry.key not in keys], scope, site_of, wanted
    )
    for option in plan.trust_options:
        key = f"trust_option {option.path}"
        if not option.truststore and key not in recorded:  # of 0.1.0: the file has it, the record has not
            plan.work.append(Work(option.site, "remove", key, f"{option.path}: no trust store of its own any more"))
    _restore_attributes(plan, recorded)


def _is_told_anew(item: Wanted, entry: ManagedEntry) -> bool:
    known = ("site", "store")
    return item.kind == "instance" and any(entry.what.get(name) != item.what.get(name) for name in known)


def is_taken(entry: ManagedEntry, owners: Iterable[str], inventory: str) -> bool:
    """Whether another inventory made something of a shared proxy for its own site.

    :param owners: nodes of the site that this inventory wants it for.
    """
    return entry.kind in ("vhost", "file") and entry.inventory != inventory and not set(entry.owners) & set(owners)


def find_stranger(host: str, facts: HostFacts, inventory: str) -> str:
    """Whose the record is, if it came with a copy of another machine: what it names is adopted, and nothing removed."""
    return record.find_stranger(facts.managed, facts.machine_id, host, inventory)


def _choose_action(item: Wanted, entry: ManagedEntry | None, plan: HostPlan, overwrite: bool) -> str:
    if entry is None:
        return "adopt" if item.is_there else "create"
    if entry.state == "edited" and not overwrite and not _is_agreed(item, entry, plan):
        return "conflict"
    if entry.state in ("missing", "replaced"):
        return "create"
    return "nothing" if entry.state == "as_written" and entry.spec == item.spec else "change"


def _is_agreed(item: Wanted, entry: ManagedEntry, plan: HostPlan) -> bool:
    """Whether what somebody edited is what is wanted now, or nothing that is wanted."""
    if item.kind != "connector":
        return False
    attributes = next(
        one.attributes
        for one in plan.connectors
        if (one.path, one.connector_port) == (item.what["path"], item.what["port"])
    )
    return all(entry.current.get(name) == value for name, value in attributes.items())


def _keep_what(item: Wanted, entry: ManagedEntry | None, recorded: Iterable[ManagedEntry]) -> None:
    """What an entry knows that the plan does not: files of a virtual host, and which authorities are ours."""
    if item.kind == "vhost" and entry:
        item.what["files"] = entry.what.get("files", [])
    if item.kind == "trust":
        same = [one for one in recorded if one.kind == "trust" and one.what.get("path") == item.what["path"]]
        ours = {print_ for one in same for print_ in one.what.get("certificates", [])}
        kept = entry.what.get("certificates", []) if entry else []
        inherited = [one for one in item.what["wants"] if one in ours]
        item.what["certificates"] = sorted({*item.what["certificates"], *kept, *inherited})


def _restore_attributes(plan: HostPlan, recorded: Mapping[str, ManagedEntry]) -> None:
    """Attributes of a connector that are not wanted any more get back what was there before the first touch."""
    for item in plan.connectors:
        entry = recorded.get(f"connector {item.path} {item.connector_port}")
        if entry is None or entry.state == "replaced":
            continue
        for name, value in entry.before.items():
            item.attributes.setdefault(name, value)


def list_conflicts(plan: Plan) -> dict[str, list[tuple[str, Work]]]:
    """Site -> host and conflict, of all hosts."""
    found: dict[str, list[tuple[str, Work]]] = {}
    for host, host_plan in plan.hosts.items():
        for work in host_plan.work:
            if work.action == "conflict":
                found.setdefault(work.site, []).append((host, work))
    return found
