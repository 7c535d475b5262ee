# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS that the server ends itself: a renewed certificate reaches new connections, and no client is cut off."""

from __future__ import annotations

import asyncio
import http.client
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from rtc_certificates import NAME, Key, write_pair
from rtc_support import PATIENCE, SOURCE, config_text, free_port

from rtc_server.app import make_tls_context
from rtc_server.config import ConfigError, TlsSettings
from rtc_server.engine.takeover import find_protocol
from rtc_server.listener import Listener
from rtc_server.rarely import Rarely


def connect(port: int) -> tuple[http.client.HTTPSConnection, int]:
    """A connection that stays open, and the serial number of the certificate that it was shown."""
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection(NAME, port, timeout=PATIENCE, context=context)
    connection.connect()
    shown = connection.sock.getpeercert(binary_form=True)
    return connection, x509.load_der_x509_certificate(shown).serial_number


def status(connection: http.client.HTTPSConnection) -> int:
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def until(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, f"never came true: {what}"
        time.sleep(0.02)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[bytes], Path]]:
    """A server with the certificate 1: its port, its process and its log."""
    write_pair(tmp_path, 1, ec.generate_private_key(ec.SECP256R1()))
    port, log = free_port(), tmp_path / "log"
    tls = {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}
    config = tmp_path / "config.toml"
    config.write_text(config_text(tmp_path, port, tls=tls, log={"level": "info"}))
    command = [sys.executable, "-m", "rtc_server", "serve", "--config", str(config)]
    with log.open("ab") as file:
        process = subprocess.Popen(command, env={"PYTHONPATH": str(SOURCE)}, stdout=file, stderr=file)
    try:
        until(lambda: process.poll() is not None or "listens on https" in log.read_text(), "the server is ready")
        assert process.poll() is None, log.read_text()
        yield port, process, log
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_renewed_certificate_cuts_nobody_off(server, tmp_path: Path, kind: str) -> None:
    """Also when the new key is of another kind than the old one."""
    port, process, log = server
    old, serial = connect(port)
    assert (serial, status(old)) == (1, 200)
    key: Key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    write_pair(tmp_path, 2, key)
    process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded: certificate" in log.read_text(), "the files were read")
    new, serial = connect(port)
    assert (serial, status(new)) == (2, 200)
    assert status(old) == 200  # on the earlier connection: http.client would tell a new one by an error of the old
    assert old.sock is not None


def test_a_pair_that_cannot_be_used_leaves_the_old_one(server, tmp_path: Path) -> None:
    port, process, log = server
    (tmp_path / "tls.key").write_text("not a key")
    process.send_signal(signal.SIGHUP)
    until(lambda: "not reloaded, all stays as it was" in log.read_text(), "the fault is reported")
    connection, serial = connect(port)
    assert (serial, status(connection)) == (1, 200)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    write_pair(tmp_path, 1, key)
    tls = TlsSettings(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))
    assert make_tls_context(tls) is not None
    secret = serialization.BestAvailableEncryption(b"x")
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
    (tmp_path / "tls.key").write_bytes(text)
    with pytest.raises(ConfigError) as refused:
        make_tls_context(tls)
    assert str(tmp_path / "tls.key") in str(refused.value)


async def test_a_connection_that_was_closed_twice_has_no_protocol(tmp_path: Path) -> None:
    """As where a stranger's connection is closed by its deadline and by aiohttp: no traceback of asyncio's."""
    write_pair(tmp_path, 1, ec.generate_private_key(ec.SECP256R1()))
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    listener = await asyncio.start_server(lambda _, writer: accepted.put_nowait(writer), "127.0.0.1", 0, ssl=ours)
    port = listener.sockets[0].getsockname()[1]
    _, client = await asyncio.open_connection("127.0.0.1", port, ssl=ssl._create_unverified_context())
    transport = (await accepted.get()).transport
    assert find_protocol(transport) is transport.get_protocol()
    transport.close()
    transport.close()
    assert find_protocol(transport) is None
    client.close()
    listener.close()


async def test_the_time_for_tls_is_that_of_the_latest_reload() -> None:
    """And without TLS there is none."""
    given: list[dict[str, object]] = []

    class Loop:
        create_task = staticmethod(asyncio.ensure_future)

        async def connect_accepted_socket(self, _make: object, _sock: object, **options: object) -> None:
            given.append(options)

    peers = SimpleNamespace(times=SimpleNamespace(stranger=2.0), add=lambda _address: SimpleNamespace())
    listener = Listener(peers, Rarely())  # type: ignore[arg-type]
    listener._loop = Loop()  # type: ignore[assignment]
    context = ssl.create_default_context()
    for tls, seconds in ((None, 2.0), (context, 2.0), (context, 60.0)):
        peers.times.stranger = seconds
        listener.begin(tls)
        with socket.socket() as sock:
            listener._welcome(sock, "192.0.2.1")
            await asyncio.sleep(0)
    assert given == [
        {},
        {"ssl": context, "ssl_handshake_timeout": 2.0},
        {"ssl": context, "ssl_handshake_timeout": 60.0},
    ]
