# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rtc_probe as a module: options, check mode, and a failure that is explained.

What it finds with services that answer is in ``tests/verify``.
"""

from __future__ import annotations

import socket

import pytest

ARGUMENTS = {"timeout": 2}


@pytest.fixture
def url():
    """An address that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("check", [False, True])
def test_a_service_that_does_not_listen_is_explained(run_module, url, check):
    result = run_module("rtc_probe", {**ARGUMENTS, "url": url, "fail": False}, check=check)
    assert (result["ok"], result["changed"], result["failed_step"]) == (False, False, "connect")
    assert result["cause"] and result["remedy"]
    assert not result.get("failed")


def test_the_task_fails_with_cause_and_remedy_unless_it_is_not_to(run_module, url):
    result = run_module("rtc_probe", {**ARGUMENTS, "url": url, "fail": True})
    assert result["failed"]
    assert result["cause"] in result["msg"] and result["remedy"] in result["msg"]


@pytest.mark.parametrize("bad", ["wiki.example.com:9083", "ftp://wiki.example.com"])
def test_an_address_that_is_none_is_refused(run_module, bad):
    assert run_module("rtc_probe", {**ARGUMENTS, "url": bad})["failed"]


def test_a_transport_that_does_not_exist_is_refused(run_module, url):
    result = run_module("rtc_probe", {**ARGUMENTS, "url": url, "transports": ["carrier pigeon"]})
    assert result["failed"] and "polling" in result["msg"]
