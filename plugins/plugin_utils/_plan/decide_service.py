# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the RTC service of a node is to be: whose it is, its address, interpreter, trusted proxies and TLS. Pure."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredConnector, DesiredService
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.labels import label_nodes
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.versions import parse_version

LOOPBACK = "127.0.0.1"
ALL = "0.0.0.0"  # noqa: S104 - what the RTC server's configuration wants for all addresses
ALL_IPV6 = "::"
MIN_PYTHON = (3, 10)
SYSTEM_PYTHON = "/usr/bin/python3"


def decide_service(classified: ClassifiedSite, node: Node, connector: DesiredConnector, beside: bool) -> DesiredService:
    """All about the RTC service of one node."""
    kind, why_kind = decide_service_kind(node)
    label, why_label = decide_label(classified, node, kind)
    address, why_address = decide_service_address(node, connector)
    python, version, fits, why_python = decide_python(node)
    proxies, why_proxies = decide_trusted_proxies(classified, node, beside)
    obstacle = find_panel_obstacle(classified, node, kind)
    site, tls = classified.site, classified.site.protocol == "HTTPS"
    origin = site.base_url[: len(site.base_url) - len(site.context_path)]
    return DesiredService(
        kind=kind,
        address=address,
        origins=node.settings.origins or [origin],
        trusted_proxies=proxies,
        python=python,
        python_version=version,
        python_fits=fits,
        machine=node.facts.machine or "x86_64",
        tls_from=node.server_xml if tls else "",
        tls_port=connector.port if tls else 0,
        tls_name=(node.settings.upstream_name or site.server_name) if tls else "",
        tls_secrets=_list_secrets(node) if tls else [],
        jre_home=node.application.java.home if tls and node.application.java else "",
        limits=node.settings.limits,
        store_url=node.settings.store_url,
        store_ca=node.given.store_ca if node.given and node.settings.store_url else "",
        label=label,
        panel=node.settings.panel,
        panel_port=node.settings.panel_port,
        panel_from=[] if obstacle else node.settings.panel_from,
        panel_obstacle=obstacle,
        panel_ca=node.given.root_pem if node.given and node.settings.panel and classified.tls else "",
        evidence={
            "kind": why_kind,
            "address": why_address,
            "origins": "rtc_origins" if node.settings.origins else f"users come by {site.base_url}",
            "trusted_proxies": why_proxies,
            "limits": "rtc_limits",
            "store_url": "rtc_store_url" if node.settings.store_url else "each node keeps its own journal",
            "label": why_label,
            "panel": "rtc_panel",
            "python": why_python,
            "tls_from": f"{site.name} is {site.protocol}",
        },
    )


def find_panel_obstacle(classified: ClassifiedSite, node: Node, kind: str) -> str:
    """Why the proxy cannot lead administrators to the panel; "" where it can, or nobody wants that."""
    settings, proxy = node.settings, classified.proxy
    if not settings.panel_from:
        return ""
    if not settings.panel or not settings.panel_port:
        return "rtc_panel_from needs rtc_panel and rtc_panel_port."
    if kind != "deployed":
        return "rtc_panel_from is given, and the add-on's own service has no panel."
    if proxy is None or not proxy.managed or proxy.local != node.host:
        return f"rtc_panel_from is given, and no proxy that is managed is on {node.host} itself."
    if len(classified.nodes) > 1:
        return f"rtc_panel_from is given, and {classified.site.name} has several nodes, each with a panel of its own."
    if not classified.tls:
        return "rtc_panel_from is given, and users speak HTTP: the token could be read on the way."
    return ""


def _list_secrets(node: Node) -> list[dict[str, object]]:
    """Where the passwords are that ``${...}`` stands for, as ``keystore_pem`` takes it."""
    secrets = node.application.server_xml.secrets if node.application.server_xml else []
    return [
        {"name": item.name, "file": item.file, "line": item.line, "before": item.before}
        for item in secrets
        if item.key and item.file
    ]


def decide_service_kind(node: Node) -> tuple[str, str]:
    """``deployed`` or ``builtin``, and why."""
    if node.settings.service != "auto":
        return node.settings.service, f"rtc_service is {node.settings.service}"
    if node.builtin:
        return "builtin", f"the application on {node.host} (pid {node.builtin.pid}) listens on port {node.rtc_port}"
    return "deployed", f"the application on {node.host} does not listen on port {node.rtc_port}"


def decide_label(classified: ClassifiedSite, node: Node, kind: str) -> tuple[str, str]:
    """What the session ids of the node end in, "" for nothing; and why.

    With a store a single node has one, too: when another comes, nothing changes for it. Without a store one node is
    active, and a session belongs to whichever that is.
    """
    if kind != "deployed" or not node.settings.store_url:
        return "", "one node at a time is active"
    return label_nodes(classified.site.nodes)[node.host], f"the name {node.host}, and rtc_store_url"


def decide_service_address(node: Node, connector: DesiredConnector) -> tuple[str, str]:
    """The address that the RTC service has, and why: it is where the connector listens."""
    address, why = connector.address, connector.evidence["address"]
    if address.lower() in ("localhost", "ip6-localhost"):
        return LOOPBACK, why
    if address:
        return address, why
    version6 = ":" in node.facts.main_address
    return (ALL_IPV6, f"{why}; the main address of {node.host} is an IPv6 address") if version6 else (ALL, why)


def decide_trusted_proxies(classified: ClassifiedSite, node: Node, beside: bool) -> tuple[list[str], str]:
    """The addresses that the proxy's requests come from, and how they are known."""
    proxy = classified.proxy
    if proxy is None:
        return [], "no proxy is in front of the service"
    if beside:
        return [LOOPBACK, "::1"], f"the proxy is on {node.host} itself"
    if proxy.facts:
        return list(proxy.facts.addresses), f"the addresses of {proxy.host}"
    name = classified.site.server_name
    return sorted(node.facts.resolves.get(name, [])), f"what {name} resolves to on {node.host}"


def decide_python(node: Node) -> tuple[str, str, bool, str]:
    """The interpreter for the RTC server: path, version, whether that is new enough, and why this one."""
    facts, wanted = node.facts, node.settings.server_python
    known = dict(facts.pythons)
    if facts.python:
        known.setdefault(SYSTEM_PYTHON, facts.python)
    if wanted:
        version = known.get(wanted, "")
        return wanted, version, not version or parse_version(version) >= MIN_PYTHON, "rtc_server_python"
    if parse_version(facts.python) >= MIN_PYTHON:
        return SYSTEM_PYTHON, facts.python, True, f"the system's own is Python {facts.python}"
    fit = [(parse_version(version), path, version) for path, version in known.items()]
    fit = [item for item in fit if item[0] >= MIN_PYTHON]
    if fit:
        _version, path, version = max(fit)
        return path, version, True, f"the newest of {len(known)} interpreters"
    return SYSTEM_PYTHON, facts.python, False, "no interpreter is new enough"
