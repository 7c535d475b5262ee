# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trying to bind what a server would bind at its next reload: all of it at the same time, as the server does.

Only the kernel knows whether two sockets go together. A server that finds out by itself that they do not goes on with
what it had (nginx, HAProxy), or ends (Apache httpd, with the application that it serves).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from types import TracebackType

from ansible_collections.collab.rtc.plugins.module_utils._proxy import kin, sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError

_CAP_NET_BIND_SERVICE = 10  # capabilities(7)
_USUAL = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)


class Trial:
    """Sockets that are held for a moment; those that a server has already are not asked for.

    :param joins: one socket for all of a family stands for those of single addresses (nginx).
    """

    def __init__(self, joins: bool = False) -> None:
        self.joins = joins
        self._held: dict[tuple[str, int], socket.socket] = {}

    def __enter__(self) -> Trial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for item in self._held.values():
            item.close()

    def bind(self, address: str, port: int, dual: bool = False) -> int:
        """0 where a socket could listen there beside those before, else the error number.

        :param address: normalized.
        :param dual: a socket for all of one family that has all of the other too.
        :returns: ``EADDRINUSE``, ``EADDRNOTAVAIL`` or 0. A kernel without this family, or a port that only root may
            have, is for the server to say.
        """
        if (address, port) in self._held:
            return 0
        wide = [held for held, number in self._held if number == port and sockets.is_wildcard(held)]
        # Apache leaves out 0.0.0.0 where it has "::" (open_listeners in server/listen.c).
        if wide and (
            sockets.is_wildcard(address) or (self.joins and (sockets.ALL6 if ":" in address else "*") in wide)
        ):
            return 0
        if dual and address == sockets.ALL4 and socket.has_dualstack_ipv6():
            address = sockets.ALL6
        text = "0.0.0.0" if address == sockets.ALL4 else address  # noqa: S104 - tried for a moment only
        try:
            found = socket.getaddrinfo(text, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError:
            return errno.EADDRNOTAVAIL
        family, kind, protocol, _name, where = found[0]
        try:
            probe = socket.socket(family, kind, protocol)
        except OSError:
            return 0
        try:
            # As all three servers do. SO_REUSEPORT, as HAProxy has it too, would not show strangers that have it.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual))
            probe.bind(where)
            probe.listen(1)
        except OSError as exc:
            probe.close()
            return exc.errno if exc.errno in _USUAL else 0
        self._held[address, port] = probe
        return 0

    def holds(self, address: str, port: int) -> bool:
        """Whether a socket that was tried before is in the way of this one."""
        return any(
            number == port and (sockets.is_wildcard(held) or sockets.is_wildcard(address))
            for held, number in self._held
        )


def refuse_powerless(kind: str, master: int, ports: list[int]) -> None:
    """Stop where the running server may not do what root may, or is not where we are.

    :param master: process id of the running server, 0 for none.
    :raises ProxyError: a port needs a right that its process has given up, or it has a network of its own.
    """
    if not master:
        return
    ours, theirs = kin.network("self"), kin.network(master)
    if ours and theirs and ours != theirs:
        raise ProxyError(
            f"{kind} ({master}) runs in a network namespace of its own, whose sockets cannot be seen from here.",
            "Let it run in the host's network (PrivateNetwork=, NetworkNamespacePath= of its unit), or manage that "
            "proxy by hand.",
        )
    low = [port for port in ports if port < _read_first_free_port()]
    if low and not _may_bind(master):
        raise ProxyError(
            f"{kind} ({master}) does not run as root, and may not listen on port {low[0]}.",
            "Give its unit AmbientCapabilities=CAP_NET_BIND_SERVICE, or choose a port from 1024 on.",
        )


def _read_first_free_port() -> int:
    """The first port that everybody may bind (ip(7), ``ip_unprivileged_port_start``)."""
    with contextlib.suppress(OSError, ValueError), open(
        "/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii"
    ) as file:
        return int(file.read())
    return 1024


def _may_bind(pid: int) -> bool:
    """Whether a process may bind the ports below; one that may not be looked at may."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            found = re.search(r"^CapEff:\s*([0-9a-f]+)", file.read(), re.MULTILINE)
    except OSError:
        return True
    return not found or bool(int(found[1], 16) >> _CAP_NET_BIND_SERVICE & 1) or os.geteuid() != 0
