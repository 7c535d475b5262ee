# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the addresses of managed virtual hosts join those of others on the same port."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ProxyListen, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan


def join_listens(vhost: VhostPlan, foreign: list[ProxyListen]) -> list[str]:
    """The addresses to write, so that nobody's requests are drawn away from where they went before.

    nginx and Apache choose by address first and by name second: a virtual host on the exact address hides all that
    listen on every address, and is hidden by others there in turn. So a managed one stands beside those of the same
    port.
    """
    there = [item for item in foreign if item.takes(vhost.port)]
    theirs = {item.address for item in there}
    found: list[str] = []
    for address in _spell(vhost, there):
        version6 = ":" in address
        general = sockets.ALL6 if version6 or any(item.dual for item in there) else sockets.ALL4
        if sockets.is_wildcard(address):
            same = {item for item in theirs if not sockets.is_wildcard(item) and (":" in item) == version6}
            joined = [general, *sorted(same)]
        elif address not in theirs and any(sockets.covers(item, address) for item in there):
            joined = [general]
        else:
            joined = [address]
        found += [item for item in joined if item not in found]
    return found


def _spell(vhost: VhostPlan, there: list[ProxyListen]) -> list[str]:
    """The addresses of a virtual host; of a name those that it stands for, where someone else listens on one."""
    found: list[str] = []
    for given in vhost.listen or [sockets.ALL4]:
        addresses = sockets.resolve(given)
        shared = any(sockets.meets(item, address) for item in there for address in addresses)
        found += addresses if shared else [given]
    return found


def foreign_listens(current: Proxy, managed: set[str]) -> list[ProxyListen]:
    """Where others listen.

    :param managed: paths of files that this collection writes.
    """
    return [item for host in current.hosts if not host.managed and host.file not in managed for item in host.listens]


def refuse_foreign(vhost: VhostPlan, current: Proxy, any_name: bool = False) -> None:
    """Stop where someone else already serves this name, port and address.

    :param any_name: the server cannot share a port between frontends (HAProxy).
    :raises ProxyError: naming file and line.
    """
    for host in current.hosts:
        if host.managed:
            continue
        for item in host.listens:
            if not meets(vhost, item):
                continue
            where = f"{host.file}:{host.line}"
            if any_name or _is_same_name(vhost, host):
                raise ProxyError(
                    f"{where} already serves {' '.join(host.names) or 'every name'} on {item.address}:{item.port}, "
                    f"where {vhost.name} is to be.",
                    "Remove that virtual host, or give this one another port or address; it is not overwritten.",
                )
            if item.tls != bool(vhost.certificate):
                words = ("with TLS", "without TLS") if item.tls else ("without TLS", "with TLS")
                raise ProxyError(
                    f"{where} listens on {item.address}:{item.port} {words[0]}, "
                    f"{vhost.name} is to listen there {words[1]}.",
                    "One port speaks one protocol: use another port or address, or change that virtual host.",
                )


def meets(vhost: VhostPlan, item: ProxyListen) -> bool:
    """Whether a socket could get connections that a virtual host is for."""
    mine = [address for given in vhost.listen or [sockets.ALL4] for address in sockets.resolve(given)]
    return item.takes(vhost.port) and any(sockets.meets(item, address) for address in mine)


def _is_same_name(vhost: VhostPlan, host: VirtualHost) -> bool:
    return vhost.server_name.lower().rstrip(".") in {name.lower().rstrip(".") for name in host.names}
