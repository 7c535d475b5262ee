# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The admin's application: pages, JSON, actions, and what every request has to pass before it."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from aiohttp import hdrs, web

from ..rarely import Rarely
from ..service import Service
from .gate import (
    CSRF_HEADER,
    SESSION_SECONDS,
    Gate,
    Session,
    is_foreign,
    is_front,
    is_own_host,
    is_same_origin,
    name_cookie,
    read_bearer,
)
from .path import PathWatch
from .state import Watcher

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BODY_BYTES = 4096
FRONT_PATH = "/panel"  # under which a proxy leads here
_OPEN = ("/login", "/panel.css")  # what is served to who has not shown the token
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # without a referrer at all forms would be sent with the origin "null"
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SESSION = web.RequestKey("session", Session)


def _read_file(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def _refuse(status: int, why: str, **headers: str) -> web.Response:
    return web.json_response({"error": why}, status=status, headers=headers)


class Pages:
    """Routes of one gate. ``restart`` ends the process in order; None where nobody would start it again."""

    def __init__(
        self, service: Service, gate: Gate, watcher: Watcher, watch: PathWatch, restart: Callable[[], None] | None
    ) -> None:
        self._service = service
        self._gate = gate
        self._watcher = watcher
        self._watch = watch
        self._restart = restart
        self._rarely = Rarely()
        self._drain: asyncio.Task[None] | None = None

    def make_app(self) -> web.Application:
        """The application. Whatever is added to it is behind the same gate."""
        app = web.Application(middlewares=[self._guard], client_max_size=_BODY_BYTES)
        for root in ("", FRONT_PATH):
            self._add_routes(app, root)
        return app

    def _add_routes(self, app: web.Application, root: str) -> None:
        app.router.add_get(f"{root}/", self._show_panel)
        app.router.add_get(f"{root}/login", self._show_login)
        app.router.add_post(f"{root}/login", self._log_in)
        app.router.add_get(f"{root}/panel.css", self._show_file)
        app.router.add_get(f"{root}/panel.js", self._show_file)
        app.router.add_get(f"{root}/api/state", self._tell_state)
        app.router.add_get(f"{root}/api/people", self._tell_people)
        for name, action in {
            "logout": self._log_out,
            "verify": self._verify,
            "restart": self._end_process,
            "drain": self._drain_service,
            "resume": self._resume,
            "disconnect": self._disconnect,
        }.items():
            app.router.add_post(f"{root}/api/{name}", action)

    # --- who may ------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            refused = self._check(request)
            answer = refused if refused is not None else await handler(request)
            if request.method == "POST":
                self._watcher.look_again()
        except web.HTTPException as exc:
            answer = _refuse(exc.status, exc.reason)
        except Exception:
            logger.exception("a request of an administrator failed")
            answer = _refuse(500, "a fault of the server itself, see its log")
        for name, value in _HEADERS.items():
            answer.headers[name] = value
        answer.force_close()  # a connection is for one request, so none is held
        return answer

    def _check(self, request: web.Request) -> web.Response | None:
        """Why a request is refused; None when it is not."""
        front, path = self._front, request.path
        if not is_own_host(request.host, front):
            return _refuse(403, "come by localhost, 127.0.0.1 or [::1], to which SSH forwards")
        if path.startswith(f"{FRONT_PATH}/"):
            path = path.removeprefix(FRONT_PATH)
        elif is_front(request.host, front):
            return _refuse(404, "nothing is here")  # for who comes through a proxy
        if path not in ("/", "/login") and is_foreign(request, front):  # links elsewhere may lead to these
            return _refuse(403, "the page of somebody else has sent this")
        if path in _OPEN:
            return None
        bearer = read_bearer(request)
        if bearer is not None:
            return None if self._gate.is_token(bearer) else self._refuse_token()
        session = self._gate.find_session(request.cookies.get(name_cookie(request.host), ""))
        if session is None:
            if path == "/" and request.method in ("GET", "HEAD"):
                return web.Response(status=303, headers={"Location": "login"})
            return _refuse(401, "log in, or show the token", **{hdrs.WWW_AUTHENTICATE: "Bearer"})
        if request.method not in ("GET", "HEAD"):
            given = request.headers.get(CSRF_HEADER, "").encode(errors="replace")
            if not is_same_origin(request, front) or not hmac.compare_digest(given, session.csrf.encode()):
                return _refuse(403, "this did not come from the panel")
        request[_SESSION] = session
        return None

    @property
    def _front(self) -> str:
        return self._service.config.admin.front  # as it is after the latest reload

    def _refuse_token(self) -> web.Response:
        if not self._gate.note_wrong():
            return _refuse(429, "too many wrong tokens", **{hdrs.RETRY_AFTER: "60"})
        self._rarely.log(logger, logging.WARNING, "token", "somebody has shown a wrong token to the admin listener")
        return _refuse(401, "wrong token", **{hdrs.WWW_AUTHENTICATE: "Bearer"})

    # --- pages --------------------------------------------------------------------------------

    async def _show_panel(self, request: web.Request) -> web.Response:
        session = request.get(_SESSION)
        text = _read_file("panel.html").replace("{csrf}", session.csrf if session is not None else "")
        return web.Response(text=text, content_type="text/html")

    async def _show_file(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        return web.Response(text=_read_file(name), content_type=_TYPES[name.rpartition(".")[2]])

    async def _show_login(self, _request: web.Request) -> web.Response:
        return _make_login("")

    async def _log_in(self, request: web.Request) -> web.Response:
        if not is_same_origin(request, self._front):
            return _refuse(403, "this did not come from the login page")
        # Not by request.post(), which fails in several ways for a body that names another encoding or is none.
        form = parse_qs((await request.read()).decode("ascii", "replace"))
        if not self._gate.is_token(form.get("token", [""])[0].strip()):
            refused = self._refuse_token()
            limited = refused.status == 429
            answer = _make_login("Too many wrong tokens: wait a minute." if limited else "That is not the token.")
            answer.set_status(refused.status)
            return answer
        session = self._gate.open_session()
        answer = web.Response(status=303, headers={"Location": "./"})
        secure = is_front(request.host, self._front)
        answer.set_cookie(
            name_cookie(request.host),
            session.id,
            max_age=int(SESSION_SECONDS),
            path=request.path.removesuffix("login"),
            secure=secure,
            httponly=True,
            samesite="Strict",
        )
        return answer

    async def _log_out(self, request: web.Request) -> web.Response:
        session = request.get(_SESSION)
        if session is not None:
            self._gate.close_session(session)
        answer = _done("logged out")
        answer.del_cookie(name_cookie(request.host), path=request.path.removesuffix("api/logout"))
        return answer

    # --- JSON ---------------------------------------------------------------------------------

    async def _tell_state(self, _request: web.Request) -> web.Response:
        return web.json_response(await self._watcher.see())

    async def _tell_people(self, request: web.Request) -> web.Response:
        page = request.query.get("page", "1")
        number = int(page) if page.isascii() and page.isdecimal() and len(page) < 10 else 1
        return web.json_response(self._watcher.list_people(number, request.query.get("search", "")[:200]))

    # --- actions ------------------------------------------------------------------------------

    async def _verify(self, _request: web.Request) -> web.Response:
        if not self._service.config.admin.url:
            return _refuse(409, "admin.url is not set: by which address users come is not known")
        self._watch.begin()
        return _done("the address of users is being tried")

    async def _end_process(self, _request: web.Request) -> web.Response:
        """The process ends as by SIGTERM, after a drain; systemd starts it again (Restart=always)."""
        if self._restart is None:
            return _refuse(409, "systemd has not started this process: it would end, and nobody would start it again")
        logger.warning("an administrator restarts the server")
        asyncio.get_running_loop().call_later(0.2, self._restart)  # once this is answered
        return _done("the server restarts: clients come back by themselves")

    async def _drain_service(self, _request: web.Request) -> web.Response:
        if self._drain is None or self._drain.done():
            logger.warning("an administrator drains the server: it refuses new clients")
            self._drain = asyncio.ensure_future(self._service.drain())
        return _done("clients are sent away, and new ones are refused")

    async def _resume(self, _request: web.Request) -> web.Response:
        if self._drain is not None and not self._drain.done():
            return _refuse(409, "clients are still being sent away: try again in a moment")
        logger.warning("an administrator resumes the server")
        self._service.resume()
        return _done("clients are let in again")

    async def _disconnect(self, request: web.Request) -> web.Response:
        try:
            user = json.loads(await request.read())["user"]
        except (ValueError, KeyError, TypeError, RecursionError):
            user = None
        if not isinstance(user, str) or not user:
            return _refuse(400, 'a JSON object is expected: {"user": "…"}')
        number = self._service.disconnect_user(user)
        logger.warning("an administrator has disconnected a user (%d connections)", number)
        return _done(f"{number} connections were ended", number=number)


def _done(what: str, **more: Any) -> web.Response:
    return web.json_response({"done": what, **more})


def _make_login(message: str) -> web.Response:
    return web.Response(text=_read_file("login.html").replace("{message}", message), content_type="text/html")
