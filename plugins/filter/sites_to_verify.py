# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import variables
from ansible_collections.collab.rtc.plugins.plugin_utils._run import addresses

DOCUMENTATION = r"""
name: sites_to_verify
short_description: The sites of a host, each with what its checks need
version_added: 0.1.0
author: collab.rtc authors (@collab-rtc)
description:
  - Joins the sites of the plan that a host is a node of, the plan of the host, and what was detected there.
options:
  _input:
    description: The plan, as M(collab.rtc.plan) returned it.
    type: dict
    required: true
  host:
    description: Inventory name of the host.
    type: str
    required: true
  topology:
    description: What M(collab.rtc.topology_info) returned as C(topology) for this host.
    type: dict
    required: true
  truststore_password:
    description:
      - Password of the trust store that the application's JVM reads, or a dictionary of one for each application.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show the addresses that are checked from this host
  ansible.builtin.debug:
    msg: "{{ rtc_plan | collab.rtc.sites_to_verify(inventory_hostname, rtc_detected.topology, 'changeit')
             | map(attribute='rtc_url') }}"
"""

RETURN = r"""
_value:
  description: The sites of the plan, each with the keys below besides its own.
  type: list
  elements: dict
  contains:
    deployed:
      description: Whether the RTC server of this collection serves the site. Only that server has tokens and projects.
      type: bool
    instance:
      description: Instance of the RTC server, C(confluence) or C(jira).
      type: str
    python:
      description: The interpreter that it runs on.
      type: str
    origin:
      description: Origin of the application's pages, as browsers send it.
      type: str
    ca:
      description: Certificates to trust on the controller, in PEM. Where there are none, the system's count.
      type: list
      elements: str
    truststore:
      description:
        - C(path) and C(password) of the application's trust store; empty for a site without TLS, and for an application
          in a container whose trust store is not one of the host.
      type: dict
    system_trust:
      description: Whether the authorities of the host's system are taken instead, as for such an application.
      type: bool
    expected_request:
      description: How the application must see a request, as the option C(expect) of M(collab.rtc.application_check).
      type: dict
"""


def list_sites_to_verify(
    plan: Mapping[str, Any], host: str, topology: Mapping[str, Any], truststore_password: object
) -> list[dict[str, Any]]:
    """The sites that the host is a node of, each with what its checks need."""
    sites = [site for site in plan["sites"] if host in site["nodes"]]
    return [describe_site(site, plan["hosts"][host], topology, truststore_password) for site in sites]


def describe_site(
    site: Mapping[str, Any], host: Mapping[str, Any], topology: Mapping[str, Any], truststore_password: object
) -> dict[str, Any]:
    """A site of the plan with what its checks need.

    :param host: the plan of one of its nodes.
    """
    rtc = next(item for item in host["rtc"] if item["site"] == site["name"])
    trust = [item for item in host["trust"] if item["site"] == site["name"]]
    store = (
        trust[0]["path"] if trust else addresses.find_truststore(topology.get("applications", []), site["application"])
    )
    password = variables.choose_setting(truststore_password, site["application"], "changeit")
    return {
        **site,
        "deployed": rtc["service"] == "deployed",
        "instance": rtc["instance"],
        "python": rtc["python"],
        "origin": addresses.find_origin(site["base_url"]),
        "ca": [certificate["pem"] for item in trust for certificate in item["certificates"]],
        **addresses.describe_trust(store, password, site["rtc_url"].startswith("https:")),
        "expected_request": addresses.expect_request(site["base_url"], site["server_name"]),
    }


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"sites_to_verify": list_sites_to_verify}
