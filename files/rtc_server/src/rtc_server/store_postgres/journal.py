# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal on PostgreSQL: rounds of changes, and all that keeps this server and the others in one order.

Three connections to one host: one writes rounds, one reads, one listens. When any of them fails, or the listener does
not hear this server's own heartbeat, all are closed and made anew; until then changes are refused, and what is in
memory can be read. What a round that was cut off has kept is learned from the log.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from ..histogram import Histogram
from ..journal.base import (
    NO_LIMITS,
    Change,
    Compact,
    Figures,
    Head,
    JournalError,
    JournalLimits,
    OnOutcomes,
    Outcome,
    Snapshot,
    Submission,
)
from ..journal.guard import Guard
from ..journal.waiting import Waiting
from . import checking, connections, histories, reaching, rounds
from .audience import Audience
from .company import Company
from .connections import FAILURES, Line, Store
from .following import Follower, Mark

logger = logging.getLogger(__name__)

JournalRequest = Submission | Compact

RETRY = 1.0  # seconds between attempts to connect; clients are told to wait as long
BEAT = 1.0  # seconds between heartbeats through the store
DEAF = 4.0  # seconds without one's own heartbeat, after which the listener is not believed any more
COMPARE = 3.0  # seconds between comparisons of heads
MAX_BATCH = 1024
MAX_BATCH_BYTES = 1 << 20
MAX_WAITING = 50_000
MAX_WAITING_BYTES = 32 << 20
_CLEAN_ROWS = 1_000  # compacted or forgotten in one piece
_CLEAN_PAUSE = 2.0  # seconds between looks for something to clean
_CLEAN_BUSY = 0.05  # between pieces
_DAY = 86_400_000  # milliseconds
FORGET_ROUND = 3600.0  # seconds between looks for ids that are old enough

_HEAD = """
SELECT p.epoch, p.revision, p.base, p.snapshot_revision, c.id, c.author,
  CASE WHEN c.data <> '' THEN encode(sha256(convert_to(c.data, 'UTF8')), 'hex') ELSE '' END
FROM rtc.project p LEFT JOIN rtc.change c ON c.project = p.number AND c.revision = p.revision WHERE p.name = $1"""
_CHANGES = """
SELECT revision, id, author, at, data FROM (
  SELECT c.*, sum(octet_length(c.data)) OVER (ORDER BY c.revision) AS size,
    row_number() OVER (ORDER BY c.revision) AS nth
  FROM (SELECT c.* FROM rtc.project p JOIN rtc.change c ON c.project = p.number
        WHERE p.name = $1 AND c.revision > greatest(p.base, $2) ORDER BY c.revision LIMIT $3) c) x
WHERE size <= $4 OR nth = 1 ORDER BY revision"""
# By the store's clock, which gave changes their times: a server whose clock is ahead would forget ids that are needed.
_CLEAN = "SELECT rtc.clean_1($1, coalesce((extract(epoch FROM clock_timestamp()) * 1000)::bigint - $2, 0))"
_SNAPSHOT = "SELECT snapshot_revision, snapshot FROM rtc.project WHERE name = $1 AND snapshot IS NOT NULL"


class PostgresJournal:
    """:class:`~rtc_server.journal.base.Journal` that several servers share."""

    retry_after = RETRY

    def __init__(self, store: Store, limits: JournalLimits = NO_LIMITS) -> None:
        self.store = store
        self.fault: str | None = "the store was not reached yet"
        self.is_disk_full = False
        self._limits = limits
        self._guard = Guard("", JournalLimits(limits.project_bytes, 0))
        self._waiting = Waiting()
        self._news = asyncio.Event()
        self._compare_now = asyncio.Event()
        self._busy = False  # a round is on its way, or being delivered
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._warnings: list[str] = []  # of the present writing connection
        self._writer: Line | None = None
        self._reader: Line | None = None
        self._listener: Line | None = None
        self._memory = histories.Memory()
        self._said_risks: set[str] = set()
        self._main: asyncio.Task[None] | None = None
        self._follower: Follower | None = None
        self.company: Company | None = None
        self.batches = 0
        self.requests = 0
        self._commits = Histogram()

    @property
    def alive(self) -> bool:
        """Whether the task that keeps the connections runs."""
        return self._closing or self._main is None or not self._main.done()

    def measure(self) -> Figures:
        """What it has done, and what is waiting."""
        return Figures("postgresql", self._commits, self.requests, len(self._waiting), self._waiting.bytes)

    def set_limits(self, limits: JournalLimits) -> None:
        """Take other limits from the next batch on; ``keep_ids_days`` stays."""
        self._limits = self._limits._replace(project_bytes=limits.project_bytes)
        self._guard.project_bytes = limits.project_bytes

    # --- start and end ------------------------------------------------------------------------

    def attend(self, audience: Audience) -> Company:
        """Whom to tell what other servers do. To be called before :meth:`start`."""
        self._follower = Follower(audience)
        self.company = Company(audience, time.monotonic)
        return self.company

    async def start(self, on_outcomes: OnOutcomes) -> None:
        """Connect. What goes wrong becomes a fault, and is tried again every second."""
        self._on_outcomes = on_outcomes
        opened = asyncio.get_running_loop().create_future()
        self._main = asyncio.ensure_future(self._run(opened))
        await opened

    async def wait_idle(self) -> None:
        """Wait until everything submitted has had its outcome."""
        await self._idle.wait()

    async def close(self) -> None:
        """Commit what was submitted, say good-bye, then hang up."""
        if self._closing or self._main is None:
            return
        await self.wait_idle()
        self._closing = True
        if self._listener is not None and self.company is not None and self.fault is None:
            try:
                await asyncio.wait_for(self._notify([f"b {self.company.node}"]), 2.0)
            except FAILURES:
                logger.debug("the other servers learn from the end of the lease that this one has gone")
        await _end([self._main])
        await self._hang_up()

    async def _run(self, opened: asyncio.Future[None]) -> None:
        """Connect and work, again and again."""
        while not self._closing:
            try:
                await self._open()
                self._clear_fault()
                if not opened.done():
                    opened.set_result(None)
                await self._work()
            except FAILURES as exc:
                self._fail(exc)
            except Exception as exc:  # what should not happen: the task must live on
                logger.error("the journal failed", exc_info=exc)
                self._fail(exc)
            finally:
                if not opened.done():
                    opened.set_result(None)
            await self._hang_up()
            await asyncio.sleep(RETRY)

    async def _open(self) -> None:
        """Connect, and compare histories before anything is kept or delivered. Raises JournalError and others."""
        # The store warned the writing connection: the wait for a standby was given up, which is no success although the
        # store says so (PostgreSQL's syncrep.c, SyncRepWaitForLSN). Texts may be in any language: any warning counts.
        warnings = self._warnings = []
        reached = await reaching.reach(self.store)
        writer = self._writer = Line(reached.connection)
        reaching.hear_warnings(reached.connection, lambda state, text: warnings.append(f"{state} {text}"))
        await connections.prepare(writer.connection, self.store)
        if self.is_disk_full:
            await connections.try_disk(writer.connection)
        await histories.follow(writer.connection, reached.history, self._memory)
        reader = self._reader = Line(await reaching.connect(reached.store))
        listener = self._listener = Line(await reaching.connect(reached.store))
        same = "SELECT pg_postmaster_start_time(), inet_server_addr(), inet_server_port()"
        if len({tuple((await line.fetch(same))[0]) for line in (writer, reader, listener)}) > 1:
            raise JournalError(f"{self.store.address}: connections reach different servers")
        clock = await checking.compare_clocks(reader.connection)
        risks = await checking.find_risks(reader.connection, clock) | checking.name_rivals(reached)
        for name in risks.keys() - self._said_risks:  # after a failover there may be others
            logger.warning("%s: %s", self.store.address, risks[name])
        self._said_risks = set(risks)
        if self.company is not None:
            self.company.begin_hearing()
        if self._follower is not None:
            await listener.connection.add_listener("rtc", self._hear)
            await self._follower.compare(reader, writer)

    async def _work(self) -> None:
        """Until something fails. Raises that."""
        assert self._writer is not None and self._reader is not None and self._listener is not None
        jobs = [self._write(self._writer, self._reader), self._clean()]
        if self._follower is not None:
            jobs += [self._follower.follow(self._reader), self._beat(), self._compare(), self._talk()]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(tasks)
        for task in done:
            task.result()

    async def _hang_up(self) -> None:
        for line in (self._writer, self._reader, self._listener):
            if line is not None:
                await connections.hang_up(line.connection)
        self._writer = self._reader = self._listener = None

    # --- failure ------------------------------------------------------------------------------

    def _fail(self, exc: BaseException) -> None:
        """Refuse changes from here on."""
        if isinstance(exc, JournalError):
            reason = str(exc)
        else:
            reason = f"{self.store.address}: {connections.explain(exc, self.store)}"
        self.is_disk_full = "disk is full" in reason
        if self.fault != reason:
            logger.error("the journal refuses changes: %s", reason)
        self.fault = reason
        self._refuse_waiting()

    def _clear_fault(self) -> None:
        if self.fault is not None:
            logger.info("the store takes changes: %s", self.store.address)
        self.fault, self.is_disk_full = None, False

    def _refuse_waiting(self) -> None:
        while batch := self._waiting.take(MAX_BATCH, MAX_BATCH_BYTES):
            self._on_outcomes(self._refuse(batch))
        if not self._busy:
            self._idle.set()

    def _refuse(self, batch: Sequence[JournalRequest]) -> list[Outcome]:
        message = "changes cannot be kept at present; try again"
        return [Outcome(r, code="unavailable", message=message, more={"retry_after": RETRY}) for r in batch]

    # --- writing ------------------------------------------------------------------------------

    def submit(self, request: JournalRequest) -> bool:
        """Queue for the next round; False when too much is waiting, of everybody or of this user."""
        if not self._waiting.add(request, MAX_WAITING, MAX_WAITING_BYTES):
            return False
        self._idle.clear()
        self._news.set()
        if self.fault is not None:
            asyncio.get_running_loop().call_soon(self._refuse_waiting)
        return True

    async def _write(self, writer: Line, reader: Line) -> None:
        """Rounds, for ever. Raises what the driver raises, after the outcomes of the round were reported."""
        while True:
            if not self._waiting:
                self._idle.set()
                self._news.clear()
                await self._news.wait()
            await asyncio.sleep(0)  # what comes in one turn is one round
            batch = self._waiting.take(MAX_BATCH, MAX_BATCH_BYTES)
            if not batch:
                continue
            self._busy = True
            if self._follower is not None:
                self._follower.begin_round([request.project for request in batch])
            outcomes: list[Outcome] = []
            began = time.monotonic()
            try:
                quota = self._limits.project_bytes
                for is_change, group in itertools.groupby(batch, lambda r: isinstance(r, Submission)):
                    if is_change:
                        changes = [r for r in group if isinstance(r, Submission)]
                        found = await rounds.append(writer, changes, quota, self._guard.refuse_project)
                    else:
                        found = [await rounds.compact(writer, r, quota) for r in group if isinstance(r, Compact)]
                    if self._warnings:
                        raise JournalError(
                            f"{self.store.address}: it warned ({self._warnings[0]}): whether a standby has the changes"
                            " is not known, so they are not acknowledged"
                        )
                    outcomes += found
                self._commits.observe(time.monotonic() - began)
                if self._follower is not None:
                    missing = self._follower.find_missing(outcomes)
                    if missing:
                        await self._follower.catch_up(reader, missing)
            finally:  # also when this is cancelled
                self._busy = False
                # What is durable is acknowledged, although catching up failed: whoever delivers finds a gap then.
                outcomes += self._refuse(batch[len(outcomes) :])
                self.batches += 1
                self.requests += len(outcomes)
                if self._follower is not None:
                    self._follower.note_outcomes(outcomes)
                self._on_outcomes(outcomes)
                if self._follower is not None:
                    self._follower.end_round()

    async def _clean(self) -> None:
        """Compact, and forget ids that are old enough, for ever. The servers share that work."""
        next_round = 0.0
        while True:
            assert self._reader is not None
            is_due = time.monotonic() >= next_round
            age = int(self._limits.keep_ids_days * _DAY) if is_due else None
            try:
                (row,) = await self._reader.fetch(_CLEAN, _CLEAN_ROWS, age)
            except connections.CANCELLED as exc:  # it can wait, and nobody else has to for that
                logger.warning("%s: old changes were not cleaned up: %s", self.store.address, exc)
                row = (0,)
            if is_due and not row[0]:
                next_round = time.monotonic() + FORGET_ROUND
            await asyncio.sleep(_CLEAN_BUSY if row[0] else _CLEAN_PAUSE)

    # --- other servers --------------------------------------------------------------------------

    def _hear(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        """A notice."""
        assert self._follower is not None and self.company is not None
        kind, _, text = payload.partition(" ")
        if kind == "r":
            revision, _, project = text.partition(" ")
            self._follower.want(project, int(revision))
        elif kind in ("s", "e"):
            self._compare_now.set()
        else:
            self.company.hear(kind, text)

    async def _notify(self, payloads: Sequence[str]) -> None:
        assert self._listener is not None
        query = "SELECT pg_notify('rtc', p) FROM unnest($1::text[]) AS p"
        await self._listener.fetch(query, list(payloads), seconds=DEAF)  # whoever is cut off notices by that

    async def _beat(self) -> None:
        """Prove that this server hears what it says, and let others know that it is there."""
        company = self.company
        assert company is not None
        while True:
            await self._notify(company.take_heartbeat())
            began = time.monotonic()
            await asyncio.sleep(BEAT)
            if time.monotonic() - began > DEAF:  # stopped, or moved to another machine: it could not hear anything
                company.begin_hearing()
            company.expire()
            for line in (self._writer, self._reader):  # before a change has to find out
                if line is None or line.connection.is_closed():
                    raise JournalError(f"{self.store.address}: it closed a connection")
            if time.monotonic() - company.heard_self > DEAF:
                raise JournalError(
                    f"{self.store.address}: this server does not hear its own notices: no pooler in transaction mode"
                    " may be between"
                )

    async def _talk(self) -> None:
        """Send what is waiting for other servers."""
        company = self.company
        assert company is not None
        while True:
            if company.is_waiting:
                await self._notify(company.take_outgoing())
            await asyncio.sleep(0.02)

    async def _compare(self) -> None:
        assert self._follower is not None and self._reader is not None and self._writer is not None
        while True:
            due = asyncio.get_running_loop().call_later(COMPARE, self._compare_now.set)
            try:
                await self._compare_now.wait()
            finally:
                due.cancel()
            self._compare_now.clear()
            await self._follower.compare(self._reader, self._writer)
            await self._memory.keep_up(self._reader)

    # --- reading ------------------------------------------------------------------------------

    async def read_head(self, project: str) -> Head:
        """Where the project stands. Raises JournalError."""
        rows = await self._read(_HEAD, project)
        if not rows:
            (meta,) = await self._read("SELECT value FROM rtc.meta WHERE key = 'epoch'")
            if self._follower is not None:
                self._follower.note_head(project, Mark(0))
            return Head(meta[0], 0, 0, 0)
        epoch, revision, base, snapshot, id, user, hashed = rows[0]
        if self._follower is not None:
            self._follower.note_head(project, Mark(revision, id or "", user or "", hashed or ""))
        return Head(epoch, revision, base, snapshot)

    async def catch_up(self, project: str, revision: int) -> None:
        """Deliver what the store has of a project, up to that revision at least if it has that: somebody heard of it at
        another server. Raises JournalError."""
        reader, writer, follower = self._reader, self._writer, self._follower
        if reader is None or writer is None or follower is None or self.fault is not None:
            raise JournalError(self.fault or f"{self.store.address}: the store is away")
        try:
            await follower.compare(reader, writer, project)
            await follower.catch_up(reader, {project: revision})
        except FAILURES as exc:
            raise JournalError(f"{self.store.address}: {connections.explain(exc, self.store)}") from exc

    async def read_changes(self, project: str, since: int, limit: int, max_bytes: int) -> list[Change]:
        """Changes after ``since``, in order. Raises JournalError."""
        return [Change(*row) for row in await self._read(_CHANGES, project, since, limit, max_bytes)]

    async def read_snapshot(self, project: str) -> Snapshot | None:
        """The latest snapshot. Raises JournalError."""
        rows = await self._read(_SNAPSHOT, project)
        return Snapshot(*rows[0]) if rows else None

    async def _read(self, query: str, *values: object) -> list[Any]:
        reader = self._reader
        if reader is None or self._closing:
            raise JournalError(self.fault or f"{self.store.address}: the store is away")
        try:
            return await reader.fetch(query, *values)
        except FAILURES as exc:
            raise JournalError(f"{self.store.address}: {connections.explain(exc, self.store)}") from exc


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end. It is repeated, as a cancellation can get lost: before Python 3.12
    ``wait_for`` swallows one that comes in the turn in which what it waits for is done (bpo-42130)."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.1)
