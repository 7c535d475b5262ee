# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What PostgreSQL keeps of a password."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._postgres import scram


def test_the_example_of_the_rfc():
    # RFC 7677's exchange: user "user", password "pencil", this salt, 4096 iterations.
    import base64
    import hashlib
    import hmac

    first = b"n=user,r=rOprNGfwEbeRWgbNEkqO"
    answer = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    message = first + b"," + answer + b",c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    kept = scram.make("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    stored, server = (base64.b64decode(part) for part in kept.split("$")[2].split(":"))
    assert base64.b64encode(hmac.digest(server, message, "sha256")) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, message, "sha256")))
    assert hashlib.sha256(client).digest() == stored


@pytest.mark.parametrize("password", ["x", "pass word", "päß", "'\"\\", "x" * 200, "\u00adx", "\u00a0"])
def test_a_password_fits_what_is_made_of_it_and_nothing_else(password):
    kept = scram.make(password)
    assert scram.fits(password, kept) and not scram.fits(password + "y", kept)
    assert kept != scram.make(password), "the salt is another one each time"
    assert password not in kept or len(password) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("I\u00adX", "IX"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b"), ("e\u0301", "\u00e9")],
)
def test_saslprep_makes_them_one(one, other):
    assert scram.fits(one, scram.make(other))


@pytest.mark.parametrize("raw", ["\u0007", "\u0627\u0031", "\u00ad", "\ue000", "x\u0221"])
def test_what_saslprep_refuses_is_kept_as_it_is(raw):
    assert scram.prepare(raw) == raw


@pytest.mark.parametrize(
    "kept",
    [None, "", "md5" + "0" * 32, "SCRAM-SHA-256$4096:x$y:z", "SCRAM-SHA-256$0:AAAA$AAAA:AAAA",
     "SCRAM-SHA-256$999999999:AAAA$AAAA:AAAA"],
)  # fmt: skip
def test_what_is_not_kept_by_scram_fits_nothing(kept):
    assert not scram.fits("x", kept)
