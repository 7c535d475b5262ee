# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal's projects and changes as an earlier release keeps them: ``copy_journal.py FROM TO``, with that release's
package. It may not be able to read the journal itself (docs/journal-format.md, section 2)."""

from __future__ import annotations

import contextlib
import sys

from rtc_server.journal import schema


def copy_journal(source: str, target: str) -> None:
    """What schema 2 has; the target must not exist."""
    with contextlib.closing(schema.connect(target, write=True)) as db:
        schema.prepare(db, target)
        db.execute("ATTACH ? AS source", (source,))
        db.execute("BEGIN")
        db.execute("INSERT INTO project (number, name, revision) SELECT number, name, revision FROM source.project")
        db.execute("INSERT INTO change SELECT key, id, user, time, data FROM source.change")
        db.execute(
            f"INSERT INTO change_id SELECT key / {schema.SPAN}, user, id, key % {schema.SPAN} FROM source.change ORDER BY 1, 2, 3"
        )
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


if __name__ == "__main__":
    copy_journal(*sys.argv[1:])
