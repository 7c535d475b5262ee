# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has not shown a token yet, and which of them makes room for a newcomer.

Refusing newcomers would lock out the colleagues of whoever fills a limit: behind NAT they have the same address. So
nobody is refused. The one that has waited longest goes, and who shows a token promptly always gets in.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

PROXY = ""  # the group of connections of trusted proxies that have not said yet for whom they are


@lru_cache(maxsize=4096)
def group_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address, as each host has 2⁶⁴ of those
    (RFC 4291 section 2.5.4). Anything else is a group of its own."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64)) + "/64"


class Strangers(Generic[T]):
    """Connections, or sessions, in the order in which they came or got further: who shows a token promptly takes its
    steps one after another, and has the whole time for each.

    ``each``: most of one address; ``total``: most altogether; ``patience``: seconds for which nobody has to go because
    of the limit of its address alone. In that time an honest client shows its token, however far away it is; so a flood
    from its address does not throw it out before. ``clock`` returns seconds.
    """

    def __init__(self, each: int, total: int, patience: float, clock: Callable[[], float]) -> None:
        self.each = each
        self.total = total
        self.patience = patience
        self._clock = clock
        self._groups: dict[str, OrderedDict[T, float]] = {}  # since when; longest first
        self._group_of: dict[T, str] = {}
        self._by_size: dict[int, OrderedDict[str, None]] = {}  # the groups of each size
        self._largest = 0

    def __len__(self) -> int:
        return len(self._group_of)

    def __contains__(self, item: T) -> bool:
        return item in self._group_of

    def add(self, item: T, group: str) -> None:
        """A newcomer, or one that belongs to another group from now on: a proxy's connection whose client is known."""
        before = self._group_of.get(item)
        if before is not None:
            if before == group:
                return
            self.discard(item)
        members = self._groups.setdefault(group, OrderedDict())
        members[item] = self._clock()
        self._group_of[item] = group
        self._resize(group, len(members) - 1, len(members))

    def touch(self, item: T) -> None:
        """It has got further: as if it came now."""
        group = self._group_of.get(item)
        if group is not None:
            members = self._groups[group]
            members[item] = self._clock()
            members.move_to_end(item)

    def discard(self, item: T) -> None:
        """It has shown a token, or is gone."""
        group = self._group_of.pop(item, None)
        if group is None:
            return
        members = self._groups[group]
        del members[item]
        self._resize(group, len(members) + 1, len(members))
        if not members:
            del self._groups[group]

    def _resize(self, group: str, before: int, now: int) -> None:
        if before:
            same = self._by_size[before]
            del same[group]
            if not same:
                del self._by_size[before]
        if now:
            self._by_size.setdefault(now, OrderedDict())[group] = None
        if now > self._largest or (before == self._largest and before not in self._by_size):
            self._largest = now  # groups grow and shrink one by one

    def find_surplus(self, group: str) -> T | None:
        """Who has to go before one more of that group comes: because the group is at its limit, the one that has waited
        longest in it, unless that is too new; None when nobody has to."""
        members = self._groups.get(group)
        if members is None or len(members) < self.each or group == PROXY:
            return None
        oldest, since = next(iter(members.items()))
        return oldest if since + self.patience <= self._clock() else None

    def find_oldest(self) -> T | None:
        """Who has to go because there are too many altogether: of the group with most, the one that has waited
        longest."""
        if not self._largest:
            return None
        return next(iter(self._groups[next(iter(self._by_size[self._largest]))]))

    def is_full(self) -> bool:
        """Whether one has to go before another comes."""
        return len(self._group_of) >= self.total

    def find_all_surplus(self) -> list[T]:
        """Who would have to go if a newcomer came from each address."""
        latest = self._clock() - self.patience
        found: list[T] = []
        for size in [size for size in self._by_size if size > self.each]:
            for group in self._by_size[size]:
                if group != PROXY:
                    over = size - self.each
                    found += [item for item, since in list(self._groups[group].items())[:over] if since <= latest]
        return found
