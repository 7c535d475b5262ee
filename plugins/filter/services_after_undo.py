# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _rtc_unit

DOCUMENTATION = r"""
name: services_after_undo
short_description: The services of a host to stop, restart or reload after an undo
version_added: 0.1.0
author: collab.rtc authors (@collab-rtc)
description:
  - M(collab.rtc.rtc_undo) restores files. What reads them must start again, and an RTC server whose configuration is
    gone must stop.
  - All RTC servers, running proxies and applications of the host are named, whichever of their files the undo changed.
options:
  _input:
    description: What M(collab.rtc.rtc_undo) returned.
    type: dict
    required: true
  topology:
    description:
      - What M(collab.rtc.topology_info) returned as C(topology), from before the undo.
      - With an empty dictionary, for a host that could not be read, only services to stop are found.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Reload the proxies
  ansible.builtin.service:
    name: "{{ item }}"
    state: reloaded
  loop: "{{ (undone | collab.rtc.services_after_undo(rtc_detected.topology)).proxies }}"
"""

RETURN = r"""
_value:
  description: Names of services.
  type: dict
  contains:
    removed_rtc:
      description: RTC servers that the undone runs installed. They must stop.
      type: list
      elements: str
    rtc:
      description: RTC servers that were there before. They must restart.
      type: list
      elements: str
    proxies:
      description: Proxies that run. They must reload.
      type: list
      elements: str
    applications:
      description: Applications. They must restart.
      type: list
      elements: str
"""

RTC_CONFIGURATION = re.compile(re.escape(_rtc_unit.CONFIG_DIR) + r"/([^/]+)\.toml")
PROXY_SERVICES = {"nginx": "nginx", "haproxy": "haproxy"}
APACHE_SERVICES = {"debian": "apache2", "redhat": "httpd"}  # OS family -> service


def find_services_after_undo(undone: Mapping[str, Any], topology: Mapping[str, Any]) -> dict[str, list[str]]:
    """The services of a host to act on after an undo, by what must be done with them.

    Those to stop lost their configuration. The others are all RTC servers, running proxies and applications of the
    host, whichever of their files the undo changed.
    """
    configurations = map(RTC_CONFIGURATION.fullmatch, undone.get("removed", []))
    removed = [name_rtc_service(match.group(1)) for match in configurations if match]
    deployed = [name_rtc_service(item["instance"]) for item in topology.get("rtc", []) if item["kind"] == "deployed"]
    return {
        "removed_rtc": removed,
        "rtc": [name for name in deployed if name not in removed],
        "proxies": [
            name_proxy_service(item["kind"], topology.get("os_family", ""))
            for item in topology.get("proxies", [])
            if item["running"]
        ],
        "applications": list_application_services(topology.get("applications", [])),
    }


def name_rtc_service(instance: str) -> str:
    """The unit of an RTC server."""
    return f"rtc-server@{instance}.service"


def name_proxy_service(kind: str, os_family: str) -> str:
    """The service of a proxy server (``nginx``, ``apache`` or ``haproxy``) as distributions name it."""
    return APACHE_SERVICES.get(os_family, "httpd") if kind == "apache" else PROXY_SERVICES[kind]


def list_application_services(applications: Iterable[Mapping[str, Any]]) -> list[str]:
    """The services of the applications; an unused installation has none."""
    services = (item["service"] for item in applications)
    return [service["name"] for service in services if service and service["name"]]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"services_after_undo": find_services_after_undo}
