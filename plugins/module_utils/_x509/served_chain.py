# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetching the certificates of a server."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._x509 import tls12_hello
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import (
    Certificate,
    CertificateError,
    parse_der,
    parse_pem,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509.server_certificate import parse_address, to_ascii


class FetchError(RtcError):
    """The certificates of a server could not be fetched."""


def fetch_chain(host: str, port: int, server_name: str | None = None, timeout: float = 10.0) -> list[Certificate]:
    """The certificates that a TLS server sends, leaf first, exactly as it sends them; nothing is verified.

    :param server_name: what to ask for with SNI; the host when not given. An address is never asked for.
    :param timeout: seconds for each step of the connection.
    :raises FetchError: not reachable, not TLS, or this Python cannot see the whole chain of this server.
    """
    where = f"{host}:{port}"
    name = server_name or host
    sni = "" if parse_address(name) is not None else to_ascii(name)
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
