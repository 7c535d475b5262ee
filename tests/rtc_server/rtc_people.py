# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People who write with the clients of clients/, and what they were told, as rtc_writers.account takes it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from rtc_support import SECRET, token

from collab_rtc_client import Change, Client, Listener, Pending, Refused, Status

WRITERS = Path(__file__).resolve().parent / "clients/writers.mjs"
WAYS = {"ws": ["websocket"], "ws2": ["websocket"], "poll": ["polling"], "up": ["polling", "websocket"]}
AHEAD = 4  # changes of one person that it waits for
PAUSE = 0.02  # seconds after each


class Person:
    """What one of them was told."""

    def __init__(self, user: str, project: str = "p") -> None:
        self.user, self.project = user, project
        self.seen: list[str] = []  # ids by revision - 1
        self.acknowledged: dict[str, int] = {}
        self.refused: dict[str, str] = {}  # codes by id
        self.statuses: list[tuple[float, Status]] = []  # with the time in seconds
        self.count = 0  # changes that it made, named user-1, user-2, ...

    def __str__(self) -> str:
        return f"{self.user}: {len(self.acknowledged)} acknowledged, {self.refused}, {self.statuses[-4:]}"

    def count_connections(self) -> int:
        return sum(status.state == "connected" for _at, status in self.statuses)

    def list_returns(self) -> list[tuple[Status, float]]:
        """Each time that it was away, and the seconds until it tried again."""
        after = zip(self.statuses, self.statuses[1:], strict=False)
        return [(status, then - at) for (at, status), (then, _next) in after if status.state == "away"]


class _Recorder(Listener):
    def __init__(self, person: Person) -> None:
        self.person = person

    def on_change(self, change: Change, own: bool) -> None:
        person = self.person
        assert change["revision"] == len(person.seen) + 1, (person.user, change["revision"], len(person.seen))
        person.seen.append(change["id"])

    def on_refused(self, pending: Pending, why: Refused) -> None:
        self.person.refused[pending["id"]] = why.code


class People:
    """``python`` and ``js`` (a folder with its packages) with a person for each way, for as long as the block runs;
    leaving it waits until each has got its answers."""

    def __init__(
        self, url: str, javascript: Path | None = None, ways: tuple[str, ...] = ("ws", "poll", "up"), seconds: float = 300,
        project: str = "p", **client: Any,
    ) -> None:  # fmt: skip
        self.url, self.project, self._seconds = url, project, seconds
        self._javascript = javascript
        self._client = {"delay": 0.2, **client}
        self._ways = ways
        names = [f"py-{way}" for way in ways] + [f"js-{way}" for way in ways if javascript]
        self.by_name = {name: Person(name, project) for name in names}
        self._stopping = False

    @property
    def all(self) -> list[Person]:
        return list(self.by_name.values())

    async def __aenter__(self) -> People:
        self._running = [asyncio.ensure_future(self._write(f"py-{way}", WAYS[way])) for way in self._ways]
        if self._javascript is not None:
            self._running.append(asyncio.ensure_future(self._run_javascript(self._javascript)))
        return self

    async def __aexit__(self, kind: Any, *_exc: object) -> None:
        self._stopping = True
        try:
            if kind is None:
                await asyncio.wait_for(asyncio.gather(*self._running), 60)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def progress(self, each: int = 15) -> None:
        """Everybody gets so many more acknowledgements."""
        wanted = {person: len(person.acknowledged) + each for person in self.all}
        give_up = time.monotonic() + 60
        while behind := [str(person) for person, count in wanted.items() if len(person.acknowledged) < count]:
            for task in self._running:
                if task.done():
                    await task
                    raise AssertionError("it ended")
            assert time.monotonic() < give_up, "\n".join(behind)
            await asyncio.sleep(0.02)

    # --- Python -------------------------------------------------------------------------------

    async def _write(self, name: str, transports: list[str]) -> None:
        person = self.by_name[name]
        client = Client(
            self.url,
            lambda: token(name, ttl=self._seconds),
            transports=transports,
            on_status=lambda status: person.statuses.append((time.monotonic(), status)),
            **self._client,
        )

        async def go() -> None:
            while not self._stopping:
                person.count += 1
                id = f"{name}-{person.count}"
                with contextlib.suppress(Refused):
                    person.acknowledged[id] = await project.submit({"id": id, "text": "é😀\u2028"}, id)
                await asyncio.sleep(PAUSE)

        async with client:
            project = await client.join(self.project, _Recorder(person))
            await asyncio.gather(*[go() for _ in range(AHEAD)])

    # --- JavaScript ---------------------------------------------------------------------------

    async def _run_javascript(self, packages: Path) -> None:
        options = {
            "url": self.url, "project": self.project, "packages": str(packages), "ahead": AHEAD, "pause": 1000 * PAUSE,
            "people": {f"js-{way}": WAYS[way] for way in self._ways},
            "secret": SECRET.decode(), "seconds": self._seconds, "client": self._client,
        }  # fmt: skip
        async with run_node(WRITERS, options) as process:
            assert process.stdout is not None and process.stdin is not None

            async def end() -> None:
                while not self._stopping:
                    await asyncio.sleep(0.02)
                process.stdin.close()

            ending = asyncio.ensure_future(end())
            while line := await process.stdout.readline():
                self._note(json.loads(line))
            ending.cancel()
            assert process.stderr is not None
            assert await process.wait() == 0, (await process.stderr.read()).decode()

    def _note(self, said: dict[str, Any]) -> None:
        person = self.by_name[said["who"]]
        if "seen" in said:
            person.seen = said["seen"]
            person.count = len(person.acknowledged) + len(person.refused)
        elif "status" in said:
            person.statuses.append((said["time"], Status(**said["status"])))
        elif "refused" in said:
            person.refused[said["id"]] = said["refused"]
        else:
            person.acknowledged[said["id"]] = said["revision"]


@contextlib.asynccontextmanager
async def run_node(script: Path, options: dict[str, Any]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program with its options as JSON, for as long as the block runs."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "node", str(script), json.dumps(options), stdin=pipe, stdout=pipe, stderr=pipe, limit=1 << 26
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
