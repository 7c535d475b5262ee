# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inspection of certificates and trust: RTC3xx. Pure. PRIVATE to the collection."""

from __future__ import annotations

import time
from typing import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import TrustStore, VirtualHost
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import GivenTls, names_cover
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import desired
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import node as planning_node
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Node, SiteState

SOON = 30 * 86400  # seconds


def node(state: SiteState, item: Node) -> list[Finding]:
    """What is said about the trust of an application's Java."""
    java = item.application.java
    if not state.tls or java is None or not java.home:
        return []
    found: list[Finding] = []
    store = java.truststore
    own = item.wishes.truststore_path
    cause, remedy = planning_node.unnamed(item) if own else ("", "")
    if cause:
        what = f"{item.kind.capitalize()} on {item.host} is not told to read {own}"
        found.append(make("RTC321", item.host, f"{what}. {cause}", remedy=remedy))
    if own and (store is None or store.path != own or (store.error and not store.mtime)):
        pass  # the run makes the store
    elif store is None or store.error:
        why = store.error.rstrip(".") if store else "none was found"
        found.append(make("RTC312", item.host, f"Trust store of {item.kind.capitalize()} on {item.host}: {why}."))
    else:
        found += _trust(item, store)
    found += _store(item, store) if store and store.path != own else []
    if not (item.given and item.given.root_pem) and not item.wishes.tls_fetch:
        found.append(make("RTC314", item.host, f"The authority behind {state.site.base_url} was not given."))
    for finding in found:
        finding.site = state.site.name
    return found


def _store(item: Node, store: TrustStore) -> Iterator[Finding]:
    if store.source == "property":
        yield make(
            "RTC304",
            item.host,
            f"Java of {item.kind.capitalize()} on {item.host} reads {store.path} only.",
            [f"-Djavax.net.ssl.trustStore={store.path}"],
        )
    elif store.source == "jssecacerts":
        yield make("RTC317", item.host, f"Java of {item.kind.capitalize()} on {item.host} reads {store.path}.")


def _trust(item: Node, store: TrustStore) -> Iterator[Finding]:
    given = item.given
    if given is None or not given.root_fingerprint or given.root_fingerprint in store.fingerprints:
        return
    if given.fingerprint and given.fingerprint in store.fingerprints:
        yield make(
            "RTC303", item.host, f"{store.path} trusts '{given.subject}' itself, and not '{given.root_subject}'."
        )
    yield make("RTC301", item.host, f"{store.path} does not have '{given.root_subject}'.")


def site(state: SiteState, now: float) -> list[Finding]:
    """What is said about the certificates of a site, the given one and those that the proxy has."""
    first = state.nodes[0]
    found = [*_missing(state), *_upstream(state)]
    if first.given:
        found += _given(state, first, first.given, now)
    if state.proxy and not state.wishes.tls_certificate:
        seen: list[VirtualHost] = []
        for match in state.proxy.application + state.proxy.rtc:
            if match.listen.tls and match.vhost not in seen:
                seen.append(match.vhost)
                found += _present(state, match.vhost, match.where, now)
    for finding in found:
        finding.site = state.site.name
    return found


def _missing(state: SiteState) -> Iterator[Finding]:
    if (
        state.tls
        and state.proxy
        and state.proxy.managed
        and not desired.foreign_rtc(state)
        and not desired.certificate_paths(state)[0]
    ):
        yield make(
            "RTC318",
            state.proxy.host,
            f"No certificate for {state.site.rtc_url} is known.",
            [item for item in state.site.evidence if item.startswith("HTTP")],
        )


def _upstream(state: SiteState) -> Iterator[Finding]:
    """T9: the proxy checks Tomcat's certificate, and needs its authority."""
    proxy = state.proxy
    if state.site.protocol == "HTTPS" and proxy and proxy.managed and not state.wishes.upstream_ca:
        yield make(
            "RTC320",
            proxy.host,
            f"{proxy.kind} on {proxy.host} trusts what its system trusts for the certificate of Tomcat.",
        )


def _file(item: Node, variable: str) -> str:
    """The controller's file that a variable names; PEM text in the variable itself is not shown."""
    value = str(getattr(item.wishes, variable[len("rtc_") :], "") or "")
    return "" if "-----BEGIN" in value else f" = {value}"


def _given(state: SiteState, item: Node, given: GivenTls, now: float) -> Iterator[Finding]:
    host, name = item.host, state.site.server_name
    if given.error:
        text = given.error if given.error.startswith(given.variable) else f"{given.variable}: {given.error}"
        yield make("RTC309", host, text, [f"{host}: {given.variable}{_file(item, given.variable)}"])
    if not given.fingerprint:
        return
    what = f"The certificate '{given.subject}'"
    if not names_cover(given.names, name):
        yield make("RTC306", host, f"{what} is for {', '.join(given.names) or 'no name'}, not for {name}.")
    yield from _dates(host, what, given.not_before, given.not_after, now)
    if given.missing:
        yield make("RTC302", host, f"{what} was issued by '{given.missing}', whose certificate was not given.")
    if given.weak:
        yield make("RTC319", host, f"{what} has a key of {given.weak} bits.")
    if given.key_given and not given.key_matches and given.variable != "rtc_tls_key":
        yield make("RTC310", host, f"rtc_tls_key does not belong to {what[0].lower()}{what[1:]}.")
    if given.test_authority:
        yield make("RTC305", host, f"{what} is from an authority that was made for tests.")


def _dates(host: str, what: str, begin: float, end: float, now: float) -> Iterator[Finding]:
    if begin > now:
        yield make("RTC311", host, f"{what} is valid from {_day(begin)} on.")
    elif 0 < end <= now:
        yield make("RTC307", host, f"{what} expired on {_day(end)}.")
    elif 0 < end <= now + SOON:
        yield make("RTC308", host, f"{what} expires on {_day(end)}.")


def _present(state: SiteState, vhost: VirtualHost, where: str, now: float) -> Iterator[Finding]:
    host = state.proxy.host if state.proxy else ""
    what = f"The certificate {vhost.certificate} on {host}"
    if vhost.certificate_names and not names_cover(vhost.certificate_names, state.site.server_name):
        yield make(
            "RTC306",
            host,
            f"{what} is for {', '.join(vhost.certificate_names)}, not for {state.site.server_name}.",
            [where],
        )
    yield from _dates(host, what, 0, vhost.certificate_expires, now)


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
