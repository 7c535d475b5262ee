# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a server listens, and listening sockets that systemd hands over (sd_listen_fds(3)): those outlive the process,
so newcomers wait while it restarts."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable

ANY_IPV4 = "0.0.0.0"  # noqa: S104  # only where the configuration says so
UNIT_VARIABLE = "RTC_SOCKET_UNIT"  # the unit that has to hand sockets over: this process could not listen itself
_FIRST = 3  # SD_LISTEN_FDS_START
Place = tuple[str, int]  # address and port


def list_places(address: str, port: int) -> list[Place]:
    """Where to listen for an address. ``::`` is all of both families; it is two sockets, as one for both would show
    IPv4 addresses in the form of IPv6."""
    return [(name, port) for name in ((ANY_IPV4, "::") if address == "::" else (address,))]


def parse_place(text: str) -> Place:
    """As ``ListenStream=`` has it: ``127.0.0.1:9083``, ``[::1]:9083``. Raises ValueError."""
    address, _, port = text.rpartition(":")
    return str(ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))), int(port)


def format_places(places: Iterable[Place]) -> str:
    """For people; "nothing" for none."""
    found = [f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in sorted(places)]
    return " and ".join(found) or "nothing"


def find_difference(address: str, port: int, given: Iterable[Place]) -> str:
    """What differs between sockets and what a configuration wants; "" where nothing does. Where the kernel has no IPv6,
    systemd leaves out the second one of ``::``."""
    found, wanted = set(given), list_places(address, port)
    if found == set(wanted) or found == set(wanted[:1]):
        return ""
    return f"{format_places(found)} instead of {format_places(wanted)}"


def take() -> list[socket.socket]:
    """The sockets that were handed over to this process, if any. Programs that it starts do not get them. Raises
    OSError where one is no socket."""
    given = {name: os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if given["LISTEN_PID"] != str(os.getpid()) or not given["LISTEN_FDS"].isdigit():
        return []
    found = []
    for number in range(_FIRST, _FIRST + int(given["LISTEN_FDS"])):
        os.set_inheritable(number, False)
        found.append(socket.socket(fileno=number))
    return found


def name_places(sockets: Iterable[socket.socket]) -> list[Place]:
    """Where sockets listen; ``("", 0)`` for one that does not, or is none of TCP."""
    return [_name_place(one) for one in sockets]


def _name_place(one: socket.socket) -> Place:
    is_tcp = one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM
    if not is_tcp or not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "", 0
    address, port = one.getsockname()[:2]
    return address, port
