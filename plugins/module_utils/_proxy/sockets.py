# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets by what they are, however they are written: an address in one spelling, a port or a range of them, TCP."""

from __future__ import annotations

import functools
import ipaddress
import socket
import threading
from collections.abc import Iterable, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._facts import Listener, Proxy, ProxyListen

ALL4, ALL6 = "*", "::"
_RESOLVE_SECONDS = 5.0


def normalize(address: str) -> str:
    """An address in its one spelling, :data:`ALL4` and :data:`ALL6` for all of a family; a name in lower case."""
    text = address.strip("[]").partition("%")[0].lower()  # which interface has a link-local address does not matter
    if text in ("", "*", "_default_"):
        return ALL4
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return text
    mapped = getattr(found, "ipv4_mapped", None)
    return ALL4 if str(mapped or found) == "0.0.0.0" else str(mapped or found)  # noqa: S104 - compared, never bound


def is_wildcard(address: str) -> bool:
    """Whether a normalized address means all of its family."""
    return address in (ALL4, ALL6)


@functools.lru_cache(maxsize=256)
def resolve(address: str) -> tuple[str, ...]:
    """The normalized addresses that a server gets for an address or a name, as this host resolves it.

    :returns: none where it does not resolve, or not within five seconds.
    """
    plain = normalize(address)
    if is_wildcard(plain) or _is_literal(plain):
        return (plain,)
    found: list[str] = []

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(plain, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(normalize(str(row[4][0])) for row in rows)

    thread = threading.Thread(target=ask, daemon=True)  # a slow name server must not hold everything up
    thread.start()
    thread.join(_RESOLVE_SECONDS)
    return tuple(dict.fromkeys(found))


def _is_literal(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def expand(listen: ProxyListen) -> list[ProxyListen]:
    """What a server listens on for an address as its configuration has it; a name that does not resolve stays."""
    names = resolve(listen.address) or (normalize(listen.address),)
    return [ProxyListen(**{**vars(listen), "address": address}) for address in names]


def covers(listen: ProxyListen, address: str) -> bool:
    """Whether a socket takes whatever comes to a normalized address."""
    same_family = (":" in listen.address) == (":" in address)
    return listen.address == address or (is_wildcard(listen.address) and (same_family or listen.dual))


def meets(listen: ProxyListen, address: str) -> bool:
    """Whether a socket and one on a normalized address could get the same connection."""
    return covers(listen, address) or covers(ProxyListen(address, 0), listen.address)


def find_unread(proxy: Proxy, programs: Sequence[str], live: Iterable[Listener], port: int) -> Listener | None:
    """A socket of a server on a port that nothing read of its configuration accounts for.

    :param programs: the names of the server's processes.
    """
    opened = proxy.sockets or [listen for host in proxy.hosts for listen in host.listens]
    for item in live:
        own = item.port == port and item.process in programs
        if own and not any(listen.takes(port) and meets(listen, normalize(item.address)) for listen in opened):
            return item
    return None


def from_listener(item: Listener) -> ProxyListen:
    """A socket of a process; whether one on ``::`` has IPv4 too cannot be seen, so that it may."""
    return ProxyListen(normalize(item.address), item.port, dual=item.address == ALL6)
