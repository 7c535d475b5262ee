# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loaded projects: loading, catching up, delivering what the journal has made durable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import monotonic
from typing import NamedTuple

from .config import LimitSettings
from .contract import UNAVAILABLE, Refusal, format_closing
from .engine import Engine, Namespace, PreparedMessage, Socket
from .journal import Change, Compact, Journal, JournalError, Outcome, Snapshot, Submission
from .limits import Allowance
from .project import Member, Project
from .rarely import Rarely
from .refusing import refuse
from .store_postgres.company import Company
from .strict_json import count_all_bytes, count_bytes

logger = logging.getLogger(__name__)
_said = Rarely()  # all members come back at once, and again

ANNOUNCE_AFTER = 0.05  # seconds in which comings and goings become one event

# The context of a request to the journal: who waits for its outcome, the project, the number of the acknowledgement if
# one was asked for.
Pending = tuple[Socket, Project, int | None]


class Page(NamedTuple):
    """A piece of what a member missed: JSON texts. ``end`` is the revision it brings the member to."""

    snapshot: Snapshot | None
    changes: list[str]
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return count_all_bytes(self.changes) + (0 if self.snapshot is None else count_bytes(self.snapshot.data))


class Projects:
    """All projects that have members, or will have at once."""

    def __init__(self, engine: Engine, namespace: Namespace, journal: Journal, limits: LimitSettings) -> None:
        self._engine = engine
        self._namespace = namespace
        self.journal = journal
        self._limits = limits
        self.loaded: dict[str, Project] = {}
        self._loading: dict[str, asyncio.Future[Project]] = {}
        self._outdated: set[str] = set()  # are being loaded, and what was read of them may be too old
        self._unannounced: dict[Project, None] = {}
        self.accepted = self.repeated = 0  # changes that were kept, and those sent again that had been before
        self.snapshots = 0  # that were kept
        self.company: Company | None = None  # the other servers, where several share a store
        self.catch_up: Callable[[str, int], Awaitable[None]] | None = None  # with them; raises JournalError

    def adapt(self, limits: LimitSettings) -> None:
        """Take other limits."""
        self._limits = limits

    def make_unavailable(self, message: str) -> Refusal:
        """What the journal cannot do at present, with when to try again where that is known."""
        wait = self.journal.retry_after
        hint = {"retry_after": wait} if wait else {}
        return Refusal(UNAVAILABLE, message, **hint)

    # --- loading ------------------------------------------------------------------------------

    async def load(self, name: str) -> Project:
        """The project of that name. Raises Refusal when the journal cannot be read."""
        project = self.loaded.get(name)
        if project is not None:
            return project
        waiting = self._loading.get(name)
        if waiting is None:
            waiting = self._loading[name] = asyncio.ensure_future(self._load(name))
        return await asyncio.shield(waiting)

    async def _load(self, name: str) -> Project:
        try:
            head = await self.journal.read_head(name)
            while name in self._outdated:
                self._outdated.discard(name)
                head = await self.journal.read_head(name)
        except JournalError as exc:
            _said.log(logger, logging.ERROR, str(exc), "project cannot be read: %s", exc)
            raise self.make_unavailable("the project cannot be read at present; try again") from exc
        finally:
            del self._loading[name]
            self._outdated.discard(name)
        project = self.loaded[name] = Project(name, head, self._namespace.room(name))
        if self.company is not None:
            self.company.ask(name)
        # those who asked for it take hold of it in this turn or the next ones; otherwise it goes again
        self._engine.loop.call_later(5.0, self.release, project)
        return project

    def release(self, project: Project) -> None:
        """Forget a project without members and requests."""
        if not project.members and not project.holds and self.loaded.get(project.name) is project:
            del self.loaded[project.name]

    # --- catching up --------------------------------------------------------------------------

    async def find_start(self, project: Project, since: int | None, epoch: str | None) -> tuple[int, bool]:
        """As the project says it, once it has what the store has: a member who comes from another server may have got
        more there than was delivered here, and is not of another history for that. Raises Refusal when it cannot be
        told."""
        if self.catch_up is not None and project.find_start(since, epoch)[1]:
            try:
                await self.catch_up(project.name, since or 0)
            except JournalError as exc:
                message = "what other servers kept of the project cannot be read at present; try again"
                raise self.make_unavailable(message) from exc
        return project.find_start(since, epoch)

    def page_from_memory(self, project: Project, start: int) -> Page | None:
        """All that is missing after ``start``, when memory has it and it is no more than a page."""
        if project.wants_snapshot(start):
            return None
        texts = project.tail.after(start)
        if texts is None or len(texts) > self._limits.history_page:
            return None
        if count_all_bytes(texts) > self._limits.page_bytes:
            return None
        return Page(None, texts, project.revision)

    async def read_page(self, project: Project, start: int) -> Page:
        """The next page after ``start``. Raises Refusal when the journal cannot be read."""
        page = self.page_from_memory(project, start)
        if page is not None:
            return page
        snapshot: Snapshot | None = None
        try:
            if project.wants_snapshot(start):
                snapshot = await self._read_snapshot(project)
            for _ in range(3):
                if snapshot is not None:
                    start = snapshot.revision
                found = await self.journal.read_changes(
                    project.name, start, self._limits.history_page, self._limits.page_bytes
                )
                if _follows(found, start, project):
                    return self._fit_page(project, snapshot, start, found)
                snapshot = await self._read_snapshot(project, anew=True)  # compacted just now
        except JournalError as exc:
            _said.log(logger, logging.ERROR, str(exc), "project cannot be read: %s", exc)
            raise self.make_unavailable("the project cannot be read at present; try again") from exc
        line = "the journal of a project has a gap after revision %d: run verify-journal"
        _said.log(logger, logging.ERROR, project.name, line, start)
        raise Refusal(UNAVAILABLE, "the project's journal is damaged")

    async def _read_snapshot(self, project: Project, anew: bool = False) -> Snapshot | None:
        known = project.snapshot
        if anew or known is None or known.revision < project.snapshot_revision:
            found = await self.journal.read_snapshot(project.name)
            known = project.snapshot  # a later one may have come while this was read
            if found is not None and (known is None or found.revision > known.revision):
                known = project.snapshot = found
        return known

    def _fit_page(self, project: Project, snapshot: Snapshot | None, start: int, found: Sequence[Change]) -> Page:
        """A page of what was read. The journal may be ahead of what was delivered: that reaches the member by delivery.
        It may be behind, too: what was delivered while it was read is in memory."""
        kept = [c for c in found if c.revision <= project.revision]
        texts = [project.format_change(c) for c in kept]
        end = kept[-1].revision if kept else start
        meanwhile = project.tail.after(end) or []
        number, size = len(texts) + len(meanwhile), count_all_bytes(texts) + count_all_bytes(meanwhile)
        if number <= self._limits.history_page and size <= self._limits.page_bytes:
            texts += meanwhile
            end += len(meanwhile)
        return Page(snapshot, texts, end)

    def go_live(self, member: Member) -> None:
        """From here on the member gets what is delivered. It must have everything before."""
        member.live = True
        self._namespace.hub.join(member.project.room, member.socket.session)

    def stream(self, member: Member, start: int, reads: Allowance) -> None:
        """Send the pages after ``start`` one after another, as fast as its user may read, then go live."""
        self._engine.spawn(self._stream_pages(member, start, reads))

    async def _stream_pages(self, member: Member, start: int, reads: Allowance) -> None:
        project, socket = member.project, member.socket
        project.holds += 1
        try:
            while member.is_joined():
                if socket.session.backlog > self._limits.page_bytes:  # at the reader's pace
                    await asyncio.sleep(0.02)
                    continue
                debt = reads.find_debt(monotonic())
                if debt > 0.0:
                    await asyncio.sleep(min(debt, 1.0))
                    continue
                page = await self.read_page(project, start)
                if not member.is_joined():
                    return
                reads.charge(page.size)
                start = page.end
                more = start < project.revision
                state = "" if page.snapshot is None else format_snapshot(page.snapshot)
                socket.send_text(
                    f'["changes",{{"project":{project.text},{state}"changes":[{",".join(page.changes)}],'
                    f'"more":{"true" if more else "false"}}}]'
                )
                if not more:
                    everybody = project.join_member_texts()
                    socket.send_text(f'["members",{{"project":{project.text},"members":{everybody}}}]')
                    self.go_live(member)
                    return
        except Refusal as refusal:
            if member.is_joined():
                socket.send_text(refusal.event("join"))
                self.send_away(socket, "resync")
        finally:
            project.holds -= 1
            self.release(project)

    # --- members ------------------------------------------------------------------------------

    def enter(self, member: Member) -> None:
        """Add a member, and announce it to the others soon."""
        member.project.add(member)
        self._announce_soon(member.project)

    def leave(self, member: Member) -> None:
        """Remove a member; what was delivered before still reaches it."""
        project = member.project
        if member.live:
            self._namespace.hub.leave(project.room, member.socket.session)
        project.remove(member)
        self._announce_soon(project)
        self.release(project)

    def publish_presence(self, member: Member, state: str) -> None:
        """Send a member's state to the other members; it is dropped for slow ones."""
        project = member.project
        body = (
            f'["presence",{{"project":{project.text},"member":"{member.id}","user":{member.user_text},'
            f'"state":{state}}}]'
        )
        message = self._namespace.prepare(body, volatile=True)
        self._namespace.hub.publish(project.room, message, member.socket.session)
        if self.company is not None:
            self.company.publish(project.name, body)

    def _announce_soon(self, project: Project) -> None:
        if not self._unannounced:
            self._engine.loop.call_later(ANNOUNCE_AFTER, self._announce_members)
        self._unannounced[project] = None

    def _announce_members(self) -> None:
        projects, self._unannounced = self._unannounced, {}
        for project in projects:
            if self.company is not None:
                joined = [(member.id, member.text) for member in project.joined.values()]
                self.company.announce(project.name, joined, project.left)
            body = project.take_announcement()
            if body is not None and project.room.members:
                self._namespace.hub.publish(project.room, self._namespace.prepare(body))

    @staticmethod
    def send_away(socket: Socket, reason: str) -> None:
        """Send a client the reason and close its connection; it comes back by itself and catches up from its
        revision."""
        socket.send_text(format_closing(reason))
        socket.session.close(reason)

    # --- outcomes -----------------------------------------------------------------------------

    def on_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """The journal made a batch durable (or could not): deliver, then acknowledge, all in one turn."""
        hub, prefix = self._namespace.hub, self._namespace.prefix
        publish, send = hub.publish, hub.send
        accepted = 0
        for outcome in outcomes:
            request = outcome.request
            pending: Pending | None = request.context
            if pending is None:
                self._deliver_found(outcome, request)
                continue
            socket, project, number = pending
            project.holds -= 1
            if outcome.code:
                event = "change" if isinstance(request, Submission) else "snapshot"
                refuse(
                    socket, event, number, Refusal(outcome.code, outcome.message, **(outcome.more or {})), monotonic()
                )
            elif isinstance(request, Submission):
                accepted += 1
                if outcome.duplicate:
                    accepted -= 1
                    self.repeated += 1
                    if outcome.revision > project.tail.last:
                        self._resync(project, outcome)
                elif outcome.revision != project.tail.last + 1:
                    # at a shared store it may have been read from the log already
                    if self.company is None or outcome.revision > project.tail.last:
                        self._resync(project, outcome)
                else:
                    text = project.add_committed(request, outcome.revision, outcome.time)
                    if project.room.members:
                        publish(project.room, PreparedMessage((f'42{prefix}["change",{text}]',)))
                # As ``socket.answer_text``, without a call for each change.
                if number is not None and socket.connected:
                    more = ',"duplicate":true' if outcome.duplicate else ""
                    answer = f'43{prefix}{number}[{{"ok":true,"revision":{outcome.revision}{more}}}]'
                    send(socket.session, PreparedMessage((answer,)))
            else:
                self.snapshots += 1
                project.note_compaction(outcome, request.snapshot)
                if number is not None:
                    socket.answer_text(number, f'[{{"ok":true,"revision":{outcome.revision},"base":{outcome.base}}}]')
            if not project.holds:
                self.release(project)
        self.accepted += accepted

    # --- other servers of the store (store_postgres.audience) --------------------------------------

    def list_loaded(self) -> list[str]:
        """The names of all loaded projects."""
        return list(self.loaded)

    def find_delivered(self, name: str) -> tuple[str, int] | None:
        """Epoch and last delivered revision of a loaded project. What is being loaded is read anew."""
        project = self.loaded.get(name)
        if project is None:
            if name in self._loading:
                self._outdated.add(name)
            return None
        return project.epoch, project.revision

    def deliver(self, name: str, changes: Sequence[Change]) -> None:
        """Changes that another server kept."""
        project = self.loaded.get(name)
        for change in changes:
            if project is None or change.revision <= project.revision:
                continue
            if change.revision != project.revision + 1:
                self._start_over(project, f"revision {change.revision} follows {project.revision}")
                return
            text = project.format_change(change)
            project.tail.add(text)
            if project.room.members:
                self._namespace.hub.publish(project.room, self._namespace.prepare(f'["change",{text}]'))

    def renew(self, name: str, why: str) -> None:
        """Members start over from the store."""
        project = self.loaded.get(name)
        if project is not None:
            self._start_over(project, why)

    def note_snapshot(self, name: str, base: int, revision: int) -> None:
        """Another server has taken a snapshot."""
        project = self.loaded.get(name)
        if project is not None and revision > project.snapshot_revision:
            project.snapshot_revision, project.base = revision, max(base, project.base)

    def list_own_members(self, name: str) -> list[tuple[str, str]]:
        """Members at this server."""
        project = self.loaded.get(name)
        return [] if project is None else [(member.id, member.text) for member in project.members.values()]

    def set_guests(self, name: str, joined: Iterable[tuple[str, str]], left: Iterable[str]) -> None:
        """Members at other servers came and went: those here hear of it at once."""
        project = self.loaded.get(name)
        body = None if project is None else project.change_guests(joined, left)
        if project is not None and body is not None and project.room.members:
            self._namespace.hub.publish(project.room, self._namespace.prepare(body))

    def pass_presence(self, name: str, body: str) -> None:
        """Presence of a member at another server."""
        project = self.loaded.get(name)
        if project is not None and project.room.members:
            self._namespace.hub.publish(project.room, self._namespace.prepare(body, volatile=True))

    def _deliver_found(self, outcome: Outcome, request: Submission | Compact) -> None:
        """A change was refused, and turned out to be kept: deliver it, unless those here have it already."""
        if request.project in self._loading:
            self._outdated.add(request.project)
        project = self.loaded.get(request.project)
        if project is None or isinstance(request, Compact) or outcome.revision <= project.revision:
            return
        if outcome.revision != project.revision + 1:
            self._resync(project, outcome)
            return
        logger.warning("project: revision %d was refused, but is kept: it is delivered now", outcome.revision)
        text = project.add_committed(request, outcome.revision, outcome.time)
        if project.room.members:
            self._namespace.hub.publish(project.room, self._namespace.prepare(f'["change",{text}]'))

    def _resync(self, project: Project, outcome: Outcome) -> None:
        """The journal holds changes that were never delivered (a commit that failed half-way, another
        writer). So its members are sent away, and catch up from the journal when they come back."""
        self._start_over(project, f"revision {outcome.revision} follows {project.revision}")

    def _start_over(self, project: Project, why: str) -> None:
        logger.warning("project: %s: members catch up", why)
        if self.loaded.get(project.name) is project:
            del self.loaded[project.name]
        for member in list(project.members.values()):
            self.send_away(member.socket, "resync")


def _follows(found: Sequence[Change], start: int, project: Project) -> bool:
    """Whether the changes read are what follows revision ``start``. Compaction may have deleted the first ones
    meanwhile; nothing may have been found only if nothing is missing."""
    if not found:
        return start >= project.revision
    return found[0].revision == start + 1


def format_snapshot(snapshot: Snapshot) -> str:
    """The members ``snapshot`` of an answer, with a comma after it."""
    return f'"snapshot":{{"revision":{snapshot.revision},"data":{snapshot.data}}},'
