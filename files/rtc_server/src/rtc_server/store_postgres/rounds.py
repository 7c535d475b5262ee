# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One round: requests of many projects in one call, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from ..journal.base import Change, Compact, Outcome, Submission
from ..journal.same_change import answer_again, refuse_unknown
from ..strict_json import count_bytes
from .connections import Line

_APPEND = "SELECT pos, code, revision, at, data FROM rtc.append_1($1, $2, $3, $4, $5, $6)"
_COMPACT = "SELECT taken, base, last, head FROM rtc.compact_1($1, $2, $3, $4, $5)"
_KEPT, _KNOWN, _UNKNOWABLE = 0, 1, 2
_BYTES = "SELECT name, bytes FROM rtc.project WHERE name = ANY ($1::text[])"
_OVERHEAD = 100  # bytes that a change counts for besides its data, as in rtc.append_1
_AGAIN = 3  # calls of a round in which a project came to its quota: another server may be quicker to take what is left

RefuseQuota = Callable[[Submission], Outcome]


async def append(writer: Line, requests: Sequence[Submission], quota: int, refuse: RefuseQuota) -> list[Outcome]:
    """Keep changes; their outcomes in order. Raises what the driver raises: then nothing is known of any of them."""
    found: dict[int, Outcome] = {}
    repeated: dict[int, int] = {}  # position of a repeated request -> of the first one with its id
    firsts: dict[tuple[str, str, str], int] = {}
    for at, request in enumerate(requests):
        if not is_storable(request.user):
            message = "the user's name has characters that the store cannot keep"
            found[at] = Outcome(request, code="unavailable", message=message)
            continue
        first = firsts.setdefault((request.project, request.user, request.id), at)
        if first != at:
            repeated[at] = first
    left = list(firsts.values())
    stored: dict[int, Change] = {}
    for turn in range(_AGAIN):
        chosen = [requests[at] for at in left]
        rows = await writer.fetch(
            _APPEND,
            [r.project for r in chosen],
            [r.user for r in chosen],
            [r.id for r in chosen],
            [r.data for r in chosen],
            [r.since for r in chosen],
            quota,
        )
        full: list[int] = []
        for pos, code, revision, time, data in rows:
            at = left[pos - 1]
            request = requests[at]
            if code == _KEPT:
                found[at] = Outcome(request, revision, time)
                stored[at] = Change(revision, request.id, request.user, time, request.data)
            elif code == _KNOWN:
                kept = request.data if data is None else data
                stored[at] = Change(revision, request.id, request.user, time, kept)
                found[at] = answer_again(request, stored[at])
            elif code == _UNKNOWABLE:
                found[at] = refuse_unknown(request, revision)
            else:
                full.append(at)
        full.sort()
        left = []
        if full and turn < _AGAIN - 1:
            left, full = await _choose_fitting(writer, requests, full, quota)
        for at in full:
            found[at] = refuse(requests[at])
        if not left:
            break
    for at, first in repeated.items():
        if first in stored:
            found[at] = answer_again(requests[at], stored[first])
        else:
            refused = found[first]
            found[at] = Outcome(requests[at], code=refused.code, message=refused.message, more=refused.more)
    return [found[at] for at in range(len(requests))]


async def _choose_fitting(
    writer: Line, requests: Sequence[Submission], full: list[int], quota: int
) -> tuple[list[int], list[int]]:
    """Of those beyond a quota the ones that fit into what is left, to be asked again, and the others, in order."""
    rows = await writer.fetch(_BYTES, list({requests[at].project for at in full}))
    room = {name: quota - size for name, size in rows}
    fitting: list[int] = []
    for at in full:
        request = requests[at]
        size = _OVERHEAD + count_bytes(request.data)
        if size <= room.get(request.project, 0):
            room[request.project] -= size
            fitting.append(at)
    return fitting, sorted(set(full) - set(fitting))


@lru_cache(maxsize=4096)
def is_storable(text: str) -> bool:
    """Whether PostgreSQL can keep a text: one that it cannot would make the whole round fail."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


async def compact(writer: Line, request: Compact, quota: int) -> Outcome:
    """Keep a snapshot."""
    at = request.snapshot.revision
    taken, base, last, head = await writer.fetch_one(
        _COMPACT, request.project, at, request.snapshot.data, request.keep, quota
    )
    if taken:
        return Outcome(request, at, base=base)
    message = f"a snapshot is of a revision after {last} and not after {head}"
    return Outcome(request, code="stale", message=message)
