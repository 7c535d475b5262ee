# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of the RTC server works: one short row, idle connections, a storm, a store, and TLS. No figure is judged.

The generator checks while it measures that every answer is ok, that revisions come without a gap, and that a client that
reconnects gets all that it missed; the run fails if not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parent / "rtc/bench.py"
SOURCE = BENCH.parents[3] / "files/rtc_server/src"


def short_run(rows: str, *options: str) -> dict[str, Any]:
    """The result of a short run of ours; skipped where it cannot be."""
    if shutil.which("gcc") is None or shutil.which("taskset") is None:
        pytest.skip("the generator needs gcc and taskset")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("the benchmark needs two processor cores")
    command = [sys.executable, str(BENCH), "--quick", "--servers", "ours_durable", "--rows", rows, *options]
    done = subprocess.run(
        command,
        env={**os.environ, "BENCH_POLITE": "1", "BENCH_OLD_CHANGES": "20000", "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    # on a busy machine the generator may be too late: such a figure is refused, and nothing else may be
    assert all("generator was the bottleneck" in line for line in result["refused"]), result["refused"]
    assert done.returncode == (1 if result["refused"] else 0), done.stderr
    return result


def test_short_run() -> None:
    result = short_run("fanout_20x10,idle,storm")
    rows = result["rows"]
    assert rows["fanout_20x10"]["closed"]["ours_durable"] or result["refused"]
    assert rows["idle_200"]["ours_durable"]["kb_each"] > 0
    assert rows["storm_40x20"]["ours_durable"]["seconds"] > 0


def test_old_journal_and_another_checkout() -> None:
    """The other checkout is this one: its journal is a copy all the same."""
    result = short_run("old_20x10", "--beside", str(BENCH.parents[3]))
    row = result["rows"]["old_20x10"]
    assert set(row["closed"]) == {"ours_durable", "ours_durable_old", "beside", "beside_old"}, result["missing"]
    assert all(row["closed"].values()) or result["refused"]
    assert row["ours_durable_old_to_beside_old"]["per CPU s"] or result["refused"]


def test_store() -> None:
    """Two servers on a PostgreSQL: members of a room are at both, and revisions come without a gap all the same."""
    result = short_run("store")
    if result["missing"]:
        pytest.skip(str(result["missing"]))
    (figures,) = result["rows"]["store_20x10"].values()
    assert figures["closed"] or result["refused"]


def test_tls() -> None:
    result = short_run("tls")
    row = result["rows"]["tls_20x10"]
    if len(row) < 3:
        pytest.skip(f"no figure of {3 - len(row)} ways: {result['missing']}")
    assert not result["missing"]
    for way in ("plain", "tls_server", "tls_nginx"):
        figures = row[way]
        assert figures["closed"] or figures["p50_ms"] or result["refused"], figures
        if figures["closed"] or figures["p50_ms"]:
            # what was really agreed on by the generator and the other side
            assert figures["tls"] is None if way == "plain" else figures["tls"].startswith("TLSv1.3 "), figures
