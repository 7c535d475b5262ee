# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus is told: figures that the server keeps anyhow, put into words when somebody asks.

Nothing of Prometheus is on the way of a message. Labels have few values, all from the source: never the name of a user,
a project or an address. What cannot be seen has no value, which is not 0.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple, cast

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from . import __version__
from .config import Config
from .contract import CODES, TOO_MANY
from .doctor_host import Unseen, look_at_disk, read_certificates
from .engine.server import ERRORS
from .histogram import Histogram
from .looking import Looking
from .refusing import REFUSED
from .service import Service

LAG_INTERVAL = 0.5  # seconds between two looks at how late the loop is
_SLOW = "slow consumer"
_TOKENS = ("token_missing", "token_invalid", "token_expired")

Values = Histogram | Mapping[tuple[str, ...], float] | float | None
_COUNTER, _GAUGE, _HISTOGRAM = "counter", "gauge", "histogram"
_FAMILIES = {_COUNTER: CounterMetricFamily, _GAUGE: GaugeMetricFamily, _HISTOGRAM: HistogramMetricFamily}


class Kind(NamedTuple):
    """Of metric: its type as Prometheus calls it, what it says, and its labels."""

    type: str
    text: str
    labels: tuple[str, ...] = ()


METRICS = {
    "rtc_build_info": Kind(_GAUGE, "1; which server this is.", ("version", "python", "loop", "name")),
    "rtc_ready": Kind(_GAUGE, "Whether changes are taken, as /readyz says."),
    "rtc_draining": Kind(_GAUGE, "Whether the server sends its clients away."),
    "rtc_sessions": Kind(_GAUGE, "Sessions, by version of Engine.IO and transport.", ("protocol", "transport")),
    "rtc_sessions_pending": Kind(_GAUGE, "Sessions that have not shown a token yet."),
    "rtc_sessions_limit": Kind(_GAUGE, "Most sessions: limits.connections, or what the descriptors allow."),
    "rtc_connections": Kind(_GAUGE, "Connections with a token."),
    "rtc_users": Kind(_GAUGE, "Different users with a connection."),
    "rtc_projects": Kind(_GAUGE, "Projects that are loaded."),
    "rtc_members": Kind(_GAUGE, "Members of projects, at this server."),
    "rtc_buffer_bytes": Kind(_GAUGE, "Bytes that wait for clients to read them."),
    "rtc_buffer_limit_bytes": Kind(_GAUGE, "Most of them: limits.total_buffer_bytes."),
    "rtc_slow_sessions": Kind(_GAUGE, "WebSockets that have bytes waiting."),
    "rtc_sessions_opened_total": Kind(_COUNTER, "Sessions that were opened.", ("protocol",)),
    "rtc_sessions_ended_total": Kind(_COUNTER, "Sessions that ended.", ("reason",)),
    "rtc_connects_refused_total": Kind(_COUNTER, "Clients that were not let in.", ("reason",)),
    "rtc_http_refused_total": Kind(_COUNTER, "Requests of HTTP that were refused.", ("reason",)),
    "rtc_requests_refused_total": Kind(_COUNTER, "Requests of members that were refused.", ("reason",)),
    "rtc_changes_accepted_total": Kind(_COUNTER, "Changes that were kept and acknowledged."),
    "rtc_changes_repeated_total": Kind(_COUNTER, "Changes that were sent again and had been kept before."),
    "rtc_snapshots_accepted_total": Kind(_COUNTER, "Snapshots that were kept."),
    "rtc_deliveries_total": Kind(_COUNTER, "Messages to members, presence among them, each counted for each member."),
    "rtc_writes_total": Kind(_COUNTER, "Writes to clients, each of all messages of one turn of the loop."),
    "rtc_delivery_delay_seconds": Kind(_HISTOGRAM, "How long what was sent waited to be written, worst of each turn."),
    "rtc_commit_duration_seconds": Kind(_HISTOGRAM, "How long a batch of changes took to be durable."),
    "rtc_loop_lag_seconds": Kind(_HISTOGRAM, "How late the event loop was, asked twice a second."),
    "rtc_journal_up": Kind(_GAUGE, "Whether the journal takes changes.", ("kind",)),
    "rtc_journal_disk_full": Kind(_GAUGE, "Whether changes are refused because the disk is nearly full."),
    "rtc_journal_requests_total": Kind(_COUNTER, "Changes and snapshots that were kept or refused."),
    "rtc_journal_waiting_requests": Kind(_GAUGE, "Changes and snapshots that wait for a batch."),
    "rtc_journal_waiting_bytes": Kind(_GAUGE, "Bytes of those."),
    "rtc_journal_unflushed_changes": Kind(_GAUGE, "Changes that only the write-ahead log has."),
    "rtc_journal_unflushed_bytes": Kind(_GAUGE, "Bytes of those."),
    "rtc_journal_bytes": Kind(_GAUGE, "Size of the journal's files; none with a store."),
    "rtc_journal_disk_free_bytes": Kind(_GAUGE, "What is free on the journal's disk; none with a store."),
    "rtc_journal_disk_reserve_bytes": Kind(_GAUGE, "With less than this free no changes are taken; none with a store."),
    "rtc_store_servers": Kind(_GAUGE, "Other servers of the same store that are heard; none without a store."),
    "rtc_certificate_not_after_timestamp_seconds": Kind(
        _GAUGE, "When the first certificate of the chain expires; none without TLS."
    ),
}


class Seen(NamedTuple):
    """What had to be looked at; None: it cannot be seen, or there is none."""

    size: float | None = None
    free: float | None = None
    reserve: float | None = None
    expires: float | None = None


def look(place: tuple[Config, Sequence[str]]) -> Seen:
    """Files, their disk and the certificate. It may block."""
    config, files = place
    size = free = reserve = None
    if files:
        try:
            disk = look_at_disk(os.path.dirname(files[0]))
            free, reserve = disk.free, min(config.limits.reserve_bytes, disk.total // 10)
            size = sum([os.stat(name).st_size for name in files if os.path.exists(name)])
        except (Unseen, OSError):
            size = None
    return Seen(size, free, reserve, _find_expiry(config.tls.certificate))


def _find_expiry(path: str) -> float | None:
    try:
        return _read_expiry(path, os.stat(path).st_mtime_ns) if path else None
    except (Unseen, OSError):
        return None


@lru_cache(maxsize=1)
def _read_expiry(path: str, _changed: int) -> float:
    return min(certificate.ends for certificate in read_certificates(path))


class Metrics:
    """The figures of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._process = ProcessCollector(registry=None)
        self._lag = Histogram()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._looking = Looking(look)
        self._seen = Seen()

    # --- the loop ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Look at the loop from now on, until :meth:`end`."""
        loop = asyncio.get_running_loop()
        self._due = loop.time() + LAG_INTERVAL
        self._timer = loop.call_at(self._due, self._note_lag)

    def _note_lag(self) -> None:
        self._lag.observe(max(0.0, asyncio.get_running_loop().time() - self._due))
        self.begin()

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    # --- the answer -------------------------------------------------------------------------------

    async def answer(self, _request: web.Request) -> web.Response:
        """All figures as text."""
        service = self._service
        place = (service.config, service.journal.measure().files)
        self._seen = await self._looking.look(place) or Seen()
        return web.Response(body=generate_latest(self), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    def collect(self) -> Iterator[Metric]:
        """As the package asks its collectors."""
        found = {**self._measure_clients(), **self._measure_traffic(), **self._measure_journal()}
        for name, kind in METRICS.items():
            yield _make_family(name, kind, found[name])
        yield from self._process.collect()

    def _measure_clients(self) -> dict[str, Values]:
        service = self._service
        sessions = Counter[tuple[str, ...]]()
        waiting = slow = 0
        for session in service.sessions.values():
            sessions[(str(session.eio_version), session.transport)] += 1
            backlog = session.backlog
            waiting += backlog
            slow += backlog > 0 and session.ws is not None
        projects = service.projects.loaded.values()
        journal = service.journal
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        return {
            "rtc_build_info": {(__version__, platform.python_version(), loop, service.config.server.name): 1},
            "rtc_ready": not service.draining and not journal.is_disk_full and journal.fault is None,
            "rtc_draining": service.draining,
            "rtc_sessions": {
                **{(protocol, transport): 0 for protocol in "34" for transport in ("polling", "websocket")},
                **sessions,
            },
            "rtc_sessions_pending": len(service.pending),
            "rtc_sessions_limit": service.max_sessions,
            "rtc_connections": service.connected,
            "rtc_users": sum([user.connections > 0 for user in service.users.values()]),
            "rtc_projects": len(projects),
            "rtc_members": sum([len(project.members) for project in projects]),
            "rtc_buffer_bytes": waiting,
            "rtc_buffer_limit_bytes": service.total_buffer_limit,
            "rtc_slow_sessions": slow,
        }

    def _measure_traffic(self) -> dict[str, Values]:
        service, projects, hub = self._service, self._service.projects, self._service.hub
        return {
            "rtc_sessions_opened_total": _label(("3", "4"), {str(key): n for key, n in service.opened.items()}),
            "rtc_sessions_ended_total": _label((_SLOW,), service.ended),
            "rtc_connects_refused_total": _label((*_TOKENS, TOO_MANY), service.refused_connects),
            "rtc_http_refused_total": _label(ERRORS, service.refused),
            "rtc_requests_refused_total": _label(CODES, REFUSED),
            "rtc_changes_accepted_total": projects.accepted,
            "rtc_changes_repeated_total": projects.repeated,
            "rtc_snapshots_accepted_total": projects.snapshots,
            "rtc_deliveries_total": hub.delivered,
            "rtc_writes_total": hub.writes,
            "rtc_delivery_delay_seconds": hub.delays,
            "rtc_loop_lag_seconds": self._lag,
        }

    def _measure_journal(self) -> dict[str, Values]:
        service, seen = self._service, self._seen
        journal, company = service.journal, service.projects.company
        figures = journal.measure()
        return {
            "rtc_commit_duration_seconds": figures.commits,
            "rtc_journal_up": {(figures.kind,): journal.fault is None},
            "rtc_journal_disk_full": journal.is_disk_full,
            "rtc_journal_requests_total": figures.requests,
            "rtc_journal_waiting_requests": figures.waiting,
            "rtc_journal_waiting_bytes": figures.waiting_bytes,
            "rtc_journal_unflushed_changes": figures.unflushed,
            "rtc_journal_unflushed_bytes": figures.unflushed_bytes,
            "rtc_journal_bytes": seen.size,
            "rtc_journal_disk_free_bytes": seen.free,
            "rtc_journal_disk_reserve_bytes": seen.reserve,
            "rtc_store_servers": None if company is None else company.count_others(),
            "rtc_certificate_not_after_timestamp_seconds": seen.expires,
        }


def _label(known: Sequence[str] | Mapping[str, object], counts: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    """Counts with those that are 0 yet: a rate needs the value before the first event."""
    return {(name,): number for name, number in {**dict.fromkeys(known, 0), **counts}.items()}


def _make_family(name: str, kind: Kind, found: Values) -> Metric:
    family: Any = _FAMILIES[kind.type](name, kind.text, labels=kind.labels)
    if isinstance(found, Histogram):
        ends = [*map(str, found.bounds), "+Inf"]
        buckets = list(zip(ends, accumulate(found.counts), strict=True))
        family.add_metric((), buckets, found.sum)
    elif isinstance(found, Mapping):
        for labels, value in found.items():
            family.add_metric(labels, value)
    elif found is not None:
        family.add_metric((), found)
    return cast(Metric, family)


def add_metrics(app: web.Application, service: Service) -> None:
    """Answer ``GET /metrics``. Whoever serves the application lets nobody ask without a right to."""
    metrics = Metrics(service)

    async def begin(_app: web.Application) -> None:
        metrics.begin()

    async def end(_app: web.Application) -> None:
        metrics.end()

    app.on_startup.append(begin)
    app.on_cleanup.append(end)
    app.router.add_get("/metrics", metrics.answer)
