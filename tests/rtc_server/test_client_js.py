# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients/js tells its caller, against real servers: the scenarios of clients/scenarios.mjs."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import pytest
from rtc_people import run_node
from rtc_support import ROOT, Server, token
from test_client_python import command
from test_real_clients import node as javascript  # the fixture

__all__ = ["javascript"]
SCRIPT = Path(__file__).resolve().parent / "clients/scenarios.mjs"
SCENARIOS = re.findall(r'^  async "(.+)"\(\)', SCRIPT.read_text(), re.MULTILINE)
LIMITS = {
    "a rate is waited for": {"changes_per_second": 50, "changes_burst": 5},
    "what is beside what the server hangs up on gets through": {"change_bytes": 900_000},
}


def obey(server: Server, order: str) -> None:
    """What a scenario wants done to the server."""
    assert server.process is not None
    if order in ("freeze", "thaw"):
        server.process.send_signal(signal.SIGSTOP if order == "freeze" else signal.SIGCONT)
    elif order == "stop":
        assert server.stop() == 0
    elif order == "new-epoch":
        command(server, order)
    else:
        {"kill": server.kill, "start": server.start}[order]()


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_scenario(tmp_path: Path, javascript: Path, scenario: str) -> None:
    server = Server(tmp_path, limits=LIMITS.get(scenario, {}))
    await asyncio.to_thread(server.start)
    tokens = {"ann": token("ann"), "bob": token("bob"), "eve": token("eve", {"p": "view"})}
    options = {"scenario": scenario, "url": server.url, "packages": str(javascript), "tokens": tokens}
    try:
        async with run_node(SCRIPT, options) as process:
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            while order := (await process.stdout.readline()).decode().strip():
                await asyncio.to_thread(obey, server, order)
                process.stdin.write(b"done\n")
            status = await asyncio.wait_for(process.wait(), 60)
            assert status == 0, (await process.stderr.read()).decode()
    finally:
        if server.process is not None and server.process.poll() is None:
            server.process.send_signal(signal.SIGCONT)
            server.kill()


def test_all_scenarios_are_found() -> None:
    assert len(SCENARIOS) == SCRIPT.read_text().count('  async "') >= 9
    assert (ROOT / "clients/js/rtc-client.js").exists()
