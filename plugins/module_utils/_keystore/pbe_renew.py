# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Password-based encryption and integrity of changed PKCS#12 content: by the algorithms of the file, with new salts.

RFC 7292 (appendix B), RFC 8018, RFC 9579. The opposite, and the key derivation, is in ``pbe``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._keystore import ciphers, encrypting, pbe
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1

if TYPE_CHECKING:
    from collections.abc import Callable


def encrypt_again(algorithm: asn1.Value, data: bytes, clear: bytes, password: str) -> tuple[bytes, bytes]:
    """Encrypt other content as some was: the same algorithms and rounds, a new salt and initialisation vector.

    :param algorithm: the AlgorithmIdentifier of what was there, which has been decrypted with the password.
    :param data: what was there, encrypted.
    :param clear: what is to be there.
    :returns: the AlgorithmIdentifier (DER), and the encrypted content.
    """
    secret = _pick_secret(password, lambda one: _opens(algorithm, data, password, one))
    fresh = _renew_salt(algorithm)
    return fresh, _encrypt(pbe.Cipher(asn1.read(fresh), password, secret), clear)


def renew_mac(mac: asn1.Value, old: bytes, content: bytes, password: str) -> bytes:
    """The MacData (DER) of other content, by the same algorithm and number of rounds, with a new salt.

    :param old: the content that ``mac`` is of; it has been checked with the password.
    """
    info, *rest = mac.children(asn1.SEQUENCE)
    algorithm = info.children(asn1.SEQUENCE)[0]
    secret = _pick_secret(password, lambda one: pbe.matches(mac, old, password, one))
    if algorithm.children(asn1.SEQUENCE)[0].oid() == pbe.PBMAC1:
        # The salt is that of PBKDF2; the one beside it is not used (RFC 9579, 4).
        oid, parameters = algorithm.children()
        derivation, *others = parameters.children(asn1.SEQUENCE)
        parameters_der = asn1.encode(asn1.SEQUENCE, _renew_pbkdf2_salt(derivation), *(one.raw for one in others))
        algorithm_der = asn1.encode(asn1.SEQUENCE, oid.raw, parameters_der)
        rest_der = [one.raw for one in rest]
    else:
        algorithm_der = algorithm.raw
        rest_der = [_make_salt(rest[0]), *(one.raw for one in rest[1:])]
    unsigned = asn1.encode(asn1.SEQUENCE, algorithm_der, asn1.encode(asn1.OCTET_STRING, b""))
    digest = pbe.compute_mac(asn1.read(asn1.encode(asn1.SEQUENCE, unsigned, *rest_der)), content, password, secret)
    signed = asn1.encode(asn1.SEQUENCE, algorithm_der, asn1.encode(asn1.OCTET_STRING, digest))
    return asn1.encode(asn1.SEQUENCE, signed, *rest_der)


def _pick_secret(password: str, fits: Callable[[bytes], bool]) -> bytes:
    """The reading of the password that the store was made with: there are two of the empty one."""
    secrets = pbe.encode_password(password)
    return secrets[0] if len(secrets) == 1 else next(one for one in secrets if fits(one))


def _encrypt(cipher: pbe.Cipher, clear: bytes) -> bytes:
    if cipher.rc2_bits:
        return encrypting.encrypt_rc2(cipher.key, cipher.rc2_bits, cipher.iv, clear)
    encrypt = encrypting.encrypt_triple_des if cipher.oid == pbe.TRIPLE_DES else encrypting.encrypt_aes
    return encrypt(cipher.key, cipher.iv, clear)


def _opens(algorithm: asn1.Value, data: bytes, password: str, secret: bytes) -> bool:
    try:
        pbe.Cipher(algorithm, password, secret).decrypt(data)
    except ciphers.CipherError:
        return False
    return True


def _renew_salt(algorithm: asn1.Value) -> bytes:
    """The AlgorithmIdentifier with another salt and, in PBES2, another initialisation vector."""
    oid, parameters = algorithm.children(asn1.SEQUENCE)
    first, second, *others = parameters.children(asn1.SEQUENCE)
    if oid.oid() == pbe.PBES2:
        cipher, iv, *more = second.children(asn1.SEQUENCE)
        fresh_iv = asn1.encode(asn1.OCTET_STRING, os.urandom(len(iv.octets())))
        second_der = asn1.encode(asn1.SEQUENCE, cipher.raw, fresh_iv, *(one.raw for one in more))
        pieces = [_renew_pbkdf2_salt(first), second_der]
    else:
        pieces = [_make_salt(first), second.raw]
    parameters_der = asn1.encode(asn1.SEQUENCE, *pieces, *(one.raw for one in others))
    return asn1.encode(asn1.SEQUENCE, oid.raw, parameters_der)


def _renew_pbkdf2_salt(derivation: asn1.Value) -> bytes:
    oid, parameters = derivation.children(asn1.SEQUENCE)
    salt, *others = parameters.children(asn1.SEQUENCE)
    parameters_der = asn1.encode(asn1.SEQUENCE, _make_salt(salt), *(one.raw for one in others))
    return asn1.encode(asn1.SEQUENCE, oid.raw, parameters_der)


def _make_salt(old: asn1.Value) -> bytes:
    """A new salt (DER) as long as the old one, and eight bytes at least (RFC 8018, 4.1)."""
    return asn1.encode(asn1.OCTET_STRING, os.urandom(max(len(old.octets()), 8)))
