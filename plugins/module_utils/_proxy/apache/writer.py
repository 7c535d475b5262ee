# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The managed virtual hosts of Apache httpd: their files, their sockets, the modules that they need."""

from __future__ import annotations

import os
import re

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ProxyListen
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import modules, order, places, reader, renderer
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache.backend import Apache
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import (
    DesiredFile,
    DesiredLayout,
    DesiredLink,
    ca_file,
    is_managed,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.listens import (
    foreign_listens,
    join_listens,
    refuse_foreign,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rendering import has_tls_upstream
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan


def build_layout(server: Apache, vhosts: list[VhostPlan], absent: list[str], current: Proxy) -> DesiredLayout:
    """A file for each virtual host, the links that switch it on, and those of the modules it needs."""
    available, enabled = places.find_directories(server)
    result = DesiredLayout()
    needed = {name for vhost in vhosts for name in renderer.modules(vhost, server.version())}
    if any(renderer.may_ask_health(vhost) for vhost in vhosts) and modules.has_module(server, modules.HEALTH):
        needed.add(modules.HEALTH)
    _enable_modules(server, sorted(needed), result)
    extra = {form for name in needed for form in (f"{name}_module", f"mod_{name}.c")}
    config = server.parse_config(extra)
    current.hosts = reader.read_virtual_hosts(config)
    there = reader.read_listens(config)
    foreign = [item for item in there if not is_managed(item.file)]
    chains = reader.read_chains(config)
    logs = [item.args for item in config.directives if item.name in ("customlog", "transferlog") and item.args]
    for vhost in vhosts:
        refuse_foreign(vhost, current)
        _refuse_hiding(vhost, current, f"{enabled or available}/{vhost.name}.conf")
        _add_vhost(server, vhost, foreign, current, result, available, enabled, logs, chains.get(vhost.certificate, ""))
    for name in absent:
        result.absent += [f"{enabled}/{name}.conf"] if enabled else []
        result.absent.append(f"{available}/{name}.conf")
    for path in [item.path for item in result.files] + result.absent:
        if os.path.exists(path) and not is_managed(path):
            raise ProxyError(f"{path} exists and was not written by this collection.", "Rename or remove it.")
    written = {os.path.realpath(item.path) for item in result.files} | {*map(os.path.realpath, result.absent)}
    _refuse_clash(result.listens, [item for item in there if os.path.realpath(item.file) not in written])
    result.dual = {(address, port) for address, port in result.listens if address == sockets.ALL6}
    for item in foreign:
        place = item.address, item.port
        result.dual |= {place} if item.dual else set()
        result.origins[place] = f"{item.file}:{item.line}"
        if place not in result.listens:
            result.listens.append(place)
    return result


def _add_vhost(
    server: Apache,
    vhost: VhostPlan,
    foreign: list[ProxyListen],
    current: Proxy,
    result: DesiredLayout,
    available: str,
    enabled: str,
    logs: list[list[str]],
    chain: str,
) -> None:
    listens = _list_uncovered(vhost, foreign)
    hosts = join_listens(vhost, foreign_listens(current, set()))
    authorities = ca_file(vhost, server) if has_tls_upstream(vhost) else ""
    health = modules.has_module(server, modules.HEALTH)
    text = renderer.render(vhost, hosts, listens, authorities, server.version(), logs, chain, health)
    path = f"{available}/{vhost.name}.conf"
    result.files.append(DesiredFile(path, text.encode()))
    result.configuration.append(path)
    result.listens += [(item, vhost.port) for item in listens if (item, vhost.port) not in result.listens]
    if enabled:
        result.links.append(DesiredLink(f"{enabled}/{vhost.name}.conf", f"../sites-available/{vhost.name}.conf"))


def _refuse_hiding(vhost: VhostPlan, current: Proxy, path: str) -> None:
    """Stop where another virtual host would answer for this name.

    :raises ProxyError: naming file and line.
    """
    host = order.find_hiding(vhost, current, path)
    if host:
        alias = order.find_fitting(host, vhost.server_name)
        raise ProxyError(
            f"{host.file}:{host.line} is read first and answers for {alias}: {vhost.name} would get no requests.",
            "Take that ServerAlias away, or name the file so that it is read last, such as zz-default.conf.",
        )


def _list_uncovered(vhost: VhostPlan, foreign: list[ProxyListen]) -> list[str]:
    """The addresses that no other file listens on. A second ``Listen`` that overlaps stops the whole server."""
    addresses = [item for given in vhost.listen or ["*"] for item in sockets.resolve(given) or (given,)]
    there = [item for item in foreign if item.takes(vhost.port)]
    left = [item for item in addresses if not any(sockets.covers(other, item) for other in there)]
    for other in (other for other in there for item in left if sockets.meets(other, item)):
        raise ProxyError(
            f"{other.file}:{other.line} listens on {other.address}:{other.port} only, "
            f"and {vhost.name} is to listen on all addresses.",
            "Name the addresses one by one in listen, or change that Listen.",
        )
    wide = [_make_listen(item, vhost.port) for item in left if sockets.is_wildcard(item)]
    return [item for item in left if sockets.is_wildcard(item) or not any(sockets.covers(one, item) for one in wide)]


def _enable_modules(server: Apache, names: list[str], result: DesiredLayout) -> None:
    """Links in mods-enabled for what is not loaded yet, with what it depends on, as ``a2enmod`` makes them."""
    loaded = server.parse_config().modules if os.path.exists(server.main()) else set()
    todo = [name for name in names if f"{name}_module" not in loaded]
    if todo and not server.debian():
        packages = " and mod_ssl" if "ssl" in todo else ""
        raise ProxyError(
            f"Apache does not load the modules {', '.join(todo)}.",
            f"Install the package httpd{packages}, and load them in {server.directory()}/conf.modules.d.",
        )
    available = f"{server.directory()}/mods-available"
    for name in todo:  # grows while it is read
        if not os.path.exists(f"{available}/{name}.load") and os.path.exists(server.main()):
            raise ProxyError(
                f"Apache has no module {name} ({available}/{name}.load is missing).", "Install its package."
            )
        depends = _read_depends(f"{available}/{name}.load")
        todo += [item for item in depends if f"{item}_module" not in loaded and item not in todo]
    for name in reversed(todo):  # what others depend on first: good at every moment
        result.modules.append(name)
        for suffix in ("conf", "load"):  # without its .load a .conf means nothing
            if os.path.exists(f"{server.directory()}/mods-available/{name}.{suffix}"):
                link = f"{server.directory()}/mods-enabled/{name}.{suffix}"
                result.links.append(DesiredLink(link, f"../mods-available/{name}.{suffix}"))


def _make_listen(address: str, port: int) -> ProxyListen:
    """The socket of a managed ``Listen``."""
    return ProxyListen(address, port, dual=address == sockets.ALL6)


def _refuse_clash(listens: list[tuple[str, int]], others: list[ProxyListen]) -> None:
    """Stop where two sockets would meet: httpd checks that when it binds them, and ends.

    :raises ProxyError: naming both.
    """
    mine = [_make_listen(address, port) for address, port in listens]
    for item in mine:
        for other in [*others, *mine]:
            met = sockets.meets(other, item.address) or sockets.meets(item, other.address)
            both_wide = sockets.is_wildcard(item.address) and sockets.is_wildcard(other.address)  # httpd joins these
            if met and other.takes(item.port) and item.address != other.address and not both_wide:
                where = f"{other.file}:{other.line} listens" if other.file else "another managed virtual host listens"
                raise ProxyError(
                    f"{where} on {other.address}:{item.port}, and Apache cannot listen on {item.address} beside it.",
                    "Give both the same listen addresses.",
                )


def _read_depends(load: str) -> list[str]:
    """The modules of the line ``# Depends:`` in Debian's .load files."""
    try:
        text = _files.read_bytes(load, 65536).decode("utf-8", "replace")
    except RtcError:
        return []
    return [name for line in re.findall(r"^#\s*Depends:(.*)$", text, re.MULTILINE) for name in line.split()]
