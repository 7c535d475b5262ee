# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether clients would take a certificate: a handshake in memory, with OpenSSL as the judge.

Dates, names, sizes of keys and missing issuers have findings of their own, which say more; what is asked here is the
rest of RFC 5280, which is not written a second time, and the one thing that OpenSSL does not mind.
"""

from __future__ import annotations

import ssl

from ansible_collections.collab.rtc.plugins.module_utils import _memory_file
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

_NO_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
_NO_AUTHORITY = "an issuer in its chain may not sign certificates (basicConstraints, or keyUsage without keyCertSign)"
# X509_V_ERR_* (openssl/x509_vfy.h) that every client of today agrees on.
_REFUSALS = {
    24: _NO_AUTHORITY,
    25: "an authority in its chain may not have another one below it (pathlen of basicConstraints)",
    26: "its extendedKeyUsage, or that of an authority in its chain, is not for servers (serverAuth is missing)",
    32: _NO_AUTHORITY,
    47: "an authority in its chain is not allowed to issue for this name (nameConstraints)",
    48: "an authority in its chain is forbidden to issue for this name (nameConstraints)",
    79: _NO_AUTHORITY,
}


def explain_key_usage(certificate: bytes) -> str:
    """Why Java and browsers refuse the key of a server's certificate (DER); "" where they do not.

    Since RSA key exchange is gone (TLS 1.3, and forward secrecy before that), the server signs with it. OpenSSL takes
    one for encryption alone, so that no check of ours would notice.
    """
    # Ansible itself needs cryptography on the controller; managed hosts never come here.
    from cryptography import x509  # noqa: PLC0415

    try:
        usage = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):  # for everything, or nothing that can be judged
        return ""
    missing = "its keyUsage is not for signatures (digitalSignature is missing), which Java and browsers insist on"
    return "" if usage.digital_signature else missing


def find_refusal(chain: str, key: str, authorities: str) -> str:
    """Why clients refuse a server with this chain; "" where they do not, or where it cannot be told.

    :param chain: PEM, the server's certificate first.
    :param key: its private key in PEM, without a pass phrase.
    :param authorities: PEM of whom the client trusts.
    """
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    client.set_ciphers("DEFAULT:@SECLEVEL=0")
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags(_NO_TIME | 0x80000)  # and X509_V_FLAG_PARTIAL_CHAIN: any of them is trusted
    try:
        client.load_verify_locations(cadata=authorities)
        with _memory_file.hold(chain.encode()) as first, _memory_file.hold(key.encode()) as second:
            server.load_cert_chain(_memory_file.path_of(first), _memory_file.path_of(second), lambda: "")
    except (ssl.SSLError, ValueError, RtcError):
        return ""
    return _shake_hands(server, client)


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _turn in range(4):  # two are enough; neither waits for anybody
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as exc:
                return _REFUSALS.get(exc.verify_code, "")
            except ssl.SSLError:
                return ""
    return ""
