# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._detect.gather import gather
from ansible_collections.collab.rtc.plugins.modules import topology_info
from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import Host

yaml = pytest.importorskip("yaml")


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host below a directory, whose files are root's for the module, whoever runs the tests."""
    made = Host(tmp_path)
    monkeypatch.setattr(topology_info, "gather", functools.partial(gather, lstat=made.lstat))
    return made


def snapshot(root):
    """Every file below a directory with its content and times."""
    found = {}
    for folder, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(folder, name)
            found[path] = (
                os.lstat(path).st_mtime_ns,
                os.path.islink(path) or os.path.isdir(path) or Path(path).read_bytes(),
            )
    return found


@pytest.mark.parametrize("check", [False, True])
def test_returns_facts_and_changes_nothing(run_module, host, tmp_path, check):
    host.installed_confluence().jvm(700, "/opt/atlassian/confluence", unit="confluence.service")
    before = snapshot(tmp_path)
    result = run_module("topology_info", {"root": str(tmp_path), "names": ["localhost"]}, check=check)
    assert result["changed"] is False
    facts = _facts.from_dict(_facts.HostFacts, result["topology"])
    assert [item.install_dir for item in facts.applications] == ["/opt/atlassian/confluence"]
    assert facts.applications[0].server_xml.connectors[0].user
    assert "localhost" in facts.resolves
    assert snapshot(tmp_path) == before


def test_empty_host(run_module, tmp_path):
    result = run_module("topology_info", {"root": str(tmp_path)})
    assert not result.get("failed")
    assert result["topology"]["applications"] == []


def test_this_very_machine(run_module):
    result = run_module("topology_info", {})
    assert result["topology"]["hostname"] == os.uname().nodename
    assert result["topology"]["clock"] > 0


def test_options(run_module, host):
    host.jira("/apps/tracker").process(40, ["/usr/bin/other"], uid=1002, inodes=[6]).listen(
        "00000000", 9500, 6, uid=1002
    )
    options = {"root": host.root, "install_dirs": ["/apps"], "rtc_ports": [9500]}
    found = run_module("topology_info", options)["topology"]
    assert [item["install_dir"] for item in found["applications"]] == ["/apps/tracker"]
    assert [item["kind"] for item in found["rtc"]] == ["foreign"]


def test_no_secret_is_returned(run_module, host, tmp_path):
    host.jira().jvm(700, "/opt/atlassian/jira", "-Ddb.password=geheim")
    text = json.dumps(run_module("topology_info", {"root": str(tmp_path)}))
    assert not any(secret in text for secret in ("geheim", "hunter2", "s3cret"))


def test_everything_returned_is_documented():
    documented = yaml.safe_load(topology_info.RETURN)["topology"]["contains"]
    assert set(documented) == set(_facts.to_dict(_facts.HostFacts()))
