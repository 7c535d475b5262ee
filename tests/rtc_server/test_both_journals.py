# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded journal and the one on PostgreSQL answer the same requests in the same way."""

from __future__ import annotations

import copy
import random
from pathlib import Path

import pytest
from journal_support import ALL, Keeper

pytest.importorskip("asyncpg")
from postgres_support import opened_store

from rtc_server.journal import Compact, JournalLimits, Outcome, Snapshot, Submission, make_label
from rtc_server.journal.sqlite import SqliteJournal
from rtc_server.journal.writer import Writer
from rtc_server.store_postgres.connections import Store

DATA = [
    *["1", "1.0", '{"a":1,"b":2}', '{"b":2,"a":1}', '{"a": 1, "b": 2}', '"x"', '"\\u0078"', '"\\u0000"', '"\\ud800😀"'],
    *[f'"{"y" * size}"' for size in (10, 200, 450, 600)],
    f'"{"€" * 150}"',
]


def describe(outcome: Outcome) -> tuple[object, ...]:
    request = outcome.request
    what = request.id if isinstance(request, Submission) else "a snapshot"
    result = outcome.message if outcome.code else outcome.revision
    return request.project, what, outcome.code, result, outcome.duplicate, outcome.base


class Script:
    """Requests at random: ids that come again with the same data or others, snapshots of revisions that are there, that
    are gone, that never were."""

    def __init__(self, seed: int, snapshots: bool) -> None:
        self._random = random.Random(seed)
        self._snapshots = snapshots

    def make_round(self, head: int) -> list[Submission | Compact]:
        return [self._make(head) for _ in range(self._random.choice([1, 2, 8, 30]))]

    def _make(self, head: int) -> Submission | Compact:
        choose = self._random.choice
        project = choose("pqr")
        if self._snapshots and self._random.random() < 0.15:
            snapshot = Snapshot(self._random.randint(1, head + 3), f'"{"s" * self._random.randint(0, 30)}"')
            return Compact(project, snapshot, keep=choose([0, 2, 5]))
        user, number = choose(["ann", "bob", "Ä\u2028"]), self._random.randint(1, 60)
        data = choose(DATA) if self._snapshots else DATA[number % len(DATA)]
        return Submission(project, f"c{number}", user, data, make_label(f"c{number}", user))


@pytest.mark.parametrize("quota", [0, 3_000, 8_000])
@pytest.mark.parametrize("seed", range(3))
async def test_same_answers(store: Store, tmp_path: Path, seed: int, quota: int) -> None:
    """Where there is a quota no snapshots, as the time differs at which room is there again, and no id twice in a round
    with other data: the store refuses the second one as the first."""
    limits = JournalLimits(project_bytes=quota)
    path = str(tmp_path / "journal.db")
    embedded = Keeper(Path(path))
    embedded.writer = Writer(path, limits)
    embedded.journal = SqliteJournal(path, embedded.writer)
    await embedded.journal.start(embedded.take)
    script, head = Script(seed, snapshots=not quota), 0
    try:
        async with opened_store(store, limits) as shared:
            for _ in range(30):
                requests = script.make_round(head)
                answers = [await keeper.keep(*map(copy.copy, requests)) for keeper in (shared, embedded)]
                assert [describe(outcome) for outcome in answers[0]] == [describe(outcome) for outcome in answers[1]]
                head = max([head, *[outcome.revision for outcome in answers[0]]])
            for project in "pqr":
                one, other = [await keeper.journal.read_head(project) for keeper in (shared, embedded)]
                assert one._replace(epoch="") == other._replace(epoch="")
                for since, most in ((0, 3), (one.base, ALL), (one.revision // 2, ALL)):
                    left, right = [
                        await keeper.journal.read_changes(project, since, most, 3_000) for keeper in (shared, embedded)
                    ]
                    assert [item._replace(time=0) for item in left] == [item._replace(time=0) for item in right]
                assert await shared.journal.read_snapshot(project) == await embedded.journal.read_snapshot(project)
    finally:
        await embedded.journal.close()
