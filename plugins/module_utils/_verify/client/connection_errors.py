# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From how a connection failed to why: causes and remedies.

Pure functions: an exception goes in, a :class:`CheckError` comes out. What an HTTP answer means is in ``http_errors``.
"""

from __future__ import annotations

import datetime
import errno
import socket
import ssl
from typing import Sequence

from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import Certificate

# --- reaching it --------------------------------------------------------------------------------------


def unresolved(name: str, exc: Exception) -> CheckError:
    """The name has no address here."""
    reason = getattr(exc, "strerror", None) or str(exc)
    return CheckError(
        "name_unresolved",
        f"{name} does not resolve: {reason}.",
        "The name is not in the DNS, or the host that asks uses another DNS than the users do.",
        f"Add {name} to the DNS that this host uses, or to its /etc/hosts; or correct the server name.",
    )


def unreachable(place: str, errors: Sequence[tuple[str, OSError]], timeout: float) -> CheckError:
    """No address took the connection; the last error decides the cause, the message names all."""
    reasons = "; ".join(f"{address}: {_show_reason(exc)}" for address, exc in errors) or "there is no address"
    detail = f"No connection to {place}: {reasons}."
    last: OSError = errors[-1][1] if errors else OSError(errno.EHOSTUNREACH, "no address")
    if isinstance(last, ConnectionRefusedError):
        return CheckError(
            "connection_refused",
            detail,
            "Nothing listens there: the service (or the proxy's virtual host for this port) is not running, or it "
            "listens on another address or port; a firewall that rejects looks the same.",
            "Look at what listens (ss -tlnp), start the service or enable the virtual host; the port must be the same "
            "number on the proxy and on the application's host.",
        )
    if isinstance(last, socket.timeout) or last.errno == errno.ETIMEDOUT:
        return CheckError(
            "connect_timeout",
            f"{detail} Waited {timeout:g} s for each address.",
            "A firewall or security group drops the packets, or the address is not the host's.",
            "Open the port on all the path (host firewall, network, load balancer), or correct the address.",
        )
    return CheckError(
        "unreachable",
        detail,
        "There is no route to that address from here.",
        "Check the address, the route and the firewall.",
    )


def _show_reason(exc: BaseException) -> str:
    if isinstance(exc, socket.timeout):
        return "no answer"
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__


def interrupted(place: str, exc: OSError, timeout: float) -> CheckError:
    """Reading or writing an established connection failed."""
    if isinstance(exc, socket.timeout):
        return CheckError(
            "no_answer",
            f"{place} takes the connection, but gave no (whole) answer within {timeout:g} s.",
            "The proxy waits for a service that hangs or is behind a firewall, or something holds the answer back "
            "(buffering).",
            "Check from the proxy that the service answers on its port, and that proxy buffering is off for it.",
        )
    if isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLEOFError):
        return _explain_alert(place, exc)
    return CheckError(
        "reset",
        f"{place} broke the connection: {_show_reason(exc)}.",
        "The service or the proxy ended the connection: it restarted, or it speaks another protocol on this port.",
        "Look into the log of the proxy and of the service; check that http and https agree with the port.",
    )


def closed(place: str, tls: bool) -> CheckError:
    """The connection ended before an answer began."""
    if tls:
        cause = "The proxy or the service closed it; for a proxy in TCP mode: its backend is down."
        remedy = "Look into the proxy's log, and check that the service runs and speaks the upstream's protocol."
    else:
        cause = "The port may want https while http was spoken, or a proxy in TCP mode has no backend that is up."
        remedy = "Check that page, proxy and service all use http, or all https; check that the service runs."
    return CheckError("closed", f"{place} closed the connection without an answer.", cause, remedy)


# --- TLS ----------------------------------------------------------------------------------------------

# Verification results of OpenSSL, X509_V_ERR_... (x509_vfy.h).
_NOT_YET_VALID = 9
_EXPIRED = 10
_SELF_SIGNED = 18  # DEPTH_ZERO_SELF_SIGNED_CERT
_SELF_SIGNED_IN_CHAIN = 19
_NO_ISSUER = (2, 20, 21)  # UNABLE_TO_GET_ISSUER_CERT, ..._LOCALLY, UNABLE_TO_VERIFY_LEAF_SIGNATURE
_NAME_MISMATCH = (62, 64)  # HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH


def tls(place: str, name: str, exc: Exception, chain: Sequence[Certificate], whole: bool = True) -> CheckError:
    """A TLS handshake failed.

    :param chain: what the server presents, where it could be seen.
    :param whole: all of it could be seen, not only its first certificate.
    """
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _explain_verification(place, name, exc.verify_code, exc.verify_message, chain, whole)
    if isinstance(exc, socket.timeout):
        return CheckError(
            "no_answer",
            f"{place} takes the connection, but does not answer the TLS handshake.",
            "Something that does not speak TLS waits on this port, or a proxy waits for a backend that hangs.",
            "Check that the port's virtual host has TLS switched on, or use http.",
        )
    if isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLEOFError):
        return _explain_alert(place, exc)
    return CheckError(
        "tls_not_spoken",
        f"{place} closed the connection during the TLS handshake: {_show_reason(exc)}.",
        "The service on this port does not speak TLS, or it knows no certificate for this name.",
        "Check that the virtual host of this port has TLS and this server name, or use http.",
    )


# Reasons of OpenSSL, parts of them.
_NOT_TLS = ("WRONG_VERSION", "HTTP_REQUEST", "RECORD_LAYER", "UNKNOWN_PROTOCOL", "PACKET_LENGTH")
_OLD_TLS = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS", "VERSION_TOO_LOW")


def _explain_alert(place: str, exc: ssl.SSLError) -> CheckError:
    reason = (exc.reason or str(exc)).upper()
    detail = f"TLS with {place} failed: {exc.reason or exc}."
    if any(word in reason for word in _NOT_TLS):
        return CheckError(
            "tls_not_spoken",
            detail,
            "The port answers, but not with TLS: it is plain HTTP.",
            "Switch TLS on for this port where TLS is to end, or use http for page and service alike.",
        )
    if any(word in reason for word in _OLD_TLS):
        return CheckError(
            "tls_protocol",
            detail,
            "Server and client share no TLS version: the server offers less than TLS 1.2.",
            "Switch TLS 1.2 and 1.3 on at the server.",
        )
    if "CERTIFICATE_REQUIRED" in reason or "BAD_CERTIFICATE" in reason:
        return CheckError(
            "tls_refused",
            detail,
            "The server wants a certificate of the client.",
            "Switch client certificates off for this port: browsers of users have none.",
        )
    return CheckError(
        "tls_refused",
        detail,
        "The server ended the handshake: it has no certificate for this name, no cipher in common, or its key is "
        "missing.",
        "Check the server name and the certificate of the virtual host, and the server's log.",
    )


def _explain_verification(
    place: str, name: str, code: int, words: str, chain: Sequence[Certificate], whole: bool
) -> CheckError:
    own = chain[0] if chain else None
    shown = f" It shows: {describe(own)}." if own else ""
    detail = f"The certificate of {place} is not accepted: {words}.{shown}"
    if code in _NAME_MISMATCH:
        return CheckError(
            "tls_wrong_name",
            detail,
            f"The certificate is not for {name}"
            + (f", but for {', '.join(own.alternative_names) or own.subject}." if own else "."),
            f"Use a certificate that names {name} (subject alternative name); where several virtual hosts share the "
            "address, check that the right one answers.",
        )
    if code in (_EXPIRED, _NOT_YET_VALID):
        return _explain_dates(detail, code, chain)
    if code in (_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN, *_NO_ISSUER):
        return _explain_trust(detail, code, chain, whole)
    return CheckError(
        "tls_untrusted",
        detail,
        f"The chain of certificates does not hold: {words}.",
        "Look at the chain: openssl s_client -showcerts -connect …",
    )


def _explain_dates(detail: str, code: int, chain: Sequence[Certificate]) -> CheckError:
    if code == _NOT_YET_VALID:
        return CheckError(
            "tls_not_yet_valid",
            detail,
            "The certificate's time has not begun, or a clock is wrong.",
            "Set the clocks of both hosts (NTP).",
        )
    now = datetime.datetime.now(datetime.timezone.utc)
    late = next((item for item in chain if item.not_after < now), None)
    which = f"{late.subject} ended on {late.not_after:%Y-%m-%d}" if late else "a certificate of the chain has ended"
    return CheckError(
        "tls_expired", detail, f"Expired: {which}.", "Renew it, install it with its chain, reload the server."
    )


def _explain_trust(detail: str, code: int, chain: Sequence[Certificate], whole: bool) -> CheckError:
    if code == _SELF_SIGNED:
        return CheckError(
            "tls_self_signed",
            detail,
            "The server's certificate is signed by itself and is not among those that are trusted here.",
            "Import this certificate into the trust store, or use one of a CA.",
        )
    if not chain:
        return _untrusted(detail, "its CA")
    top, missing = _find_top(chain)
    if missing and whole and len(chain) > 1 and top is not chain[-1]:
        return _incomplete(
            detail, f"The server sends other certificates, but not {missing}, which signed {top.subject}."
        )
    if missing and len(chain) == 1:
        return _incomplete(
            detail,
            ("The server sends only its own certificate" if whole else "The server's certificate is")
            + f", signed by {missing}. Either that is an intermediate CA, which the server must send (incomplete "
            "chain), or it is a CA that is not trusted here.",
        )
    return _untrusted(detail, missing or top.subject)


def _find_top(chain: Sequence[Certificate]) -> tuple[Certificate, str]:
    # Up from the server's own certificate, in whatever order the rest was sent.
    by_name = {item.subject_der: item for item in chain[1:]}
    top = chain[0]
    for _step in chain:
        if top.self_signed:
            return top, ""
        if top.issuer_der not in by_name:
            return top, top.issuer
        top = by_name[top.issuer_der]
    return top, ""


def _incomplete(detail: str, cause: str) -> CheckError:
    return CheckError(
        "tls_incomplete_chain",
        detail,
        cause,
        "Let the server send its certificate with all intermediate CAs (nginx: the full chain in ssl_certificate); "
        "browsers may hide this, Java does not. If the signer is the root itself, import it into the trust store.",
    )


def _untrusted(detail: str, signer: str) -> CheckError:
    return CheckError(
        "tls_untrusted",
        detail,
        f"{signer} is not among the certificates that are trusted here.",
        "Import this CA into the trust store of the application's JRE (role truststore), and give it to the clients.",
    )


def describe(item: Certificate) -> str:
    """A certificate in a few words."""
    names = f" for {', '.join(item.alternative_names)}" if item.alternative_names else ""
    return f"{item.subject}{names}, signed by {item.issuer}, until {item.not_after:%Y-%m-%d}"
