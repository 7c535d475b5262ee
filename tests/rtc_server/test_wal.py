# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The write-ahead log: what is written is read, damage is reported, and batches of another time do not count."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtc_server.journal import JournalError, wal

LOG_ID = b"\x01\x02RTCB\xff\x00"  # as awkward as can be


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading that tries again need not wait."""
    monkeypatch.setattr(wal.time, "sleep", lambda _seconds: None)


@contextlib.contextmanager
def meta(log_id: bytes = LOG_ID) -> Iterator[sqlite3.Connection]:
    """The table that has the log's id."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)) as db:
        db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
        db.execute("INSERT INTO meta VALUES ('log', ?)", (log_id.hex(),))
        yield db


def found(path: Path, log_id: bytes = LOG_ID) -> list[tuple[int, str]]:
    with meta(log_id) as db:
        return wal.read_batches(db, str(path))


@pytest.fixture
def written(path: Path) -> Iterator[wal.Wal]:
    made = wal.Wal(str(path), LOG_ID)
    yield made
    made.close()


def test_what_is_written_is_read(path: Path, written: wal.Wal) -> None:
    texts = [
        "",
        "a",
        "é\u2028\0\n",
        "x" * (wal.BLOCK - wal.TEXT_OFFSET),
        "y" * (wal.BLOCK - wal.TEXT_OFFSET + 1),
        "z" * 3_000_000,
        "last",
    ]
    for text in texts:
        written.append(text)
        written.extend()
    assert found(path) == list(enumerate(texts, 1))
    assert found(path, b"\0" * 8) == []  # another log's


@pytest.mark.parametrize("value", ["", "zz", "ab" * 7, "ab" * 9, None, 5, b"ab" * 8])
def test_an_id_that_is_damaged(path: Path, written: wal.Wal, value: object) -> None:
    written.append("one")
    with meta() as db:
        db.execute("UPDATE meta SET value=?", (value,))
        with pytest.raises(JournalError, match="the id of the write-ahead log is damaged: restore a copy"):
            wal.read_batches(db, str(path))


def test_no_log_at_all(path: Path) -> None:
    assert found(path) == []
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        assert wal.read_batches(db, str(path)) == []


def test_files_are_used_in_turn(path: Path, written: wal.Wal) -> None:
    """What was in the file that is written now does not count, however much of it is left."""
    number = 0
    previous: list[tuple[int, str]] = []
    for turn in range(6):
        now = []
        for _ in range(9 - turn):  # each leaves batches of an earlier use after its end
            number += 1
            written.append(f"batch {number}")
            now.append((number, f"batch {number}"))
            assert found(path) == previous + now
        assert written.used > 0
        written.rotate()
        assert written.used == 0
        number += 1
        previous = [*now, (number, "")]  # the batch which says that those before are not needed
        assert found(path) == previous


def test_a_file_that_is_made_ready_when_there_is_time(path: Path, written: wal.Wal) -> None:
    assert not written.preallocate()  # nothing shows yet how much is needed
    for _ in range(40):
        written.append("x" * 30_000)
    while written.preallocate():
        pass
    assert all(Path(name).stat().st_size >= 2 * written.used for name in wal.file_names(str(path)))
    assert len(found(path)) == 40


def test_every_byte_counts(path: Path, written: wal.Wal) -> None:
    """Each batch but the last, which may never have been acknowledged."""
    texts = [f"batch {i} of Zoë" for i in range(4)]
    for text in texts:
        written.append(text)
    file = Path(wal.file_names(str(path))[0])
    whole = file.read_bytes()
    size = wal.TEXT_OFFSET + len(texts[0].encode())
    for at in range(size):
        for batch in range(4):
            broken = bytearray(whole)
            broken[batch * wal.BLOCK + at] ^= 0x10
            file.write_bytes(bytes(broken))
            if batch == 3:
                assert [text for _, text in found(path)] == texts[:3]
            else:
                with pytest.raises(
                    JournalError, match=f"batch {batch + 1} of the journal's write-ahead log is damaged: restore"
                ):
                    found(path)
    for cut in range(3 * wal.BLOCK, 3 * wal.BLOCK + size):  # a commit that the power cut short
        file.write_bytes(whole[:cut] + bytes(len(whole) - cut))
        assert [text for _, text in found(path)] == texts[:3]


@pytest.mark.parametrize("reached", range(7))
def test_a_power_cut_amid_the_first_batch_after_a_rotation(path: Path, written: wal.Wal, reached: int) -> None:
    """It writes over batches that are flushed, whichever of its three blocks reach the disk: none of them is missed."""
    for text in ("one", "two", "three"):
        written.append(text)
    written.rotate()
    written.append("four")
    written.rotate()  # so the first file is flushed
    file = Path(wal.file_names(str(path))[0])
    before = file.read_bytes()
    written.append("x" * 3 * (wal.BLOCK - wal.TEXT_OFFSET))
    after = file.read_bytes()
    blocks = [(after if reached & 1 << at else before)[at * wal.BLOCK : (at + 1) * wal.BLOCK] for at in range(3)]
    file.write_bytes(b"".join(blocks) + after[3 * wal.BLOCK :])
    assert [text for _, text in found(path) if text] == ["four"]


def test_a_file_that_is_gone(path: Path, written: wal.Wal) -> None:
    written.append("one")
    written.rotate()
    written.append("two")
    Path(wal.file_names(str(path))[0]).unlink()
    with pytest.raises(JournalError, match="batch 1 of the journal's write-ahead log is damaged"):
        found(path)


def test_a_missing_batch_that_is_flushed_is_not_missed(path: Path, written: wal.Wal) -> None:
    """Up to the number that table ``meta`` has, but only if it is of the same log."""
    for text in ("one", "two", "three", "four"):
        written.append(text)
    file = Path(wal.file_names(str(path))[0])
    content = file.read_bytes()
    file.write_bytes(content[: wal.BLOCK] + bytes(wal.BLOCK) + content[2 * wal.BLOCK :])
    for filed, whole in (
        (None, False),
        (f"{LOG_ID.hex()} 1", False),
        (f"{LOG_ID.hex()} 2", True),
        (f"{bytes(8).hex()} 2", False),
        ("1700000000.5", False),
        (f"{LOG_ID.hex()} 2.5", False),
    ):
        with meta() as db:
            db.execute("INSERT INTO meta VALUES ('filed', ?)", (filed,))
            if whole:
                assert wal.read_batches(db, str(path)) == [(1, "one"), (3, "three"), (4, "four")]
            else:
                with pytest.raises(JournalError, match="batch 2 of the journal's write-ahead log is damaged"):
                    wal.read_batches(db, str(path))


def forge(log_id: bytes) -> str:
    """A whole block that would pass for a batch of the log of that id."""
    batches = [wal.encode_batch(log_id, number, 1, "") for number in range(100, 1000)]
    return next(batch for batch in batches if batch.isascii()).decode().ljust(wal.BLOCK, "y")


@pytest.mark.parametrize("known", [False, True])
def test_data_that_look_like_a_batch(path: Path, known: bool) -> None:
    """What clients send cannot pass for a batch, because they do not know the log's id. ``known``: it would, if they
    did."""
    log_id = b"not told"
    made = wal.Wal(str(path), log_id)
    made.append("x" * (wal.BLOCK - wal.TEXT_OFFSET) + forge(log_id if known else b"guessed!") * 3)
    made.append("another")
    made.rotate()
    made.rotate()
    made.append("short")
    made.close()
    if known:
        with pytest.raises(JournalError, match="damaged"):
            found(path, log_id)
    else:
        assert found(path, log_id) == [(4, "short")]


def test_reading_while_a_server_writes(path: Path, written: wal.Wal) -> None:
    """A reading is of one moment: all that was not flushed when it began, or a later one."""
    told = [0, 1]  # the last that was acknowledged; the first that may not be flushed
    ended = threading.Event()

    def write() -> None:
        source = random.Random(7)
        for turn in range(60):
            first = told[0] + 1
            for _ in range(source.randrange(1, 30)):
                written.append(f"{told[0] + 1} " + "x" * source.randrange(6000))
                told[0] += 1
            if turn % 2:
                written.extend()
            told[1] = first  # what was before is flushed
            written.rotate()
            told[0] += 1  # by an empty batch
        ended.set()

    thread = threading.Thread(target=write)
    readings = 0
    with meta() as db:
        thread.start()
        try:
            while not ended.is_set():
                last, _ = told
                batches = wal.read_batches(db, str(path))
                first = told[1]
                numbers = [number for number, _ in batches]
                assert numbers == list(range(numbers[0], numbers[0] + len(numbers)) if numbers else ())
                assert all(text.startswith(f"{number} ") or not text for number, text in batches)
                assert last == 0 or numbers[-1] >= last or first > last
                readings += 1
        finally:
            thread.join()
    assert readings > 3


def test_a_file_system_in_memory() -> None:
    """Some refuse to write past the page cache."""
    if not os.path.isdir("/dev/shm"):
        pytest.skip("no /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        path = Path(directory) / "journal.db"
        made = wal.Wal(str(path), LOG_ID)
        made.append("one")
        made.close()
        assert found(path) == [(1, "one")]
        assert {oct(Path(name).stat().st_mode & 0o777) for name in wal.file_names(str(path))} == {"0o600"}


@pytest.mark.parametrize("late", [False, True])
def test_a_file_system_that_refuses(path: Path, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    """To open such a file, or to write to it: then it is written as any other."""
    real, real_write = os.open, os.pwrite
    direct: set[int] = set()

    def refusing(name: str, flags: int, *rest: int) -> int:
        if flags & os.O_DIRECT and not late:
            raise OSError(22, "Invalid argument")
        file = real(name, flags, *rest)
        (direct.add if flags & os.O_DIRECT else direct.discard)(file)
        return file

    def writing(file: int, data: bytes, offset: int) -> int:
        if file in direct:
            raise OSError(22, "Invalid argument")
        return real_write(file, data, offset)

    monkeypatch.setattr(os, "open", refusing)
    monkeypatch.setattr(os, "pwrite", writing)
    made = wal.Wal(str(path), LOG_ID)
    made.append("one")
    made.close()
    assert found(path) == [(1, "one")]
