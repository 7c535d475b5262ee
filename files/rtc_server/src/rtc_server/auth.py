# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what: signed tokens (JSON Web Tokens, RFC 7519)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jwt

VIEW, EDIT = "view", "edit"
ANY_PROJECT = "*"
MAX_TOKEN = 8192  # characters; a longer one is refused unread
MAX_NAME = 200
QUERY_SECONDS = 300  # life of a token that may travel in a query, where proxies and other logs keep it
_YEAR_10000 = 253_402_300_800  # in seconds since 1970
MIN_SECRET = 32  # bytes; RFC 7518 section 3.2: a key of the size of the hash or larger


_LATEST = 1 << 53  # seconds since 1970: a later end of a token is no number for a clock


class TokenError(Exception):
    """The token does not let its bearer in; ``code`` is one of the contract. ``why``: what is wrong with it, told only
    where its signature is right, and made of words of the source."""

    def __init__(self, code: str, message: str, why: str = "") -> None:
        super().__init__(f"{message}: {why}" if why else message)
        self.code = code
        self.why = why


def _make_invalid(why: str = "") -> TokenError:
    return TokenError("token_invalid", "the token is not valid", why)


class Identity(NamedTuple):
    """Who a token speaks for. ``projects`` maps a project (or ``*``) to ``edit`` or ``view``;
    ``expires`` is in seconds since 1970; ``check``: of a link to the check page, which link."""

    user: str
    name: str
    projects: Mapping[str, str]
    expires: float
    check: str = ""

    def right(self, project: str) -> str | None:
        """``edit``, ``view`` or None; the project's own entry takes precedence over ``*``."""
        return self.projects.get(project) or self.projects.get(ANY_PROJECT)


class Tokens:
    """Checks and makes tokens. Several keys: any of them admits, the first signs (rotation)."""

    def __init__(
        self, keys: Sequence[bytes], algorithm: str = "HS256", audience: str = "rtc-server", leeway: float = 10.0
    ) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        self._algorithm = algorithm
        self._audience = audience
        self.leeway = leeway
        self._earlier: list[tuple[Tokens, float]] = []  # before a reload, and until when they let in
        # Tell whether two servers take the same tokens, and nothing of the keys.
        self.fingerprints = [
            hmac.new(key, f"rtc-server {algorithm} {audience}".encode(), hashlib.sha256).hexdigest()[:8] for key in keys
        ]
        self._keys = [jwt.get_algorithm_by_name(algorithm).prepare_key(k) for k in keys]

    def follow(self, old: Tokens, seconds: float) -> bool:
        """Take the place of others. Theirs that are not among ours let in for so many seconds yet; whether there are
        such. What those took over from others stays until its own time, but no longer than that: with 0 seconds, as for
        a key that has leaked, nobody else's lets in, however it was taken out of use."""
        now = _read_clock()
        ends = [(one, min(until, now + seconds)) for one, until in old._earlier]
        self._earlier = [one for one in ends if one[1] > now]
        has_other = not set(old.fingerprints) <= set(self.fingerprints) and seconds > 0
        if has_other:
            self._earlier.append((old, now + seconds))
        return has_other

    def list_fingerprints(self) -> list[str]:
        """Of all keys that let in at present."""
        now = _read_clock()
        earlier = [name for one, until in self._earlier if until > now for name in one.fingerprints]
        return [*self.fingerprints, *earlier]

    def check(self, token: Any, in_query: bool = False) -> Identity:
        """The bearer of a token. Raises TokenError; a token is called expired only if its signature is right.

        ``in_query``: it came in a query. A token whose claim ``query`` is false is not valid there.
        """
        try:
            return self._check(token, in_query)
        except TokenError as exc:
            if exc.code != "token_invalid" or not self._earlier:
                raise
            now = _read_clock()
            self._earlier = [one for one in self._earlier if one[1] > now]
            for earlier, _until in self._earlier:
                try:
                    return earlier._check(token, in_query)
                except TokenError as other:
                    if other.code != "token_invalid":  # its signature is right
                        raise
            raise

    def _check(self, token: Any, in_query: bool) -> Identity:
        if not isinstance(token, str) or not token:
            raise TokenError("token_missing", "a token is needed")
        if len(token) > MAX_TOKEN:
            raise _make_invalid()
        for key in self._keys:
            try:
                claims = jwt.decode(
                    token,
                    key,
                    algorithms=[self._algorithm],
                    audience=self._audience,
                    options={
                        "require": ["exp", "sub", "aud"],
                        # checked below: PyJWT takes texts, true and 1e400 for times
                        "verify_exp": False,
                        "verify_nbf": False,
                        "verify_iat": False,
                    },
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.MissingRequiredClaimError as exc:
                raise _make_invalid(f"it has no {exc.claim}") from exc
            except jwt.InvalidAudienceError as exc:
                raise _make_invalid("aud does not name this server (token.audience)") from exc
            except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError, OverflowError) as exc:
                raise _make_invalid() from exc
            self._check_times(claims)
            if in_query and claims.get("query") is False:
                raise TokenError("token_invalid", "the token is not valid in a query")
            return _read_identity(claims)
        raise _make_invalid()

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        """Raises TokenError for a token that has expired or is not valid yet (RFC 7519 sections 4.1.4 to 4.1.6)."""
        expires, begins, made = [claims.get(name, 0) for name in ("exp", "nbf", "iat")]
        if not all(_is_time(value) for value in (expires, begins, made)):
            raise _make_invalid("exp, nbf or iat is no time")
        now = time.time()
        if max(begins, made) > now + self.leeway:
            raise _make_invalid("nbf or iat is in the future: compare the clocks")
        if expires <= now - self.leeway:
            raise TokenError("token_expired", "the token has expired")

    def make(self, user: str, projects: Mapping[str, str], ttl: float, name: str = "") -> str:
        """A signed token, valid for ``ttl`` seconds. The first key must be able to sign.

        One that is valid for more than :data:`QUERY_SECONDS` is not valid in a query.
        """
        now = int(time.time())
        claims = {"sub": user, "projects": dict(projects), "aud": self._audience, "iat": now, "exp": now + int(ttl)}
        if name:
            claims["name"] = name
        if ttl > QUERY_SECONDS:
            claims["query"] = False
        return jwt.encode(claims, self._keys[0], algorithm=self._algorithm)

    def make_check(self, url: str, ttl: float) -> str:
        """What a link to the check page has: a token that opens nothing but the link's own check. ``url`` is where
        clients reach Socket.IO."""
        now = int(time.time())
        claims = {"sub": "check", "aud": self._audience, "iat": now, "exp": now + int(ttl), "query": False}
        claims |= {"check": secrets.token_hex(8), "url": url}
        return jwt.encode(claims, self._keys[0], algorithm=self._algorithm)


def _read_clock() -> float:
    """Seconds that nobody sets, and that go on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _is_time(value: Any) -> bool:
    """Whether it is a NumericDate (RFC 7519 section 2) of a year with four digits. NaN is none, nor is true."""
    return type(value) in (int, float) and 0 <= value < _YEAR_10000


def _read_identity(claims: Mapping[str, Any]) -> Identity:
    user, name, projects = claims["sub"], claims.get("name", ""), claims.get("projects", {})
    check = claims.get("check", "")
    if check != "":
        projects = {check: EDIT} if isinstance(check, str) and re.fullmatch("[0-9a-f]{16}", check) else None
    names = f"must be a text of {MAX_NAME} printable characters at most"
    if not isinstance(user, str) or not 0 < len(user) <= MAX_NAME or not user.isprintable():
        raise _make_invalid(f"sub {names}")
    if not isinstance(name, str) or len(name) > MAX_NAME or not name.isprintable():
        raise _make_invalid(f"name {names}, with no spaces but plain ones")
    if not isinstance(projects, dict) or not all(right in (VIEW, EDIT) for right in projects.values()):
        raise _make_invalid(f"projects must be an object of {EDIT} and {VIEW}")
    return Identity(user, name or user, projects, float(min(int(claims["exp"]), _LATEST)), check)
