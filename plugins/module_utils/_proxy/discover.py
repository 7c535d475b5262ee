# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxy servers of a host, as facts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Callable

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ServedCertificate, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._ownership import UnsafeProgramError
from ansible_collections.collab.rtc.plugins.module_utils._proxy import capacity
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import modules as apache_modules
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import places as apache_places
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache.backend import Apache
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Backend
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import certificates
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.backend import Haproxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.loaded import Loaded
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import places as nginx_places
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx.backend import Nginx
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate

_MOST = 256 * 1024  # bytes; a certificate file is smaller


def describe_servers(servers: Iterable[Backend], note: Callable[[str, str], None]) -> list[Proxy]:
    """What each installed server says; never raises, changes nothing.

    :param note: is given what could not be seen, and the reason.
    """
    return [_describe(server, note) for server in servers if server.installed()]


def _describe(server: Backend, note: Callable[[str, str], None]) -> Proxy:
    try:
        proxy = server.read()
        if isinstance(server, Haproxy):
            certificates.add_files(server, proxy)
    except Exception as exc:
        proxy = Proxy(server.kind, config=server.main(), notes=[f"{server.main()} could not be read: {exc!r}."])
    else:
        proxy.unwritable = _find_obstacle(server)
        try:
            proxy.capacity = capacity.measure(server)
        except Exception as exc:  # odd values of odd files
            note(f"how many connections {server.kind} passes on", repr(exc))
        try:
            proxy.lacks = apache_modules.find_lacking(server) if isinstance(server, Apache) else []
        except Exception as exc:  # odd files
            note(f"which modules {server.kind} has", repr(exc))
    on_host = server.root == "/"
    proxy.version = server.version() if on_host else ""
    master = server.find_master()
    proxy.running = bool(master)
    proxy.unloaded = Loaded(server, master).is_outdated(server.sources)
    if on_host and server.program() and os.geteuid() == 0:  # others may not read its keys, and would see only that
        try:
            proxy.error = server.validate()
        except UnsafeProgramError as exc:
            note(f"what {server.kind} says of its configuration", exc.message)
    seen: dict[str, ServedCertificate] = {}
    for host in proxy.hosts:
        _read_certificates(server, proxy, host, seen)
    return proxy


def _find_obstacle(server: Backend) -> str:
    """Why virtual hosts cannot be written: no directory is read. The plan is to say so, not the run."""
    try:
        if isinstance(server, Nginx):
            nginx_places.find_directories(server)
        elif isinstance(server, Apache):
            apache_places.find_directories(server)
    except RtcError as exc:
        return str(exc)
    return ""


def _read_certificates(server: Backend, proxy: Proxy, host: VirtualHost, seen: dict[str, ServedCertificate]) -> None:
    """Names and expiry of the certificates of a virtual host, where they can be read."""
    if host.certificate and not host.certificates:
        host.certificates = [ServedCertificate(host.certificate, host.key or host.certificate)]
    for number, item in enumerate(host.certificates):
        if item.certificate not in seen:
            seen[item.certificate] = item
            note = _look(server, item)
            proxy.notes += [f"{host.file}:{host.line}: {note}"] if note else []
        host.certificates[number] = seen[item.certificate]
    if host.certificates:
        first = host.certificates[0]
        host.certificate, host.key = first.certificate, first.key
        host.certificate_names, host.certificate_expires = first.names, first.expires


def _look(server: Backend, item: ServedCertificate) -> str:
    """Complete a certificate, and return what could not be read of it."""
    path = item.certificate
    if not path.startswith("/") or "$" in path:
        item.problem = f"{path} names no file of which the place is known"
        return ""
    try:
        leaf = certificate.parse_certificates(_files.read_bytes(server.path(path), _MOST), path)[0]
        item.names, item.expires = leaf.alternative_names, leaf.not_after.timestamp()
        if b"ENCRYPTED" in _files.read_bytes(server.path(item.key), _MOST):
            item.problem = f"its key {item.key} has a pass phrase"
    except RtcError as exc:
        # Whoever is not root may not see a key, and sometimes not the certificate: that is no fault of theirs.
        item.problem = exc.message if os.geteuid() == 0 else ""
        return "" if item.names else exc.message
    return ""
