# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Being connected: tokens, coming back when the server says so, and the projects that go on then."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Union

import aiohttp

from .connection import Connection
from .project import Listener, Project
from .wire import Refused, Saved

logger = logging.getLogger(__name__)

Token = Callable[[], Union[str, Awaitable[str]]]


class Status(NamedTuple):
    """``state``: connecting, connected, away, closed. When away: ``reason``, as ``closing`` or an error names it (a
    connection that just broke: ``lost``), and seconds until the next try; after ``disconnected`` they are infinite."""

    state: str
    reason: str = ""
    seconds: float = 0.0


class Client:
    """A connection to one RTC server that comes back by itself until it is closed.

    :param url: as in ``https://wiki.example.org:9083``.
    :param token: makes a token, or is a coroutine function that does; asked again when the server wants a new one.
    :param on_status: told of each change.
    :param window: changes of a project that are under way at the same time. With 1 they are kept in the order in which
        they were made even where the server has refused one for a moment.
    :param patience: seconds for each answer.
    :param delay: seconds; the first try after a lost connection comes within, later ones within twice as long each
        time, up to ``most_delay``. A server that restarts says when to come back itself.
    :param http: for proxies or authorities of one's own; it is not closed.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        on_status: Callable[[Status], Any] = lambda _status: None,
        window: int = 16,
        patience: float = 20.0,
        delay: float = 1.0,
        most_delay: float = 15.0,
        transports: list[str] | None = None,
        headers: Mapping[str, str] | None = None,
        http: aiohttp.ClientSession | None = None,
    ) -> None:
        self.window = window
        self.connection: Connection | None = None
        self.loop: asyncio.AbstractEventLoop
        self._url = url
        self._make_token = token
        self._token = ""
        self._on_status = on_status
        self._patience = patience
        self._delay = delay
        self._most_delay = most_delay
        self._transports = transports
        self._headers = dict(headers or {})
        self._http = http
        self._own_http: aiohttp.ClientSession | None = None
        self._projects: dict[str, Project] = {}
        self._running: asyncio.Task[None] | None = None
        self._was_used = False
        self._wake: asyncio.Event | None = None  # ends a wait for the next try

    async def connect(self) -> None:
        """Return when connected, however long the server is away. Raises Refused when the first token is."""
        if self._was_used:
            raise RuntimeError("connect() was called before: make another client")
        self._was_used = True
        self.loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        if self._http is None:
            self._http = self._own_http = aiohttp.ClientSession()
        first: asyncio.Future[None] = self.loop.create_future()
        self._running = asyncio.ensure_future(self._run(first))
        try:
            await asyncio.wait([first, self._running], return_when=asyncio.FIRST_COMPLETED)
            if not first.done():
                await self._running  # what has ended it
            await first
        except BaseException:
            await self.close()
            raise

    async def join(self, name: str, listener: Listener, saved: Saved | None = None) -> Project:
        """Become a member; return when all that was missed is there. Raises Refused.

        :param saved: what :meth:`Project.save` gave before a restart of the program, with the state as it was then.
        """
        if self._running is None:
            raise RuntimeError("call connect() first")
        if name in self._projects:
            raise ValueError(f"{name} is joined already")
        project = self._projects[name] = Project(self, name, listener, saved)
        project.begin()
        try:
            await asyncio.shield(project.joined)
        except asyncio.CancelledError:
            project.end(Refused("left", f"joining {name} was cancelled"))
            raise
        return project

    def come_back(self) -> None:
        """Try now and not later. After an administrator has ended the user's connections (``disconnected``) nothing is
        tried before the user wants it, and calls this."""
        if self._wake is not None:
            self._wake.set()

    async def close(self) -> None:
        """End the connection. Changes that are not acknowledged are given up; see :meth:`Project.save`."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._tell("closed")
        for project in list(self._projects.values()):
            project.end(Refused("closed", "the client was closed"))
        if self._own_http is not None:
            await self._own_http.close()

    async def __aenter__(self) -> Client:
        await self.connect()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    def forget(self, project: Project) -> None:
        """For :class:`Project`, when it has ended."""
        if self._projects.get(project.name) is project:
            del self._projects[project.name]

    # --- coming back --------------------------------------------------------------------------

    async def _run(self, first: asyncio.Future[None]) -> None:
        failures = 0
        wake = self._wake
        assert wake is not None
        while True:
            self._tell("connecting")
            had_token = bool(self._token)
            try:
                connection = await self._open()
            except Refused as why:
                reason, wait = why.code, self._draw(failures)
                if why.code.startswith("token_"):
                    self._token = ""
                    if had_token:
                        continue  # it has only expired: a new one is tried at once
                    if not first.done():
                        first.set_exception(why)
                        return
                failures += 1
            else:
                failures = 0
                reason, wait = await self._serve(connection, first)
            wake.clear()
            self._tell("away", reason, wait)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(wake.wait(), None if wait == math.inf else wait)

    async def _open(self) -> Connection:
        if not self._token:
            try:
                made = self._make_token()
                self._token = await made if inspect.isawaitable(made) else made
            except Exception as exc:
                raise Refused("no_token", f"no token could be had: {exc!r}") from exc
        assert self._http is not None
        connection = Connection(self._http, self._patience)
        connection.on_event = lambda event, body: self._take(connection, event, body)
        await connection.open(self._url, self._token, self._headers, self._transports)
        return connection

    async def _serve(self, connection: Connection, first: asyncio.Future[None]) -> tuple[str, float]:
        """Until the connection ends; why it did, and when to come back."""
        try:
            self.connection = connection
            self._tell("connected")
            for project in list(self._projects.values()):
                project.begin()
            if not first.done():
                first.set_result(None)
            await connection.ended.wait()
        finally:
            self.connection = None
            for project in list(self._projects.values()):
                project.pause()
            await connection.close()
        reason, wait = connection.closing or ("lost", None)
        if reason == "token_expired":
            self._token = ""
        if reason == "disconnected":
            return reason, math.inf
        return reason, wait or self._draw(0)  # the server spreads its clients; what it leaves open is spread here

    def _draw(self, failures: int) -> float:
        return random.uniform(0, min(self._most_delay, self._delay * 2.0 ** min(failures, 30)))

    def _take(self, connection: Connection, event: str, body: Mapping[str, Any]) -> None:
        project = self._projects.get(body["project"])
        if project is not None and connection is self.connection:
            project.take(event, body)

    def _tell(self, state: str, reason: str = "", seconds: float = 0.0) -> None:
        try:
            self._on_status(Status(state, reason, seconds))
        except Exception:
            logger.exception("on_status failed")
