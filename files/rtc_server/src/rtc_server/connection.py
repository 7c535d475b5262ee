# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server keeps of one authenticated client."""

from __future__ import annotations

import asyncio
import secrets
import time

from .auth import Identity
from .config import LimitSettings
from .engine import Socket
from .limits import Allowance, TokenBucket
from .project import Member
from .strict_json import dumps

_REFUSALS_BURST = 50.0  # seconds' worth of refusals that are borne at once: a client may have much on its way


class User:
    """What all connections of one user share."""

    __slots__ = ("changes", "connections", "reads", "refusals")

    def __init__(self, changes: Allowance, reads: Allowance, refusals: TokenBucket) -> None:
        self.changes = changes
        self.reads = reads
        self.refusals = refusals
        self.connections = 0

    def adapt(self, other: User) -> None:
        """Take the limits of another user, who has spent nothing; what was spent stays spent."""
        self.changes.adapt(other.changes)
        self.reads.adapt(other.reads)
        self.refusals.adapt(other.refusals.rate, other.refusals.burst)

    def is_idle(self, now: float) -> bool:
        """Whether nobody is connected, and nothing would be given back by forgetting the user (but a few reads)."""
        is_spent = not self.changes.full(now) or not self.refusals.full(now) or self.reads.find_debt(now) > 0.0
        return not self.connections and not is_spent


def make_user(limits: LimitSettings, now: float) -> User:
    """A user who has spent nothing."""
    changes, reads = limits.changes_per_second, limits.reads_per_second
    change_bytes, read_bytes = limits.change_bytes_per_second, limits.read_bytes_per_second
    return User(
        Allowance(
            changes, max(limits.changes_burst, changes), change_bytes, max(limits.change_bytes_burst, change_bytes), now
        ),
        Allowance(reads, max(100.0, 5 * reads), read_bytes, 5 * read_bytes, now),
        TokenBucket(limits.refusals_per_second, _REFUSALS_BURST * limits.refusals_per_second, now),
    )


def make_presence_allowance(limits: LimitSettings, now: float) -> Allowance:
    """The presence of one connection, with nothing spent."""
    rate, byte_rate = limits.presence_per_second, limits.presence_bytes_per_second
    return Allowance(rate, max(10.0, 2 * rate), byte_rate, 2 * byte_rate, now)


class Connection:
    """A client that has shown a token. Other clients learn its ``id``, and never the ids of Socket.IO and Engine.IO:
    with those they could read and write in its place over polling."""

    __slots__ = ("dropped", "expiry", "id", "identity", "members", "presence", "since", "socket", "user", "user_text")

    def __init__(self, socket: Socket, identity: Identity, user: User, presence: Allowance) -> None:
        self.id = secrets.token_urlsafe(9)
        self.socket = socket
        self.identity = identity
        self.user = user
        self.user_text = dumps(identity.user)
        self.presence = presence
        self.since = time.time()
        self.dropped = 0  # presence above its rate, without a word
        self.members: dict[str, Member] = {}  # by project
        self.expiry: asyncio.TimerHandle | None = None
