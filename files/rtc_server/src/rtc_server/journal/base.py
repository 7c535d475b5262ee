# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server asks of a journal.

A journal is the sequencer: it gives each change of a project the next revision (1, 2, 3, …) and makes it durable before
it reports the outcome. Outcomes arrive in the order in which the changes became durable, which is the order of
delivery; so a journal that several servers share can be put behind the same interface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..histogram import Histogram
from ..strict_json import dumps

SENT_NOW = 1 << 62  # later than every revision
MAX_PROJECT = 200  # characters of a name


def is_project_name(name: object) -> bool:
    """Whether clients can name a project so."""
    return isinstance(name, str) and 0 < len(name) <= MAX_PROJECT and name.isprintable()


class JournalError(Exception):
    """The journal cannot do what was asked now; ``str()`` names the cause and the remedy."""


class JournalInUse(JournalError):
    """Another process holds the journal."""


class Change(NamedTuple):
    """One change as it is kept. ``data`` is JSON text; ``time`` is milliseconds since 1970, UTC."""

    revision: int
    id: str
    user: str
    time: int
    data: str


class Snapshot(NamedTuple):
    """The state of a project after ``revision``, as JSON text; all later changes are kept."""

    revision: int
    data: str


class Head(NamedTuple):
    """Where a project stands. A project that was never changed has revision 0.

    ``epoch`` names this history: another one (after an import) makes revisions known to clients void.
    Changes after ``base`` can be read; ``snapshot`` is the revision of the snapshot, 0 when there is none.
    """

    epoch: str
    revision: int
    base: int
    snapshot: int


class JournalLimits(NamedTuple):
    """``project_bytes``: what a project may keep; more changes are refused (``quota``) until a snapshot makes room.
    ``reserve_bytes``: what is left free on the disk for the journal itself; 0: nothing.
    ``keep_ids_days``: after which ids of changes are forgotten."""

    project_bytes: int = 1 << 62
    reserve_bytes: int = 0
    keep_ids_days: float = 30


NO_LIMITS = JournalLimits()


class Figures(NamedTuple):
    """What a journal tells about itself."""

    kind: str  # "sqlite" | "postgresql"
    commits: Histogram  # seconds from when a batch was handed over until it was durable
    requests: int  # changes and snapshots that had an outcome, since the start
    waiting: int  # of them: those that are in no batch yet,
    waiting_bytes: int
    unflushed: int = 0  # changes that only the write-ahead log has,
    unflushed_bytes: int = 0
    files: tuple[str, ...] = ()  # where all of it is; none where a store has it


def make_label(id: str, user: str) -> str:
    """A change's members ``id`` and ``user`` as JSON text, without the braces around them."""
    return f'"id":{dumps(id)},"user":{dumps(user)}'


@dataclass(slots=True)
class Submission:
    """A change to be kept. ``data`` is JSON text in one line; ``label`` is :func:`make_label` of id and user.
    ``since`` is a revision that the project had when the change was sent for the first time, so that its own is a later
    one; one without it is known to be sent for the first time. ``context`` is the submitter's own.
    """

    project: str
    id: str
    user: str
    data: str
    label: str
    context: Any = None
    since: int = SENT_NOW


@dataclass(slots=True)
class Compact:
    """A snapshot to be kept: changes up to ``revision - keep`` may go."""

    project: str
    snapshot: Snapshot
    keep: int
    context: Any = None
    user: str = ""


@dataclass(slots=True)
class Outcome:
    """What became of a request.

    ``code`` is empty when it is durable; ``duplicate`` means that it was before: nothing new is to be
    delivered. A request that the journal made itself, without a context, is a change that was refused
    (``unavailable``) and turned out to be kept: it is to be delivered, and nobody waits for it. Otherwise ``code`` is
    an error code of the contract, ``message`` says why, and ``more`` is what the answer has besides.
    """

    request: Submission | Compact
    revision: int = 0
    time: int = 0
    duplicate: bool = False
    base: int = 0
    code: str = ""
    message: str = ""
    more: dict[str, float] | None = None


OnOutcomes = Callable[[Sequence[Outcome]], None]


class Journal(Protocol):
    """One store. All methods are called on the event loop's thread, none of them blocks it."""

    @property
    def retry_after(self) -> float:
        """Seconds after which a change that was refused for a fault may be taken; 0: nothing is known of that."""

    @property
    def fault(self) -> str | None:
        """Why changes are refused at present, or None."""

    @property
    def is_disk_full(self) -> bool:
        """Whether changes are refused because the disk is nearly full; snapshots are taken, and all can be read."""

    @property
    def alive(self) -> bool:
        """Whether it can answer at all; if not, the process has to be restarted."""

    def measure(self) -> Figures:
        """What it has done, and what is waiting."""

    def set_limits(self, limits: JournalLimits) -> None:
        """Take other limits from the next batch on; ``keep_ids_days`` stays."""

    async def start(self, on_outcomes: OnOutcomes) -> None:
        """Open the store. ``on_outcomes`` is called on the loop with each durable batch."""

    def submit(self, request: Submission | Compact) -> bool:
        """Queue for the next batch; False when too much is waiting already."""

    async def read_head(self, project: str) -> Head:
        """Where the project stands. Raises JournalError."""

    async def read_changes(self, project: str, since: int, limit: int, max_bytes: int) -> list[Change]:
        """At most ``limit`` changes after revision ``since``, in order, at least one if there is one,
        and no more once their data exceeds ``max_bytes``. Raises JournalError."""

    async def read_snapshot(self, project: str) -> Snapshot | None:
        """The latest snapshot. Raises JournalError."""

    async def wait_idle(self) -> None:
        """Wait until everything submitted has had its outcome."""

    async def close(self) -> None:
        """Commit what was submitted, then close the store."""
