# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for the tests of rtc_instance."""

from __future__ import annotations

import os
import sys

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._instance import service
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit as rtc_server_unit
from ansible_collections.collab.rtc.tests.unit.instances import CHECK, JOURNALCTL, SYSTEMCTL, Machine, Readiness


@pytest.fixture
def machine(tmp_path, monkeypatch, run_module):
    machine = Machine(tmp_path, run_module)
    monkeypatch.setattr(service, "_STEADY_SECONDS", 0)
    monkeypatch.setattr(rtc_server_unit, "CONFIG_DIR", str(tmp_path / "etc"))
    monkeypatch.setattr(rtc_server_unit, "RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(rtc_server_unit, "STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(rtc_server_unit, "UNIT", str(machine.unit))
    monkeypatch.setattr(rtc_server_unit, "tls_drop_in", lambda name: str(tmp_path / f"systemd/{name}.d/tls.conf"))
    monkeypatch.setattr(rtc_server_unit, "socket_unit", lambda name: str(tmp_path / f"systemd/{name}.socket"))
    machine.write("bin/systemctl", SYSTEMCTL.format(python=sys.executable, root=str(tmp_path)), 0o755)
    machine.write("bin/journalctl", JOURNALCTL, 0o755)
    machine.write("bin/python3", CHECK.format(root=tmp_path), 0o755)
    machine.write("opt/releases/one/rtc-server", "")
    (tmp_path / "opt/current").symlink_to("releases/one")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return machine


@pytest.fixture
def readiness():
    found = Readiness()
    yield found
    found.close()
