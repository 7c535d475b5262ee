# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading, writing, recording and giving back files in directories of another user, who exchanges them all the while."""

from __future__ import annotations

import os
import time

import pytest
from attacks import attackers

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore

CALLS = 400
ODD = ("fifo", "socket", "directory", "sparse", "device", "link to a device", "link to a process", "loop", "nowhere")
# A link to root's file, and one more name of it: there root reads, and writes, what is not Mallory's.
FOREIGN = ("link", "hard link")


def make(arena, bait, name="file"):
    """Something of Mallory's that is no file, made by root where he may not."""
    path = arena.mallorys("app/conf/other").with_name(name)
    attackers.make_bait(bait, str(path), str(arena.canary))
    if bait != "hard link":
        os.chown(path, attackers_uid(), -1, follow_symlinks=False)
    return path


def attackers_uid():
    from attacks.conftest import MALLORY

    return MALLORY


# While they are exchanged.


@pytest.mark.parametrize("bait", [*FOREIGN, *ODD])
def test_read_while_exchanged(arena, bait):
    path = arena.mallorys("app/conf/file", b"his own\n")
    arena.swap(path, bait)
    for _number in arena.rounds(CALLS if bait in FOREIGN else 150, 1000):
        data = arena.call(_files.read_bytes, str(path))
        arena.look_for_secrets((data or b"").decode("utf-8", "replace"))
    arena.judge(exchanges=1000, done=1)


@pytest.mark.parametrize("bait", [*FOREIGN, *ODD])
def test_write_while_exchanged(arena, bait):
    path = arena.mallorys("app/conf/file", b"his own\n")
    arena.swap(path, bait)
    for number in arena.rounds(CALLS if bait in FOREIGN else 150, 1000):
        arena.call(_files.write_atomic, str(path), b"new %d\n" % number)
    arena.judge(exchanges=1000)


def test_read_then_write_as_modules_do_with_a_sniper(arena):
    """He does not hope for the moment: he waits for it."""
    path = arena.mallorys("app/conf/file", b"his own\n")
    swap = attackers.Swap(str(path), str(arena.canary))
    swap.prepare()
    os.chown(swap.spare, 65534, -1, follow_symlinks=False)  # root just made it, whose links are followed
    arena.start(attackers.Sniper(swap, hold=0.002))
    time.sleep(0.05)
    for number in range(100):
        arena.call(_files.read_bytes, str(path))
        time.sleep(0.0005)
        arena.call(_files.write_atomic, str(path), b"new %d\n" % number)
        time.sleep(0.002)
    arena.judge(exchanges=50, done=1)


@pytest.mark.parametrize("depth", ["conf", "app"])
def test_write_while_a_directory_is_exchanged(arena, depth):
    """Not the file, but a directory above it becomes a link to one of root's, which has a file of that name."""
    path = arena.mallorys("app/conf/file", b"his own\n")
    arena.add_canary("file")
    arena.add_canary("conf/file")
    arena.swap(arena.home / ("app/conf" if depth == "conf" else "app"), "link", victim=arena.vault)
    for number in arena.rounds(CALLS, 1000):
        arena.call(_files.write_atomic, str(path), b"new %d\n" % number)
        arena.call(_files.read_bytes, str(path))
    arena.judge(exchanges=1000, done=1)


@pytest.mark.parametrize("bait", [*FOREIGN, "fifo", "device"])
def test_back_up_while_exchanged(arena, bait):
    path = arena.mallorys("app/conf/file", b"his own\n")
    arena.swap(path, bait)
    for _number in arena.rounds(150, 1000):
        copy = arena.call(_files.backup, str(path))
        if copy and os.path.lexists(copy):
            with open(copy, "rb") as file:
                readable = os.lstat(copy).st_uid != 0 or os.lstat(copy).st_mode & 0o004
                arena.look_for_secrets(file.read().decode("utf-8", "replace") if readable else "")
            os.unlink(copy)
    arena.judge(exchanges=1000)


@pytest.mark.parametrize("bait", [*FOREIGN, "fifo", "directory", "device"])
def test_record_and_give_back_while_exchanged(arena, bait):
    path = arena.mallorys("app/conf/file", b"his own\n")
    arena.swap(path, bait)
    for number in arena.rounds(150, 1000):
        record = str(arena.undo / str(number))
        arena.call(records.record, record, str(path), b"new")
        if os.path.exists(os.path.join(record, records.MANIFEST)):
            arena.call(_files.write_atomic, str(path), b"new %d\n" % number)
            arena.call(restore.restore, record)
    arena.judge(exchanges=1000)


@pytest.mark.parametrize("depth", ["conf", "app"])
def test_record_and_give_back_while_a_directory_is_exchanged(arena, depth):
    path = arena.mallorys("app/conf/file", b"his own\n")
    arena.add_canary("file")
    arena.add_canary("conf/file")
    arena.swap(arena.home / ("app/conf" if depth == "conf" else "app"), "link", victim=arena.vault)
    for number in arena.rounds(150, 1000):
        record = str(arena.undo / str(number))
        arena.call(records.record, record, str(path), b"new")
        if os.path.exists(os.path.join(record, records.MANIFEST)):
            arena.call(restore.restore, record)
    arena.judge(exchanges=1000)


# Without any race.


@pytest.mark.parametrize("bait", ODD)
@pytest.mark.parametrize("function", ["read", "write", "backup", "record"])
def test_what_is_no_file_is_refused_at_once(arena, bait, function):
    if (bait, function) == ("nowhere", "record"):
        pytest.skip("a link to nowhere may be recorded as a link")
    path = str(make(arena, bait))
    calls = {
        "read": lambda: _files.read_bytes(path),
        "write": lambda: _files.write_atomic(path, b"new"),
        "backup": lambda: _files.backup(path),
        "record": lambda: records.record(str(arena.undo / "run"), path, b""),
    }
    arena.call(calls[function])
    assert not (arena.vault / "canary.made-by-root").exists()
    # A directory is never what is recorded; a file of any size may be replaced, for that nobody reads it.
    if (bait, function) not in (("directory", "record"), ("sparse", "write")):
        assert arena.outcomes.get("done", 0) == 0, arena.outcomes
    arena.judge()


@pytest.mark.parametrize("bait", FOREIGN)
@pytest.mark.parametrize("function", ["read", "write", "backup", "record"])
def test_roots_file_under_a_name_of_his_is_refused(arena, bait, function):
    path = str(make(arena, bait))
    calls = {
        "read": lambda: _files.read_bytes(path),
        "write": lambda: _files.write_atomic(path, b"new"),
        "backup": lambda: _files.backup(path),
        "record": lambda: records.record(str(arena.undo / "run"), path, b""),
    }
    arena.call(calls[function])
    assert arena.outcomes == {"refused": 1}
    arena.judge()


def test_a_file_that_grows_while_it_is_read(arena):
    path = arena.mallorys("app/conf/file", b"his own\n")
    arena.start(attackers.Grower(str(path)))
    time.sleep(0.1)
    for _number in range(10):
        arena.call(_files.read_bytes, str(path))
    arena.judge(exchanges=1)


def test_give_back_into_a_directory_that_became_a_link(arena):
    """P2.2: ``mv bin bin.away; ln -s /etc/profile.d bin`` between the run and the rollback."""
    path = arena.mallorys("app/bin/setenv.sh", b"id > /tmp/owned\n")
    arena.add_canary("setenv.sh")
    record = str(arena.undo / "run")
    records.record(record, str(path), b"")
    path.write_bytes(b"changed by the run\n")
    (arena.home / "app/bin").rename(arena.home / "app/bin.away")
    (arena.home / "app/bin").symlink_to(arena.vault)
    os.chown(arena.home / "app/bin", attackers_uid(), -1, follow_symlinks=False)
    arena.call(restore.restore, record)
    arena.judge()


def test_give_back_a_file_that_was_missing_from_a_directory_that_became_a_link(arena):
    """What the run made is removed: not what has the same name in a directory of root's."""
    path = arena.mallorys("app/bin/other", b"").with_name("setenv.sh")
    arena.add_canary("setenv.sh")
    record = str(arena.undo / "run")
    records.record(record, str(path), b"")
    (arena.home / "app/bin").rename(arena.home / "app/bin.away")
    (arena.home / "app/bin").symlink_to(arena.vault)
    os.chown(arena.home / "app/bin", attackers_uid(), -1, follow_symlinks=False)
    arena.call(restore.restore, record)
    arena.judge()


def test_names_of_temporary_files_that_are_planted(arena):
    """P2.3: links at predictable names, made again as soon as they are removed."""
    path = arena.mallorys("app/conf/file", b"his own\n")
    names = [
        str(path.with_name(name)) for name in (".file.rtc-undo", "file.rtc-undo", ".file.new", "file.new", "file~")
    ]
    arena.start(attackers.Planter(names, str(arena.canary), backups_of=[str(path)]))
    time.sleep(0.05)
    for number in range(60):
        record = str(arena.undo / str(number))
        arena.call(records.record, record, str(path), b"new")
        arena.call(_files.write_atomic, str(path), b"new %d\n" % number)
        arena.call(restore.restore, record)
    arena.judge(done=1)


def test_names_of_backups_that_are_guessed(arena):
    """Process id and second are no secret: a link is there already."""
    path = arena.mallorys("app/conf/file", b"his own\n")
    for ahead in range(6):
        moment = time.strftime("%Y-%m-%d@%H:%M:%S~", time.localtime(time.time() + ahead))
        link = path.with_name(f"file.{os.getpid()}.{moment}")
        link.symlink_to(arena.canary)
        os.chown(link, attackers_uid(), -1, follow_symlinks=False)
    for _number in range(3):
        arena.call(_files.backup, str(path))
    arena.judge()
