# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about reverse proxies: RTC4xx. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.kinds import BACKENDS
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import instructions, several_nodes
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.manual_proxy import advise
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.proxy_capacity import check_capacity
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import (
    PROXY_DIRECTORY,
    DesiredProxy,
    DesiredSite,
    DesiredState,
    ExistingVhost,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import (
    Classification,
    ClassifiedSite,
    PlanInput,
    ProxyUse,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import ProxyRoute
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan
from ansible_collections.collab.rtc.plugins.plugin_utils._run.outcome import Outcome

SYNCHRONY = "/synchrony"
NAMES = {
    "f5": "F5 BIG-IP",
    "azure_gateway": "Azure Application Gateway",
    "kubernetes": "The gateway of Kubernetes",
    "traefik": "Traefik",
}
TEXTS = {
    "RTC402": "does not forward to the same port",
    "RTC404": "forwards a sub-path, and RTC is at /",
    "RTC405": "does not pass the Upgrade of a WebSocket on",
    "RTC406": "speaks HTTP/1.0 to the service",
    "RTC407": "cuts idle connections",
    "RTC408": "cuts idle tunnels",
    "RTC409": "has several active upstreams and no stickiness",
}


def check_hosts(plan_input: PlanInput, classification: Classification, state: DesiredState) -> list[Finding]:
    """Findings about the proxies that sites use, whatever the site is."""
    found: list[Finding] = [*_check_mixed(state)]
    used = {(item.proxy.host, item.proxy.kind) for item in classification.sites if item.proxy}
    for host, facts in plan_input.facts.items():
        for proxy in facts.proxies:
            if (host, proxy.kind) in used:
                found += _check_daemon(host, proxy)
    return [*found, *check_capacity(plan_input, classification)]


def check_written(plan: Plan, outcome: Outcome) -> Iterator[Finding]:
    """Findings about virtual hosts that a run has written, after its checks: these decide what was not seen before."""
    for site in plan.sites:
        known = outcome.rolled_back.get(site.name)
        why_open = "" if known is not None and known.hosts else _explain_open(site.name, outcome)
        for item in outcome.written.get(site.name, []) if why_open else []:
            if item.why:
                text = f"{item.kind} on {item.host}, {item.name}: RTC was not seen to pass it: {item.why}; {why_open}."
                yield make("RTC443", item.host, text, site=site.name)


def _explain_open(site: str, outcome: Outcome) -> str:
    """Why the checks do not decide whether RTC passes what was written for a site; "" where they do."""
    checks = outcome.checks.get(site, [])
    failed = [check for check in checks if check["ok"] is False]
    if any(check.get("made", True) for check in failed):
        return f"the checks failed, and it was not taken back: {outcome.left.get(site) or 'nothing was undone'}"
    if failed:
        return f"this could not be checked: {failed[0]['name']} ({failed[0]['where']})"
    return "" if checks else "nothing was checked"


def _check_mixed(state: DesiredState) -> Iterator[Finding]:
    """Sites with and without TLS on one port of a proxy."""
    seen: dict[tuple[str, int], DesiredSite] = {}
    for wanted in state.sites:
        if wanted.proxy is None or not wanted.proxy.managed:
            continue
        host = wanted.proxy.host
        first = seen.setdefault((host, wanted.site.rtc_port), wanted)
        if first.tls != wanted.tls:
            yield make(
                "RTC423",
                host,
                f"{first.site.rtc_url} and {wanted.site.rtc_url} cannot share a port of {host}.",
                site=wanted.site.name,
            )


def _check_daemon(host: str, proxy: Proxy) -> Iterator[Finding]:
    if proxy.error:
        finding = "RTC428" if _blames_collection(proxy) else "RTC411"
        yield make(finding, host, f"{proxy.kind} on {host} refuses {proxy.config}: {proxy.error}")
    if not proxy.running:
        yield make("RTC416", host, f"{proxy.kind} on {host} does not run.")
    if proxy.notes:
        yield make("RTC417", host, f"Not all of {proxy.config} on {host} was understood.", proxy.notes)


def _blames_collection(proxy: Proxy) -> bool:
    """Whether the daemon names a file that the next run writes anew: a virtual host or a certificate of ours."""
    managed = [item.file for item in proxy.hosts if item.managed and item.file]
    return any(path in proxy.error for path in [*managed, f"{PROXY_DIRECTORY}/"])


def check_site(classified: ClassifiedSite, wanted: DesiredSite) -> Iterator[Finding]:
    """Findings about the proxy of a site, and about its nodes where it has several."""
    yield from several_nodes.check_site(classified, wanted)
    use, proxy = classified.proxy, wanted.proxy
    if use is None or proxy is None:
        return
    if proxy.managed:
        if use.proxy and use.proxy.unwritable:
            yield make("RTC442", use.host, f"{use.kind} on {use.host}: {use.proxy.unwritable}")
        yield from _check_choice(classified, use)
        yield from _check_sockets(classified, use)
        yield from _check_rtc(classified, wanted, proxy)
        yield from _check_application(classified, use, proxy)
    else:
        yield from _check_unmanaged(classified, wanted, use, proxy)


def _check_unmanaged(
    classified: ClassifiedSite, wanted: DesiredSite, use: ProxyUse, proxy: DesiredProxy
) -> Iterator[Finding]:
    host, site = proxy.host or classified.nodes[0].host, classified.site
    if proxy.kind == "aws_alb" and classified.settings.aws_load_balancer:
        return  # a run sets its listener
    if proxy.kind in instructions.RENDERERS:
        values = instructions.collect_values(wanted)
        text = instructions.render(proxy.kind, values)
        if proxy.kind == "aws_alb":
            what = f"{site.name}: the load balancer needs a listener on port {site.rtc_port}."
            yield make("RTC412", host, what, remedy=text)
        else:
            what = f"{NAMES[proxy.kind]} in front of {site.name} has to forward port {site.rtc_port}."
            yield make("RTC487", host, what, remedy=text)
        if proxy.kind == "azure_gateway" and values.routes_sessions:
            what = f"{NAMES[proxy.kind]} cannot send the sessions of {site.name} to {len(values.serving)} nodes."
            yield make("RTC488", host, what)
    elif not proxy.unseen:
        yield make(
            "RTC410",
            host,
            f"The proxy of {site.name} is not configured by this collection: {use.evidence}.",
            remedy=advise(proxy.rtc.plan),
        )


def _check_choice(classified: ClassifiedSite, use: ProxyUse) -> Iterator[Finding]:
    installed = use.facts.proxies if use.facts else []
    running = [item for item in installed if item.running]
    chosen = bool(use.application or use.rtc or classified.settings.proxy_kind)
    if len(installed) > 1 and len(running) != 1 and not chosen:
        kinds = ", ".join(sorted(item.kind for item in installed))
        yield make("RTC418", use.host, f"{use.host} has {kinds}; which one is in front of {classified.site.name}?")


def _check_sockets(classified: ClassifiedSite, use: ProxyUse) -> Iterator[Finding]:
    """A socket of the proxy on the RTC port that nothing read accounts for: users would be torn between two."""
    if use.facts is None or use.proxy is None:
        return
    item = sockets.find_unread(use.proxy, BACKENDS[use.kind].programs, use.facts.listeners, classified.site.rtc_port)
    if item:
        what = f"{item.process} (pid {item.pid}) listens on {item.address}:{item.port} of {use.host}"
        yield make("RTC429", use.host, f"{what}, and nothing that was read of {use.proxy.config} accounts for it.")


def _check_rtc(classified: ClassifiedSite, wanted: DesiredSite, proxy: DesiredProxy) -> Iterator[Finding]:
    site, existing = classified.site, proxy.rtc.existing
    if not existing and not proxy.misplaced:  # a route at the wrong place says more than that there is none
        yield make(
            "RTC403",
            proxy.host,
            f"{proxy.kind} on {proxy.host} does not forward port {site.rtc_port} of {site.server_name}.",
        )
    for place in proxy.hidden:
        what = f"{place} on {proxy.host} is read before {proxy.rtc.plan.name}.conf and answers for {site.server_name}"
        yield make("RTC432", proxy.host, f"{what} on port {site.rtc_port}.", [place])
    for item in existing:
        for fault in item.faults:
            # What this collection wrote, it writes again; what somebody else wrote stops the run by RTC414.
            yield _report_fault(wanted, proxy, item, fault)
        # One without faults that takes the service's address is not right after all: RTC503 reports it.
        if item.doubt:
            yield make("RTC431", proxy.host, f"{item.where}: {item.doubt}.", [item.place])
        elif not item.managed and (item.faults or not item.takes_service_address):
            yield _report_foreign(wanted, proxy, item)
        if item.buffering and proxy.kind == "nginx":
            yield make("RTC422", proxy.host, f"{item.where}: proxy_buffering is on.")
    for route in proxy.misplaced:
        what = f"{route.path} of port {route.port}" if route.fault == "RTC404" else f"port {route.port}"
        target = "the RTC port" if route.fault == "RTC404" else f"the RTC port {site.rtc_port}"
        yield make(route.fault, proxy.host, f"{route.where} forwards {what} to {target}.", severity="warning")


def _report_fault(wanted: DesiredSite, proxy: DesiredProxy, item: ExistingVhost, fault: str) -> Finding:
    text = TEXTS.get(fault, "")
    if fault == "RTC401":
        text = f"speaks {'HTTPS' if item.tls else 'HTTP'}, the page {'HTTPS' if wanted.tls else 'HTTP'}"
    elif fault == "RTC403":
        text = "forwards nothing"
    elif fault == "RTC430":
        text = f"lets no request for /socket.io/ through: {item.answer}"
    elif fault in ("RTC407", "RTC408"):
        text += f" after {item.read_timeout:g} seconds"
    if item.answer and fault in ("RTC402", "RTC403", "RTC404", "RTC405", "RTC406"):
        text += f" ({item.answer})"
    message = f"{item.where}: the virtual host on port {wanted.site.rtc_port} {text}."
    return make(fault, proxy.host, message, severity="warning")


def _report_foreign(wanted: DesiredSite, proxy: DesiredProxy, item: ExistingVhost) -> Finding:
    where, name = f"{item.place} on {proxy.host}", wanted.site.name
    if item.right:
        return make("RTC415", proxy.host, f"{where} forwards {name} rightly and is left as it is.")
    return make(
        "RTC414",
        proxy.host,
        f"{where} serves {name} and was not written by this collection ({', '.join(item.faults)}).",
        [item.place],
    )


def _check_application(classified: ClassifiedSite, use: ProxyUse, proxy: DesiredProxy) -> Iterator[Finding]:
    base_url, tls, wanted = classified.site.base_url, classified.tls, proxy.application
    if not any(item.listen.tls == tls for item in use.application) and wanted is None:
        yield make("RTC421", use.host, f"{use.kind} on {use.host} does not forward {base_url}.")
    foreign = [item for item in wanted.existing if not item.managed] if wanted else []
    for item in foreign:
        where = f"{item.place} on {use.host}"
        if item.right:
            yield make("RTC415", use.host, f"{where} forwards {base_url} and is left as it is.")
        else:
            yield make(
                "RTC414",
                use.host,
                f"{where} serves {base_url} and was not written by this collection; it does not forward to the"
                " application.",
                [item.place],
            )
    if use.application and (wanted is None or foreign):
        yield from _check_synchrony(classified, use)
    for proxy_route in use.application:
        active = [item for item in proxy_route.route.upstreams if not item.backup]
        if len(active) > 1 and not proxy_route.route.sticky:
            text = f"{proxy_route.where}: the application has {len(active)} nodes and no stickiness."
            yield make("RTC409", use.host, text)
            return


def _check_synchrony(classified: ClassifiedSite, use: ProxyUse) -> Iterator[Finding]:
    if classified.site.application != "confluence":
        return
    vhosts = list({id(item.vhost): item for item in use.application if item.listen.tls == classified.tls}.values())
    if vhosts and not any(map(_has_synchrony, vhosts)):
        yield make("RTC413", use.host, f"{vhosts[0].where}: no route for {SYNCHRONY}.")


def _has_synchrony(proxy_route: ProxyRoute) -> bool:
    return any(route.path.rstrip("/").endswith(SYNCHRONY) for route in proxy_route.vhost.routes)
