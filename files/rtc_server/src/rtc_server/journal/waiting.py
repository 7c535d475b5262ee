# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that wait for the committing thread.

A batch is limited in bytes, as everybody waits for its commit. When more is waiting than a batch takes, users have
their turns by deficit round robin (Shreedhar and Varghese, "Efficient Fair Queueing Using Deficit Round Robin", 1995):
who sent a little is in the next batch, whatever others have waiting. Each user's own requests keep their order.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence

from .base import Compact, Submission

Request = Submission | Compact

TURN_BYTES = 16 << 10  # that a user may add to a batch in a turn; saved up for a request that is larger
_PLENTY = 4  # while less than a quarter of the room is taken, anybody may take any of it
_OVERHEAD = 100  # bytes that a request counts for besides its data


class _Lane:
    """What one user has waiting."""

    __slots__ = ("bytes", "credit", "requests")

    def __init__(self) -> None:
        self.requests: deque[Request] = deque()
        self.bytes = 0
        self.credit = 0  # bytes that it may add to a batch


class Waiting:
    """The queue. Only the event loop calls it."""

    def __init__(self) -> None:
        self._new: list[Request] = []  # not put into lanes yet: few need to be
        self._fresh: dict[str, _Lane] = {}  # by user: those who have not had a turn since nothing of theirs waited
        self._lanes: dict[str, _Lane] = {}  # the others; the first one has its turn next
        self._in_lanes = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._new) + self._in_lanes

    def clear(self) -> None:
        """Forget everything."""
        self._new, self._fresh, self._lanes, self._in_lanes, self.bytes = [], {}, {}, 0, 0

    def add(self, request: Request, most: int, most_bytes: int) -> bool:
        """Queue a request; False when ``most`` requests or ``most_bytes`` are waiting, or when the request's user
        has its share of that already. Who has nothing waiting may find twice as much."""
        size = _OVERHEAD + len(request.data) if request.__class__ is Submission else measure(request)  # without a call
        total, count = self.bytes + size, len(self._new) + self._in_lanes
        if (_PLENTY * total > most_bytes or _PLENTY * count >= most) and (
            not self._has_share(request.user, size, most, most_bytes)
        ):
            return False
        self._new.append(request)
        self.bytes = total
        return True

    def _has_share(self, user: str, size: int, most: int, most_bytes: int) -> bool:
        """Whether a user may have so much more waiting, now that not much room is left."""
        self._sort_new()
        total, count = self.bytes + size, self._in_lanes
        lane = self._lanes.get(user) or self._fresh.get(user)
        if lane is None:
            return count < 2 * most and (total <= 2 * most_bytes or not count)
        shares = len(self._lanes) + len(self._fresh) + 1
        return (
            count < most
            and total <= most_bytes
            and len(lane.requests) < most // shares
            and lane.bytes + size <= most_bytes // shares
        )

    def take(self, most: int, most_bytes: int) -> list[Request]:
        """The next batch: at most so many requests and bytes, but at least one request if one is waiting."""
        if not self._in_lanes and self.bytes <= most_bytes and len(self._new) <= most:
            batch, self._new, self.bytes = self._new, [], 0
            return batch
        self._sort_new()
        batch = []
        left = most_bytes
        while self._in_lanes > len(batch) < most:
            # Half of a batch is for the fresh ones. All of it, and others would wait as long as new ones come.
            lanes = self._fresh if self._fresh and (2 * left > most_bytes or not self._lanes) else self._lanes
            user = next(iter(lanes))
            lane = lanes[user]
            lane.credit += TURN_BYTES
            if lane.bytes <= lane.credit and lane.bytes <= left and len(batch) + len(lane.requests) <= most:
                batch += lane.requests  # nearly always: all at once costs a server at its limit least
                left -= lane.bytes
                del lanes[user]
                continue
            while lane.requests and len(batch) < most:
                size = measure(lane.requests[0])
                if size > lane.credit and (batch or self._in_lanes > len(lane.requests)):
                    break
                if size > left and batch:  # its turn comes first in the next batch
                    lane.credit -= TURN_BYTES
                    return self._finish(batch, most_bytes - left)
                batch.append(lane.requests.popleft())
                lane.bytes -= size
                lane.credit -= size
                left -= size
            del lanes[user]
            if lane.requests:
                self._lanes[user] = lane
        return self._finish(batch, most_bytes - left)

    def _finish(self, batch: list[Request], size: int) -> list[Request]:
        self._in_lanes -= len(batch)
        self.bytes -= size
        return batch

    def _sort_new(self) -> None:
        """Put what came into the lanes of its users."""
        for request in self._new:
            lane = self._lanes.get(request.user) or self._fresh.get(request.user)
            if lane is None:
                lane = self._fresh[request.user] = _Lane()
            lane.requests.append(request)
            lane.bytes += measure(request)
        self._in_lanes += len(self._new)
        self._new = []


def measure(request: Request) -> int:
    """The bytes that a request counts for in memory."""
    return _OVERHEAD + len(request.data if isinstance(request, Submission) else request.snapshot.data)


def split_by_kind(batch: Sequence[Request]) -> list[Sequence[Request]]:
    """The batch in pieces that are all changes, or all snapshots; nearly always it is one."""
    if Compact not in set(map(type, batch)):
        return [batch] if batch else []
    return [list(group) for _, group in itertools.groupby(batch, type)]
