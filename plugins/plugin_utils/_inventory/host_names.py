# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be a server name, an address, a port or a context path: one answer for the inventory and for hosts. Pure.

A value comes from a variable, from ``server.xml`` or from a proxy's configuration, and goes into addresses that users
type. Each function returns why it cannot be used, as the end of a sentence; "" where it can.
"""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.collab.rtc.plugins.module_utils._x509 import server_certificate

MAX_NAME, MAX_LABEL = 253, 63  # characters; RFC 1035, 2.3.4
MAX_SHOWN = 120  # characters of a wrong value in a message
LOOPBACK_NAMES = ("localhost", "ip6-localhost", "localhost.localdomain")

# ${x}, $x, {{ x }}, %x%, %(x)s, <x>, @x@, [x]: how templates and start scripts name what is still to be filled in.
_PLACEHOLDER = re.compile(
    r"\$\{?[A-Za-z_][\w.-]*\}?|\{\{?.*?\}?\}|%[A-Za-z_]\w*%|%\(\w+\)s|<[^<>]*>|@[\w.-]+@|\[[A-Za-z][\w .-]*\]"
)
# What the comments of server.xml and of Atlassian's documentation have in its place.
_EXAMPLE_LABEL = re.compile(
    r"(change|replace)[-_]?(me|this)|(to[-_]?do|fixme|placeholder|tbd|x{3,})"
    r"|your[-_]?(own[-_]?)?(domain|host|server|company|site|fqdn|url|name|organi[sz]ation)([-_]?name)?"
    r"|mydomain|(domain|host|server|proxy)[-_]?name|fqdn|undefined|null|none"
)
_EXAMPLE_NAMES = ("subdomain.domain.com", "your.domain.com")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")  # RFC 3986, 3.3


def show(text: str) -> str:
    """A value as a message has it: what cannot be seen as its code point, no password of an address, not too long."""
    text = re.sub(r"//[^/@\s]*@", "//...@", text)
    shown = "".join(char if char.isprintable() else f"<U+{ord(char):04X}>" for char in text)
    return shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + "..."


def explain_name(text: str) -> str:
    """Why a text is no name that users can type before a port and a path (RFC 1123, 2.1, and underscores)."""
    return _explain_form(text) or _explain_characters(text.lower())


def _explain_form(text: str) -> str:
    """What a text is instead of one name, or has besides it."""
    placeholder = find_placeholder(text)
    hidden = next((char for char in text if not char.isprintable()), "")
    if not text:
        return "it is empty"
    if hidden:
        return f"it has the hidden character U+{ord(hidden):04X}"
    if placeholder:
        return f"{placeholder} is to be replaced by a value, and is not"
    if _SCHEME.match(text):
        return f"{text[: text.index(':')]}:// is no part of a name"
    if re.search(r"[\s,;|]", text):
        return "it holds several names or words, and one name is needed"
    if "@" in text:
        return "what stands before @ is no part of a name"
    if re.search(r"[/\\?#]", text):
        return "a path is no part of a name"
    return _explain_address(text)


def _explain_address(text: str) -> str:
    address = parse_address(text)
    if address is not None and (address.is_unspecified or address.version == 6):
        return "users cannot type it" if address.is_unspecified else "an IPv6 address cannot be the server name"
    if address is None and ":" in text:
        return f"{text[text.index(':') :]} is no part of a name: ports have variables and attributes of their own"
    return ""


def _explain_characters(name: str) -> str:
    if not name.isascii():
        ascii_name = server_certificate.to_ascii(name)
        return "it has letters other than a to z" + (f"; written in ASCII it is {ascii_name}" if ascii_name else "")
    if name.startswith(".") or name.endswith("."):
        return f"a dot stands at its {'beginning' if name.startswith('.') else 'end'}"
    labels = name.split(".")
    if "" in labels or len(name) > MAX_NAME or any(len(label) > MAX_LABEL for label in labels):
        return "two dots follow each other" if "" in labels else "it is too long"
    wrong = next((label for label in labels if not _LABEL.fullmatch(label)), "")
    if wrong:
        return f"'{wrong}' cannot be part of a name"
    if labels[-1].isdigit() and parse_address(name) is None:
        return "a name does not end with a number, and it is no address"
    if name in _EXAMPLE_NAMES or any(_EXAMPLE_LABEL.fullmatch(label) for label in labels):
        return "it is an example that was not replaced"
    return ""


def guess_name(text: str) -> str:
    """The name that a wrong one probably means, for a message: without scheme, port and path; "" for no idea."""
    rest = _SCHEME.sub("", text.strip(), count=1).lstrip("/").rpartition("@")[2]
    name = re.split(r"[/\\?#]", rest)[0].partition(":")[0].strip(".").lower()
    name = name if name.isascii() else server_certificate.to_ascii(name)
    return "" if explain_name(name) else name


def find_placeholder(text: str) -> str:
    """What stands for a value in a text, such as ``${name}``; "" for nothing."""
    found = None if parse_address(text) else _PLACEHOLDER.search(text)
    return found.group() if found else ""


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, with or without brackets; ``None`` for none."""
    try:
        return ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def explain_address(text: str) -> str:
    """Why a text is no address that a service can listen on; "" (all of them) and ``localhost`` are."""
    if text in ("", "*") or text.lower() in LOOPBACK_NAMES or parse_address(text) is not None:
        return ""
    placeholder = find_placeholder(text)
    return f"{placeholder} is to be replaced by a value, and is not" if placeholder else "it is no IP address"


def explain_port(text: str) -> str:
    """Why a text is no port that somebody can connect to."""
    placeholder = find_placeholder(text)
    if placeholder:
        return f"{placeholder} is to be replaced by a value, and is not"
    if not (text.isascii() and text.isdigit()):
        return "it is no number" if text else "it is empty"
    return "" if 0 < int(text[:20]) <= 65535 else "ports are 1 to 65535"


def explain_context_path(text: str) -> str:
    """Why a text is no context path; "" is the root's."""
    hidden = next((char for char in text if not char.isprintable()), "")
    if hidden:
        return f"it has the hidden character U+{ord(hidden):04X}"
    placeholder = find_placeholder(text)
    if placeholder:
        return f"{placeholder} is to be replaced by a value, and is not"
    if _SCHEME.match(text):
        return "it is an address, and a path is needed"
    segments = text.strip("/").split("/") if text.strip("/") else []
    wrong = next((segment for segment in segments if not _SEGMENT.fullmatch(segment) or segment in (".", "..")), None)
    return "" if wrong is None else f"'{wrong}' cannot be part of a path"


def explain_origin(text: str) -> str:
    """Why a text is no origin of a web page: scheme, name and perhaps a port (RFC 6454, 6.2)."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return "it does not begin with https:// or http://"
    if "/" in rest:
        return "a path is no part of an origin, not even a final /"
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(.*))?", rest)
    if match is None or not match.group(1):
        return "it has no name" if match else "it has two ports"
    name, port = match.groups()
    why = "" if name.startswith("[") and parse_address(name) is not None else explain_name(name)
    return why or (explain_port(port) if port is not None else "")
