# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Encrypting what key stores hold, as they were: AES, Triple DES and RC2 in CBC mode.

A store is encrypted as it was before, so that the Java that reads it can go on reading it; nothing new is ever
encrypted with DES or RC2.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._keystore import ciphers

if TYPE_CHECKING:
    from collections.abc import Callable


def encrypt_aes(key: bytes, iv: bytes, clear: bytes) -> bytes:
    """The opposite of ``ciphers.decrypt_aes``."""
    return _encrypt_cbc(_make_aes_forward_block(key), 16, iv, clear)


def encrypt_triple_des(key: bytes, iv: bytes, clear: bytes) -> bytes:
    """The opposite of ``ciphers.decrypt_triple_des``."""
    return _encrypt_cbc(ciphers.make_triple_des_block(key, forward=True), 8, iv, clear)


def encrypt_rc2(key: bytes, effective_bits: int, iv: bytes, clear: bytes) -> bytes:
    """The opposite of ``ciphers.decrypt_rc2``."""
    return _encrypt_cbc(_make_rc2_forward_block(key, effective_bits), 8, iv, clear)


def _encrypt_cbc(block: Callable[[bytes], int], size: int, iv: bytes, clear: bytes) -> bytes:
    if len(iv) != size:
        raise ciphers.CipherError("the initialisation vector is not a block")
    pad = size - len(clear) % size
    clear += bytes([pad]) * pad
    out = bytearray()
    before = int.from_bytes(iv, "big")
    for start in range(0, len(clear), size):
        before ^= int.from_bytes(clear[start : start + size], "big")
        before = block(before.to_bytes(size, "big"))
        out += before.to_bytes(size, "big")
    return bytes(out)


def _make_aes_forward_block(key: bytes) -> Callable[[bytes], int]:
    if len(key) not in (16, 24, 32):
        raise ciphers.CipherError("not a key of AES")
    box, double = ciphers.SBOX, ciphers.double
    # MixColumns of one substituted byte
    t0 = [double(box[i]) << 24 | box[i] << 16 | box[i] << 8 | double(box[i]) ^ box[i] for i in range(256)]
    t1, t2, t3 = ([ciphers.rotate_right(word, bits) for word in t0] for bits in (8, 16, 24))
    words = ciphers.expand_aes_key(key)
    first, middle, last = words[:4], words[4:-4], words[-4:]

    def block(piece: bytes) -> int:
        a, b, c, d = struct.unpack(">4I", piece)
        a, b, c, d = a ^ first[0], b ^ first[1], c ^ first[2], d ^ first[3]
        for i in range(0, len(middle), 4):
            a, b, c, d = (
                t0[a >> 24] ^ t1[b >> 16 & 255] ^ t2[c >> 8 & 255] ^ t3[d & 255] ^ middle[i],
                t0[b >> 24] ^ t1[c >> 16 & 255] ^ t2[d >> 8 & 255] ^ t3[a & 255] ^ middle[i + 1],
                t0[c >> 24] ^ t1[d >> 16 & 255] ^ t2[a >> 8 & 255] ^ t3[b & 255] ^ middle[i + 2],
                t0[d >> 24] ^ t1[a >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[c & 255] ^ middle[i + 3],
            )
        out = 0
        for word, (w, x, y, z) in zip(last, ((a, b, c, d), (b, c, d, a), (c, d, a, b), (d, a, b, c))):
            plain = box[w >> 24] << 24 | box[x >> 16 & 255] << 16 | box[y >> 8 & 255] << 8 | box[z & 255]
            out = out << 32 | plain ^ word
        return out

    return block


def _make_rc2_forward_block(key: bytes, effective_bits: int) -> Callable[[bytes], int]:
    if not 1 <= len(key) <= 128 or not 1 <= effective_bits <= 1024:
        raise ciphers.CipherError("not a key of RC2")
    k = ciphers.expand_rc2_key(key, effective_bits)

    def block(piece: bytes) -> int:
        a, b, c, d = struct.unpack("<4H", piece)
        for j in range(0, 64, 4):
            a = a + k[j] + (d & c) + (~d & b) & 0xFFFF
            a = (a << 1 | a >> 15) & 0xFFFF
            b = b + k[j + 1] + (a & d) + (~a & c) & 0xFFFF
            b = (b << 2 | b >> 14) & 0xFFFF
            c = c + k[j + 2] + (b & a) + (~b & d) & 0xFFFF
            c = (c << 3 | c >> 13) & 0xFFFF
            d = d + k[j + 3] + (c & b) + (~c & a) & 0xFFFF
            d = (d << 5 | d >> 11) & 0xFFFF
            if j in (16, 40):  # RFC 2268, 3.2: mashing after five and after eleven of the sixteen rounds
                a = (a + k[d & 63]) & 0xFFFF
                b = (b + k[a & 63]) & 0xFFFF
                c = (c + k[b & 63]) & 0xFFFF
                d = (d + k[c & 63]) & 0xFFFF
        return int.from_bytes(struct.pack("<4H", a, b, c, d), "big")

    return block
