# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the argument specification of ``proxy_vhost`` cannot say."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HOST = re.compile(r"[A-Za-z0-9._:\[\]*-]+")
_PATH = re.compile(r"/?[A-Za-z0-9._~/-]*")


def check(vhosts: list[dict[str, Any]]) -> None:
    """Make sure of it: every text goes into a configuration file and must not break out.

    :raises RtcError: one could.
    """
    seen = set()
    for item in vhosts:
        name = item["name"]
        if (item["kind"], name) in seen:
            raise RtcError(f"vhosts names {name} twice.", "Give every virtual host its own name.")
        seen.add((item["kind"], name))
        if not _NAME.fullmatch(name):
            raise RtcError(f"{name!r} is no name for a file.", "Use letters, digits, dots, hyphens and underscores.")
        if item["state"] == "absent":
            continue
        if not item["server_name"] or not item["port"] or not item["upstreams"]:
            raise RtcError(f"{name} lacks one of server_name, port and upstreams.", "All three are needed.")
        ports = [item["port"], item["panel_port"] or 1, *(upstream["port"] for upstream in item["upstreams"])]
        wrong = [port for port in ports if not 1 <= port <= 65535]
        if wrong:
            raise RtcError(f"{name}: {wrong[0]} is not a port.", "Ports are 1 to 65535.")
        hosts = [item["server_name"], *item["listen"], *(upstream["host"] for upstream in item["upstreams"])]
        hosts += [text for text in (item["synchrony"], item["upstream_name"]) if text]
        for text in hosts:
            if not _HOST.fullmatch(text):
                raise RtcError(f"{name}: {text!r} is neither a host name nor an address.", "Correct it.")
        if not _PATH.fullmatch(item["context_path"]):
            raise RtcError(f"{name}: {item['context_path']!r} is no context path.", "Write /confluence, for example.")
        _check_nodes(item)
        for option in ("certificate", "key", "upstream_ca"):
            if item[option] and not re.fullmatch(r"/[^\x00-\x1f\"\\]*", item[option]):
                raise RtcError(f"{name}: {option} is not an absolute path: {item[option]!r}.", "Give the full path.")


def _check_nodes(item: dict[str, Any]) -> None:
    if not _PATH.fullmatch(item["health"]) or item["health"][:1] not in ("", "/"):
        raise RtcError(f"{item['name']}: health {item['health']!r} is no path.", "Write /readyz, for example.")
    for network in item["panel_from"]:
        if not _is_network(network):
            raise RtcError(f"{item['name']}: {network!r} is no network.", "Write 10.1.2.0/24, for example.")
    for label in (upstream["label"] for upstream in item["upstreams"]):
        if not re.fullmatch(r"[a-z0-9]{0,64}", label):
            raise RtcError(f"{item['name']}: {label!r} is no label.", "Use up to 64 small letters and digits.")


def _is_network(text: str) -> bool:
    # Not ipaddress alone: behind a % it takes anything, as the name of an interface (RFC 4007).
    try:
        return bool(re.fullmatch(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?", text) and ipaddress.ip_network(text))
    except ValueError:
        return False
