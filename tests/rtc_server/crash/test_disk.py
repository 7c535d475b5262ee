# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of the disk, rule by rule: README.md has them."""

from __future__ import annotations

import errno
import os

import pytest

from crash.disk import SECTOR, Disk, Files, UnsupportedError
from crash.states import Builder, Limits, states
from crash.trace import Call, Mode, Op

ANY = os.O_RDWR | os.O_CREAT


def call(
    op: Op,
    fd: int = 3,
    *,
    flags: int = 0,
    offset: int = 0,
    path: str = "",
    other: str = "",
    data: bytes = b"",
    error: int = 0,
) -> Call:
    mode = Mode.AFTER if error else 0
    return Call(op, fd, flags, error, offset, fd if op is Op.OPEN else 0, mode, path, other, data)


def left(before: Files, *calls: Call, limits: Limits | None = None) -> list[Files]:
    """All that a crash during or after the calls can leave, each once."""
    disk = Disk(before)
    found: list[Files] = []
    builder = Builder(disk)
    for state in states(disk, list(calls), limits or Limits()):
        files = builder.files(state)
        if files not in found:
            found.append(files)
    return found


OLD = {"f": b"o" * 2 * SECTOR}
OPENED = call(Op.OPEN, path="f", flags=os.O_RDWR)
DIRECTORY = call(Op.OPEN, 9, path="", flags=os.O_RDONLY)


def test_a_write_arrives_by_sectors_in_any_order() -> None:
    found = left(OLD, OPENED, call(Op.WRITE, data=b"n" * 2 * SECTOR))
    assert sorted(f["f"][::SECTOR] for f in found) == [b"nn", b"no", b"on", b"oo"]


def test_what_shares_a_sector_arrives_with_what_was_written_before() -> None:
    found = left(OLD, OPENED, call(Op.WRITE, data=b"1"), call(Op.WRITE, data=b"2", offset=1))
    assert sorted(f["f"][:2] for f in found) == [b"12", b"1o", b"oo"]


def test_a_sync_makes_it_durable_and_no_other_file() -> None:
    before = {**OLD, "g": b"o"}
    calls = [
        OPENED,
        call(Op.OPEN, 4, path="g", flags=os.O_RDWR),
        call(Op.WRITE, data=b"n"),
        call(Op.WRITE, 4, data=b"n"),
    ]
    disk = Disk(before)
    for one in [*calls, call(Op.SYNC)]:
        disk.issue(one)
        disk.complete(one)
    assert disk.durable[disk.names["f"]].data[:1] == b"n" and disk.durable[disk.names["g"]].data == b"o"
    assert len(disk.pending) == 1


def test_a_synchronous_write_is_durable_when_it_returns_and_only_it() -> None:
    synchronous = call(Op.OPEN, 4, path="f", flags=os.O_RDWR | os.O_DSYNC)
    disk = Disk(OLD)
    for one in (OPENED, synchronous, call(Op.WRITE, data=b"a", offset=SECTOR), call(Op.WRITE, 4, data=b"b")):
        disk.issue(one)
        disk.complete(one)
    assert disk.durable[1].data[::SECTOR] == b"bo" and len(disk.pending) == 1


def test_after_a_failed_sync_another_one_promises_nothing() -> None:
    failed = call(Op.SYNC, error=errno.EIO)
    calls = (OPENED, call(Op.WRITE, data=b"n"), failed, call(Op.SYNC))
    disk = Disk(OLD)
    for one in calls:
        disk.issue(one)
        disk.complete(one)
    assert len(disk.pending) == 1 and not disk.promises(call(Op.SYNC))
    for one in (call(Op.WRITE, data=b"m"), call(Op.SYNC)):  # what is written again is written
        disk.issue(one)
        disk.complete(one)
    assert disk.durable[1].data[:1] == b"m" and not disk.pending


def test_a_new_name_needs_its_directory_synced() -> None:
    made = [DIRECTORY, call(Op.OPEN, path="n", flags=ANY), call(Op.WRITE, data=b"x"), call(Op.SYNC)]
    assert {} in left({}, *made, call(Op.MARK, data=b"{}"))
    disk = Disk({})
    for one in [*made, call(Op.SYNC, 9)]:
        disk.issue(one)
        disk.complete(one)
    assert disk.names.keys() == {"n"} and not disk.pending


def test_names_change_in_order_or_one_of_them_late() -> None:
    before = {"a": b"a", "b": b"b", "c": b"c"}
    gone = [call(Op.UNLINK, path=name) for name in before]
    found = {"".join(sorted(f)) for f in left(before, *gone)}
    assert found == {"abc", "bc", "c", "", "a", "b"}


def test_a_rename_is_one_step() -> None:
    before = {"a": b"new", "b": b"old"}
    found = left(before, call(Op.RENAME, path="a", other="b"))
    assert found in ([before, {"b": b"new"}], [{"b": b"new"}, before])


def test_a_file_that_grows_has_its_size_with_or_without_the_bytes() -> None:
    found = [f["f"] for f in left({"f": b""}, OPENED, call(Op.WRITE, data=b"n" * 2 * SECTOR))]
    none, one = b"\0" * SECTOR, b"n" * SECTOR
    assert sorted(found) == sorted([b"", none + none, one, one + none, none + one, one + one])


def test_new_blocks_are_not_there_before_the_old_ones_are_cut_off() -> None:
    """Nor is what is written after a cut seen at the old size."""
    found = [f["f"] for f in left(OLD, OPENED, call(Op.TRUNCATE, offset=0), call(Op.WRITE, data=b"n" * SECTOR))]
    assert all(data in (b"", b"n" * SECTOR, b"\0" * SECTOR, OLD["f"]) for data in found) and OLD["f"] in found


@pytest.mark.parametrize(
    "strange",
    [
        call(Op.UNSEEN, data=b"io_uring"),
        call(Op.MAP),
        call(Op.ALLOCATE, flags=2),
        call(Op.SYMLINK, path="x", other="y"),
    ],
)
def test_what_the_model_does_not_know_is_no_state(strange: Call) -> None:
    with pytest.raises(UnsupportedError):
        left(OLD, OPENED, strange)


@pytest.mark.parametrize(("count", "states_at_least"), [(10, 2**10), (12, 12 * 2 + 66 * 2 + 500)])
def test_how_many_subsets(count: int, states_at_least: int) -> None:
    before = {"f": b"o" * SECTOR * count}
    writes = [call(Op.WRITE, data=b"n", offset=SECTOR * n) for n in range(count)]
    assert len(left(before, OPENED, *writes, call(Op.SYNC))) >= states_at_least


def test_the_same_states_each_time() -> None:
    calls = [OPENED, *(call(Op.WRITE, data=b"n", offset=SECTOR * n) for n in range(15))]
    assert left(OLD, *calls) == left(OLD, *calls)
