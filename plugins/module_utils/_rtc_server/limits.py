# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of the RTC server, as its configuration has them, and what the service may take of its host with them.

``LimitSettings`` in files/rtc_server/src/rtc_server/config.py has the same names, defaults and bounds; a test holds
that. The controller checks the inventory with them, and a host sizes the unit, before a server is there to be asked.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Union

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server.unit import beside

Number = Union[int, float]


class Limit(NamedTuple):
    """A limit that is a whole number has a whole number as default."""

    default: Number
    low: Number
    high: Number


LIMITS = {
    "payload_bytes": Limit(1_000_000, 1_000, 64 << 20),
    "change_bytes": Limit(256_000, 100, 32 << 20),
    "snapshot_bytes": Limit(900_000, 100, 32 << 20),
    "presence_bytes": Limit(4_000, 10, 1 << 20),
    "changes_per_second": Limit(200.0, 0.01, 1e6),
    "changes_burst": Limit(1_000, 1, 1_000_000),
    "change_bytes_per_second": Limit(1_000_000.0, 100, 1e10),
    "change_bytes_burst": Limit(4_000_000, 100, 64 << 30),
    "presence_per_second": Limit(60.0, 0.01, 1e6),
    "presence_bytes_per_second": Limit(40_000.0, 10, 1e10),
    "reads_per_second": Limit(20.0, 0.01, 1e6),
    "read_bytes_per_second": Limit(4_000_000.0, 1_000, 1e10),
    "refusals_per_second": Limit(20.0, 0.1, 1e6),
    "project_bytes": Limit(1 << 30, 100_000, 1 << 50),
    "reserve_bytes": Limit(256 << 20, 0, 1 << 50),
    "members_per_project": Limit(500, 1, 100_000),
    "projects_per_connection": Limit(20, 1, 10_000),
    "history_page": Limit(1_000, 1, 100_000),
    "page_bytes": Limit(1_000_000, 1_000, 64 << 20),
    "keep_changes": Limit(1_000, 0, 1_000_000),
    "connections": Limit(10_000, 1, 1_000_000),
    "total_connections": Limit(1_000_000, 1, 100_000_000),
    "connections_per_user": Limit(50, 1, 1_000_000),
    "pending": Limit(4_000, 1, 1_000_000),
    "pending_per_address": Limit(200, 1, 1_000_000),
    "pending_bytes": Limit(32 << 20, 100_000, 64 << 30),
    "refused_tokens_per_minute": Limit(60.0, 0.1, 1e6),
    "buffer_bytes": Limit(4 << 20, 10_000, 256 << 20),
    "total_buffer_bytes": Limit(128 << 20, 100_000, 64 << 30),
    "connect_bytes": Limit(16_384, 1_000, 64 << 20),
    "connect_seconds": Limit(10.0, 0.1, 300),
}

# --- what the service may take of its host ---------------------------------------------------------------

_MIB = 1 << 20
_PROGRAM = 128 * _MIB  # interpreter, libraries, and what it takes to start
_JOURNAL = 384 * _MIB  # changes that wait (64), are not flushed (64, twice: text and labels), buffers, caches of SQLite
_CONNECTION = 40 << 10  # bytes of an idle one with TLS: session, heartbeat, buffers of OpenSSL
_BUSY = 32  # requests that are read and answers that are made at a time
_LOADED = 128  # projects whose latest changes, half a megabyte, and whose snapshot are in memory
_TAIL = 512 << 10
_DESCRIPTORS = 512  # besides clients': journal, log, event loop, health checks, new connections that are refused
MOST_DESCRIPTORS = 1 << 20  # fs.nr_open of Linux: with more the unit does not start


def read_number(value: Any, whole: bool) -> Number | None:
    """A number as a configuration or an inventory has it, perhaps as text; None for anything else."""
    if isinstance(value, str):
        try:
            value = int(value) if whole else float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return None
    return value


def _get(limits: Mapping[str, Any], name: str) -> Number:
    """A limit of a configuration that nobody has checked yet: the server refuses it later, and says why."""
    limit = LIMITS[name]
    number = read_number(limits.get(name), isinstance(limit.default, int))
    return limit.default if number is None or not limit.low <= number <= limit.high else number


def estimate_memory(limits: Mapping[str, Any]) -> int:
    """Bytes that a server with those limits may take at most; limits that are not given have their defaults.

    128 MiB for the program, 384 MiB for the journal, 40 KiB for each of ``connections``, twice ``total_buffer_bytes``
    (between two counts twice as much may wait), for 32 requests at a time four times ``payload_bytes`` (received,
    decoded, as an object, encoded) and one ``page_bytes`` and ``snapshot_bytes``, and for 128 projects in memory their
    latest changes (512 KiB) and a snapshot.
    """
    return int(
        _PROGRAM
        + _JOURNAL
        + _CONNECTION * _get(limits, "connections")
        + 2 * _get(limits, "total_buffer_bytes")
        + _BUSY * (4 * _get(limits, "payload_bytes") + _get(limits, "page_bytes") + _get(limits, "snapshot_bytes"))
        + _LOADED * (_TAIL + _get(limits, "snapshot_bytes"))
    )


def count_descriptors(limits: Mapping[str, Any]) -> int:
    """File descriptors of a server with those limits: two for each of ``connections``, as one that changes from polling
    to WebSocket has both, and 512 besides."""
    return min(MOST_DESCRIPTORS, 2 * int(_get(limits, "connections")) + _DESCRIPTORS)


# One unit serves instances of different configurations. It is sized by the defaults; an instance with limits of its own
# has this besides. Beyond MemoryMax= the kernel ends this service, and not one that the host was made for, and systemd
# starts it again. There is no MemoryHigh=: it makes a process wait, for longer than the watchdog does.
_DROP_IN = """\
# Written by collab.rtc; changes are overwritten by its next run. It follows from the configuration's limits.
[Service]
MemoryMax={memory}M
LimitNOFILE={descriptors}
"""


def drop_in(tls_drop_in: str) -> str:
    """Path of :func:`render_drop_in`, beside the file for TLS."""
    return beside(tls_drop_in, "limits")


def render_drop_in(limits: Any) -> str | None:
    """What the unit of an instance with these limits has besides; None: they are the defaults.

    :param limits: section ``limits`` of the configuration; what is wrong in it, the server says later.
    """
    if not isinstance(limits, dict) or not limits:
        return None
    return _DROP_IN.format(memory=-(-estimate_memory(limits) >> 20), descriptors=count_descriptors(limits))
