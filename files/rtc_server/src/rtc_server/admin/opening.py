# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening the admin listener of a service, where one is configured."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import web

from ..config import ConfigError, read_admin_token
from ..service import Service
from .gate import Gate
from .listener import AdminListener
from .pages import Pages
from .path import Path, PathWatch, try_path
from .recent import Recent
from .state import Watcher

logger = logging.getLogger(__name__)

AddRoutes = Callable[[web.Application, Service], None]


class Admin:
    """What is open for administrators; nothing as long as there is no listener."""

    def __init__(
        self, listener: AdminListener | None = None, watch: PathWatch | None = None, recent: Recent | None = None
    ) -> None:
        self.listener = listener
        self._watch = watch
        self._recent = recent

    async def close(self) -> None:
        """Serve administrators no more."""
        if self._recent is not None:
            logging.getLogger().removeHandler(self._recent)
        if self._watch is not None:
            self._watch.end()
        if self.listener is not None:
            await self.listener.close()


async def open_admin(
    service: Service,
    restart: Callable[[], None] | None,
    is_worth_logging: Callable[[logging.LogRecord], bool],
    *more: AddRoutes,
) -> Admin:
    """Serve administrators, where that is configured. That it fails is logged and no more: users are served without it.

    :param restart: ends the process in order; None where nobody would start it again.
    :param is_worth_logging: which records may be shown.
    :param more: further routes behind the same gate.
    """
    settings = service.config.admin
    if not settings.listen:
        return Admin()

    async def make_try() -> Path:
        admin = service.config.admin  # as it is after the latest reload
        return await try_path(admin.url, admin.ca, service.config.server.path)

    watch, recent = PathWatch(make_try), Recent()
    recent.addFilter(is_worth_logging)
    try:
        gate = Gate(read_admin_token(settings))
        watcher = Watcher(service, watch, recent, restart is not None)
        app = Pages(service, gate, watcher, watch, restart).make_app()
        for add in more:
            add(app, service)
        listener = AdminListener(settings.listen, app)
        await listener.open()
    except (ConfigError, OSError) as exc:
        logger.error("administrators are not served, users are: %s: %s", settings.listen, exc)
        return Admin()
    except Exception:
        logger.exception("administrators are not served, users are: %s", settings.listen)
        return Admin()
    logging.getLogger().addHandler(recent)
    logger.info("administrators are served at %s", settings.listen)
    return Admin(listener, watch, recent)
