# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal as a server leaves it after long use, made by the server's own code for moving changes into the tables.

PYTHONPATH=files/rtc_server/src python tests/rtc_server/old_journal.py PATH [PROJECTS [CHANGES]]
(10,000 projects and 10,000,000 changes: a year)
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
import uuid

from rtc_server.journal import JournalLimits, flush, make_label, schema
from rtc_server.journal.record import encode_record
from rtc_server.journal.upkeep import Upkeep
from rtc_server.strict_json import dumps

_ROUND = 200_000  # changes in one transaction
_DATA = dumps({"op": "insert", "at": 1234, "text": "x" * 60})


def make_old_journal(path: str, projects: int = 10_000, changes: int = 10_000_000, *, days: float = 365) -> None:
    """Make a new journal at ``path`` with so many changes over ``days`` days up to now, spread over the projects
    ``old0``, ``old1``, … round by round, with random ids, as a stopped server leaves it."""
    rng = random.Random(16)
    revisions = [0] * projects
    now = int(time.time() * 1000)
    began = now - int(days * 86_400_000)
    with contextlib.closing(schema.connect(path, write=True)) as db:
        schema.prepare(db, path)
        db.execute("PRAGMA cache_size=-262144")
        with schema.transaction(db):
            rows = ((number + 1, f"old{number}") for number in range(projects))
            db.executemany("INSERT INTO project (number, name) VALUES (?,?)", rows)
        for done in range(0, changes, _ROUND):
            count = min(_ROUND, changes - done)
            share: dict[int, int] = {}
            for at in range(count):
                number = (done + at) % projects
                share[number] = share.get(number, 0) + 1
            with schema.transaction(db):
                for number, size in share.items():
                    records = []
                    for at in range(size):
                        revisions[number] += 1
                        at_ms = began + (done + at * count // size) * (now - began) // changes
                        id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
                        label = make_label(id, f"user{number % 50}")
                        records.append(encode_record(number + 1, revisions[number], at_ms, label, _DATA))
                    flush.flush(db, {f"old{number}": records})
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def forget_old_ids(path: str) -> None:
    """Forget what a server that ran all that time had forgotten, bit by bit; otherwise the next one begins with a year's
    work."""
    with contextlib.closing(schema.connect(path, write=True)) as db:
        upkeep = Upkeep(JournalLimits().keep_ids_days)
        while upkeep.run(db):
            pass
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


if __name__ == "__main__":
    make_old_journal(sys.argv[1], *map(int, sys.argv[2:4]))
    forget_old_ids(sys.argv[1])
