# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to the server, from CONNECT to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import aiohttp
import engineio
import socketio

from .wire import Refused, read_wait

logger = logging.getLogger(__name__)

Answer = Mapping[str, Any]
OnEvent = Callable[[str, Mapping[str, Any]], None]
_EVENTS = ("change", "changes", "members", "presence")


class Connection:
    """``ended`` is set when it is over; ``closing`` has the reason that the server gave before, if it gave one, and
    when to come back. A server that says what is not in the contract is left.

    :param patience: seconds for each answer; a server that takes longer counts as gone.
    """

    def __init__(self, http: aiohttp.ClientSession, patience: float) -> None:
        # python-socketio's own coming back knows neither the server's spread nor fresh tokens
        self._sio = socketio.AsyncClient(
            reconnection=False,
            handle_sigint=False,
            http_session=http,
            request_timeout=patience,
            websocket_extra_options={"max_msg_size": 0},  # the answer to a join may be larger than aiohttp's 4 MB
        )
        self._patience = patience
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refusal: Any = None
        self.closing: tuple[str, float | None] | None = None
        self.ended = asyncio.Event()
        self.on_event: OnEvent = lambda _event, _body: None
        for name in _EVENTS:
            self._sio.on(name, lambda *said, name=name: self._believe(lambda body: self.on_event(name, body), said))
        self._answered = asyncio.Event()
        self._sio.on("connect", self._answered.set)
        self._sio.on("closing", lambda *said: self._believe(self._take_closing, said))
        self._sio.on("connect_error", self._take_refusal)
        self._sio.on("refused", lambda body: logger.warning("the server refused: %s", body))

    async def open(self, url: str, token: str, headers: Mapping[str, str], transports: list[str] | None) -> None:
        """Raises Refused: ``token_...``, ``too_many`` or ``unreachable``."""
        connecting = self._hold(self._come(url, token, headers, transports))
        try:
            await asyncio.wait([connecting], timeout=self._patience)
            if not connecting.done() or self.ended.is_set() or self._refusal is not None:
                raise self._make_refusal(connecting.exception() if connecting.done() else None)
        except BaseException:
            await self.close()
            raise

    async def _come(self, url: str, token: str, headers: Mapping[str, str], transports: list[str] | None) -> None:
        # Not by python-socketio's own waiting: that goes on when the connection breaks before CONNECT is answered.
        await self._sio.connect(
            url, headers=dict(headers), auth={"token": token}, transports=transports, namespaces=["/"], wait=False
        )
        self._hold(self._sio.eio.wait()).add_done_callback(lambda _done: self._end())
        await self._wait_for(self._answered)

    async def _wait_for(self, event: asyncio.Event) -> None:
        """Or for the end."""
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.ended.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _make_refusal(self, exc: BaseException | None) -> Refused:
        said = self._refusal if isinstance(self._refusal, dict) else {}
        data = said.get("data")
        data = data if isinstance(data, dict) else {}
        message = said.get("message") or (repr(exc) if exc else "no answer")
        return Refused(str(data.get("code", "unreachable")), str(message), data)

    def _take_refusal(self, said: Any = None) -> None:
        self._refusal = said or {}
        self._answered.set()

    def _take_closing(self, said: Mapping[str, Any]) -> None:
        self.closing = (str(said["reason"]), read_wait(said.get("retry_after")))

    def _believe(self, take: Callable[[Any], Any], said: tuple[Any, ...]) -> None:
        try:
            (body,) = said
            take(body)
        except Exception:
            logger.exception("the server says what is not in the contract: the connection ends")
            self._end()

    def emit(self, event: str, body: Mapping[str, Any]) -> None:
        """Without asking for an answer."""
        self._send(event, body, None)

    def ask(self, event: str, body: Mapping[str, Any], on_answer: Callable[[Answer], Any]) -> None:
        """``on_answer`` is called unless the connection ends before."""
        late = asyncio.get_running_loop().call_later(self._patience, self._end)
        self._timers.add(late)

        def check(answer: Answer) -> None:
            if not isinstance(answer["ok"], bool):
                raise TypeError("ok")
            on_answer(answer)

        def take(*said: Any) -> None:
            late.cancel()
            self._timers.discard(late)
            if not self.ended.is_set():
                self._believe(check, said)

        self._send(event, body, take)

    async def call(self, event: str, body: Mapping[str, Any]) -> Answer | None:
        """The answer; None: the connection ended before."""
        answers: list[Answer] = []
        answered = asyncio.Event()

        def take(answer: Answer) -> None:
            answers.append(answer)
            answered.set()

        self.ask(event, body, take)
        await self._wait_for(answered)
        return answers[0] if answers else None

    async def close(self) -> None:
        """End it, and wait until nothing of it is left: for the server's word a second at most."""
        self._end()
        eio = self._sio.eio
        leaving = asyncio.ensure_future(self._sio.disconnect())
        await asyncio.wait([leaving], timeout=1)
        # python-engineio leaves its loops to their timeouts when the server closes, itself in a list when it does not.
        tasks = [task for task in (leaving, eio.write_loop_task, eio.read_loop_task, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ValueError):
            engineio.base_client.connected_clients.remove(eio)

    def _send(self, event: str, body: Mapping[str, Any], take: Callable[..., None] | None) -> None:
        # Tasks begin in the order in which they were made, and this one queues its packet without waiting.
        if not self.ended.is_set():
            self._hold(self._sio.emit(event, dict(body), callback=take))

    def _hold(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._let_go)
        return task

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:  # it cannot send: it has ended
            self._end()

    def _end(self) -> None:
        self.ended.set()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
