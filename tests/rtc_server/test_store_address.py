# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""URLs of a store: what they name, and what is refused without showing a password."""

from __future__ import annotations

import pytest

from rtc_server.store_postgres.address import BadAddress, parse_address

GOOD = {
    "postgresql://rtc@db/x": ((("db", 5432),), "x", "rtc"),
    "postgres://rtc@a.example.org:5433,b/x": ((("a.example.org", 5433), ("b", 5432)), "x", "rtc"),
    "postgresql://r%40c@[2001:db8::1]:1,10.0.0.1/x%20y": ((("2001:db8::1", 1), ("10.0.0.1", 5432)), "x y", "r@c"),
    "postgresql://rtc@%2Frun%2Fpostgresql/x": ((("/run/postgresql", 5432),), "x", "rtc"),
    "postgresql://rtc@db/x@y": ((("db", 5432),), "x@y", "rtc"),
    "postgresql://rtc@db/100%25": ((("db", 5432),), "100%", "rtc"),
    f"postgresql://{'%c3%a4' * 31}@db/x": ((("db", 5432),), "x", "ä" * 31),
    "postgresql://rtc@db/x?target_session_attrs=read-write&sslmode=verify-full": ((("db", 5432),), "x", "rtc"),
}


@pytest.mark.parametrize("url", GOOD)
def test_good(url: str) -> None:
    address = parse_address(url)
    assert (address.hosts, address.database, address.user) == GOOD[url]
    assert parse_address(str(address)) == address  # as messages have it


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://rtc:hush@db/x", "no password"),
        ("postgresql://rtc:@db/x", "no password"),
        ("postgresql://rtc:hu@sh@db/x", "no password"),
        ("postgresql://rtc@db/x?password=hush", "no password"),
        ("postgresql://rtc@db/x?PassFile=hush", "no password"),
        ("mysql://rtc@db/x", "postgresql://"),
        ("postgresql://db/x", "name the user"),
        ("postgresql://@db/x", "name the user"),
        ("postgresql://rtc@db", "one database"),
        ("postgresql://rtc@db/", "one database"),
        ("postgresql://rtc@db/x/y", "one database"),
        ("postgresql://rtc@/x", "host"),
        ("postgresql://rtc@db,/x", "host"),
        ("postgresql://rtc@db:0/x", "port"),
        ("postgresql://rtc@db:65536/x", "port"),
        ("postgresql://rtc@db:http/x", "host"),
        ("postgresql://rtc@d_b/x", "host"),
        ("postgresql://rtc@[::g]/x", "host|address"),
        ("postgresql://rtc@[:::]/x", "address"),
        ("postgresql://rtc@db,db:5432/x", "twice"),
        ("postgresql://rtc@db/x?sslmode=disable", "sslmode"),
        ("postgresql://rtc@db/x?target_session_attrs=any", "target_session_attrs"),
        ("postgresql://rtc@db/x?options=-csynchronous_commit%3Doff", "options"),
        ("postgresql://rtc@db/x#y", "#"),
        ("postgresql://rtc@db/x y", "characters"),
        ("postgresql://rtc@db\n/x", "characters"),
        ("postgresql://rtc@db/x%00y", "characters"),
        ("postgresql://r%0Atc@db/x", "characters"),
        ("postgresql://rtc@%2Frun%00/x", "characters"),
        ("postgresql://rtc@db/x%", "%25"),
        ("postgresql://rtc@db/100%zz", "%25"),
        ("postgresql://rtc@db/x%FF", "UTF-8"),
        (f"postgresql://rtc@db/{'x' * 64}", "63 bytes"),
        (f"postgresql://{'%C3%A4' * 32}@db/x", "63 bytes"),
    ],
)
def test_bad(url: str, why: str) -> None:
    with pytest.raises(BadAddress, match=why) as caught:
        parse_address(url)
    assert "hush" not in str(caught.value)


def test_what_leaves_this_machine() -> None:
    assert parse_address("postgresql://u@localhost,127.0.0.2,[::1],%2Frun/x").is_local
    assert not parse_address("postgresql://u@localhost,db/x").is_local
