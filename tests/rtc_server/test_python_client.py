# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python-socketio's client, on every transport, against a server in a process of its own."""

from __future__ import annotations

import pytest
from rtc_support import Server, eventually, token

socketio = pytest.importorskip("socketio")

TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]


async def connected(server: Server, user: str, transports: list[str]) -> tuple[object, list[dict[str, object]]]:
    client = socketio.AsyncClient(reconnection=False)
    got: list[dict[str, object]] = []
    client.on("change", got.append)
    await client.connect(server.url, auth={"token": token(user)}, transports=transports)
    return client, got


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
async def test_bursts_arrive_whole_and_in_order(server: Server, transports: list[str]) -> None:
    ann, of_ann = await connected(server, "ann", ["websocket"])
    bob, of_bob = await connected(server, "bob", transports)
    for client in (ann, bob):
        assert (await client.call("join", {"project": "p"}))["ok"]
    answers: list[dict[str, object]] = []
    for i in range(900):
        await ann.emit("change", {"project": "p", "id": f"c{i}", "data": {"i": i}}, callback=answers.append)
    await eventually(lambda: len(answers) == 900 and len(of_bob) == 900 and len(of_ann) == 900)
    assert [a["revision"] for a in answers] == list(range(1, 901))
    assert [c["revision"] for c in of_bob] == list(range(1, 901)) and of_bob == of_ann
    for i in range(200):
        await bob.emit("change", {"project": "p", "id": f"d{i}", "data": "é😀" * 10})
    await eventually(lambda: len(of_ann) == 1100)
    assert [c["revision"] for c in of_ann] == list(range(1, 1101))
    await ann.disconnect()
    await bob.disconnect()


async def test_a_refused_token_is_a_connection_error(server: Server) -> None:
    client = socketio.AsyncClient(reconnection=False)
    why: list[dict[str, object]] = []
    client.on("connect_error", why.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(server.url, auth={"token": "nonsense"})
    assert why == [{"message": "the token is not valid", "data": {"code": "token_invalid"}}]
