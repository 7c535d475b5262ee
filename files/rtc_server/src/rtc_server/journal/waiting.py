# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that wait for the committing thread.

A batch is limited in bytes, as everybody waits for its commit. When more is waiting than a batch takes, users have
their turns by deficit round robin (Shreedhar and Varghese, "Efficient Fair Queueing Using Deficit Round Robin", 1995):
who sent a little is in the next batch, whatever others have waiting. Each user's own requests keep their order.
"""

from __future__ import annotations

from collections import deque

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
        self._lanes: dict[str, _Lane] = {}  # by user; the first one has its turn next
        self._in_lanes = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._new) + self._in_lanes

    def clear(self) -> None:
        """Forget everything."""
        self._new, self._lanes, self._in_lanes, self.bytes = [], {}, 0, 0

    def add(self, request: Request, most: int, most_bytes: int) -> bool:
        """Queue a request; False when ``most`` requests or ``most_bytes`` are waiting, or when the request's user
        has more waiting than its share, which leaves one for who comes next."""
        size = measure(request)
        total, count = self.bytes + size, len(self._new) + self._in_lanes
        if _PLENTY * total > most_bytes or _PLENTY * count >= most:
            if count >= most or (count and total > most_bytes):
                return False
            self._sort_new()
            lane, shares = self._lanes.get(request.user), len(self._lanes) + 1
            if lane and (lane.bytes + size > most_bytes // shares or len(lane.requests) >= most // shares):
                return False
        self._new.append(request)
        self.bytes = total
        return True

    def take(self, most: int, most_bytes: int) -> list[Request]:
        """The next batch: at most so many requests and bytes, but at least one request if one is waiting."""
        if not self._in_lanes and self.bytes <= most_bytes and len(self._new) <= most:
            batch, self._new, self.bytes = self._new, [], 0
            return batch
        self._sort_new()
        batch = []
        left = most_bytes
        lanes = self._lanes
        while lanes and len(batch) < most:
            user = next(iter(lanes))
            lane = lanes.pop(user)
            requests = lane.requests
            lane.credit += TURN_BYTES
            while requests and len(batch) < most:
                size = measure(requests[0])
                if size > lane.credit and (lanes or batch):
                    break
                if size > left and batch:
                    lane.credit -= TURN_BYTES  # its turn is not over
                    self._lanes = {user: lane, **lanes}
                    return self._finish(batch)
                batch.append(requests.popleft())
                lane.bytes -= size
                lane.credit -= size
                left -= size
            if requests:
                lanes[user] = lane
        return self._finish(batch)

    def _finish(self, batch: list[Request]) -> list[Request]:
        self._in_lanes -= len(batch)
        self.bytes -= sum([measure(request) for request in batch])
        return batch

    def _sort_new(self) -> None:
        """Put what came into the lanes of its users."""
        lanes = self._lanes
        for request in self._new:
            lane = lanes.get(request.user)
            if lane is None:
                lane = lanes[request.user] = _Lane()
            lane.requests.append(request)
            lane.bytes += measure(request)
        self._in_lanes += len(self._new)
        self._new = []


def measure(request: Request) -> int:
    """The bytes that a request counts for in memory."""
    return _OVERHEAD + len(request.data if request.__class__ is Submission else request.snapshot.data)
