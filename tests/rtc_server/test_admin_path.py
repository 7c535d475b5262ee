# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address of users, tried step by step: which step fails where the process itself is well."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rtc_certificates import make_pair
from rtc_support import Site, eventually, free_port, running

from rtc_server.admin import path
from rtc_server.admin.path import PathWatch, try_path

NAMES = list(path.STEPS)


def states(found: path.Path) -> dict[str, str]:
    return {step.name: step.state for step in found.steps}


async def test_all_is_well(site: Site) -> None:
    found = await try_path(site.url, "", "/socket.io/")
    assert states(found) == dict.fromkeys([name for name in NAMES if name != "TLS"], "ok")
    assert found.find_failed() is None and found.ends == 0
    await eventually(lambda: not site.service.sessions, "the sessions of the try end")


async def test_a_name_without_address() -> None:
    found = await try_path("https://no.such.invalid:9083", "", "/socket.io/")
    assert states(found) == {"name": "failed", **dict.fromkeys(NAMES[1:], "skipped")}
    assert "no.such.invalid has no address here" in found.steps[0].text and found.steps[0].remedy


async def test_nobody_listens() -> None:
    port = free_port()
    found = await try_path(f"http://127.0.0.1:{port}", "", "/socket.io/")
    failed = found.find_failed()
    assert failed is not None and failed.name == "connection" and f"port {port} cannot be reached" in failed.text
    assert "proxy" in failed.remedy and states(found)["WebSocket"] == "skipped"


async def test_somebody_who_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", free_port())) as silent:
        found = await try_path(f"https://127.0.0.1:{silent.getsockname()[1]}", "", "/socket.io/")
        failed = found.find_failed()
    assert failed is not None and failed.name == "TLS" and "nothing came within" in failed.text


async def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = make_pair(tmp_path, "127.0.0.1")
    async with running(tmp_path) as site:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        port = free_port()

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """TLS ends here, as at a proxy."""
            inner, outer = await asyncio.open_connection("127.0.0.1", site.config.server.port)

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while data := await source.read(10_000):
                    sink.write(data)
                sink.close()

            await asyncio.gather(pump(reader, outer), pump(inner, writer), return_exceptions=True)

        proxy = await asyncio.start_server(pass_on, "127.0.0.1", port, ssl=context)
        good = await try_path(f"https://127.0.0.1:{port}", str(certificate), "/socket.io/")
        assert set(states(good).values()) == {"ok"} and len(good.steps) == 6
        assert good.ends > good.at and good.subject == "localhost"
        untrusted = (await try_path(f"https://127.0.0.1:{port}", "", "/socket.io/")).find_failed()
        assert untrusted is not None and untrusted.name == "TLS"
        assert "self-signed" in untrusted.text and "admin.ca" in untrusted.remedy
        monkeypatch.setattr(path._Try, "_resolve", _resolve_to_loopback)
        other = (await try_path(f"https://wiki.example.org:{port}", str(certificate), "/socket.io/")).find_failed()
        assert other is not None and "wiki.example.org" in other.text and "name that users type" in other.remedy
        monkeypatch.undo()
        plain = (await try_path(f"http://127.0.0.1:{port}", "", "/socket.io/")).find_failed()
        assert plain is not None and plain.name == "service"
        wrong = (await try_path(f"https://127.0.0.1:{site.config.server.port}", "", "/socket.io/")).find_failed()
        assert wrong is not None and wrong.name == "TLS" and "speaks TLS at all" in wrong.remedy
        missing = (await try_path(f"https://127.0.0.1:{port}", f"{tmp_path}/no.pem", "/socket.io/")).find_failed()
        assert missing is not None and "no.pem cannot be used" in missing.text
        proxy.close()


async def _resolve_to_loopback(self: path._Try) -> str:
    self.addresses = ["127.0.0.1"]
    return "here"


async def answer_with(handler: Any) -> tuple[web.AppRunner, str]:
    """A server that answers every request in one way."""
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (502, "<html>", "does not reach the RTC server"),
        (504, "", "does not reach the RTC server"),
        (404, "<html>", "is no RTC server: /readyz is answered 404"),
        (200, "<html>Welcome", "is no RTC server: /readyz is answered 200"),
        (200, '"ready"', "is no RTC server"),
        (302, "", "is no RTC server: /readyz is answered 302"),
        (400, "The plain HTTP request was sent to HTTPS port", "may want TLS"),
        (503, '{"status": "not ready", "reason": "disk"}', "takes no changes: disk"),
        (503, '{"status": "not ready", "reason": ["x"]}', "takes no changes"),
    ],
)
async def test_answers_of_others(status: int, body: str, words: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    runner, url = await answer_with(answer)
    failed = (await try_path(url, "", "/socket.io/")).find_failed()
    await runner.cleanup()
    assert failed is not None and failed.name == "service" and words in failed.text and failed.remedy


async def test_polling_and_websocket_are_told_apart(site: Site) -> None:
    """A proxy that forwards /readyz but neither the rest nor upgrades."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/readyz":
            return web.json_response({"status": "ready"})
        return web.Response(status=403)

    runner, url = await answer_with(answer)
    found = await try_path(url, "", "/socket.io/")
    await runner.cleanup()
    assert (states(found)["polling"], states(found)["WebSocket"]) == ("failed", "failed")
    assert "answered 403" in found.steps[-1].text and "pass Upgrade and Connection on" in found.steps[-1].remedy


async def test_it_is_tried_when_somebody_looks() -> None:
    tries: list[int] = []
    now = [0.0]

    async def make_try() -> path.Path:
        tries.append(1)
        if len(tries) == 3:
            raise RuntimeError
        return path.Path(path.time.time())

    watch = PathWatch(make_try, lambda: now[0])
    first = await watch.look()
    assert first is not None and not watch.running
    assert await watch.look() is first and len(tries) == 1
    now[0] += watch.fresh + 1
    assert await watch.look() is first and watch.running  # nobody waits for what says nearly the same
    watch.begin()  # one at a time
    await eventually(lambda: not watch.running)
    assert len(tries) == 2
    watch.begin()
    await eventually(lambda: not watch.running)
    watch.begin()
    await eventually(lambda: len(tries) == 4)
    watch.end()
