# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that becomes full under a server: changes are refused before anything fails, and all else goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rtc_support import PATIENCE, Client, Server, token

import collab_rtc_client
from rtc_server.journal.verify import verify_journal

_SIZE = 64 << 20


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    place = tmp_path / "disk"
    place.mkdir()
    if request.param == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "rtc", str(place)]
    else:
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("mkfs.ext4 makes the file system, and there is none")
        image = tmp_path / "image"
        with image.open("wb") as file:
            file.truncate(_SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        command = ["mount", "-o", "loop", str(image), str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def server(disk: Path, tmp_path: Path) -> Iterator[Server]:
    """A server whose journal is on it."""
    server = Server(disk, limits={"change_bytes_burst": 1 << 30, "keep_changes": 0, "reads_per_second": 1000})
    server.log = tmp_path / "log"
    yield server
    if server.process is not None and server.process.poll() is None:
        server.kill()


async def connect(server: Server, user: str = "ann") -> tuple[Client, dict[str, Any]]:
    """A member who has everything, and the answer to its join."""
    client = await Client.open(server.url)
    await client.connect(token(user))
    return client, await client.ask("join", {"project": "p", "since": 0})


async def send(client: Client, number: int) -> dict[str, Any]:
    answer: dict[str, Any] = await client.ask("change", {"project": "p", "id": f"c{number}", "data": "x" * 200_000})
    return answer


async def fill(server: Server, client: Client, number: int) -> int:
    """Send changes from that one on until none is taken any more, also after those before have been flushed. Returns
    the first that is not."""
    settled_at = time.monotonic() + PATIENCE
    while time.monotonic() < settled_at:
        answer = await send(client, number)
        if answer["ok"]:
            number += 1
            assert number < 1000, "it never becomes full"
            settled_at = time.monotonic() + 3.0  # flushing and checkpointing give some space back
        else:
            assert answer["code"] == "unavailable" and answer["retry_after"] > 0 and "disk" in answer["message"]
            await asyncio.sleep(0.2)
    return number


async def wait_ready(server: Server, status: int) -> dict[str, Any]:
    """What ``/readyz`` says once it has that status."""
    give_up = time.monotonic() + PATIENCE
    while (found := await asyncio.to_thread(server.health, "readyz"))[0] != status:
        assert time.monotonic() < give_up, found
        await asyncio.sleep(0.05)
    return found[1]


async def test_changes_are_refused_while_there_is_space_for_the_journal(server: Server, disk: Path) -> None:
    server.start()
    ann, _ = await connect(server)
    number = await fill(server, ann, 1)
    assert number > 20
    assert (await wait_ready(server, 503))["reason"] == "disk"
    assert (await asyncio.to_thread(server.health, "healthz"))[0] == 200
    # all else goes on
    bob, joined = await connect(server, "bob")
    assert joined["revision"] == number - 1
    assert (await bob.ask("history", {"project": "p", "since": number - 3}))["ok"]
    assert (await bob.ask("presence", {"project": "p", "state": 1}))["ok"]
    assert (await bob.ask("snapshot", {"project": "p", "revision": number - 1, "data": "s"}))["ok"]
    # nothing has failed, and who looks into the log knows what to do
    log = server.log.read_text()
    assert "No space left" not in log and "refuses changes" not in log and "Traceback" not in log
    assert log.count("Free some space") == 1 and "limits.reserve_bytes" in log
    assert server.stop() == 0
    assert not list(disk.glob("journal.db-*")), (
        "it was not stopped in order",
        server.log.read_text(),
    )
    assert verify_journal(str(disk / "journal.db"))[0] == []


async def test_a_start_on_a_full_disk_and_going_on_by_itself(server: Server, disk: Path) -> None:
    server.start()
    ann, _ = await connect(server)
    assert (await send(ann, 1))["ok"]
    free = os.statvfs(disk)
    ballast = disk / "ballast"
    with ballast.open("wb") as file:  # half of what is reserved is left
        file.write(bytes(free.f_bavail * free.f_frsize - _SIZE // 20))
        file.flush()
        os.fsync(file.fileno())
    number = await fill(server, ann, 2)
    server.kill()
    server.start(503)
    ann, joined = await connect(server)
    assert joined["revision"] == number - 1
    assert (await send(ann, number))["code"] == "unavailable"
    assert (await wait_ready(server, 503))["reason"] == "disk"
    # clients/python waits as it is told, and what was submitted needs nobody to do it again
    async with collab_rtc_client.Client(server.url, lambda: token("bob")) as client:
        project = await client.join("p", collab_rtc_client.Listener())
        waiting = [project.submit(n) for n in range(20)]
        assert (await send(ann, number))["code"] == "unavailable"
        assert not any(change.done() for change in waiting)
        ballast.unlink()
        os.sync()  # blocks of a deleted file are free once that is in the file system's journal
        await wait_ready(server, 200)
        assert sorted(await asyncio.gather(*waiting)) == list(range(number, number + 20))
    assert (await send(ann, number))["ok"]
    assert server.stop() == 0
    assert verify_journal(str(disk / "journal.db"))[0] == []
