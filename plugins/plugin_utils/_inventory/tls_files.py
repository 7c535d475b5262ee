# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the certificate, key and authority hold that the inventory gives.

Runs on the controller. The result is data without secrets, so that the plan can be made and tested without any file.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from typing import Any, cast

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import ServedCertificate, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._x509 import chain as chains
from ansible_collections.collab.rtc.plugins.module_utils._x509 import pair, server_certificate
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import (
    Certificate,
    CertificateError,
    parse_pem,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import handshake

_MARK = re.compile("-----(?:BEGIN|END) [A-Z0-9 #]+-----")
TEST_AUTHORITY = "collab.rtc test authority"  # in the name of authorities that the lab and first steps make


@dataclass
class GivenTls:
    """The given certificate, checked. ``error`` and ``variable`` say what could not be read."""

    subject: str = ""
    names: list[str] = field(default_factory=list)  # DNS names and addresses of the leaf
    not_before: float = 0.0  # seconds since the epoch
    not_after: float = 0.0
    fingerprint: str = ""  # SHA-256 of the leaf, lower-case hex
    self_signed: bool = False
    missing: str = ""  # the issuer that is needed and neither in the file nor the authority
    top_subject: str = ""  # the self-signed end of the chain, where the given authority is another one
    top_fingerprint: str = ""
    refused: str = ""  # why clients do not take it, whatever the name and the time
    weak: str = ""  # "RSA 1024": too small for clients of today
    test_authority: bool = False
    key_given: bool = False
    key_matches: bool = True
    root_pem: str = ""  # what Java has to trust: the given authority, else the highest certificate of the chain
    root_subject: str = ""
    root_fingerprint: str = ""
    store_ca: str = ""  # PEM of whom the RTC server trusts at its store
    # Of each text a digest, which shows nothing of it: "certificate", "private_key", "authority" (of an upstream).
    digests: dict[str, str] = field(default_factory=dict)
    variable: str = ""  # the variable that ``error`` is about
    error: str = ""


def inspect(
    certificate: str, key: str | None, authority: str | None, upstream: str | None = None, store: str | None = None
) -> GivenTls:
    """Look into PEM texts; never raises for what they hold.

    :param certificate: leaf first, intermediate certificates after it. Empty: only an authority is given.
    :param key: the private key, not encrypted; ``None`` when none is given.
    :param authority: one or more certificates of authorities; ``None`` when none is given.
    :param upstream: the authority of Tomcat's own certificate, for the proxy; ``None`` when none is given.
    :param store: the authority of the store's certificate; ``None`` when none is given.
    """
    given = GivenTls(key_given=key is not None)
    if upstream is not None:
        _read(upstream, "rtc_upstream_ca", given, for_proxy=True)
    if store is not None:
        given.store_ca = "".join(item.pem() for item in _read(store, "rtc_store_ca", given))
    chain = _read(certificate, "rtc_tls_certificate", given, for_proxy=True) if certificate else []
    roots = _read(authority, "rtc_tls_ca", given) if authority is not None else []
    if chain:
        _describe(given, chain, roots)
        if key is not None:
            _match_key(given, chain[0], key)
    _set_root(given, chain, roots)
    if chain and key is not None and given.key_matches and not given.error and not given.missing:
        given.refused = handshake.find_refusal(certificate, key, given.root_pem)
    # Java does not ask one that is trusted itself what its key is for (sun.security.validator.Validator).
    if chain and not given.self_signed:
        given.refused = given.refused or handshake.explain_key_usage(chain[0].der)
    texts = {"certificate": certificate or None, "private_key": key, "authority": upstream}
    given.digests = {holds: make_digest(holds, text, given.names) for holds, text in texts.items() if text is not None}
    return given


def make_digest(holds: str, text: str, names: list[str]) -> str:
    """A text as a digest, salted with what it is for: equal keys of two sites do not show as equal."""
    return hmac.new(" ".join([holds, *names]).encode(), text.encode(), hashlib.sha256).hexdigest()


def _read(pem: str, variable: str, given: GivenTls, for_proxy: bool = False) -> list[Certificate]:
    try:
        found = parse_pem(pem, variable)
    except CertificateError as error:
        given.variable, given.error = variable, str(error)
        if "PRIVATE KEY" in pem:
            given.error = f"{variable} holds a private key instead of a certificate."
        elif pem.startswith("0") and "-----BEGIN" not in pem:  # a DER sequence begins with 0x30
            given.error = f"{variable} is not PEM but, as it seems, DER; convert it with openssl x509 -inform der."
        return []
    why = find_obstacle(pem, found) if for_proxy else ""
    if why:
        given.variable, given.error = variable, f"{variable} {why}"
    return found


def find_obstacle(pem: str, certificates: list[Certificate]) -> str:
    """Why a proxy cannot use a text with certificates as it stands, or must not; "" where it can.

    :param certificates: what stands in it, as it is read here: by more rules than OpenSSL has.
    """
    if pem.startswith("\ufeff"):
        return "begins with a byte order mark, and OpenSSL does not find the first certificate then."
    if "PRIVATE KEY-----" in pem:
        return "holds a private key too; every user of the proxy's host could read it there. Give it as rtc_tls_key."
    if "-----BEGIN PKCS7-----" in pem or "-----BEGIN CMS-----" in pem:
        return "is PKCS#7, which proxies do not read; convert it with openssl pkcs7 -print_certs."
    if "-----BEGIN TRUSTED " in pem:  # servers read it, and what is asked here does not
        return ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem.encode("ascii", "replace").decode("ascii"))
        loaded = context.cert_store_stats()["x509"]
    except (ssl.SSLError, ValueError):
        loaded = 0
    return "" if loaded >= len({one.der for one in certificates}) else _explain_unread(pem)


def _explain_unread(pem: str) -> str:
    """Why OpenSSL does not read all of a PEM text, though it is PEM."""
    remedy = "Let each mark have a line of its own and nothing but base64 between them, as openssl x509 writes it."
    for number, line in enumerate(re.split("\r?\n", pem), 1):
        if "\r" in line:
            return f"has line ends in line {number} that OpenSSL, and so the proxy, does not know (CR alone). {remedy}"
        mark = _MARK.search(line)
        if mark and line.rstrip(" \t\f") != mark[0]:
            return f"has more than a mark in line {number}, which OpenSSL, and so the proxy, does not read. {remedy}"
    return f"is not read by OpenSSL, and so by the proxy, as it stands. {remedy}"


def _describe(given: GivenTls, chain: list[Certificate], roots: list[Certificate]) -> None:
    leaf = chain[0]
    given.subject, given.fingerprint = leaf.subject, leaf.fingerprint
    given.names = leaf.alternative_names
    given.not_before, given.not_after = leaf.not_before.timestamp(), leaf.not_after.timestamp()
    given.self_signed = leaf.self_signed
    given.weak = server_certificate.weakness(leaf)
    given.test_authority = any(TEST_AUTHORITY in item.issuer for item in chain + roots)
    _set_end(given, chains.climb(leaf, chain), roots)


def _set_end(given: GivenTls, sent: list[Certificate], roots: list[Certificate]) -> None:
    """Where the chain ends, if that is not the authority: at an issuer that is missing, or at another root."""
    top = sent[-1]
    # An authority may stand anywhere in the chain: Java trusts an intermediate certificate as it does a root.
    if any(one == root or chains.issued(one, root) for root in roots for one in sent):
        return
    if top.self_signed:
        given.top_subject, given.top_fingerprint = (top.subject, top.fingerprint) if roots else ("", "")
    # Without the authority, a chain that ends in an intermediate certificate is as complete as servers send them.
    elif roots or len(sent) == 1:
        given.missing = top.issuer


def _set_root(given: GivenTls, chain: list[Certificate], roots: list[Certificate]) -> None:
    try:
        anchors = [item.certificate for item in chains.trust_anchors(roots or chain)]
    except chains.NoAnchorError:
        return  # only a leaf is known, and trusting a leaf ends with its renewal
    if anchors:
        given.root_pem = "".join(item.pem() for item in anchors)
        given.root_subject, given.root_fingerprint = anchors[0].subject, anchors[0].fingerprint


def _match_key(given: GivenTls, leaf: Certificate, key: str) -> None:
    # Ansible itself needs cryptography on the controller; managed hosts never come here.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
        load_der_public_key,
        load_pem_private_key,
    )

    try:
        private = load_pem_private_key(key.encode(), None)
    except TypeError:
        given.variable, given.error = "rtc_tls_key", "the key is encrypted with a pass phrase; proxies cannot read it."
    except (ValueError, UnsupportedAlgorithm):
        given.variable, given.error = "rtc_tls_key", "there is no private key in PEM form in it."
        if "-----BEGIN" in key and key.count("-----BEGIN") != key.count("-----END"):
            given.error = "the key is cut short: BEGIN without its END."
    else:
        form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        try:  # a key has several forms: a point that is compressed, a curve by its numbers, RSA for PSS only
            certified = load_der_public_key(leaf.public_key).public_bytes(*form)
        except (ValueError, UnsupportedAlgorithm):
            certified = leaf.public_key
        given.key_matches = private.public_key().public_bytes(*form) == certified
        if given.key_matches and not given.error and _is_unread(leaf, key):
            given.variable, given.error = "rtc_tls_key", f"the key {_explain_unread(key)}"


def _is_unread(leaf: Certificate, key: str) -> bool:
    """Whether OpenSSL does not find the key in a text in which it was found here."""
    try:
        return "PEM" in pair.find_fault(leaf.pem().encode(), key.encode(), weak=True)
    except RtcError:  # this controller has no files in memory
        return False


@dataclass
class _Names:
    dns_names: tuple[str, ...]
    ip_addresses: tuple[bytes, ...]


def names_cover(names: list[str], server_name: str) -> bool:
    """Whether a certificate with these names is for ``server_name``."""
    addresses = {name: packed for name, packed in ((name, _pack(name)) for name in names) if packed}
    dns = tuple(name for name in names if name not in addresses)
    return server_certificate.match_name(cast(Any, _Names(dns, tuple(addresses.values()))), server_name)


def choose_certificate(vhost: VirtualHost, server_name: str) -> ServedCertificate:
    """The certificate that a virtual host presents for a name: one that is for it, else the first."""
    first = ServedCertificate(
        vhost.certificate, vhost.key or vhost.certificate, vhost.certificate_names, vhost.certificate_expires
    )
    served = vhost.certificates or [first]
    return next((item for item in served if names_cover(item.names, server_name)), served[0])


def _pack(name: str) -> bytes:
    try:
        return ipaddress.ip_address(name).packed
    except ValueError:
        return b""
