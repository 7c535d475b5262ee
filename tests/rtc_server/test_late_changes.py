# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change whose commit failed and that is kept all the same: all see it once, whoever sends it again or not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from rtc_memory import MemoryClient, MemoryServer
from rtc_support import eventually

from rtc_server.journal import wal

pytestmark = pytest.mark.usefixtures("soon")


async def ask(client: MemoryClient, event: str, body: dict[str, Any]) -> Any:
    number = await client.request(event, {"project": "p", **body})

    def is_answered() -> bool:
        client.receive()
        return number in client.answers

    await eventually(is_answered)
    return client.answers[number]


async def joined(server: MemoryServer, user: str, **more: Any) -> tuple[MemoryClient, Any]:
    client = MemoryClient(server, user, "ws4")
    await client.connect()
    return client, await ask(client, "join", more)


def seen(client: MemoryClient) -> list[tuple[int, str]]:
    client.receive()
    return [(body["revision"], body["id"]) for name, body in client.events if name == "change"]


def fail_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The next batch is written whole, and the disk says that it is not."""
    real, failed = os.pwrite, list[int]()

    def failing(file: int, data: Any, offset: int) -> int:
        written = real(file, data, offset)
        if not failed and bytes(data[:4]) == wal.MAGIC:
            failed.append(offset)
            raise OSError(5, "Input/output error")
        return written

    monkeypatch.setattr(os, "pwrite", failing)
    return failed


@pytest.mark.parametrize("again", [False, True])
async def test_it_is_delivered_when_the_journal_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    server = MemoryServer(tmp_path)
    await server.start()
    ann, _ = await joined(server, "ann")
    bob, _ = await joined(server, "bob")
    assert (await ask(ann, "change", {"id": "one", "data": 1}))["revision"] == 1
    failed = fail_once(monkeypatch)
    assert (await ask(ann, "change", {"id": "two", "data": 2}))["code"] == "unavailable"
    assert failed
    if again:
        answer: Any = {"ok": False}
        while not answer["ok"]:
            answer = await ask(ann, "change", {"id": "two", "data": 2})
            await asyncio.sleep(0.01)
        assert (answer["revision"], answer["duplicate"]) == (2, True)
    await eventually(lambda: server.journal.fault is None and len(seen(bob)) == 2)
    assert seen(ann) == seen(bob) == [(1, "one"), (2, "two")]
    assert [c["id"] for c in (await ask(bob, "history", {"since": 0}))["changes"]] == ["one", "two"]
    _, newcomer = await joined(server, "eve")
    assert newcomer["revision"] == 2 and [c["id"] for c in newcomer["changes"]] == ["one", "two"]
    assert (await ask(ann, "snapshot", {"revision": 2, "data": "s"}))["ok"]
    assert (await ask(bob, "change", {"id": "three", "data": 3}))["revision"] == 3
    assert seen(ann) == seen(bob) == [(1, "one"), (2, "two"), (3, "three")]
    assert not ann.session.closed and not bob.session.closed
    await server.stop()


async def test_what_was_refused_is_not_shown_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the journal cannot be opened again, nobody knows whether it is kept."""
    server = MemoryServer(tmp_path)
    await server.start()
    ann, _ = await joined(server, "ann")
    await ask(ann, "change", {"id": "one", "data": 1})
    await eventually(lambda: server.writer.copy_unflushed("p") == [])
    fail_once(monkeypatch)
    real = wal.read_batches
    monkeypatch.setattr(wal, "read_batches", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    assert (await ask(ann, "change", {"id": "two", "data": 2}))["code"] == "unavailable"
    assert (await server.journal.read_head("p")).revision == 1
    monkeypatch.setattr(wal, "read_batches", real)
    await eventually(lambda: server.journal.fault is None and len(seen(ann)) == 2)
    await server.stop()
