# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One journal, one server, whatever name the journal goes by."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from journal_support import change, opened

from rtc_server.journal import JournalError, JournalInUse, export_import, lock
from rtc_server.journal.verify import verify_journal


def link_file(path: Path, other: Path) -> Path:
    other.mkdir()
    (other / "another.db").symlink_to(path)
    return other / "another.db"


def link_directory(path: Path, other: Path) -> Path:
    other.symlink_to(path.parent)
    return other / path.name


def link_hard(path: Path, other: Path) -> Path:
    other.mkdir()
    os.link(path, other / path.name)
    return other / path.name


def mount_file(path: Path, other: Path) -> Path:
    other.mkdir()
    (other / path.name).touch()
    if subprocess.run(["mount", "--bind", path, other / path.name], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    return other / path.name


def remove_lock(path: Path, _other: Path) -> Path:
    Path(f"{path}.lock").unlink()
    return path


NAMES = [link_file, link_directory, link_hard, mount_file, remove_lock]


@pytest.mark.parametrize("rename", NAMES)
async def test_a_second_server_is_refused(path: Path, tmp_path: Path, rename: Callable[[Path, Path], Path]) -> None:
    async with opened(path) as keeper:
        await keeper.keep(change(1))
        name = rename(path, tmp_path / "other")
        try:
            with pytest.raises(JournalInUse, match="is in use by process"):
                async with opened(name):
                    pass
            with pytest.raises(JournalError):
                export_import.new_epoch(str(name))
            assert (await keeper.keep(change(3)))[0].revision == 2
        finally:
            if rename is mount_file:
                subprocess.run(["umount", name], check=True)


async def test_hard_links(path: Path, tmp_path: Path) -> None:
    """Also when no server runs: the log would be looked for under the wrong name."""
    async with opened(path) as keeper:
        await keeper.keep(change(1))
    name = link_hard(path, tmp_path / "other")
    for one in (path, name):
        async with opened(one) as keeper:
            assert "2 names (hard links)" in str(keeper.journal.fault)
            assert (await keeper.keep(change(2)))[0].code == "unavailable"
        with pytest.raises(JournalError, match="hard links"):
            verify_journal(str(one))
    name.unlink()
    async with opened(path) as keeper:
        assert (await keeper.keep(change(2)))[0].revision == 2


@pytest.mark.parametrize("rename", [link_file, link_directory])
async def test_killed_at_one_name_and_started_at_the_other(
    path: Path, tmp_path: Path, rename: Callable[[Path, Path], Path]
) -> None:
    async with opened(path) as keeper:
        keeper.writer.flush_and_close = keeper.writer.close  # type: ignore[method-assign]
        await keeper.keep(*[change(i) for i in range(5)])
    async with opened(rename(path, tmp_path / "other")) as keeper:
        assert await keeper.ids() == [f"c{i}" for i in range(5)]


@pytest.mark.parametrize("kind", ["nfs4", "ext4"])
async def test_a_file_system_of_several_machines(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    device = path.parent.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"22 1 {os.major(device)}:{os.minor(device)} / /mnt rw shared:1 - {kind} host:/x rw\n", encoding="utf-8"
    )
    monkeypatch.setattr(lock, "_MOUNTS", str(mounts))
    async with opened(path) as keeper:
        assert (keeper.journal.fault is None) == (kind == "ext4")
        if keeper.journal.fault is not None:
            assert "is on a file system of type nfs4" in keeper.journal.fault
