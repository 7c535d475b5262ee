# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub against a model: random schedules of joins, leaves, sends and publishes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st
from rtc_memory import frames

from rtc_server.engine import Hub, PreparedMessage, Room

NAMES = "abc"
MEMBERS = 6


class Recipient:
    """A session as the hub sees it, with what it got and what it should have got."""

    def __init__(self, eio_version: int, straight: bool) -> None:
        self.eio_version = eio_version
        self.straight = straight  # nothing stands in the way of what is written
        self.own: list[tuple[int, PreparedMessage]] = []
        self.rooms: dict[Room, None] = {}
        self.closed = False
        self.got: list[Any] = []
        self.want: list[str] = []
        self.deliveries = 0

    def write(self, data: bytes) -> bool:
        if self.straight:
            self.got += frames(data)
            self.deliveries += 1
        return self.straight

    def deliver(self, messages: Collection[PreparedMessage], data: bytes | None) -> None:
        self.got += [p.packets[0] for p in messages]
        self.deliveries += 1
        if data is not None:
            assert data == b"".join([p.frame4 for p in messages])


who = st.integers(0, MEMBERS - 1)
step = st.one_of(
    st.tuples(st.just("join"), who, st.sampled_from(NAMES)),
    st.tuples(st.just("leave"), who, st.sampled_from(NAMES)),
    st.tuples(st.just("send"), who),
    st.tuples(st.just("deliver and leave"), who),
    st.tuples(st.just("deliver"), who),
    st.tuples(st.just("publish"), st.sampled_from(NAMES), st.none() | who),
)
turns = st.lists(st.lists(step, min_size=1, max_size=14), min_size=1, max_size=20)


@settings(deadline=None)
@given(
    kinds=st.lists(st.tuples(st.sampled_from([3, 4]), st.booleans()), min_size=MEMBERS, max_size=MEMBERS),
    schedule=turns,
)
def test_everyone_gets_the_models_sequence_in_one_write_a_turn(kinds: list[tuple[int, bool]], schedule: Any) -> None:
    asyncio.run(_run(kinds, schedule))


async def _run(kinds: list[tuple[int, bool]], schedule: Any) -> None:
    hub = Hub()
    index: dict[str, Room] = {}
    members = [Recipient(*kind) for kind in kinds]
    count = 0

    def room(name: str) -> Room:
        if name not in index:
            index[name] = Room(name, index)
        return index[name]

    for turn in schedule:
        for member in members:
            member.deliveries = 0
        delivered_alone = set()
        for what, *rest in turn:
            count += 1
            text = f"4{count}"
            if what == "join":
                hub.join(room(rest[1]), members[rest[0]])
            elif what == "leave" and rest[1] in index:
                hub.leave(index[rest[1]], members[rest[0]])
            elif what == "send":
                hub.send(members[rest[0]], PreparedMessage((text,)))
                members[rest[0]].want.append(text)
            elif what == "deliver and leave":
                hub.deliver_and_leave(members[rest[0]])
                delivered_alone.add(rest[0])
            elif what == "deliver":
                hub.deliver_to(members[rest[0]])
                delivered_alone.add(rest[0])
            elif what == "publish" and rest[0] in index:
                skip = None if rest[1] is None else members[rest[1]]
                for member in index[rest[0]].members:
                    if member is not skip:
                        member.want.append(text)  # type: ignore[attr-defined]
                hub.publish(index[rest[0]], PreparedMessage((text,)), skip)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for number, member in enumerate(members):
            assert member.got == member.want
            assert member.deliveries <= 1 or number in delivered_alone


async def test_a_room_is_listed_while_somebody_is_in_it() -> None:
    """Also where two of one name meet: the one that is left takes the other one's place in no list."""
    hub, index = Hub(), dict[str, Room]()
    one, other = Room("a", index), Room("a", index)
    ann, bob = Recipient(4, True), Recipient(4, True)
    assert not index
    hub.join(one, ann)
    hub.join(other, bob)
    assert index == {"a": one}
    hub.leave(other, bob)
    assert index == {"a": one}
    hub.leave(one, ann)
    assert not index
