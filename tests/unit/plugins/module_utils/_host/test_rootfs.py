# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's files beneath a root."""

from __future__ import annotations

import os

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs


def test_rootfs_keeps_links_beneath_the_root(host, rootfs):
    host.write("/opt/a/file", "yes").link("/opt/absolute", "/opt/a").link("/opt/a/up", "../../../../opt/a/file")
    assert rootfs.real("/opt/absolute/file") == "/opt/a/file"
    assert rootfs.text("/opt/absolute/up") == "yes"
    assert rootfs.real("/opt/missing/../a") == "/opt/a"


def test_rootfs_survives_a_loop_of_links(host, rootfs):
    host.link("/opt/one", "/opt/two").link("/opt/two", "/opt/one")
    assert rootfs.data("/opt/one") is None and not rootfs.is_dir("/opt/one")


def test_rootfs_does_not_wait_for_a_pipe(host, rootfs):
    os.mkfifo(host.root + "/pipe")
    assert rootfs.data("/pipe") is None


def test_rootfs_notes_what_is_too_large(host, rootfs):
    host.write("/large", "x" * 11)
    assert rootfs.data("/large", 10) is None
    assert "larger than 10 bytes" in rootfs.unreadable["/large"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_rootfs_notes_what_is_not_permitted(host, rootfs):
    host.write("/secret", "x", mode=0)
    assert rootfs.text("/secret") is None
    assert "become" in rootfs.unreadable["/secret"]


def test_rootfs_notes_a_refusal(host, rootfs, monkeypatch):
    def refuse(path, *rest, **more):
        raise PermissionError(13, "Permission denied", path)

    host.write("/secret", "x")
    monkeypatch.setattr(os, "open", refuse)
    assert rootfs.text("/secret") is None
    assert rootfs.unreadable["/secret"] == "Permission denied: run with become to see it"


# On the real root, where other users put links.


@pytest.fixture
def secret(tmp_path):
    """A file that only root may read, in a directory of his."""
    path = tmp_path / "vault/server.xml"
    path.parent.mkdir()
    path.write_text("secret", encoding="ascii")
    path.chmod(0o600)
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may read it")
@pytest.mark.parametrize("what", ["file", "directory", "hard link"])
def test_a_link_of_another_user_shows_nothing_of_roots(tmp_path, secret, what):
    tmp_path.chmod(0o777)
    path = tmp_path / "conf/server.xml"
    if what == "directory":
        path.parent.symlink_to(secret.parent)
    else:
        path.parent.mkdir()
        path.symlink_to(secret) if what == "file" else path.hardlink_to(secret)
        os.chown(path.parent, 65534, 65534)
    if what != "hard link":
        os.chown(path if what == "file" else path.parent, 65534, -1, follow_symlinks=False)
    rootfs = RootFs()
    assert rootfs.data(str(path)) is None
    assert "secret" not in rootfs.unreadable[str(path)]
    if what == "directory":
        assert rootfs.names(str(path.parent)) == []
    if what != "hard link":
        assert rootfs.real(str(path)) == str(path)
    # Root's own links are followed, and those of a user to what is his.
    (tmp_path / "by-root").symlink_to(secret)
    assert rootfs.text(str(tmp_path / "by-root")) == ("secret" if what != "hard link" else None)
    assert rootfs.real(str(tmp_path / "by-root")) == str(secret)


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_is_no_file_is_not_opened(tmp_path, kind):
    path = tmp_path / "server.xml"
    os.mkfifo(path) if kind == "fifo" else path.symlink_to("/dev/zero")
    rootfs = RootFs()
    assert rootfs.data(str(path)) is None
    assert str(path) in rootfs.unreadable


def test_the_kernels_files_are_read(tmp_path):
    rootfs = RootFs()
    assert (rootfs.data(f"/proc/{os.getpid()}/comm") or b"").strip()
    assert rootfs.text("/proc/net/tcp") is not None
    assert "self" in rootfs.names("/proc")
