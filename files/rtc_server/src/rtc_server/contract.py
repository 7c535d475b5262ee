# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the contract (docs/asyncapi.yaml): error codes, answers, and checks of what clients send."""

from __future__ import annotations

from typing import Any, NoReturn

from .engine import EventArgs
from .journal import MAX_PROJECT, is_project_name
from .strict_json import JSON, RawJson, count_bytes, dumps, is_deeper

MAX_ID = 128  # characters
# Arrays and objects within one another, of what is passed on. Parsers of others give up somewhere between 255 and 1000,
# and whoever has got one such change could not read the project any more; this server's own limit depends on Python.
MAX_DEPTH = 200

OK = '[{"ok":true}]'

INVALID = "invalid"
FORBIDDEN = "forbidden"
READ_ONLY = "read_only"
NOT_JOINED = "not_joined"
TOO_LARGE = "too_large"
RATE = "rate"
FULL = "full"
TOO_MANY = "too_many"
COMPACTED = "compacted"
STALE = "stale"
QUOTA = "quota"
ID_REUSED = "id_reused"
UNKNOWN_ID = "unknown_id"
UNAVAILABLE = "unavailable"
OVERLOADED = "overloaded"
DRAINING = "draining"
CODES = (
    INVALID,
    FORBIDDEN,
    READ_ONLY,
    NOT_JOINED,
    TOO_LARGE,
    RATE,
    FULL,
    TOO_MANY,
    COMPACTED,
    STALE,
    QUOTA,
    ID_REUSED,
    UNKNOWN_ID,
    UNAVAILABLE,
    OVERLOADED,
    DRAINING,
)


class Refusal(Exception):
    """A request is answered ``{ok: false, code, message, …}``; ``more`` are further members of the answer."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.code = code
        self.answer = {"ok": False, "code": code, "message": message, **more}

    def text(self) -> str:
        """The acknowledgement's arguments."""
        return dumps([self.answer])

    def event(self, name: str) -> str:
        """The event ``refused``, for a request that asked for no acknowledgement."""
        return dumps(["refused", {"event": name, **self.answer}])


def format_closing(reason: str, retry_after: float = 0.0) -> str:
    """The event that precedes the end of a connection."""
    return dumps(["closing", {"reason": reason, "retry_after": round(retry_after, 2)}])


def forbid() -> NoReturn:
    """One answer for every project that a client has no right to, whether it exists or not."""
    raise Refusal(FORBIDDEN, "no right to that project")


def read_body(args: list[Any]) -> dict[str, Any]:
    """The one object that every event carries after its name. ``data`` in it are as the client wrote them, if they
    came as text. Raises Refusal."""
    if len(args) != 2 or not isinstance(args[1], dict):
        raise Refusal(INVALID, "the event takes one object")
    body: dict[str, Any] = args[1]
    if isinstance(args, EventArgs) and "data" in body:
        body["data"] = RawJson(JSON.find_argument_member(args.text, args.at, "data"))
    return body


def read_project(body: dict[str, Any]) -> str:
    """The project's name: 1 to 200 characters, no control characters. Raises Refusal."""
    name = body.get("project")
    if is_project_name(name):
        return str(name)
    raise Refusal(INVALID, f"project must be a text of 1 to {MAX_PROJECT} printable characters", limit=MAX_PROJECT)


def read_id(body: dict[str, Any]) -> str:
    """The client's own id of a change: 1 to 128 printable ASCII characters. Raises Refusal."""
    value = body.get("id")
    if isinstance(value, str) and 0 < len(value) <= MAX_ID and value.isascii() and value.isprintable():
        return value
    raise Refusal(INVALID, f"id must be 1 to {MAX_ID} printable ASCII characters", limit=MAX_ID)


def read_whole(body: dict[str, Any], name: str, default: int | None = None, low: int = 0) -> int | None:
    """A whole number of at least ``low``, or the default when it is absent or null. Raises Refusal."""
    value = body.get(name)
    if value is None:
        return default
    if type(value) is int and low <= value < 1 << 53:  # what JavaScript can count
        return value
    raise Refusal(INVALID, f"{name} must be a whole number, {low} or more")


def read_json(body: dict[str, Any], name: str, limit: int) -> str:
    """A member of any JSON type as JSON text of at most ``limit`` bytes, not nested too deep. Raises Refusal."""
    if name not in body:
        raise Refusal(INVALID, f"{name} is missing")
    try:
        value = body[name]
        text = str(value) if type(value) is RawJson else dumps(value)
    except TypeError:
        raise Refusal(INVALID, f"{name} must be JSON: encode binary data as text") from None
    except (ValueError, RecursionError):
        raise _refuse_depth(name) from None
    size = count_bytes(text)
    if size > limit:
        raise Refusal(TOO_LARGE, f"{name} has {size} bytes, {limit} are allowed", limit=limit)
    if is_deeper(text, MAX_DEPTH):
        raise _refuse_depth(name)
    return text


def _refuse_depth(name: str) -> Refusal:
    what = f"{name} must be JSON with at most {MAX_DEPTH} arrays and objects within one another"
    return Refusal(INVALID, what, limit=MAX_DEPTH)
