# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of servers: checking their dates, keys and names."""

from __future__ import annotations

import datetime
import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import Certificate

_WEAK_BITS = {"RSA": 2048, "DSA": 2048, "EC": 224}  # below: refused by current browsers, Java or CAs (NIST SP 800-131A)


def validity(certificate: Certificate, now: datetime.datetime | None = None, soon_days: int = 30) -> str:
    """What is wrong with the dates: ``expired``, ``not yet valid``, ``expires soon`` or an empty string.

    :param now: in UTC; the host's clock when not given.
    """
    now = now or datetime.datetime.now(datetime.timezone.utc)
    if now > certificate.not_after:
        return "expired"
    if now < certificate.not_before:
        return "not yet valid"
    return "expires soon" if certificate.not_after - now < datetime.timedelta(days=soon_days) else ""


def weakness(certificate: Certificate) -> str:
    """``RSA 1024`` when the key is too small for clients of today, else an empty string."""
    bits = certificate.key_bits
    return f"{certificate.key_type} {bits}" if 0 < bits < _WEAK_BITS.get(certificate.key_type, 0) else ""


def problems(certificate: Certificate, now: datetime.datetime | None = None, soon_days: int = 30) -> list[str]:
    """Sentences about dates and key of a certificate that an administrator should hear; usually none."""
    found = []
    state = validity(certificate, now, soon_days)
    if state == "not yet valid":
        found.append(
            f"'{certificate.subject}' is not yet valid: it begins on {certificate.not_before:%Y-%m-%d %H:%M} UTC."
        )
    elif state == "expired":
        found.append(f"'{certificate.subject}' expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC.")
    elif state:
        found.append(f"'{certificate.subject}' expires on {certificate.not_after:%Y-%m-%d %H:%M} UTC.")
    if weakness(certificate):
        found.append(f"'{certificate.subject}' has a key too small for clients of today: {weakness(certificate)} bits.")
    return found


def match_name(certificate: Certificate, name: str, common_name: bool = False) -> bool:
    """Whether a certificate is for a host name or address (RFC 6125, as browsers read it).

    A wildcard stands for exactly one whole label, the first. International names are compared in their ASCII form. An
    address matches an address of the certificate only.

    :param common_name: take the common name when the certificate has no alternative names at all, as Java still does.
    """
    address = parse_address(name)
    if address is not None:
        return address in certificate.ip_addresses
    patterns: Sequence[str] = certificate.dns_names
    if not patterns and not certificate.ip_addresses and common_name:
        patterns = (certificate.common_name,)
    wanted = to_ascii(name)
    return bool(wanted) and any(_matches(to_ascii(pattern), wanted) for pattern in patterns)


def to_ascii(name: str) -> str:
    """A host name in lower case and ASCII, without a final dot (IDNA 2003, all that Python has); empty: not a name."""
    name = name.strip().rstrip(".")
    if name.isascii():
        return name.lower()
    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""


def parse_address(name: str) -> bytes | None:
    """An address as certificates hold it; ``None`` for a name."""
    try:
        return ipaddress.ip_address(name.strip("[]")).packed
    except ValueError:
        return None


def _matches(pattern: str, name: str) -> bool:
    if pattern == name:
        return True
    first, _dot, rest = pattern.partition(".")
    head, _dot, parent = name.partition(".")
    return first == "*" and "." in rest and bool(head) and rest == parent
