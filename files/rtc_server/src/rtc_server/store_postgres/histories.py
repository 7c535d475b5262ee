# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which history a server of PostgreSQL tells. Each promotion begins a timeline, as does a copy that is restored to a
moment of the past: after it, revisions that were given may be missing, and be given again.

A server compares what it delivered with the store (following.py), of projects that it has loaded. Clients of any other
come back with a revision that says nothing of its content. So the timeline is kept in the store: on another one, what
could have lost something gets new epochs. So it does where the log is shorter than a server has seen it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from typing import Any, NamedTuple

import asyncpg  # type: ignore[import-not-found,import-untyped,unused-ignore]

from .connections import CANCELLED, Line

logger = logging.getLogger(__name__)

_KEY, _COPY = "history", "copy"
# The file's name, as pg_control's timeline is that of the last checkpoint, which follows a promotion later.
_READ = """
SELECT system_identifier::text, ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int,
  extract(epoch FROM pg_postmaster_start_time())::float8
FROM pg_control_system()"""
_KEPT = "SELECT value FROM rtc.meta WHERE key = $1"
_KEEP = "INSERT INTO rtc.meta VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2"
_FLUSHED = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint"
_IS_SAFE = "SELECT current_setting('synchronous_standby_names') <> ''"
# With a salt: a copy from before a failover, that is restored without its archive, gets the failover's timeline again.
_NEW_EPOCHS = "UPDATE rtc.project SET epoch = left(encode(sha256(convert_to(epoch || $1, 'UTF8')), 'hex'), 16)"
_NEW_EPOCH = "UPDATE rtc.meta SET value = $1 WHERE key = 'epoch'"
# Nobody waits for a standby, and where nothing changed nothing is written. $2: with a standby, $3: alone.
_KEEP_UP = """
WITH present AS (SELECT set_config('synchronous_commit', 'local', true),
  CASE WHEN current_setting('synchronous_standby_names') <> '' THEN $2 ELSE $3 END AS told)
UPDATE rtc.meta SET value = told FROM present WHERE key = $1 AND value IN ($2, $3) AND value <> told"""


class History(NamedTuple):
    """Of one server: the cluster's identifier, its timeline, and when it was started."""

    system: str
    timeline: int
    started: float

    def format(self, is_safe: bool) -> str:
        """As the store keeps it; ``is_safe``: a synchronous standby has all that is acknowledged."""
        return f"{self.system} {self.timeline} {'safe' if is_safe else 'alone'}"


async def read(connection: Any) -> History | None:
    """The history of a server that takes writes; None: it does not tell (some that are managed by others)."""
    with contextlib.suppress(asyncpg.PostgresError):
        row = await connection.fetchrow(_READ)
        await connection.fetchval(_FLUSHED)
        return History(*row)
    return None


class Memory:
    """What this server saw of the store's log. A copy of before that takes the store's place without a promotion, such
    as a snapshot of its machine, is on the same timeline, and has less of it."""

    def __init__(self) -> None:
        self.history: History | None = None
        self._flushed = 0  # bytes of the log that were on disk: a crash takes none of them

    def is_of_later(self, history: History, flushed: int) -> bool:
        """Whether this server saw more of that log already."""
        was = self.history
        same = was is not None and (was.system, was.timeline) == (history.system, history.timeline)
        return same and flushed < self._flushed

    def note(self, history: History | None, flushed: int) -> None:
        """That much is there."""
        self.history, self._flushed = history, flushed

    async def keep_up(self, line: Line) -> None:
        """Note how far the log is, and keep in the store whether a standby is synchronous: that may change while
        servers are connected, and has to reach a standby before it is promoted. Raises what the driver raises."""
        if self.history is None:
            return
        with contextlib.suppress(*CANCELLED):  # somebody has a lock on it: the next time
            (row,) = await line.fetch(_FLUSHED)
            self._flushed = row[0]
            await line.fetch(_KEEP_UP, _KEY, self.history.format(True), self.history.format(False))


async def follow(connection: Any, history: History | None, memory: Memory) -> None:
    """Keep the history in the store. Where it is another one than that of before, and no synchronous standby had all
    that was acknowledged, every project begins a new epoch: clients start over. Raises what the driver raises."""
    if history is None:
        memory.note(None, 0)
        return
    flushed = await connection.fetchval(_FLUSHED)
    told = history.format(await connection.fetchval(_IS_SAFE))
    is_copy = memory.is_of_later(history, flushed)
    if is_copy or await connection.fetchval(_KEPT, _KEY) != told:
        await _begin(connection, history, told, is_copy)
    memory.note(history, flushed)


async def _begin(connection: Any, history: History, told: str, is_copy: bool) -> None:
    async with connection.transaction():
        # There may be many projects. And nobody waits for a standby: what another failover undoes is done again.
        await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL synchronous_commit = local")
        await connection.execute("LOCK TABLE rtc.meta IN SHARE ROW EXCLUSIVE MODE")  # one of several servers does it
        kept = await connection.fetchval(_KEPT, _KEY)
        await connection.execute(_KEEP, _KEY, told)
        if is_copy:  # each server that saw more comes here
            start = f"{history.system} {history.timeline} {history.started}"
            if await connection.fetchval(_KEPT, _COPY) == start:
                return
            await connection.execute(_KEEP, _COPY, start)
        elif not kept or kept == told or not _may_lack(kept, history):
            return
        await connection.execute(_NEW_EPOCHS, secrets.token_hex(8), timeout=600)
        await connection.execute(_NEW_EPOCH, secrets.token_hex(8))
    logger.error(
        "the store is an older copy of what it was, or was promoted or restored while no standby was synchronous: what"
        " was acknowledged last may be lost. Every project begins a new epoch, and clients start over"
    )


def _may_lack(kept: str, history: History) -> bool:
    """Whether changes may be missing since the store kept that."""
    system, timeline, safety = kept.split(" ")
    if system != history.system:
        return True
    return timeline != str(history.timeline) and safety != "safe"
