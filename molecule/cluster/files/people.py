# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People with clients/js over the browsers' own library, as writers whose account is taken with the others'."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
CLIENTS = ROOT / ".build/browser"
LOCKED = ROOT / "tests/rtc_server/clients"
WRITERS = LOCKED / "writers.mjs"
WAYS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}
PAUSE = 50  # milliseconds between an acknowledgement and the next change
PATIENCE = 10  # seconds for an answer: the connection may be to a node that hangs
has_node = bool(shutil.which("node") and shutil.which("npm"))


def install() -> None:
    """The library as it is locked, unless it is there."""
    CLIENTS.mkdir(parents=True, exist_ok=True)
    lock = CLIENTS / "package-lock.json"
    wanted = (LOCKED / "package-lock.json").read_bytes()
    if (CLIENTS / "node_modules").is_dir() and lock.exists() and lock.read_bytes() == wanted:
        return
    shutil.copy(LOCKED / "package.json", CLIENTS)
    lock.write_bytes(wanted)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=CLIENTS, check=True)


class Person:
    """One of them, with what is asked of a writer of ``tests/rtc_server/rtc_writers.py``."""

    def __init__(self, project: str, way: str) -> None:
        self.project, self.user = project, f"js-{way}"
        self.seen: list[str] = []  # ids by revision - 1, known at the end
        self.acknowledged: dict[str, int] = {}
        self.longest, self.last = 0.0, time.monotonic()
        self.connections = 0
        self.state = "writes"

    def __str__(self) -> str:
        return f"{self.user} {self.state}: {len(self.acknowledged)} acknowledged, the last {self.silent():.1f} s ago"

    def silent(self) -> float:
        """Seconds since the last acknowledgement."""
        return time.monotonic() - self.last


class People:
    """Three of them on one site, for as long as the block runs; leaving it waits until each has got its answers."""

    def __init__(self, url: str, address: str, origin: str, token: str, project: str, authority: Path) -> None:
        options = {
            "url": url, "address": address, "headers": {"Origin": origin}, "token": token, "project": project,
            "packages": str(CLIENTS), "people": {f"js-{way}": transports for way, transports in WAYS.items()},
            "ahead": 1, "pause": PAUSE, "client": {"delay": 0.2, "mostDelay": 0.5, "patience": PATIENCE},
        }  # fmt: skip
        self._command = ["node", str(WRITERS), json.dumps(options)]
        self._environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(authority)}
        self.by_name = {f"js-{way}": Person(project, way) for way in WAYS}

    @property
    def all(self) -> list[Person]:
        return list(self.by_name.values())

    async def __aenter__(self) -> People:
        pipes: dict[str, Any] = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, limit=1 << 26, **pipes
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipes")
        self._stdin = self._process.stdin
        self._reader = asyncio.ensure_future(self._read(self._process.stdout))
        return self

    async def __aexit__(self, kind: Any, *_exc: object) -> None:
        try:
            if kind is None:
                self._stdin.close()
                await asyncio.wait_for(self._reader, 60)
                status = await asyncio.wait_for(self._process.wait(), 10)
                unfinished = [str(person) for person in self.all if person.state != "ended"]
                if status != 0 or unfinished:
                    raise RuntimeError(f"{WRITERS.name} ended with {status}: {unfinished}")
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            self._reader.cancel()

    async def _read(self, output: asyncio.StreamReader) -> None:
        while line := await output.readline():
            said = json.loads(line)
            person = self.by_name[said["who"]]
            if "status" in said:
                continue
            if "seen" in said:
                person.seen, person.connections, person.state = said["seen"], said["connects"], "ended"
                continue
            now = time.monotonic()
            person.longest, person.last = max(person.longest, now - person.last), now
            person.acknowledged[said["id"]] = said["revision"]
        for person in self.all:
            if person.state != "ended":
                person.state = "died: its process ended"
