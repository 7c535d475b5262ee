# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the desired state of the sites to the plan of each host: the last of the three steps. Pure.

Nothing is decided here. What the sites want of a host is put together as options of the modules that the roles run.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import panel, store, unit
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import (
    DesiredContainer,
    DesiredNode,
    DesiredProxy,
    DesiredSite,
    DesiredState,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import (
    ConnectorPlan,
    ContainerPlan,
    HostPlan,
    Plan,
    RestartPlan,
    RtcPlan,
    Site,
    TextfilePlan,
    TrustOptionPlan,
    TrustPlan,
)


def build_plan(state: DesiredState, hosts: Iterable[str]) -> Plan:
    """The plan of every host; findings are added later.

    :param hosts: inventory names of all hosts that were seen; one that no site needs has an empty plan.
    """
    plans = {host: HostPlan(host) for host in hosts}
    for wanted in state.sites:
        for node in wanted.nodes:
            _add_node(plans[node.host], wanted, node)
        if wanted.proxy and wanted.proxy.managed:
            _add_proxy(plans[wanted.proxy.host], wanted.proxy)
    return Plan([wanted.site for wanted in state.sites], plans)


def _add_node(host: HostPlan, wanted: DesiredSite, node: DesiredNode) -> None:
    site, connector, trust = wanted.site, node.connector, node.trust
    if connector.attributes:
        host.connectors.append(
            ConnectorPlan(
                site=site.name,
                application=site.application,
                path=connector.path,
                connector_port=connector.port,
                attributes=connector.attributes,
                properties=connector.properties,
                tomcat_version=connector.tomcat_version,
            )
        )
    if trust.path and trust.certificates:
        host.trust.append(
            TrustPlan(
                site.name,
                site.application,
                trust.path,
                trust.jre_home,
                trust.certificates,
                copy_from=trust.copy_from,
                copy_process=trust.copy_process,
            )
        )
    if trust.option_path:
        instead_of = trust.copy_from if trust.option_truststore else ""
        host.trust_options.append(
            TrustOptionPlan(site.name, site.application, trust.option_path, trust.option_truststore, instead_of)
        )
    if node.textfile:
        host.textfiles.append(TextfilePlan(site.name, node.textfile))
    if node.container:
        host.containers.append(_make_container(site, node.container))
    host.rtc.append(_make_rtc(wanted, node))
    host.restarts.append(make_restart(site.name, wanted, node))


def _make_container(site: Site, container: DesiredContainer) -> ContainerPlan:
    return ContainerPlan(
        site.name,
        site.application,
        container.name,
        missing=[
            *container.missing_settings,
            *container.missing_trust,
            *container.missing_ports,
            *(f"{item} is not in its /etc/hosts" for item in container.missing_hosts),
        ],
        compose=container.compose,
        options=container.options,
        command=container.command,
    )


def make_restart(site: str, wanted: DesiredSite, node: DesiredNode) -> RestartPlan:
    """How an application is restarted.

    :param site: that the changes belong to which make it necessary.
    """
    return RestartPlan(
        site=site,
        kind=node.application,
        service=node.restart.service,
        service_kind=node.restart.service_kind,
        port=node.connector.port,
        address=node.restart.address,
        context_path=wanted.site.context_path,
        reasons=node.restart.reasons,
        policy=node.restart.policy,
        command=node.restart.command,
        scheme=node.connector.scheme,
    )


def _make_rtc(wanted: DesiredSite, node: DesiredNode) -> RtcPlan:
    site, service = wanted.site, node.service
    tls = site.protocol == "HTTPS"
    config = unit.server_config(
        node.application,
        service.address,
        site.rtc_port,
        site.server_name,
        service.origins,
        service.trusted_proxies,
        tls=tls,
        limits=service.limits,
        label=service.label,
    )
    if service.store_url:
        config["journal"] = store.make_journal(service.store_url, bool(service.store_ca))
    if service.panel:
        config["admin"] = panel.make_admin(
            service.panel_port, site.rtc_url, bool(service.panel_ca), bool(service.panel_from)
        )
    return RtcPlan(
        site=site.name,
        instance=node.application,
        service=service.kind,
        address=service.address,
        port=site.rtc_port,
        server_name=site.server_name,
        origins=service.origins,
        python=service.python,
        python_version=".".join(service.python_version.split(".")[:2]),
        machine=service.machine,
        trusted_proxies=service.trusted_proxies,
        config=config,
        tls_from=service.tls_from,
        tls_port=service.tls_port,
        tls_name=service.tls_name,
        properties=node.connector.properties if tls else {},
        property_sources=service.tls_secrets,
        jre_home=service.jre_home,
        store_ca=service.store_ca,
        panel_ca=service.panel_ca,
    )


def _add_proxy(host: HostPlan, proxy: DesiredProxy) -> None:
    host.vhosts += [vhost.plan for vhost in (proxy.rtc, proxy.application) if vhost and vhost.written]
    host.packages += [name for name in proxy.packages if name not in host.packages]
    host.certificates += [item for item in proxy.certificates if item not in host.certificates]
