# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each system call of reading, writing, recording and giving back fails once, or is the last before a kill.

After an error: the old or the new file is whole, nothing lies beside it, no descriptor is open. After a kill: the same
file, and at most a temporary one with a name that says so.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree, _place
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore
from ansible_collections.collab.rtc.tests.unit.system_faults import CALLS, ERRORS, Fault, Kill

TEMPORARY = re.compile(r"\..*\.[0-9a-f]{16}\.new")
OLD, NEW = b"old" * 1000, b"new" * 2000


class Scene:
    """A file behind a link, with an undo record of it."""

    def __init__(self, root):
        self.root = root
        self.folder, self.record = root / "conf", root / "undo"
        self.folder.mkdir()
        self.file = self.folder / "server.xml"
        self.file.write_bytes(OLD)
        self.file.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(self.folder, 65534, 65534)
            os.chown(self.file, 65534, 4711)
        self.link = root / "link"
        self.link.symlink_to(self.folder)
        self.current = self.folder / "current"
        self.current.symlink_to("one")
        self.path = str(self.link / "server.xml")

    def prepare_undo(self):
        for path in (self.path, str(self.current), str(self.folder / "made")):
            records.record(str(self.record), path, b"")
        _files.write_atomic(self.path, NEW)
        _files_tree.replace_link(str(self.current), "two")
        (self.folder / "made").write_bytes(b"x")


def act(name, scene):
    """One operation of each kind."""
    if name == "read":
        assert _files.read_bytes(scene.path) == OLD
    elif name == "write":
        _files.write_atomic(scene.path, NEW, expected=OLD)
    elif name == "write a new one":
        _files.write_atomic(str(scene.folder / "made"), NEW, mode=0o600, owner=os.geteuid(), group=os.getegid())
    elif name == "back up":
        _files.backup(scene.path)
    elif name == "copy":
        _files.copy_file(scene.path, str(scene.folder / "made"))
    elif name == "record":
        records.record(str(scene.record), scene.path, b"")
    elif name == "give back":
        restore.restore(str(scene.record))
    elif name == "replace a link":
        _files_tree.replace_link(str(scene.current), "two")
    elif name == "make a directory":
        _files_tree.make_directory(str(scene.folder / "made/deeper"))
    elif name == "remove":
        _files_tree.remove(scene.path)
    elif name == "remove a tree":
        _files_tree.remove_tree(str(scene.folder))


ACTIONS = ("read", "write", "write a new one", "back up", "copy", "record", "give back", "replace a link",
           "make a directory", "remove", "remove a tree")  # fmt: skip
MAY_BE_GONE = ("remove", "remove a tree")


def check(scene, name, left_behind):
    """Old or new, whole; nothing of ours beside it, but where that cannot be helped."""
    if scene.file.exists():
        content = scene.file.read_bytes()
        assert content in (OLD, NEW)
        info = scene.file.stat()
        assert info.st_mode & 0o777 == 0o640
        assert os.geteuid() != 0 or (info.st_uid, info.st_gid) == (65534, 4711)
    else:
        assert name in MAY_BE_GONE
    if os.path.lexists(scene.current):
        assert os.readlink(scene.current) in ("one", "two")
    else:
        assert name in MAY_BE_GONE
    made = scene.folder / "made"
    if made.is_file() and name != "give back":
        assert made.read_bytes() in (OLD, NEW)
    if name == "record" and scene.record.exists():
        for entry in records.entries(str(scene.record)):  # what is named there is there, whole
            assert entry["kind"] == "missing" or (scene.record / entry["copy"]).read_bytes() == OLD
    for folder in (scene.folder, scene.record):
        left = [one for one in (os.listdir(folder) if folder.exists() else ()) if TEMPORARY.fullmatch(one)]
        assert len(left) <= left_behind, left


def list_open_files():
    """Files and directories that this process has open. Sockets and pipes of other tests may close at any time."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(path for path in found if path.startswith("/"))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Do one thing with one fault, in a directory of its own; returns what was called."""
    runs = []
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # it is called, and costs nothing

    def once(name, number=-1, error=0, kill=False):
        root = tmp_path / str(len(runs))
        root.mkdir()
        runs.append(root)
        monkeypatch.setattr(records, "ENDED", str(root / "run/ended.json"))
        scene = Scene(root)
        if name == "give back":
            scene.prepare_undo()
        descriptors = list_open_files()
        raised = ""
        with monkeypatch.context() as patch:
            fault = Fault(patch, number, error, kill)
            try:
                act(name, scene)
            except (RtcError, Kill) as exc:
                raised = type(exc).__name__
        assert kill or list_open_files() == descriptors
        # What cannot be removed stays.
        check(scene, name, kill or (number >= 0 and fault.seen[number] in ("unlink", "rmdir")))
        assert number < 0 or kill or raised != "Kill"
        return fault.seen

    return once


@pytest.mark.parametrize("name", ACTIONS)
def test_each_call_fails_once(run, name):
    calls = len(run(name))
    for number in range(calls):
        # Of the long ones each call in one way only: there are hundreds.
        for error in ERRORS if calls < 60 else [ERRORS[number % len(ERRORS)]]:
            run(name, number, error)


@pytest.mark.parametrize("name", ACTIONS)
def test_a_kill_before_each_call(run, name):
    for number in range(len(run(name))):
        run(name, number, kill=True)


def test_every_call_is_listed():
    """Nothing of the operating system is called that no fault is tried at."""
    harmless = {"path", "geteuid", "getpid", "umask", "urandom", "strerror"}
    used = set()
    for module in (_place, _files, _files_tree, records):
        used |= set(re.findall(r"\bos\.([a-z]\w+)\(", pathlib.Path(module.__file__).read_text(encoding="utf-8")))
    assert used - harmless <= set(CALLS)
