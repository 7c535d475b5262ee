# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as a process: a full disk, TLS, origins, proxies, health, bad starts."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rtc_support import PATIENCE, SECRET, SOURCE, Client, Server, config_text, free_port, running, token

from rtc_server.journal.verify import verify_journal


async def health(server: Server, name: str = "readyz") -> tuple[int, dict[str, Any]]:
    return await asyncio.to_thread(server.health, name)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit(2)")
async def test_a_full_disk(server: Server) -> None:
    """The process may not make files larger: changes are refused, reading goes on, and all is well once it may."""
    ann = await Client.open(server.url)
    await ann.connect(token())
    await ann.ask("join", {"project": "p"})
    for i in range(5):
        assert (await ann.ask("change", {"project": "p", "id": f"c{i}", "data": "x" * 1000}))["ok"]
    assert server.process is not None
    size = (server.directory / "journal.db-wal").stat().st_size
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    kept = 5
    while (await ann.ask("change", {"project": "p", "id": f"c{kept}", "data": "x" * 50_000}))["ok"]:
        kept += 1  # the log has some room ahead
        assert kept < 100
    answers = [await ann.ask("change", {"project": "p", "id": f"d{i}", "data": "x" * 50_000}) for i in range(3)]
    assert [a["code"] for a in answers] == ["unavailable"] * 3
    assert "journal.db" not in str(answers)  # the cause is for the log
    assert await health(server) == (503, {"status": "not ready", "reason": "journal"})
    assert (await health(server, "healthz"))[0] == 200
    bob = await Client.open(server.url)
    await bob.connect(token("bob"))
    assert (await bob.ask("join", {"project": "p"}))["revision"] == kept
    assert [c["id"] for c in (await bob.ask("history", {"project": "p", "since": 3, "limit": 2}))["changes"]] == [
        "c3",
        "c4",
    ]
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    while (await health(server))[0] != 200:
        await asyncio.sleep(0.05)
    for i in range(3):
        assert (await ann.ask("change", {"project": "p", "id": f"d{i}", "data": "x" * 50_000}))[
            "revision"
        ] == kept + 1 + i
    await bob.until(lambda: [b["id"] for b in bob.of("change")][-3:] == ["d0", "d1", "d2"])
    assert "the journal refuses changes" in server.log.read_text()
    assert await asyncio.to_thread(server.stop) == 0
    assert verify_journal(str(server.directory / "journal.db"))[0] == []
    for client in (ann, bob):
        await client.close()


async def test_who_asks_for_nothing_is_hung_up_on(tmp_path: Path) -> None:
    server = Server(tmp_path, limits={"connect_seconds": 0.5})
    server.start()
    try:
        ann = await Client.open(server.url, "polling")
        await ann.connect(token())
        for beginning in (b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(beginning)
            assert await asyncio.wait_for(reader.read(), 20) == b""
            writer.close()
        assert (await ann.ask("join", {"project": "p"}))["ok"]  # who polls meanwhile stays
        await ann.close()
    finally:
        server.kill()


async def test_draining_is_told(server: Server) -> None:
    ann = await Client.open(server.url, "polling")
    await ann.connect(token())
    assert await health(server) == (200, {"status": "ready"})
    assert await asyncio.to_thread(server.stop) == 0
    await ann.closed.wait()
    assert [b["reason"] for b in ann.of("closing")] == ["restart"]
    await ann.close()


@pytest.mark.parametrize(("loop", "told"), [("auto", "uvloop"), ("uvloop", "uvloop"), ("asyncio", "asyncio")])
async def test_the_event_loop_that_is_configured(tmp_path: Path, loop: str, told: str) -> None:
    pytest.importorskip("uvloop")
    server = Server(tmp_path, server={"loop": loop}, log={"level": "info"})
    server.start()
    try:
        await (await Client.open(server.url)).close()
    finally:
        assert await asyncio.to_thread(server.stop) == 0
    assert f"listens on {server.url} ({told})" in server.log.read_text()


async def test_idle_server_stops_at_once(server: Server) -> None:
    assert await asyncio.to_thread(server.stop) == 0
    assert server.log.read_text() == ""  # nothing to warn of


async def test_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    crt, key = map(str, certificate)
    server = Server(tmp_path, tls={"certificate": crt, "key": key})
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "rtc_server", "serve", "--config", str(server.config)]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        context = ssl.create_default_context(cafile=crt)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as http:
            url = f"https://localhost:{server.port}"
            while True:
                try:
                    async with http.get(f"{url}/readyz") as answer:
                        assert answer.status == 200
                    break
                except aiohttp.ClientConnectorError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
            async with http.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket") as ws:
                await ws.receive()
                await ws.send_str('40{"token":"' + token() + '"}')
                assert (await ws.receive()).data.startswith("40")
                await ws.send_str('420["join",{"project":"p"}]')
                assert '"ok":true' in (await ws.receive()).data
        old = ssl.create_default_context(cafile=crt)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)), socket.create_connection(
            ("localhost", server.port)
        ) as sock:
            await asyncio.to_thread(old.wrap_socket, sock, server_hostname="localhost")
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_origins_are_those_of_the_configuration(tmp_path: Path) -> None:
    async with running(tmp_path, server={"origins": ["https://Wiki.example.org"]}) as site:
        url = f"{site.url}/socket.io/?EIO=4&transport=polling"
        async with aiohttp.ClientSession() as http:
            for origin, status in (
                ("https://wiki.example.org", 200),
                ("https://evil.example", 403),
                ("null", 200),  # with a link to the check page only: test_check.py
                (site.url, 200),
                ("https://wiki.example.org.evil.example", 403),
                ("https://wiki.example.org:444", 403),
            ):
                async with http.get(url, headers={"Origin": origin}) as answer:
                    assert (answer.status, answer.headers.get("Access-Control-Allow-Origin")) == (
                        status,
                        origin if status == 200 else None,
                    )


FORWARDED = [
    (["127.0.0.1"], "203.0.113.9", "203.0.113.9"),
    (["127.0.0.1"], "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # what a client adds itself is not believed
    (["127.0.0.1", "203.0.113.0/24"], "198.51.100.1, 203.0.113.9", "198.51.100.1"),
    (["127.0.0.1"], "nonsense", "127.0.0.1"),
    (["127.0.0.1"], "198.51.100.1, nonsense", "127.0.0.1"),
    (["127.0.0.1"], None, "127.0.0.1"),
    (["127.0.0.1"], "2001:db8::1", "2001:db8::1"),
    ([], "203.0.113.9", "127.0.0.1"),
    (["192.0.2.1"], "203.0.113.9", "127.0.0.1"),
]


@pytest.mark.parametrize(("trusted", "header", "address"), FORWARDED)
async def test_addresses_behind_proxies(tmp_path: Path, trusted: list[str], header: str | None, address: str) -> None:
    async with running(tmp_path, server={"trusted_proxies": trusted}) as site:
        client = await Client.open(site.url, headers={"X-Forwarded-For": header} if header else None)
        assert site.service.sessions[client.sid].handshake.remote == address


def serve(config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rtc_server", "serve", "--config", str(config)]
    return subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE,  # it ends by itself; a busy machine takes long to start Python
        check=False,
    )


async def test_a_start_that_cannot_be(server: Server, tmp_path: Path) -> None:
    """A port in use, a journal in use, a directory that is missing: one line with cause and remedy, status 1."""
    other = tmp_path / "other"
    other.mkdir()
    second = Server(other)
    text = second.config.read_text()
    second.config.write_text(text.replace(f"port = {second.port}", f"port = {server.port}"))
    done = await asyncio.to_thread(serve, second.config)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {server.port}: " in done.stderr and "Traceback" not in done.stderr
    second.config.write_text(text.replace(str(other / "journal.db"), str(tmp_path / "journal.db")))
    done = await asyncio.to_thread(serve, second.config)
    assert done.returncode == 1 and "is in use by process" in done.stderr and "Traceback" not in done.stderr
    done = await asyncio.to_thread(serve, tmp_path / "missing.toml")
    assert done.returncode == 1 and "cannot be read" in done.stderr
    assert SECRET.decode() not in done.stderr
    while (await health(server))[0] != 200:  # a busy machine takes longer than one try waits
        assert server.process is not None and server.process.poll() is None


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::7", "fe80::1%nowhere"])
async def test_an_address_that_the_machine_has_not(tmp_path: Path, address: str) -> None:
    """Nobody has the port, so to look for who has it helps nobody."""
    config = tmp_path / "config.toml"
    config.write_text(config_text(tmp_path, free_port(), server={"address": address}))
    done = await asyncio.to_thread(serve, config)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "server.address must be an address of this machine" in done.stderr and "ss -tlnp" not in done.stderr


async def test_a_clock_that_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The uptime is no difference of two times of day."""
    async with running(tmp_path) as site:
        monkeypatch.setattr("time.time", lambda: 1e9)
        async with aiohttp.ClientSession() as http, http.get(f"{site.url}/healthz") as answer:
            assert (await answer.json())["uptime"] >= 0


async def test_the_older_clients_token_is_not_kept_nor_logged(tmp_path: Path) -> None:
    server = Server(tmp_path, log={"level": "debug"})
    server.start()
    try:
        bearer = token()
        client = await Client.open(server.url, revision=3, query=f"&token={bearer}")
        await client.connect(bearer)
        assert (await client.ask("join", {"project": "p"}))["ok"]
        await client.close()
    finally:
        await asyncio.to_thread(server.stop)
    assert bearer not in server.log.read_text()
