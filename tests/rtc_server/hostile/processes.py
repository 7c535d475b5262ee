# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a scenario: server, good client, attacker."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtc_support import PATIENCE, SOURCE, config_text, free_port, token

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {"PYTHONPATH": f"{SOURCE}:{HERE.parent}"}
# Short, so that what ends at all ends within a test.
CONNECT_SECONDS = 2
HEARTBEAT = {"interval": 2, "timeout": 2}


def tokens() -> dict[str, str]:
    """By user: the good ones, guests of their project, editors of their own project, editors of all."""
    found = {user: token(user, {"good": "edit", "other": "edit"}) for user in ("good0", "good1", "newcomer")}
    found.update({f"guest{n}": token(f"guest{n}", {"good": "view"}) for n in range(20)})
    found.update({f"eve{n}": token(f"eve{n}", {"mine": "edit"}) for n in range(20)})
    found.update({f"owner{n}": token(f"owner{n}") for n in range(20)})
    return found


def until(condition: Callable[[], Any], limit: float, every: float = 0.05) -> bool:
    """Wait for a condition; whether it came true within so many seconds."""
    give_up = time.monotonic() + limit
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(every)
    return True


class HostileServer:
    """A server in a process of its own, which is looked at from outside and inside.

    ``files``: how many descriptors it may have, 0: as usual. ``tls``: files of certificate and key, or none.
    """

    def __init__(self, directory: Path, loop: str, tls: tuple[Path, Path] | None, files: int) -> None:
        self.port = free_port()
        self.directory = directory
        self.tls = tls is not None
        sections: dict[str, Any] = {
            "server": {"loop": loop},
            "heartbeat": HEARTBEAT,
            "limits": {"connect_seconds": CONNECT_SECONDS},
        }
        if tls is not None:
            sections["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
        (directory / "config.toml").write_text(config_text(directory, self.port, **sections))
        self.log = directory / "server.log"
        self._socket = directory / "watch"
        self._files = files

    def start(self) -> None:
        """Start, and wait until it listens."""
        command = [sys.executable, "-m", "hostile.watched_server", str(self._socket), "serve"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--config", str(self.directory / "config.toml")],
                env={**os.environ, **ENVIRONMENT},
                stdout=log,
                stderr=log,
                preexec_fn=self._limit,  # noqa: PLW1509 - there are no threads here
            )
        assert until(lambda: self.process.poll() is not None or self._listens(), PATIENCE), "it does not listen"
        assert self.process.poll() is None, self.log.read_text()

    def _limit(self) -> None:
        if self._files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._files, self._files))

    def _listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def resident(self) -> int:
        """Bytes in memory."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def descriptors(self) -> int:
        """Open files and sockets."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def look(self) -> dict[str, Any]:
        """What is known inside only."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(self._socket))
            text = b""
            while data := sock.recv(1 << 16):
                text += data
        found: dict[str, Any] = json.loads(text)
        return found

    def stop(self) -> int:
        """SIGTERM; the exit status, or -9 when that took too long."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()
        self.process.wait()


class Helper:
    """The good client's or the attacker's process: lines of JSON in both directions."""

    def __init__(self, module: str, **order: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"hostile.{module}"],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._tell(json.dumps(order))

    def _tell(self, text: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """What it says next."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self._process.args} is over: {self._process.wait()}"
        return json.loads(line)

    def go_on(self) -> None:
        """It waits for this before each step."""
        self._tell()

    def has_something_to_say(self) -> bool:
        """Whether :meth:`hear` would not wait."""
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
