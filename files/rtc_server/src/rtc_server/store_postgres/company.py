# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members and presence at the other servers of a store. Nothing of this is kept: a server that is not heard of for the
length of its lease is gone, and its members with it."""

from __future__ import annotations

import json
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable

from ..strict_json import count_bytes, dumps
from .audience import Audience

logger = logging.getLogger(__name__)

LEASE = 10.0  # seconds
MOST_BYTES = 7_900  # of a notice: PostgreSQL takes 7,999 ("NOTIFY")
MOST_WAITING = 2_000  # messages; then the oldest presence goes, which the next replaces


class Company:
    """The other servers, as this one hears them."""

    def __init__(self, audience: Audience, clock: Callable[[], float]) -> None:
        self.node = secrets.token_hex(6)
        self._audience = audience
        self._clock = clock
        self._heard: dict[str, float] = {}  # other servers: when last
        self._guests: dict[str, dict[str, set[str]]] = {}  # by server and project: ids of its members
        self._outgoing: deque[str] = deque()
        self.heard_self = clock()

    # --- to others ------------------------------------------------------------------------------

    def take_outgoing(self) -> list[str]:
        """Payloads of notices to be sent."""
        found, self._outgoing = list(self._outgoing), deque()
        return found

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to send."""
        return bool(self._outgoing)

    def _send(self, payload: str) -> None:
        if count_bytes(payload) > MOST_BYTES:
            return  # volatile, and too long for a notice
        if len(self._outgoing) >= MOST_WAITING:
            self._outgoing.popleft()
        self._outgoing.append(payload)

    def announce(self, project: str, joined: Iterable[tuple[str, str]], left: Iterable[str]) -> None:
        """Own members came and went."""
        if self._heard:
            self._tell(project, joined, left)

    def _tell(self, project: str, joined: Iterable[tuple[str, str]], left: Iterable[str]) -> None:
        for id, text in joined:
            self._send("m " + dumps({"node": self.node, "project": project, "id": id, "text": text}))
        for id in left:
            self._send("m " + dumps({"node": self.node, "project": project, "id": id}))

    def ask(self, project: str) -> None:
        """A project was loaded here: who is in it elsewhere?"""
        if self._heard:
            self._send("q " + dumps({"node": self.node, "project": project}))

    def publish(self, project: str, body: str) -> None:
        """Presence of an own member."""
        if self._heard:
            self._send("p " + dumps({"node": self.node, "project": project, "body": body}))

    # --- from others ------------------------------------------------------------------------------

    def hear(self, kind: str, text: str) -> None:
        """A notice of another server, or of this one."""
        if kind == "h":
            self._meet(text)
        elif kind == "b":
            self._part(text)
        else:
            try:
                message = json.loads(text)
                node, project = message["node"], message["project"]
            except (ValueError, LookupError, TypeError):
                logger.warning("a notice that cannot be read: %.100r", text)
                return
            if node == self.node:
                return
            self._meet(node)
            if kind == "m":
                self._note_guest(node, project, str(message["id"]), message.get("text"))
            elif kind == "q":
                self._tell(project, self._audience.list_own_members(project), ())
            elif kind == "p":
                self._audience.pass_presence(project, str(message["body"]))

    def _meet(self, node: str) -> None:
        now = self._clock()
        if node == self.node:
            self.heard_self = now
            return
        is_new = node not in self._heard
        self._heard[node] = now
        if is_new:  # it may have been cut off: both say again who is here
            logger.info("another server of this store: %s", node)
            for project in self._audience.list_loaded():
                self._tell(project, self._audience.list_own_members(project), ())

    def _note_guest(self, node: str, project: str, id: str, text: str | None) -> None:
        guests = self._guests.setdefault(node, {}).setdefault(project, set())
        if text is None:
            guests.discard(id)
            self._audience.set_guests(project, (), (id,))
        else:
            guests.add(id)
            self._audience.set_guests(project, ((id, text),), ())

    def _part(self, node: str) -> None:
        self._heard.pop(node, None)
        for project, ids in self._guests.pop(node, {}).items():
            self._audience.set_guests(project, (), ids)

    def expire(self) -> None:
        """Forget servers whose lease has ended, and their members."""
        now = self._clock()
        for node in [node for node, heard in self._heard.items() if now - heard > LEASE]:
            logger.warning("another server of this store was not heard of for %g s: %s", LEASE, node)
            self._part(node)
