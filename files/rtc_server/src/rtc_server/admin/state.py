# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to see of a running server, as plain values: the panel shows them, programs get them as JSON.

Names of users and projects come from clients. They are values here and text on the page, never markup.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from .. import __version__
from .. import doctor_host as host
from ..capacity import count_open, read_limit
from ..config import Config
from ..connection import Connection
from ..engine import Session, Socket
from ..looking import Looking
from ..memory import read_resident
from ..service import Service
from .path import Path, PathWatch
from .recent import Recent

UP, DOWN, UNKNOWN = "up", "down", "unknown"
_MOST_SLOW = 20
MOST_PEOPLE = 200  # of one page
_UNSEEN: dict[str, Any] = {"disk": None, "journal_bytes": None, "certificate": None}


def find_port(config: Config) -> int:
    """The port that users come by, as far as the configuration tells."""
    url = urlsplit(config.admin.url)
    return url.port or {"https": 443, "http": 80}.get(url.scheme, config.server.port)


def name_protocol(config: Config) -> str:
    """As the vendor's panel does: HTTP, HTTP + SSL (TLS ends at the proxy), HTTPS (at the server)."""
    if config.tls.certificate:
        return "HTTPS"
    return "HTTP + SSL" if config.admin.url.startswith("https:") else "HTTP"


class Watcher:
    """Sees a service."""

    def __init__(self, service: Service, watch: PathWatch, recent: Recent, can_restart: bool) -> None:
        self._service = service
        self._watch = watch
        self._recent = recent
        self._can_restart = can_restart
        self._started = time.time()
        self._latest: tuple[float, dict[str, Any]] | None = None
        self._files = Looking(_look_at_files)

    async def see(self) -> dict[str, Any]:
        """All but who is connected. Looked at once a second at most, however many ask."""
        now = time.monotonic()
        latest = self._latest
        if latest is None or now - latest[0] >= 1.0:
            latest = self._latest = (now, await self._see())
        return latest[1]

    def look_again(self) -> None:
        """Something was done: what was seen before is old."""
        self._latest = None

    async def _see(self) -> dict[str, Any]:
        service = self._service
        config = service.config
        path = await self._watch.look() if config.admin.url else None
        files = await self._files.look(config) or _UNSEEN
        # From here on nothing is waited for: all is of one moment.
        status, why, remedy = judge(service, config, path)
        return {
            "at": round(time.time(), 3),
            "version": __version__,
            "started": round(self._started, 3),
            "status": status,
            "why": why,
            "remedy": remedy,
            "draining": service.draining,
            "can_restart": self._can_restart,
            "server": {
                "name": config.server.name or urlsplit(config.admin.url).hostname or "",
                "port": find_port(config),
                "protocol": name_protocol(config),
                "url": config.admin.url,
                "listens": f"{config.server.address} port {config.server.port}",
            },
            "path": {"running": self._watch.running, **(asdict(path) if path else asdict(Path()))},
            "connections": self._count_connections(),
            "projects": {
                "loaded": len(service.projects.loaded),
                "members": sum(len(project.members) for project in service.projects.loaded.values()),
            },
            "counts": {"requests": getattr(service.journal, "requests", 0), "writes": service.hub.writes},
            "waiting": {"bytes": service.slow_bytes, "slow": self._list_slow()},
            "journal": {
                "kind": "store" if config.journal.store_url else "file",
                "where": config.journal.store_url or config.journal.path,
                "fault": service.journal.fault or "",
                "disk_full": service.journal.is_disk_full,
            },
            "process": {
                "pid": os.getpid(), "memory": read_resident(), "files": count_open(), "most_files": read_limit(),
            },
            **files,
            "recent": self._recent.list_latest(),
        }  # fmt: skip

    def _count_connections(self) -> dict[str, int]:
        service = self._service
        kinds = Counter((s.transport, s.eio_version) for s in service.sessions.values() if s.admitted)
        return {
            "with_token": service.connected,
            "users": sum(1 for user in service.users.values() if user.connections),
            "without_token": len(service.pending),
            "websocket": kinds["websocket", 4] + kinds["websocket", 3],
            "polling": kinds["polling", 4] + kinds["polling", 3],
            "engine_io_3": kinds["websocket", 3] + kinds["polling", 3],
            "most": service.max_sessions,
        }

    def _list_slow(self) -> list[dict[str, Any]]:
        """For whom most bytes wait."""
        waiting = [(s.backlog, s) for s in self._service.sessions.values() if s.admitted and s.backlog]
        waiting.sort(key=lambda item: -item[0])
        return [_describe(socket) for _, session in waiting[:_MOST_SLOW] for socket in _sockets_of(session)]

    def list_people(self, page: int, search: str) -> dict[str, Any]:
        """Who is connected to what, by name: one page. ``search`` is a part of a user's or project's name."""
        wanted = search.casefold()
        found: list[tuple[str, float, Socket]] = []
        for socket in self._service.namespace().sockets.values():
            connection: Connection | None = socket.app
            if connection is None:
                continue
            names = (connection.identity.user, connection.identity.name, *connection.members)
            if not wanted or any(wanted in name.casefold() for name in names):
                found.append((connection.identity.user, connection.since, socket))
        found.sort(key=lambda item: item[:2])
        pages = max(1, -(-len(found) // MOST_PEOPLE))
        page = min(max(1, page), pages)
        some = found[(page - 1) * MOST_PEOPLE : page * MOST_PEOPLE]
        return {
            "total": len(found), "page": page, "pages": pages, "people": [_describe(socket) for _, _, socket in some],
        }  # fmt: skip


def judge(service: Service, config: Config, path: Path | None) -> tuple[str, str, str]:
    """UP or DOWN, for users; why, and what to do."""
    if service.draining:
        return DOWN, "the server is drained: it refuses new clients", "Resume or restart it."
    if service.journal.is_disk_full:
        return DOWN, "the disk is nearly full: no changes are taken", "Free some space: it goes on by itself."
    if service.journal.fault is not None:
        return DOWN, f"no changes are taken: {service.journal.fault}", "It is tried again every second."
    if not config.admin.url:
        return UNKNOWN, "the server takes changes; by which address users come is not configured", "Set admin.url."
    if path is None:
        return UNKNOWN, "the address of users is being tried", ""
    failed = path.find_failed()
    if failed is not None:
        return DOWN, f"{failed.name}: {failed.text}", failed.remedy
    return UP, "a client can connect by the address of users", ""


def _sockets_of(session: Session) -> Iterator[Socket]:
    if session.app is not None:
        yield from (socket for socket in session.app.sockets.values() if socket.app is not None)


def _describe(socket: Socket) -> dict[str, Any]:
    connection: Connection = socket.app
    session = socket.session
    return {
        "user": connection.identity.user,
        "name": connection.identity.name,
        "projects": list(connection.members),
        "transport": session.transport,
        "engine_io": session.eio_version,
        "since": round(connection.since, 3),
        "address": session.handshake.remote,
        "waiting": session.backlog,
    }


def _look_at_files(config: Config) -> dict[str, Any]:
    """Disk, journal's files and the certificate that the server itself presents; ``null`` for what cannot be seen."""
    found = dict(_UNSEEN)
    if config.journal.path:
        try:
            disk = host.look_at_disk(os.path.dirname(config.journal.path))
            found["disk"] = {
                "free": disk.free, "total": disk.total, "reserve": min(config.limits.reserve_bytes, disk.total // 10),
            }  # fmt: skip
        except host.Unseen:
            pass
        with contextlib.suppress(OSError):
            name = os.path.basename(config.journal.path)
            with os.scandir(os.path.dirname(config.journal.path)) as entries:
                found["journal_bytes"] = sum(one.stat().st_size for one in entries if one.name.startswith(name))
    if config.tls.certificate:
        try:
            first = host.read_certificates(config.tls.certificate)[0]
            found["certificate"] = {"ends": first.ends, "subject": first.subject, "names": first.names}
        except host.Unseen:
            pass
    return found
