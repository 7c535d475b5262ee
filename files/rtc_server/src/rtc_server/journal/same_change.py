# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a change that is sent again is the one that was accepted: a different one must not pass for it."""

from __future__ import annotations

import json
from typing import Any

from .base import Change, Outcome, Submission


def answer_again(request: Submission, change: Change) -> Outcome:
    """The outcome of a change whose id was accepted before."""
    if change.data and not is_same_json(change.data, request.data):
        message = (
            f"id {request.id!r} was used for another change (revision {change.revision}): give each change its own"
        )
        return Outcome(request, code="id_reused", message=message)
    return Outcome(request, change.revision, change.time, duplicate=True)


def refuse_unknown(request: Submission, forgotten: int) -> Outcome:
    """The outcome of a change of which nobody can tell any more whether it was accepted: its id may be one of those
    that are forgotten."""
    message = (
        f"whether id {request.id!r} was kept is not known any more: it was first sent after revision {request.since},"
        f" and ids up to revision {forgotten} are forgotten; look at the project's state, then send it as a new change"
    )
    return Outcome(request, code="unknown_id", message=message)


def is_same_json(one: str, other: str) -> bool:
    """Whether two JSON texts differ only in spaces, escapes in strings, the order of members with different names, and
    the form of a number with a fraction or an exponent.

    Python's == is no such comparison: there 1, 1.0 and true are equal, and the last of several members of one name is
    the only one.
    """
    if one == other:
        return True
    try:
        return bool(_parse(one) == _parse(other))
    except (ValueError, RecursionError):
        return False


def _parse(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_sort_members, parse_int=_take_whole, parse_float=_take_fraction)


def _sort_members(members: list[tuple[str, Any]]) -> tuple[str, list[tuple[str, Any]]]:
    return "object", sorted(members, key=lambda member: member[0])  # those of one name keep their order


def _take_whole(text: str) -> tuple[str, str]:
    return "whole", text


def _take_fraction(text: str) -> tuple[str, float, bool]:
    return "fraction", float(text), text.startswith("-")
