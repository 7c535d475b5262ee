# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a disk may have after a power cut, at each moment of a recorded run: which of its pending writes and names arrived.

A state is a few numbers; the same content is opened once, with what was acknowledged by the last moment at which it can be found.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .disk import Data, Disk, Files, Item, Name, Size, Torn, apply, apply_name, volatile
from .trace import Call, Op


@dataclass(frozen=True)
class Limits:
    """How much is tried."""

    exhaustive: int = 10  # all subsets of so many pending writes
    pairs: int = 1_000_000  # of more than those: so many pairs,
    random: int = 1000  # and so many random subsets, at each moment
    cuts: int = 64  # places at which one write is cut
    scattered: int = 16  # ways in which sectors of one write arrive that are not its first


SHORT = Limits(exhaustive=5, pairs=24, random=12, cuts=8, scattered=2)
LONG = Limits()


@dataclass(frozen=True, slots=True)
class State:
    """A crash while call number ``call`` was under way or, ``done``, after it. Of what was pending those in ``mask`` arrived;
    of some of them only some sectors: (place among the pending, sectors as a mask from the write's first, size).
    """

    call: int
    done: bool
    kind: str
    mask: int
    torn: tuple[tuple[int, int, bool], ...] = ()


# --- enumeration ------------------------------------------------------------------------------------------------


def states(disk: Disk, calls: list[Call], limits: Limits, seed: int = 0) -> Iterator[State]:
    """All states of a run. The disk is taken through the run; it stands at each state's moment when that comes."""
    chance = random.Random(seed)
    for at, call in enumerate(calls):
        before = len(disk.pending)
        written = disk.issue(call)
        changed = len(disk.pending) != before or written is not None
        everything = (1 << len(disk.pending)) - 1
        if written is not None:
            place = len(disk.pending) - 1
            for torn in _cuts(written, limits, chance):
                for others in {everything, _of(disk.pending, (Name, Size)) | 1 << place}:
                    yield State(at, False, "torn", others, ((place, *torn),))
        if disk.promises(call) or call.error or at == len(calls) - 1:
            for kind, mask, pieces in _subsets(disk.pending, limits, chance):
                yield State(at, False, kind, mask, pieces)
        disk.complete(call)
        if changed or call.op in (Op.SYNC, Op.MARK):
            everything = (1 << len(disk.pending)) - 1
            yield State(at, True, "prefix", everything)
            yield State(at, True, "nothing", 0)


def _of(pending: list[Item], kinds: tuple[type, ...]) -> int:
    return sum(1 << place for place, item in enumerate(pending) if isinstance(item, kinds))


def _cuts(write: Data, limits: Limits, chance: random.Random) -> Iterator[tuple[int, bool]]:
    """Some sectors of a write, as a mask; and whether a file that grows has its new size all the same."""
    count = len(write.sectors)
    cuts = list(range(count))
    if count > limits.cuts:  # the first and the last ones, and some between them
        some = limits.cuts // 4
        cuts = sorted({*cuts[:some], *cuts[-some:], *chance.sample(cuts, limits.cuts - 2 * some)})
    sizes = (False, True) if write.grows else (True,)
    for cut in cuts:
        for size in sizes:
            yield (1 << cut) - 1, size
    if count < 2:
        return
    whole = (1 << count) - 1
    alone = [1 << n for n in range(1, count)] + [whole ^ 1 << n for n in range(count - 1)]
    if len(alone) > limits.scattered:
        alone = chance.sample(alone, limits.scattered)
    yield from ((mask, True) for mask in alone)
    for _ in range(min(limits.scattered, count)):
        yield chance.getrandbits(count), True


def _subsets(
    pending: list[Item], limits: Limits, chance: random.Random
) -> Iterator[tuple[str, int, tuple[tuple[int, int, bool], ...]]]:
    """Which of the pending ones arrived: kind, mask, torn ones."""
    data = [place for place, item in enumerate(pending) if isinstance(item, Data)]
    rest = [place for place, item in enumerate(pending) if not isinstance(item, Data)]
    all_data, all_rest = _mask(data), _mask(rest)
    # Records of the file system arrive in order (README.md); that one of them comes late costs little to try, too.
    for count in range(len(rest) + 1):
        for some in {0, all_data}:
            yield "names", _mask(rest[:count]) | some, ()
    for place in rest:
        yield "names", all_rest & ~(1 << place) | all_data, ()
    with_rest = {0, all_rest}
    for kind, mask in _some(data, limits, chance):
        for others in with_rest:
            yield kind, mask | others, ()
    for place in data:  # the size arrived, and what makes it so did not
        item = pending[place]
        if isinstance(item, Data) and item.grows:
            yield "size", all_data | all_rest, ((place, 0, True),)
            yield "size", all_rest | 1 << place, ((place, 0, True),)
    for _ in range(limits.random // 4 if data else 0):
        mask = _mask([place for place in data if chance.random() < 0.7])
        pieces = []
        for place in data:
            item = pending[place]
            if isinstance(item, Data) and mask >> place & 1 and chance.random() < 0.3:
                pieces.append((place, chance.getrandbits(len(item.sectors)), True))
        yield "pieces", mask | all_rest, tuple(pieces)


def _some(data: list[int], limits: Limits, chance: random.Random) -> Iterator[tuple[str, int]]:
    whole = _mask(data)
    if len(data) <= limits.exhaustive:
        for count in range(len(data) + 1):
            for some in itertools.combinations(data, count):
                yield "subset", _mask(list(some))
        return
    for place in data:
        yield "single", 1 << place
        yield "single", whole & ~(1 << place)
    pairs = list(itertools.combinations(data, 2))
    if len(pairs) > limits.pairs:
        pairs = chance.sample(pairs, limits.pairs)
    for one, two in pairs:
        yield "pair", 1 << one | 1 << two
        yield "pair", whole & ~(1 << one | 1 << two)
    for _ in range(limits.random):
        share = chance.choice((0.1, 0.5, 0.9))
        yield "random", _mask([place for place in data if chance.random() < share])


def _mask(places: list[int]) -> int:
    return sum(1 << place for place in places)


# --- content ----------------------------------------------------------------------------------------------------


class Builder:
    """Makes states' contents from a disk that stands at their moment."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._sums: dict[tuple[object, ...], bytes] = {}

    def signature(self, state: State) -> bytes:
        """The same for the same content."""
        names, chosen = self._chosen(state)
        if len(self._sums) > 50_000:
            self._sums.clear()
        found = hashlib.blake2b(digest_size=12)
        for path, inode in sorted(names.items()):
            items = chosen.get(inode, [])
            key = (inode, self._disk.durable[inode].version, *((id(item), str(torn)) for item, torn in items))
            digest = self._sums.get(key)
            if digest is None:
                digest = self._sums[key] = hashlib.blake2b(self._content(inode, items), digest_size=12).digest()
            found.update(path.encode() + b"\0" + digest)
        return found.digest()

    def files(self, state: State) -> Files:
        """The directory after the crash."""
        names, chosen = self._chosen(state)
        return {path: bytes(self._content(inode, chosen.get(inode, []))) for path, inode in names.items()}

    def _content(self, inode: int, items: list[tuple[Data | Size, Torn | None]]) -> bytearray:
        data = bytearray(self._disk.durable[inode].data)
        for item, torn in items:
            apply(data, item, torn)
        return data

    def _chosen(self, state: State) -> tuple[Mapping[str, int], dict[int, list[tuple[Data | Size, Torn | None]]]]:
        torn = {place: (sectors, size) for place, sectors, size in state.torn}
        names = dict(self._disk.names)
        chosen: dict[int, list[tuple[Data | Size, Torn | None]]] = {}
        for place in _with_cuts(self._disk.pending, state.mask):
            item = self._disk.pending[place]
            if isinstance(item, Name):
                apply_name(names, item)
                continue
            piece = None
            if place in torn and isinstance(item, Data):
                mask, size = torn[place]
                numbers = [number for at, number in enumerate(sorted(item.sectors)) if mask >> at & 1]
                piece = Torn(frozenset(numbers), size)
            chosen.setdefault(item.inode, []).append((item, piece))
        return {path: inode for path, inode in names.items() if not volatile(path)}, chosen


def _with_cuts(pending: list[Item], mask: int) -> list[int]:
    """The chosen ones, in order; and a file that was cut before a chosen write made it longer again: its new blocks cannot be there
    while the old ones are (both are in the file system's journal, in order)."""
    found: list[int] = []
    beyond: dict[int, int] = {}  # by inode: how far later chosen writes go
    for place in range(len(pending) - 1, -1, -1):
        item = pending[place]
        chosen = bool(mask >> place & 1)
        if isinstance(item, Data) and chosen:
            beyond[item.inode] = max(beyond.get(item.inode, 0), item.end)
        if chosen or (isinstance(item, Size) and not item.grow and beyond.get(item.inode, 0) > item.size):
            found.append(place)
    return found[::-1]
