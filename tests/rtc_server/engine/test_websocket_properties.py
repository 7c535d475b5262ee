# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RFC 6455 against the class alone, by properties; wsproto is the second opinion."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from ws_support import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    VALID_CODES,
    Alone,
    Frame,
    Taker,
    frame,
)

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

PAYLOADS = st.one_of(st.text(max_size=60), st.binary(max_size=60), st.text("aé€😀", min_size=100, max_size=200))
MASKS = st.binary(min_size=4, max_size=4)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[str | bytes], list[bytes], bytes]:
    """Messages, pings, and the bytes that carry them: in any parts, with control frames between."""
    messages = draw(st.lists(PAYLOADS, max_size=6))
    pings: list[bytes] = []
    stream: list[bytes] = []
    for message in messages:
        data = message.encode() if isinstance(message, str) else message
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
        edges = [0, *cuts, len(data)]
        for number, (start, stop) in enumerate(itertools.pairwise(edges)):
            kind = CONTINUATION if number else TEXT if isinstance(message, str) else BINARY
            stream.append(frame(kind, data[start:stop], fin=number == len(cuts), mask=draw(MASKS)))
            control = draw(st.sampled_from([None, None, None, PING, PONG]))
            if control is not None:
                said = draw(st.binary(max_size=10))
                stream.append(frame(control, said, mask=draw(MASKS)))
                pings += [said] if control == PING else []
    return messages, pings, b"".join(stream)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Into pieces of those sizes, over and over."""
    pieces, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return pieces
        pieces.append(data[at : at + size])
        at += size
    return pieces


SIZES = st.one_of(st.just([1]), st.lists(st.integers(1, 50), min_size=1, max_size=5))


@given(conversations(), SIZES)
def test_any_parts_in_any_pieces_are_the_same_messages(conversation: Any, sizes: list[int]) -> None:
    messages, pings, stream = conversation
    alone = Alone().feed(*cut(stream, sizes))
    assert alone.messages == messages and not alone.ws._rest
    assert alone.sent == [Frame(0x8A, said) for said in pings] and not alone.transport.closed


@given(conversations(), SIZES, st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_messages_that_are_awaited_stay_in_order(conversation: Any, sizes: list[int], work: list[int]) -> None:
    messages, pings, stream = conversation
    turns = itertools.cycle(work)

    async def main() -> None:
        alone = Alone(200, Taker(lambda _message: next(turns)), asyncio.get_running_loop())
        alone.feed(*cut(stream, sizes))
        for _ in range(8 * len(messages) + 8):
            await asyncio.sleep(0)
        assert alone.taker.handled == messages
        assert alone.sent == [Frame(0x8A, said) for said in pings]

    if all(len(m.encode() if isinstance(m, str) else m) <= 200 for m in messages):
        asyncio.run(main())


def judged(alone: Alone, most: int) -> None:
    """Whatever came: it goes on, or the connection was failed with a code for it; nothing grows."""
    if alone.transport.closed:
        assert alone.code is not None and (alone.code in VALID_CODES or 3000 <= alone.code < 5000)
    else:
        assert alone.code is None and not alone.taker.losses
        assert len(alone.ws._rest) < 14 + most and len(alone.ws._parts) <= most


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_random_bytes(pieces: list[bytes]) -> None:
    judged(Alone(300).feed(*pieces), 300)


FRAMES = st.builds(
    frame,
    st.one_of(st.sampled_from([CONTINUATION, TEXT, TEXT, BINARY, PING, PONG, CLOSE]), st.integers(0, 15)),
    st.one_of(
        st.text(max_size=30).map(str.encode),
        st.binary(max_size=130),
        st.sampled_from([b"\x03\xe8", b"\x0b\xb8ok", b"\x03\xed"]),
    ),
    fin=st.sampled_from([True, True, False]),
    reserved=st.sampled_from([0] * 15 + [1]),
    mask=MASKS,
)


@given(st.lists(FRAMES, max_size=12), SIZES)
def test_wsproto_agrees(frames: list[bytes], sizes: list[int]) -> None:
    """Messages, pongs, and with which code it ends, for whole frames good and bad."""
    messages, pongs, code = opinion_of_wsproto(frames)
    alone = Alone(1 << 20).feed(*cut(b"".join(frames), sizes))
    judged(alone, 1 << 20)
    assert alone.messages == messages
    if code != 1007:  # it looks at each part of a text as it comes, we at the whole: other frames may come in between
        assert ([f.payload for f in alone.sent if f.first == 0x8A], alone.code) == (pongs, code)


def opinion_of_wsproto(frames: list[bytes]) -> tuple[list[str | bytes], list[bytes], int | None]:
    wsproto = pytest.importorskip("wsproto")
    from wsproto import events

    connection = wsproto.connection.Connection(wsproto.ConnectionType.SERVER)
    messages: list[str | bytes] = []
    pongs: list[bytes] = []
    parts: list[Any] = []
    try:
        for data in frames:
            connection.receive_data(data)
            for event in connection.events():
                if isinstance(event, events.CloseConnection):
                    return messages, pongs, 1000 if event.code == 1005 else event.code
                if isinstance(event, events.Ping):
                    pongs.append(bytes(event.payload))
                elif isinstance(event, events.Message):
                    parts.append(event.data)
                    if event.message_finished:
                        messages.append("".join(parts) if isinstance(event, events.TextMessage) else b"".join(parts))
                        parts = []
    except wsproto.utilities.RemoteProtocolError as exc:
        return messages, pongs, int(exc.event_hint.code)
    return messages, pongs, None
