# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the renderers of the three servers share: limits, names, and where the paths of a virtual host go."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._facts import Upstream
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import MARK
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

# The add-on's service pings every 25 s and gives up 60 s later (netty-socketio's defaults). Whatever is idle for less
# than this must never be cut by a proxy; an hour also outlives a suspended notebook's short naps.
TUNNEL_SECONDS = 3600
# One long poll lasts a ping interval and its timeout at most.
POLL_SECONDS = 120
# An export or a bulk change of Confluence or Jira may take minutes before its first byte.
APPLICATION_SECONDS = 300
CONNECT_SECONDS = 10
# With several nodes of RTC: a machine that is gone does not refuse, and another node could take the client meanwhile.
NODE_CONNECT_SECONDS = 3
# Between two questions to a node of RTC; it is out after the second that fails.
HEALTH_SECONDS, HEALTH_FALL = 2, 2
_APPLICATION_BODY_MB = 100
_RTC_BODY_MB = 16
PANEL = "/panel"  # where the RTC server expects who comes through a proxy (its admin/pages.py)

# "Intermediate" of Mozilla's Server Side TLS guidelines 5.7, for TLS 1.2; TLS 1.3 has only good suites.
CIPHERS = ":".join([
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305",
])  # fmt: skip
CIPHERSUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


@dataclass
class ForwardedPath:
    """A path of a virtual host and where it goes."""

    path: str  # without a slash at its end, "" for all
    suffix: str  # of the pool's name
    upstreams: list[Upstream]  # all of one scheme
    tunnel: bool  # WebSockets are its main use
    labels: list[str]  # for each upstream what its session ids end in; empty where requests are not routed by it
    allowed: list[str] = field(default_factory=list)  # networks whose clients may come; empty: all

    @property
    def primaries(self) -> list[Upstream]:
        """The upstreams that are not backups."""
        return [item for item in self.upstreams if not item.backup]

    @property
    def connect_seconds(self) -> int:
        """How long a connection to the upstream may take."""
        return NODE_CONNECT_SECONDS if self.labels else CONNECT_SECONDS

    @property
    def seconds(self) -> int:
        """How long the upstream may be silent."""
        return TUNNEL_SECONDS if self.tunnel else APPLICATION_SECONDS


def list_forwarded_paths(vhost: VhostPlan) -> list[ForwardedPath]:
    """The paths of a virtual host, the most special first.

    :raises ProxyError: no upstream, upstreams of different schemes, or an ill-formed ``synchrony``.
    """
    upstreams = [
        Upstream(str(item.get("scheme") or "http"), str(item["host"]), int(item["port"]), bool(item.get("backup")))
        for item in vhost.upstreams
    ]
    if not upstreams or all(item.backup for item in upstreams):
        raise ProxyError(f"{vhost.name} has no upstream that is not a backup.", "Name at least one in upstreams.")
    if len({item.scheme for item in upstreams}) > 1:
        raise ProxyError(f"{vhost.name} mixes http and https upstreams.", "Use one scheme for all of them.")
    if vhost.role == "rtc":
        return [*_list_panel(vhost), ForwardedPath("", "", upstreams, True, _list_labels(vhost))]
    found = []
    if vhost.synchrony:
        host, _colon, port = vhost.synchrony.rpartition(":")
        if not host or not port.isdigit():
            raise ProxyError(f"{vhost.name}: synchrony is not host:port: {vhost.synchrony}.", "Write 127.0.0.1:8091.")
        synchrony = Upstream("http", host.strip("[]"), int(port))
        found.append(ForwardedPath("/synchrony", "_synchrony", [synchrony], True, []))
    path = vhost.context_path.strip("/")
    return [*found, ForwardedPath("/" + path if path else "", "", upstreams, False, [])]


def _list_panel(vhost: VhostPlan) -> list[ForwardedPath]:
    if not vhost.panel_port:
        return []
    if not vhost.certificate or not vhost.panel_from:
        raise ProxyError(
            f"{vhost.name}: the panel needs TLS, and the networks that it is for.", "Give certificate and panel_from."
        )
    panel = Upstream("http", "127.0.0.1", vhost.panel_port)
    return [ForwardedPath(PANEL, "_panel", [panel], False, [], vhost.panel_from)]


def _list_labels(vhost: VhostPlan) -> list[str]:
    active = [item for item in vhost.upstreams if not item.get("backup")]
    labels = [str(item.get("label") or "") for item in active]
    if len(active) < 2 or not any(labels):
        return []
    if not all(labels) or len(set(labels)) < len(labels) or len(active) < len(vhost.upstreams):
        raise ProxyError(
            f"{vhost.name}: not every upstream has a label of its own, or one is a backup: {', '.join(labels)}.",
            "Give each upstream the label of its RTC server (server.label), or none of them one.",
        )
    return labels


def has_tls_upstream(vhost: VhostPlan) -> bool:
    """Whether an upstream is reached over TLS, so that its certificate is to be checked."""
    return any(item.scheme == "https" for forwarded in list_forwarded_paths(vhost) for item in forwarded.upstreams)


def find_context_redirect(vhost: VhostPlan) -> str:
    """The path that "/" redirects to, "" for none: the application's context path where it has one."""
    path = vhost.context_path.strip("/")
    return f"/{path}/" if path and vhost.role == "application" else ""


def compute_body_limit(vhost: VhostPlan) -> int:
    """The largest request body that is passed on, in MiB."""
    return _APPLICATION_BODY_MB if vhost.role == "application" else _RTC_BODY_MB


def find_forwarded_proto(vhost: VhostPlan) -> str:
    """What X-Forwarded-Proto says, ``""`` where it is not to be sent, not even as the client had it.

    Of an application on a port other than its protocol's own: a RemoteIpValve, which Confluence has, that reads the
    header puts 443 or 80 in the place of the connector's proxyPort (Tomcat's ``httpsServerPort``). Without the header
    it leaves scheme, secure and port to the connector, which has them right.
    """
    scheme, port = ("https", 443) if vhost.certificate else ("http", 80)
    return scheme if vhost.role == "rtc" or vhost.port == port else ""


def render_header(vhost: VhostPlan) -> str:
    """The first lines of a managed file, which name it so."""
    what = "collaboration service (RTC)" if vhost.role == "rtc" else "application"
    return (
        f"# {MARK}: {what} of {vhost.server_name}, port {vhost.port}.\n"
        "# Changes made here are lost at the next run of the playbook.\n"
    )


def make_identifier(name: str) -> str:
    """A name that every configuration language takes for a variable or a section."""
    signs = {"-": "_", ".": "__", "_": "___"}  # "rtc-a", "rtc.a" and "rtc_a" stay three names
    return "collab_" + re.sub(r"[^A-Za-z0-9]", lambda found: signs.get(found[0], "_"), name)


def bracket(host: str) -> str:
    """A host as it stands before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
