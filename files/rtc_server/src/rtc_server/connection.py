# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server keeps of one authenticated client."""

from __future__ import annotations

import asyncio
import secrets

from .auth import Identity
from .engine import Socket
from .limits import TokenBucket
from .project import Member
from .strict_json import dumps


class User:
    """What all connections of one user share."""

    __slots__ = ("changes", "connections", "reads")

    def __init__(self, changes: TokenBucket, reads: TokenBucket) -> None:
        self.changes = changes
        self.reads = reads
        self.connections = 0


class Connection:
    """A client that has shown a token. Other clients learn its ``id``, and never the ids of Socket.IO and Engine.IO:
    with those they could read and write in its place over polling."""

    __slots__ = ("expiry", "id", "identity", "members", "presence", "socket", "user", "user_text")

    def __init__(self, socket: Socket, identity: Identity, user: User, presence: TokenBucket) -> None:
        self.id = secrets.token_urlsafe(9)
        self.socket = socket
        self.identity = identity
        self.user = user
        self.user_text = dumps(identity.user)
        self.presence = presence
        self.members: dict[str, Member] = {}  # by project
        self.expiry: asyncio.TimerHandle | None = None
