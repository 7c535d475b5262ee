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
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._ownership import UnsafeProgramError
from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon, registry
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Backend
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate

_MOST = 256 * 1024  # bytes; a certificate file is smaller


def discover(root: str, note: Callable[[str, str], None]) -> list[Proxy]:
    """Every proxy server that is installed on the host, and what it serves. Never raises, changes nothing.

    As root it also lets each server check its configuration. Below another root nothing is run.

    :param note: is given what could not be seen, and the reason.
    """
    return describe_servers((registry.make_backend(kind, root) for kind in registry.BACKENDS), note)


def describe_servers(servers: Iterable[Backend], note: Callable[[str, str], None]) -> list[Proxy]:
    """What each installed server says; never raises, changes nothing.

    :param note: is given what could not be seen, and the reason.
    """
    return [_describe(server, note) for server in servers if server.installed()]


def _describe(server: Backend, note: Callable[[str, str], None]) -> Proxy:
    try:
        proxy = server.read()
    except Exception as exc:
        proxy = Proxy(server.kind, config=server.main(), notes=[f"{server.main()} could not be read: {exc!r}."])
    on_host = server.root == "/"
    proxy.version = server.version() if on_host else ""
    proxy.running = bool(daemon.read_pid(server.pid_file(), server.programs))
    if on_host and server.program() and os.geteuid() == 0:  # others may not read its keys, and would see only that
        try:
            proxy.error = server.validate()
        except UnsafeProgramError as exc:
            note(f"what {server.kind} says of its configuration", exc.message)
    seen: dict[str, VirtualHost] = {}
    for host in proxy.hosts:
        _read_certificate(server, proxy, host, seen)
    return proxy


def _read_certificate(server: Backend, proxy: Proxy, host: VirtualHost, seen: dict[str, VirtualHost]) -> None:
    """Names and expiry of the certificate of a virtual host, where it can be read."""
    if not host.certificate or "$" in host.certificate:
        return
    path = os.path.join(os.path.dirname(proxy.config), host.certificate)
    known = seen.get(path)
    if known is None:
        seen[path] = host
        try:
            leaf = certificate.parse_certificates(_files.read_bytes(server.path(path), _MOST), path)[0]
        except RtcError as exc:
            proxy.notes.append(f"{host.file}:{host.line}: {exc.message}")
            return
        host.certificate_expires = leaf.not_after.timestamp()
        host.certificate_names = list(leaf.dns_names)
        return
    host.certificate_expires, host.certificate_names = known.certificate_expires, list(known.certificate_names)
