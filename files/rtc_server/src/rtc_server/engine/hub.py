# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fan-out: everything sent in one turn of the event loop leaves as one write for each member.

Order: each queued item takes a number. A member that is in one room, got nothing of its own and skips
nothing is written the room's joined frames, the same bytes object for all such members; any other
member gets its own batch, merged by number, so acks, direct sends and room messages keep their order.

A write costs more than the messages in it, so rooms that cannot all be written in a short turn wait in a queue, and collect
messages there: what comes in meanwhile is read, and nobody waits for more than the rooms before.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Collection
from itertools import accumulate
from operator import itemgetter
from typing import Protocol

from .eio_codec import Packet, frame, frame_packet

TURN = 64  # writes, after which the other rooms wait for the next turn: less than a millisecond


class Parcel:
    """One message, encoded once for each dialect and shared by all who get it."""

    __slots__ = ("frame3", "frame4", "packets", "volatile")

    def __init__(self, packets: tuple[Packet, ...], volatile: bool = False) -> None:
        self.packets = packets
        self.volatile = volatile
        first = packets[0]
        if len(packets) == 1 and first.__class__ is str:
            self.frame4 = self.frame3 = frame(first.encode())
        else:
            self.frame4 = b"".join([frame_packet(p, 4) for p in packets])
            self.frame3 = b"".join([frame_packet(p, 3) for p in packets])


def join_frames(parcels: Collection[Parcel], revision: int) -> bytes:
    """The bytes a WebSocket member of that protocol revision is written."""
    return b"".join([p.frame3 for p in parcels] if revision == 3 else [p.frame4 for p in parcels])


def merged(room: Room, own: list[tuple[int, Parcel]]) -> list[Parcel]:
    """A room's parcels and a member's own, in order."""
    items = [*zip(room.numbers, room.parcels, strict=True), *own]
    items.sort(key=itemgetter(0))
    return [p for _, p in items]


class Frames:
    """A room's frames of one turn in one revision: joined once, cut where a member's own ones go."""

    __slots__ = ("_ends", "_numbers", "_view", "data")

    def __init__(self, room: Room, revision: int) -> None:
        frames = [p.frame3 for p in room.parcels] if revision == 3 else [p.frame4 for p in room.parcels]
        self.data = frames[0] if len(frames) == 1 else b"".join(frames)
        self._numbers = room.numbers
        self._ends = [0, *accumulate([len(f) for f in frames])]
        self._view = memoryview(self.data)

    def merged(self, own: list[tuple[int, Parcel]], revision: int) -> bytes:
        """The bytes for a member that has something of its own among them."""
        pieces: list[bytes | memoryview] = []
        done = 0
        for number, parcel in own:
            end = self._ends[bisect_left(self._numbers, number)]
            if end > done:
                pieces.append(self._view[done:end])
                done = end
            pieces.append(parcel.frame3 if revision == 3 else parcel.frame4)
        pieces.append(self._view[done:])
        return b"".join(pieces)


class Member(Protocol):
    """What the hub needs of a session."""

    revision: int
    own: list[tuple[int, Parcel]]
    rooms: dict[Room, None]
    closed: bool

    def write(self, frames: bytes) -> bool: ...

    def deliver(self, parcels: Collection[Parcel], frames: bytes | None) -> None: ...


class Room:
    """Members, and what was published since it was flushed: as long as there is something of that, it is in the hub's queue."""

    __slots__ = ("index", "members", "name", "numbers", "parcels", "skips")

    def __init__(self, name: str, index: dict[str, Room]) -> None:
        self.name = name
        self.index = index  # where it is listed until its last member leaves
        self.members: dict[Member, None] = {}
        self.parcels: list[Parcel] = []
        self.numbers: list[int] = []
        self.skips: dict[Member, list[int]] = {}  # positions, ascending, a member is not to get


class Hub:
    """Collects sends and publishes, flushes them at the end of a turn."""

    def __init__(self) -> None:
        self.flushes = 0
        self.writes = 0
        self._number = 0
        self._scheduled = False
        self._rooms: deque[Room] = deque()
        self._owners: list[Member] = []  # that have something of their own; who waits for a room need not be here

    # --- queueing ---------------------------------------------------------------------------

    def send(self, member: Member, parcel: Parcel) -> None:
        """Queue for one member, after everything queued for it before."""
        if member.closed:
            return
        if not member.own:
            self._owners.append(member)
        self._number += 1
        member.own.append((self._number, parcel))
        if not self._scheduled:
            self._schedule()

    def publish(self, room: Room, parcel: Parcel, skip: Member | None = None) -> None:
        """Queue for all members of a room, ``skip`` left out."""
        if not room.parcels:
            self._rooms.append(room)
        if skip is not None:
            room.skips.setdefault(skip, []).append(len(room.parcels))
        self._number += 1
        room.parcels.append(parcel)
        room.numbers.append(self._number)
        if not self._scheduled:
            self._schedule()

    def join(self, room: Room, member: Member) -> None:
        """Add a member; it gets nothing published before, not even in this turn."""
        if member not in room.members:
            if room.parcels:
                room.skips[member] = list(range(len(room.parcels)))
            room.members[member] = None
            member.rooms[room] = None

    def leave(self, room: Room, member: Member) -> None:
        """Remove a member; what was published before still reaches it."""
        if member in room.members:
            if room.parcels and not member.closed:
                member.own += self._share(room, member)
                member.own.sort(key=itemgetter(0))
                self._owners.append(member)  # even if it is there: it may have waited for the room
                if not self._scheduled:
                    self._schedule()
            room.skips.pop(member, None)
            del room.members[member]
            del member.rooms[room]
            if not room.members:
                room.index.pop(room.name, None)

    # --- flushing ---------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Flush when everything that is there has been read: the loop looks at its sockets before it calls this."""
        self._scheduled = True
        asyncio.get_running_loop().call_soon(self.flush)

    @staticmethod
    def _share(room: Room, member: Member) -> list[tuple[int, Parcel]]:
        items = list(zip(room.numbers, room.parcels, strict=True))
        for at in reversed(room.skips.get(member, ())):
            del items[at]
        return items

    def settle(self, member: Member) -> None:
        """Leave all rooms and write what is queued for the member now (before it is closed)."""
        for room in list(member.rooms):
            self.leave(room, member)
        self._write_own(member)

    def _write_own(self, member: Member) -> None:
        items = member.own
        sources = 1 if items else 0
        for room in member.rooms:
            if room.parcels:
                items = items + self._share(room, member)
                sources += 1
        member.own = []
        if items and not member.closed:
            if sources > 1:
                items.sort(key=itemgetter(0))
            self.writes += 1
            member.deliver([p for _, p in items], None)

    def flush(self) -> None:
        """Write what is queued, once for each member; ``deliver`` never calls application code."""
        self._scheduled = False
        owners, self._owners = self._owners, []
        rest: dict[Member, None] = {}
        done: list[Room] = []
        left, mixed = TURN, False
        while self._rooms and (
            left > 0 or mixed
        ):  # who is in several rooms gets what they have at once, or the order is lost
            room = self._rooms.popleft()
            done.append(room)
            left -= len(room.members)
            mixed |= self._write_room(room, rest)
        for member in rest:
            self._write_own(member)
        for room in done:
            room.parcels, room.numbers, room.skips = [], [], {}
        for member in owners:
            if member.own:
                for room in member.rooms:
                    if room.parcels:
                        break  # it goes out with those
                else:
                    self._write_own(member)
        self.flushes += 1
        if self._rooms:
            self._schedule()

    def _write_room(self, room: Room, rest: dict[Member, None]) -> bool:
        """Write to a room's members; those that take more are put to the rest. True when some are in other rooms, too."""
        parcels, skips = room.parcels, room.skips
        shared: list[Frames | None] = [None, None]
        mixed = False
        for member in list(room.members):
            own = member.own
            if len(member.rooms) > 1:
                rest[member] = None
                mixed = True
            elif skips and member in skips:
                if own:
                    rest[member] = None
                    continue
                some = parcels.copy()
                for at in reversed(skips[member]):
                    del some[at]
                if some:
                    self.writes += 1
                    member.deliver(some, None)
            else:
                revision = member.revision
                frames = shared[4 - revision]
                if frames is None:
                    frames = shared[4 - revision] = Frames(room, revision)
                self.writes += 1
                data = frames.data
                if own:
                    member.own = []
                    data = frames.merged(own, revision)
                if not member.write(data):
                    member.deliver(merged(room, own) if own else parcels, data)
        return mixed
