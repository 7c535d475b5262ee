# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check page, which tries the way from a user's browser to this server, and what its links let in.

What a link opens has nothing to do with anybody's projects: a namespace of its own, in which each link has one project,
in memory only. Whoever finds a link can check the connection until it expires, and nothing else.
"""

from __future__ import annotations

import re
import time
from importlib import resources

from aiohttp import hdrs, web

from .auth import Identity
from .config import LimitSettings
from .connection import Connection, User, make_presence_allowance, make_user
from .engine import ConnectRefused, Engine, Namespace, Session, Socket
from .handlers import Handlers
from .journal.fleeting import FleetingJournal
from .projects import Projects

NAMESPACE = "/check"
PATH = "/check"
EVENTS = ("join", "change", "presence", "leave")
MOST_CONNECTIONS = 100  # of all links
MOST_CHANGES = 200  # of a project: with these sizes all of them are in memory for as long as somebody is in it
LIMITS = LimitSettings(
    change_bytes=500,
    changes_per_second=5,
    changes_burst=50,
    presence_bytes=200,
    members_per_project=20,
    projects_per_connection=1,
    connections_per_user=20,
)


class Check:
    """Who came by links, and what they do together."""

    def __init__(self, engine: Engine, namespace: Namespace) -> None:
        self._links: dict[str, User] = {}  # with connections, or with what they have spent
        self._connected = 0
        self._sockets = namespace.sockets
        journal = FleetingJournal(MOST_CHANGES)
        self.projects = Projects(engine, namespace, journal, LIMITS)
        journal.begin(self.projects.find_delivered, self.projects.on_outcomes)
        self.handlers = Handlers(self.projects, LIMITS, time.monotonic)
        self.handlers.register(namespace, EVENTS)

    def admit(self, socket: Socket, identity: Identity) -> None:
        """Let in who shows a link's token. Raises ConnectRefused."""
        now, link = time.monotonic(), self._links.get(identity.check)
        for number, limit in (
            (self._connected, MOST_CONNECTIONS),
            (link.connections if link is not None else 0, LIMITS.connections_per_user),
        ):
            if number >= limit:
                data = {"code": "too_many", "limit": limit}
                raise ConnectRefused(f"there are {limit} connections to check already", data)
        if link is None:
            self._links = {name: one for name, one in self._links.items() if not one.is_idle(now)}
            link = self._links[identity.check] = make_user(LIMITS, now)
        link.connections += 1
        self._connected += 1
        socket.app = Connection(socket, identity, link, make_presence_allowance(LIMITS, now))

    def dismiss(self, connection: Connection) -> None:
        """A connection is over."""
        for member in connection.members.values():
            self.projects.leave(member)
        connection.members.clear()
        connection.user.connections -= 1
        self._connected -= 1

    def find_oldest(self) -> Session | None:
        """Who checks, and nothing else, for longest: makes room where users need it."""
        return next((one.session for one in self._sockets.values() if len(one.session.app.sockets) == 1), None)


# --- the page ------------------------------------------------------------------------------------


def read_page() -> str:
    """The page: one file, with script and style inside, which can be opened from a disk, too."""
    return resources.files(__package__).joinpath("check.html").read_text(encoding="utf-8")


def make_headers(page: str) -> dict[str, str]:
    """Nothing but what is in the page runs, and it talks to this server only. The page's own policy names the hashes of
    its script and style. WebSocket is named as older browsers do not take it for 'self'."""
    hashes = re.findall(r"(script|style)-src ('sha256-[A-Za-z0-9+/=]+')", page)
    own = "".join(f" {kind}-src {value};" for kind, value in hashes)
    return {
        hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
        hdrs.CACHE_CONTROL: "no-store",
        "Content-Security-Policy": f"default-src 'none';{own} connect-src 'self' ws: wss:; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def add_page(app: web.Application) -> None:
    """Serve the page, and tell it whether cookies reach: their number and bytes, nothing of them."""
    page = read_page()
    body, headers = page.encode(), make_headers(page)

    async def give_page(_request: web.Request) -> web.Response:
        response = web.Response(body=body, headers=headers)
        response.force_close()  # or who asks for it a hundred times in one go would fill the connection's buffer
        return response

    async def count_cookies(request: web.Request) -> web.Response:
        sent = request.headers.getall(hdrs.COOKIE, [])
        number = sum([part.count(";") + 1 for part in sent])
        return web.json_response(
            {"cookies": number, "bytes": sum(map(len, sent))}, headers={hdrs.CACHE_CONTROL: "no-store"}
        )

    app.router.add_get(PATH, give_page)
    app.router.add_get(PATH + "/cookies", count_cookies)
