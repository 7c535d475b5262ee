# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: application_addresses
short_description: Where applications of a host answer by themselves, without any proxy
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - Takes the address of the connector at which users' requests arrive, from the C(server.xml) as it is now.
options:
  _input:
    description: What M(collab.rtc.topology_info) returned as C(topology).
    type: dict
    required: true
  services:
    description: Services of the applications that are wanted.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Wait until Confluence answers
  ansible.builtin.uri:
    url: "{{ item.url }}"
    status_code: [200, 302, 503]
  loop: "{{ detected.topology | collab.rtc.application_addresses(['confluence']) }}"
"""

RETURN = r"""
_value:
  description: The applications whose address is known.
  type: list
  elements: dict
  contains:
    service:
      description: The service.
      type: str
    url:
      description: Its address on this host.
      type: str
"""

ANY = ("", "0.0.0.0", "::", "*")  # noqa: S104 - names of "all addresses", nothing is bound


def find_addresses(topology: Mapping[str, Any], services: Sequence[str]) -> list[dict[str, str]]:
    """What RETURN documents."""
    found = []
    for application in topology.get("applications", []):
        service, server_xml = application["service"], application["server_xml"]
        if not service or service["name"] not in services or not server_xml:
            continue
        connector = next((item for item in server_xml["connectors"] if item["user"] and item["port"]), None)
        if connector:
            scheme = "https" if connector["ssl"] else "http"
            address = "127.0.0.1" if connector["address"] in ANY else connector["address"]
            host = f"[{address}]" if ":" in address else address
            url = f"{scheme}://{host}:{connector['port']}{server_xml['context_path']}/"
            found.append({"service": service["name"], "url": url})
    return found


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"application_addresses": find_addresses}
