# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What travels between client and server, and what a refusal means."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any, TypedDict


class Change(TypedDict):
    """A change as every member gets it."""

    project: str
    revision: int
    id: str
    user: str
    time: int  # milliseconds since 1970
    data: Any


class Member(TypedDict):
    """One connection of a user to a project."""

    member: str
    user: str
    name: str
    right: str


class Snapshot(TypedDict):
    """A project's state after a revision."""

    revision: int
    data: Any


class Pending(TypedDict):
    """A change that is not acknowledged. ``since``: the revision that the client had when it sent it first, or None."""

    id: str
    data: Any
    since: int | None


class Saved(TypedDict):
    """What a program keeps beside its state, to go on with it after a restart of its own."""

    epoch: str | None
    revision: int
    pending: list[Pending]


class Refused(Exception):
    """What was asked for will not be done, however often it is asked.

    ``code`` is one of the contract, or of this client: ``reset`` (the project has begun another history, and the change
    was for the one before), ``left`` and ``closed`` (by this program), ``unreachable``. ``details`` has what else the
    server said: ``limit``, ``base``, ``retry_after``.
    """

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.details = dict(details or {})


def read_refusal(answer: Mapping[str, Any]) -> Refused:
    """The exception for an answer that is not ok."""
    return Refused(str(answer.get("code")), str(answer.get("message")), answer)


def copy_json(value: Any) -> tuple[Any, int]:
    """A value as it is now, whatever the program does with its own later, and about how many bytes are sent. Raises
    ValueError for what cannot be sent: it would end the connection, and the next one, and so on."""
    try:
        text = json.dumps(value, allow_nan=False)
        return json.loads(text), len(text)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ValueError(f"it cannot be sent as JSON: {exc}") from exc


# Bytes of one message that a server surely takes. A longer one may be beyond limits.payload_bytes (1,000,000): then the
# server hangs up, and says to nobody why.
SURE_BYTES = 500_000
MOST_LOSSES = 3  # connections that end while a longer one is not answered, until it is given up


def make_too_large(size: int) -> Refused:
    """What a client itself says of a message that ends each connection."""
    return Refused("too_large", f"the connection ended each time that these {size} bytes were sent")


MOST_WAIT = 3600.0  # seconds: whatever a server says, it is asked again within the hour


def read_wait(told: Any) -> float | None:
    """Seconds that a server wants to be left alone; None: it says nothing that is a time."""
    is_time = isinstance(told, (int, float)) and not isinstance(told, bool) and told >= 0
    return float(min(told, MOST_WAIT)) if is_time else None


def draw_wait() -> float:
    """Seconds until another try where the server names none."""
    return random.uniform(0.5, 1.5)


_PASSING = frozenset(("rate", "overloaded", "unavailable", "draining"))


def find_wait(answer: Mapping[str, Any]) -> float | None:
    """Seconds after which a refused request is worth another try; None: it never is."""
    if answer.get("code") not in _PASSING:
        return None
    wait = read_wait(answer.get("retry_after"))
    return draw_wait() if wait is None else wait
