# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is lost is said, and what is whole is saved."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from journal_support import Maintenance, alter, change, copied, logged, opened, rewrite

from rtc_server.cli import main
from rtc_server.journal import Compact, JournalError, Snapshot, wal
from rtc_server.journal.repair import repair
from rtc_server.journal.verify import verify_journal


async def killed(path: Path, tmp_path: Path, maintenance: Maintenance) -> Path:
    """A journal of which some is flushed, and some only in the log."""
    async with opened(path) as keeper:
        await keeper.keep(*[change(i) for i in range(6)])
        await maintenance.flush_once()
        await keeper.keep(change(6), change(0, "q"))
        await keeper.keep(change(7))
        copy = copied(path, tmp_path / "killed")
        maintenance.release()
    return copy


def remove_both(copy: Path) -> None:
    for name in wal.file_names(str(copy)):
        Path(name).unlink()


def remove_second(copy: Path) -> None:
    Path(wal.file_names(str(copy))[1]).unlink()


def empty_both(copy: Path) -> None:
    for name in wal.file_names(str(copy)):
        Path(name).write_bytes(b"")


def exchange(copy: Path) -> None:
    for name in wal.file_names(str(copy)):
        batch = wal.encode_batch(b"another!", 1, 1, "")
        Path(name).write_bytes(batch + bytes(wal.BLOCK - len(batch)))


@pytest.mark.parametrize("lose", [remove_both, remove_second, empty_both, exchange])
async def test_a_log_that_is_gone(
    path: Path, tmp_path: Path, maintenance: Maintenance, lose: Callable[[Path], None]
) -> None:
    copy = await killed(path, tmp_path, maintenance)
    lose(copy)
    (complaint,) = verify_journal(str(copy))[0]
    assert "project 'p': those after 6" in complaint and "project 'q': those after 0" in complaint
    async with opened(copy) as keeper:
        assert "rtc-server repair" in str(keeper.journal.fault)
        assert (await keeper.keep(change(9)))[0].code == "unavailable"
    target = tmp_path / "saved.db"
    lost, counts = repair(str(copy), str(target))
    assert lost and counts == {"projects": 2, "changes": 6, "snapshots": 0}
    assert verify_journal(str(target))[0] == []
    async with opened(target) as keeper:
        assert await keeper.ids() == [f"c{i}" for i in range(6)]
        assert (await keeper.keep(change(9)))[0].revision == 7
        head = await keeper.journal.read_head("p")
    async with opened(path) as keeper:
        assert (await keeper.journal.read_head("p")).epoch != head.epoch


async def test_a_start_that_is_cut_short_is_no_loss(path: Path, tmp_path: Path) -> None:
    """The log has its name before its files are made."""
    async with opened(path) as keeper:
        await keeper.keep(change(1))
    alter(path, "INSERT INTO meta VALUES ('log', '0123456789abcdef')")
    assert verify_journal(str(path))[0] == []
    async with opened(path) as keeper:
        assert (await keeper.keep(change(2)))[0].revision == 2


async def test_a_gap(path: Path, tmp_path: Path, maintenance: Maintenance, capsys: pytest.CaptureFixture[str]) -> None:
    async with opened(path) as keeper:
        for batch in range(4):
            await keeper.keep(change(batch), change(batch, "q") if batch != 1 else change(100, "r"))
        copy = copied(path, tmp_path / "killed")
        maintenance.release()
    rewrite(copy, [text if at != 1 else None for at, text in enumerate(logged(copy))])
    (complaint,) = verify_journal(str(copy))[0]
    assert "batch 2 of the journal's write-ahead log is damaged: restore a copy or an export" in complaint
    assert "lost: project 'p': revisions 2 to 2; perhaps the last changes of others" in complaint
    before = {file.name: file.read_bytes() for file in copy.parent.iterdir() if file.name[-4:] in ("log0", "log1")}
    target = tmp_path / "saved.db"
    assert main(["repair", str(copy), str(target)]) == 0
    told = capsys.readouterr()
    assert "project 'p': revisions 2 to 2 are lost; 3 to 4, behind them, not saved" in told.err
    assert "saved 3 projects, 4 changes, 0 snapshots" in told.out
    assert before == {name: (copy.parent / name).read_bytes() for name in before}
    async with opened(target) as keeper:
        assert await keeper.ids("p") == ["c0"] and await keeper.ids("q") == ["c0", "c2", "c3"]
    assert main(["repair", str(copy), str(target)]) == 1
    assert "exists already" in capsys.readouterr().err


async def test_a_table_with_holes(path: Path, tmp_path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(*[change(i) for i in range(9)], *[change(i, "q") for i in range(3)])
        await keeper.keep(Compact("p", Snapshot(6, '"six"'), keep=2))
    alter(path, f"DELETE FROM change WHERE key={(1 << 40) + 8}")
    lost, counts = repair(str(path), str(tmp_path / "saved.db"))
    assert lost == ["project 'p': revisions 8 to 9 are lost, and later ones not saved"]
    assert counts == {"projects": 2, "changes": 6, "snapshots": 1}
    assert verify_journal(str(tmp_path / "saved.db"))[0] == []
    async with opened(tmp_path / "saved.db") as keeper:
        again = await keeper.keep(change(1))
        assert (again[0].revision, again[0].duplicate) == (2, True)  # ids of compacted changes are kept
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    with pytest.raises(JournalError, match="does not exist"):
        repair(str(tmp_path / "none"), str(tmp_path / "new.db"))
