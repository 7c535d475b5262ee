# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of stores, as the RTC server takes them.

``parse_address`` in files/rtc_server/src/rtc_server/store_postgres/address.py refuses the same ones; a test holds that.
The controller checks the inventory with this, before a server is there to be asked.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote

EXAMPLE = "postgresql://USER@HOST/DATABASE"
_URL = re.compile(r"postgres(?:ql)?://([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_FIXED = ("target_session_attrs=read-write", "target_session_attrs=primary", "sslmode=verify-full")


def check(url: str) -> str:
    """The address itself.

    :raises ValueError: it is none, or has a password in it; the sentence repeats nothing of what could be one.
    """
    parts = _URL.fullmatch(url)
    if parts is None or not url.isprintable() or any(character in url for character in " \\"):
        raise ValueError(f"an address such as {EXAMPLE} is expected.")
    author, at, hosts = parts[1].rpartition("@")
    query = parts[3] or ""
    if ":" in author or "password" in query.lower() or "passfile" in query.lower():
        raise ValueError("it has a password in it; that belongs into rtc_store_password.")
    database = unquote(parts[2][1:])
    if not at or not author or not database or "/" in database or parts[4]:
        raise ValueError(f"user, host and one database are expected: {EXAMPLE}.")
    if any(parameter and parameter not in _FIXED for parameter in query.split("&")):
        raise ValueError(f"it has parameters; there are only {', '.join(_FIXED)}.")
    found = [_check_host(host) for host in hosts.split(",")]
    if len(set(found)) < len(found):
        raise ValueError("it names a host twice.")
    return url


def _check_host(text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    host, port = (unquote(match[1]), int(match[2] or 5432)) if match else ("", 0)
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
