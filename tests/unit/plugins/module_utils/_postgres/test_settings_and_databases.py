# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The block in postgresql.conf, and the statements for databases and owners."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._postgres import databases, scram, settings
from ansible_collections.collab.rtc.plugins.module_utils._postgres.databases import Database

FILE = "/etc/postgresql/15/main/postgresql.conf"
BOOT = {"ssl": "off", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "listen_addresses": "localhost"}


def make(lines=(), source="configuration file", **now):
    rows = {name: {"setting": now.get(name, boot), "source": source, "boot_val": boot} for name, boot in BOOT.items()}
    read = [
        {"name": name, "setting": value, "sourcefile": file, "sourceline": number}
        for file, number, name, value in lines
    ]
    return settings.Settings(FILE, rows, read)


def choose(known, block=range(0), clients=("10.0.0.11/32",), asked=(), certificate=""):
    return settings.choose(known, block, certificate, certificate.replace("crt", "key"), list(asked), list(clients))


def test_only_what_is_not_so_already_is_set():
    assert choose(make()) == {"ssl": "on", "listen_addresses": "*"}
    good = make([(FILE, 1, "ssl", "yes"), (FILE, 2, "listen_addresses", "0.0.0.0")])
    assert choose(good) == {}
    assert choose(make(), clients=["127.0.0.1/32"]) == {"ssl": "on"}
    assert choose(good, certificate="/x/tls.crt") == {"ssl_cert_file": "/x/tls.crt", "ssl_key_file": "/x/tls.key"}


def test_who_reaches_the_server_goes_on_reaching_it():
    known = make([(FILE, 1, "ssl", "on"), (FILE, 2, "listen_addresses", "localhost, 10.0.0.4")])
    assert choose(known, asked=["10.0.0.5"]) == {"listen_addresses": "localhost,10.0.0.4,10.0.0.5"}
    assert choose(known, asked=["10.0.0.4"]) == {}
    assert choose(known) == {}  # it is reached from other machines already


@pytest.mark.parametrize("text", ["*", "0.0.0.0", "::", "10.0.0.5", "2001:db8::5", "db1.example.com", "localhost"])
def test_addresses_to_listen_on(text):
    assert settings.check_listen([text]) == [text]


@pytest.mark.parametrize(
    "text", ["", "10.0.0.5:5432", "10.0.0.0/24", "10.0.0.300", "[::1]", "a,b", "a b", "x'\nfsync=off"]
)
def test_what_nothing_can_listen_on(text):
    """PostgreSQL passes over it, or does not start."""
    with pytest.raises(RtcError, match="rtc_store_listen"):
        settings.check_listen([text])


def test_our_own_lines_do_not_count():
    """Else the second run would take for there what the first one wrote."""
    lines = [(FILE, 4, "ssl", "on"), (FILE, 5, "listen_addresses", "*")]
    known = make(lines, ssl="on", listen_addresses="*")
    assert choose(known, range(3, 7)) == {"ssl": "on", "listen_addresses": "*"}
    assert choose(known) == {}


@pytest.mark.parametrize(
    "known",
    [
        make([("/data/postgresql.auto.conf", 3, "listen_addresses", "localhost"), (FILE, 1, "ssl", "on")]),
        make([(FILE, 1, "ssl", "on")], source="command line", ssl="on"),
    ],
)
def test_what_another_place_decides_is_said(known):
    with pytest.raises(RtcError, match=r"auto.conf:3 \(ALTER SYSTEM\)|the command line") as caught:
        choose(known)
    assert "listen_addresses is 'localhost'" in str(caught.value)


def test_the_block_is_at_the_end_and_goes_again():
    text = settings.render("port = 5432", {"ssl": "on"})
    assert text == f"port = 5432\n{settings.BEGIN}\nssl = 'on'\n{settings.END}\n"
    bare, block = settings.take_out(text)
    assert bare == "port = 5432\n" and block == range(2, 5)
    moved = settings.take_out(text + "ssl = off\n")[0]
    assert settings.render(moved, {"ssl": "on"}).endswith(f"ssl = off\n{settings.BEGIN}\nssl = 'on'\n{settings.END}\n")


@pytest.mark.parametrize(
    ("value", "on"),
    [("on", True), ("1", True), ("TRUE", True), ("y", True), ("off", False), ("o", False), ("", False), ("0", False)],
)
def test_booleans(value, on):
    assert settings.is_on(value) is on


# --- databases ----------------------------------------------------------------------------------

STORE = Database("rtc", "rtc", "one long password", ("10.0.0.11/32",))
PLAIN = {"kept": scram.make(STORE.password), "login": True, "super": False, "createrole": False, "createdb": False,
         "replication": False, "bypassrls": False, "until": None, "groups": None, "elsewhere": None, "members": None}  # fmt: skip
THERE = {"owner": "rtc", "encoding": "UTF8", "connects": True, "public": None, "others": None, "sessions": 0}


def find(role=None, database=None, store=STORE):
    found = {"roles": {store.owner: role} if role else None, "databases": {store.name: database} if database else None}
    return databases.find_steps([store], found)


def test_all_of_a_new_store_without_its_password():
    steps = find()
    assert [step.text for step in steps] == [
        'CREATE ROLE "rtc" LOGIN, with its password (not shown)',
        'CREATE DATABASE "rtc", UTF8, owner "rtc"',
        'REVOKE ALL ON DATABASE "rtc" FROM PUBLIC',
    ]
    assert not any(STORE.password in text for step in steps for text in step)
    assert "TEMPLATE template0" in steps[1].statement
    assert not any("SCRAM" in step.text for step in steps)


def test_nothing_for_one_that_is_there():
    assert find(PLAIN, THERE) == []


def test_another_password_and_one_that_is_kept_as_md5():
    other = {**PLAIN, "kept": scram.make("another")}
    assert [step.text for step in find(other, THERE)] == ['ALTER ROLE "rtc": another password (not shown)']
    old = {**PLAIN, "kept": "md5" + "0" * 32}
    assert [step.text for step in find(old, THERE)] == [
        'ALTER ROLE "rtc": another password by SCRAM instead of MD5 (not shown)'
    ]


def test_rights_of_everybody_are_taken():
    assert [step.text for step in find(PLAIN, {**THERE, "public": ["CONNECT"]})] == [
        'REVOKE ALL ON DATABASE "rtc" FROM PUBLIC'
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"super": True}, "is a superuser"), ({"createrole": True}, "may make roles"), ({"createdb": True}, "databases"),
        ({"replication": True}, "replicate"), ({"bypassrls": True}, "row level"), ({"login": False}, "may not log in"),
        ({"groups": ["admins"]}, "is a member of admins"), ({"until": "2026-01-01"}, "good until"),
        ({"elsewhere": ["confluence"]}, "rights or things in confluence"),
    ],
)  # fmt: skip
def test_a_role_of_somebody_else_is_left_alone(change, words):
    with pytest.raises(RtcError, match=words):
        find({**PLAIN, **change}, THERE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"owner": "jira"}, "belongs to jira"),
        ({"encoding": "LATIN1"}, "encoding LATIN1"),
        ({"connects": False}, "nobody"),
    ],
)
def test_a_database_of_somebody_else_is_left_alone(change, words):
    with pytest.raises(RtcError, match=words):
        find(PLAIN, {**THERE, **change})


GOOD = {"name": "rtc", "owner": None, "password": "secret", "clients": ["10.0.0.11"]}


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([{**GOOD, "name": "template1"}], "PostgreSQL's own"), ([{**GOOD, "owner": "postgres"}], "PostgreSQL's own"),
        ([{**GOOD, "owner": "pg_monitor"}], "PostgreSQL's own"), ([{**GOOD, "owner": "public"}], "PostgreSQL's own"),
        ([{**GOOD, "name": "none"}], "PostgreSQL's own"), ([{**GOOD, "name": ""}], "no usable name"),
        ([{**GOOD, "name": "x\ny"}], "no usable name"), ([{**GOOD, "name": "x" * 64}], "no usable name"),
        ([{**GOOD, "name": "/x"}], "no usable name"), ([GOOD, GOOD], "twice"), ([{**GOOD, "password": "a\nb"}], "password"),
        ([{**GOOD, "password": ""}], "password"), ([{**GOOD, "clients": []}], "no clients"),
        ([GOOD, {**GOOD, "name": "two", "owner": "rtc", "password": "other"}], "two passwords"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_store(items, words):
    with pytest.raises(RtcError, match=words):
        databases.check(items)


def test_drops():
    found = {"roles": {"rtc": PLAIN}, "databases": {"rtc": THERE}}
    assert [step.text for step in databases.find_drops([STORE], found)] == ['DROP DATABASE "rtc"', 'DROP ROLE "rtc"']
    for more in (
        {"elsewhere": ["other"]}, {"super": True}, {"login": False}, {"groups": ["admins"]}, {"createdb": True},
        {"members": ["jane"]},
    ):  # fmt: skip
        found["roles"]["rtc"] = {**PLAIN, **more}
        assert [step.text for step in databases.find_drops([STORE], found)] == ['DROP DATABASE "rtc"']
    with pytest.raises(RtcError, match="is used, by 3 connections"):
        databases.find_drops([STORE], {**found, "databases": {"rtc": {**THERE, "sessions": 3}}})
    with pytest.raises(RtcError, match="belongs to jira"):
        databases.find_drops([STORE], {**found, "databases": {"rtc": {**THERE, "owner": "jira"}}})
