# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The limits of the RTC server as the collection knows them, and what the unit may take."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import limits as rtc_server_limits
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit_file

SERVER = Path(__file__).resolve().parents[5] / "files/rtc_server/src/rtc_server/config.py"


def read_server():
    """Names, defaults and bounds as the server's own source has them."""
    settings = next(
        node
        for node in ast.parse(SERVER.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "LimitSettings"
    )
    found = {}
    for line in settings.body:
        if isinstance(line, ast.AnnAssign):
            default, check = line.value.args
            numbers = [eval(ast.unparse(node)) for node in (default, *check.args)]
            assert (check.func.id == "check_whole") == isinstance(numbers[0], int), line.target.id
            found[line.target.id] = rtc_server_limits.Limit(*numbers)
    return found


def test_they_are_those_of_the_server():
    assert read_server() == rtc_server_limits.LIMITS


def test_the_unit_is_sized_by_the_defaults():
    unit = unit_file.render_unit("/usr/bin/python3")
    memory = -(-rtc_server_limits.estimate_memory({}) >> 20)
    assert f"\nMemoryMax={memory}M\nLimitNOFILE={rtc_server_limits.count_descriptors({})}\nTasksMax=" in unit


def test_no_limits_no_drop_in():
    assert rtc_server_limits.render_drop_in({}) is None and rtc_server_limits.render_drop_in(None) is None
    assert rtc_server_limits.drop_in("/a/b.service.d/tls.conf") == "/a/b.service.d/limits.conf"


@pytest.mark.parametrize(
    ("limits", "memory"),
    [
        ({"connections": 20_000}, 10_000 * (40 << 10)),
        ({"total_buffer_bytes": 256 << 20}, 256 << 20),
        ({"payload_bytes": 2_000_000}, 32 * 4_000_000),
        ({"page_bytes": 2_000_000}, 32 * 1_000_000),
        ({"snapshot_bytes": 1_000_000}, (32 + 128) * 100_000),
        ({"changes_per_second": 1e6}, 0),
    ],
)
def test_more_of_what_costs_memory(limits, memory):
    assert rtc_server_limits.estimate_memory(limits) - rtc_server_limits.estimate_memory({}) == memory


@pytest.mark.parametrize(
    ("connections", "expected"), [(1, 514), (10_000, 20_512), (1_000_000, 1 << 20), (-1, 20_512), ("x", 20_512)]
)
def test_descriptors(connections, expected):
    assert rtc_server_limits.count_descriptors({"connections": connections}) == expected


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze reads units")
def test_systemd_understands_unit_and_drop_ins(tmp_path):
    unit = unit_file.render_unit(sys.executable)
    (tmp_path / "rtc-server@confluence.service").write_text(unit)
    drop_ins = tmp_path / "rtc-server@confluence.service.d"
    drop_ins.mkdir()
    (drop_ins / "limits.conf").write_text(rtc_server_limits.render_drop_in({"connections": 7}))
    (drop_ins / "tls.conf").write_text(unit_file.render_tls(sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "rtc-server@confluence.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "rtc-server@confluence" in line]
    assert complaints == []
    (drop_ins / "limits.conf").write_text("[Service]\nMemoryMax=lots\nLimitNoFile=1\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "rtc-server@confluence.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "limits.conf:2:" in done.stderr and "limits.conf:3:" in done.stderr
