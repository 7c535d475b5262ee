# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may come in: the token, sessions of browsers, and what a page of somebody else must not be able to send."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import hdrs, web

from ..limits import TokenBucket

SESSION_SECONDS = 3600.0
_MOST_SESSIONS = 32
_WRONG_BURST, _WRONG_PER_SECOND = 10, 10 / 60  # tokens that were not the right one, of everybody
CSRF_HEADER = "X-CSRF-Token"
# Names of this machine, and of the machine from which SSH forwards a port. Any other is a name that somebody has made
# to lead here (DNS rebinding), so that the pages of his site may read ours.
_HOST = re.compile(r"(localhost|[a-z0-9-]+\.localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Session:
    """A browser that has shown the token. ``csrf`` is in our pages only, and what they send has it."""

    id: str
    csrf: str
    ends: float


class Gate:
    """Knows the token and the sessions. ``clock`` returns seconds."""

    def __init__(self, token: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._digest = hashlib.sha256(token).digest()
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._wrong = TokenBucket(_WRONG_PER_SECOND, _WRONG_BURST, clock())

    def is_token(self, given: str) -> bool:
        """Takes the same time whatever is wrong with it."""
        return hmac.compare_digest(hashlib.sha256(given.encode(errors="replace")).digest(), self._digest)

    def note_wrong(self) -> bool:
        """Count a wrong token; False when there were too many. The right one is let in all the same: it is too long to
        be guessed, and a limit that refused it would be one that anybody on this machine could fill."""
        return self._wrong.take(self._clock())

    def open_session(self) -> Session:
        """A session that ends by itself; the oldest one makes room for it."""
        now = self._clock()
        self._sessions = {id: session for id, session in self._sessions.items() if session.ends > now}
        if len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        session = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32), now + SESSION_SECONDS)
        self._sessions[session.id] = session
        return session

    def find_session(self, id: str) -> Session | None:
        """The session of that id, unless it is over."""
        session = self._sessions.get(id)
        return session if session is not None and session.ends > self._clock() else None

    def close_session(self, session: Session) -> None:
        """Log out."""
        self._sessions.pop(session.id, None)


def is_own_host(host: str, front: str = "") -> bool:
    """Whether a Host header has a name of this machine, or that of the front (``https://NAME[:PORT]``)."""
    return _HOST.fullmatch(host.lower()) is not None or is_front(host, front)


def is_front(host: str, front: str) -> bool:
    """Whether somebody comes through the proxy."""
    return bool(front) and host.lower().removesuffix(":443") == front.removeprefix("https://")


def name_cookie(host: str) -> str:
    """Browsers give cookies to every port of a name: so each port has a name for its own, and panels that are forwarded
    to two ports do not log each other out."""
    port = host.rpartition(":")[2]
    return f"rtc-panel-{port if port.isdecimal() else 80}"


def is_same_origin(request: web.Request, front: str = "") -> bool:
    """Whether a browser says that a page of ours sends this request. A request that says nothing of that does not come
    from a browser of these years."""
    origin, site = request.headers.get(hdrs.ORIGIN), request.headers.get("Sec-Fetch-Site")
    host = request.host.lower()
    own = (front,) if is_front(host, front) else (f"http://{host}", f"https://{host}")
    if origin is not None and origin.lower() not in own:
        return False
    return site == "same-origin" if site is not None else origin is not None


def is_foreign(request: web.Request, front: str = "") -> bool:
    """Whether a browser says that the page of somebody else sends this request."""
    says = hdrs.ORIGIN in request.headers or "Sec-Fetch-Site" in request.headers
    typed = request.headers.get("Sec-Fetch-Site") == "none" and hdrs.ORIGIN not in request.headers
    return says and not typed and not is_same_origin(request, front)


def read_bearer(request: web.Request) -> str | None:
    """The token of a program; None when it has none."""
    kind, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
