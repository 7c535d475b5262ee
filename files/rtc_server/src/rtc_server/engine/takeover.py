# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a connection over from aiohttp, which has read a request on it and need not know what comes next.

aiohttp has no interface for that: it offers a WebSocket of its own, at the cost of a task and a queue for each
connection. What is used here beside its documentation is looked at before the server starts (:func:`check_aiohttp`),
so that a release without it is refused in so many words, and not found out by the first client.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable

import aiohttp
from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import LineTooLong

from .errors import BrokenBody

_LEAST = (3, 14, 4)  # releases before it do not let go of a connection that has answered a request before
# Of the protocol of a request: what is called or set, and the parameters that are given.
_METHODS = {"set_parser": 1, "connection_lost": 1, "data_received": 1, "connection_made": 1, "handle_error": 4}
_ATTRIBUTES = ("transport", "_messages", "_current_request", "_reading_paused", "_buffer_paused")
_OPTIONS = ("auto_decompress", "max_line_size", "max_field_size")


class _EarlyData:
    """Takes what a client sent without waiting for the answer to its handshake (RFC 6455 section 4.1 forbids it)."""

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        self._keep = keep

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._keep(data)
        return False, b""

    def feed_eof(self) -> None:
        pass


def take_over(request: web.Request, protocol: asyncio.Protocol, keep: Callable[[bytes], None]) -> asyncio.Transport:
    """Make ``protocol`` the connection's. For aiohttp it is over, and the handler has to return at once.

    ``keep`` gets what was received behind the request already, before this returns.
    """
    transport = request.transport
    assert transport is not None
    old = request.protocol
    old.set_parser(_EarlyData(keep))  # type: ignore[arg-type]  # of a parser it calls only these methods
    transport.set_protocol(protocol)
    old.transport = None  # or it would close it
    old.connection_lost(None)
    return transport


def find_protocol(transport: asyncio.Transport) -> asyncio.BaseProtocol | None:
    """What a transport serves; None where it was closed more than once, as asyncio's over TLS has forgotten it then."""
    try:
        return transport.get_protocol()
    except AttributeError:  # of its _ssl_protocol, None from the second close() on (CPython's asyncio/sslproto.py)
        return None


class _Handler(web.RequestHandler):
    """aiohttp's with two corrections.

    Its own quotes the line of a request that it cannot read: a cookie or a token would stand in the answer. And when
    chunks turn out to be broken while a request is handled, its own lets whoever reads the body wait for ever.
    """

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages:  # behind a body: either that has come to its end, or this is the parser's error
            bodies = [body for _, body in self._messages]
            if self._current_request is not None:
                bodies.insert(0, self._current_request.content)
            for body in bodies[:-1]:
                if not body.is_eof() and body.exception() is None:
                    body.set_exception(BrokenBody("the body of a request is not encoded as its head says"))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        about = "a line or header of the request is too long" if isinstance(exc, LineTooLong) else "no proper request"
        return super().handle_error(request, status, exc, about if isinstance(exc, HttpProcessingError) else message)


def correct(make_handler: Callable[[], web.RequestHandler]) -> Callable[[], web.RequestHandler]:
    """What makes handlers of connections as aiohttp's server does, with our corrections."""

    def make() -> web.RequestHandler:
        handler = make_handler()
        handler.__class__ = _Handler  # the server has no place for another class
        return handler

    return make


def check_aiohttp() -> str:
    """Why this aiohttp cannot be used; "" when it can."""
    version = tuple(int(part) for part in re.findall(r"\d+", aiohttp.__version__)[:3])
    if version < _LEAST:
        least = ".".join(map(str, _LEAST))
        return f"aiohttp {aiohttp.__version__} cannot be used: install {least} or later"
    handler = web.RequestHandler
    missing = [name for name, number in _METHODS.items() if not _takes(getattr(handler, name, None), number)]
    missing += [name for name in _ATTRIBUTES if not hasattr(handler, name)]
    parameters = inspect.signature(handler.__init__).parameters
    missing += [name for name in _OPTIONS if name not in parameters]
    if not missing:
        return ""
    return (
        f"aiohttp {aiohttp.__version__} cannot be used: its RequestHandler lacks {', '.join(missing)}; "
        "install a version that the package's metadata names"
    )


def _takes(method: object, number: int) -> bool:
    """Whether a method can be called with so many arguments beside the object."""
    if not callable(method):
        return False
    try:
        inspect.signature(method).bind(*range(number + 1))
    except TypeError:
        return False
    return True
