# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What PostgreSQL keeps of a password: SCRAM-SHA-256 (RFC 5802, RFC 7677). Pure but for the salt.

The server is sent this and never the password, so the password is in none of its logs and views. Whether a password is
the one that is kept can be told from it, too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import stringprep
import unicodedata

ITERATIONS = 4096  # PostgreSQL's own (SCRAM_SHA_256_DEFAULT_ITERATIONS)
_SALT = 16  # bytes (SCRAM_DEFAULT_SALT_LEN)
_KEPT = re.compile(r"SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def prepare(password: str) -> str:
    """The password after SASLprep (RFC 4013); as it is where that refuses it, which is what PostgreSQL does."""
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in password if not stringprep.in_table_b1(char)
    )
    found = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not found or any(test(char) for char in found for test in _PROHIBITED):
        return password
    if any(map(stringprep.in_table_d1, found)):  # right to left: RFC 3454, section 6
        ends = stringprep.in_table_d1(found[0]) and stringprep.in_table_d1(found[-1])
        if not ends or any(map(stringprep.in_table_d2, found)):
            return password
    return found


def _derive(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password).encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return stored, hmac.digest(salted, b"Server Key", "sha256")


def make(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """What is kept of a password; another text each time, as its salt is.

    :param salt: for tests; made anew otherwise.
    """
    salt = salt or os.urandom(_SALT)
    stored, server = _derive(password, salt, iterations)
    return f"SCRAM-SHA-256${iterations}:{_encode(salt)}${_encode(stored)}:{_encode(server)}"


def fits(password: str, kept: str | None) -> bool:
    """Whether what is kept is this password, by SCRAM: a password that is kept as MD5 does not fit."""
    match = _KEPT.fullmatch(kept or "")
    if match is None:
        return False
    try:
        salt, stored, server = (base64.b64decode(part, validate=True) for part in match.groups()[1:])
    except ValueError:
        return False
    iterations = int(match.group(1))
    if not 0 < iterations <= 10_000_000:
        return False
    made = _derive(password, salt, iterations)
    return hmac.compare_digest(made[0], stored) and hmac.compare_digest(made[1], server)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
