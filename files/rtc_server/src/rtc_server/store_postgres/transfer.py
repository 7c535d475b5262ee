# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects out of the store and into it, in the form of the embedded journal's exports (journal/export_import.py)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator

from ..journal import export_import
from ..journal import schema as embedded
from ..journal.base import JournalError
from ..strict_json import count_bytes, dumps
from . import connections, reaching
from .connections import FAILURES, Connection, Store

_PAGE = 1_000  # changes read at once, and about so many bytes: a page has to come before the store gives it up
_PAGE_BYTES = 8 << 20
_OVERHEAD = 100  # bytes that a change counts for besides its data, as in rtc.append_1
_IN_MEMORY = 16 << 20


def export_project(store: Store, project: str) -> Iterator[str]:
    """The lines of an export, all of one moment, also while servers write. Raises JournalError."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="\n") as aside:
        asyncio.run(_with_connection(store, lambda connection: _read(connection, store, project, aside)))
        with export_import.put_aside():
            aside.seek(0)
        for line in aside:
            yield line.removesuffix("\n")


def list_projects(store: Store) -> list[tuple[str, int, int, int]]:
    """Name, revision, number of kept changes and their bytes of each project. Changes nothing: a database that no
    server used yet, or whose schema was put away, has none. Raises JournalError."""
    found: list[tuple[str, int, int, int]] = []

    async def read(connection: Connection) -> None:
        if await connections.read_version(connection, store):
            rows = await connection.fetch(
                "SELECT name, revision, revision - base, bytes FROM rtc.project ORDER BY name"
            )
            found.extend(tuple(row) for row in rows)

    asyncio.run(_with_connection(store, read, prepare=False))
    return found


async def _with_connection(
    store: Store, work: Callable[[Connection], Awaitable[None]], *, prepare: bool = True
) -> None:
    connection = await reaching.connect(store)
    try:
        if prepare:
            await connections.prepare(connection, store)
        await work(connection)
    except FAILURES as exc:
        if isinstance(exc, JournalError):
            raise
        raise JournalError(f"{store.address}: {connections.explain(exc, store)}") from exc
    finally:
        await connections.hang_up(connection)


async def _read(connection: Connection, store: Store, project: str, aside: tempfile.SpooledTemporaryFile[str]) -> None:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        row = await connection.fetchrow(
            "SELECT number, revision, base, forgotten, snapshot_revision, snapshot FROM rtc.project WHERE name = $1",
            project,
        )
        if row is None:
            raise JournalError(f"{store.address} has no project {project!r}")
        number, revision, base, forgotten, at, snapshot = row
        kept = "null" if snapshot is None else f'{{"revision":{at},"data":{export_import.tidy(snapshot)}}}'
        with export_import.put_aside():
            aside.write(
                f'{{"format":"{export_import.FORMAT}","project":{dumps(project)},"revision":{revision},"base":{base},'
                f'"forgotten":{forgotten},"snapshot":{kept}}}\n'
            )
        lines = 1
        for after, high in ((base, revision), (forgotten, base)):  # changes first, then ids of compacted ones
            low, page = after, 1
            while rows := await connection.fetch(
                "SELECT revision, id, author, at, data FROM rtc.change"
                " WHERE project = $1 AND revision > $2 AND revision <= $3 ORDER BY revision LIMIT $4",
                number, low, high, page,
            ):  # fmt: skip
                with export_import.put_aside():
                    for at, id, user, sent, data in rows:
                        head = f'{{"revision":{at},"id":{dumps(id)},"user":{dumps(user)},"time":{sent}'
                        aside.write(head + (f',"data":{export_import.tidy(data)}}}\n' if at > base else "}\n"))
                lines += len(rows)
                low = rows[-1][0]
                size = sum(len(row[4]) for row in rows) // len(rows) + _OVERHEAD
                page = min(2 * page, _PAGE, _PAGE_BYTES // size + 1)
        aside.write(f'{{"end":{lines}}}\n')


def import_project(
    store: Store, lines: Iterable[str], *, name: str = "", replace: bool = False, instead_of: int | None = None
) -> tuple[str, int]:
    """Put an export into the store, also while servers run: all of it or nothing. Returns project and revision.

    It gets a new epoch, so clients that knew another history start over. Raises JournalError.

    :param instead_of: the revision at which the store's project may be replaced: nobody has gone on with it.
    """
    with _make_directory() as directory:  # an embedded journal checks every line, and holds what is large
        path = os.path.join(directory, "journal.db")
        project, revision = export_import.import_project(path, lines, name=name)
        with embedded.open_for_reading(path) as db:
            asyncio.run(
                _with_connection(store, lambda connection: _write(connection, db, project, replace, instead_of))
            )
    return project, revision


@contextlib.contextmanager
def _make_directory() -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        with export_import.put_aside():
            directory = stack.enter_context(tempfile.TemporaryDirectory())
        yield directory


async def _write(
    connection: Connection, db: sqlite3.Connection, project: str, replace: bool, instead_of: int | None
) -> None:
    low, revision, base, forgotten, at, snapshot = db.execute(
        "SELECT number * ?, revision, base, forgotten, snapshot_revision, snapshot FROM project WHERE name=?",
        (embedded.SPAN, project),
    ).fetchone()
    (size,) = db.execute(
        "SELECT coalesce(sum(length(CAST(data AS BLOB)) + ?), 0) FROM change WHERE key>?", (_OVERHEAD, low + base)
    ).fetchone()
    size += 0 if snapshot is None else count_bytes(snapshot)
    warnings: list[str] = []
    reaching.hear_warnings(connection, lambda _state, text: warnings.append(text))
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")  # a project may be large
        row = await connection.fetchrow("SELECT number, revision FROM rtc.project WHERE name = $1 FOR UPDATE", project)
        old, at_revision = row or (None, None)
        if instead_of is not None and at_revision != instead_of:
            raise JournalError(f"the store's project {project!r} was changed meanwhile: move once more")
        if old is not None and not replace and instead_of is None:
            raise JournalError(
                f"the store has a project {project!r} already: import it under another name, or replace it"
            )
        if old is not None:
            await connection.execute("DELETE FROM rtc.change WHERE project = $1", old, timeout=600)
            await connection.execute("DELETE FROM rtc.project WHERE number = $1", old)
        # ids of changes that are whole stay known with them, whatever the embedded journal had forgotten
        number = await connection.fetchval(
            "INSERT INTO rtc.project"
            " (name, epoch, revision, base, cleaned, forgotten, bytes, snapshot_revision, snapshot)"
            " VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8) RETURNING number",
            project, secrets.token_hex(8), revision, base, min(forgotten, base), size, at, snapshot,
        )  # fmt: skip
        with contextlib.closing(
            db.execute("SELECT key - ?, user, id, time, data FROM change ORDER BY key", (low,))
        ) as all:
            await connection.copy_records_to_table(
                "change",
                schema_name="rtc",
                columns=["project", "revision", "author", "id", "at", "data"],
                records=((number, *row) for row in all),
                timeout=3600,
            )
        await connection.execute("SELECT pg_notify('rtc', $1)", f"e {project}")
    if warnings:
        raise JournalError(
            f"the store warned ({warnings[0]}): whether a standby has project {project!r} is not known; import it"
            " again, and replace it"
        )
