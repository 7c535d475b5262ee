# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificate chains: who issued whom, in which order, and which certificate to trust."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import Certificate, CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

POLICIES = ("issuer", "all", "exact")
_RSA_HASHES = {  # signature algorithm -> hash and the DER of its AlgorithmIdentifier's OID (RFC 8017, appendix A.2.4)
    "1.2.840.113549.1.1.4": ("md5", "1.2.840.113549.2.5"), "1.2.840.113549.1.1.5": ("sha1", "1.3.14.3.2.26"),
    "1.2.840.113549.1.1.14": ("sha224", "2.16.840.1.101.3.4.2.4"),
    "1.2.840.113549.1.1.11": ("sha256", "2.16.840.1.101.3.4.2.1"),
    "1.2.840.113549.1.1.12": ("sha384", "2.16.840.1.101.3.4.2.2"),
    "1.2.840.113549.1.1.13": ("sha512", "2.16.840.1.101.3.4.2.3"),
}  # fmt: skip
# As sun.security.rsa.RSAKeyFactory: the longest key, and of keys longer than another the longest exponent.
_MOST_BITS, _SHORT_MODULUS, _SHORT_EXPONENT = 16384, 3072, 64
_ECDSA_HASHES = {
    "1.2.840.10045.4.3.1": "SHA224",
    "1.2.840.10045.4.3.2": "SHA256",
    "1.2.840.10045.4.3.3": "SHA384",
    "1.2.840.10045.4.3.4": "SHA512",
}


class NoAnchorError(CertificateError):
    """A chain has no certificate that would still be right after the next renewal."""


@dataclass(frozen=True)
class Anchor:
    """A certificate to trust.

    :param certificate: the certificate.
    :param known: it is one of the ``extra`` certificates: trusted already.
    """

    certificate: Certificate
    known: bool = False


def trust_anchors(
    chain: Sequence[Certificate],
    extra: Iterable[Certificate] = (),
    policy: str = "issuer",
    source: str = "The certificate",
) -> list[Anchor]:
    """What to trust so that servers with these certificates are trusted, now and after their renewal.

    :param chain: what was given or fetched: one chain or several, in any order.
    :param extra: what is trusted already; it completes chains whose root was not sent.
    :param policy: ``issuer``: of each chain the root, or the highest CA there is, and a leaf only when it is
        self-signed. ``all``: every CA, and a self-signed leaf. ``exact``: every certificate given, as it is.
    :param source: how errors call the chain.
    :raises NoAnchorError: ``issuer`` or ``all``, and the chain is a leaf whose issuer is not there.
    """
    given = list(dict.fromkeys(chain))
    known = {one.fingerprint: one for one in extra}
    if policy == "exact":
        return [Anchor(one, one.fingerprint in known) for one in given]
    tops = {}
    for leaf in _find_ends(given):
        for top in _find_tops(leaf, given, list(known.values())):
            if not top.is_ca and not top.self_signed and top.fingerprint not in known:
                raise _no_anchor(top, source)
            tops[top.fingerprint] = top
    if policy == "all":
        tops = {one.fingerprint: one for one in given if one.is_ca} or tops
        tops.update({one.fingerprint: one for one in given if one.self_signed})
    return [Anchor(top, fingerprint in known) for fingerprint, top in tops.items()]


def climb(leaf: Certificate, given: Sequence[Certificate], extra: Sequence[Certificate] = ()) -> list[Certificate]:
    """The chain from a certificate up to a self-signed one, or as far as the certificates reach. The leaf is first."""
    path = [leaf]
    while not path[-1].self_signed:
        issuer = _find_issuer(path[-1], given, extra, path)
        if issuer is None:
            break
        path.append(issuer)
        if issuer in extra and issuer not in given:
            break  # trusted already: nothing above it matters
    return path


def order(certificates: Sequence[Certificate]) -> list[Certificate]:
    """The chain in the order in which a server must send it: leaf first, each followed by its issuer.

    Certificates that have no place in the chain come last, in the order in which they were.
    """
    given = list(dict.fromkeys(certificates))
    if not given:
        return []
    ends = _find_ends(given)
    leaf = next((one for one in ends if not one.is_ca), ends[0])
    path = climb(leaf, given)
    return path + [one for one in given if one not in path]


def issued(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the second issued the first, by name, key identifiers and, where it can be checked here, signature."""
    if not issuer.is_ca or not same_name(certificate.issuer_der, issuer.subject_der):
        return False
    if certificate.aki and issuer.ski and certificate.aki != issuer.ski:
        return False
    return signed(certificate, issuer) is not False


@lru_cache(maxsize=1024)
def signed(certificate: Certificate, issuer: Certificate) -> bool | None:
    """Whether the signature of the first was made with the key of the second.

    :returns: ``None`` when it cannot be checked: an elliptic curve or another algorithm, and no ``cryptography`` here.
    """
    try:
        tbs, algorithm, signature = asn1.read(certificate.der).children(asn1.SEQUENCE)
        oid = algorithm.children(asn1.SEQUENCE)[0].oid()
        if oid in _RSA_HASHES:
            return issuer.key_type == "RSA" and _verify_rsa(
                issuer.public_key, tbs.raw, signature.bits(), *_RSA_HASHES[oid]
            )
        if oid in _ECDSA_HASHES:
            return _verify_ecdsa(issuer, tbs.raw, signature.bits(), _ECDSA_HASHES[oid])
        return _verify_other(certificate, issuer)
    except (asn1.DerError, ValueError, IndexError):
        return False
    return None


def _find_ends(given: Sequence[Certificate]) -> list[Certificate]:
    """The certificates that issued none of the others: where chains start. In a ring of cross-certificates: all.

    A self-signed one has no issuer but itself: two roots of the same name and key did not issue each other.
    """
    below = [one for one in given if not one.self_signed]
    ends = [one for one in given if not any(issued(other, one) for other in below if other != one)]
    return ends or list(given)


def _find_tops(leaf: Certificate, given: Sequence[Certificate], extra: Sequence[Certificate]) -> list[Certificate]:
    """Where the chain of a certificate ends. Where nothing here tells which of several given ones of the same name
    issued one (an authority and its successor, without key identifiers), the ends of all."""
    path = climb(leaf, given, extra)
    tops = [path[-1]]
    for below, issuer in zip(path, path[1:]):
        if not _is_certain(below, issuer):
            others = [one for one in given if one not in path and issued(below, one) and not _is_certain(below, one)]
            tops += [climb(one, given, extra)[-1] for one in others]
    return tops


def _is_certain(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether more than the name says who issued it: the signature, or the identifiers of the key."""
    return bool(issuer.ski and certificate.aki == issuer.ski) or bool(signed(certificate, issuer))


def _find_issuer(
    certificate: Certificate, given: Sequence[Certificate], extra: Sequence[Certificate], path: Sequence[Certificate]
) -> Certificate | None:
    # A root is better than a cross-certificate of the same CA, which leads to a root that may be long gone.
    candidates = [one for one in [*given, *extra] if one not in path and issued(certificate, one)]
    # Where the name alone speaks for some, those that are given count before those that are trusted already.
    candidates.sort(
        key=lambda one: (
            0 if _is_certain(certificate, one) else 1 if one in given else 2,
            not one.self_signed,
            -one.not_after.timestamp() if one.self_signed else 0,
        )
    )
    return candidates[0] if candidates else None


def _no_anchor(top: Certificate, source: str) -> NoAnchorError:
    where = f" Its CA publishes it at {top.ca_issuers[0]}." if top.ca_issuers else ""
    return NoAnchorError(
        f"{source} ends with the certificate '{top.subject}'; its issuer '{top.issuer}' is neither given nor in the "
        "store.",
        "Trusting the server's own certificate would last until its next renewal. Give the certificate of the issuing "
        f"CA (or let the server send its whole chain), or ask for trust=exact.{where}",
    )


@lru_cache(maxsize=4096)
def _normalise_name(name: bytes) -> tuple[tuple[tuple[str, str], ...], ...]:
    """A name for comparison: neither case, spaces nor the type of string count (RFC 5280, 7.1, as Java does it)."""
    parts = []
    for part in asn1.read(name).children(asn1.SEQUENCE):
        pairs = []
        for item in part.children(asn1.SET):
            oid, value = item.children(asn1.SEQUENCE)
            try:
                text = " ".join(value.text().casefold().split())
            except asn1.DerError:
                text = value.raw.hex()
            pairs.append((oid.oid(), text))
        parts.append(tuple(sorted(pairs)))
    return tuple(parts)


def same_name(left: bytes, right: bytes) -> bool:
    """Whether two names (DER) are equal; case, spaces and the type of string do not count (RFC 5280, 7.1)."""
    return left == right or _normalise_name(left) == _normalise_name(right)


def _verify_rsa(key: bytes, message: bytes, signature: bytes, digest: str, oid: str) -> bool:
    """RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.2): the expected block is built and compared, not parsed."""
    numbers = asn1.read(asn1.read(key).children()[1].bits()).children(asn1.SEQUENCE)
    modulus, exponent = (number.integer() for number in numbers)
    bits = modulus.bit_length()
    if bits > _MOST_BITS or not 0 < exponent < 1 << (_SHORT_EXPONENT if bits > _SHORT_MODULUS else bits):
        return False  # Java refuses it, too, and to calculate with it may take hours
    size = (modulus.bit_length() + 7) // 8
    block = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big")
    value = asn1.encode(asn1.OCTET_STRING, hashlib.new(digest, message).digest())
    for parameters in (asn1.encode(asn1.NULL), b""):
        info = asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.SEQUENCE, asn1.encode_oid(oid), parameters), value)
        if block == b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info:
            return True
    return False


def _verify_other(certificate: Certificate, issuer: Certificate) -> bool | None:
    """Edwards curves, RSA-PSS."""
    try:
        from cryptography import x509  # noqa: PLC0415 - optional
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415
    except ImportError:
        return None
    try:
        below, above = (x509.load_der_x509_certificate(one.der) for one in (certificate, issuer))
        below.verify_directly_issued_by(above)
    except InvalidSignature:
        return False
    except (AttributeError, TypeError, ValueError, UnsupportedAlgorithm):  # before version 40; names in another form
        return None
    return True


def _verify_ecdsa(issuer: Certificate, message: bytes, signature: bytes, digest: str) -> bool | None:
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415 - optional
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415
    except ImportError:
        return None
    try:
        key = load_der_public_key(issuer.public_key)
    except UnsupportedAlgorithm:  # a curve that is not known here
        return None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(signature, message, ec.ECDSA(getattr(hashes, digest)()))
    except InvalidSignature:
        return False
    return True
