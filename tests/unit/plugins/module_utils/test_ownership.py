# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can change what a path leads to: owners, groups, everybody, links, sticky directories, ACLs."""

from __future__ import annotations

import os
import struct

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._ownership import (
    ANYONE,
    UnsafeProgramError,
    Writer,
    check_program,
    find_writers,
)

USER, GROUP = 12345, 23456


@pytest.fixture
def place():
    """A directory below one that only root can write; pytest's own is below /tmp."""
    if os.geteuid() != 0:
        pytest.skip("giving files away needs root")
    import shutil
    import tempfile

    path = tempfile.mkdtemp(dir="/var/lib")
    os.chmod(path, 0o755)
    if find_writers(path):
        pytest.skip(f"others may write {path}")
    yield path
    shutil.rmtree(path)


def make(path, mode=0o644, uid=0, gid=0):
    with open(path, "w", encoding="utf-8") as file:
        file.write("x")
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    return path


def make_dir(path, mode=0o755, uid=0, gid=0):
    os.mkdir(path)
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    return path


def test_a_file_of_root_in_directories_of_root(place):
    assert find_writers(make(f"{place}/file")) == []
    assert find_writers("/bin/sh") == []


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "expected"),
    [
        (0o644, USER, 0, (USER, ANYONE)),
        (0o600, USER, 0, (USER, ANYONE)),
        (0o444, USER, 0, (USER, ANYONE)),  # the owner can give himself the right
        (0o664, 0, GROUP, (ANYONE, GROUP)),
        (0o646, 0, 0, (ANYONE, ANYONE)),
    ],
)
@pytest.mark.parametrize("kind", ["file", "directory", "parent"])
def test_who_owns_or_may_write_a_component(place, kind, mode, uid, gid, expected):
    if kind == "file":
        path = where = make(f"{place}/it", mode, uid, gid)
    else:
        path = where = make_dir(f"{place}/it", mode | 0o111, uid, gid)
        if kind == "parent":
            path = make(f"{where}/file")
    assert find_writers(path) == [Writer(*expected, where)]


def test_the_group_of_root_is_root(place):
    assert find_writers(make(f"{place}/file", 0o664, 0, 0)) == []


def test_directories_of_links_count_and_those_of_their_targets(place):
    theirs = make_dir(f"{place}/theirs", uid=USER)
    mine = make_dir(f"{place}/mine")
    make(f"{mine}/file")
    os.symlink(f"{mine}/file", f"{theirs}/link")
    assert find_writers(f"{theirs}/link") == [Writer(USER, ANYONE, theirs)]
    os.symlink(theirs, f"{mine}/away")
    make(f"{theirs}/file")
    assert Writer(USER, ANYONE, theirs) in find_writers(f"{mine}/away/file")
    os.symlink("mine/file", f"{place}/relative")
    assert find_writers(f"{place}/relative") == []


def test_in_a_sticky_directory_only_owners_exchange_entries(place):
    sticky = make_dir(f"{place}/tmp", 0o1777)
    assert find_writers(make(f"{sticky}/root")) == []
    assert find_writers(make(f"{sticky}/theirs", uid=USER)) == [Writer(USER, ANYONE, f"{sticky}/theirs")]
    make(f"{place}/file")
    os.symlink(f"{place}/file", f"{sticky}/link")
    assert find_writers(f"{sticky}/link") == []
    os.lchown(f"{sticky}/link", USER, GROUP)
    assert find_writers(f"{sticky}/link") == [Writer(USER, ANYONE, f"{sticky}/link")]


def test_a_sticky_directory_of_another_is_his(place):
    sticky = make_dir(f"{place}/tmp", 0o1777, uid=USER)
    assert find_writers(make(f"{sticky}/root")) == [Writer(USER, ANYONE, sticky)]


@pytest.mark.parametrize(
    ("tag", "number", "mask", "expected"),
    [(2, USER, 7, (USER, ANYONE)), (8, GROUP, 7, (ANYONE, GROUP)), (2, USER, 5, None), (2, 0, 7, None)],
)
def test_access_control_lists(place, tag, number, mask, expected):
    path = make(f"{place}/file")
    entries = [(1, 6, 0xFFFFFFFF), (tag, 6, number), (4, 4, 0xFFFFFFFF), (16, mask, 0xFFFFFFFF), (32, 4, 0xFFFFFFFF)]
    entries.sort(key=lambda entry: entry[0])
    data = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", data)
    except OSError as exc:
        pytest.skip(f"no ACLs here: {exc}")
    assert find_writers(path) == ([Writer(*expected, path)] if expected else [])


def test_a_group_right_below_the_mask_is_the_acl_s(place):
    """With an ACL the group bits of the mode are the mask: 0664 does not mean that the group may write."""
    path = make(f"{place}/file", 0o664, 0, GROUP)
    entries = [(1, 6, 0xFFFFFFFF), (2, 6, USER), (4, 4, 0xFFFFFFFF), (16, 6, 0xFFFFFFFF), (32, 4, 0xFFFFFFFF)]
    try:
        os.setxattr(
            path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
        )
    except OSError as exc:
        pytest.skip(f"no ACLs here: {exc}")
    assert find_writers(path) == [Writer(USER, ANYONE, path)]


def test_what_cannot_be_answered_raises(place):
    os.symlink("loop", f"{place}/loop")
    for path in (f"{place}/missing", f"{place}/loop", "relative"):
        with pytest.raises(OSError):
            find_writers(path)


def test_a_writer_in_words(place):
    assert str(Writer(0, ANYONE, "/x")) == "user root (/x)"
    assert str(Writer(99999, ANYONE, "/x")) == "user 99999 (/x)"
    assert str(Writer(ANYONE, ANYONE, "/x")) == "everybody (/x)"


def test_who_can_make_entries_in_a_sticky_directory(place):
    sticky = make_dir(f"{place}/tmp", 0o1777)
    assert find_writers(sticky) == []
    assert find_writers(sticky, entries=True) == [Writer(ANYONE, ANYONE, sticky)]
    below = make_dir(f"{sticky}/of-root")
    assert find_writers(below, entries=True) == []


def test_below_a_directory_that_stands_for_the_root(place):
    make_dir(f"{place}/opt")
    make(f"{place}/opt/file", uid=USER)
    os.symlink("/opt/file", f"{place}/link")
    assert find_writers("/link", root=place) == [Writer(USER, ANYONE, "/opt/file")]
    assert find_writers("/../../opt", root=place) == []


def test_a_program_that_root_must_not_run(place):
    path = make(f"{place}/program", 0o755)
    check_program(path)
    os.chmod(path, 0o775)
    os.chown(path, 0, GROUP)
    with pytest.raises(UnsafeProgramError, match=f"group {GROUP} .{path}. can change it"):
        check_program(path)
    with pytest.raises(UnsafeProgramError, match="cannot be looked at"):
        check_program(f"{place}/missing")


def test_who_is_not_root_runs_what_he_likes(place, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: USER)
    check_program(make(f"{place}/program", 0o777))
