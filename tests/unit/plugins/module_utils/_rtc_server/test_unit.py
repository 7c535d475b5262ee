# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configuration and unit of the RTC server as the collection writes them."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit as rtc_server_unit

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"server": {"address": "127.0.0.1", "port": 9083, "origins": ["https://wiki.example.com"]}},
        {"a": 'quote " backslash \\ tab \t newline \n del \x7f é 𝄞', "b": True, "c": 1.5, "d": []},
        {"plain": 1, "t1": {"x": ["a", "b"]}, "t2": {"y": False}},
    ],
)
def test_what_is_written_reads_back(values):
    assert tomllib.loads(rtc_server_unit.render_toml(values)) == values


def test_nothing_is_written_for_none():
    assert tomllib.loads(rtc_server_unit.render_toml({"s": {"a": None, "b": 1}})) == {"s": {"b": 1}}


def test_an_odd_value_is_refused():
    with pytest.raises(TypeError):
        rtc_server_unit.render_toml({"a": object()})


def test_the_unit_names_interpreter_and_instance():
    unit = rtc_server_unit.render_unit("/opt/python/bin/python3")
    assert "ExecStart=/opt/python/bin/python3 -I /opt/rtc-server/current/rtc-server serve" in unit
    assert "/etc/rtc-server/%i.toml" in unit
    assert "User=rtc-%i" in unit  # one instance must not read another's key or journal
    assert "{" not in unit


def test_tls_is_given_to_the_running_service_by_root_and_only_there():
    drop_in = rtc_server_unit.render_tls()
    copy = 'install -m 0400 -o "$$(stat -Lc %%u /run/rtc-server/%i)" -t /run/rtc-server/%i'
    files = "/etc/rtc-server/%i/tls.crt /etc/rtc-server/%i/tls.key"
    assert f"ExecStartPre=+/bin/sh -c '{copy} {files}'" in drop_in
    assert f"ExecReload=+/bin/sh -c '{copy} {files} && kill -HUP \"$$MAINPID\"'" in drop_in
    plain = rtc_server_unit.server_config("jira", "::", 9093, "jira.example.com", [], [])
    own = rtc_server_unit.server_config("jira", "::", 9093, "jira.example.com", [], [], tls=True)
    assert plain["tls"] == {}
    assert own["tls"] == {"certificate": "$RUNTIME_DIRECTORY/tls.crt", "key": "$RUNTIME_DIRECTORY/tls.key"}
    assert "[tls]" not in rtc_server_unit.render_toml(plain)


def test_limits_that_are_given_are_in_the_configuration():
    limits = {"connections": 99, "changes_per_second": 0.5}
    own = rtc_server_unit.server_config("jira", "::", 9093, "jira.example.com", [], [], limits=limits)
    assert tomllib.loads(rtc_server_unit.render_toml(own))["limits"] == limits
    assert "limits" not in rtc_server_unit.server_config("jira", "::", 9093, "jira.example.com", [], [])
