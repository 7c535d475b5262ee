# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of servers: fetching them, and checking their dates, keys and names."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._x509 import tls12_hello
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import (
    Certificate,
    CertificateError,
    parse_der,
    parse_pem,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_WEAK_BITS = {"RSA": 2048, "DSA": 2048, "EC": 224}  # below: refused by current browsers, Java or CAs (NIST SP 800-131A)


class FetchError(RtcError):
    """The certificates of a server could not be fetched."""


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
    address = _parse_address(name)
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


def fetch_chain(host: str, port: int, server_name: str | None = None, timeout: float = 10.0) -> list[Certificate]:
    """The certificates that a TLS server sends, leaf first, exactly as it sends them; nothing is verified.

    :param server_name: what to ask for with SNI; the host when not given. An address is never asked for.
    :param timeout: seconds for each step of the connection.
    :raises FetchError: not reachable, not TLS, or this Python cannot see the whole chain of this server.
    """
    where = f"{host}:{port}"
    name = server_name or host
    sni = "" if _parse_address(name) is not None else to_ascii(name)
    reasons = []
    for way in (fetch_by_ssl, fetch_by_hello, fetch_by_openssl):
        try:
            found = way(host, port, sni, timeout)
        except (socket.gaierror, ConnectionRefusedError, socket.timeout) as exc:
            raise _explain_unreachable(where, host, exc, timeout) from exc
        except (ssl.SSLError, tls12_hello.HelloError, OSError) as exc:
            reasons.append(str(exc))
            continue
        if found:
            return [parse_der(der, f"The certificate of {where}") for der in found]
    raise FetchError(
        f"The certificates of {where} could not be read: "
        f"{'; '.join(dict.fromkeys(reasons)) or 'no way to see the chain'}.",
        "Check that the port speaks TLS. A server of TLS 1.3 alone needs Python 3.10 or openssl on this host;"
        " or give its CA with 'pem' or 'src'.",
    )


def fetch_by_ssl(host: str, port: int, sni: str, timeout: float) -> list[bytes]:
    """The chain as the ssl module has it: public from Python 3.13, private from 3.10, not at all before."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only the certificates are read; nothing is sent over this connection
    if not hasattr(ssl.SSLSocket, "get_unverified_chain") and not _has_private_chain():
        return []
    connection = socket.create_connection((host, port), timeout)
    with connection, context.wrap_socket(connection, server_hostname=sni or None) as secure:
        if hasattr(secure, "get_unverified_chain"):
            return list(secure.get_unverified_chain())
        import _ssl  # noqa: PLC0415 - only here

        inner = secure._sslobj  # type: ignore[attr-defined]
        return [one.public_bytes(_ssl.ENCODING_DER) for one in inner.get_unverified_chain() or ()]


def _has_private_chain() -> bool:
    import _ssl  # noqa: PLC0415 - only here

    return hasattr(getattr(_ssl, "_SSLSocket", None), "get_unverified_chain")


def fetch_by_hello(host: str, port: int, sni: str, timeout: float) -> list[bytes]:
    """The chain that a server of TLS 1.2 sends in the clear: see ``tls12_hello``."""
    with socket.create_connection((host, port), timeout) as plain:
        return tls12_hello.read_chain(plain, sni)


def fetch_by_openssl(host: str, port: int, sni: str, timeout: float) -> list[bytes]:
    """The chain as the program ``openssl`` prints it; nothing where there is no such program."""
    # Root runs the system's own, whatever PATH says.
    openssl = shutil.which("openssl", path=None if os.geteuid() else "/usr/bin:/bin")
    if openssl is None:
        return []
    literal = f"[{host}]" if ":" in host else host
    command = [openssl, "s_client", "-showcerts", "-connect", f"{literal}:{port}"]
    command += ["-servername", sni] if sni else ["-noservername"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=3 * timeout, check=False)
        return [one.der for one in parse_pem(done.stdout.decode("ascii", "replace"), "openssl s_client")]
    except (subprocess.TimeoutExpired, CertificateError):
        return []


def _explain_unreachable(where: str, host: str, exc: OSError, timeout: float) -> FetchError:
    if isinstance(exc, socket.gaierror):
        return FetchError(f"The name {host} does not resolve on this host.", "Check the name, or this host's resolver.")
    if isinstance(exc, ConnectionRefusedError):
        return FetchError(f"Nothing listens on {where}, seen from this host.", "Start the server, or check the port.")
    return FetchError(f"{where} did not answer within {timeout:g} s.", "Check firewalls between this host and it.")


def _parse_address(name: str) -> bytes | None:
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
