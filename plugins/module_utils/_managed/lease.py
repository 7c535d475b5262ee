# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease of a run on a host: while one run changes it, no other does."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import math
import os
import stat
import time
from dataclasses import dataclass
from typing import Iterator, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._place import Place, explained
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

PATH = "/var/lib/collab-rtc/lease"  # a directory
_FILE = "lease.json"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATIENCE = 10.0  # seconds: taking a lease takes milliseconds, undoing runs longer
# Seconds after which a lease counts for nothing: no run takes so long. From so far in the future neither: the clock was
# set back since.
LONGEST = 4 * 3600


@dataclass
class Lease:
    """Who changes the host."""

    run: str = ""
    user: str = ""  # "anna@controller"
    controller: str = ""  # identifies the process there: "MACHINE-ID PID START"
    since: float = 0.0  # seconds since the epoch, by the host's clock

    def describe(self, now: float) -> str:
        """Run, user and age, for messages."""
        minutes = abs(int(now - self.since)) // 60
        when = "ago" if self.since <= now else "in the future of this host's clock"
        return f"run {self.run} of {self.user or 'an unknown user'}, which began {minutes} minutes {when}"


def read(path: str = PATH) -> Lease | None:
    """The lease that is held; one that cannot be read is of an unknown run.

    A directory without it is none: who was to write it was killed, or is about to.
    """
    info = _files.look(path)
    if info is None or (stat.S_ISDIR(info.st_mode) and _files.look(f"{path}/{_FILE}", follow=False) is None):
        return None
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, RtcError):
        found = json.loads(_files.read_existing(f"{path}/{_FILE}") or b"")
        since = float(found.get("since", info.st_mtime))
        if found["run"] and math.isfinite(since):  # NaN is after no time, and would never be held
            return Lease(
                run=str(found["run"]),
                user=str(found.get("user", "")),
                controller=str(found.get("controller", "")),
                since=since,
            )
    return Lease(run="unknown", since=info.st_mtime)


def require_free(runs: Sequence[str], path: str = PATH) -> None:
    """Make sure that no run holds the lease but one of these, which may have been killed.

    :raises RtcError: another run holds it.
    """
    held, now = read(path), time.time()
    if held is not None and held.run not in runs and abs(now - held.since) < LONGEST:
        raise RtcError(
            f"This host is being changed by {held.describe(now)}.",
            f"Wait for its end. If it was killed, remove {path} on this host.",
        )


@contextlib.contextmanager
def alone(path: str = PATH) -> Iterator[None]:
    """Keep all others from taking the lease, for a moment.

    It is a lock on the directory above (flock(2)). It ends with the process, so a kill leaves none.

    :raises RtcError: somebody else has it, and goes on having it.
    """
    folder = os.path.dirname(path)
    with Place(folder) as place:
        if place.info is None:  # then there is nothing to keep
            yield
            return
        with explained(folder, "locked"):
            handle = os.open(place.name, _DIRECTORY, dir_fd=place.directory)
    try:
        end = time.monotonic() + _PATIENCE
        while not _lock(handle):
            if time.monotonic() > end:
                raise RtcError(
                    "Another run changes this host in this moment: it takes the lease, or gives files back.",
                    "Wait for its end, and run again.",
                )
            time.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(OSError):  # it is closed, too
            os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take(lease: Lease, dead: Sequence[str] = (), path: str = PATH) -> None:
    """Hold the lease from now on.

    :param dead: ids of runs whose leases count for nothing, because their processes are gone.
    :raises RtcError: another run holds it, or it cannot be written; then it is as it was.
    """
    _files_tree.make_directory(os.path.dirname(path), 0o700)
    with alone(path):  # else two could find it free, and each take it
        require_free((lease.run, *dead), path)
        hold(lease, path)


def hold(lease: Lease, path: str = PATH) -> None:
    """Write the lease, while nobody else can; whoever had it changes nothing more."""
    end_holder(lease.run, path)
    lease.since = time.time()
    _files_tree.make_directory(path, 0o700)
    _files.write_atomic(f"{path}/{_FILE}", json.dumps(dataclasses.asdict(lease)).encode(), 0o600)


def end_holder(run: str, path: str = PATH) -> None:
    """Let the run that holds the lease change nothing more, unless it is this one: it may be there still, where it
    was taken for dead, or its module goes on without it."""
    held = read(path)
    if held is not None and held.run != run:
        records.end_run(os.path.join(os.path.dirname(path), "undo", held.run), for_good=True)


def give_up(run: str, path: str = PATH) -> None:
    """End the lease of a run; another's stays."""
    held = read(path)
    if held is not None and held.run == run:
        _files_tree.remove_tree(path)
