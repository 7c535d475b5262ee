# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A virtual host to write: what the plan asks of ``proxy_vhost``, and what the renderers read."""
# ruff: noqa: UP006, UP007 - evaluated by _facts.from_dict, with Python 3.8 too

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Union

from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets


@dataclass
class VhostPlan:
    """A virtual host, as options of ``proxy_vhost``."""

    site: str
    kind: str  # "nginx" | "apache" | "haproxy"
    role: str  # "rtc" | "application"
    name: str  # of its file: "rtc-confluence-9083"
    server_name: str
    listen: List[str]  # addresses, normalized: "*" for all of IPv4, "::" for all of IPv6
    port: int
    upstreams: List[Dict[str, Union[str, int, bool]]]  # {scheme, host, port, backup, label}
    context_path: str = ""
    certificate: str = ""  # paths on the proxy host; "" for plain HTTP
    key: str = ""
    synchrony: str = ""  # "127.0.0.1:8091" for Confluence's own collaborative editing
    # File of authorities on the proxy host that an https upstream is checked against; "": the system's.
    upstream_ca: str = ""
    upstream_name: str = ""  # the name that the upstream's certificate must have; "": the server name
    reuse: bool = True  # of connections to the upstreams; the add-on's own service says keep-alive and closes them
    panel_port: int = 0  # of loopback, where the administrators' panel is that /panel/ leads to; 0: nowhere
    panel_from: List[str] = field(default_factory=list)  # networks that are let to it
    health: str = ""  # path at which an upstream answers 200 while it can serve; "": it can when it takes connections

    def __post_init__(self) -> None:
        """Give every address its one spelling: from here on they are compared."""
        self.listen = list(dict.fromkeys(sockets.normalize(item) for item in self.listen))
