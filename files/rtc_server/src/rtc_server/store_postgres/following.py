# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delivering from the log: what other servers kept reaches members here, in the order of revisions and without a gap.

A notice says that a project is at a revision; whatever is missing is read. Notices may be lost (a connection that
broke), so heads are compared when connections are made, and every few seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..journal.base import Change, Outcome, Submission
from .audience import Audience
from .connections import Line

logger = logging.getLogger(__name__)

PAGE = 500  # changes of one project read at once

_READ = """
SELECT u.name, c.revision, c.id, c.author, c.at, c.data
FROM unnest($1::text[], $2::bigint[]) AS u (name, since) JOIN rtc.project p ON p.name = u.name
CROSS JOIN LATERAL (
  SELECT * FROM rtc.change WHERE project = p.number AND revision > u.since ORDER BY revision LIMIT $3) c
ORDER BY u.name, c.revision"""
_HEADS = """
SELECT p.name, p.epoch, p.revision, p.base, p.snapshot_revision, p.forgotten, c.id, c.author,
  CASE WHEN c.data <> '' THEN encode(sha256(convert_to(c.data, 'UTF8')), 'hex') ELSE '' END
FROM unnest($1::text[], $2::bigint[]) AS u (name, delivered) JOIN rtc.project p ON p.name = u.name
LEFT JOIN rtc.change c ON c.project = p.number AND c.revision = u.delivered"""
_NEW_EPOCH = """
INSERT INTO rtc.project AS p (name, epoch) VALUES ($1, $3)
ON CONFLICT (name) DO UPDATE SET epoch = $3 WHERE p.epoch = $2"""


class Mark(NamedTuple):
    """Which change a server delivered last; ``digest`` is the SHA-256 of its data, which PostgreSQL can make, too
    (MD5 it refuses in FIPS mode)."""

    revision: int
    id: str = ""
    user: str = ""
    digest: str = ""


def digest(data: str) -> str:
    """Of a change's data."""
    return hashlib.sha256(data.encode()).hexdigest()


class Follower:
    """What this server delivered, and what it has to read."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._wanted: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._marks: dict[str, Mark] = {}
        self._held: dict[str, int] | None = None  # notices of projects in the round that is on its way
        self._in_round: set[str] = set()

    # --- what was delivered -----------------------------------------------------------------------

    def note_head(self, project: str, mark: Mark) -> None:
        """A project is loaded at that change."""
        self._marks[project] = mark

    def note_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """This server's own changes are about to be delivered."""
        last = {
            o.request.project: (o.revision, o.request)
            for o in outcomes
            if not o.code and not o.duplicate and isinstance(o.request, Submission)
        }
        for project, (revision, request) in last.items():
            if project in self._marks and self._marks[project].revision >= revision:
                continue  # read from the log already
            self._marks[project] = Mark(revision, request.id, request.user, digest(request.data))

    def find_missing(self, outcomes: Iterable[Outcome]) -> dict[str, int]:
        """Projects of which something has to be delivered before these outcomes, with the last revision of that."""
        delivered: dict[str, int] = {}
        missing: dict[str, int] = {}
        for outcome in outcomes:
            if outcome.code or not isinstance(outcome.request, Submission):
                continue
            project = outcome.request.project
            if project not in delivered:
                found = self._audience.find_delivered(project)
                delivered[project] = 1 << 62 if found is None else found[1]
            if outcome.duplicate:
                if outcome.revision > delivered[project]:
                    missing[project] = max(missing.get(project, 0), outcome.revision)
            elif outcome.revision > delivered[project] + 1:
                missing[project] = max(missing.get(project, 0), outcome.revision - 1)
                delivered[project] = outcome.revision
            else:
                delivered[project] = max(delivered[project], outcome.revision)
        return missing

    # --- reading ------------------------------------------------------------------------------

    def begin_round(self, projects: Iterable[str]) -> None:
        """A round is on its way: notices of its own changes come before its outcome does, and would be read for
        nothing."""
        self._in_round, self._held = set(projects), {}

    def end_round(self) -> None:
        """The outcomes were delivered: what others kept is read now."""
        held, self._held = self._held or {}, None
        for project, revision in held.items():
            self.want(project, revision)

    def want(self, project: str, revision: int) -> None:
        """A project is at that revision."""
        if self._held is not None and project in self._in_round:
            self._held[project] = max(revision, self._held.get(project, 0))
            return
        found = self._audience.find_delivered(project)
        if found is not None and found[1] < revision:
            self._wanted[project] = max(revision, self._wanted.get(project, 0))
            self._wake.set()

    async def follow(self, reader: Line) -> None:
        """Read and deliver what is wanted, for ever. Raises what the driver raises."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            wanted, self._wanted = self._wanted, {}
            await self.catch_up(reader, wanted)

    async def catch_up(self, reader: Line, wanted: dict[str, int]) -> None:
        """Deliver those projects up to those revisions at least."""
        while wanted:
            since: dict[str, int] = {}
            for project, revision in wanted.items():
                found = self._audience.find_delivered(project)
                if found is not None and found[1] < revision:
                    since[project] = found[1]
            if not since:
                return
            rows = await reader.fetch(_READ, list(since), list(since.values()), PAGE)
            pages: dict[str, list[Change]] = {project: [] for project in since}
            for project, *values in rows:
                pages[project].append(Change(*values))
            for project, changes in pages.items():
                self._take(project, since[project], changes)
            wanted = {project: wanted[project] for project in since if pages[project]}

    def _take(self, project: str, since: int, changes: Sequence[Change]) -> None:
        if not changes:
            return  # the comparison of heads tells why
        if changes[0].revision != since + 1 or not all(change.data for change in changes):
            self._audience.renew(project, "changes that were not delivered yet are compacted")
            return
        found = self._audience.find_delivered(project)
        if found is not None and changes[-1].revision > found[1]:
            last = changes[-1]
            self._marks[project] = Mark(last.revision, last.id, last.user, digest(last.data))
            self._audience.deliver(project, changes)

    # --- comparing ----------------------------------------------------------------------------

    async def compare(self, reader: Line, writer: Line, only: str = "") -> None:
        """See whether the store still has the history that was delivered here, and what is new in it. Where histories
        differ (a failover to a standby that lacked changes, a restored copy), a new epoch begins: clients start over.
        Of all projects, or of one. Raises what the driver raises."""
        audience = self._audience
        names = audience.list_loaded()
        self._marks = {name: self._marks[name] for name in names if name in self._marks}
        marks = {name: mark for name, mark in self._marks.items() if not only or name == only}
        if not marks:
            return
        rows = await reader.fetch(_HEADS, list(marks), [mark.revision for mark in marks.values()])
        for name, epoch, revision, base, snapshot, forgotten, id, user, hashed in rows:
            mark = marks.pop(name)
            known = audience.find_delivered(name)
            if known is None:
                continue
            if epoch != known[0]:
                audience.renew(name, "another epoch began")
            elif revision < mark.revision or _differs(mark, forgotten, id, user, hashed):
                await self._begin_epoch(writer, name, epoch)
            else:
                audience.note_snapshot(name, base, snapshot)
                self.want(name, revision)
        for name, mark in marks.items():
            found = audience.find_delivered(name)
            if mark.revision and found is not None:  # the store never heard of it
                await self._begin_epoch(writer, name, found[0])

    async def _begin_epoch(self, writer: Line, project: str, known: str) -> None:
        """Only the first server that notices changes it; the others see another epoch."""
        epoch = secrets.token_hex(8)
        await writer.fetch(_NEW_EPOCH, project, known, epoch)
        logger.error("project %r: the store lacks changes that were delivered: a new epoch begins", project)
        self._audience.renew(project, "the store has another history")
        await writer.fetch("SELECT pg_notify('rtc', $1)", f"e {project}")


def _differs(mark: Mark, forgotten: int, id: str | None, user: str | None, hashed: str | None) -> bool:
    if mark.revision == 0 or (id is None and mark.revision <= forgotten):
        return False
    return (id, user) != (mark.id, mark.user) or (bool(hashed) and bool(mark.digest) and hashed != mark.digest)
