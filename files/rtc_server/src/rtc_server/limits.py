# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting what users and addresses take.

A whole company may be behind one address (NAT). So an address is charged only for clients that have not shown a valid
token yet; from then on the user is charged.
"""

from __future__ import annotations

import math
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")


class TokenBucket:
    """A token bucket: ``rate`` a second on average, ``burst`` at once."""

    __slots__ = ("_at", "_left", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._left = burst
        self._at = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take so many; False when there are fewer."""
        left = self._left + (now - self._at) * self.rate
        self._at = now
        if left > self.burst:
            left = self.burst
        if left < amount:
            self._left = left
            return False
        self._left = left - amount
        return True

    def adapt(self, rate: float, burst: float) -> None:
        """Take other limits; what was taken stays taken."""
        self._left += burst - self.burst
        self.rate, self.burst = rate, burst

    def wait(self) -> float:
        """Seconds until there is one again, after :meth:`take` returned False."""
        return (1.0 - self._left) / self.rate if self.rate > 0 else 60.0

    def full(self, now: float) -> bool:
        """Whether nothing was taken lately, so that the bucket can be forgotten."""
        return self._left + (now - self._at) * self.rate >= self.burst


class Shortage(NamedTuple):
    """Why something was refused: the limit, what it counts, the seconds until it is worth trying again, and the bytes
    that were wanted."""

    limit: float
    unit: str
    wait: float
    wanted: int


class Allowance:
    """What may be taken of one kind of requests: how many, and how many bytes. Two token buckets in one, as every
    change asks both.

    More bytes than ``byte_burst`` may be taken at once when nothing else was taken lately; then there is a debt.
    """

    __slots__ = ("_at", "_bytes", "_left", "_wanted", "again", "burst", "byte_burst", "byte_rate", "rate")

    def __init__(self, rate: float, burst: float, byte_rate: float, byte_burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.byte_rate = byte_rate
        self.byte_burst = byte_burst
        self.again = 0.0  # when it was said to be worth trying again, after a refusal
        self._left = burst
        self._bytes = byte_burst
        self._at = now
        self._wanted = 0  # bytes, when there were too few

    def take(self, now: float, size: int = 0) -> bool:
        """Take one request of so many bytes; False when it is one too many. With 0 bytes, as when the size is not
        known before (:meth:`charge`), it is enough not to be in debt."""
        passed = now - self._at
        self._at = now
        left = self._left + passed * self.rate
        if left > self.burst:
            left = self.burst
        held = self._bytes + passed * self.byte_rate
        if held > self.byte_burst:
            held = self.byte_burst
        if left < 1.0 or (held < size and held < self.byte_burst):
            self._left, self._bytes, self._wanted = left, held, size
            return False
        self._left = left - 1.0
        self._bytes = held - size
        return True

    def adapt(self, other: Allowance) -> None:
        """Take the limits of another; what was taken stays taken."""
        self._left += other.burst - self.burst
        self._bytes += other.byte_burst - self.byte_burst
        self.rate, self.burst, self.again = other.rate, other.burst, 0.0
        self.byte_rate, self.byte_burst = other.byte_rate, other.byte_burst

    def charge(self, size: int) -> None:
        """Bytes of a request that was taken already."""
        self._bytes -= size

    def find_shortage(self) -> Shortage:
        """Why :meth:`take` returned False, and when the same would be taken if nothing else is."""
        count = _find_wait(1.0 - self._left, self.rate)
        bytes_ = _find_wait(min(self._wanted, self.byte_burst) - self._bytes, self.byte_rate)
        if bytes_ > count:
            return Shortage(self.byte_rate, "bytes", bytes_, self._wanted)
        return Shortage(self.rate, "requests", count, self._wanted)

    def find_debt(self, now: float) -> float:
        """Seconds until the balance of bytes is not negative; 0 when it is not."""
        return max(0.0, -self._bytes / self.byte_rate - (now - self._at))

    def full(self, now: float) -> bool:
        """Whether nothing was taken lately, so that it can be forgotten."""
        passed = now - self._at
        return (
            self._left + passed * self.rate >= self.burst and self._bytes + passed * self.byte_rate >= self.byte_burst
        )


def _find_wait(missing: float, rate: float) -> float:
    """Seconds, in milliseconds rounded up: who waits for so long is not refused again."""
    return math.floor(max(0.0, missing) / rate * 1000 + 1) / 1000


class TokenBuckets(Generic[K]):
    """One bucket for each key. A key that took nothing lately has none, and costs no memory."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[K, TokenBucket] = {}
        self._sweep_at = 1024

    def take(self, key: K, now: float) -> bool:
        """Take one for that key; False when it has none left."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._sweep_at:
                self._buckets = {k: b for k, b in self._buckets.items() if not b.full(now)}
                self._sweep_at = max(1024, 2 * len(self._buckets))
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now)
        return bucket.take(now)

    def __len__(self) -> int:
        return len(self._buckets)
