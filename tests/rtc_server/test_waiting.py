# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is when more is waiting for the journal than a batch takes."""

from __future__ import annotations

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from rtc_server.journal import Compact, Snapshot, Submission, make_label
from rtc_server.journal.waiting import Waiting, measure

MOST, MOST_BYTES = 1024, 1 << 20  # of a batch
ROOM, ROOM_BYTES = 50_000, 32 << 20


def change(user: str, number: int, size: int) -> Submission:
    return Submission("p", str(number), user, "x" * size, make_label(str(number), user))


def fill(waiting: Waiting, user: str, count: int, size: int) -> int:
    """Queue as many as it takes, at most ``count``. What is refused once is refused again: nothing is taken out."""
    added = (waiting.add(change(user, n, size), ROOM, ROOM_BYTES) for n in range(count))
    return sum(takewhile(bool, added))


def test_few_requests_are_one_batch_in_their_order() -> None:
    waiting = Waiting()
    for n in range(10):
        assert waiting.add(change("ab"[n % 2], n, 10), ROOM, ROOM_BYTES)
    assert [r.id for r in waiting.take(MOST, MOST_BYTES)] == [str(n) for n in range(10)]
    assert len(waiting) == 0 and waiting.bytes == 0 and waiting.take(MOST, MOST_BYTES) == []


def test_who_sends_little_is_in_the_next_batch() -> None:
    for heavy, size in ((1, 250_000), (4, 250_000), (20, 250_000), (20, 200), (30, 900_000)):
        waiting = Waiting()
        for number in range(heavy):
            assert fill(waiting, f"heavy{number}", 20_000, size) > 0
        waiting.take(MOST, MOST_BYTES)  # being committed while the next one comes in
        assert waiting.add(change("good", 1, 200), ROOM, ROOM_BYTES)
        assert "good" in {r.user for r in waiting.take(MOST, MOST_BYTES)}, (heavy, size)


def test_nobody_takes_all_the_room() -> None:
    waiting = Waiting()
    taken = fill(waiting, "heavy", 1_000_000, 250_000)
    assert ROOM_BYTES / 3 < taken * 250_000 <= ROOM_BYTES / 2
    assert all(fill(waiting, f"other{n}", 1, 250_000) for n in range(10))
    waiting = Waiting()
    assert ROOM / 3 < fill(waiting, "heavy", 1_000_000, 1) <= ROOM / 2
    assert fill(waiting, "good", 1, 1)


def test_a_large_request_alone() -> None:
    waiting = Waiting()
    assert waiting.add(change("ann", 1, 2 * ROOM_BYTES), ROOM, ROOM_BYTES)
    assert not waiting.add(change("bob", 1, 1), ROOM, ROOM_BYTES)
    assert len(waiting.take(MOST, MOST_BYTES)) == 1
    assert waiting.add(change("bob", 1, 1), ROOM, ROOM_BYTES)


_REQUESTS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.one_of(st.integers(0, 300), st.integers(0, 60_000)), st.booleans()),
    max_size=60,
)


@given(rounds=st.lists(_REQUESTS, max_size=6), most=st.integers(1, 20), most_bytes=st.integers(1, 100_000))
def test_nothing_is_lost_and_each_user_keeps_its_order(
    rounds: list[list[tuple[str, int, bool]]], most: int, most_bytes: int
) -> None:
    waiting = Waiting()
    added: list[Submission | Compact] = []
    taken: list[Submission | Compact] = []

    def take() -> None:
        batch = waiting.take(most, most_bytes)
        assert len(batch) <= most
        assert len(batch) == 1 or sum(map(measure, batch)) <= most_bytes
        assert batch or not len(waiting)
        taken.extend(batch)

    for requests in rounds:
        for user, size, is_change in requests:
            data = "x" * size
            request = (
                Submission("p", "i", user, data, "") if is_change else Compact("p", Snapshot(1, data), 0, None, user)
            )
            if waiting.add(request, ROOM, ROOM_BYTES):
                added.append(request)
        if rounds:
            take()
    while len(waiting):
        take()
    assert waiting.bytes == 0
    for user in "abcd":
        mine = [id(r) for r in added if r.user == user]
        assert mine == [id(r) for r in taken if r.user == user]
