# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit

DOCUMENTATION = r"""
name: services_after_undo
short_description: The services of a host to stop, restart or reload after an undo
version_added: 0.1.0
author: collab.rtc authors (@collab-rtc)
description:
  - M(collab.rtc.rtc_undo) restores files. What reads them must start again, and an RTC server whose configuration is
    gone must stop.
  - Only services that read one of the files are named.
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
  restart:
    description:
      - The variable C(rtc_application_restart), a list of arguments, or such lists by application. It restarts the
        application in place of its service.
    type: raw
    default: {}
  policy:
    description: The variable C(rtc_restart_application), one value, or such values by application.
    type: raw
    default: when_needed
    version_added: 0.2.0
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
    sockets:
      description: RTC servers with other listening sockets than before. First of all, both must stop.
      type: list
      elements: str
    proxies:
      description: Proxies that run. They must reload.
      type: list
      elements: str
    stopped_proxies:
      description: Proxies that do not run. One that failed can start again.
      type: list
      elements: str
    applications:
      description: Applications. They must restart.
      type: list
      elements: str
    commands:
      description: Commands that restart applications, as lists of their arguments.
      type: list
      elements: list
    manual:
      description: Applications that must restart and have no service, or run outside of it, by their directory.
      type: list
      elements: str
    left:
      description: Applications that must restart, and that O(policy) leaves to the administrator.
      type: list
      elements: str
    unknown:
      description: Restored files of which nobody knows who reads them.
      type: list
      elements: str
"""

PROXY_SERVICES = {"nginx": "nginx", "haproxy": "haproxy"}
APACHE_SERVICES = {"debian": "apache2", "redhat": "httpd"}  # OS family -> service
# Where the configuration of each proxy is, and the certificates that the collection writes for any of them.
PROXY_DIRECTORIES = {"nginx": ["/etc/nginx"], "apache": ["/etc/apache2", "/etc/httpd"], "haproxy": ["/etc/haproxy"]}
PROXY_CERTIFICATES = "/etc/rtc-proxy"
COMMON = (unit.UNIT, f"{unit.BASE}/current")  # of all RTC servers


RECORDS = "/var/lib/collab-rtc"  # nobody reads them but this collection


def find_services_after_undo(
    undone: Mapping[str, Any],
    topology: Mapping[str, Any],
    restart: Sequence[str] | Mapping[str, Sequence[str]] = (),
    policy: str | Mapping[str, str] = "when_needed",
) -> dict[str, list[Any]]:
    """The services of a host to act on after an undo, by what must be done with them: those that read one of the
    restored files."""
    removed = [name for path in undone.get("removed", []) if (name := _read_instance(path, whole=True))]
    found: dict[str, list[Any]] = {
        "removed_rtc": list(dict.fromkeys(name_rtc_service(name) for name in removed)),
        "rtc": [],
        "sockets": [],
        "proxies": [],
        "stopped_proxies": [],
        "applications": [],
        "commands": [],
        "manual": [],
        "left": [],
        "unknown": [],
    }
    for path in undone.get("paths", []):
        instance = _read_instance(path)
        if instance and path == unit.socket_unit(instance):
            found["sockets"].append(name_rtc_service(instance))
        readers = list(_find_readers(path, topology, removed, restart, policy))
        for kind, name in readers:
            if name not in found[kind] and name not in found["removed_rtc"]:
                found[kind].append(name)
        if not readers and not _read_instance(path) and path not in COMMON and not _is_below(path, RECORDS):
            found["unknown"].append(path)
    return found


def _find_readers(
    path: str,
    topology: Mapping[str, Any],
    removed: Iterable[str],
    restart: Sequence[str] | Mapping[str, Sequence[str]],
    policy: str | Mapping[str, str],
) -> Iterator[tuple[str, Any]]:
    """Who reads a file, as pairs of the key in the result and the name."""
    deployed = [item["instance"] for item in topology.get("rtc", []) if item["kind"] == "deployed"]
    if path in COMMON:
        yield from (("rtc", name_rtc_service(name)) for name in [*deployed, *removed])
    instance = _read_instance(path)
    # One whose configuration is given back was taken away by the run: nothing of it was detected.
    if instance in deployed or (_read_instance(path, whole=True) and instance not in removed):
        yield "rtc", name_rtc_service(instance)
    for item in topology.get("proxies", []):
        directories = [*PROXY_DIRECTORIES[item["kind"]], PROXY_CERTIFICATES]
        if item["config"]:
            directories.append(posixpath.dirname(item["config"]))
        if any(_is_below(path, directory) for directory in directories):
            kind = "proxies" if item["running"] else "stopped_proxies"
            yield kind, name_proxy_service(item["kind"], topology.get("os_family", ""))
    for item in topology.get("applications", []):
        if not _reads(item, path):
            continue
        command = restart.get(item["kind"]) if isinstance(restart, Mapping) else restart
        wanted = policy.get(item["kind"]) if isinstance(policy, Mapping) else policy
        if str(wanted).strip().lower() == "never":  # as the plan reads it
            yield "left", item["service"]["name"] if _restarts(item) else item["install_dir"]
        elif command:
            yield "commands", list(command)
        else:
            yield ("applications", item["service"]["name"]) if _restarts(item) else ("manual", item["install_dir"])


def _restarts(application: Mapping[str, Any]) -> bool:
    """Whether the service restarts the application: one that runs outside of it would run twice."""
    service = application["service"]
    return bool(service and service["name"] and (service.get("active", True) or not application.get("process")))


def _reads(application: Mapping[str, Any], path: str) -> bool:
    java = application["java"] or {}
    container = application.get("container")
    if container:  # its paths mean files of its own, but for what is mounted
        return any(item["source"] and _is_below(path, item["source"]) for item in container["mounts"])
    store, option = java.get("truststore") or {}, java.get("option") or {}
    directories = [application["install_dir"], *application["aliases"], application["home"], java.get("home", "")]
    stores = (store.get("path"), store.get("real_path"), option.get("managed_store"))
    return path in stores or any(directory and _is_below(path, directory) for directory in directories)


def _is_below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/")


def _read_instance(path: str, whole: bool = False) -> str:
    """The RTC server that a file belongs to alone; ``""`` for none.

    :param whole: only where it cannot be without this file: its configuration.
    """
    match = re.fullmatch(re.escape(unit.CONFIG_DIR) + r"/([^/]+)\.toml", path)
    if match is None and not whole:
        match = re.match(re.escape(unit.CONFIG_DIR) + "/([^/]+)/", path)
        match = match or re.match(re.escape(unit.UNIT).replace("@", "@([^/]+)") + r"\.d/", path)
        match = match or re.fullmatch(re.escape(unit.UNIT).replace("@\\.service", r"@([^/]+)\.socket"), path)
    return match.group(1) if match else ""


def name_rtc_service(instance: str) -> str:
    """The unit of an RTC server."""
    return f"rtc-server@{instance}.service"


def name_proxy_service(kind: str, os_family: str) -> str:
    """The service of a proxy server (``nginx``, ``apache`` or ``haproxy``) as distributions name it."""
    return APACHE_SERVICES.get(os_family, "httpd") if kind == "apache" else PROXY_SERVICES[kind]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"services_after_undo": find_services_after_undo}
