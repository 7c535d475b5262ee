# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configuration and unit of the RTC server as the collection writes them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit as rtc_server_unit
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit_file

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
    unit = unit_file.render_unit("/opt/python/bin/python3")
    assert "ExecStart=/opt/python/bin/python3 -I /opt/rtc-server/current/rtc-server serve" in unit
    assert "/etc/rtc-server/%i.toml" in unit
    assert "User=rtc-%i" in unit  # one instance must not read another's key or journal
    assert "{" not in unit


def test_secret_and_key_are_handed_over_by_root_and_reloaded_by_the_release():
    copy = 'install -m 0400 -o "$$(stat -Lc %%u /run/rtc-server/%i)" -t /run/rtc-server/%i /etc/rtc-server/%i/secret'
    pair = " /etc/rtc-server/%i/tls.crt /etc/rtc-server/%i/tls.key"
    for text, files in (
        (unit_file.render_unit("/py"), copy),
        (unit_file.render_tls("/py"), copy + pair),
    ):
        lines = [line for line in text.splitlines() if line.startswith(("ExecStartPre", "ExecReload"))]
        assert lines[-3:] == [
            f"ExecStartPre=+/bin/sh -c '{files}'",
            f"ExecReload=+/bin/sh -c '{files}'",
            "ExecReload=/py -I /opt/rtc-server/current/rtc-server reload --pid $MAINPID",
        ]
    assert lines[:-3] == ["ExecStartPre=", "ExecReload="]  # or those of the unit came first
    plain = rtc_server_unit.server_config("jira", "::", 9093, "jira.example.com", [], [])
    own = rtc_server_unit.server_config("jira", "::", 9093, "jira.example.com", [], [], tls=True)
    assert plain["tls"] == {}
    assert own["tls"] == {"certificate": "$RUNTIME_DIRECTORY/tls.crt", "key": "$RUNTIME_DIRECTORY/tls.key"}
    assert "[tls]" not in rtc_server_unit.render_toml(plain)


def test_ten_starts_that_hang_reach_the_start_limit():
    lines = unit_file.render_unit("/py").splitlines()
    limit, burst, start, stop, pause = (
        next(int(line.partition("=")[2]) for line in lines if line.startswith(f"{name}="))
        for name in ("StartLimitIntervalSec", "StartLimitBurst", "TimeoutStartSec", "TimeoutStopSec", "RestartSec")
    )
    assert limit > burst * (start + stop + pause)


@pytest.mark.parametrize(
    ("result", "ready", "forgets"),
    [
        ("success", None, True),  # by systemctl stop or restart
        ("signal", None, False),  # it was never ready,
        ("signal", 10, False),  # or for ten seconds
        ("signal", 90, True),
        ("watchdog", 90, True),
    ],
)
def test_which_ends_forget_the_starts_before(tmp_path, result, ready, forgets):
    """The shell of ExecStopPost= itself, with ``systemctl`` in its place."""
    (command,) = re.findall(
        r"^ExecStopPost=\+-/bin/sh -c '(.*?)'$", unit_file.render_unit("/py"), re.MULTILINE | re.DOTALL
    )
    said = tmp_path / "said"
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >{said}\n')
    (tmp_path / "systemctl").chmod(0o755)
    if ready is not None:
        (tmp_path / "reload.json").touch()
        os.utime(tmp_path / "reload.json", (time.time() - ready,) * 2)
    command = (
        command.replace("\\\n", " ").replace("$$", "$").replace("%n", "rtc-server@x.service")
    )  # as systemd reads it
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {"PATH": path, "SERVICE_RESULT": result, "RUNTIME_DIRECTORY": str(tmp_path)}
    subprocess.run(["/bin/sh", "-c", command], env=environment, check=False)
    assert (said.exists() and said.read_text()) == (forgets and "reset-failed rtc-server@x.service\n")


# What "systemd-analyze security" finds open has its reason in unit_file.py; the most exposed that the unit may be, too.
_REASONS = {"RootDirectory=/RootImage=", "RestrictAddressFamilies=~AF_UNIX", "PrivateUsers=", "DeviceAllow="}
_NETWORK = {"RestrictAddressFamilies=~AF_(INET|INET6)", "PrivateNetwork=", "IPAddressDeny="}
MOST_EXPOSED = {True: 1.2, False: 0.5}  # by whether it has the network, for a store, or for sockets of its own


def _read_version() -> int:
    program = shutil.which("systemd-analyze")
    if program is None:
        return 0
    words = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"systemd (\d+)", words)
    return int(match.group(1)) if match else 0


@pytest.mark.skipif(_read_version() < 250, reason="systemd-analyze security --offline= came with systemd 250")
@pytest.mark.parametrize("more", ["", unit_file.render_with_socket(True), unit_file.render_with_socket(False)])
@pytest.mark.parametrize(
    "spoilt", ["", "PrivateMounts=yes\n", "ProtectClock=yes\n", "SystemCallFilter=~@privileged @resources\n"]
)
def test_the_unit_is_exposed_to_what_has_a_reason_only(tmp_path, spoilt, more):
    has_network = "PrivateNetwork" not in more
    reasons = _REASONS | (_NETWORK if has_network else set())
    text = unit_file.render_unit("/usr/bin/python3").replace("[Install]", f"{more}\n[Install]")
    (tmp_path / "rtc-server@confluence.service").write_text(text.replace(spoilt, ""))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", f"{tmp_path}/rtc-server@confluence.service"],
        capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    figure = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert figure, done.stdout + done.stderr
    open_ = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("\u2717")}
    if spoilt:
        assert open_ != reasons
    else:
        assert float(figure.group(1)) <= MOST_EXPOSED[has_network] and open_ == reasons


@pytest.mark.skipif(_read_version() < 250, reason="as above")
@pytest.mark.parametrize("spoilt", ["", "StopWhenUnneeded=yes"])
def test_systemd_understands_socket_and_drop_in(tmp_path, spoilt):
    drop_ins = tmp_path / "rtc-server@confluence.service.d"
    drop_ins.mkdir()
    (tmp_path / "rtc-server@confluence.service").write_text(unit_file.render_unit("/usr/bin/python3"))
    (drop_ins / "socket.conf").write_text(unit_file.render_with_socket(False))
    text = unit_file.render_socket(["0.0.0.0:9083", "[::]:9083"])
    (tmp_path / "rtc-server@confluence.socket").write_text(text.replace(spoilt or "x=", "StopWhenever=yes"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "rtc-server@confluence.socket")],
        capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "rtc-server@confluence" in line]
    complaints = [line for line in complaints if "is not executable" not in line]
    assert bool(complaints) == bool(spoilt), done.stderr


def test_each_address_has_its_socket():
    assert unit_file.list_places("127.0.0.1", 9083) == ["127.0.0.1:9083"]
    assert unit_file.list_places("::1", 9083) == ["[::1]:9083"]
    text = unit_file.render_socket(unit_file.list_places("::", 9093))
    assert "ListenStream=0.0.0.0:9093\nListenStream=[::]:9093\nBindIPv6Only=ipv6-only\n" in text


def test_limits_that_are_given_are_in_the_configuration():
    limits = {"connections": 99, "changes_per_second": 0.5}
    own = rtc_server_unit.server_config("jira", "::", 9093, "jira.example.com", [], [], limits=limits)
    assert tomllib.loads(rtc_server_unit.render_toml(own))["limits"] == limits
    assert "limits" not in rtc_server_unit.server_config("jira", "::", 9093, "jira.example.com", [], [])
