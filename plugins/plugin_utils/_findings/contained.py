# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about an application in a container: RTC231 to RTC238. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import Container
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredContainer, DesiredNode
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Node
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import show_port


def check_node(node: Node, wanted_node: DesiredNode) -> Iterator[Finding]:
    """What the container is, and what its administrator has to set."""
    container, wanted = node.application.container, wanted_node.container
    if container is None or wanted is None:
        return
    name = f"{node.kind.capitalize()} on {node.host}"
    yield make("RTC231", node.host, f"{name} runs in the container {container.name}.", _describe(container))
    if wanted.missing_settings:
        remedy = _remedy(wanted, [item for item in wanted.variables if item.startswith("ATL_")])
        what = f"The variables of the container {container.name} are not those of the site."
        yield make("RTC232", node.host, what, wanted.missing_settings, remedy)
    if wanted.missing_trust:
        what = f"The container {container.name} does not read the trust store {wanted_node.trust.path} of its host."
        yield make("RTC233", node.host, what, wanted.missing_trust, _remedy_trust(wanted))
    if wanted.missing_ports:
        remedy = f"Publish {', '.join(wanted.ports)}: {wanted.command}."
        if container.network == "host":
            remedy = (
                "Give it a network of its own and publish the port on 127.0.0.1, or let the firewall keep others out."
            )
        what = f"The ports of the container {container.name} are not published as the site needs it."
        yield make("RTC234", node.host, what, wanted.missing_ports, remedy)
    if container.ports_unknown:
        what = f"Which ports of the container {container.name} are published is unknown: {container.ports_unknown}."
        yield make("RTC235", node.host, what)
    if wanted.without_effect:
        what = f"Variables of the container {container.name} do not come into its server.xml."
        yield make("RTC236", node.host, what, wanted.without_effect)
    if node.connector and node.connector.ssl and wanted_node.service.kind == "deployed":
        where = f"{node.server_xml}:{node.connector.line}"
        yield make("RTC237", node.host, f"{where}: SSLEnabled is true, and the key is in the container.")
    if wanted.missing_hosts:
        what = f"In the container {container.name} the server name does not lead to the host."
        remedy = f"Add {', '.join(wanted.missing_hosts)} to extra_hosts (--add-host): {wanted.command}."
        yield make("RTC238", node.host, what, remedy=remedy)


def _remedy(wanted: DesiredContainer, names: list[str]) -> str:
    given = " ".join(f"{name}={wanted.variables[name]}" for name in names)
    return f"Set {given} ({wanted.command})." if given else f"Take the variables away ({wanted.command})."


def _remedy_trust(wanted: DesiredContainer) -> str:
    option = next(f"{name}={value}" for name, value in wanted.variables.items() if "trustStore=" in value)
    return f"Mount {', '.join(wanted.mounts)} and set {option} after the run ({wanted.command})."


def _describe(container: Container) -> list[str]:
    """What is known of it, and who says so."""
    image = f"image {container.image}" if container.image else "image unknown"
    lines = [f"{container.engine or 'unknown manager'}, {image}, told by {container.source}"]
    if container.compose_project:
        lines.append(f"Compose project {container.compose_project}: {', '.join(container.compose_files)}")
    if container.network == "host":
        lines.append("it has the network of the host")
    elif container.network == "own":
        ports = ", ".join(map(show_port, container.ports)) or "none"
        lines.append(f"addresses {', '.join(container.addresses) or 'unknown'}; published ports: {ports}")
    else:
        lines.append("whether it has a network of its own is unknown")
    return lines
