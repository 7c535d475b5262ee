# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an RTC server instance has besides when its journal is on a store that several share; and which store that is.

Addresses of stores are read as the RTC server reads them: ``parse_address`` in
files/rtc_server/src/rtc_server/store_postgres/address.py refuses the same ones; a test holds that.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import NamedTuple
from urllib.parse import unquote

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server.unit import beside, render_credentials

EXAMPLE = "postgresql://USER@HOST/DATABASE"
_URL = re.compile(r"postgres(?:ql)?://([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_FIXED = ("target_session_attrs=read-write", "target_session_attrs=primary", "sslmode=verify-full")
_LOOPBACK = "loopback"
_MOST_BYTES = 63  # of a name: PostgreSQL cuts off the rest (NAMEDATALEN)
# As unit.render_toml writes it, the value being JSON's text, and as somebody may have written it by hand.
_IN_CONFIG = re.compile(
    r"""^[ \t]*(?:journal\.)?store_url[ \t]*=[ \t]*(?:("(?:[^"\\\n]|\\.)*")|'([^'\n]*)')[ \t]*(?:#.*)?$""", re.MULTILINE
)

# In the directory of the instance's secrets, and handed to the service as credentials.
CA, PASSWORD = "store-ca.pem", "store-password"


def drop_in(tls_drop_in: str) -> str:
    """Path of :func:`render_drop_in`, beside the file for TLS."""
    return beside(tls_drop_in, "store")


def render_drop_in(config: str, ca: bool) -> str:
    """The part of the unit that hands over password and authority.

    :param config: directory of the configurations.
    :param ca: whether the store's authority is given.
    """
    return render_credentials(config, [PASSWORD, *([CA] if ca else [])])


def make_journal(url: str, ca: bool) -> dict[str, str]:
    """Section ``journal`` of the configuration.

    :param url: of the database, without a password.
    """
    journal = {"store_url": url, "store_password": f"$CREDENTIALS_DIRECTORY/{PASSWORD}"}
    return {**journal, "store_ca": f"$CREDENTIALS_DIRECTORY/{CA}"} if ca else journal


class Store(NamedTuple):
    """Which database an address means: whoever connects as whom, and by which parameters."""

    hosts: frozenset[tuple[str, int]]
    database: str

    def __str__(self) -> str:
        """The hosts in one order, and the database."""
        hosts = ",".join(f"{host}:{port}" for host, port in sorted(self.hosts))
        return f"{hosts}/{self.database}"


def parse(url: str) -> Store:
    """The store that an address means.

    :raises ValueError: it is no address, or has a password in it; the sentence repeats nothing of what could be one.
    """
    parts = _URL.fullmatch(url)
    if parts is None or not url.isprintable() or any(character in url for character in " \\"):
        raise ValueError(f"an address such as {EXAMPLE} is expected.")
    author, at, hosts = parts[1].rpartition("@")
    query = parts[3] or ""
    if ":" in author or "password" in query.lower() or "passfile" in query.lower():
        raise ValueError("it has a password in it; that belongs into rtc_store_password.")
    database, user = _decode(parts[2][1:]), _decode(author)
    if not at or not author or not database or "/" in database or parts[4]:
        raise ValueError(f"user, host and one database are expected: {EXAMPLE}.")
    if any(len(name.encode()) > _MOST_BYTES for name in (user, database)):
        raise ValueError(f"it has a name of more than {_MOST_BYTES} bytes, which PostgreSQL does not have.")
    if any(parameter and parameter not in _FIXED for parameter in query.split("&")):
        raise ValueError(f"it has parameters; there are only {', '.join(_FIXED)}.")
    found = [_parse_host(host) for host in hosts.split(",")]
    if len(set(found)) < len(found):
        raise ValueError("it names a host twice.")
    return Store(frozenset((_unify(host), port) for host, port in found), database)


def _decode(text: str) -> str:
    """What percent signs stand for: text, of characters that a name may have."""
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise ValueError("it has a percent sign without two digits after it: the sign itself is written %25.")
    try:
        found = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("it has percent signs that stand for no UTF-8.") from None
    if not found.isprintable():
        raise ValueError("it has characters that no name has.")
    return found


def _parse_host(text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    host, port = (_decode(match[1]), int(match[2] or 5432)) if match else ("", 0)
    if not 0 < port < 1 << 16:
        raise ValueError("it has a host that cannot be read: HOST, HOST:PORT or [IPv6]:PORT are expected.")
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise ValueError("it has an IPv6 address that is none.") from None
    elif not host.startswith("/") and not _NAME.fullmatch(host):
        raise ValueError("it has a host that is no name.")
    return host, port


def _unify(host: str) -> str:
    """One text for each way to write a host; a socket is on this machine, too, but of a server that has a port."""
    if host.startswith("/") or host.lower() == "localhost":
        return _LOOPBACK
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.lower()
    return _LOOPBACK if address.is_loopback else str(address)


def is_same(one: str, other: str, apart: bool = False) -> bool:
    """Whether two addresses mean one store: the database of the same name, and a host that both name.

    Hosts come and go, as standbys do; what is in none of the other's places is another store.

    :param apart: two machines have them, and loopback is another host on each.
    """
    try:
        first, second = parse(one), parse(other)
    except ValueError:
        return one == other
    shared = {(host, port) for host, port in first.hosts & second.hosts if not apart or host != _LOOPBACK}
    return first.database == second.database and bool(shared)


def find_url(config: str) -> str:
    """The store that the text of an instance's configuration names; "" for none."""
    match = _IN_CONFIG.search(config)
    try:
        return str(json.loads(match[1]) if match[1] else match[2]) if match else ""
    except ValueError:
        return ""
