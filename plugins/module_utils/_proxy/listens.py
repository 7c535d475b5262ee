# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What rendering for every kind begins with: where paths go, and how our addresses join those of others."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ProxyListen, Upstream, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan


@dataclass
class Target:
    """A path and where it goes."""

    path: str  # without a slash at its end, "" for all
    suffix: str  # of the pool's name
    upstreams: list[Upstream]
    tunnel: bool  # WebSockets are its main use


def targets(vhost: VhostPlan) -> list[Target]:
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
        return [Target("", "", upstreams, True)]
    found = []
    if vhost.synchrony:
        host, _colon, port = vhost.synchrony.rpartition(":")
        if not host or not port.isdigit():
            raise ProxyError(f"{vhost.name}: synchrony is not host:port: {vhost.synchrony}.", "Write 127.0.0.1:8091.")
        found.append(Target("/synchrony", "_synchrony", [Upstream("http", host.strip("[]"), int(port))], True))
    path = vhost.context_path.strip("/")
    return [*found, Target("/" + path if path else "", "", upstreams, False)]


def wildcard(address: str) -> bool:
    """Whether an address means all."""
    return address in ("*", "0.0.0.0", "_default_", "::", "")  # noqa: S104


def join_listens(vhost: VhostPlan, foreign: list[ProxyListen]) -> list[str]:
    """The addresses to write, so that nobody's requests are drawn away from where they went before.

    nginx and Apache choose by address first and by name second: a virtual host on the exact address hides all that listen
    on every address, and is hidden by others there in turn. So ours stands beside those of the same port.
    """
    theirs = {item.address for item in foreign if item.port == vhost.port}
    found: list[str] = []
    for address in vhost.listen or ["*"]:
        version6 = ":" in address
        general = "::" if version6 else "*"
        exact = {item for item in theirs if item == address}
        if wildcard(address):
            same = {item for item in theirs if not wildcard(item) and (":" in item) == version6}
            joined = [general, *sorted(same)]
        elif not exact and any(wildcard(item) and (item == "::") == version6 for item in theirs):
            joined = [general]
        else:
            joined = [address]
        found += [item for item in joined if item not in found]
    return found


def foreign_listens(current: Proxy, ours: set[str]) -> list[ProxyListen]:
    """Where others listen; ``ours`` are paths of files of ours."""
    return [item for host in current.hosts if not host.managed and host.file not in ours for item in host.listens]


def refuse_foreign(vhost: VhostPlan, current: Proxy, any_name: bool = False) -> None:
    """Stop where someone else already serves this name, port and address.

    :param any_name: the server cannot share a port between frontends (HAProxy).
    :raises ProxyError: naming file and line.
    """
    for host in current.hosts:
        if host.managed:
            continue
        for item in host.listens:
            if item.port != vhost.port or not _meet(vhost, item):
                continue
            where = f"{host.file}:{host.line}"
            if any_name or _same_name(vhost, host):
                raise ProxyError(
                    f"{where} already serves {' '.join(host.names) or 'every name'} on {item.address}:{item.port}, "
                    f"where {vhost.name} is to be.",
                    "Remove that virtual host, or give this one another port or address; it is not overwritten.",
                )
            if item.tls != bool(vhost.certificate):
                words = ("with TLS", "without TLS") if item.tls else ("without TLS", "with TLS")
                raise ProxyError(
                    f"{where} listens on {item.address}:{item.port} {words[0]}, {vhost.name} is to listen there {words[1]}.",
                    "One port speaks one protocol: use another port or address, or change that virtual host.",
                )


def _meet(vhost: VhostPlan, item: ProxyListen) -> bool:
    address = "*" if wildcard(item.address) and item.address != "::" else item.address
    return any(daemon.overlap(mine, address) for mine in vhost.listen or ["*"])


def _same_name(vhost: VhostPlan, host: VirtualHost) -> bool:
    return vhost.server_name.lower().rstrip(".") in {name.lower().rstrip(".") for name in host.names}
