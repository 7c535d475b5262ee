# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One round: requests of many projects in one call, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from ..journal.base import Change, Compact, Outcome, Submission
from ..journal.same_change import answer_again, refuse_unknown
from .connections import Line

_APPEND = "SELECT pos, code, revision, at, data FROM rtc.append_1($1, $2, $3, $4, $5, $6)"
_COMPACT = "SELECT taken, base, last, head FROM rtc.compact_1($1, $2, $3, $4, $5)"
_KEPT, _KNOWN, _UNKNOWABLE = 0, 1, 2
_AGAIN = 3  # calls of a round in which a project came to its quota

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
        left = _spare_smaller(requests, sorted(full), found, refuse, last=turn == _AGAIN - 1)
        if not left:
            break
    for at, first in repeated.items():
        if first in stored:
            found[at] = answer_again(requests[at], stored[first])
        else:
            refused = found[first]
            found[at] = Outcome(requests[at], code=refused.code, message=refused.message, more=refused.more)
    return [found[at] for at in range(len(requests))]


def _spare_smaller(
    requests: Sequence[Submission], full: list[int], found: dict[int, Outcome], refuse: RefuseQuota, last: bool
) -> list[int]:
    """Of those beyond a quota the first of each project is refused. Those after it may fit all the same: they are
    returned, to be asked again."""
    again: list[int] = []
    refused: set[str] = set()
    for at in full:
        if last or requests[at].project not in refused:
            refused.add(requests[at].project)
            found[at] = refuse(requests[at])
        else:
            again.append(at)
    return again


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
