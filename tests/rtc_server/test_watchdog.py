# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service manager hears: that the server is ready, reloads, stops, and that its event loop turns. This test is
the service manager: it hears the signs of life, and ends a process that gives none as systemd does, by SIGABRT."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rtc_support import PATIENCE, SOURCE, Server

# Python imports it at its start: SIGUSR1 makes the main thread, and with it the event loop, hang; other threads go on.
HANG = """\
import signal, threading
def hang_for_the_test(*_):
    threading.Event().wait()
signal.signal(signal.SIGUSR1, hang_for_the_test)
"""
INTERVAL = 0.1


class Manager:
    """The end of NOTIFY_SOCKET."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.heard: list[str] = []

    def hear(self, patience: float) -> bool:
        """Whether something came within so many seconds."""
        self.socket.settimeout(patience)
        try:
            self.heard += self.socket.recv(4096).decode().split("\n")
        except TimeoutError:
            return False
        return True

    def wait_for(self, word: str) -> None:
        self.heard.clear()
        give_up = time.monotonic() + PATIENCE
        while word not in self.heard:
            assert time.monotonic() < give_up, (word, self.heard)
            self.hear(0.1)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", str(int(2e6 * INTERVAL)))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield manager
    manager.socket.close()


@pytest.fixture
def hanging(tmp_path: Path, manager: Manager) -> Iterator[Server]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(HANG)
    server = Server(tmp_path)
    server.source = f"{tmp_path / 'site'}:{SOURCE}"
    try:
        server.start()
        yield server
    finally:  # also one that was too slow
        if server.process is not None and server.process.poll() is None:
            server.kill()


def test_a_loop_that_hangs_gives_no_sign_of_life(hanging: Server, manager: Manager) -> None:
    """The log then tells where it hung, and after the restart the server serves."""
    assert hanging.process is not None
    manager.wait_for("WATCHDOG=1")
    manager.wait_for("WATCHDOG=1")
    hanging.process.send_signal(signal.SIGUSR1)
    give_up = time.monotonic() + PATIENCE
    while manager.hear(20 * INTERVAL):  # systemd waits for two intervals
        assert time.monotonic() < give_up, "a loop that hangs gives signs of life"
    hanging.process.send_signal(signal.SIGABRT)
    assert hanging.process.wait(PATIENCE) == -signal.SIGABRT
    assert "hang_for_the_test" in hanging.log.read_text()
    hanging.start()
    manager.wait_for("WATCHDOG=1")
    assert hanging.stop() == 0


def test_the_manager_hears_of_start_reload_and_stop(hanging: Server, manager: Manager) -> None:
    assert hanging.process is not None
    manager.wait_for("WATCHDOG=1")
    hanging.process.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    assert any(line.startswith("MONOTONIC_USEC=") for line in manager.heard)  # sd_notify(3) demands it
    manager.wait_for("READY=1")
    hanging.config.write_text("[")
    hanging.process.send_signal(signal.SIGHUP)
    manager.wait_for("READY=1")  # it goes on with what it had
    assert any(line.startswith("STATUS=") and "is not TOML" in line for line in manager.heard)
    hanging.process.send_signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1")
    assert hanging.process.wait(PATIENCE) == 0
