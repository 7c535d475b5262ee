# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/journal-format.md against what the server writes: a reader that follows the document alone.

It takes nothing from the server's journal, and the fields of a batch from the document's table.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from journal_support import Maintenance, a_history, change, copied, opened
from rtc_support import ROOT

from rtc_server.journal import Compact, Outcome, Snapshot

DOCUMENT = (ROOT / "docs/journal-format.md").read_text(encoding="utf-8")
# name: (offset, bytes) of the fields of a batch (section 3)
FIELDS = {
    name: (int(offset), int(size))
    for offset, size, name in re.findall(r"^\| (\d+) \| (\d+) \| ([a-z ]+) \|", DOCUMENT, re.MULTILINE)
}
HEADER = sum(size for _, size in FIELDS.values())
BLOCK = 4096


class Damage(Exception):
    """Section 8."""


class Batch(NamedTuple):
    number: int
    first_needed: int
    text: str


class Project(NamedTuple):
    """Revision, then id, user, time and data of each change, and the snapshot."""

    base: int
    revision: int
    changes: dict[int, tuple[str, str, int, str]]
    snapshot: tuple[int, str | None]


def batch_at(content: bytes, at: int, log_id: bytes) -> tuple[Batch, int] | None:
    """The batch that counts and begins at that block, and where its text ends (section 3)."""

    def field(name: str) -> bytes:
        offset, size = FIELDS[name]
        return content[at + offset : at + offset + size]

    if field("magic") != b"RTCB" or field("log id") != log_id:
        return None
    number, first_needed, length, checksum = (
        int.from_bytes(field(name), "big") for name in ("number", "first needed", "length", "checksum")
    )
    text = content[at + HEADER : at + HEADER + length]
    summed = content[at : at + FIELDS["checksum"][0]] + text
    if len(text) < length or zlib.crc32(summed) != checksum:
        return None
    try:
        return Batch(number, first_needed, text.decode()), at + HEADER + length
    except UnicodeDecodeError:
        return None


def needed_batches(path: Path, log_id: bytes, filed: str) -> list[Batch]:
    """Section 7, step 4."""
    found: dict[int, Batch] = {}
    for name in ("-log0", "-log1"):
        file = Path(f"{path}{name}")
        content = file.read_bytes() if file.exists() else b""
        at = 0
        while at < len(content):
            counting = batch_at(content, at, log_id)
            if counting is not None:
                found[counting[0].number] = counting[0]
                at = -(-counting[1] // BLOCK) * BLOCK
            else:
                at += BLOCK
    if not found:
        return []
    numbers = range(found[max(found)].first_needed, max(found) + 1)
    match = re.fullmatch(r"([0-9a-f]{16}) (\d+)", filed)
    covered = int(match[2]) if match and match[1] == log_id.hex() else 0
    if any(number not in found and number > covered for number in numbers):
        raise Damage("a batch is missing")
    return [found[number] for number in numbers if number in found]


def records_of(batch: Batch) -> list[tuple[int, int, tuple[str, str, int, str]]]:
    """Project number, revision and change of each record (section 4)."""
    lines = batch.text.split("\n")
    if lines.pop() or len(lines) % 2:
        raise Damage("a record is cut short")
    found = []
    for head, data in zip(lines[::2], lines[1::2], strict=True):
        match = re.fullmatch(r"(\d+) (\d+) (\d+) (\{.*\})", head, re.DOTALL)
        if match is None:
            raise Damage("a record has another form")
        label = json.loads(match[4])
        found.append((int(match[1]), int(match[2]), (label["id"], label["user"], int(match[3]), data)))
    return found


def read_journal(path: Path) -> dict[str, Project]:
    """All projects of a journal, by name: tables and log, without writing (section 7)."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA application_id").fetchone() == (0x52544331,)
        assert db.execute("PRAGMA user_version").fetchone() == (3,)
        log_id = db.execute("SELECT value FROM meta WHERE key='log'").fetchone()
        filed = db.execute("SELECT value FROM meta WHERE key='filed'").fetchone()
        batches = needed_batches(path, bytes.fromhex(log_id[0]), filed[0] if filed else "") if log_id else []
        db.execute("BEGIN")
        projects: dict[int, Project] = {}
        names: dict[int, str] = {}
        for number, name, revision, base, forgotten, *snapshot in db.execute(
            "SELECT number, name, revision, base, forgotten, snapshot_revision, snapshot FROM project"
        ):
            changes = {
                key - (number << 40): (id, user, time, data)
                for key, id, user, time, data in db.execute(
                    "SELECT * FROM change WHERE key>? AND key<?", ((number << 40) + base, (number + 1) << 40)
                )
            }
            assert list(changes) == list(range(base + 1, revision + 1)), "I1"
            ids = dict(
                db.execute("SELECT revision, user || ' ' || id FROM change_id WHERE project=?", (number,)).fetchall()
            )
            assert sorted(ids) == list(range(forgotten + 1, revision + 1)), "I1, and ids stay"
            assert all(ids[at] == f"{c[1]} {c[0]}" for at, c in changes.items() if at > forgotten)
            assert 0 <= base <= snapshot[0], "I7"
            projects[number] = Project(base, revision, changes, tuple(snapshot))
            names[number] = name
    advanced: set[int] = set()
    for batch in batches:
        for number, revision, content in records_of(batch):
            if number not in projects:
                raise Damage("no such project")
            project = projects[number]
            if revision <= project.revision and number not in advanced:
                continue
            if revision != project.revision + 1:
                raise Damage("changes are missing")
            project.changes[revision] = content
            projects[number] = project._replace(revision=revision)
            advanced.add(number)
    return {names[number]: project for number, project in projects.items()}


def told(outcomes: list[Outcome]) -> dict[str, dict[int, tuple[str, str, int, str]]]:
    """What was acknowledged, by project and revision."""
    found: dict[str, dict[int, tuple[str, str, int, str]]] = defaultdict(dict)
    for o in outcomes:
        request: Any = o.request
        found[request.project][o.revision] = (request.id, request.user, o.time, request.data)
    return found


def test_the_document_has_the_fields() -> None:
    assert list(FIELDS) == ["magic", "log id", "number", "first needed", "length", "checksum"]
    assert [offset for offset, _ in FIELDS.values()] == [0, 4, 12, 20, 28, 32] and HEADER == 36


async def test_the_document_has_the_tables_and_keys(path: Path) -> None:
    (script,) = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)
    with contextlib.closing(sqlite3.connect(":memory:")) as documented:
        documented.executescript(script)
        tables = [row[0] for row in documented.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        columns = {t: documented.execute(f"PRAGMA table_xinfo({t})").fetchall() for t in tables}

    async with opened(path) as keeper:
        await keeper.keep(change(1))
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert {t: db.execute(f"PRAGMA table_xinfo({t})").fetchall() for t in tables} == columns
        assert {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")} == set(tables)
        keys = {row[0] for row in db.execute("SELECT key FROM meta")}
    assert keys <= set(re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE))


async def test_changes_in_every_state(path: Path, tmp_path: Path, maintenance: Maintenance) -> None:
    """As after a kill at each of these moments; the log grows, rotates and is written over meanwhile."""
    history = a_history()
    copies: list[tuple[Path, dict[str, dict[int, Any]]]] = []
    async with opened(path) as keeper:
        outcomes: list[Outcome] = []
        for at in range(0, len(history), 40):
            outcomes += await keeper.keep(*history[at : at + 40])
            assert {n: p.changes for n, p in read_journal(path).items()} == told(outcomes)  # while the server writes
            copies.append((copied(path, tmp_path / f"killed{at}"), told(outcomes)))
            if at > 80:
                await maintenance.flush_once()
                copies.append((copied(path, tmp_path / f"flushed{at}"), told(outcomes)))
        long = await keeper.keep(change(5000, data="€" * 10_000), change(5001, project="r\u2028", data="\x85\u2028"))
        outcomes += long
        copies.append((copied(path, tmp_path / "long"), told(outcomes)))
        maintenance.release()
    assert sorted(file.name for file in tmp_path.glob("journal.db*")) == ["journal.db", "journal.db.lock"]  # "Stop"
    copies.append((path, told(outcomes)))
    for copy, known in copies:
        assert {name: project.changes for name, project in read_journal(copy).items()} == known, copy


async def test_a_snapshot(path: Path, tmp_path: Path, maintenance: Maintenance) -> None:
    async with opened(path) as keeper:
        outcomes = await keeper.keep(*[change(i) for i in range(30)])
        await keeper.keep(Compact("p", Snapshot(20, '{"s":1}'), keep=5))
        outcomes += await keeper.keep(*[change(i) for i in range(30, 40)])
        copy = copied(path, tmp_path / "killed")
        maintenance.release()
    for file in (path, copy):
        project = read_journal(file)["p"]
        assert (project.base, project.revision, project.snapshot) == (15, 40, (20, '{"s":1}'))
        assert project.changes == {at: c for at, c in told(outcomes)["p"].items() if at > 15}


@pytest.mark.parametrize("batch", range(3))
@pytest.mark.parametrize("at", [0, 5, 13, 21, 29, 33, 40])
async def test_damage(path: Path, tmp_path: Path, maintenance: Maintenance, batch: int, at: int) -> None:
    """A byte of any field: an error, but in the last batch, which then may never have been acknowledged."""
    async with opened(path) as keeper:
        outcomes = [(await keeper.keep(change(i)))[0] for i in range(3)]
        copy = copied(path, tmp_path / "killed")
        maintenance.release()
    log = Path(f"{copy}-log0")
    content = bytearray(log.read_bytes())
    content[batch * BLOCK + at] ^= 1
    log.write_bytes(bytes(content))
    if batch < 2:
        with pytest.raises(Damage):
            read_journal(copy)
    else:
        assert read_journal(copy)["p"].changes == told(outcomes[:2])["p"]
