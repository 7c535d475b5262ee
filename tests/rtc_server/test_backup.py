# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of a journal while a server writes, the list of projects, and a project that is deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from journal_support import Keeper, change, opened

from rtc_server.journal import Compact, JournalError, Snapshot, backup, flush, writer
from rtc_server.journal.verify import verify_journal


@pytest.mark.parametrize("small", [False, True])
async def test_backups_under_load(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool) -> None:
    """Each has all that was acknowledged before it began, in order. ``small``: the log's files take turns meanwhile."""
    if small:
        monkeypatch.setattr(writer, "MAX_UNFLUSHED", 40)
        monkeypatch.setattr(flush, "FLUSH_BATCH", 16)
    done = asyncio.Event()
    acknowledged = 0

    async def write(keeper: Keeper) -> None:
        nonlocal acknowledged
        while not done.is_set():
            first = acknowledged
            await keeper.keep(*[change(first + i, data="x" * 500) for i in range(20)])
            acknowledged += 20
            if first % 400 == 0 and first:
                await keeper.keep(Compact("p", Snapshot(first, f'"{first}"'), keep=200))

    async with opened(path) as keeper:
        writing = asyncio.create_task(write(keeper))
        known = []
        for number in range(8):
            await asyncio.sleep(0.05)
            known.append(acknowledged)
            await asyncio.to_thread(backup.back_up, str(path), str(tmp_path / f"copy{number}.db"))
        done.set()
        await writing
    for number, least in enumerate(known):
        copy = tmp_path / f"copy{number}.db"
        assert verify_journal(str(copy))[0] == []
        async with opened(copy) as keeper:
            head = await keeper.journal.read_head("p")
            assert head.revision >= least
            assert await keeper.ids("p", head.base) == [f"c{i}" for i in range(head.base, head.revision)]
    assert acknowledged > 100
    assert not list(tmp_path.glob("*.part*"))


async def test_a_backup_never_replaces_a_file(path: Path, tmp_path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(change(1))
        with pytest.raises(JournalError, match="exists already"):
            backup.back_up(str(path), str(path))
        with pytest.raises(JournalError, match="No such file"):
            backup.back_up(str(path), str(tmp_path / "none" / "copy.db"))
        with pytest.raises(JournalError, match="File name too long"):
            backup.back_up(str(path), str(tmp_path / ("x" * 300)))
        backup.back_up(str(path), str(tmp_path / "copy.db"))
        assert sorted(file.name for file in tmp_path.glob("copy*")) == ["copy.db"]
        assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


async def test_list_and_delete(path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(*[change(i) for i in range(5)], change(1, "q"), Compact("p", Snapshot(4, '"s"'), keep=2))
        assert [row[:3] for row in backup.list_projects(str(path))] == [("p", 5, 3), ("q", 1, 1)]
        await keeper.keep(change(2, "q", data="é€😀"), Compact("q", Snapshot(1, '"ß"'), keep=5))
        for _ in range(2):  # what only the log has, and what the tables have
            assert list(backup.list_projects(str(path)))[1] == ("q", 2, 2, len('1"é€😀""ß"'.encode()))
            await asyncio.sleep(0.3)
        before = await keeper.journal.read_head("p")
        with pytest.raises(JournalError, match="in use"):
            backup.delete_project(str(path), "p")
    backup.delete_project(str(path), "p")
    with pytest.raises(JournalError, match="no project 'none'"):
        backup.delete_project(str(path), "none")
    assert next(iter(backup.list_projects(str(path)))) == ("p", 0, 0, 0)
    assert verify_journal(str(path)) == ([], {"projects": 2, "changes": 2, "snapshots": 1})
    async with opened(path) as keeper:
        head = await keeper.journal.read_head("p")
        assert (head.revision, head.base) == (0, 0) and head.epoch != before.epoch
        assert [(o.revision, o.duplicate) for o in await keeper.keep(change(1))] == [(1, False)]
