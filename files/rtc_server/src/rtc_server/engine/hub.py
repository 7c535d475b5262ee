# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fan-out: everything sent in one turn of the event loop leaves as one write for each recipient.

Order: each queued message takes a number. A recipient that is in one room, was sent nothing of its own and skips
nothing is written the room's joined frames, the same bytes object for all such recipients. Any other recipient gets a
batch of its own, merged by number, so acknowledgements, direct sends and room messages keep their order.

A write costs more than the messages in it. Rooms that cannot all be written in a short turn therefore wait in a queue
and collect messages there: what comes in meanwhile is read, and no room waits for longer than the rooms before it take.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Collection
from itertools import accumulate
from operator import itemgetter
from time import monotonic
from typing import Protocol

from ..histogram import Histogram
from .eio_codec import TEXT_HEADERS, Packet, encode_frame, encode_packet_frame

DELIVERY_BUDGET = 64  # writes, after which the remaining rooms wait for the next turn: less than a millisecond
_WRITE_BYTES = 64 << 10  # that count as one more write: what they take beside it, on loopback


class PreparedMessage:
    """One message, encoded once for each version of Engine.IO and shared by all who get it."""

    __slots__ = ("frame3", "frame4", "packets", "volatile")

    def __init__(self, packets: tuple[Packet, ...], volatile: bool = False) -> None:
        self.packets = packets
        self.volatile = volatile
        first = packets[0]
        if len(packets) == 1 and first.__class__ is str:
            body = first.encode()
            size = len(body)
            self.frame4 = self.frame3 = TEXT_HEADERS[size] + body if size < len(TEXT_HEADERS) else encode_frame(body)
        else:
            self.frame4 = b"".join([encode_packet_frame(p, 4) for p in packets])
            self.frame3 = b"".join([encode_packet_frame(p, 3) for p in packets])


Numbered = tuple[int, PreparedMessage]  # a message with its place in the order of everything that was queued


def join_frames(messages: Collection[PreparedMessage], eio_version: int) -> bytes:
    """The bytes that a WebSocket of that version of Engine.IO is written."""
    return b"".join([m.frame3 for m in messages] if eio_version == 3 else [m.frame4 for m in messages])


def merge_messages(room: Room, own: list[Numbered]) -> list[PreparedMessage]:
    """A room's messages and a recipient's own, in order."""
    numbered = [*zip(room.numbers, room.messages, strict=True), *own]
    numbered.sort(key=itemgetter(0))
    return [message for _, message in numbered]


class RoomFrames:
    """A room's frames of one turn in one version of Engine.IO: joined once, cut where a recipient's own frames go."""

    __slots__ = ("_ends", "_frames", "_numbers", "_view", "data")

    def __init__(self, room: Room, eio_version: int) -> None:
        self._frames = [m.frame3 for m in room.messages] if eio_version == 3 else [m.frame4 for m in room.messages]
        self.data = self._frames[0] if len(self._frames) == 1 else b"".join(self._frames)
        self._numbers = room.numbers
        self._ends: list[int] = []  # where each frame ends, once somebody's are merged
        self._view = memoryview(self.data)

    def merge(self, own: list[Numbered], eio_version: int) -> bytes:
        """The bytes for a recipient that has messages of its own among them."""
        if len(own) == 1 and len(self._frames) == 1:  # its change, and the answer to it: most of what is merged
            number, message = own[0]
            frame = message.frame3 if eio_version == 3 else message.frame4
            return self.data + frame if number > self._numbers[0] else frame + self.data
        ends, view = self._ends, self._view
        if not ends:
            ends = self._ends = [0, *accumulate([len(f) for f in self._frames])]
        pieces: list[bytes | memoryview] = []
        done = 0
        for number, message in own:
            end = ends[bisect_left(self._numbers, number)]
            if end > done:
                pieces.append(view[done:end])
                done = end
            pieces.append(message.frame3 if eio_version == 3 else message.frame4)
        pieces.append(view[done:])
        return b"".join(pieces)


class Recipient(Protocol):
    """What the hub needs of a session."""

    eio_version: int
    own: list[Numbered]  # sent to it alone and not written yet
    rooms: dict[Room, None]
    closed: bool

    def write(self, frames: bytes) -> bool: ...

    def deliver(self, messages: Collection[PreparedMessage], frames: bytes | None) -> None: ...


class Room:
    """Recipients, and the messages published since the last delivery. As long as a room has messages, it is in the
    hub's queue."""

    __slots__ = ("index", "members", "messages", "name", "numbers", "since", "size", "skips")

    def __init__(self, name: str, index: dict[str, Room]) -> None:
        self.name = name
        self.index = index  # where it is listed from its first member until its last one leaves
        self.members: dict[Recipient, None] = {}
        self.messages: list[PreparedMessage] = []
        self.numbers: list[int] = []  # of the messages
        self.size = 0  # bytes of the messages, roughly
        self.since = 0.0  # when the turn began in which the first of them came
        self.skips: dict[Recipient, list[int]] = {}  # positions of messages that a member is not to get, ascending


class Hub:
    """Collects sends and publishes, delivers them at the end of a turn."""

    def __init__(self) -> None:
        self.turns = 0
        self.writes = 0
        self.delivered = 0  # messages of rooms, for each member that was to get them
        self.delays = Histogram()  # of each turn: how long what had waited longest was in the queue
        self._since = 0.0  # when the first message of this turn came
        self._number = 0
        self._scheduled = False
        self._rooms: deque[Room] = deque()
        # Recipients with messages of their own; one that waits for a room need not be among them.
        self._owners: list[Recipient] = []

    # --- queueing ---------------------------------------------------------------------------

    def send(self, recipient: Recipient, message: PreparedMessage) -> None:
        """Queue for one recipient, after everything queued for it before."""
        if recipient.closed:
            return
        if not recipient.own:
            self._owners.append(recipient)
        self._number += 1
        recipient.own.append((self._number, message))
        if not self._scheduled:
            self._schedule()

    def publish(self, room: Room, message: PreparedMessage, skip: Recipient | None = None) -> None:
        """Queue for all members of a room, ``skip`` left out."""
        if not self._scheduled:
            self._schedule()
        if not room.messages:
            self._rooms.append(room)
            room.since = self._since
        if skip is not None:
            room.skips.setdefault(skip, []).append(len(room.messages))
        self._number += 1
        room.size += len(message.frame4)
        room.messages.append(message)
        room.numbers.append(self._number)

    def join(self, room: Room, recipient: Recipient) -> None:
        """Add a member; it gets nothing published before, not even in this turn."""
        if recipient not in room.members:
            if room.messages:
                room.skips[recipient] = list(range(len(room.messages)))
            if not room.members:
                room.index.setdefault(room.name, room)
            room.members[recipient] = None
            recipient.rooms[room] = None

    def leave(self, room: Room, recipient: Recipient) -> None:
        """Remove a member; what was published before still reaches it."""
        if recipient in room.members:
            if room.messages and not recipient.closed:
                recipient.own += self._select_for(room, recipient)
                recipient.own.sort(key=itemgetter(0))
                self._owners.append(recipient)  # even if it is there already: it may have waited for the room
                if not self._scheduled:
                    self._schedule()
            room.skips.pop(recipient, None)
            del room.members[recipient]
            del recipient.rooms[room]
            if not room.members and room.index.get(room.name) is room:
                del room.index[room.name]

    # --- delivering -------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Deliver once everything that has arrived is read: the loop looks at its sockets before it makes this call."""
        self._scheduled = True
        self._since = monotonic()
        asyncio.get_running_loop().call_soon(self.deliver)

    @staticmethod
    def _select_for(room: Room, recipient: Recipient) -> list[Numbered]:
        """The room's messages that the recipient is to get."""
        numbered = list(zip(room.numbers, room.messages, strict=True))
        for at in reversed(room.skips.get(recipient, ())):
            del numbered[at]
        return numbered

    def deliver_and_leave(self, recipient: Recipient) -> None:
        """Leave all rooms and write what is queued for the recipient now (before it is closed)."""
        for room in list(recipient.rooms):
            self.leave(room, recipient)
        self._write_all_of(recipient)

    def deliver_to(self, recipient: Recipient) -> None:
        """Write what is queued for the recipient now; not where one of its rooms has something for it, too, which is
        to keep its order."""
        if not any(room.messages for room in recipient.rooms):
            self._write_all_of(recipient)

    def _write_all_of(self, recipient: Recipient) -> None:
        """Write a recipient's own messages and those of its rooms."""
        numbered = recipient.own
        sources = 1 if numbered else 0
        for room in recipient.rooms:
            if room.messages:
                numbered = numbered + self._select_for(room, recipient)
                sources += 1
        recipient.own = []
        if numbered and not recipient.closed:
            if sources > 1:
                numbered.sort(key=itemgetter(0))
            self.writes += 1
            recipient.deliver([message for _, message in numbered], None)

    def deliver(self) -> None:
        """Write what is queued, once for each recipient; ``deliver`` never calls application code."""
        self._scheduled = False
        since = self._since
        owners, self._owners = self._owners, []
        remaining: dict[Recipient, None] = {}
        written: list[Room] = []
        budget, overlapping = DELIVERY_BUDGET, False
        # A recipient in several rooms is written the messages of all of them at once, or their order would be lost:
        # with one such recipient, all rooms are written.
        while self._rooms and (budget > 0 or overlapping):
            room = self._rooms.popleft()
            written.append(room)
            overlapping |= self._write_room(room, remaining)
            number = len(room.members)
            budget -= number * (1 + room.size // _WRITE_BYTES)
            self.delivered += number * len(room.messages)
            if room.skips:
                self.delivered -= sum([len(some) for one, some in room.skips.items() if one in room.members])
            room.size = 0
        for recipient in remaining:
            self._write_all_of(recipient)
        for room in written:
            room.messages, room.numbers, room.skips = [], [], {}
        for recipient in owners:
            if recipient.own:
                for room in recipient.rooms:
                    if room.messages:
                        break  # what is queued in one of its rooms takes its own messages along
                else:
                    self._write_all_of(recipient)
        self.turns += 1
        self.delays.observe(monotonic() - (written[0].since if written else since))
        if self._rooms:
            self._schedule()

    def _write_room(self, room: Room, remaining: dict[Recipient, None]) -> bool:
        """Write to a room's members; those that take more than the room's frames are added to the remaining ones.
        True when some are in other rooms, too."""
        messages, skips = room.messages, room.skips
        frames_by_version: dict[int, RoomFrames] = {}
        overlapping = False
        for recipient in list(room.members):
            own = recipient.own
            if len(recipient.rooms) > 1:
                remaining[recipient] = None
                overlapping = True
            elif skips and recipient in skips:
                if own:
                    remaining[recipient] = None
                    continue
                some = messages.copy()
                for at in reversed(skips[recipient]):
                    del some[at]
                if some:
                    self.writes += 1
                    recipient.deliver(some, None)
            else:
                eio_version = recipient.eio_version
                frames = frames_by_version.get(eio_version)
                if frames is None:
                    frames = frames_by_version[eio_version] = RoomFrames(room, eio_version)
                self.writes += 1
                data = frames.data
                if own:
                    recipient.own = []
                    data = frames.merge(own, eio_version)
                if not recipient.write(data):
                    recipient.deliver(merge_messages(room, own) if own else messages, data)
        return overlapping
