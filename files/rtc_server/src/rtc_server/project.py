# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One project as this server knows it: members, delivered revision, the latest changes.

Everything here runs on the event loop between two awaits, so what a member gets on joining and what is delivered to it
afterwards fit together without a gap or an overlap.
"""

from __future__ import annotations

from collections.abc import Iterable

from .auth import Identity
from .engine import Room, Socket
from .journal import SENT_NOW, Change, Head, Outcome, Snapshot, Submission
from .strict_json import dumps

TAIL_CHANGES = 1_024
TAIL_BYTES = 512 << 10


class Tail:
    """The latest changes of a project as JSON texts, without gaps. Most clients that come back need only these."""

    __slots__ = ("_items", "_size", "last")

    def __init__(self, last: int) -> None:
        self.last = last  # revision of the newest
        self._items: list[str] = []
        self._size = 0

    def add(self, text: str) -> None:
        """Append the change of revision ``last + 1``."""
        self._items.append(text)
        self.last += 1
        self._size += len(text)
        if len(self._items) > TAIL_CHANGES or self._size > TAIL_BYTES:
            drop = max(1, len(self._items) // 4)
            self._size -= sum([len(t) for t in self._items[:drop]])
            del self._items[:drop]

    def after(self, revision: int) -> list[str] | None:
        """All changes after that revision, or None when some are not held here any more."""
        missing = self.last - revision
        if missing == 0:
            return []
        return self._items[-missing:] if 0 < missing <= len(self._items) else None


class Member:
    """A client in a project. ``id`` is its connection's public id: the same in every project that it joins."""

    __slots__ = ("id", "live", "project", "right", "since", "socket", "text", "user_text")

    def __init__(self, id: str, socket: Socket, identity: Identity, project: Project, right: str) -> None:
        self.id = id
        self.socket = socket
        self.project = project
        self.right = right
        self.since = SENT_NOW  # changes sent again were first sent after that revision, unless they say something else
        self.live = False  # it has caught up and gets what is delivered
        self.user_text = dumps(identity.user)
        self.text = dumps({"member": id, "user": identity.user, "name": identity.name, "right": right})

    def is_joined(self) -> bool:
        """Whether it has neither left nor joined anew, nor lost its connection."""
        return self.socket.connected and self.project.members.get(self.id) is self


class Project:
    """Members and order. ``revision`` is the last one delivered."""

    __slots__ = (
        "base",
        "epoch",
        "guests",
        "holds",
        "joined",
        "left",
        "members",
        "name",
        "room",
        "snapshot",
        "snapshot_revision",
        "tail",
        "text",
    )

    def __init__(self, name: str, head: Head, room: Room) -> None:
        self.name = name
        self.text = dumps(name)
        self.room = room
        self.epoch = head.epoch
        self.base = head.base
        self.snapshot_revision = head.snapshot
        self.snapshot: Snapshot | None = None  # kept once it was read
        self.tail = Tail(head.revision)
        self.members: dict[str, Member] = {}  # by their ids
        self.guests: dict[str, str] = {}  # members at other servers of the store: their texts by their ids
        self.holds = 0  # changes on their way, joins in progress: reasons to stay loaded
        self.joined: dict[str, Member] = {}  # not announced yet
        self.left: dict[str, None] = {}

    @property
    def revision(self) -> int:
        """The last revision delivered to members."""
        return self.tail.last

    def format_change(self, change: Change) -> str:
        """The JSON text of a change that was read from the journal."""
        return (
            f'{{"project":{self.text},"revision":{change.revision},"id":{dumps(change.id)},'
            f'"user":{dumps(change.user)},"time":{change.time},"data":{change.data}}}'
        )

    def add_committed(self, change: Submission, revision: int, time: int) -> str:
        """Take the next change: its JSON text, made once, is what everybody gets."""
        text = f'{{"project":{self.text},"revision":{revision},{change.label},"time":{time},"data":{change.data}}}'
        self.tail.add(text)
        return text

    def note_compaction(self, outcome: Outcome, snapshot: Snapshot) -> None:
        """A snapshot was kept."""
        self.snapshot, self.snapshot_revision = snapshot, snapshot.revision
        self.base = max(self.base, outcome.base)

    def find_start(self, since: int | None, epoch: str | None) -> tuple[int, bool]:
        """From which revision a member is to be served, and whether what it has is void.

        Void is what belongs to another history: another epoch, or a revision that was never given.
        """
        if since is None:
            return 0, False
        if (epoch is not None and epoch != self.epoch) or since > self.revision:
            return 0, True
        return since, False

    def wants_snapshot(self, start: int) -> bool:
        """Whether catching up from there takes the snapshot: changes are gone, or it is the shorter way."""
        return start < self.base or (start == 0 and self.snapshot_revision > 0)

    def join_member_texts(self) -> str:
        """All members as a JSON array."""
        return "[" + ",".join([*[m.text for m in self.members.values()], *self.guests.values()]) + "]"

    def add(self, member: Member) -> None:
        """A member joined."""
        self.left.pop(member.id, None)
        self.joined[member.id] = member
        self.members[member.id] = member

    def remove(self, member: Member) -> None:
        """A member left."""
        if self.members.get(member.id) is member:
            del self.members[member.id]
            self.joined.pop(member.id, None)
            self.left[member.id] = None  # even if it was not announced: the answer to another join may have named it

    def change_guests(self, joined: Iterable[tuple[str, str]], left: Iterable[str]) -> str | None:
        """Members at other servers came and went: the event that says so, or None when it is known."""
        came = {id: text for id, text in joined if self.guests.get(id) != text}
        self.guests.update(came)
        gone = [id for id in left if self.guests.pop(id, None) is not None]
        if not came and not gone:
            return None
        return f'["members",{{"project":{self.text},"joined":[{",".join(came.values())}],"left":{dumps(gone)}}}]'

    def take_announcement(self) -> str | None:
        """The event with those who came and went since the last one, or None."""
        if not self.joined and not self.left:
            return None
        joined = ",".join([m.text for m in self.joined.values()])
        body = f'["members",{{"project":{self.text},"joined":[{joined}],"left":{dumps(list(self.left))}}}]'
        self.joined, self.left = {}, {}
        return body
