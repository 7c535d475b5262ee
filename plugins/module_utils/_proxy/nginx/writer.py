# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The managed virtual hosts of nginx: where their files are."""

from __future__ import annotations

import os

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ProxyListen
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import (
    DesiredFile,
    DesiredLayout,
    DesiredLink,
    ca_file,
    is_managed,
    version_tuple,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.listens import (
    foreign_listens,
    join_listens,
    refuse_foreign,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import places, reader, renderer
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx.backend import Nginx
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rendering import has_tls_upstream
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

_BOTH_PROTOCOLS = (1, 25, 1)  # since then a plain socket with http2 understands HTTP/1.1 too


def build_layout(server: Nginx, vhosts: list[VhostPlan], absent: list[str], current: Proxy) -> DesiredLayout:
    """One file for each virtual host, where this installation includes its sites from."""
    available, enabled = places.find_directories(server)
    result = DesiredLayout()
    managed = {f"{available}/{vhost.name}.conf" for vhost in vhosts}
    foreign = foreign_listens(current, managed)
    usual = _find_usual_modules(server) if vhosts else []
    for vhost in vhosts:
        refuse_foreign(vhost, current)
        listens = join_listens(vhost, foreign)
        _refuse_sockets(server, vhost, listens)
        authorities = ca_file(vhost, server) if has_tls_upstream(vhost) else ""
        text = renderer.render(vhost, listens, authorities, _find_access_logs(server), usual)
        result.listens += [(_find_socket(address, vhost.port, foreign), vhost.port) for address in listens]
        path = f"{available}/{vhost.name}.conf"
        result.files.append(DesiredFile(path, text.encode()))
        result.configuration.append(path)
        if enabled:
            result.links.append(DesiredLink(f"{enabled}/{vhost.name}.conf", path))
    for name in absent:
        result.absent += [f"{enabled}/{name}.conf"] if enabled else []
        result.absent.append(f"{available}/{name}.conf")
    for path in [item.path for item in result.files] + result.absent:
        if os.path.exists(path) and not is_managed(path):
            raise ProxyError(f"{path} exists and was not written by this collection.", "Rename or remove it.")
    return result


def _refuse_sockets(server: Nginx, vhost: VhostPlan, listens: list[str]) -> None:
    """Stop where RTC's clients could not speak to a socket that others have: what they say of it holds for all on it.

    :raises ProxyError: naming file and line.
    """
    if vhost.role != "rtc":  # a load balancer before the application may well speak the PROXY protocol
        return
    flags = reader.read_flags(item for item in server.parse_config().directives if item.name == "http")
    for address in listens:
        there = flags.get((address, vhost.port), {})
        where = there.get("proxy_protocol", "")
        words = "expects the PROXY protocol from whoever connects"
        if not where and "ssl" not in there and version_tuple(server.version()) < _BOTH_PROTOCOLS:
            where, words = there.get("http2", ""), "speaks HTTP/2 alone, as it has http2 and no ssl"
        if where:
            raise ProxyError(
                f"{where} says of {address}:{vhost.port} that it {words}; that holds for {vhost.name} too, and RTC's "
                "clients do not speak it.",
                "Take the word out of that listen directive, or give RTC another port or address.",
            )


def _find_access_logs(server: Nginx) -> list[list[str]]:
    """Arguments of each ``access_log`` of the http level; none where that is off."""
    http = next((item for item in server.parse_config().directives if item.name == "http"), None)
    found = [item.args for item in http.all("access_log") if item.args] if http else []
    if any(args[0] == "off" for args in found):
        return []
    return found or [[server.path(renderer.ACCESS_LOG)]]


def _find_usual_modules(server: Nginx) -> list[str]:
    """Those that this program has; all of them where it cannot be asked."""
    words = server.read_build()
    return [name for name in renderer.USUAL_MODULES if f"--without-http_{name}_module" not in words]


def _find_socket(address: str, port: int, foreign: list[ProxyListen]) -> str:
    """Where nginx listens for an address: it opens no socket for one where a ``listen`` for all has the port."""
    wide = (item.address for item in foreign if item.takes(port) and sockets.covers(item, address))
    return next((item for item in wide if sockets.is_wildcard(item)), address)
