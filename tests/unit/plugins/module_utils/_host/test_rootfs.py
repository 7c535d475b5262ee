# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's files beneath a root."""

from __future__ import annotations

import os

import pytest


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
