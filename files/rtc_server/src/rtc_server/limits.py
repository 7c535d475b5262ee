# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting what users and addresses take.

A whole company may be behind one address (NAT). So an address is charged only for clients that have not shown a valid
token yet; from then on the user is charged.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")


class TokenBucket:
    """A token bucket: ``rate`` a second on average, ``burst`` at once."""

    __slots__ = ("_at", "_left", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._left = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one; False when there is none."""
        left = self._left + (now - self._at) * self.rate
        self._at = now
        if left > self.burst:
            left = self.burst
        if left < 1.0:
            self._left = left
            return False
        self._left = left - 1.0
        return True

    def wait(self) -> float:
        """Seconds until there is one again, after :meth:`take` returned False."""
        return (1.0 - self._left) / self.rate if self.rate > 0 else 60.0

    def full(self, now: float) -> bool:
        """Whether nothing was taken lately, so that the bucket can be forgotten."""
        return self._left + (now - self._at) * self.rate >= self.burst


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
