# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Admitting and dismissing clients: addresses, tokens, limits of connections, expiry, drain."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import time
from collections import Counter
from functools import lru_cache
from typing import Any

from aiohttp import web

from .auth import Identity, TokenError, Tokens
from .checking import NAMESPACE as CHECK
from .checking import Check
from .config import Config, LimitSettings
from .connection import Connection, User, make_presence_allowance, make_user
from .contract import TOO_MANY, format_closing
from .engine import ConnectRefused, Session, Socket, SocketServer
from .engine.session import Handshake
from .handlers import Handlers
from .journal import Journal
from .limits import TokenBuckets
from .option_checks import Network
from .peers import peer_of
from .projects import Projects
from .rarely import Rarely
from .strangers import Strangers, group_of
from .strict_json import JSON

logger = logging.getLogger(__name__)

PATIENCE = 10.0  # seconds that a drain waits for the journal; TimeoutStopSec= of the unit is 30
NO_ORIGIN = "null"  # what browsers send for a page from a disk, or in a sandbox (RFC 6454 section 7.3)
_DOWN = 1.0  # seconds that a restart takes


class Service(SocketServer):
    """The server of one configuration, without its listening socket."""

    def __init__(self, config: Config, tokens: Tokens, journal: Journal) -> None:
        limits = config.limits
        super().__init__(
            json=JSON,
            ping_interval=config.heartbeat.interval,
            ping_timeout=config.heartbeat.timeout,
            max_payload=limits.payload_bytes,
            stranger_payload=min(limits.connect_bytes, limits.payload_bytes),
            buffer_limit=limits.buffer_bytes,
            total_buffer_limit=limits.total_buffer_bytes,
            max_sessions=limits.connections,
            upgrade_timeout=limits.connect_seconds,
            allowed_origins=_list_origins(config),
            connect_timeout=limits.connect_seconds,
            connect_attempts=3,
            label=config.server.label,
        )
        self.config = config
        self.limits = limits
        self.tokens = tokens
        self.journal = journal
        main = self.namespace("/")
        main.authorize = self._authorize
        main.on_connect = self._on_connected
        main.on_disconnect = self._on_disconnected
        main.on_slow = self._on_slow
        self.projects = Projects(self, main, journal, limits)
        self.handlers = Handlers(self.projects, limits, time.monotonic)
        self.handlers.register(main)
        side = self.namespace(CHECK)
        side.authorize = self._authorize_check
        side.on_connect = self._on_connected
        side.on_disconnect = self._on_check_disconnected
        side.on_slow = self._on_slow
        self.check = Check(self, side)
        self.users: dict[str, User] = {}
        self.connected = 0  # connections with a token
        self._sweep_at = 1024  # users at which those are forgotten who are away and have spent nothing
        self.rarely = Rarely()
        self.pending = Strangers[Session](
            limits.pending_per_address, limits.pending, limits.connect_seconds / 5, time.monotonic
        )
        self._bad_tokens = _make_bad_tokens(limits)
        self.refused_connects = Counter[str]()  # CONNECTs, by error code
        self._proxies = config.server.trusted_proxies

    def adapt(self, config: Config, tokens: Tokens) -> None:
        """Take another configuration: for who is connected and for who comes. Nobody is disconnected for it: limits of
        how many there may be count for newcomers, the size of messages for sessions from now on."""
        limits, now = config.limits, time.monotonic()
        before, self.config, self.limits = self.limits, config, limits
        if tokens.follow(self.tokens, config.token.overlap_seconds):
            end = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(time.time() + config.token.overlap_seconds))
            logger.info("earlier keys of tokens let in until %s (token.overlap_seconds)", end)
        self.tokens = tokens
        self.max_payload = limits.payload_bytes
        self.stranger_payload = min(limits.connect_bytes, limits.payload_bytes)
        self.buffer_limit, self.total_buffer_limit = limits.buffer_bytes, limits.total_buffer_bytes
        self.upgrade_timeout = self.connect_timeout = limits.connect_seconds
        self.allowed_origins = _list_origins(config)
        self._proxies = config.server.trusted_proxies
        self.pending.each, self.pending.patience = limits.pending_per_address, limits.connect_seconds / 5
        if before.refused_tokens_per_minute != limits.refused_tokens_per_minute:
            self._bad_tokens = _make_bad_tokens(limits)
        self.handlers.adapt(limits)
        self.projects.adapt(limits)
        fresh, presence = make_user(limits, now), make_presence_allowance(limits, now)
        for user in self.users.values():
            user.adapt(fresh)
        for socket in self.namespace("/").sockets.values():
            if socket.app is not None:
                socket.app.presence.adapt(presence)
        if self.projects.company is not None:
            self.projects.company.keys = tokens.list_fingerprints()

    # --- addresses ----------------------------------------------------------------------------

    def address_of(self, request: web.Request) -> str:
        """The last address in X-Forwarded-For that is not a trusted proxy's; only trusted proxies are believed."""
        address = request.remote or ""
        if not self._proxies or not _is_within(address, self._proxies):
            return address
        for entry in reversed(",".join(request.headers.getall("X-Forwarded-For", [])).split(",")[-20:]):
            candidate = entry.strip()
            if not _is_address(candidate):
                break
            address = candidate
            if not _is_within(address, self._proxies):
                break
        return address

    def is_proxy(self, address: str) -> bool:
        """Whether X-Forwarded-For of that address is believed."""
        return bool(self._proxies) and _is_within(address, self._proxies)

    def admit(self, handshake: Handshake) -> tuple[int, str] | None:
        """Nobody is refused, or the colleagues of whoever opens many sessions would be: the one that has waited longest
        without showing a token makes room."""
        group = group_of(handshake.remote)
        one = self.pending.find_surplus(group)
        if one is not None:
            self._tell("surplus", "%s has %d sessions without a token: the oldest make room for new ones "
                       "(limits.pending_per_address)", group, self.pending.each)  # fmt: skip
        elif self.pending.is_full():
            self._tell("pending", "%d sessions are without a token: the oldest make room for new ones "
                       "(limits.pending, LimitNOFILE= of the unit)", len(self.pending))  # fmt: skip
            one = self.pending.find_oldest()
        elif len(self.sessions) >= self.max_sessions:
            self._tell("busy", "there are %d sessions, and those without a token make room for new ones; without such, "
                       "newcomers are refused (limits.connections, LimitNOFILE= of the unit)",
                       len(self.sessions))  # fmt: skip
            one = self.pending.find_oldest() or self.check.find_oldest()
        if one is not None:
            one.close("others want to connect")
            if one.ws is not None:
                one.ws.transport.abort()
        return None

    def on_buffers_full(self, waiting: int) -> None:
        self._tell("buffers", "%d bytes wait for clients that read too slowly, and those with most are disconnected "
                   "(limits.total_buffer_bytes)", waiting)  # fmt: skip

    def _tell(self, key: str, message: str, *args: object) -> None:
        """What runs out, once a minute."""
        self.rarely.log(logger, logging.WARNING, ("service", key), message, *args)

    # --- sessions -----------------------------------------------------------------------------

    def on_request(self, session: Session, request: web.Request) -> None:
        peer = peer_of(request)
        if peer is not None:
            peer.serve(session)

    def expect_connect(self, session: Session) -> None:
        self.pending.add(session, group_of(session.handshake.remote))
        if session.ws is not None and session.ws.peer is not None:
            session.ws.peer.dismissed()
        super().expect_connect(session)

    def on_close(self, session: Session) -> None:
        self.pending.discard(session)
        super().on_close(session)

    # --- tokens -------------------------------------------------------------------------------

    def _identify(self, socket: Socket, auth: dict[str, Any]) -> Identity:
        """Who shows a token. Raises ConnectRefused, also for one that is good for another namespace."""
        session, checks = socket.session, socket.namespace.name == CHECK
        try:
            if session.handshake.origin == NO_ORIGIN and not checks:
                raise TokenError("token_invalid", "a page that no server gave can check the connection, nothing else")
            identity = self.tokens.check(auth.get("token"), in_query=session.eio_version == 3)
            if bool(identity.check) != checks:
                raise TokenError("token_invalid", "the token is not valid here")
        except TokenError as exc:
            self.refused_connects[exc.code] += 1
            group = group_of(session.handshake.remote)
            self.rarely.log(logger, logging.WARNING, ("refused", group), "a token was refused: %s: %s%s",
                            session.handshake.remote, exc.code, exc.why and f": {exc.why}")  # fmt: skip
            if not self._bad_tokens.take(group, time.monotonic()):
                session.close("too many refused tokens")
            raise ConnectRefused(str(exc), {"code": exc.code}) from exc
        return identity

    def _authorize_check(self, socket: Socket, auth: dict[str, Any]) -> None:
        self.check.admit(socket, self._identify(socket, auth))

    def _authorize(self, socket: Socket, auth: dict[str, Any]) -> None:
        identity = self._identify(socket, auth)
        user = self.users.get(identity.user) or self._add_user(identity.user)
        self._check_connections(identity.user, user)
        self._count(identity.user, user, 1)
        socket.app = Connection(socket, identity, user, make_presence_allowance(self.limits, time.monotonic()))
        socket.session.handshake.query.clear()  # older clients have their token in it

    def _check_connections(self, name: str, user: User) -> None:
        """Those at other servers of the store count, too. Raises ConnectRefused."""
        company, limits = self.projects.company, self.limits
        theirs, of_all = company.count_elsewhere(name) if company is not None else (0, 0)
        limit = limits.connections_per_user
        if user.connections + theirs >= limit:
            raise self._make_too_many(f"a user can have {limit} connections", limit)
        limit = limits.total_connections
        if self.connected + of_all >= limit:
            self._tell("total", "there are %d connections at all servers: newcomers are refused "
                       "(limits.total_connections)", self.connected + of_all)  # fmt: skip
            raise self._make_too_many(f"there are {limit} connections already", limit)

    def _make_too_many(self, message: str, limit: int) -> ConnectRefused:
        self.refused_connects[TOO_MANY] += 1
        return ConnectRefused(message, {"code": TOO_MANY, "limit": limit})

    def _count(self, name: str, user: User, number: int) -> None:
        user.connections += number
        self.connected += number
        if self.projects.company is not None:
            self.projects.company.note_connections(name, user.connections)

    def _add_user(self, name: str) -> User:
        """Users are remembered after their last connection, or reconnecting would give back what they spent."""
        now, limits = time.monotonic(), self.limits
        if len(self.users) >= self._sweep_at:
            self.users = {n: u for n, u in self.users.items() if not u.is_idle(now)}
            self._sweep_at = max(1024, 2 * len(self.users))
        user = self.users[name] = make_user(limits, now)
        return user

    def _on_connected(self, socket: Socket) -> None:
        session = socket.session
        self.pending.discard(session)
        if session.ws is not None and session.ws.peer is not None:
            session.ws.peer.admitted()
        connection: Connection = socket.app
        self._watch_expiry(connection)
        logger.debug("user %s connected from %s", connection.identity.user, socket.session.handshake.remote)

    def _watch_expiry(self, connection: Connection) -> None:
        left = connection.identity.expires + self.tokens.leeway - time.time()
        if left <= 0:
            self._expire(connection)
        else:  # looked at once an hour: timers do not see a suspended machine or a clock that was set
            connection.expiry = self.loop.call_later(min(left, 3600.0), self._watch_expiry, connection)

    def _expire(self, connection: Connection) -> None:
        connection.socket.send_text(format_closing("token_expired"))
        session = connection.socket.session
        connection.socket.disconnect("token expired")  # so that clients do not come back with the same token
        session.close("token expired")

    def _on_check_disconnected(self, socket: Socket, _reason: str) -> None:
        connection: Connection = socket.app
        if connection.expiry is not None:
            connection.expiry.cancel()
        self.check.dismiss(connection)

    def _on_disconnected(self, socket: Socket, reason: str) -> None:
        connection: Connection = socket.app
        if connection.expiry is not None:
            connection.expiry.cancel()
        for member in connection.members.values():
            self.projects.leave(member)
        connection.members.clear()
        self._count(connection.identity.user, connection.user, -1)
        logger.debug("user %s disconnected: %s", connection.identity.user, reason)

    def _on_slow(self, socket: Socket) -> str:
        user = socket.app.identity.user
        line = "user %s reads too slowly and is disconnected"
        self.rarely.log(logger, logging.INFO, ("slow", user), line, user)
        return format_closing("slow")

    def disconnect_user(self, name: str) -> int:
        """End all connections of a user, who may come back with a token that lets in; how many there were."""
        found = [s for s in self.namespace().sockets.values() if s.app is not None and s.app.identity.user == name]
        for socket in found:
            session = socket.session
            socket.send_text(format_closing("disconnected"))
            socket.disconnect("disconnected by an administrator")  # so that clients do not come back by themselves
            session.leave("disconnected by an administrator")  # who has not heard why would be back at once
        return len(found)

    # --- the end ------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Refuse new clients, keep and acknowledge what has come, let each client know when to come back, and
        disconnect. A journal that hangs is waited for :data:`PATIENCE` seconds, so that clients hear of the end before
        the service manager's patience is over; they send again what was not acknowledged."""
        self.draining = self.handlers.draining = self.check.handlers.draining = True
        try:
            await asyncio.wait_for(self.journal.wait_idle(), PATIENCE)
        except asyncio.TimeoutError:
            logger.error("the journal has not kept all changes within %g s: clients will send them again", PATIENCE)
        sessions = list(self.sessions.values())
        returns = plan_returns(len(sessions), self.config.server.drain_seconds)
        for session, wait in zip(sessions, returns, strict=True):
            there = list(session.app.sockets.values()) if session.app else []
            for socket in there:
                socket.send_text(format_closing("restart", wait))
            if there:
                session.leave("server restart")
            else:
                session.close("server restart")
        await self.wait_closed(timeout=self.linger + 1)

    def resume(self) -> None:
        """Serve again after a drain."""
        self.draining = self.handlers.draining = self.check.handlers.draining = False

    async def wait_closed(self, timeout: float) -> None:
        """Wait until the closed connections are gone."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)


def _list_origins(config: Config) -> frozenset[str]:
    """Whose pages may open a session. The check page may have been opened from a disk; what such a page may do,
    its token decides."""
    return frozenset((*config.server.origins, NO_ORIGIN))


def plan_returns(number: int, spread: float) -> list[float]:
    """When each of so many clients is to come back, in seconds: one after another over the whole time, in no order, so
    that no two moments have many more of them than others; the first a second after it was sent away, when a server
    that is restarted is there again."""
    first = min(_DOWN, spread)
    each = (spread - first) / max(1, number)
    found = [first + (at + random.random()) * each for at in range(number)]
    random.shuffle(found)
    return found


def _make_bad_tokens(limits: LimitSettings) -> TokenBuckets[str]:
    return TokenBuckets(limits.refused_tokens_per_minute / 60, limits.refused_tokens_per_minute)


@lru_cache(maxsize=4096)
def _is_within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
