# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One project as its member sees it: the order of changes, what is to be sent, who is there."""

from __future__ import annotations

import asyncio
import copy
import itertools
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from .wire import (
    MOST_LOSSES,
    SURE_BYTES,
    Change,
    Member,
    Pending,
    Refused,
    Saved,
    Snapshot,
    copy_json,
    draw_wait,
    find_wait,
    make_too_large,
    read_refusal,
)

if TYPE_CHECKING:
    from .client import Client
    from .connection import Connection

logger = logging.getLogger(__name__)

PRESENCE_PAUSE = 0.05  # seconds between two states of presence; the newest one is always sent in the end


class Listener:
    """Told what happens in a project, in order. Override what is of interest. None of these may block."""

    def on_reset(self) -> None:
        """The project has begun another history: forget its state. Whatever follows begins from nothing."""

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Replace the state."""

    def on_change(self, change: Change, own: bool) -> None:
        """The next change. ``own``: this client made it. Its revision follows the one before."""

    def on_refused(self, pending: Pending, why: Refused) -> None:
        """A change of this client is given up: it was not kept, or (``unknown_id``, ``reset``) nobody knows."""

    def on_members(self, members: Mapping[str, Member]) -> None:
        """Who is in the project now."""

    def on_presence(self, member: str, user: str, state: Any) -> None:
        """Where another member is."""

    def on_live(self) -> None:
        """All that was missed is there; what follows happens now."""

    def on_end(self, why: Refused) -> None:
        """This client is no member any more, and will not try again."""


class _Unsent:
    """A change until it is acknowledged. ``on``: the connection that it is under way on."""

    def __init__(self, pending: Pending, outcome: asyncio.Future[int]) -> None:
        self.pending = pending
        self.outcome = outcome
        pending["data"], self.size = copy_json(pending["data"])
        self.on: Connection | None = None
        self.asked_on: Connection | None = None  # and not answered
        self.losses = 0  # connections that ended before an answer

    @property
    def is_too_large(self) -> bool:
        """Whether it ends each connection, as far as can be told."""
        return self.size > SURE_BYTES and self.losses >= MOST_LOSSES


class Project:
    """Made by :meth:`Client.join`."""

    def __init__(self, client: Client, name: str, listener: Listener, saved: Saved | None) -> None:
        self.name = name
        self.right = ""  # edit or view
        self.member = ""  # this client's own id among the members
        self.members: dict[str, Member] = {}
        self.revision = 0
        self.epoch: str | None = None
        self.joined: asyncio.Future[None] = client.loop.create_future()
        self._client = client
        self._loop = client.loop
        self._listener = listener
        self._user = ""
        self._unsent: dict[str, _Unsent] = {}
        self._joining = False
        self._live = asyncio.Event()
        self._again: asyncio.TimerHandle | None = None  # after a refusal that passes
        self._presence: Any = None
        self._presence_is_new = False
        self._presence_timer: asyncio.TimerHandle | None = None
        self._ended: Refused | None = None
        if saved is not None:
            self.revision, self.epoch = saved["revision"], saved["epoch"]
            for pending in saved["pending"]:
                self._add(Pending(id=pending["id"], data=pending["data"], since=pending["since"]))

    # --- for the program ----------------------------------------------------------------------

    def submit(self, data: Any, id: str | None = None) -> asyncio.Future[int]:
        """Make a change. It is sent now or as soon as there is a connection, again and again until it is acknowledged.

        :param id: never used twice by one user; made if there is none.
        :return: its revision, once it is kept; fails with Refused when it is given up.

        Raises ValueError for data that are no JSON.
        """
        if self._ended is not None:
            raise self._ended
        id = str(uuid.uuid4()) if id is None else id
        if id in self._unsent:
            raise ValueError(f"a change {id!r} is under way")
        unsent = self._add(Pending(id=id, data=data, since=None))
        self._send()
        return unsent.outcome

    def save(self) -> Saved:
        """What :meth:`Client.join` needs to go on from here; keep it together with the state, at the same moment."""
        pending = [copy.deepcopy(unsent.pending) for unsent in self._unsent.values()]
        return Saved(epoch=self.epoch, revision=self.revision, pending=pending)

    def present(self, state: Any) -> None:
        """Tell the others where one is. The latest state counts, and those between may be left out. Raises ValueError
        for one that is no JSON, or far too large."""
        copied, size = copy_json(state)
        if size > SURE_BYTES:  # it would end each connection
            raise ValueError(f"it has {size} bytes, and {SURE_BYTES} are far too many for presence")
        self._presence, self._presence_is_new = copied, True
        self._send_presence()

    async def history(self, since: int = 0) -> AsyncIterator[Change]:
        """Changes after a revision up to now, page by page. Raises Refused (``compacted``: see ``details["base"]``)."""
        more = True
        while more:
            before, page = since, await self._ask("history", {"project": self.name, "since": since})
            for change in page["changes"]:
                since = change["revision"]
                yield change
            more = page["more"] and since > before

    async def keep_snapshot(self, data: Any, revision: int | None = None) -> int:
        """Keep the state after a revision (the latest one that the listener got). Returns the snapshot's revision.
        Raises ValueError for data that are no JSON."""
        # It may be sent later, or again, when the state has got further than the revision.
        data, size = copy_json(data)
        body = {"project": self.name, "revision": self.revision if revision is None else revision, "data": data}
        return int((await self._ask("snapshot", body, size))["revision"])

    async def read_snapshot(self) -> Snapshot | None:
        """The latest snapshot that is kept."""
        found: Snapshot | None = (await self._ask("snapshot", {"project": self.name})).get("snapshot")
        return found

    async def leave(self) -> None:
        """Be a member no longer. Changes that are not acknowledged are given up."""
        connection = self._client.connection
        if connection is not None and self._live.is_set():
            await connection.call("leave", {"project": self.name})
        self.end(Refused("left", f"{self.name} was left"))

    # --- for the client -----------------------------------------------------------------------

    def begin(self) -> None:
        """Join on the present connection, and ask for what was missed."""
        connection = self._client.connection
        if connection is None or self._ended is not None:
            return
        self.pause()
        self._joining = True
        body: dict[str, Any] = {"project": self.name}
        if self.epoch is not None:
            body.update(since=self.revision, epoch=self.epoch)
        connection.ask("join", body, lambda answer: self._take_join(connection, answer))

    def _begin_soon(self) -> None:
        """What is between us does not fit: not at once, as it may not fit again."""
        self.pause()
        self._joining = True
        self._again = self._loop.call_later(draw_wait(), self.begin)

    def pause(self) -> None:
        """There is no connection."""
        self._live.clear()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        for unsent in self._unsent.values():
            unsent.on = None

    def end(self, why: Refused) -> None:
        """For good."""
        if self._ended is not None:
            return
        self.pause()
        self._ended = why
        self._client.forget(self)
        if self._presence_timer is not None:
            self._presence_timer.cancel()
        self._live.set()  # who waits is told
        for unsent in list(self._unsent.values()):
            self._give_up(unsent, why)
        if not self.joined.done():
            self.joined.set_exception(why)
        else:
            self._tell("on_end", why)

    def take(self, event: str, body: Mapping[str, Any]) -> None:
        """An event of the server about this project."""
        if self._joining and event != "presence":
            return  # of the membership before
        if event == "change":
            self._take_change(body)
        elif event == "changes":
            self._take_page(body)
        elif event == "members":
            self._take_members(body)
        elif event == "presence":
            self._tell("on_presence", body["member"], body["user"], body["state"])

    # --- what comes ---------------------------------------------------------------------------

    def _take_join(self, connection: Connection, answer: Mapping[str, Any]) -> None:
        if connection is not self._client.connection or self._ended is not None:
            return
        if not answer["ok"]:
            wait = find_wait(answer)
            if wait is None and answer["code"] == "full" and self.joined.done():
                wait = 5.0  # perhaps of the connection that broke, whose server has not noticed yet
            if wait is None:
                self.end(read_refusal(answer))
            else:
                self._again = self._loop.call_later(wait, self.begin)
            return
        self._joining = False
        if answer["reset"]:
            self._start_over()
        self.epoch, self.right, self.member = answer["epoch"], answer["right"], answer["member"]
        self._take_members(answer)
        self._user = self.members[self.member]["user"] if self.member in self.members else self._user
        self._take_page(answer)

    def _start_over(self) -> None:
        self.revision = 0
        why = Refused("reset", f"{self.name} has begun another history")
        for unsent in list(self._unsent.values()):
            self._give_up(unsent, why)
        self._tell("on_reset")

    def _take_page(self, page: Mapping[str, Any]) -> None:
        snapshot = page.get("snapshot")
        if snapshot is not None:
            self.revision = snapshot["revision"]
            self._tell("on_snapshot", snapshot)
        for change in page["changes"]:
            self._take_change(change)
            if self._joining:
                return
        if page["more"]:
            return
        self._live.set()
        self._presence_is_new = self._presence is not None
        if not self.joined.done():
            self.joined.set_result(None)
        self._tell("on_live")
        self._send()
        self._send_presence()

    def _take_change(self, change: Mapping[str, Any]) -> None:
        if change["revision"] <= self.revision:
            return
        if change["revision"] != self.revision + 1:
            logger.warning("%s: revision %d after %d: joining anew", self.name, change["revision"], self.revision)
            self._begin_soon()
            return
        self.revision = change["revision"]
        unsent = self._unsent.get(change["id"]) if change["user"] == self._user else None
        self._tell("on_change", change, unsent is not None)
        if unsent is not None:
            self._settle(unsent, self.revision)
            self._send()

    def _take_members(self, body: Mapping[str, Any]) -> None:
        if "members" in body:
            self.members = {member["member"]: member for member in body["members"]}
        else:
            for one in body["left"]:
                self.members.pop(one, None)
            self.members.update({member["member"]: member for member in body["joined"]})
        self._tell("on_members", self.members)

    # --- what goes ----------------------------------------------------------------------------

    def _add(self, pending: Pending) -> _Unsent:
        outcome: asyncio.Future[int] = self._loop.create_future()
        outcome.add_done_callback(lambda done: done.cancelled() or done.exception())  # the listener was told, too
        unsent = self._unsent[pending["id"]] = _Unsent(pending, outcome)
        return unsent

    def _send(self) -> None:
        """As many changes as may be under way, in the order in which they were made."""
        connection = self._client.connection
        if connection is None or not self._live.is_set() or self._again is not None:
            return
        for unsent in [one for one in self._unsent.values() if one.is_too_large]:
            if self._unsent.get(unsent.pending["id"]) is unsent:  # the listener may submit
                self._give_up(unsent, make_too_large(unsent.size))
        size = 0
        for unsent in itertools.islice(self._unsent.values(), self._client.window):
            size += unsent.size
            if SURE_BYTES < size != unsent.size:  # all that is under way may be in one request of polling
                break
            if unsent.on is None:
                self._send_one(connection, unsent)

    def _send_one(self, connection: Connection, unsent: _Unsent) -> None:
        unsent.on = connection
        unsent.losses += unsent.asked_on not in (None, connection)  # joined anew on the same one, it has not ended
        unsent.asked_on = connection
        if unsent.pending["since"] is None:
            unsent.pending["since"] = self.revision
        connection.ask(
            "change",
            {"project": self.name, **unsent.pending},
            lambda answer: self._take_answer(connection, unsent, answer),
        )

    def _take_answer(self, connection: Connection, unsent: _Unsent, answer: Mapping[str, Any]) -> None:
        unsent.asked_on = None
        if unsent.on is not connection or self._unsent.get(unsent.pending["id"]) is not unsent:
            return  # its copy came before
        unsent.on = None
        wait = find_wait(answer)
        if answer["ok"]:
            self._settle(unsent, answer["revision"])
        elif answer["code"] == "not_joined":
            if not self._joining:
                self._begin_soon()
        elif wait is None:
            self._give_up(unsent, read_refusal(answer))
        elif self._again is None:
            self._again = self._loop.call_later(wait, self._send_again)
        self._send()

    def _send_again(self) -> None:
        self._again = None
        self._send()

    def _settle(self, unsent: _Unsent, revision: int) -> None:
        del self._unsent[unsent.pending["id"]]
        if not unsent.outcome.done():
            unsent.outcome.set_result(revision)

    def _give_up(self, unsent: _Unsent, why: Refused) -> None:
        del self._unsent[unsent.pending["id"]]
        if not unsent.outcome.done():
            unsent.outcome.set_exception(why)
        self._tell("on_refused", unsent.pending, why)

    def _send_presence(self) -> None:
        connection = self._client.connection
        if (
            connection is None
            or not (self._live.is_set() and self._presence_is_new)
            or self._presence_timer is not None
        ):
            return
        self._presence_is_new = False
        connection.emit("presence", {"project": self.name, "state": self._presence})
        self._presence_timer = self._loop.call_later(PRESENCE_PAUSE, self._send_presence_again)

    def _send_presence_again(self) -> None:
        self._presence_timer = None
        self._send_presence()

    async def _ask(self, event: str, body: Mapping[str, Any], size: int = 0) -> Mapping[str, Any]:
        """The answer to a request that may be made twice. Raises Refused."""
        losses = 0
        while True:
            await self._live.wait()
            if self._ended is not None:
                raise self._ended
            connection = self._client.connection
            assert connection is not None
            answer = await connection.call(event, body)
            losses += answer is None
            if size > SURE_BYTES and losses >= MOST_LOSSES:
                raise make_too_large(size)
            if answer is None or answer.get("code") == "not_joined":
                await asyncio.sleep(0.1)  # the connection ended, or this is being joined again
            elif answer["ok"]:
                return answer
            else:
                wait = find_wait(answer)
                if wait is None:
                    raise read_refusal(answer)
                await asyncio.sleep(wait)

    def _tell(self, what: str, *arguments: Any) -> None:
        """A mistake of the listener is its own: the order of changes goes on."""
        try:
            getattr(self._listener, what)(*arguments)
        except Exception:
            logger.exception("%s: %s of the listener failed", self.name, what)
