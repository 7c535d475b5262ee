# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""X.509 certificates: reading them from PEM, DER and PKCS#7, and what is in them (RFC 5280)."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import ipaddress
import re
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1

# Short names of RFC 4514 and the ones that OpenSSL and Java print beside them.
_ATTRIBUTES = {
    "2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID", "1.2.840.113549.1.9.1": "emailAddress",
}  # fmt: skip
# Extensions (RFC 5280, 4.2).
_SAN = "2.5.29.17"  # subjectAltName
_BASIC_CONSTRAINTS = "2.5.29.19"
_SKI = "2.5.29.14"  # subjectKeyIdentifier
_AKI = "2.5.29.35"  # authorityKeyIdentifier
_AIA = "1.3.6.1.5.5.7.1.1"  # authorityInfoAccess
_CA_ISSUERS = "1.3.6.1.5.5.7.48.2"
_RSA, _EC, _DSA, _PSS = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.2.840.10040.4.1", "1.2.840.113549.1.1.10"
_EDWARDS = {"1.3.101.112": ("Ed25519", 256), "1.3.101.113": ("Ed448", 456)}
_CURVES = {  # bits
    "1.2.840.10045.3.1.7": 256, "1.3.132.0.34": 384, "1.3.132.0.35": 521, "1.3.132.0.10": 256, "1.3.132.0.33": 224,
}  # fmt: skip
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_MARK = re.compile(r"-----(BEGIN|END) ([A-Z0-9 #]+)-----")
_CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
_PKCS7 = ("PKCS7", "CMS", "PKCS #7 SIGNED DATA")
_PADDING = b" \t\r\n\0\x1a"  # behind a DER file


class CertificateError(RtcError):
    """Not a certificate, or not one that can be read."""


@dataclass(frozen=True)
class Certificate:
    """What matters of a certificate. Two are equal when their bytes are.

    Names are texts for people (RFC 4514 order reversed: as they stand in the certificate); ``subject_der`` and
    ``issuer_der`` are what is compared. Times are in UTC. ``ski`` and ``aki`` are the key identifiers of subject and
    issuer.
    """

    der: bytes = field(repr=False)
    fingerprint: str = field(compare=False)  # SHA-256, lower-case hexadecimal
    subject: str = field(compare=False)
    issuer: str = field(compare=False)
    common_name: str = field(compare=False)
    serial: int = field(compare=False)
    not_before: datetime.datetime = field(compare=False)
    not_after: datetime.datetime = field(compare=False)
    dns_names: tuple[str, ...] = field(compare=False)
    ip_addresses: tuple[bytes, ...] = field(compare=False)  # 4 or 16 bytes each
    is_ca: bool = field(compare=False)  # basicConstraints say so, or it is of version 1 and signed by itself
    key_type: str = field(compare=False)  # "RSA" | "EC" | "DSA" | "Ed25519" | ... | OID
    key_bits: int = field(compare=False)  # 0: unknown
    ca_issuers: tuple[str, ...] = field(compare=False)  # addresses where the issuer's certificate is published
    subject_der: bytes = field(repr=False, compare=False)
    issuer_der: bytes = field(repr=False, compare=False)
    public_key: bytes = field(repr=False, compare=False)  # SubjectPublicKeyInfo, DER
    ski: bytes = field(default=b"", repr=False, compare=False)
    aki: bytes = field(default=b"", repr=False, compare=False)

    @property
    def self_signed(self) -> bool:
        """Issued to itself: same name, and the same key as far as the identifiers tell."""
        return self.subject_der == self.issuer_der and (not self.aki or not self.ski or self.aki == self.ski)

    @property
    def kind(self) -> str:
        """``root``, ``intermediate`` or ``leaf``; a leaf may be self-signed."""
        if not self.is_ca:
            return "leaf"
        return "root" if self.self_signed else "intermediate"

    @property
    def alternative_names(self) -> list[str]:
        """The DNS names and addresses that the certificate is for (``subjectAltName``), as text.

        An address that stands there as a name is neither: no client takes it for the address, and it is shown as such.
        """
        addresses = (str(ipaddress.ip_address(raw)) for raw in self.ip_addresses if len(raw) in (4, 16))
        return [*(f"DNS:{one}" if _is_address(one) else one for one in self.dns_names), *addresses]

    def pem(self) -> str:
        """The certificate as PEM text."""
        text = base64.b64encode(self.der).decode("ascii")
        lines = [text[i : i + 64] for i in range(0, len(text), 64)]
        return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def parse_der(data: bytes, source: str = "The certificate") -> Certificate:
    """Read one certificate.

    :param source: how errors call it.
    :raises CertificateError: the bytes are not a certificate.
    """
    try:
        return _build_certificate(asn1.read(data))
    except (asn1.DerError, ValueError, IndexError) as exc:
        raise CertificateError(
            f"{source} is not an X.509 certificate: {exc}.", "Export it again, as PEM or DER."
        ) from exc


def _is_address(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def read_names(data: bytes) -> tuple[bytes, bytes]:
    """Subject and issuer of a certificate as DER, without reading the rest.

    :raises DerError: ill-formed.
    """
    fields, start = _split_fields(asn1.read(data))
    return fields[start + 5].raw, fields[start + 3].raw


def parse_pem(text: str, source: str) -> list[Certificate]:
    """All certificates of a PEM text, in its order. Other things in it (keys, comments, the text form) are passed over.

    PKCS#7 blocks (``.p7b`` files as Windows exports them) are taken too.

    :param source: how errors call it: a path, or the name of the option.
    :raises CertificateError: there is none, or one is broken; says the line.
    """
    found: list[Certificate] = []
    lines, opened = text.splitlines(), ("", 0)
    for number, line in enumerate(lines, 1):
        mark = _MARK.search(line)
        if mark is None:
            continue
        kind, label = mark.groups()
        if _MARK.search(line, mark.end()):  # Neither Java nor OpenSSL reads on here
            raise CertificateError(
                f"{source}, line {number}: two marks in one line, '{line.strip()[:90]}'.",
                "A line break was lost where files were joined: let each mark begin a line of its own.",
            )
        if kind == "BEGIN":
            if opened[0]:
                raise _unfinished(source, opened)
            opened = (label, number)
        elif opened[0] == label:
            found += _parse_block(label, lines[opened[1] : number - 1], f"{source}, line {opened[1]}")
            opened = ("", 0)
        else:
            raise CertificateError(f"{source}, line {number}: END {label} without its BEGIN.", "Copy the whole block.")
    if opened[0]:
        raise _unfinished(source, opened)
    if not found:
        raise CertificateError(
            f"{source} holds no certificate.", "It must have a line '-----BEGIN CERTIFICATE-----', or be a DER file."
        )
    return found


def parse_certificates(data: bytes, source: str) -> list[Certificate]:
    """All certificates of a file: PEM, DER, or PKCS#7 in either form.

    :raises CertificateError: as :func:`parse_pem`.
    """
    if data[:1] == b"\x30" and b"-----BEGIN" not in data[:1024]:
        found: list[Certificate] = []
        try:
            while data:  # Java passes over what editors and transfers append, too
                value = asn1.read_first(data)
                found += _parse_value(value, source)
                data = data[len(value.raw) :].lstrip(_PADDING)
            return found
        except (ValueError, IndexError) as exc:  # DerError is a ValueError
            raise CertificateError(f"{source} is not an X.509 certificate: {exc}.", "Export it again.") from exc
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return parse_pem(data.decode(encoding, "replace"), source)


def _parse_value(value: asn1.Value, source: str) -> list[Certificate]:
    """A certificate, or a PKCS#7 file of them: what it is called does not count, its content does."""
    pkcs7 = [child.tag for child in value.children()[:1]] == [asn1.OID]
    return _parse_signed_data(value, source) if pkcs7 else [parse_der(value.raw, source)]


def _unfinished(source: str, opened: tuple[str, int]) -> CertificateError:
    label, line = opened
    return CertificateError(
        f"{source}, line {line}: BEGIN {label} without its END.", "The file is cut short: copy it whole."
    )


def _parse_block(label: str, lines: list[str], source: str) -> list[Certificate]:
    if label not in _CERTIFICATES and label not in _PKCS7:
        return []
    content = "".join(line.strip() for line in lines if ":" not in line)  # RFC 1421 headers have a colon
    try:
        data = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise CertificateError(f"{source}: the block is not base64: {exc}.", "Copy the whole block.") from exc
    try:
        if label in _PKCS7 or label == "CERTIFICATE":  # Windows and some authorities call PKCS#7 a certificate
            return _parse_value(asn1.read(data), source)
        if label == "TRUSTED CERTIFICATE":  # OpenSSL's own: its trust settings follow the certificate
            data = asn1.read_first(data).raw
    except (ValueError, IndexError) as exc:
        raise CertificateError(f"{source} is not an X.509 certificate: {exc}.", "Copy the whole block.") from exc
    return [parse_der(data, source)]


def _parse_signed_data(value: asn1.Value, source: str) -> list[Certificate]:
    """The certificates of a PKCS#7 SignedData (RFC 5652, 5.1)."""
    oid, content = value.children(asn1.SEQUENCE)[:2]
    fields = content.children(0xA0)[0].children(asn1.SEQUENCE) if oid.oid() == _SIGNED_DATA else []
    certificates = [item for item in fields if item.tag == 0xA0]
    if not certificates:
        raise CertificateError(f"{source} is PKCS#7, but holds no certificates.", "Export the certificates.")
    return [parse_der(item.raw, source) for item in certificates[0].children() if item.tag == asn1.SEQUENCE]


def _split_fields(value: asn1.Value) -> tuple[list[asn1.Value], int]:
    """The fields of the TBSCertificate, and where the serial number is minus one (the version is optional)."""
    fields = value.children(asn1.SEQUENCE)[0].children(asn1.SEQUENCE)
    return fields, 0 if fields[0].tag == 0xA0 else -1


def _build_certificate(value: asn1.Value) -> Certificate:
    fields, start = _split_fields(value)
    serial, _algorithm, issuer, validity, subject, key = fields[start + 1 : start + 7]
    not_before, not_after = (moment.time() for moment in validity.children(asn1.SEQUENCE))
    extensions = _read_extensions(fields[start + 7 :])
    key_type, key_bits = _read_key(key)
    dns, addresses = _read_alternative_names(extensions.get(_SAN))
    return Certificate(
        der=value.raw,
        fingerprint=hashlib.sha256(value.raw).hexdigest(),
        subject=_format_name(subject),
        issuer=_format_name(issuer),
        common_name=_find_common_name(subject),
        serial=serial.integer(),
        not_before=not_before,
        not_after=not_after,
        dns_names=dns,
        ip_addresses=addresses,
        is_ca=_is_ca(extensions, version_1=start < 0, self_issued=subject.raw == issuer.raw),
        key_type=key_type,
        key_bits=key_bits,
        ca_issuers=_read_issuer_addresses(extensions.get(_AIA)),
        subject_der=subject.raw,
        issuer_der=issuer.raw,
        public_key=key.raw,
        ski=asn1.read(extensions[_SKI]).octets() if _SKI in extensions else b"",
        aki=_read_authority_key(extensions.get(_AKI)),
    )


def _read_extensions(fields: list[asn1.Value]) -> dict[str, bytes]:
    found = {}
    for item in fields:
        if item.tag == 0xA3:
            for extension in item.children()[0].children(asn1.SEQUENCE):
                parts = extension.children(asn1.SEQUENCE)
                found[parts[0].oid()] = parts[-1].octets()
    return found


def _is_ca(extensions: dict[str, bytes], version_1: bool, self_issued: bool) -> bool:
    if _BASIC_CONSTRAINTS not in extensions:
        return version_1 and self_issued  # old roots have no extensions at all
    first = asn1.read(extensions[_BASIC_CONSTRAINTS]).children(asn1.SEQUENCE)[:1]
    return bool(first) and first[0].tag == asn1.BOOLEAN and first[0].body != b"\x00"


def _read_authority_key(extension: bytes | None) -> bytes:
    if extension is None:
        return b""
    return next((item.body for item in asn1.read(extension).children(asn1.SEQUENCE) if item.tag == 0x80), b"")


def _read_alternative_names(extension: bytes | None) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    items = asn1.read(extension).children(asn1.SEQUENCE) if extension is not None else []
    dns = tuple(item.body.decode("ascii", "replace") for item in items if item.tag == 0x82)
    return dns, tuple(item.body for item in items if item.tag == 0x87)


def _read_issuer_addresses(extension: bytes | None) -> tuple[str, ...]:
    if extension is None:
        return ()
    pairs = [item.children(asn1.SEQUENCE) for item in asn1.read(extension).children(asn1.SEQUENCE)]
    return tuple(
        place.body.decode("ascii", "replace")
        for method, place in pairs
        if method.oid() == _CA_ISSUERS and place.tag == 0x86
    )


def _read_key(info: asn1.Value) -> tuple[str, int]:
    algorithm, bits = info.children(asn1.SEQUENCE)
    fields = algorithm.children(asn1.SEQUENCE)
    oid = fields[0].oid()
    if oid in (_RSA, _PSS):
        return "RSA", asn1.read(bits.bits()).children(asn1.SEQUENCE)[0].integer().bit_length()
    if oid == _EC:
        return "EC", _CURVES.get(fields[1].oid(), 0) if fields[1].tag == asn1.OID else 0
    if oid == _DSA:
        return "DSA", fields[1].children()[0].integer().bit_length() if len(fields) > 1 else 0
    return _EDWARDS.get(oid, (oid, 0))


def _read_attributes(name: asn1.Value) -> list[list[tuple[str, asn1.Value]]]:
    """The attributes of a name, one list for each of its parts."""
    return [
        [(pair[0].oid(), pair[1]) for pair in (item.children(asn1.SEQUENCE) for item in part.children(asn1.SET))]
        for part in name.children(asn1.SEQUENCE)
    ]


def _show_value(value: asn1.Value) -> str:
    try:
        return value.text()
    except asn1.DerError:
        return "#" + value.raw.hex()


def _format_name(name: asn1.Value) -> str:
    parts = []
    for attributes in _read_attributes(name):
        texts = (f"{_ATTRIBUTES.get(oid, oid)}={_escape(_show_value(value))}" for oid, value in attributes)
        parts.append("+".join(texts))
    return ", ".join(parts)


def _escape(text: str) -> str:
    text = re.sub(r'([,+"\\<>;])', r"\\\1", text)
    return "".join(character if character.isprintable() else f"\\{ord(character):02X}" for character in text)


def _find_common_name(name: asn1.Value) -> str:
    values = [_show_value(value) for part in _read_attributes(name) for oid, value in part if oid == "2.5.4.3"]
    return values[-1] if values else ""
