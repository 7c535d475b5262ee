# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SELinux labels of files: real extended attributes, and a policy that the real libselinux reads."""

from __future__ import annotations

import ctypes
import errno
import os

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree, _labels
from ansible_collections.collab.rtc.plugins.module_utils._proxy import apply
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore

HTTPD, CERT = "system_u:object_r:httpd_config_t:s0", "system_u:object_r:cert_t:s0"
POLICY = """\
{root}(/.*)?            system_u:object_r:usr_t:s0
{root}/(.*/)?bin(/.*)?  system_u:object_r:bin_t:s0
{root}/link         -l  system_u:object_r:link_t:s0
{root}/pki(/.*)?        system_u:object_r:cert_t:s0
{root}/nothing          <<none>>
"""


def read_label(path):
    """The label of what has the name, a link not followed; "" for none."""
    try:
        return os.getxattr(path, _labels.NAME, follow_symlinks=False).rstrip(b"\0").decode()
    except OSError as exc:
        assert exc.errno == errno.ENODATA
        return ""


def set_label(path, label):
    os.setxattr(path, _labels.NAME, label.encode() + b"\0")


@pytest.fixture
def labelled(tmp_path, monkeypatch):
    """A directory that takes labels; SELinux is on, and its policy says something of what is in there."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    root = tmp_path / "root"
    root.mkdir()
    try:
        set_label(root, "system_u:object_r:tmp_t:s0")
        library = ctypes.CDLL("libselinux.so.1")
    except OSError as exc:
        pytest.skip(f"no labels here: {exc}")
    contexts = tmp_path / "file_contexts"
    contexts.write_text(POLICY.format(root=root))
    assert library.matchpathcon_init(bytes(contexts)) == 0
    switch_on(tmp_path, monkeypatch)
    yield root
    library.matchpathcon_fini()


def switch_on(tmp_path, monkeypatch):
    (tmp_path / "enforce").write_text("1")
    monkeypatch.setattr(_labels, "_ENFORCE", str(tmp_path / "enforce"))


def test_what_is_new_gets_what_the_policy_says(labelled):
    _files_tree.make_directory(str(labelled / "opt/bin"))
    _files.write_atomic(str(labelled / "opt/bin/program"), b"x")
    _files.write_atomic(str(labelled / "opt/text"), b"x")
    _files_tree.replace_link(str(labelled / "link"), "opt/text")
    _files_tree.replace_link(str(labelled / "other"), "opt/text")
    found = {name: read_label(labelled / name).split(":")[2] for name in
             ("opt", "opt/bin", "opt/bin/program", "opt/text", "link", "other")}  # fmt: skip
    assert found == {
        "opt": "usr_t", "opt/bin": "bin_t", "opt/bin/program": "bin_t", "opt/text": "usr_t",
        "link": "link_t", "other": "usr_t",
    }  # fmt: skip


def test_what_is_replaced_keeps_its_label(labelled):
    path = labelled / "site.conf"
    path.write_text("old")
    set_label(path, HTTPD)  # not what the policy says: somebody chose it
    _files.write_atomic(str(path), b"new")
    assert (path.read_bytes(), read_label(path)) == (b"new", HTTPD)
    _files.write_atomic(str(path), b"newer", 0o600, exact=True)
    assert read_label(path) == HTTPD
    assert read_label(_files.backup(str(path))) == HTTPD


def test_a_file_without_a_label_gets_the_policys_when_it_is_replaced(labelled):
    path = labelled / "pki/key.pem"
    path.parent.mkdir()
    path.write_text("old")
    assert read_label(path) == ""
    _files.write_atomic(str(path), b"new")
    assert read_label(path) == CERT


def test_what_the_policy_leaves_out_is_left_to_the_kernel(labelled):
    _files.write_atomic(str(labelled / "nothing"), b"x")
    assert read_label(labelled / "nothing") == ""


def test_a_tree_is_labelled_for_the_place_where_it_will_be(labelled):
    top = _files_tree.make_hidden_directory(str(labelled), "unpack", 0o755)
    for name in ("bin/program", "lib/bin/deep", "text"):
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write("x")
    outside = labelled / "outside"
    outside.write_text("x")
    os.symlink(outside, os.path.join(top, "away"))
    _files_tree.label_tree(top, str(labelled / "pki"))
    found = {read_label(os.path.join(top, name)) for name in ("", "bin", "bin/program", "lib/bin/deep", "text")}
    assert found == {CERT}
    assert read_label(outside) == ""


def test_what_is_undone_has_its_label_again(labelled, tmp_path):
    path, undo = labelled / "site.conf", str(tmp_path / "undo/run")
    path.write_text("old")
    set_label(path, HTTPD)
    records.record(undo, str(path), None)
    step = apply.Step(str(path), None)
    step.apply()
    assert not path.exists()
    step.undo()
    assert (path.read_text(), read_label(path)) == ("old", HTTPD)
    path.unlink()
    restore.restore(undo, None)
    assert (path.read_text(), read_label(path)) == ("old", HTTPD)


def test_without_selinux_no_label_is_given(labelled, tmp_path):
    (tmp_path / "enforce").unlink()
    _files_tree.make_directory(str(labelled / "opt"))
    _files.write_atomic(str(labelled / "opt/text"), b"x")
    _files_tree.replace_link(str(labelled / "link"), "opt/text")
    _files_tree.label_tree(str(labelled / "opt"), "/opt")
    assert [read_label(labelled / name) for name in ("opt", "opt/text", "link")] == ["", "", ""]


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (b"", b"system_u:object_r:bin_t:s0\0"),
        (b"odd\0", b"system_u:object_r:bin_t:s0\0"),
        (b"unconfined_u:object_r:usr_t:s0:c1,c2\0", b"unconfined_u:object_r:bin_t:s0:c1,c2\0"),
        (b"unconfined_u:object_r:bin_t:s0\0", b"unconfined_u:object_r:bin_t:s0\0"),  # of its type already
        (b"user_u:object_r:usr_t\0", b"user_u:object_r:bin_t\0"),  # a policy without ranges
    ],
)
def test_only_the_type_changes(current, expected):
    assert _labels.change_type(current, b"system_u:object_r:bin_t:s0") == expected


def refuse_labels(monkeypatch, code):
    real = os.setxattr

    def refuse(file, name, *more, **options):
        if name == _labels.NAME:
            raise OSError(code, os.strerror(code))
        real(file, name, *more, **options)

    monkeypatch.setattr(os, "setxattr", refuse)


@pytest.mark.parametrize("existed", [True, False])
def test_a_label_that_is_refused_leaves_the_old_file(labelled, monkeypatch, existed):
    path = labelled / "pki"
    if existed:
        path.write_text("old")
        set_label(path, HTTPD)
    before = os.listdir(labelled)
    refuse_labels(monkeypatch, errno.EACCES)
    with pytest.raises(_files.FileError, match=r"pki cannot get SELinux's label .*_t:s0: Permission denied") as caught:
        _files.write_atomic(str(path), b"new")
    assert "restorecon" in caught.value.remedy
    assert os.listdir(labelled) == before
    assert not existed or path.read_text() == "old"


def test_a_file_system_without_labels_is_written_to(labelled, monkeypatch):
    refuse_labels(monkeypatch, errno.ENOTSUP)
    _files.write_atomic(str(labelled / "pki"), b"new")
    assert (labelled / "pki").read_bytes() == b"new"


def test_without_the_library_nothing_is_labelled(tmp_path, monkeypatch):
    switch_on(tmp_path, monkeypatch)

    def fail(*_arguments, **_options):
        raise OSError(errno.ENOENT, "libselinux.so.1: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", fail)
    _files.write_atomic(str(tmp_path / "file"), b"x")
    assert (tmp_path / "file").read_bytes() == b"x"
