# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal at its bounds: numbers of projects, sameness of changes, what waits, exports that are cut or odd."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from journal_support import alter, change, opened

from rtc_server.journal import Compact, JournalError, Snapshot, Submission, export_import, make_label, sqlite
from rtc_server.journal.same_change import is_same_json
from rtc_server.journal.schema import MAX_REVISION
from rtc_server.journal.verify import verify_journal


async def test_no_number_is_left(path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(change(1))
    alter(path, f"INSERT INTO project (number, name) VALUES ({(1 << 23) - 2}, 'last')")
    async with opened(path) as keeper:
        outcomes = await keeper.keep(
            change(2), change(1, "new"), change(1, "last"), Compact("new", Snapshot(1, "0"), keep=0)
        )
        assert {(o.request.project, o.code, o.revision) for o in outcomes} == {
            ("p", "", 2),
            ("new", "unavailable", 0),
            ("last", "", 1),
        }
        assert keeper.journal.fault is None
        assert (await keeper.keep(change(3)))[0].revision == 3
    assert verify_journal(str(path))[0] == []
    with pytest.raises(JournalError, match="no number left"):
        export_import.import_project(str(path), export_import.export_project(str(path), "p"), name="q")
    alter(path, f"INSERT INTO project (number, name) VALUES ({(1 << 23) - 1}, 'beyond')")
    assert verify_journal(str(path))[0] == [f"project 'beyond': has the number {(1 << 23) - 1}, which is none"]
    async with opened(path) as keeper:
        assert [o.code for o in await keeper.keep(change(1, "beyond"))] == ["unavailable"]
        with pytest.raises(JournalError):
            await keeper.journal.read_changes("beyond", 0, 10, 10)


def exported_at(revision: int, project: str = "far") -> list[str]:
    """An export of a project that was compacted at a revision."""
    head = {"format": export_import.FORMAT, "project": project, "revision": revision, "base": revision}
    return [json.dumps({**head, "snapshot": {"revision": revision, "data": 1}}), '{"end":1}']


async def test_revisions_beyond_what_keys_have_room_for(path: Path) -> None:
    """Their keys would be those of the project with the next number: nobody could keep a change any more."""
    for revision in (MAX_REVISION + 1, 1 << 40, (1 << 53) - 1):
        with pytest.raises(JournalError, match=f"line 1: revision {revision} is beyond"):
            export_import.import_project(str(path), exported_at(revision))
    export_import.import_project(str(path), exported_at(MAX_REVISION))
    empty = exported_at(0, "near")[0].replace('{"revision": 0, "data": 1}', "null")
    export_import.import_project(str(path), [empty, '{"end":1}'])
    async with opened(path) as keeper:
        outcomes = await keeper.keep(change(1, "far"), change(1, "near"))
        assert [(o.code, o.revision) for o in outcomes] == [("", MAX_REVISION + 1), ("", 1)]
    async with opened(path) as keeper:
        outcomes = await keeper.keep(change(2, "far"), change(2, "near"))
        assert {(o.request.project, o.code, o.revision) for o in outcomes} == {
            ("far", "unavailable", 0),
            ("near", "", 2),
        }
        assert keeper.journal.fault is None
    complaint = f"project 'far': revision {MAX_REVISION + 1} is beyond what a journal can number: it takes no changes"
    assert verify_journal(str(path))[0] == [complaint]


def test_no_snapshot_is_of_revision_0(path: Path) -> None:
    """Nobody would get it, and verify-journal calls it a fault."""
    with pytest.raises(JournalError, match="line 1: base 0, snapshot 0 and revision 0 do not fit together"):
        export_import.import_project(str(path), exported_at(0))


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201])
def test_no_import_under_a_name_that_nobody_can_join(path: Path, name: str) -> None:
    with pytest.raises(JournalError, match="line 1: project must have 1 to 200 printable characters"):
        export_import.import_project(str(path), exported_at(0, name))


VALUES = ["1", "1.0", "true", "0", "-0", "-0.0", "0.0", "false", "null", '""', "[]", "{}", "[1]", "[true]", '{"a":1}']
VALUES += ['{"a":1.0}', '{"a":2,"a":1}', '{"a":1,"a":1}', '{"a":1,"a":2}', '"1"', '["object",[]]', '["whole","1"]']
VALUES += ["18446744073709551616", "18446744073709551616.0"]


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(VALUES, 2)))
def test_different_changes(one: str, other: str) -> None:
    assert not is_same_json(one, other) and is_same_json(one, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":[2]}', '{ "b": [2], "a": 1 }'),
        ('"\\u00e9"', '"é"'),
        ("1E5", "100000.0"),
        ("1.0", "1.00"),
    ],
)
def test_the_same_change_in_another_form(one: str, other: str) -> None:
    assert is_same_json(one, other)


def test_data_that_cannot_be_compared() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert is_same_json(deep, deep) and not is_same_json(deep, deep.replace("[]", "[ ]"))


async def test_an_id_of_another_change(path: Path) -> None:
    def submission(data: str) -> Submission:
        return Submission("p", "c", "ann", data, make_label("c", "ann"))

    async with opened(path) as keeper:
        outcomes = await keeper.keep(*map(submission, ["1", "1", " 1", "true", "1.0"]))
        assert [o.code for o in outcomes] == ["", "", "", "id_reused", "id_reused"]


async def test_what_was_handed_over_does_not_wait(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MAX_BATCH", 10)
    monkeypatch.setattr(sqlite, "MAX_WAITING_BYTES", 100_000)
    async with opened(path) as keeper:
        numbers = itertools.count()
        for _ in range(40):  # more than ten wait at any time, and never more than the half of what may
            while len(keeper.journal._waiting) < 40:
                assert keeper.journal.submit(change(next(numbers), data="x" * 1000))
            seen = len(keeper.outcomes)
            while len(keeper.outcomes) == seen:
                await sqlite.asyncio.sleep(0)
        await keeper.journal.wait_idle()


async def test_an_export_that_is_not_read_to_its_end(path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(*[change(i) for i in range(50)])
        lines = export_import.export_project(str(path), "p")
        next(lines)
        await keeper.keep(change(50))
        while keeper.writer.run_maintenance() is not None:
            pass
        assert keeper.writer._db is not None
        busy, _, _ = keeper.writer._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        assert not busy
        assert len(list(lines)) == 51


@pytest.mark.parametrize("line", [0, 1, 2, 4, 5])
async def test_an_export_that_is_odd(path: Path, line: int) -> None:
    """Each member of each line absent, or of another kind: the line is named, and nothing is imported."""
    async with opened(path) as keeper:
        await keeper.keep(*[change(i) for i in range(5)], Compact("p", Snapshot(3, "3"), keep=1))
    lines = list(export_import.export_project(str(path), "p"))
    members: dict[str, Any] = json.loads(lines[line])
    for name in members:
        for value in (..., None, [], {}, "x", -1, 1.5, True, 1 << 70):
            other = {key: kept for key, kept in members.items() if key != name}
            if value is not ...:
                other[name] = value
            odd = [*lines[:line], json.dumps(other), *lines[line + 1 :]]
            try:
                export_import.import_project(str(path), odd, name="q", replace=True)
            except JournalError as exc:
                assert str(exc).startswith("line ") or "cut short" in str(exc)
            else:
                if (name, value) != ("forgotten", ...):  # older exports have none
                    assert name in ("data", "id", "user", "project", "snapshot", "time", "base", "revision"), (
                        name,
                        value,
                    )
            assert verify_journal(str(path))[0] == []
