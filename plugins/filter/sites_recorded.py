# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import variables
from ansible_collections.collab.rtc.plugins.plugin_utils._run import addresses

DOCUMENTATION = r"""
name: sites_recorded
short_description: The sites of a host as its record has them, each with what its checks need
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - After a rollback the sites are not what the inventory wants. The record of what is managed says how each is reached
    that this collection's RTC server serves. A site that the add-on's own service serves is not among them.
options:
  _input:
    description: What M(collab.rtc.topology_info) returned as C(topology).
    type: dict
    required: true
  host:
    description: Inventory name of the host.
    type: str
    required: true
  owners:
    description: The nodes of the sites, such as V(wiki1/confluence); empty for all.
    type: list
    elements: str
    required: true
  truststore_password:
    description: As for P(collab.rtc.sites_to_verify#filter).
    type: raw
    required: true
  sites:
    description: The sites of a plan. One with the same node keeps its name there.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Show the addresses of the sites of this host
  ansible.builtin.debug:
    msg: "{{ rtc_detected.topology | collab.rtc.sites_recorded(inventory_hostname, [], 'changeit')
             | map(attribute='rtc_url') }}"
"""

RETURN = r"""
_value:
  description: The sites, each with the keys that the role C(verify) reads.
  type: list
  elements: dict
"""


def list_sites_recorded(
    topology: Mapping[str, Any],
    host: str,
    owners: Sequence[str],
    truststore_password: object,
    sites: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """The sites that the record of a host has, each with what its checks need."""
    found = []
    for entry in (topology.get("managed") or {}).get("entries", []):
        known = entry["what"].get("site") or {}
        kind = entry["what"].get("instance", "")
        mine = f"{host}/{kind}" in entry["owners"]
        if entry["kind"] == "instance" and known and mine and (not owners or set(owners) & set(entry["owners"])):
            planned = (item for item in sites if host in item["nodes"] and item["application"] == kind)
            name = next((item["name"] for item in planned), entry["site"])
            found.append(describe_site(name, entry, topology, truststore_password))
    return found


def describe_site(
    name: str, entry: Mapping[str, Any], topology: Mapping[str, Any], truststore_password: object
) -> dict[str, Any]:
    """A site with what its checks need, from the entry of its RTC server."""
    what, known = entry["what"], entry["what"]["site"]
    kind = what["instance"]
    store = known.get("truststore") or addresses.find_truststore(topology.get("applications", []), kind)
    password = variables.choose_setting(truststore_password, kind, "changeit")
    secure = known["rtc_url"].startswith("https:")
    return {
        "name": name,
        "application": kind,
        "base_url": known["base_url"],
        "rtc_url": known["rtc_url"],
        "deployed": True,
        "instance": kind,
        "python": what["python"],
        "origin": addresses.find_origin(known["base_url"]),
        "ca": list(known.get("ca", [])),
        **addresses.describe_trust(store, password, secure),
        "expected_request": addresses.expect_request(known["base_url"], urlsplit(known["base_url"]).hostname or ""),
    }


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"sites_recorded": list_sites_recorded}
