# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The latest warnings and errors of the log, for who cannot read the journal of systemd."""

from __future__ import annotations

import logging
from collections import deque

_MOST = 200
_LONGEST = 500  # characters of one


class Recent(logging.Handler):
    """Keeps records of WARNING and above. They have no secrets, as the log has none; of an exception it keeps the kind
    only, as its words may hold anything."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: deque[dict[str, object]] = deque(maxlen=_MOST)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; called by any thread (append is atomic)."""
        try:
            text = record.getMessage()
        except Exception:  # whoever logs must not fail for it
            self.handleError(record)
            return
        if record.exc_info and record.exc_info[0] is not None:
            text += f" ({record.exc_info[0].__name__})"
        self.records.append({
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "where": record.name.removeprefix("rtc_server."),
            "text": text[:_LONGEST],
        })  # fmt: skip

    def list_latest(self) -> list[dict[str, object]]:
        """The newest first."""
        return list(reversed(self.records.copy()))
