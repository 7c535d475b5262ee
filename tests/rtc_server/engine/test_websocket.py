# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RFC 6455 clause by clause against the class alone, by tables.

By properties: test_websocket_properties.py. Over sockets: test_websocket_handshake.py, test_websocket_connections.py.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from typing import Any

import pytest
from ws_support import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    VALID_CODES,
    Alone,
    Frame,
    Taker,
    close,
    frame,
    text,
    unmask_slowly,
)

from rtc_server.engine import ProtocolError
from rtc_server.engine.websocket import slow_unmask, unmask

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

# --- section 5.7: the examples ---------------------------------------------------------------------


def test_the_examples_of_the_rfc() -> None:
    assert Alone().feed(bytes.fromhex("818537fa213d7f9f4d5158")).messages == ["Hello"]
    assert frame(TEXT, b"Hello") == bytes.fromhex("818537fa213d7f9f4d5158")
    ping = bytes.fromhex("898537fa213d7f9f4d5158")
    assert Alone().feed(ping).sent == [Frame(0x8A, b"Hello")]
    parts = frame(TEXT, b"Hel", fin=False) + frame(CONTINUATION, b"lo")
    assert Alone().feed(parts).messages == ["Hello"]


# --- section 5.2, 5.3: frames ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70_000])
@pytest.mark.parametrize("kind", [TEXT, BINARY])
def test_every_form_of_length(kind: int, size: int) -> None:
    payload = b"x" * size
    assert Alone(70_000).feed(frame(kind, payload)).messages == [payload.decode() if kind == TEXT else payload]


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=300))
def test_unmasking(mask: bytes, data: bytes) -> None:
    assert unmask(data, mask) == slow_unmask(data, mask) == unmask_slowly(mask, data)


@pytest.mark.parametrize("kind", [TEXT, BINARY, PING, PONG, CLOSE, CONTINUATION])
@pytest.mark.parametrize("size", [0, 5, 200])
def test_a_frame_without_mask(kind: int, size: int) -> None:
    alone = Alone().feed(frame(kind, b"\x03\xe8" * (size // 2), mask=None) + bytes(6))
    assert alone.failed_with(1002) and alone.messages == []


@pytest.mark.parametrize("reserved", range(1, 8))
@pytest.mark.parametrize("kind", [TEXT, BINARY, PING])
def test_reserved_bits(kind: int, reserved: int) -> None:
    alone = Alone().feed(frame(kind, b"x", reserved=reserved) + text("never"))
    assert alone.failed_with(1002) and alone.messages == []


@pytest.mark.parametrize("kind", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("fin", [True, False])
def test_reserved_opcodes(kind: int, fin: bool) -> None:
    assert Alone().feed(frame(kind, b"x", fin=fin)).failed_with(1002)


# --- section 5.4: fragments --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        frame(CONTINUATION, b"x"),
        frame(CONTINUATION, b"x", fin=False),
        frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
        frame(TEXT, b"a", fin=False) + frame(TEXT, b"b", fin=False),
        frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"),
        frame(BINARY, b"a", fin=False) + frame(TEXT, b"b"),
        frame(TEXT, b"", fin=False) + frame(TEXT, b"b"),
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b") + frame(CONTINUATION, b"c"),
    ],
)
def test_parts_of_no_message_and_messages_within_another(frames: bytes) -> None:
    alone = Alone().feed(frames + text("never"))
    assert alone.failed_with(1002) and "never" not in alone.messages


def test_control_frames_between_parts() -> None:
    alone = Alone().feed(
        frame(TEXT, b"a", fin=False),
        frame(PING, b"1"),
        frame(PONG, b"?"),
        frame(CONTINUATION, b"b", fin=False),
        frame(PING, b"2"),
        frame(CONTINUATION, b""),
    )
    assert alone.messages == ["ab"] and alone.sent == [Frame(0x8A, b"1"), Frame(0x8A, b"2")]


def test_a_character_may_be_cut_by_parts_but_not_by_messages() -> None:
    euro = "€".encode()
    assert Alone().feed(frame(TEXT, euro[:1], fin=False), frame(CONTINUATION, euro[1:])).messages == ["€"]
    assert Alone().feed(frame(TEXT, euro[:1]), frame(TEXT, euro[1:])).failed_with(1007)


# --- section 5.5: control frames ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CLOSE, PING, PONG])
def test_control_frames_in_parts_or_too_long(kind: int) -> None:
    payload = b"\x03\xe8" + b"x" * 123
    assert Alone().feed(frame(kind, payload, fin=False)).failed_with(1002)
    assert Alone().feed(frame(kind, payload + b"x")).failed_with(1002)
    head_alone = frame(kind, payload * 1000)[
        :20
    ]  # of one that is larger than a message may be: nobody waits for the rest
    assert Alone().feed(head_alone).failed_with(1002)


def test_a_ping_is_answered_with_what_it_brought() -> None:
    alone = Alone().feed(frame(PING), frame(PING, bytes(range(125))))
    assert alone.sent == [Frame(0x8A, b""), Frame(0x8A, bytes(range(125)))]
    assert Alone().feed(frame(PONG, b"nobody asked")).sent == []


def test_a_control_frame_is_no_part_of_a_message() -> None:
    """A message of just the largest size, with a ping between its parts."""
    alone = Alone(1000).feed(
        frame(TEXT, b"x" * 990, fin=False), frame(PING, b"p" * 125), frame(CONTINUATION, b"x" * 10)
    )
    assert alone.messages == ["x" * 1000] and alone.sent == [Frame(0x8A, b"p" * 125)]


def test_pings_of_a_client_that_does_not_read_are_not_answered() -> None:
    alone = Alone()
    alone.transport.buffered_amount = 64 << 10
    assert alone.feed(frame(PING, b"x") * 1000).sent == []
    alone.transport.buffered_amount = 0
    assert alone.feed(frame(PING, b"y")).sent == [Frame(0x8A, b"y")]


# --- sections 5.5.1, 7: the end -----------------------------------------------------------------------

INVALID_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", 1000),
        (b"\x03", 1002),
        *[(code.to_bytes(2, "big"), code) for code in VALID_CODES],
        *[(code.to_bytes(2, "big") + "auf Wiedersehen ☺".encode(), code) for code in VALID_CODES],
        *[(code.to_bytes(2, "big"), 1002) for code in INVALID_CODES],
        (b"\x03\xe8" + b"\xff", 1007),
        (b"\x03\xe8" + "€".encode()[:2], 1007),
        (b"\x03\xe8" + b"x" * 123, 1000),
    ],
)
def test_a_close_frame_is_answered(payload: bytes, code: int) -> None:
    alone = Alone().feed(text("before") + frame(CLOSE, payload) + text("after") + frame(PING, b"after"))
    assert alone.messages == ["before"] and alone.failed_with(code)


def test_our_close_waits_for_the_answer() -> None:
    alone = Alone()
    alone.ws.close(1001)
    alone.ws.close(1008)  # said once
    assert alone.code == 1001 and not alone.transport.closed
    alone.feed(text("crossed it"), frame(PING, b"too"), frame(PONG))
    assert alone.messages == [] and len(alone.sent) == 1 and not alone.transport.closed
    alone.feed(close(1001))
    assert alone.transport.closed and len(alone.sent) == 1
    (timer,) = alone.loop.timers
    alone.ws.connection_lost(None)
    assert timer.cancelled and alone.taker.losses


def test_who_does_not_answer_our_close_is_cut_off() -> None:
    alone = Alone()
    alone.ws.close()
    (timer,) = alone.loop.timers
    assert timer.delay == 7.0 and not alone.transport.aborted
    timer.run()
    assert alone.transport.aborted


def test_who_does_not_take_our_answer_is_cut_off() -> None:
    """The transport stays open as long as there is something to write."""
    for end in (close(), frame(3)):
        (timer,) = Alone().feed(end).loop.timers
        assert timer.delay == 7.0


def test_what_breaks_the_protocol_after_our_close_ends_it() -> None:
    alone = Alone()
    alone.ws.close(1000)
    alone.feed(frame(3))
    assert alone.code == 1000 and alone.transport.closed


def test_nothing_is_sent_after_the_end() -> None:
    alone = Alone()
    alone.ws.connection_lost(ConnectionResetError())
    alone.ws.close()
    assert alone.sent == [] and alone.loop.timers == [] and alone.taker.losses == 1


# --- section 8.1: UTF-8 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff",
        b"a\x80",
        b"\xc0\xaf",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xce\xba\xed\xa0\x80e",
    ],
)
def test_text_that_is_not_utf_8(bad: bytes) -> None:
    for frames in (frame(TEXT, bad), frame(TEXT, bad[:1], fin=False) + frame(CONTINUATION, bad[1:])):
        alone = Alone().feed(frames + text("never"))
        assert alone.failed_with(1007) and alone.messages == []
    assert Alone().feed(frame(BINARY, bad)).messages == [bad]


# --- section 10.4: limits -----------------------------------------------------------------------------


def test_a_message_over_the_limit() -> None:
    assert Alone(1000).feed(frame(TEXT, b"x" * 1000)).messages == ["x" * 1000]
    head_alone = frame(TEXT, b"x" * 1001)[:8]  # its length is known before it comes
    assert Alone(1000).feed(head_alone).failed_with(1009)
    giant = bytes((0x82, 0xFF)) + b"\xff" * 8 + MASK  # most significant bit set, too
    assert Alone(1000).feed(giant).failed_with(1009)


def test_a_message_over_the_limit_in_parts() -> None:
    parts = [frame(BINARY, b"x" * 500, fin=False), frame(CONTINUATION, b"x" * 500, fin=False)]
    assert Alone(1000).feed(*parts, frame(CONTINUATION)).messages == [b"x" * 1000]
    alone = Alone(1000).feed(*parts, frame(CONTINUATION, b"x"))
    assert alone.failed_with(1009) and alone.messages == []


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_parts_without_end(payload: bytes) -> None:
    alone = Alone(1000)
    alone.feed(frame(TEXT, payload, fin=False))
    part, count = frame(CONTINUATION, payload, fin=False), itertools.count()
    while not alone.transport.closed and next(count) < 5000:
        alone.feed(part)
    assert alone.failed_with(1009)


def test_many_small_parts_cost_no_more_than_their_bytes() -> None:
    alone = Alone(100_000).feed(frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"y", fin=False) * 50_000)
    assert sys.getsizeof(alone.ws._parts) < 100_000
    alone.feed(frame(CONTINUATION))
    assert alone.messages == ["x" + "y" * 50_000] and not alone.ws._parts


# --- what is awaited -----------------------------------------------------------------------------------


async def wait_until_idle(alone: Alone) -> None:
    """Until the loop has nothing more to do for it."""
    for _ in range(50):
        await asyncio.sleep(0)
    assert alone.ws._waiting is None


async def test_reading_pauses_while_a_message_is_handled_and_more_comes_than_may_wait() -> None:
    go_on = asyncio.Event()

    class Slow(Taker):
        def received(self, message: str | bytes) -> Any:
            self.messages.append(message)
            return go_on.wait()

    alone = Alone(1000, Slow(), asyncio.get_running_loop())
    alone.feed(text("first"))
    flood = text("x" * 1000) * 10
    fed = 0
    while not alone.transport.paused:
        alone.feed(flood)
        fed += 10
        assert fed < 1000
    assert len(alone.ws._rest) < (256 << 10) + 1000 + len(flood) and alone.messages == ["first"]
    go_on.set()
    while len(alone.messages) <= fed:
        await asyncio.sleep(0)
    assert not alone.transport.paused and alone.transport.pauses == 1
    assert alone.messages == ["first", *["x" * 1000] * fed]


async def test_a_handler_that_finds_the_protocol_broken() -> None:
    async def broken() -> None:
        raise ProtocolError("as it should")

    class Strict(Taker):
        def received(self, message: str | bytes) -> Any:
            super().received(message)
            return broken() if message == "bad" else None

    alone = Alone(taker=Strict(), loop=asyncio.get_running_loop()).feed(text("bad") + text("next"))
    await wait_until_idle(alone)
    assert [str(e) for e in alone.taker.errors] == ["as it should"]
    assert alone.messages == ["bad", "next"]  # it is the receiver's to end it


async def test_a_handler_that_fails_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def failing() -> None:
        raise RuntimeError("as it should")

    class Failing(Taker):
        def received(self, message: str | bytes) -> Any:
            self.messages.append(message)
            return failing()

    alone = Alone(taker=Failing(), loop=asyncio.get_running_loop()).feed(text("a") + text("b"))
    await wait_until_idle(alone)
    assert alone.messages == ["a", "b"] and alone.taker.errors == []
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == ["a message's handler failed"] * 2


async def test_a_handler_that_is_cancelled_holds_up_nobody() -> None:
    never = asyncio.get_running_loop().create_future()

    class Cancelled(Taker):
        def received(self, message: str | bytes) -> Any:
            self.messages.append(message)
            return never if message == "a" else None

    alone = Alone(taker=Cancelled(), loop=asyncio.get_running_loop()).feed(text("a") + text("b"))
    never.cancel()
    await wait_until_idle(alone)
    assert alone.messages == ["a", "b"]


async def test_what_waits_is_thrown_away_when_the_connection_is_lost() -> None:
    go_on = asyncio.Event()

    class Slow(Taker):
        def received(self, message: str | bytes) -> Any:
            self.messages.append(message)
            return go_on.wait()

    alone = Alone(taker=Slow(), loop=asyncio.get_running_loop()).feed(text("a") + text("b"))
    alone.ws.connection_lost(None)
    alone.transport.abort()
    go_on.set()
    await wait_until_idle(alone)
    assert alone.messages == ["a"] and alone.taker.losses == 1
