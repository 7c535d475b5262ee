# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An example: serves a page and makes tokens for it. Needs aiohttp and PyJWT.

    python3 issuer.py --rtc https://wiki.example.org:9083 --key token.key --library socket.io.esm.min.js

The key is the site's (token.keys of the RTC server). Whoever reads it can speak for everybody: it belongs to your
application's server, never to a page. The library is
dist/socket.io.esm.min.js of the npm package socket.io-client 4.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import jwt
from aiohttp import web

HERE = Path(__file__).resolve().parent
PROJECT = "example"
SECONDS = 300  # life of a token


def make_token(key: bytes, user: str) -> str:
    """A token that lets a user edit the example's project, and nothing else."""
    claims = {"sub": user, "projects": {PROJECT: "edit"}, "aud": "rtc-server", "exp": int(time.time()) + SECONDS}
    return jwt.encode(claims, key, algorithm="HS256")


def make_app(rtc: str, key: bytes, library: Path) -> web.Application:
    """The page, what it loads, and its tokens."""

    async def issue(request: web.Request) -> web.Response:
        # Here your application asks its own session who this is. The example believes everybody.
        user = str((await request.json()).get("user", "")).strip()
        if not 0 < len(user) <= 40 or not user.isprintable():
            raise web.HTTPBadRequest(text="user: a name of 1 to 40 characters is needed")
        return web.json_response({"token": make_token(key, user), "rtc": rtc, "project": PROJECT})

    def serve(path: Path) -> object:
        async def answer(_request: web.Request) -> web.FileResponse:
            return web.FileResponse(path, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})

        return answer

    policy = f"default-src 'self'; connect-src 'self' {rtc} {rtc.replace('http', 'ws', 1)}"
    app = web.Application(client_max_size=10_000)
    app.router.add_post("/token", issue)
    app.router.add_get("/", serve(HERE / "page/index.html"))
    for name in ("example.js", "example.css"):
        app.router.add_get(f"/{name}", serve(HERE / "page" / name))
    for name in ("rtc-client.js", "rtc-project.js"):
        app.router.add_get(f"/{name}", serve(HERE.parent / "js" / name))
    app.router.add_get("/socket.io.js", serve(library))
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rtc", required=True, help="address of the RTC server, as browsers reach it")
    parser.add_argument("--key", required=True, type=Path, help="file with the site's secret")
    parser.add_argument("--library", required=True, type=Path, help="socket.io-client's dist/socket.io.esm.min.js")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    app = make_app(options.rtc.rstrip("/"), options.key.read_bytes().strip(), options.library)
    web.run_app(app, host="127.0.0.1", port=options.port)  # it believes everybody: for this machine only


if __name__ == "__main__":
    main()
