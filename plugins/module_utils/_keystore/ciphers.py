# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decrypting what key stores hold: AES, Triple DES and RC2 in CBC mode. The opposite is in ``encrypting``.

Why DES and RC2, and why in Python: old PKCS#12 stores are encrypted with them (certificates with RC2 of 40 bits, keys
with Triple DES: what Java wrote by default before 16, OpenSSL before 3.0), and no run on a trust store may start a JVM:
its keytool may belong to somebody else. The distribution's ``cryptography`` cannot list the aliases of a PKCS#12 store
(before 36), has no RC2 (before 44), and is often not installed. These functions are not meant to resist an attacker who
measures time on the same machine.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class CipherError(ValueError):
    """The padding is wrong, which nearly always means: another password."""


def decrypt_aes(key: bytes, iv: bytes, data: bytes) -> bytes:
    """AES-CBC with PKCS#7 padding (FIPS 197; RFC 5652, 6.3). The key has 16, 24 or 32 bytes.

    :raises CipherError: the padding is wrong.
    """
    return _decrypt_cbc(_make_aes_block(key), 16, iv, data)


def decrypt_triple_des(key: bytes, iv: bytes, data: bytes) -> bytes:
    """DES-EDE3-CBC with PKCS#7 padding (FIPS 46-3). The key has 24 bytes, or 16 for two-key Triple DES."""
    return _decrypt_cbc(make_triple_des_block(key, forward=False), 8, iv, data)


def decrypt_rc2(key: bytes, effective_bits: int, iv: bytes, data: bytes) -> bytes:
    """RC2-CBC with PKCS#7 padding (RFC 2268)."""
    return _decrypt_cbc(_make_rc2_block(key, effective_bits), 8, iv, data)


def _decrypt_cbc(block: Callable[[bytes], int], size: int, iv: bytes, data: bytes) -> bytes:
    if not data or len(data) % size or len(iv) != size:
        raise CipherError("the encrypted data is not whole blocks")
    clear = bytearray()
    before = int.from_bytes(iv, "big")
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        clear += (block(piece) ^ before).to_bytes(size, "big")
        before = int.from_bytes(piece, "big")
    pad = clear[-1]
    if not 1 <= pad <= size or clear[-pad:] != bytes([pad]) * pad:
        raise CipherError("the padding is wrong")
    return bytes(clear[:-pad])


# --- AES: one table of 32-bit words for each byte of a column; the inverse cipher as in FIPS 197, 5.3.5 ---


def double(byte: int) -> int:
    byte <<= 1
    return byte ^ 0x11B if byte & 0x100 else byte


def _multiply(left: int, right: int) -> int:
    product = 0
    while right:
        if right & 1:
            product ^= left
        left, right = double(left), right >> 1
    return product


def _make_aes_boxes() -> tuple[bytes, bytes]:
    box = [0] * 256
    p = q = 1
    while True:  # p runs through all non-zero field elements, q through their inverses
        p ^= double(p)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        q ^= 0x09 if q & 0x80 else 0
        box[p] = (q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4)) & 0xFF ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    inverse = [0] * 256
    for value, image in enumerate(box):
        inverse[image] = value
    return bytes(box), bytes(inverse)


SBOX, _INVERSE = _make_aes_boxes()


def _mix_column(byte: int) -> int:
    return _multiply(byte, 14) << 24 | _multiply(byte, 9) << 16 | _multiply(byte, 13) << 8 | _multiply(byte, 11)


def rotate_right(word: int, bits: int) -> int:
    return (word >> bits | word << (32 - bits)) & 0xFFFFFFFF


def expand_aes_key(key: bytes) -> list[int]:
    count = len(key) // 4
    words = list(struct.unpack(f">{count}I", key))
    constant = 1
    for index in range(count, 4 * (count + 7)):
        word = words[-1]
        if index % count == 0:
            word = _substitute(rotate_right(word, 24)) ^ constant << 24
            constant = double(constant)
        elif count > 6 and index % count == 4:
            word = _substitute(word)
        words.append(words[-count] ^ word)
    return words


def _substitute(word: int) -> int:
    return int.from_bytes(bytes(SBOX[byte] for byte in word.to_bytes(4, "big")), "big")


def _make_aes_block(key: bytes) -> Callable[[bytes], int]:
    if len(key) not in (16, 24, 32):
        raise CipherError("not a key of AES")
    mixed = [_mix_column(byte) for byte in range(256)]  # InvMixColumns of one byte
    t0 = [mixed[_INVERSE[byte]] for byte in range(256)]
    t1, t2, t3 = ([rotate_right(word, bits) for word in t0] for bits in (8, 16, 24))
    words = expand_aes_key(key)
    last, first = words[:4], words[-4:]
    middle = []
    for position in range(len(words) - 8, 0, -4):
        for word in words[position : position + 4]:
            b = word.to_bytes(4, "big")
            middle.append(
                mixed[b[0]]
                ^ rotate_right(mixed[b[1]], 8)
                ^ rotate_right(mixed[b[2]], 16)
                ^ rotate_right(mixed[b[3]], 24)
            )
    box = _INVERSE

    def block(piece: bytes) -> int:
        a, b, c, d = struct.unpack(">4I", piece)
        a, b, c, d = a ^ first[0], b ^ first[1], c ^ first[2], d ^ first[3]
        for i in range(0, len(middle), 4):
            a, b, c, d = (
                t0[a >> 24] ^ t1[d >> 16 & 255] ^ t2[c >> 8 & 255] ^ t3[b & 255] ^ middle[i],
                t0[b >> 24] ^ t1[a >> 16 & 255] ^ t2[d >> 8 & 255] ^ t3[c & 255] ^ middle[i + 1],
                t0[c >> 24] ^ t1[b >> 16 & 255] ^ t2[a >> 8 & 255] ^ t3[d & 255] ^ middle[i + 2],
                t0[d >> 24] ^ t1[c >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[a & 255] ^ middle[i + 3],
            )
        out = 0
        for word, (w, x, y, z) in zip(last, ((a, d, c, b), (b, a, d, c), (c, b, a, d), (d, c, b, a))):
            plain = box[w >> 24] << 24 | box[x >> 16 & 255] << 16 | box[y >> 8 & 255] << 8 | box[z & 255]
            out = out << 32 | plain ^ word
        return out

    return block


# --- DES, with the tables of FIPS 46-3 ---

_INITIAL = [58 - 8 * (i % 8) + (2 * (i // 8) if i < 32 else 2 * (i // 8) - 9) for i in range(64)]
_FINAL = [_INITIAL.index(i) + 1 for i in range(1, 65)]
_P = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10,
    2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
]  # fmt: skip
_PC1 = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18,
    10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
    63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22,
    14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
]  # fmt: skip
_PC2 = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10,
    23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
    41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48,
    44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
]  # fmt: skip
_SHIFTS = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)
_S = (  # each box as its four rows of sixteen hexadecimal digits
    "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
    "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
    "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
    "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
    "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
    "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
    "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
    "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b",
)


def _permute(value: int, width: int, table: Sequence[int]) -> int:
    """The bits of a value of ``width`` bits in the order of the table; bit 1 is the leftmost."""
    out = 0
    for position in table:
        out = out << 1 | value >> (width - position) & 1
    return out


@lru_cache(maxsize=None)
def _make_permutation(final: bool) -> list[list[int]]:
    """The initial or final permutation as one table for each of the eight bytes."""
    table = _FINAL if final else _INITIAL
    return [[_permute(byte << (56 - 8 * place), 64, table) for byte in range(256)] for place in range(8)]


@lru_cache(maxsize=None)
def _make_des_boxes() -> list[list[int]]:
    """The eight boxes with the permutation P already done, by the six input bits."""
    boxes = []
    for number, digits in enumerate(_S):
        box = []
        for bits in range(64):
            row, column = bits >> 4 & 2 | bits & 1, bits >> 1 & 15
            box.append(_permute(int(digits[16 * row + column], 16) << (28 - 4 * number), 32, _P))
        boxes.append(box)
    return boxes


def _expand_des_key(key: bytes) -> list[tuple[int, ...]]:
    """The sixteen round keys, each as eight pieces of six bits."""
    both = _permute(int.from_bytes(key, "big"), 64, _PC1)
    left, right = both >> 28, both & 0xFFFFFFF
    keys = []
    for shift in _SHIFTS:
        left = (left << shift | left >> (28 - shift)) & 0xFFFFFFF
        right = (right << shift | right >> (28 - shift)) & 0xFFFFFFF
        round_key = _permute(left << 28 | right, 56, _PC2)
        keys.append(tuple(round_key >> (42 - 6 * piece) & 63 for piece in range(8)))
    return keys


def make_triple_des_block(key: bytes, forward: bool) -> Callable[[bytes], int]:
    if len(key) == 16:
        key += key[:8]
    if len(key) != 24:
        raise CipherError("not a key of Triple DES")
    one, two, three = (_expand_des_key(key[start : start + 8]) for start in (0, 8, 16))
    # Encrypt with the first, decrypt with the second, encrypt with the third; a key reversed is its opposite.
    passes = (one, two[::-1], three) if forward else (three[::-1], two, one[::-1])
    start, end = _make_permutation(False), _make_permutation(True)
    s0, s1, s2, s3, s4, s5, s6, s7 = _make_des_boxes()

    def block(piece: bytes) -> int:
        state = 0
        for table, byte in zip(start, piece):
            state |= table[byte]
        left, right = state >> 32, state & 0xFFFFFFFF
        for keys in passes:
            for k0, k1, k2, k3, k4, k5, k6, k7 in keys:
                wide = (right & 1) << 33 | right << 1 | right >> 31
                left, right = (
                    right,
                    left
                    ^ (
                        s0[wide >> 28 ^ k0]
                        ^ s1[wide >> 24 & 63 ^ k1]
                        ^ s2[wide >> 20 & 63 ^ k2]
                        ^ s3[wide >> 16 & 63 ^ k3]
                        ^ s4[wide >> 12 & 63 ^ k4]
                        ^ s5[wide >> 8 & 63 ^ k5]
                        ^ s6[wide >> 4 & 63 ^ k6]
                        ^ s7[wide & 63 ^ k7]
                    ),
                )
            left, right = right, left
        out = 0
        for table, byte in zip(end, (left << 32 | right).to_bytes(8, "big")):
            out |= table[byte]
        return out

    return block


# --- RC2 ---

_PI = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2179a59f587b34f1361456d8d09817d32"
    "bd8f40eb86b77b0bf09521225c6b4e8254d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed708e8eade8052eef784aa72ac354d6a2a"
    "961ad2715a1549744b9fd05e0418a4ecc2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a90d38341bab33ffb0bb480c5fb9b1cd2e"
    "c5f3db47e5a59c770aa62068fe7fc1ad"
)


def expand_rc2_key(key: bytes, effective_bits: int) -> tuple[int, ...]:
    size = (effective_bits + 7) // 8
    mask = 0xFF >> (8 * size - effective_bits)
    table = list(key)
    for index in range(len(key), 128):
        table.append(_PI[(table[index - 1] + table[index - len(key)]) & 255])
    table[128 - size] = _PI[table[128 - size] & mask]
    for index in range(127 - size, -1, -1):
        table[index] = _PI[table[index + 1] ^ table[index + size]]
    return struct.unpack("<64H", bytes(table))


def _make_rc2_block(key: bytes, effective_bits: int) -> Callable[[bytes], int]:
    if not 1 <= len(key) <= 128 or not 1 <= effective_bits <= 1024:
        raise CipherError("not a key of RC2")
    k = expand_rc2_key(key, effective_bits)

    def block(piece: bytes) -> int:
        a, b, c, d = struct.unpack("<4H", piece)
        for j in range(60, -1, -4):
            d = ((d >> 5 | d << 11) - k[j + 3] - (c & b) - (~c & a)) & 0xFFFF
            c = ((c >> 3 | c << 13) - k[j + 2] - (b & a) - (~b & d)) & 0xFFFF
            b = ((b >> 2 | b << 14) - k[j + 1] - (a & d) - (~a & c)) & 0xFFFF
            a = ((a >> 1 | a << 15) - k[j] - (d & c) - (~d & b)) & 0xFFFF
            if j in (44, 20):  # RFC 2268, 4.3: mashing after five and after eleven of the sixteen rounds
                d = (d - k[c & 63]) & 0xFFFF
                c = (c - k[b & 63]) & 0xFFFF
                b = (b - k[a & 63]) & 0xFFFF
                a = (a - k[d & 63]) & 0xFFFF
        return int.from_bytes(struct.pack("<4H", a, b, c, d), "big")

    return block
