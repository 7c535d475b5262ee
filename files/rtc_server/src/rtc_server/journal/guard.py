# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal does not take although it could: projects have a quota, and a disk must not become full."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ..rarely import Rarely
from .base import Compact, JournalLimits, Outcome, Submission
from .space import COPIES, Space

logger = logging.getLogger(__name__)

SPACE_RETRY = 10.0  # seconds after which clients may try again


class Guard:
    """Only the committing thread calls it."""

    def __init__(self, path: str, limits: JournalLimits) -> None:
        self.project_bytes = limits.project_bytes
        self.space = Space(path, limits.reserve_bytes)
        self.refused_project = False  # in this batch: one was at its quota
        self._said = Rarely()

    def set_limits(self, limits: JournalLimits) -> None:
        """Any thread may call this: a batch that is being kept has the old ones or the new ones."""
        self.project_bytes = limits.project_bytes
        self.space.reserve = limits.reserve_bytes

    def begin(self, batch: Iterable[Submission | Compact], unflushed: int, unchecked: int) -> bool:
        """Begin a batch, with so many bytes unflushed before it, and in SQLite's own WAL (``unchecked``): whether its
        changes are to be refused, as space is short. That is logged once a minute, and when it is over."""
        self.refused_project = False
        space, was_short = self.space, self.space.is_short
        if not space.reserve:
            space.is_short = False
        else:
            space.look(sum([len(r.data) for r in batch if isinstance(r, Submission)]), COPIES * unflushed + unchecked)
        if space.is_short:
            self._said.log(logger, logging.ERROR, "space", "%s", space.describe())
        elif was_short:
            logger.warning("there is space on the disk again: changes are taken")
        return space.is_short

    def refuse_for_space(self, batch: Iterable[Submission | Compact]) -> list[Outcome]:
        """The outcomes of requests for which there is no space."""
        message = "the server's disk is nearly full, so changes cannot be kept at present; try again"
        return [Outcome(r, code="unavailable", message=message, more={"retry_after": SPACE_RETRY}) for r in batch]

    def refuse_project(self, request: Submission) -> Outcome:
        """The outcome of a change to a project that is at its quota."""
        self.refused_project = True
        most = self.project_bytes
        line = (
            "project %r has the %d bytes of limits.project_bytes and takes no changes until a client sends a snapshot"
        )
        self._said.log(logger, logging.WARNING, ("quota", request.project), line, request.project, most)
        message = f"the project keeps all of the {most} bytes that it may; a snapshot lets older changes go"
        return Outcome(request, code="quota", message=message, more={"limit": most})


def refuse_unnumbered(request: Submission | Compact) -> Outcome:
    """The outcome of a request of a project for which, or for whose changes, there is no number."""
    message = "the journal has no number left for this project, or for its changes"
    return Outcome(request, code="unavailable", message=message)


def refuse_all(batch: Iterable[Submission | Compact]) -> list[Outcome]:
    """The outcomes of requests that the journal cannot keep at present."""
    message = "changes cannot be kept at present; try again"
    return [Outcome(r, code="unavailable", message=message) for r in batch]
