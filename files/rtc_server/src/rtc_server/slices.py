# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handing over to aiohttp what came on a connection, a slice at a time.

aiohttp's parser makes a call for each chunk of a body, so a quarter of a megabyte of chunks of one byte, which is what
a loop reads at once, takes it 150 ms. So such bytes have turns, too (engine/turns.py).
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from .engine.turns import LARGE, PACKET_COST, Turns

_SLICE = 4096  # bytes; heads of requests are rarely longer
_LINE_COST = PACKET_COST // 8
_DENSE = _SLICE // 16  # ends of lines in a slice from which it takes milliseconds


class Slices:
    """What came on one connection. ``http`` is aiohttp's handler of it."""

    __slots__ = ("_has_ended", "_http", "_is_paused", "_rest", "_transport", "_turns")

    def __init__(self, turns: Turns, http: web.RequestHandler, transport: asyncio.Transport) -> None:
        self._turns = turns
        self._http = http
        self._transport = transport
        self._rest = bytearray()  # its turn is still to come
        self._is_paused = False
        self._has_ended = False  # nothing comes behind the rest

    @property
    def waiting(self) -> int:
        """Bytes whose turn is still to come."""
        return len(self._rest)

    def take(self, data: bytes) -> None:
        """Bytes came."""
        if self._rest:
            self._rest += data
        elif len(data) <= _SLICE and self._turns.take_share() > 0:
            self._hand_over(data)
        else:
            self._rest += data
            self._go_on()
        if self._rest and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def end(self) -> None:
        """The client sends nothing more."""
        if self._rest:
            self._has_ended = True
        else:
            self._http.eof_received()

    def stop(self) -> bytes:
        """The connection is not aiohttp's any more, or over. Returns what it was not handed."""
        rest, self._rest = bytes(self._rest), bytearray()
        self._resume()
        return rest

    def _go_on(self) -> None:
        share = self._turns.take_share()
        rest = self._rest
        is_dense = False
        while rest and share > 0 and not self._transport.is_closing():
            data = bytes(rest[:_SLICE])
            is_dense = data.count(b"\n") > _DENSE
            if is_dense and not self._turns.is_for_large:
                break
            del rest[:_SLICE]
            share -= self._hand_over(data)
            if rest is not self._rest:  # stopped meanwhile
                return
        if self._transport.is_closing():
            self._rest = bytearray()
        elif rest:
            self._turns.wait(self._go_on, LARGE + 1 if is_dense else 0)
        else:
            self._resume()
            if self._has_ended:
                self._http.eof_received()

    def _hand_over(self, data: bytes) -> int:
        """Returns what it cost."""
        cost = len(data) + PACKET_COST + data.count(b"\n") * _LINE_COST
        self._turns.spend(cost)
        self._http.data_received(data)
        return cost

    def _resume(self) -> None:
        """Read again, unless aiohttp holds its transport for a reason of its own."""
        if self._is_paused:
            self._is_paused = False
            http = self._http
            if not (http._reading_paused or http._buffer_paused or self._transport.is_closing()):
                self._transport.resume_reading()
