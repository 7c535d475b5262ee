# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real clients of three generations in one project: socket.io-client 2, 3 and 4 (Node.js), the Java client 1 and 2,
python-socketio; each over WebSocket, polling and the upgrade from one to the other.

Packages are fetched once into .build/rtc-clients, at the versions that the files in clients/ pin. Where Node.js or a
JDK with Maven is missing, the tests that need it are skipped and say so.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rtc_figures import FIGURES
from rtc_support import ROOT, Server, token

HERE = Path(__file__).resolve().parent / "clients"
CACHE = ROOT / ".build/rtc-clients"
COUNT = 60  # changes of each client


def made_once(name: str, sources: list[Path], make: Callable[[Path], None]) -> Path:
    """A folder in the cache, made anew when its sources change; several workers wait for one another."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / f"{name}-{digest}"
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "complete").touch()
    return folder


def run_tool(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a package manager or compiler; without what it fetches the test cannot be."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{command[0]} could not fetch or build the clients: {(done.stderr or done.stdout)[-300:]}")


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed here")


@pytest.fixture(scope="session")
def node() -> Path:
    """The folder with people.cjs and its packages."""
    need("node", "npm")

    def make(folder: Path) -> None:
        for name in ("package.json", "package-lock.json", "people.cjs"):
            shutil.copy(HERE / name, folder)
        run_tool("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)

    return made_once("node", [HERE / n for n in ("package.json", "package-lock.json", "people.cjs")], make)


@pytest.fixture(scope="session")
def java() -> Path:
    """The folder with the classes and libraries of both Java clients."""
    need("java", "javac", "mvn")
    sources = [HERE / "java/People.java", HERE / "java/pom1.xml", HERE / "java/pom2.xml"]

    def make(folder: Path) -> None:
        for version in "12":
            libraries = folder / version
            run_tool(
                "mvn",
                "-q",
                "-B",
                "-f",
                HERE / f"java/pom{version}.xml",
                "dependency:copy-dependencies",
                f"-DoutputDirectory={libraries}",
            )
            run_tool("javac", "-nowarn", "-cp", f"{libraries}/*", "-d", libraries, HERE / "java/People.java")

    return made_once("java", sources, make)


async def people(command: list[str], project: str = "p") -> list[dict[str, Any]]:
    """Run a client program to its end; its lines."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "RTC_PROJECT": project},
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 120)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, (err.decode()[-2000:], command[2:3])
    return [json.loads(line) for line in out.splitlines()]


def js(folder: Path, server: Server, total: int, *versions: str) -> list[str]:
    return ["node", str(folder / "people.cjs"), server.url, token("js"), str(COUNT), str(total), *versions]


def jvm(folder: Path, server: Server, total: int, version: str) -> list[str]:
    path = f"{folder / version}/*:{folder / version}"
    return [
        "java",
        "-Xmx128m",
        "-cp",
        path,
        "People",
        server.url,
        token(f"java{version}"),
        str(COUNT),
        str(total),
        version,
    ]


def agree(everybody: list[dict[str, Any]], total: int) -> None:
    """All saw the same, each change once and at the revision that was acknowledged."""
    order = everybody[0]["seen"]
    assert len(order) == total == len(set(order))
    for person in everybody:
        assert person["seen"] == order, person["me"]
        assert len(person["told"]) == COUNT
        for id, revision in person["told"].items():
            assert order[revision - 1] == id
        FIGURES["acknowledged"] += COUNT


async def test_all_generations_of_javascript_at_once(server: Server, node: Path) -> None:
    total = 9 * COUNT
    everybody = await people(js(node, server, total, "2", "3", "4"))
    assert len(everybody) == 9
    agree(everybody, total)
    assert {p["me"]: p["transport"] for p in everybody if "upgrade" not in p["me"]} == {
        f"js{v}-{t}": t for v in "234" for t in ("websocket", "polling")
    }


async def test_they_come_back_by_themselves(server: Server, node: Path) -> None:
    """The server is killed and started while they write."""
    total = 9 * COUNT
    running = asyncio.ensure_future(people(js(node, server, total, "2", "3", "4")))
    for _ in range(2):
        while not running.done() and await asyncio.to_thread(kept, server) < COUNT:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.kill)
        FIGURES["kills"] += 1
        await asyncio.to_thread(server.start)
    everybody = await running
    agree(everybody, total)
    assert max(p["connects"] for p in everybody) > 1


def kept(server: Server) -> int:
    """How many changes the journal has."""
    from rtc_server.journal.verify import verify_journal

    return verify_journal(str(server.directory / "journal.db"))[1]["changes"]


async def test_javascript_java_and_python_at_once(server: Server, node: Path, java: Path) -> None:
    socketio = pytest.importorskip("socketio")
    total = (9 + 6) * COUNT
    python: list[tuple[Any, list[str]]] = []
    for transports in (["websocket"], ["polling"], ["polling", "websocket"]):
        client = socketio.AsyncClient()
        seen: list[str] = []
        client.on("change", lambda change, seen=seen: seen.append(change["id"]))
        await client.connect(server.url, auth={"token": token("python")}, transports=transports)
        assert (await client.call("join", {"project": "p"}))["ok"]
        python.append((client, seen))
    groups = await asyncio.gather(
        people(js(node, server, total, "2", "3", "4")),
        people(jvm(java, server, total, "1")),
        people(jvm(java, server, total, "2")),
    )
    everybody = [person for group in groups for person in group]
    assert len(everybody) == 15
    agree(everybody, total)
    for client, seen in python:
        while len(seen) < total:
            await asyncio.sleep(0.01)
        assert seen == everybody[0]["seen"]
        await client.disconnect()


async def test_a_wrong_token_is_told(server: Server, node: Path) -> None:
    command = js(node, server, 1, "4")
    command[3] = "nonsense"
    with pytest.raises(AssertionError, match="the token is not valid"):
        await people(command)
