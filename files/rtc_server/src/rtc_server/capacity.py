# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections there may be, so that file descriptors never run out."""

from __future__ import annotations

import os
import resource
from typing import NamedTuple

ASIDE = 96  # descriptors for journal, exports, connections that are being closed, and what else may need one
LEAST = 16  # connections with which it is worth starting
_LEAST_PENDING = 64  # however few may be connected: a client that polls comes with three
_UNLIMITED = 1 << 30


class Capacity(NamedTuple):
    """Most of each at a time. ``sockets`` includes both kinds; a client that polls has two or more."""

    sockets: int  # strangers make room in them
    strangers: int  # sockets, and sessions, that have not shown a token
    sessions: int  # all of them


def plan_capacity(descriptors: int, used: int, connections: int, pending: int) -> Capacity:
    """What fits into so many descriptors of which so many are used for other things. ``connections`` and ``pending``
    are those of the configuration. Strangers may have whatever those with a token leave, as they make room for them,
    but never less than an eighth; and no more than there may be of the latter, so that a small server needs few
    descriptors."""
    pending = _limit_pending(connections, pending)
    sockets = max(0, min(descriptors - used - ASIDE, 2 * connections + pending))
    strangers = min(pending, sockets)
    return Capacity(sockets, strangers, min(connections, sockets - min(pending, sockets // 8)))


def needed_descriptors(used: int, connections: int, pending: int, sockets_each: int = 1) -> int:
    """With which nothing has to be smaller than configured, if each client has so many connections."""
    return used + ASIDE + sockets_each * connections + _limit_pending(connections, pending)


def _limit_pending(connections: int, pending: int) -> int:
    return min(pending, max(connections, _LEAST_PENDING))


def read_limit(wanted: int = 0) -> int:
    """Descriptors that this process may have open (RLIMIT_NOFILE, getrlimit(2)), after raising its soft limit to what
    is wanted or as far as that is allowed."""
    soft, hard = (_UNLIMITED if value == resource.RLIM_INFINITY else value for value in _get())
    if soft < wanted and soft < hard:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, _get()[1]))
    return soft


def _get() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def count_open() -> int:
    """Descriptors that this process has open now; an estimate where /proc is missing."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 32
