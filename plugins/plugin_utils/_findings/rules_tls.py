# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about certificates and trust: RTC3xx. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import TrustStore, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._keystore import anchors
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import (
    GivenTls,
    choose_certificate,
    names_cover,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredNode, DesiredSite, DesiredTrust
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node, PlanInput
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan, Removal

SOON = 30 * 86400  # seconds
# A link in the RHEL family; as a file it is somebody's own, until an update of ca-certificates makes it a link again.
REPLACED_LINK = "/etc/pki/java/cacerts"


def check_node(classified: ClassifiedSite, node: Node, wanted_node: DesiredNode) -> list[Finding]:
    """Findings about the trust of an application's Java."""
    java, trust = node.application.java, wanted_node.trust
    if not trust.wanted or java is None:
        return []
    if node.application.container:
        return _check_contained(classified, node, wanted_node)
    found: list[Finding] = []
    store, own = java.truststore, node.settings.truststore_path
    if trust.obstacle:
        what = f"{node.kind.capitalize()} on {node.host} is not configured to read {own}"
        found.append(make("RTC321", node.host, f"{what}. {trust.obstacle}", remedy=trust.obstacle_remedy))
    if own and (store is None or store.path != own or (store.error and not store.mtime)):
        pass  # the run makes the store
    elif trust.doubt:
        what = f"Which trust store {node.kind.capitalize()} on {node.host} uses from its next start on is unknown"
        found.append(make("RTC323", node.host, f"{what}: {trust.doubt} depends on what only running it would tell."))
    elif store is None or store.error:
        why = store.error.rstrip(".") if store else "none was found"
        found.append(make("RTC312", node.host, f"Trust store of {node.kind.capitalize()} on {node.host}: {why}."))
    else:
        found += _check_trust(node, store)
        found += _check_authority(node, store) if classified.proxy and classified.proxy.managed else []
    found += _check_store_kind(node, store) if store and store.path != own else []
    found += _check_password(node, store, trust) if store else []
    if store and not own and trust.certificates:
        found += _check_generated(node, store)
    if not trust.certificates:
        found.append(make("RTC314", node.host, f"The authority behind {classified.site.base_url} was not given."))
    return found


def _check_contained(classified: ClassifiedSite, node: Node, wanted_node: DesiredNode) -> list[Finding]:
    """Trust of an application in a container: what of it is not in force, RTC233 says."""
    java = node.application.java
    store = java.truststore if java else None
    found = []
    if store is not None and store.error:
        why = store.error.rstrip(".")
        found.append(make("RTC312", node.host, f"Trust store of {node.kind.capitalize()} on {node.host}: {why}."))
    if not wanted_node.trust.certificates:
        found.append(make("RTC314", node.host, f"The authority behind {classified.site.base_url} was not given."))
    return found


def _check_password(node: Node, store: TrustStore, trust: DesiredTrust) -> Iterator[Finding]:
    root = node.given.root_fingerprint if node.given else ""
    imports = trust.path == store.path and bool(trust.certificates) and not (root and root in store.fingerprints)
    if imports and store.locked and "truststore_password" not in node.settings.given:
        yield make("RTC325", node.host, f"'changeit' does not open {store.path}, into which the authority has to go.")


def check_removals(plan_input: PlanInput, plan: Plan) -> Iterator[Finding]:
    """Findings about trust stores that an authority of ours has to be taken out of."""
    for host, host_plan in plan.hosts.items():
        for removal in host_plan.removals:
            if removal.kind == "trust" and removal.what["certificates"]:
                yield from _check_removal(plan_input, host, removal)


def _check_removal(plan_input: PlanInput, host: str, removal: Removal) -> Iterator[Finding]:
    kind, path = removal.what.get("application", ""), removal.what["path"]
    for application in plan_input.facts[host].applications:
        store = application.java.truststore if application.java and application.kind == kind else None
        locked = store is not None and store.path == path and store.locked
        if locked and "truststore_password" not in plan_input.settings_of(host, kind).given:
            what = f"'changeit' does not open {path}, which our authority has to be taken out of."
            yield make("RTC325", host, what, site=removal.site)


def _check_store_kind(node: Node, store: TrustStore) -> Iterator[Finding]:
    if store.source == "property":
        yield make(
            "RTC304",
            node.host,
            f"Java of {node.kind.capitalize()} on {node.host} reads {store.path} only.",
            [f"-Djavax.net.ssl.trustStore={store.path}"],
        )
    elif store.source == "jssecacerts":
        yield make("RTC317", node.host, f"Java of {node.kind.capitalize()} on {node.host} reads {store.path}.")


def _check_generated(node: Node, store: TrustStore) -> Iterator[Finding]:
    """A store that the system generates of its authorities: what is written into it is gone when that is done again."""
    path = store.real_path or store.path
    if path == REPLACED_LINK:
        what = f"{store.path} is {path}, which an update of ca-certificates makes a link to what it generates."
        yield make("RTC322", node.host, what, remedy="Set rtc_truststore_path to a trust store of its own.")
    source = anchors.find_source(path, lambda _path: node.facts.os_family == "debian")
    given = node.given.root_fingerprint if node.given else ""
    own = [alias for alias, one in store.strays.items() if one == given or anchors.is_ours(alias, one)]
    if source is None or (given and given in store.fingerprints and not own):
        return
    others = sorted(set(store.strays) - set(own))
    command = source.command[0]
    if others:
        what = f"{store.path} is {path}, which {command} generates; it would drop {', '.join(others)}."
        remedy = f"Put their certificates into {source.anchors} and run {command}, or set rtc_truststore_path."
        yield make("RTC324", node.host, what, remedy=remedy)
    else:
        what = f"{store.path} is {path}, which {command} generates: the authority is put into {source.anchors}."
        remedy = "To have only the application trust it, set rtc_truststore_path to a trust store of its own."
        yield make("RTC322", node.host, what, remedy=remedy)


def _check_trust(node: Node, store: TrustStore) -> Iterator[Finding]:
    given = node.given
    if given is None or not given.root_fingerprint or given.root_fingerprint in store.fingerprints:
        return
    if given.fingerprint and given.fingerprint in store.fingerprints:
        yield make(
            "RTC303", node.host, f"{store.path} trusts '{given.subject}' itself, and not '{given.root_subject}'."
        )
    yield make("RTC301", node.host, f"{store.path} does not have '{given.root_subject}'.")


def _check_authority(node: Node, store: TrustStore) -> Iterator[Finding]:
    """An authority that is given, and is not that of the certificate which the proxy gets."""
    given = node.given
    if given and given.top_fingerprint and not {given.top_fingerprint, given.fingerprint} & set(store.fingerprints):
        what = f"The certificate '{given.subject}' leads to '{given.top_subject}', which {store.path} does not have"
        yield make("RTC327", node.host, f"{what}, and rtc_tls_ca is '{given.root_subject}'.")


def check_site(classified: ClassifiedSite, wanted: DesiredSite, now: float) -> list[Finding]:
    """Findings about the certificates of a site, the given one and those that the proxy has."""
    first = classified.nodes[0]
    found = [*_check_missing(wanted), *_check_upstream(classified)]
    if first.given:
        found += _check_given(classified, first, first.given, now)
    if classified.proxy and not classified.settings.tls_certificate:
        seen: list[VirtualHost] = []
        for proxy_route in classified.proxy.application + classified.proxy.rtc:
            if proxy_route.listen.tls and proxy_route.vhost not in seen:
                seen.append(proxy_route.vhost)
                found += _check_present(classified, proxy_route.vhost, proxy_route.where, now)
    return found


def _check_missing(wanted: DesiredSite) -> Iterator[Finding]:
    proxy = wanted.proxy
    if wanted.tls and proxy and proxy.rtc.written and not proxy.rtc.plan.certificate:
        yield make(
            "RTC318",
            proxy.host,
            f"No certificate for {wanted.site.rtc_url} is known: {proxy.evidence['certificates']}.",
            [text for text in wanted.site.evidence if text.startswith("HTTP")],
        )


def _check_upstream(classified: ClassifiedSite) -> Iterator[Finding]:
    """T9: the proxy checks Tomcat's certificate, and needs its authority."""
    proxy = classified.proxy
    if classified.site.protocol == "HTTPS" and proxy and proxy.managed and not classified.settings.upstream_ca:
        yield make(
            "RTC320",
            proxy.host,
            f"{proxy.kind} on {proxy.host} trusts what its system trusts for the certificate of Tomcat.",
        )


def _name_file(node: Node, variable: str) -> str:
    """The controller's file that a variable names; PEM text in the variable itself is not shown."""
    value = str(getattr(node.settings, variable[len("rtc_") :], "") or "")
    return "" if "-----BEGIN" in value else f" = {value}"


def _check_given(classified: ClassifiedSite, node: Node, given: GivenTls, now: float) -> Iterator[Finding]:
    host, name = node.host, classified.site.server_name
    if given.error:
        text = given.error if given.error.startswith(given.variable) else f"{given.variable}: {given.error}"
        yield make("RTC309", host, text, [f"{host}: {given.variable}{_name_file(node, given.variable)}"])
    if not given.fingerprint:
        return
    what = f"The certificate '{given.subject}'"
    if not names_cover(given.names, name):
        yield make("RTC306", host, f"{what} is for {', '.join(given.names) or 'no name'}, not for {name}.")
    yield from _check_dates(host, what, given.not_before, given.not_after, now)
    if given.missing:
        yield make("RTC302", host, f"{what} leads to '{given.missing}', whose certificate was not given.")
    if given.refused:
        yield make("RTC326", host, f"{what} is refused by clients: {given.refused}.")
    if given.weak:
        yield make("RTC319", host, f"{what} has a key of {given.weak} bits.")
    if given.key_given and not given.key_matches and given.variable != "rtc_tls_key":
        yield make("RTC310", host, f"rtc_tls_key does not belong to {what[0].lower()}{what[1:]}.")
    if given.test_authority:
        yield make("RTC305", host, f"{what} is from an authority that was made for tests.")


def _check_dates(host: str, what: str, begin: float, end: float, now: float) -> Iterator[Finding]:
    if begin > now:
        yield make("RTC311", host, f"{what} is valid from {_format_day(begin)} on.")
    elif 0 < end <= now:
        yield make("RTC307", host, f"{what} expired on {_format_day(end)}.")
    elif 0 < end <= now + SOON:
        yield make("RTC308", host, f"{what} expires on {_format_day(end)}.")


def _check_present(classified: ClassifiedSite, vhost: VirtualHost, where: str, now: float) -> Iterator[Finding]:
    host = classified.proxy.host if classified.proxy else ""
    served = choose_certificate(vhost, classified.site.server_name)
    what = f"The certificate {served.certificate} on {host}"
    if served.names and not names_cover(served.names, classified.site.server_name):
        yield make(
            "RTC306",
            host,
            f"{what} is for {', '.join(served.names)}, not for {classified.site.server_name}.",
            [where],
        )
    yield from _check_dates(host, what, 0, served.expires, now)


def _format_day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
