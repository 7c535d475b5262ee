# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pg_hba.conf: reading it as PostgreSQL does, who decides first, and where our block goes."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._postgres import hba
from ansible_collections.collab.rtc.plugins.module_utils._postgres.hba import Grant, Token

PATH = "/etc/postgresql/15/main/pg_hba.conf"
GRANT = Grant("rtc", "rtc", "10.0.0.11/32")
LINE = 'hostssl "rtc" "rtc" 10.0.0.11/32 scram-sha-256'
BLOCK = f"{hba.BEGIN}\n{LINE}\n{hba.END}\n"


def parse(text, version=15, files=()):
    files = dict(files)
    directory = [name.rpartition("/")[2] for name in files]
    return hba.parse(PATH, text, version, files.get, lambda _path: directory)


def place(text, version=15, files=(), grants=(GRANT,)):
    files = dict(files)
    directory = [name.rpartition("/")[2] for name in files]
    return hba.place(PATH, text, list(grants), version, files.get, lambda _path: directory)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("host all all all trust", [["host"], ["all"], ["all"], ["all"], ["trust"]]),
        ("a,b c", [["a", "b"], ["c"]]),
        ("a, b c", [["a", "b"], ["c"]]),
        ("a ,b c", [["a"], ["b"], ["c"]]),
        ('"a,b" "c d"', [["a,b"], ["c d"]]),
        ('"a""b" c', [['a"b'], ["c"]]),
        ("a# b", [["a"]]),
        ('"a#b" c # d', [["a#b"], ["c"]]),
        ('"" a', [[""], ["a"]]),
        ("# a", []),
        (" \t ", []),
        ('a"b c"d e', [["ab cd"], ["e"]]),
        (",a b", [["a"], ["b"]]),
        ("a\vb\fc d", [["a\vb\fc"], ["d"]]),
    ],
)
def test_fields_are_split_as_postgresql_splits_them(line, fields):
    assert [[token.text for token in item] for item in hba.split_fields(line)] == fields


def test_what_is_quoted_is_no_keyword():
    (rule,) = parse('host "all" all all trust\n')
    assert rule.databases == (Token("all", True),)
    assert not hba.decides(rule, GRANT, 15)
    assert hba.decides(rule, Grant("all", "rtc", "10.0.0.11/32"), 15)


@pytest.mark.parametrize(
    ("line", "decided"),
    [
        ("host all all 0.0.0.0/0 md5", True),
        ("host all all all md5", True),
        ("host all all 10.0.0.0/8 md5", True),
        ("host all all 10.0.0.0 255.0.0.0 md5", True),
        ("host all all 10.0.0.11 255.255.255.255 md5 map=x", True),
        ("host all all 10.0.0.12/32 md5", False),
        ("host all all ::/0 md5", False),
        ("host all all db.example.com md5", True),  # who that is, is known when somebody comes
        ("host all all samenet md5", True),
        ("hostssl rtc rtc 10.0.0.11/32 md5", True),
        ("hostnogssenc all all all md5", True),
        ("hostnossl all all all md5", False),
        ("hostgssenc all all all gss", False),
        ("local all all peer", False),
        ("host other,rtc other,rtc all md5", True),
        ("host other all all md5", False),
        ("host all other all md5", False),
        ("host sameuser all all md5", True),
        ("host samerole all all md5", True),
        ("host replication all all md5", False),
        ("host all +rtc all md5", True),
        ("host all +admins all md5", False),
        ("host all /^r all md5", False),
    ],
)
def test_which_line_decides(line, decided):
    (rule,) = parse(line + "\n")
    assert hba.decides(rule, GRANT, 15) is decided


def test_expressions_and_groups():
    (rule,) = parse("host /^r /tc$ all md5\n", version=16)
    assert hba.decides(rule, GRANT, 16)
    for text in ("/^[[:alnum:]]+$", "/^[[:<:]]rtc", "/^[[.r.]]", "/^[[=r=]]", r"/\mrtc"):  # not Python's
        (rule,) = parse(f"host {text} all all md5\n", version=16)
        assert hba.decides(rule, GRANT, 16)
    (rule,) = parse("host /^[x-z:]+$ all all md5\n", version=16)
    assert not hba.decides(rule, GRANT, 16)
    (rule,) = parse("host all +admins all md5\n")
    assert hba.decides(rule, Grant("rtc", "rtc", "10.0.0.11/32", frozenset({"admins"})), 15)
    (rule,) = parse('host all "+admins" all md5\n')
    assert not hba.decides(rule, Grant("rtc", "rtc", "10.0.0.11/32", frozenset({"admins"})), 15)


def test_a_line_goes_on_after_a_backslash_from_version_14_on():
    text = "host all all \\\n  10.0.0.0/8 md5\nlocal all all peer\n"
    first, second = parse(text)
    assert (first.where, first.address, second.where) == (f"{PATH}:1", "10.0.0.0/8", f"{PATH}:3")
    with pytest.raises(RtcError, match=r"pg_hba.conf:1: 'host all all \\' cannot be read"):
        parse(text, version=13)
    assert parse("# a comment \\\nhost all all all trust\n") == []


def test_included_files_count_where_they_are_included():
    files = {"/etc/postgresql/15/main/more.conf": "host all all 10.0.0.0/8 md5\n"}
    text = "local all all peer\ninclude more.conf\nhost all all ::/0 md5\n"
    rules = parse(text, 16, files)
    assert [(rule.where.rpartition("/")[2], rule.top) for rule in rules] == [
        ("pg_hba.conf:1", 0), ("more.conf:1", 1), ("pg_hba.conf:3", 2)]  # fmt: skip
    assert place(text, 16, files).text == text.replace("include", BLOCK + "include")
    assert parse("include_if_exists none.conf\n", 16) == []
    with pytest.raises(RtcError, match=r"none\.conf cannot be read"):
        parse("include none.conf\n", 16)
    with pytest.raises(RtcError, match="cannot be read"):
        parse("include more.conf\n", 15, files)


def test_a_directory_is_included_in_the_order_of_names():
    folder = "/etc/postgresql/15/main/hba.d"
    files = {f"{folder}/b.conf": "host b all all md5\n", f"{folder}/a.conf": "host a all all md5\n",
             f"{folder}/c.txt": "host c all all md5\n", f"{folder}/.d.conf": "host d all all md5\n"}  # fmt: skip
    assert [rule.databases[0].text for rule in parse("include_dir hba.d\n", 16, files)] == ["a", "b"]


def test_a_file_that_includes_itself_is_an_error():
    with pytest.raises(RtcError, match="includes itself"):
        parse(f"include {PATH}\n", 16, {PATH: f"include {PATH}\n"})


def test_names_from_a_file():
    files = {"/etc/postgresql/15/main/dbs": "other # not this\nrtc\n"}
    (rule,) = parse("host @dbs all all md5\n", files=files)
    assert hba.decides(rule, GRANT, 15)
    (rule,) = parse('host "@dbs" all all md5\n', files=files)
    assert not hba.decides(rule, GRANT, 15)
    with pytest.raises(RtcError, match="/none cannot be read"):
        parse("host @none all all md5\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", BLOCK),
        ("local all all peer\n", "local all all peer\n" + BLOCK),
        ("local all all peer", "local all all peer\n" + BLOCK),
        (
            "local all all peer\nhost all all 10.0.0.0/8 md5\n",
            f"local all all peer\n{BLOCK}host all all 10.0.0.0/8 md5\n",
        ),
        ("# x\nhost all all all reject\n", f"# x\n{BLOCK}host all all all reject\n"),
        ("host all all \\\n all md5\n", f"{BLOCK}host all all \\\n all md5\n"),
        ("local all all peer\n# the end \\", f"local all all peer\n# the end \\\n\n{BLOCK}"),
        (f"local all all peer\n{BLOCK}# x\n", f"local all all peer\n{BLOCK}# x\n"),
        # somebody put a line before our block
        (f"host all all all trust\n{BLOCK}", f"{BLOCK}host all all all trust\n"),
        (f"{hba.BEGIN}\nhostssl old\n{hba.END}\n# x\n", f"{BLOCK}# x\n"),
    ],
)
def test_our_block_is_before_the_first_line_that_would_decide(before, after):
    placed = place(before)
    assert placed.text == after
    assert place(placed.text).text == placed.text
    assert hba.take_out(placed.text)[0].strip() == hba.take_out(before)[0].strip()


def test_what_would_decide_is_said():
    assert place("local all all peer\nhost all all all md5\n").notes == [
        f"{PATH}:2 would decide first ('host all all all md5'): our lines are before it."]  # fmt: skip
    assert place(f"{BLOCK}host all all all md5\n").notes == []


@pytest.mark.parametrize(
    "line", ["host all all 10.0.0.0/24 reject", "host rtc all all reject", "host all rtc all reject"]
)
def test_who_is_refused_on_purpose_is_not_let_in(line):
    with pytest.raises(RtcError, match=r"pg_hba.conf:1 refuses rtc from 10.0.0.11/32"):
        place(line + "\n")
    assert place(f"host all all 10.0.0.0/8 md5\n{line}\n").text.startswith(BLOCK)  # it does not decide


def test_no_grants_take_the_block_out():
    assert place(f"local all all peer\n{BLOCK}# x\n", grants=()).text == "local all all peer\n# x\n"


@pytest.mark.parametrize("text", [hba.BEGIN, hba.END, f"{hba.END}\n{hba.BEGIN}", f"{BLOCK}{BLOCK}"])
def test_marks_that_do_not_belong_together(text):
    with pytest.raises(RtcError, match="line 1: the marks"):
        place(text + "\n")


@pytest.mark.parametrize(
    ("given", "kept"),
    [("10.0.0.11", "10.0.0.11/32"), ("10.0.0.11/24", "10.0.0.0/24"), ("2001:DB8::1", "2001:db8::1/128"),
     ("Wiki1.Example.com", "wiki1.example.com"), (".example.com", ".example.com")],
)  # fmt: skip
def test_clients(given, kept):
    assert hba.check_client(given) == kept


@pytest.mark.parametrize(
    "given", ["", "all", "samenet", "10.0.0.300", "10.0.0.0/33", "a b", "x\nhost all", '"x"', "10.0.0", "a,b"]
)
def test_what_is_no_client(given):
    with pytest.raises(RtcError, match="is no address"):
        hba.check_client(given)


def test_odd_names_are_quoted():
    odd = Grant('r"t c', "all", "10.0.0.11/32")
    placed = place("host all all all md5\n", grants=[odd])
    assert 'hostssl "r""t c" "all" 10.0.0.11/32' in placed.text
    assert hba.decides(parse(placed.text)[0], odd, 15)
