# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process with a good client: ``python -m hostile.good_client``, driven by :mod:`hostile.processes`.

Two members of one project. One sends a change every 20 ms, whether the last one is acknowledged or not, and both take
them. Beside them newcomers with a token come in one after another, and ``/readyz`` is asked. For each it notes when it
began and how long it took: of a change until the other member has it and it is acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any

from .attacks_editors import event
from .wire import Connection, Ended, Target, frame, request

EVERY = 0.02
NEWCOMER_EVERY = 0.5
PATIENCE = 20.0  # seconds; what takes longer counts as refused


class Member:
    """A connection whose frames are looked at."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        connection.keeps_all = True
        self.got: dict[str, float] = {}  # id of a change to the moment when it came
        self.answered: dict[int, float] = {}
        self.wrong: list[str] = []
        self.revision = 0

    async def read(self) -> None:
        """Take frames until the connection ends. Raises Ended."""
        received = self.connection.received
        while True:
            await self.connection.until(_whole_frame)
            now = time.monotonic()
            while size := _whole_frame(received):
                start = 2 if received[1] < 126 else 4 if received[1] == 126 else 10
                opcode, text = received[0] & 15, bytes(received[start:size]).decode(errors="replace")
                del received[:size]
                if opcode == 1:
                    await self._take(text, now)

    async def _take(self, text: str, now: float) -> None:
        if text == "2":
            await self.connection.send(frame("3"))
        elif text.startswith('42["change",'):
            body = json.loads(text[2:])[1]
            if self.revision and body["revision"] != self.revision + 1:
                self.wrong.append(f"revision {body['revision']} after {self.revision}")
            self.revision = body["revision"]
            self.got[body["id"]] = now
        elif text.startswith("43"):
            number, _, answer = text[2:].partition("[")
            self.answered[int(number)] = now
            if '"ok":true' not in answer:
                self.wrong.append(answer[:200])
        elif text.startswith('42["closing"'):
            self.wrong.append(text[:200])


def _whole_frame(received: bytearray) -> int:
    """Bytes of the first frame; 0 when it is not whole."""
    if len(received) < 2:
        return 0
    size, start = received[1], 2
    if size == 126:
        size, start = int.from_bytes(received[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(received[2:10], "big"), 10
    return start + size if len(received) >= start + size else 0


class GoodClient:
    """What it noted: lists of [began, seconds]; None as seconds: never."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._sent: dict[int, float] = {}
        self.newcomers: list[tuple[float, float | None]] = []
        self.ready: list[tuple[float, float | None]] = []
        self.errors: list[str] = []
        self.stopping = False

    async def _join(self, user: str) -> Member:
        connection = await self._target.websocket(user=user)
        await connection.send(event("join", {"project": "good"}, 0))
        await connection.until(lambda received: b"430[" in received)
        connection.received.clear()  # nobody writes yet: a frame more may be cut here, but none with a change
        return Member(connection)

    async def start(self) -> None:
        """Both members are there. Raises Ended."""
        self.sender = await self._join("good0")
        self.watcher = await self._join("good1")
        self._readers = [asyncio.ensure_future(m.read()) for m in (self.sender, self.watcher)]

    async def write(self) -> None:
        """Until told to stop."""
        due = time.monotonic()
        number = 0
        with contextlib.suppress(Ended):
            while not self.stopping:
                number += 1
                self._sent[number] = time.monotonic()
                body = {"project": "good", "id": f"g{number}", "data": "x" * 100}
                await self.sender.connection.send(event("change", body, number))
                due += EVERY
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        give_up = time.monotonic() + PATIENCE
        while not all(r.done() for r in self._readers) and time.monotonic() < give_up:
            if number in self.sender.answered and f"g{number}" in self.watcher.got:
                break
            await asyncio.sleep(0.01)

    async def _come(self) -> None:
        connection = await self._target.websocket(user="newcomer")
        await connection.send(event("join", {"project": "other"}, 0))
        await connection.until(lambda received: b'430[{"ok":true' in received)
        connection.abort()

    async def _ask_ready(self) -> None:
        connection = await self._target.open()
        status, _ = await connection.ask(request("GET", "/readyz", "Connection: close\r\n"))
        connection.abort()
        if status != 200:
            raise Ended(status)

    async def come_again(self) -> None:
        """Newcomers, until told to stop."""
        while not self.stopping:
            for work, noted in ((self._come, self.newcomers), (self._ask_ready, self.ready)):
                began = time.monotonic()
                try:
                    await asyncio.wait_for(work(), PATIENCE)
                    noted.append((began, time.monotonic() - began))
                except (Ended, asyncio.TimeoutError) as exc:
                    noted.append((began, None))
                    self.errors.append(f"{work.__name__}: {type(exc).__name__} {exc}"[:200])
            await asyncio.sleep(NEWCOMER_EVERY)

    def result(self) -> dict[str, Any]:
        """All that was noted."""
        changes = []
        for number, began in self._sent.items():
            done = (self.sender.answered.get(number), self.watcher.got.get(f"g{number}"))
            changes.append((began, max(done) - began if None not in done else None))  # type: ignore[type-var,operator]
        return {
            "changes": changes,
            "newcomers": self.newcomers,
            "ready": self.ready,
            "wrong": (self.sender.wrong + self.watcher.wrong)[:5],
            "thrown_out": any(reader.done() for reader in self._readers),
            "errors": self.errors[:5],
        }


async def main() -> None:
    """Until a line comes, or standard input ends."""
    order = json.loads(sys.stdin.readline())
    client = GoodClient(Target(order["port"], order["tls"], order["tokens"], 1.0, 0.0))
    await client.start()
    work = [asyncio.ensure_future(client.write()), asyncio.ensure_future(client.come_again())]
    print(json.dumps("ready"), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    client.stopping = True
    await asyncio.gather(*work)
    print(json.dumps(client.result()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
