# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading and writing whole files."""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
import sys

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files


def test_a_new_file_gets_the_mode_asked_for(tmp_path):
    path = tmp_path / "key.pem"
    _files.write_atomic(str(path), b"x", mode=0o600)
    assert path.read_bytes() == b"x"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_file_keeps_mode_and_owner(tmp_path):
    path = tmp_path / "server.xml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12, 34)
    before = path.stat()
    _files.write_atomic(str(path), b"new", mode=0o600)
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    target = tmp_path / "real" / "cacerts"
    target.parent.mkdir()
    target.write_bytes(b"old")
    link = tmp_path / "cacerts"
    link.symlink_to(target)
    assert _files.write_atomic(str(link), b"new") == str(target)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "server.xml"
    path.write_bytes(b"old")

    def no_space(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(_files.FileError, match="disk is full"):
        _files.write_atomic(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["server.xml"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "Check the path"),
        (lambda path: path.mkdir(), "not a regular file"),
    ],
    ids=["missing", "directory"],
)
def test_reading_says_what_is_wrong(tmp_path, make, words):
    path = tmp_path / "file"
    make(path)
    with pytest.raises(_files.FileError) as error:
        _files.read_bytes(str(path))
    assert str(path) in str(error.value)
    if words.startswith("Check"):
        assert words in str(error.value)


def test_a_file_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with pytest.raises(_files.FileError, match="larger than 4 bytes"):
        _files.read_bytes(str(path), limit=4)


def test_a_backup_is_a_copy_beside_the_file(tmp_path):
    path = tmp_path / "server.xml"
    path.write_bytes(b"content")
    path.chmod(0o640)
    copy = _files.backup(str(path))
    assert os.path.dirname(copy) == str(tmp_path)
    assert _files.read_bytes(copy) == b"content"
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o640


# What others may have put there.


@pytest.mark.parametrize("kind", ["fifo", "socket", "directory", "device", "loop", "nothing", "hard link", "huge"])
@pytest.mark.parametrize("act", ["read", "write", "backup", "open"])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path, kind, act):
    path = tmp_path / "file"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(os.path.relpath(path))
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to("file")
    elif kind == "hard link":
        (tmp_path / "other").write_bytes(b"of somebody")
        (tmp_path / "other").chmod(0o600)
        path.hardlink_to(tmp_path / "other")
        tmp_path.chmod(0o777)  # somebody else may have made it
    elif kind == "huge":
        path.write_bytes(b"")
        os.truncate(path, 1 << 40)
    if (kind, act) in (("nothing", "write"), ("huge", "write")):
        pytest.skip("may be written")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(_files.FileError) as error:
        if act == "read":
            _files.read_bytes(str(path))
        elif act == "write":
            _files.write_atomic(str(path), b"new")
        elif act == "backup":
            _files.backup(str(path))
        else:
            with _files.open_file(str(path)):
                pass
    assert error.value.remedy or kind == "loop"
    assert sorted(os.listdir(tmp_path)) == before


def test_more_names_are_read_where_only_root_can_have_made_them(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "other").hardlink_to(tmp_path / "file")
    monkeypatch.setattr(_files.Place, "is_own", lambda place: True)
    assert _files.read_bytes(str(tmp_path / "file")) == b"x"
    with pytest.raises(_files.FileError, match="2 names"):  # or the two names would part
        _files.write_atomic(str(tmp_path / "file"), b"new")


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"12")
    really = os.read

    def read(handle, size):
        with open(path, "ab") as file:
            file.write(b"3")
        return really(handle, 1)

    monkeypatch.setattr(os, "read", read)
    with pytest.raises(_files.FileError, match=r"larger than|changed by something else"):
        _files.read_bytes(str(path), limit=100)


def test_only_what_was_read_is_replaced(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"by somebody else")
    for expected in (b"as read", b"by somebody else, longer"):
        with pytest.raises(_files.FileError, match="changed by something else"):
            _files.write_atomic(str(path), b"new", expected=expected)
    _files.write_atomic(str(path), b"new", expected=b"by somebody else")
    path.unlink()
    with pytest.raises(_files.FileError, match="changed by something else"):
        _files.write_atomic(str(path), b"new", expected=b"new")
    assert os.listdir(tmp_path) == []


def test_exact_access_of_an_existing_file(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"old")
    path.chmod(0o644)
    _files.write_atomic(str(path), b"new", mode=0o600, exact=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_set_id_bits_do_not_stay(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o6755)
    _files.write_atomic(str(path), b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def make_acl(uid, rights):
    """user::rw-, user:uid:rights, group::r--, mask::rw-, other::--- (acl(5))."""
    entries = [(1, 6, 0xFFFFFFFF), (2, rights, uid), (4, 4, 0xFFFFFFFF), (16, 6, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def set_acl(path, name, data):
    try:
        os.setxattr(path, name, data)
    except OSError as exc:
        pytest.skip(f"no ACLs on this file system: {exc.strerror}")


def test_the_acl_stays_and_the_directory_adds_none(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    set_acl(path, "system.posix_acl_access", make_acl(4711, 4))
    kept = os.getxattr(path, "system.posix_acl_access")
    _files.write_atomic(str(path), b"new")
    assert os.getxattr(path, "system.posix_acl_access") == kept
    other = tmp_path / "other"
    other.write_bytes(b"old")
    other.chmod(0o660)
    set_acl(tmp_path, "system.posix_acl_default", make_acl(4711, 6))  # whoever has the directory can set it
    _files.write_atomic(str(other), b"new")
    with pytest.raises(OSError, match="No data"):
        os.getxattr(other, "system.posix_acl_access")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_an_owner_that_cannot_be_kept_is_an_error_for_root(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 65534, 65534)

    def refuse(*_arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(_files.FileError, match="Operation not permitted"):
        _files.write_atomic(str(path), b"new")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", ["file"])


def test_a_lease_does_not_make_us_wait(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    child = subprocess.Popen(
        [sys.executable, "-c",
         "import fcntl, os, signal, sys\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\n"
         f"handle = os.open({str(path)!r}, os.O_RDWR)\nfcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
         "print('held', flush=True)\nsys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(_files.FileError, match="lease"):
            _files.read_bytes(str(path))
    finally:
        child.communicate(timeout=10)


MOUNTED = """
import subprocess, sys
from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import facts
source, path = sys.argv[1:]
subprocess.run(["mount", "--bind", source, path], check=True)
print(facts.is_mount_point(RootFs(), path), facts.is_mount_point(RootFs(), source))
try:
    _files.write_atomic(path, b"new")
except _files.FileError as exc:
    print(exc)
"""


def test_a_file_that_is_a_mount_point(tmp_path):
    """As containers have it: the file cannot be replaced, and the remedy says what to do."""
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespace here")
    source, path = tmp_path / "source", tmp_path / "server xml"
    source.write_bytes(b"old")
    path.write_bytes(b"below")
    command = ["unshare", "-rm", sys.executable, "-c", MOUNTED, str(source), str(path)]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.stdout.startswith("True False\n"), done.stderr
    assert f"{path} cannot be written: Device or resource busy. It is a mount point" in done.stdout
    assert (source.read_bytes(), path.read_bytes(), sorted(os.listdir(tmp_path))) == (
        b"old", b"below", ["server xml", "source"])  # fmt: skip
