# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the values in the configuration file: each gives the value as the server uses it, or raises BadValue."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from typing import Any

from .store_postgres.address import parse_address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class BadValue(Exception):
    """What is wrong with the value of an option, to be read behind the option's name."""


def check_text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise BadValue("must be a text of printable characters that is not empty")
    return value


def check_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) and v and v.isprintable() for v in value):
        raise BadValue("must be a list of texts")
    return tuple(value)


def check_whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise BadValue(f"must be a whole number from {low} to {high}")
        return value

    return check


def check_number(low: float, high: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if type(value) not in (int, float) or not low <= value <= high:
            raise BadValue(f"must be a number from {low:g} to {high:g}")
        return float(value)

    return check


def check_choice(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise BadValue("must be one of " + ", ".join(choices))
        return str(value)

    return check


def check_address(value: Any) -> str:
    what = "must be an IP address; 127.0.0.1 behind a proxy on the same machine, 0.0.0.0 for all of IPv4"
    try:
        address = ipaddress.ip_address(check_text(value))
    except ValueError as exc:
        raise BadValue(what) from exc
    if address.is_multicast or str(address) == "255.255.255.255":  # the kernel would let it listen, and nobody come
        raise BadValue(what)
    return str(address)


def check_networks(value: Any) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(v) for v in check_texts(value))
    except ValueError as exc:
        raise BadValue(f"must be a list of IP addresses or networks ({exc})") from exc


_ADDRESS = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_PORTS = {"http": 80, "https": 443}


def format_origin(text: str) -> str:
    """Scheme, host and port as browsers write them (RFC 6454, 6.2): in lower case, without the scheme's own port, an
    address of IPv6 in its short form. Raises ValueError."""
    found = _ADDRESS.fullmatch(text.lower())
    if found is None or not 1 <= int(found[3] or 1) <= 65535:
        raise ValueError(f"{text!r} is not an origin")
    scheme, host, port = found.groups()
    if host.startswith("["):
        host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
    return f"{scheme}://{host}" if port is None or int(port) == _PORTS[scheme] else f"{scheme}://{host}:{int(port)}"


def check_origins(value: Any) -> tuple[str, ...]:
    found = []
    for origin in check_texts(value):
        try:
            found.append(format_origin(origin))
        except ValueError:
            what = f"{origin!r} is not an origin: write scheme, host and port, as in https://wiki.example.org"
            raise BadValue(what) from None
    return tuple(found)


def check_path(value: Any) -> str:
    path = expand(check_text(value))
    if path.endswith("/"):
        raise BadValue("must name a file, and ends in a slash as directories do")
    return path


def check_keys(value: Any) -> tuple[str, ...]:
    names = check_texts(value)
    if not 1 <= len(names) <= 2:
        raise BadValue("must name one key file, or two while keys are changed")
    return tuple(check_path(name) for name in names)


def check_url_path(value: Any) -> str:
    if not re.fullmatch(r"/([A-Za-z0-9._~-]+/)*", check_text(value)):
        raise BadValue("must begin and end with a slash, as in /socket.io/")
    return str(value)


def check_label(value: Any) -> str:
    if not re.fullmatch(r"[a-z0-9]{1,64}", check_text(value)):
        raise BadValue("must be 1 to 64 lower-case letters and digits")
    return str(value)


def check_store_url(value: Any) -> str:
    try:
        parse_address(check_text(value))
    except ValueError as exc:
        raise BadValue(str(exc)) from exc
    return str(value)


_LONGEST_SOCKET = 107  # bytes of a path (unix(7))


def check_listen(value: Any) -> str:
    text = check_text(value)
    if re.fullmatch(r"(127\.0\.0\.1|\[::1\]):[0-9]{1,5}", text):
        if not 1 <= int(text.rpartition(":")[2]) <= 65535:
            raise BadValue("must have a port from 1 to 65535")
        return text
    if not text.startswith(("/", "$RUNTIME_DIRECTORY/")):
        raise BadValue("must be the path of a socket, 127.0.0.1:PORT or [::1]:PORT: who manages the server comes from "
                        "this machine, by SSH")  # fmt: skip
    path = expand(text)
    if len(os.fsencode(path)) > _LONGEST_SOCKET:
        raise BadValue(f"is {path}, and the path of a socket has {_LONGEST_SOCKET} bytes at most")
    return path


def check_url(value: Any) -> str:
    try:
        return format_origin(check_text(value).removesuffix("/"))
    except ValueError:
        raise BadValue("must be scheme, name and port, as in https://wiki.example.org:9083") from None


def check_front(value: Any) -> str:
    if not (url := check_url(value)).startswith("https:"):
        raise BadValue("must begin with https: the token comes that way")
    return url


_DIRECTORIES = ("$CREDENTIALS_DIRECTORY", "$RUNTIME_DIRECTORY")


def expand(path: str) -> str:
    """Replace a leading ``$CREDENTIALS_DIRECTORY`` or ``$RUNTIME_DIRECTORY`` (systemd.exec(5)). Raises BadValue."""
    name, slash, rest = path.partition("/")
    if name in _DIRECTORIES and slash:
        directory = os.environ.get(name[1:])
        if not directory:
            raise BadValue(f"{name} is not set: start the server by its systemd unit, or name the file itself")
        return f"{directory}/{rest}"
    if not path.startswith("/"):
        raise BadValue(f"must be an absolute path, or begin with one of {', '.join(_DIRECTORIES)}")
    return path
