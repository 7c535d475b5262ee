# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of the contract: join, change, presence, history, snapshot, leave."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .auth import EDIT
from .config import LimitSettings
from .connection import Connection
from .contract import (
    COMPACTED,
    DRAINING,
    FULL,
    INVALID,
    NOT_JOINED,
    OK,
    OVERLOADED,
    READ_ONLY,
    STALE,
    TOO_MANY,
    UNAVAILABLE,
    Refusal,
    forbid,
    read_body,
    read_id,
    read_json,
    read_project,
    read_whole,
)
from .engine import Namespace, Socket
from .fast_path import parse_change
from .journal import SENT_NOW, Compact, JournalError, Snapshot, Submission, make_label
from .limits import Allowance
from .project import Member, Project
from .projects import Page, Projects, format_snapshot
from .rarely import Rarely
from .refusing import RateRefusal, note_dropped, refuse
from .strict_json import count_all_bytes, count_bytes

logger = logging.getLogger(__name__)

EVENTS = ("join", "change", "presence", "history", "snapshot", "leave")
Handler = Callable[[Connection, int | None, dict[str, Any]], Awaitable[None] | None]


class Handlers:
    """Handlers of all events that clients send."""

    def __init__(self, projects: Projects, limits: LimitSettings, clock: Callable[[], float]) -> None:
        self._projects = projects
        self._limits = limits
        self._clock = clock
        self._said = Rarely()
        self.draining = False

    def adapt(self, limits: LimitSettings) -> None:
        """Take other limits, for clients that are connected, too."""
        self._limits = limits

    def register(self, namespace: Namespace, events: Iterable[str] = EVENTS) -> None:
        """Take events of a namespace."""
        for name in events:
            namespace.on_deferred(name, _answer_refusals(name, getattr(self, name), self._clock))
        namespace.fast_path = self._make_fast_path

    # --- join and leave -----------------------------------------------------------------------

    def join(self, connection: Connection, number: int | None, body: dict[str, Any]) -> Awaitable[None] | None:
        """Make the client a member, and give it what it missed since a revision that it knows."""
        name = read_project(body)
        right = connection.identity.right(name) or forbid()
        since = read_whole(body, "since")
        epoch = body.get("epoch")
        if epoch is not None and not isinstance(epoch, str):
            raise Refusal(INVALID, "epoch must be a text")
        self._spend(connection.user.reads)
        old = connection.members.get(name)
        if old is not None:
            self._leave(connection, old)
        if len(connection.members) >= self._limits.projects_per_connection:
            limit = self._limits.projects_per_connection
            raise Refusal(TOO_MANY, f"a connection can join {limit} projects", limit=limit)
        project = self._projects.loaded.get(name)
        if project is not None:
            start, reset = project.find_start(since, epoch)
            page = None if reset and self._projects.catch_up else self._projects.page_from_memory(project, start)
            if page is not None:
                self._add_member(connection, number, project, right, page, None if reset else since, reset)
                return None
        return self._join_later(connection, number, name, right, since, epoch)

    async def _join_later(
        self,
        connection: Connection,
        number: int | None,
        name: str,
        right: str,
        since: int | None,
        epoch: str | None,
    ) -> None:
        project = await self._projects.load(name)
        project.holds += 1
        try:
            start, reset = await self._projects.find_start(project, since, epoch)
            page = await self._projects.read_page(project, start)
            if connection.socket.connected:
                if self._projects.loaded.get(name) is not project:
                    raise Refusal(UNAVAILABLE, "the project was loaded anew; try again")
                self._add_member(connection, number, project, right, page, None if reset else since, reset)
        finally:
            project.holds -= 1
            self._projects.release(project)

    def _add_member(
        self,
        connection: Connection,
        number: int | None,
        project: Project,
        right: str,
        page: Page,
        since: int | None,
        reset: bool,
    ) -> None:
        limit = self._limits.members_per_project
        if len(project.members) + len(project.guests) >= limit:
            raise Refusal(FULL, f"the project has {limit} members already", limit=limit)
        member = Member(connection.id, connection.socket, connection.identity, project, right)
        member.since = SENT_NOW if since is None else since
        connection.members[project.name] = member
        self._projects.enter(member)
        connection.user.reads.charge(page.size)
        more = page.end < project.revision
        state = "" if page.snapshot is None else format_snapshot(page.snapshot)
        answer = (
            f'[{{"ok":true,"project":{project.text},"revision":{project.revision},"epoch":"{project.epoch}",'
            f'"right":"{right}","member":"{connection.id}","members":{project.join_member_texts()},'
            f'"reset":{"true" if reset else "false"},{state}"changes":[{",".join(page.changes)}],'
            f'"more":{"true" if more else "false"}}}]'
        )
        if number is not None:
            connection.socket.answer_text(number, answer)
        else:
            connection.socket.send_text('["joined",' + answer[1:])
        if more:
            self._projects.stream(member, page.end, connection.user.reads)
        else:
            self._projects.go_live(member)

    def leave(self, connection: Connection, number: int | None, body: dict[str, Any]) -> None:
        """End a membership."""
        self._leave(connection, self._find_member(connection, body))
        _confirm(connection.socket, number)

    def _leave(self, connection: Connection, member: Member) -> None:
        del connection.members[member.project.name]
        self._projects.leave(member)

    # --- writing ------------------------------------------------------------------------------

    def change(self, connection: Connection, number: int | None, body: dict[str, Any]) -> None:
        """Submit a change; it is acknowledged and delivered once it is durable."""
        member = self._find_editor(connection, body)
        id = read_id(body)
        since = read_whole(body, "since", member.since) or 0
        data = read_json(body, "data", self._limits.change_bytes)
        self._spend(connection.user.changes, count_bytes(data))
        project = member.project
        user = connection.identity.user
        self._submit(
            project,
            Submission(project.name, id, user, data, make_label(id, user), (connection.socket, project, number), since),
        )

    def _make_fast_path(self, socket: Socket) -> Callable[[str], bool]:
        """What :meth:`change` does, for packets of that client. The function returns False for a packet that it leaves
        to the general path: one that is no plain change, or is not permitted."""
        connection: Connection = socket.app
        members = connection.members
        allowance, clock = connection.user.changes, self._clock
        journal = self._projects.journal
        user, label_end = connection.identity.user, f'","user":{connection.user_text}'

        def submit_change(packet: str) -> bool:
            change = parse_change(packet, self._limits.change_bytes)
            if change is None:
                return False
            number, name, id, data, size, since = change
            member = members.get(name)
            if member is None or member.right != EDIT:
                return False
            project = member.project
            try:
                if not allowance.take(clock(), size):
                    raise RateRefusal(allowance, clock())
                label = f'"id":"{id}{label_end}'
                first = member.since if since is None else since
                # As ``_submit``, without a call for each change.
                request = Submission(name, id, user, data, label, (socket, project, number), first)
                if self.draining or journal.fault is not None or not journal.submit(request):
                    raise self._explain_refusal()
                project.holds += 1
            except Refusal as refusal:
                refuse(socket, "change", number, refusal, clock())
            return True

        return submit_change

    def snapshot(self, connection: Connection, number: int | None, body: dict[str, Any]) -> Awaitable[None] | None:
        """With ``data``: keep them as the state after ``revision``. Without: answer with the latest snapshot."""
        if "data" not in body:
            member = self._find_member(connection, body)
            self._spend(connection.user.reads)
            return self._give_snapshot(connection, number, member.project)
        project = self._find_editor(connection, body).project
        revision = read_whole(body, "revision", low=1)
        if revision is None or revision > project.revision:
            raise Refusal(STALE, f"revision must be one that was delivered, up to {project.revision}")
        data = read_json(body, "data", self._limits.snapshot_bytes)
        self._spend(connection.user.reads)
        self._spend(connection.user.changes, count_bytes(data))
        kept = Snapshot(revision, data)
        context = connection.socket, project, number
        self._submit(project, Compact(project.name, kept, self._limits.keep_changes, context, connection.identity.user))
        return None

    def _submit(self, project: Project, request: Submission | Compact) -> None:
        journal = self._projects.journal
        if self.draining or journal.fault is not None or not journal.submit(request):
            raise self._explain_refusal()
        project.holds += 1

    def _explain_refusal(self) -> Refusal:
        """Why the journal was not asked, or took no more."""
        if self.draining:
            return Refusal(DRAINING, "the server is going away; send it again after reconnecting")
        if self._projects.journal.fault is not None:
            return self._projects.make_unavailable("changes cannot be kept at present; try again")
        line = "changes wait for the journal, and some are refused (overloaded): see whether its disk is slow"
        self._said.log(logger, logging.WARNING, "overloaded", line)
        return Refusal(OVERLOADED, "too many changes are waiting to be kept; try again")

    # --- reading ------------------------------------------------------------------------------

    async def _give_snapshot(self, connection: Connection, number: int | None, project: Project) -> None:
        try:
            snapshot = await self._projects.journal.read_snapshot(project.name)
        except JournalError as exc:
            raise self._projects.make_unavailable("the project cannot be read at present; try again") from exc
        connection.user.reads.charge(0 if snapshot is None else count_bytes(snapshot.data))
        if number is not None:
            state = "" if snapshot is None else "," + format_snapshot(snapshot)[:-1]
            connection.socket.answer_text(number, f'[{{"ok":true,"revision":{project.revision}{state}}}]')

    async def history(self, connection: Connection, number: int | None, body: dict[str, Any]) -> None:
        """A page of changes after a revision."""
        project = self._find_member(connection, body).project
        since = read_whole(body, "since", 0) or 0
        most = self._limits.history_page
        limit = read_whole(body, "limit", most, low=1) or most
        if limit > most:
            raise Refusal(INVALID, f"limit is {most} at most", limit=most)
        self._spend(connection.user.reads)
        try:
            found = await self._projects.journal.read_changes(project.name, since, limit, self._limits.page_bytes)
        except JournalError as exc:
            raise self._projects.make_unavailable("the project cannot be read at present; try again") from exc
        connection.user.reads.charge(count_all_bytes([change.data for change in found]))
        if since < project.base or (found and found[0].revision != since + 1):
            raise Refusal(COMPACTED, f"changes up to {project.base} are in the snapshot", base=project.base)
        found = [c for c in found if c.revision <= project.revision]
        end = found[-1].revision if found else since
        texts = ",".join([project.format_change(c) for c in found])
        if number is not None:
            more = "true" if end < project.revision else "false"
            connection.socket.answer_text(
                number, f'[{{"ok":true,"revision":{project.revision},"changes":[{texts}],"more":{more}}}]'
            )

    # --- presence -----------------------------------------------------------------------------

    def presence(self, connection: Connection, number: int | None, body: dict[str, Any]) -> None:
        """Pass a member's state on to the others; it may be lost and is not kept."""
        member = self._find_member(connection, body)
        state = read_json(body, "state", self._limits.presence_bytes)
        now = self._clock()
        if number is None and not connection.presence.take(now, count_bytes(state)):
            note_dropped(connection, now)  # volatile: the next state replaces this one
            return
        if number is not None:
            self._spend(connection.presence, count_bytes(state))
        self._projects.publish_presence(member, state)
        _confirm(connection.socket, number)

    # --- checks -------------------------------------------------------------------------------

    @staticmethod
    def _find_member(connection: Connection, body: dict[str, Any]) -> Member:
        name = read_project(body)
        member = connection.members.get(name)
        if member is None:
            if connection.identity.right(name) is None:
                forbid()
            raise Refusal(NOT_JOINED, "join the project first")
        return member

    def _find_editor(self, connection: Connection, body: dict[str, Any]) -> Member:
        member = self._find_member(connection, body)
        if member.right != EDIT:
            raise Refusal(READ_ONLY, "the right to that project is to view it")
        return member

    def _spend(self, allowance: Allowance, size: int = 0) -> None:
        now = self._clock()
        if not allowance.take(now, size):
            raise RateRefusal(allowance, now)


def _confirm(socket: Socket, number: int | None) -> None:
    if number is not None:
        socket.answer_text(number, OK)


def _answer_refusals(
    name: str, handler: Handler, clock: Callable[[], float]
) -> Callable[[Socket, int | None, list[Any]], Awaitable[None] | None]:
    """Turn a Refusal into the answer, however late it comes."""

    async def wait(socket: Socket, number: int | None, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except Refusal as refusal:
            refuse(socket, name, number, refusal, clock())

    def handle(socket: Socket, number: int | None, args: list[Any]) -> Awaitable[None] | None:
        try:
            waiting = handler(socket.app, number, read_body(args))
        except Refusal as refusal:
            refuse(socket, name, number, refusal, clock())
            return None
        return None if waiting is None else wait(socket, number, waiting)

    return handle
