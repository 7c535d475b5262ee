# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the store is: a URL without secrets, checked before anything is connected to."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

PORT = 5432
MOST_BYTES = 63  # of a name: PostgreSQL cuts off the rest, and would take another database for this one (NAMEDATALEN)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
# What a parameter of the URL may say: only what is done anyway. libpq's manual, "Parameter Key Words", has them all.
_FIXED = {"target_session_attrs": ("read-write", "primary"), "sslmode": ("verify-full",)}


class BadAddress(ValueError):
    """``str()`` says what is wrong with the URL, and never repeats a password."""


@dataclass(frozen=True)
class Address:
    """Hosts (names, addresses, or directories of sockets) with their ports, database and user."""

    hosts: tuple[tuple[str, int], ...]
    database: str
    user: str

    @property
    def is_local(self) -> bool:
        """Whether nothing leaves this machine: then there is nothing that TLS would protect."""
        return all(host.startswith("/") or _is_loopback(host) for host, _ in self.hosts)

    def __str__(self) -> str:
        return f"postgresql://{quote(self.user, safe='')}@{self.format_hosts()}/{quote(self.database, safe='')}"

    def format_hosts(self) -> str:
        """The hosts as the URL has them."""
        return ",".join(
            f"[{host}]:{port}" if ":" in host else f"{quote(host, safe='')}:{port}" for host, port in self.hosts
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_address(url: str) -> Address:
    """The address that a URL names: ``postgresql://USER@HOST[:PORT][,HOST[:PORT]...]/DATABASE``; a socket's directory
    is written with %2F, as libpq has it ("Connection URIs"). Raises BadAddress."""
    if not url.isprintable() or any(character in url for character in " \\"):
        raise BadAddress("has characters that no URL has")
    # urllib knows one host in a URL, and newer versions of it refuse an IPv6 address after another host
    parts = re.fullmatch(r"postgres(?:ql)?://([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", url)
    if parts is None:
        raise BadAddress("must begin with postgresql://")
    netloc, path, query, fragment = parts[1], parts[2], parts[3] or "", parts[4]
    author, at, hosts = netloc.rpartition("@")
    if ":" in author or "password" in query.lower() or "passfile" in query.lower():
        raise BadAddress("must have no password in it: name a file with the password in journal.store_password")
    if not at or not author:
        raise BadAddress("must name the user: postgresql://USER@HOST/DATABASE")
    database = _decode(path.removeprefix("/"))
    if not database or "/" in database:
        raise BadAddress("must name one database: postgresql://USER@HOST/DATABASE")
    user = _decode(author)
    if any(len(name.encode()) > MOST_BYTES for name in (user, database)):
        raise BadAddress(f"has a name of more than {MOST_BYTES} bytes, which PostgreSQL does not have")
    if fragment:
        raise BadAddress("must have nothing after a #")
    for parameter in filter(None, query.split("&")):
        name, _, value = parameter.partition("=")
        if value not in _FIXED.get(name, ()):
            allowed = ", ".join([f"{key}={values[0]}" for key, values in _FIXED.items()])
            raise BadAddress(f"has the parameter {name}, with a value that cannot be had; there are {allowed}")
    found = tuple(_parse_host(host) for host in hosts.split(","))
    if len(set(found)) < len(found):
        raise BadAddress("names a host twice")
    return Address(found, database, user)


def _decode(text: str) -> str:
    """What percent signs stand for, as libpq has it; a NUL would end the name, and begin what else is sent."""
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise BadAddress("has a percent sign without two digits after it: the sign itself is written %25")
    try:
        found = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadAddress("has percent signs that stand for no UTF-8") from None
    if not found.isprintable():
        raise BadAddress("has characters that no name has")
    return found


def _parse_host(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", text)
    if match is None:
        raise BadAddress(f"has a host that cannot be read: {text!r}; write HOST or HOST:PORT, IPv6 in brackets")
    host, port = _decode(match[1]), int(match[2] or PORT)
    if not 0 < port < 1 << 16:
        raise BadAddress(f"has a port that is none: {port}")
    if host.startswith("["):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise BadAddress(f"has an address that is none: {host}") from None
    elif not host.startswith("/") and not _HOST.fullmatch(host):
        raise BadAddress(f"has a host that is no name: {host!r}")
    return host, port
