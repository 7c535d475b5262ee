# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the proxy of a site is to be: its virtual hosts with listens, upstreams and certificates, and packages. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import choose_certificate
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import MANAGED_PROXIES
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import existing_vhosts, routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.decide_service import LOOPBACK
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import (
    PROXY_DIRECTORY,
    DesiredNode,
    DesiredProxy,
    DesiredVhost,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node, ProxyUse
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.wanted import name_application_vhost

PACKAGES = {
    "debian": {"nginx": ["nginx"], "apache": ["apache2"], "haproxy": ["haproxy"]},
    "redhat": {"nginx": ["nginx"], "apache": ["httpd", "mod_ssl"], "haproxy": ["haproxy"]},
}
SYNCHRONY_PORT = 8091
HEALTH = "/readyz"  # of our RTC server; the add-on's own has nothing of the kind
HOLDS = {"rtc_tls_certificate": "certificate", "rtc_tls_key": "private_key", "rtc_upstream_ca": "authority"}
BY_HAND = "/path/to"  # what a person configures has certificates where that person puts them

Services = frozenset[tuple[routing.Machine, int]]  # the machine of an RTC service of any site, and its port


@dataclass(frozen=True)
class TlsFiles:
    """Paths on the proxy's host; "" where there is none."""

    certificate: str
    key: str
    upstream_ca: str
    evidence: str  # for certificate and key


def decide_proxy(classified: ClassifiedSite, nodes: list[DesiredNode], services: Services) -> DesiredProxy | None:
    """All that the proxy of one site is to be; ``None`` where there is none.

    :param nodes: the applications of the site, decided.
    :param services: the RTC services of all sites.
    """
    proxy = classified.proxy
    if proxy is None:
        return None
    files = decide_tls_files(classified, proxy)
    rtc, judged = decide_rtc_vhost(classified, proxy, nodes, services, files)
    application = decide_application_vhost(classified, proxy, nodes, files)
    writes = rtc.written or bool(application and application.written)
    return DesiredProxy(
        host=proxy.host,
        kind=proxy.kind,
        managed=proxy.managed,
        unseen=bool(proxy.host) and proxy.facts is None,
        rtc=rtc,
        application=application,
        packages=decide_packages(proxy),
        certificates=decide_copies(classified, files) if writes else [],
        misplaced=judged.misplaced,
        hidden=judged.hidden,
        conflicts=judged.conflicts,
        evidence={"host": proxy.evidence, "certificates": files.evidence},
    )


def decide_tls_files(classified: ClassifiedSite, proxy: ProxyUse) -> TlsFiles:
    """Where certificate, key and the authority of Tomcat's own certificate are, or will be, on the proxy's host."""
    encrypts_again = classified.site.protocol == "HTTPS"
    if not proxy.managed:
        upstream_ca = f"{BY_HAND}/upstream-ca.pem" if encrypts_again else ""
        if not classified.tls:
            return TlsFiles("", "", upstream_ca, "users speak HTTP")
        return TlsFiles(f"{BY_HAND}/fullchain.pem", f"{BY_HAND}/privkey.pem", upstream_ca, "the proxy is not managed")
    directory = f"{PROXY_DIRECTORY}/{classified.site.server_name}"
    # Without an authority of its own, the proxy checks Tomcat's certificate against those of its system.
    upstream_ca = f"{directory}/upstream-ca.pem" if encrypts_again and classified.settings.upstream_ca else ""
    certificate, key, why = _decide_certificate(classified, proxy, directory)
    return TlsFiles(certificate, key, upstream_ca, why)


def _decide_certificate(classified: ClassifiedSite, proxy: ProxyUse, directory: str) -> tuple[str, str, str]:
    if not classified.tls:
        return "", "", "users speak HTTP"
    if classified.settings.tls_certificate:
        return f"{directory}/fullchain.pem", f"{directory}/privkey.pem", "rtc_tls_certificate"
    problem = ""
    for proxy_route in proxy.application + proxy.rtc:
        if not proxy_route.listen.tls or not proxy_route.vhost.certificate:
            continue
        served = choose_certificate(proxy_route.vhost, classified.site.server_name)
        if not served.problem:
            return served.certificate, served.key, f"{proxy_route.where} has it"
        problem = problem or f"{proxy_route.where} has one that cannot be used: {served.problem}"
    return "", "", problem or "no certificate is given, and the proxy has none for this site"


def decide_rtc_vhost(
    classified: ClassifiedSite,
    proxy: ProxyUse,
    nodes: list[DesiredNode],
    services: Services,
    files: TlsFiles,
) -> tuple[DesiredVhost, existing_vhosts.Judged]:
    """The virtual host on the RTC port, and what is there in its place."""
    site = classified.site
    listen, why = decide_rtc_listen(classified, proxy, services)
    deployed = all(node.service.kind == "deployed" for node in nodes)
    shared = all(node.service.label for node in nodes)
    labels = {node.host: node.service.label if shared else "" for node in nodes}
    plan = VhostPlan(
        site=site.name,
        kind=_choose_kind(proxy),
        role="rtc",
        name=decide_file_name(classified, proxy),
        server_name=site.server_name,
        listen=listen,
        port=site.rtc_port,
        upstreams=[
            _make_upstream(classified, node, site.rtc_port, backup=number > 0 and not shared, label=labels[node.host])
            for number, node in enumerate(nodes)
        ],
        certificate=files.certificate,
        key=files.key,
        upstream_ca=files.upstream_ca,
        upstream_name=classified.settings.upstream_name,
        reuse=not any(node.service.kind == "builtin" for node in nodes),
        panel_port=nodes[0].service.panel_port if nodes[0].service.panel_from else 0,
        panel_from=nodes[0].service.panel_from,
        health=HEALTH if deployed and len(nodes) > 1 else "",
    )
    judged = existing_vhosts.judge_rtc(classified, proxy, plan, {port for _machine, port in services})
    wanted = DesiredVhost(
        plan=plan,
        written=proxy.managed and all(item.managed for item in judged.existing),
        existing=judged.existing,
        evidence={
            "listen": why,
            "certificate": files.evidence,
            "upstreams": "rtc_store_url" if shared else "without a shared store one node serves RTC",
        },
    )
    return wanted, judged


def _choose_kind(proxy: ProxyUse) -> str:
    """What a person configures by hand is shown for nginx, where no kind is known that there is a renderer for."""
    return proxy.kind if proxy.kind in MANAGED_PROXIES else "nginx"


def decide_rtc_listen(classified: ClassifiedSite, proxy: ProxyUse, services: Services) -> tuple[list[str], str]:
    """The addresses of the proxy's host that the RTC virtual host listens on, empty when none is known; and why."""
    facts = proxy.facts
    if facts is None or not proxy.managed:
        return ["*"], "the proxy is not managed"
    given = classified.settings.listen or proxy.listen
    if given:
        return given, "rtc_listen"
    port = classified.site.rtc_port
    if not proxy.local and (routing.identify(facts), port) not in services:
        return _list_wildcards(facts), f"no RTC service has port {port} on {proxy.host}"
    # An RTC service has the port on the loopback address: it has to stay free.
    name = classified.site.server_name
    resolved = set(facts.resolves.get(name, []))
    named = [address for address in facts.addresses if address in resolved]
    # Debian gives a host's own name the address 127.0.1.1; the application then connects there.
    named += sorted(
        item for item in resolved if routing.is_loopback(item) and item not in (LOOPBACK, "::1", "localhost")
    )
    if any(not routing.is_loopback(item) for item in named):
        return named, f"what {name} resolves to on {proxy.host}"
    main = facts.main_address or next(iter(facts.addresses), "")
    return ([main] if main else []) + named, f"the main address of {proxy.host}"


def _list_wildcards(facts: HostFacts) -> list[str]:
    """All addresses of a host, as proxy_vhost takes them: "*" is IPv4 only."""
    return ["*", "::"] if any(":" in address for address in facts.addresses) else ["*"]


def decide_file_name(classified: ClassifiedSite, proxy: ProxyUse) -> str:
    """The name of the RTC virtual host's file on the proxy.

    A proxy in front of many hosts has many sites with the same port; on one host a port is there once.
    """
    site = classified.site
    if proxy.local and site.placement == "same_host":
        return f"rtc-{site.application}-{site.rtc_port}"
    return f"rtc-{site.application}-{site.server_name}-{site.rtc_port}"


def decide_application_vhost(
    classified: ClassifiedSite, proxy: ProxyUse, nodes: list[DesiredNode], files: TlsFiles
) -> DesiredVhost | None:
    """The application's own virtual host; ``None`` where it is left to the administrator."""
    if not classified.settings.manage_application_vhost:
        return None
    site = classified.site
    synchrony = ""
    if site.application == "confluence":
        synchrony = f"{_bracket(nodes[0].upstream_host)}:{SYNCHRONY_PORT}"
    plan = VhostPlan(
        site=site.name,
        kind=_choose_kind(proxy),
        role="application",
        name=name_application_vhost(site.application, site.server_name, classified.application_port),
        server_name=site.server_name,
        listen=_list_wildcards(proxy.facts) if proxy.facts else ["*"],
        port=classified.application_port,
        upstreams=[_make_upstream(classified, node, node.connector.port) for node in nodes],
        context_path=site.context_path,
        certificate=files.certificate,
        key=files.key,
        synchrony=synchrony,
        upstream_ca=files.upstream_ca,
        upstream_name=classified.settings.upstream_name,
    )
    existing = existing_vhosts.judge_application(classified, proxy)
    return DesiredVhost(
        plan=plan,
        written=proxy.managed and all(item.managed for item in existing),
        existing=existing,
        evidence={"plan": "rtc_manage_application_vhost", "certificate": files.evidence},
    )


def _make_upstream(
    classified: ClassifiedSite, node: DesiredNode, port: int, backup: bool = False, label: str = ""
) -> dict[str, str | int | bool]:
    scheme = "https" if classified.site.protocol == "HTTPS" else "http"
    given: dict[str, str | int | bool] = {"scheme": scheme, "host": node.upstream_host, "port": port, "backup": backup}
    if label:
        given["label"] = label
    return given


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def decide_packages(proxy: ProxyUse) -> list[str]:
    """The packages of a proxy server that is not installed yet."""
    if proxy.facts is None or not proxy.managed or proxy.proxy is not None:
        return []
    return PACKAGES.get(proxy.facts.os_family, PACKAGES["debian"])[proxy.kind]


def decide_copies(classified: ClassifiedSite, files: TlsFiles) -> list[dict[str, str]]:
    """The files to copy to the proxy's host, as in ``HostPlan.certificates``."""
    settings, node, found = classified.settings, classified.nodes[0], []
    if settings.tls_certificate and classified.tls:
        found.append(_make_copy("rtc_tls_certificate", settings.tls_certificate, files.certificate, "0644", node))
        found.append(_make_copy("rtc_tls_key", settings.tls_key, files.key, "0600", node))
    if files.upstream_ca:
        found.append(_make_copy("rtc_upstream_ca", settings.upstream_ca, files.upstream_ca, "0644", node))
    return found


def _make_copy(variable: str, value: str, dest: str, mode: str, node: Node) -> dict[str, str]:
    """PEM text is named by its variable and the host that has it: a key has no place in a plan that is printed."""
    source = {"variable": variable, "from": node.host, "kind": node.kind} if "-----BEGIN" in value else {"src": value}
    return {**source, "dest": dest, "mode": mode, "holds": HOLDS[variable]}
