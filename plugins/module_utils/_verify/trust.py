# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check trusts when it speaks TLS, and how it shows the certificate that it met.

A Java trust store is in ``truststore``: its readers are 1,500 lines, which go only to modules that have the option.
"""

from __future__ import annotations

import contextlib
import datetime
import ssl
from typing import Any, Iterable, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import (
    CertificateError,
    parse_certificates,
    parse_der,
    parse_pem,
)

_PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN; ssl names it from Python 3.10 on
_SIZE_LIMIT = 4 << 20  # bytes of a file with certificates


def context_of(url: str, ca: Sequence[str], system: bool = False, more: bool = False) -> ssl.SSLContext | None:
    """What a check of this URL trusts; ``None`` for http, which needs no trust.

    :param ca: certificates, each a PEM text or the path of a file.
    :param system: also trust the system's CAs.
    :param more: the caller adds certificates (:func:`trust_more`), so having none yet is no error.
    :raises RtcError: a certificate is unreadable, or it is https and nothing is trusted.
    """
    if not url.lower().startswith("https:"):
        return None
    if not (ca or system or more):
        raise RtcError(
            f"There is nothing to trust {url} by.",
            "Give ca or truststore, or say system_trust: true for the system's CAs.",
        )
    return make_context([der for source in ca for der in read_certificates(source)], system)


def read_certificates(source: str) -> list[bytes]:
    """The certificates (DER) of a PEM text, or of a file in PEM, DER or PKCS#7.

    :raises RtcError: unreadable, or no certificate in it.
    """
    if "-----BEGIN" in source:
        found = parse_pem(source, "ca")
    else:
        found = parse_certificates(_files.read_bytes(source, _SIZE_LIMIT), source)
    return [item.der for item in found]


def make_context(certificates: Iterable[bytes], system: bool = False) -> ssl.SSLContext:
    """A TLS client that trusts these certificates (DER), and the system's only when asked.

    Each of them is trusted as it stands, an issuing CA or a server's own certificate too: so does Java.

    :raises RtcError: one of them is not a certificate that OpenSSL reads.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the chain and the name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VerifyFlags(_PARTIAL_CHAIN)
    if system:
        context.load_default_certs()
    try:
        for der in certificates:
            context.load_verify_locations(cadata=der)
    except (ssl.SSLError, ValueError) as exc:
        raise RtcError(f"ca: a certificate cannot be read: {exc}.", "Give PEM certificates.") from exc
    return context


def trust_more(context: ssl.SSLContext, certificates: Iterable[bytes]) -> None:
    """Trust these (DER) too, as far as OpenSSL can read them: a Java trust store holds whatever was put into it."""
    for der in certificates:
        with contextlib.suppress(ssl.SSLError, ValueError):
            context.load_verify_locations(cadata=der)


def describe(der: bytes) -> dict[str, Any]:
    """A certificate as the modules return it: ``{subject, issuer, names, expires, days_left}``; empty without one."""
    try:
        certificate = parse_der(der)
    except CertificateError:
        return {}
    left = certificate.not_after - datetime.datetime.now(datetime.timezone.utc)
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "names": certificate.alternative_names,
        "expires": certificate.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "days_left": left.days,
    }
