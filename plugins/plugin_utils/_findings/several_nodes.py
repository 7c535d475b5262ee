# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sites of several nodes: whether these are alike, and how the proxy knows which of them serve. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache.modules import HEALTH
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredProxy, DesiredSite, DesiredState
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node, PlanInput
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import same_machine
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.wanted import name_owner

_BY_ADDRESS = ("ip_hash", "source", "hash $remote_addr", "hash $binary_remote_addr", "stick src")


def check_sites(sites: Iterable[ClassifiedSite]) -> Iterator[Finding]:
    """Nodes that users come to by one address, and that are two sites because their RTC ports differ."""
    first: dict[tuple[str, str], ClassifiedSite] = {}
    for classified in sites:
        site = classified.site
        other = first.setdefault((site.application, site.base_url), classified).site
        if other.rtc_port != site.rtc_port:
            nodes = f"{', '.join(other.nodes)} with RTC port {other.rtc_port}"
            for name in (other.name, site.name):  # neither is planned as if the other were not there
                yield make(
                    "RTC461",
                    classified.nodes[0].host,
                    f"{site.base_url} is served by {nodes}, and by {', '.join(site.nodes)} with {site.rtc_port}.",
                    site=name,
                )


def check_left_out(plan_input: PlanInput, state: DesiredState) -> Iterator[Finding]:
    """Nodes that this run does not look at, while it would write the virtual host that passes RTC on to them.

    The proxy's record says which they are. A node that could not be reached is none of these: that is said elsewhere.
    """
    for wanted in state.sites:
        proxy, site = wanted.proxy, wanted.site
        if proxy is None or not proxy.managed or not proxy.rtc.written:
            continue
        mine = {name_owner(host, site.application) for host in site.nodes}
        key = f"vhost {proxy.kind} {proxy.rtc.plan.name}"  # the same one, whatever the inventory's name was
        inventory = {name_owner(host, site.application): host for host in plan_input.groups.get(site.application, [])}
        for entry in plan_input.facts[proxy.host].managed.entries:
            # A node that is new has no part in it yet, and would be the only one that is left.
            same = entry.key == key
            ours = same or (entry.inventory == plan_input.inventory and mine & set(entry.owners))
            if entry.kind != "vhost" or not ours:
                continue
            hosts = [inventory[owner] for owner in entry.owners if owner in inventory]
            left = [host for host in hosts if host not in plan_input.facts and host not in plan_input.failed]
            if left:
                yield make(
                    "RTC465",
                    proxy.host,
                    f"{site.name}: {proxy.kind} passes RTC on to {', '.join(left)}, too, and would not any more.",
                    remedy=f"Run without --limit, or with --limit {','.join([*hosts, proxy.host])}.",
                    site=site.name,
                )


def check_site(classified: ClassifiedSite, wanted: DesiredSite) -> Iterator[Finding]:
    """Findings about a site of several nodes; none about one of a single node."""
    if len(classified.nodes) < 2:
        return
    yield from _check_versions(classified)
    yield from _check_shared_home(classified)
    yield from _check_secrets(classified)
    yield from _check_addresses(classified, wanted)
    if wanted.proxy:
        yield from _check_modules(classified, wanted.proxy)
        yield from _check_health(classified, wanted.proxy)
        yield from _check_rtc_stickiness(classified, wanted.proxy)
    if not classified.settings.store_url:
        yield from _report_who_serves(classified, wanted)


def _check_addresses(classified: ClassifiedSite, wanted: DesiredSite) -> Iterator[Finding]:
    """Virtual machines behind NAT have one address each, which is the same for all."""
    first: dict[str, str] = {}
    for node, decided in zip(classified.nodes, wanted.nodes, strict=True):
        if wanted.proxy is None or node.settings.aws_target:
            continue
        other = first.setdefault(decided.upstream_host, node.host)
        if other != node.host and not same_machine(node.facts, _facts_of(classified, other)):
            why = decided.evidence["upstream_host"]
            text = f"{classified.site.name}: the proxy would reach {other} and {node.host} by {decided.upstream_host}"
            yield make("RTC494", node.host, f"{text} ({why}).")


def _facts_of(classified: ClassifiedSite, host: str) -> HostFacts:
    return next(node.facts for node in classified.nodes if node.host == host)


def _report_who_serves(classified: ClassifiedSite, wanted: DesiredSite) -> Iterator[Finding]:
    """Which node is active; and whether it is another one than before, which only the order of the inventory says."""
    host, before = classified.nodes[0].host, _find_serving(classified, wanted)
    written = bool(wanted.proxy and wanted.proxy.rtc.written)
    serves = host if written or not before else before  # what is left as it is goes on as it does
    others = "the others stand by"
    if written and wanted.proxy and wanted.proxy.kind == "nginx" and len(wanted.nodes) > 2:
        others = f"{wanted.nodes[1].host} stands by, and no other: nginx would give requests to several in turn"
    yield make("RTC419", host, f"{classified.site.name}: {serves} serves RTC, {others}.")
    if written and before not in ("", host):
        text = f"{classified.site.name}: {host} would serve RTC from now on; until now {before} does."
        remedy = f"Put {before} before {host} in the group {classified.site.application}, if it is to go on serving."
        yield make("RTC492", host, text, remedy=remedy)


def _find_serving(classified: ClassifiedSite, wanted: DesiredSite) -> str:
    """The node that alone is active by the proxy's virtual host; "" where several are, or it is no node any more."""
    for proxy_route in classified.proxy.rtc if classified.proxy else []:
        active = {item.host for item in proxy_route.route.upstreams if not item.backup}
        if len(active) == 1:
            return next((node.host for node in wanted.nodes if node.upstream_host in active), "")
    return ""


def _check_versions(classified: ClassifiedSite) -> Iterator[Finding]:
    versions = {node.host: node.application.version for node in classified.nodes if node.application.version}
    if len(set(versions.values())) > 1:
        told = ", ".join(f"{host} {version}" for host, version in versions.items())
        yield make("RTC462", classified.nodes[0].host, f"{classified.site.name}: {told}.")


def _check_shared_home(classified: ClassifiedSite) -> Iterator[Finding]:
    having = [node for node in classified.nodes if node.application.shared_home]
    lacking = [node for node in classified.nodes if not node.application.shared_home]
    for node in lacking if having else ():
        unknown = _explain_unknown_home(node)
        if unknown:
            text = f"{classified.site.name}: it is unknown whether {node.host} has the shared home"
            there = f"{having[0].application.shared_home}, as {having[0].host} has it"
            yield make("RTC463", node.host, f"{text} {there}: {unknown}.", severity="warning")
            continue
        yield make(
            "RTC463",
            node.host,
            f"{classified.site.name}: {node.host} has no shared home, {having[0].host} has"
            f" {having[0].application.shared_home}.",
            [_name_file(node)],
        )
    for node in having[1:]:
        # One of another cluster, such as a copy for tests, or the same directory in another place.
        if posixpath.normpath(node.application.shared_home) != posixpath.normpath(having[0].application.shared_home):
            text = f"{classified.site.name}: {node.host} has the shared home {node.application.shared_home},"
            there = f"{having[0].host} has {having[0].application.shared_home}."
            yield make("RTC463", node.host, f"{text} {there}", [_name_file(node)], severity="warning")
    if not having:
        first = classified.nodes[0]
        hosts = ", ".join(classified.site.nodes)
        text = f"{classified.site.name}: no shared home was seen on {hosts}."
        yield make("RTC463", first.host, text, [_name_file(first)], severity="warning")


_NAMING = {"confluence": "confluence.cfg.xml", "jira": "cluster.properties"}  # the file that names the shared home


def _explain_unknown_home(node: Node) -> str:
    """Why a node that seems to have no shared home may have one; "" where there is none: the end of a sentence."""
    if not node.application.home:
        return "its own home was not found"
    path = f"{node.application.home}/{_NAMING[node.kind]}"
    return next((f"{path}: {item.reason.rstrip('.')}" for item in node.facts.unreadable if item.what == path), "")


def _name_file(node: Node) -> str:
    """The file that names the shared home."""
    return f"{node.host}: {node.application.home or 'its home, which is unknown'}/{_NAMING[node.kind]}"


def _check_secrets(classified: ClassifiedSite) -> Iterator[Finding]:
    if not classified.settings.store_url:
        return
    site, first = classified.site.name, classified.nodes[0]
    for node in classified.nodes:
        if "secret" not in node.settings.given:
            yield make("RTC450", node.host, f"{site}: rtc_secret is not set for {node.host}.")
        elif node.secret_digest and first.secret_digest and node.secret_digest != first.secret_digest:
            yield make("RTC450", node.host, f"{site}: rtc_secret of {node.host} is not that of {first.host}.")


def _check_modules(classified: ClassifiedSite, proxy: DesiredProxy) -> Iterator[Finding]:
    """Modules of Apache that the virtual host would need, and that a run cannot switch on."""
    seen = classified.proxy.proxy if classified.proxy else None
    if seen is None or not proxy.managed or not proxy.rtc.written:
        return
    site, lacking = classified.site.name, [name for name in seen.lacks if name != HEALTH]
    if lacking:
        text = f"{site}: Apache on {proxy.host} has no module {', '.join(lacking)}."
        yield make("RTC490", proxy.host, text, remedy=_tell_how_to_load(lacking, seen.config))
    if HEALTH in seen.lacks and proxy.rtc.plan.health and classified.site.protocol != "HTTPS":
        text = f"{site}: Apache on {proxy.host} has no module {HEALTH}."
        yield make("RTC491", proxy.host, text, remedy=_tell_how_to_load([HEALTH], seen.config))


def _tell_how_to_load(names: list[str], config: str) -> str:
    if config.startswith("/etc/apache2/"):
        return (
            "Bring the modules back with apt-get install --reinstall -o Dpkg::Options::=--force-confmiss apache2"
            f" apache2-bin, then a2enmod {' '.join(names)} and systemctl reload apache2; run again."
        )
    lines = "; ".join(f"LoadModule {name}_module modules/mod_{name}.so" for name in names)
    more = ", after that of watchdog_module" if HEALTH in names else ""
    return (
        f"Put into a file of /etc/httpd/conf.modules.d, each on a line of its own{more}: {lines}. Then systemctl reload"
        " httpd, and run again. The package httpd-core or httpd has the modules."
    )


def _check_health(classified: ClassifiedSite, proxy: DesiredProxy) -> Iterator[Finding]:
    if not proxy.managed or not proxy.rtc.written or not proxy.rtc.plan.health:
        return
    if proxy.kind == "nginx":
        why = "nginx has no health checks of its own"
    elif proxy.kind == "apache" and classified.site.protocol == "HTTPS":
        why = "mod_proxy_hcheck checks a certificate against the address of the node, which is not in it"
    else:
        return
    yield make("RTC460", proxy.host, f"{classified.site.name}: {why}.")


def _check_rtc_stickiness(classified: ClassifiedSite, proxy: DesiredProxy) -> Iterator[Finding]:
    use = classified.proxy
    if use is None or proxy.rtc.written:  # what is written is by session id
        return
    for proxy_route in use.rtc:
        active = {(item.host, item.port) for item in proxy_route.route.upstreams if not item.backup}
        sticky = proxy_route.route.sticky
        if len(active) < 2:
            continue
        if sticky.startswith(("cookie", "stick req.cook", "stick cookie")):
            text = f"{proxy_route.where} keeps clients of RTC at their node by {sticky}: browsers send no cookie there."
            yield make("RTC464", use.host, text)
        elif sticky.startswith(_BY_ADDRESS):
            text = f"{proxy_route.where} keeps clients of RTC at their node by address ({sticky})."
            yield make("RTC464", use.host, text, severity="info")
