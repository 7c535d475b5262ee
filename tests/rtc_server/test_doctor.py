# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rtc-server doctor`` beside real servers, and what it concludes from what systemd and the kernel say."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from journal_support import as_nobody
from rtc_certificates import make_pair, write_pair
from rtc_support import SECRET, Server, config_text, free_port

from rtc_server import __version__, cli, doctor, doctor_host
from rtc_server.config import parse
from rtc_server.doctor import CRITICAL, OK, UNKNOWN, WARNING, Check
from rtc_server.reload import Outcome

UNIT = "rtc-server@confluence.service"
RUNS = {
    "LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Result": "success", "MainPID": "7",
    "NRestarts": "0", "ExecMainStatus": "0", "UnitFileState": "enabled", "NeedDaemonReload": "no",
    "MemoryCurrent": "1000", "MemoryMax": "100000",
}  # fmt: skip


class Doctor:
    """The command, with what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, config: Path, *arguments: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
        """Exit status and checks by name."""
        status = cli.main(["doctor", "--config", str(config), "--json", *arguments])
        out = self._capsys.readouterr().out
        assert SECRET.decode() not in out
        found = json.loads(out)
        assert found["status"] == status
        checks: dict[str, list[dict[str, str]]] = {}
        for check in found["checks"]:
            checks.setdefault(check["name"], []).append(check)
        return status, checks

    def text(self, config: Path) -> str:
        cli.main(["doctor", "--config", str(config)])
        out = self._capsys.readouterr().out
        assert SECRET.decode() not in out
        return out


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setattr(doctor_host, "is_clock_synchronized", lambda: True)  # of the machine that runs the tests
    return Doctor(capsys)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    return tmp_path / "run"


def states(checks: dict[str, list[dict[str, str]]], name: str) -> list[str]:
    return [check["state"] for check in checks[name]]


def test_a_server_that_is_well_and_one_that_was_stopped(tmp_path: Path, runtime: Path, examine: Doctor) -> None:
    server = Server(tmp_path, limits={"connections": 10, "pending": 10, "reserve_bytes": 0})
    server.start()
    try:
        status, checks = examine(server.config)
        assert status == 0, checks
        assert {name for name in checks if states(checks, name) != ["ok"]} == set()
        assert {"configuration", "listening", "readiness", "keys", "journal", "disk", "clock"} <= checks.keys()
        assert server.process is not None and f"process {server.process.pid}" in checks["listening"][0]["text"]
        first = examine.text(server.config).splitlines()[0]
        assert first.startswith("RTC OK - ") and "|" not in first
    finally:
        server.stop()
    status, checks = examine(server.config)
    assert status == 2
    assert "DOWN: nobody listens on 127.0.0.1" in checks["listening"][0]["text"]
    assert states(checks, "journal") == ["ok"]  # what can be looked at without the server is
    lines = examine.text(server.config).splitlines()
    assert lines[0].startswith("RTC CRITICAL - ") and "DOWN" in lines[0]


def test_a_port_that_somebody_else_has(tmp_path: Path, examine: Doctor) -> None:
    port = free_port()
    config = tmp_path / "config.toml"
    config.write_text(config_text(tmp_path, port))
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        found = doctor_host.find_listeners(port)
        assert [(one.address, one.pid) for one in found] == [("127.0.0.1", os.getpid())]
        (check,) = doctor.judge_listeners(parse(config.read_text()), found, 7, UNIT)
        assert check.state == CRITICAL and f"(process {os.getpid()})" in check.text
    assert doctor_host.find_listeners(port) == []


def test_a_port_that_systemd_holds_for_a_server_that_does_not_run(tmp_path: Path) -> None:
    config = parse(config_text(tmp_path, 9083))
    found = [doctor_host.Listener("127.0.0.1", doctor_host.SYSTEMD, "systemd")]
    (check,) = doctor.judge_listeners(config, found, 0, UNIT, "rtc-server@confluence.socket")
    assert check.state == CRITICAL and "newcomers wait for one" in check.text
    (check,) = doctor.judge_listeners(config, found, 0, UNIT)
    assert check.state == CRITICAL and "is taken by systemd" in check.text


def test_who_has_a_socket_that_systemd_has_too(tmp_path: Path) -> None:
    """Of files that are as those of /proc."""
    row = "0: 0100007F:237B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77"
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text("heading\n" + row + "\n")

    def put(pid: int) -> None:
        (tmp_path / f"{pid}/fd").mkdir(parents=True)
        (tmp_path / f"{pid}/fd/3").symlink_to("socket:[77]")
        (tmp_path / f"{pid}/comm").write_text(f"program {pid}\n")

    put(1)
    assert [one.pid for one in doctor_host.find_listeners(9083, str(tmp_path))] == [1]
    for pid in (40, 7):
        put(pid)
    assert [one.program for one in doctor_host.find_listeners(9083, str(tmp_path))] == ["program 7"]


def test_what_answers_is_no_rtc_server(tmp_path: Path) -> None:
    for answer in (doctor_host.Answer(404), doctor_host.Answer(200, {"status": "ok"})):
        (check,) = doctor.judge_answers(answer, answer)
        assert check.state == CRITICAL and "no RTC server" in check.text


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "::1"])
def test_who_listens_on_all_addresses(tmp_path: Path, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    port = free_port()
    with socket.socket(family) as other:
        try:
            other.bind((address, port))
        except OSError:
            pytest.skip("no IPv6 here")
        other.listen()
        config = parse(config_text(tmp_path, port, server={"address": address}))
        (check,) = doctor.judge_listeners(config, doctor_host.find_listeners(port), os.getpid(), UNIT)
        assert check.state == OK, check


def test_a_refused_reload_and_a_configuration_that_is_not_in_force(
    tmp_path: Path, runtime: Path, examine: Doctor
) -> None:
    config = parse(config_text(tmp_path, 9083))
    for outcome, state, words in (
        (Outcome(7, 1, 1.0, config.digest, "server.port: no", {}), WARNING, "reload was refused: server.port: no"),
        (Outcome(7, 1, 1.0, "another", "", {}), WARNING, "has changed since the server read it"),
        (Outcome(7, 1, 1.0, config.digest, "", {}), OK, "runs with what is in the file"),
    ):
        (check,) = doctor.judge_outcome(config, outcome, 7)
        assert check.state == state and words in check.text
    assert list(doctor.judge_outcome(config, Outcome(8, 1, 1.0, "", "", {}), 7)) == []  # of an earlier process


def test_a_configuration_that_cannot_be_used(tmp_path: Path, examine: Doctor) -> None:
    config = tmp_path / "config.toml"
    assert examine(config)[0] == 2
    config.write_text(config_text(tmp_path, 9083).replace("port = 9083", 'port = 0\nspeed = "x"'))
    status, checks = examine(config)
    assert status == 2 and len(checks["configuration"]) == 2
    assert all("config.toml:" in check["text"] for check in checks["configuration"])
    config.write_text(config_text(tmp_path, free_port()))
    (tmp_path / "token.key").write_text("short secret")
    status, checks = examine(config)
    assert status == 2 and states(checks, "keys") == ["critical"]
    assert "short secret" not in str(checks)


@pytest.fixture
def with_tls(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    make_pair(tmp_path, "127.0.0.1")
    tls = {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}
    server = Server(
        tmp_path, tls=tls, server={"name": "127.0.0.1"}, limits={"connections": 10, "pending": 10, "reserve_bytes": 0}
    )
    try:
        server.start()
        yield server, tmp_path
    finally:
        server.stop()


def test_certificates_of_a_real_server(with_tls: tuple[Server, Path], examine: Doctor) -> None:
    """It is valid for nine days, is renewed without a reload, is for another name, and its key is lost."""
    server, directory = with_tls
    status, checks = examine(server.config)
    assert status == 1 and states(checks, "certificate") == ["warning"]
    assert "in 9 days" in checks["certificate"][0]["text"]
    assert examine(server.config, "--days", "5")[0] == 0
    make_pair(directory, "127.0.0.1")
    assert states(examine(server.config)[1], "certificate in force") == ["warning"]
    write_pair(directory, 3, ec.generate_private_key(ec.SECP256R1()))
    status, checks = examine(server.config)
    assert status == 2 and "is not for 127.0.0.1" in checks["certificate"][-1]["text"]
    kept = (directory / "tls.key").read_bytes()
    make_pair(directory, "127.0.0.1")
    (directory / "tls.key").write_bytes(kept)
    status, checks = examine(server.config)
    assert status == 2 and "do not belong together" in checks["certificate"][0]["text"]


def make_certificate(**values: Any) -> doctor_host.Certificate:
    given = {"begins": 0.0, "ends": 1e10, "subject": "x", "names": ["wiki.example.org"], "der": b"", **values}
    return doctor_host.Certificate(**given)


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, OK),
        ({"ends": 1_000_000}, CRITICAL),
        ({"begins": 2e6}, CRITICAL),
        ({"ends": 1_000_000 + 13 * 86400}, WARNING),
        ({"ends": 1_000_000 + 15 * 86400}, OK),
        ({"names": ["*.example.org"]}, OK),
        ({"names": ["WIKI.example.org."]}, OK),
        ({"names": ["*.org"]}, CRITICAL),
        ({"names": ["example.org"]}, CRITICAL),
        ({"names": []}, CRITICAL),
    ],
)
def test_dates_and_names(values: dict[str, Any], state: int) -> None:
    checks = list(doctor.judge_certificates([make_certificate(**values)], "wiki.example.org", 1e6, 14))
    assert doctor.find_worst(checks) == state
    chain = (
        [make_certificate(), make_certificate(**values, names=values.get("names", []))] if "names" not in values else []
    )
    if chain:  # dates of the others count, their names do not
        assert doctor.find_worst(list(doctor.judge_certificates(chain, "wiki.example.org", 1e6, 14))) == state


SYSTEMD = [
    ({}, OK, "runs (process 7"),
    ({"ActiveState": "reloading"}, OK, "runs"),
    ({"LoadState": "not-found"}, CRITICAL, "DOWN: rtc-server@confluence.service is not-found"),
    ({"ActiveState": "inactive"}, CRITICAL, "DOWN: rtc-server@confluence.service is stopped"),
    ({"ActiveState": "failed", "Result": "start-limit-hit"}, CRITICAL, "start limit"),
    ({"ActiveState": "failed", "Result": "oom-kill"}, CRITICAL, "too little memory"),
    ({"ActiveState": "failed", "Result": "watchdog"}, CRITICAL, "it hung"),
    ({"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}, CRITICAL, "starts and fails"),
    (
        {"ActiveState": "activating", "SubState": "start", "NRestarts": "3"},
        CRITICAL,
        "starts and fails, again and again",
    ),
    ({"ActiveState": "activating", "SubState": "start"}, CRITICAL, "is starting"),
    ({"UnitFileState": "disabled"}, WARNING, "after a reboot it is down"),
    ({"NeedDaemonReload": "yes"}, WARNING, "have changed since systemd read them"),
    ({"MemoryCurrent": "95000"}, WARNING, "MemoryMax="),
    ({"MemoryMax": "infinity"}, OK, "runs"),
]


@pytest.mark.parametrize(("shown", "state", "words"), SYSTEMD)
def test_what_systemd_says(shown: dict[str, str], state: int, words: str) -> None:
    checks = list(doctor.judge_unit(UNIT, {**RUNS, **shown}, ["cannot listen on port 9083"]))
    assert doctor.find_worst(checks) == state and any(words in check.text for check in checks)
    if state == CRITICAL and shown.get("LoadState") is None:
        assert "Its log ends: cannot listen on port 9083" in checks[0].text
        assert checks[0].remedy


# What systemd says of a unit is not what the server says.
_WORDS = "case $1 in _SYSTEMD_UNIT=*) echo last words;; *) echo Scheduled restart job;; esac"


def put_systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    for name in ("systemctl", "journalctl"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script if name == 'systemctl' else _WORDS}\n")
        program.chmod(0o755)
    monkeypatch.setattr(doctor_host, "_ENVIRONMENT", {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")


def test_a_unit_that_was_stopped_and_whose_port_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examine: Doctor
) -> None:
    put_systemctl(
        tmp_path, monkeypatch, "printf 'LoadState=loaded\\nActiveState=failed\\nResult=start-limit-hit\\nMainPID=0\\n'"
    )
    server = Server(tmp_path)
    server.start()
    try:
        status, checks = examine(server.config, "--unit", UNIT)
        assert status == 2 and "last words" in checks["unit"][0]["text"]
        assert "reset-failed" in checks["unit"][0]["remedy"]
        assert states(checks, "listening") == ["critical"] and "is taken by" in checks["listening"][0]["text"]
    finally:
        server.stop()


def test_a_start_limit_of_which_only_the_socket_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examine: Doctor
) -> None:
    said = "case $2 in *.socket) r=service-start-limit-hit;; *) r=exit-code;; esac; "
    put_systemctl(
        tmp_path, monkeypatch, said + "printf 'LoadState=loaded\\nActiveState=failed\\nMainPID=0\\nResult=%s\\n' $r"
    )
    _status, checks = examine(Server(tmp_path).config, "--unit", UNIT)
    assert "start limit" in checks["unit"][0]["text"] and "reset-failed" in checks["unit"][0]["remedy"]


def test_a_configuration_that_is_not_there_is_named_once() -> None:
    place = doctor.find_place("/nowhere/rtc.toml", "", 14)
    first = doctor.format_text(place.config, doctor.examine(place)).splitlines()[0]
    assert first == "RTC CRITICAL - /nowhere/rtc.toml: cannot be read: No such file or directory"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_what_only_root_may_read_is_unknown_to_others() -> None:
    async def look(folder: Path) -> None:
        config = folder / "config.toml"
        config.write_text(config_text(folder, free_port()))
        (folder / "token.key").chmod(0)
        found = doctor.examine(doctor.find_place(str(config), "", 14))
        (check,) = [check for check in found if check.name == "keys"]
        assert (check.state, check.remedy) == (UNKNOWN, "Run it as root.") and "token.key" in check.text
        config.chmod(0)
        check = doctor.examine(doctor.find_place(str(config), "", 14))[-1]
        assert (check.name, check.state, check.remedy) == ("configuration", UNKNOWN, "Run it as root.")

    as_nobody(look)


@pytest.mark.parametrize("is_started", [True, False])
def test_a_server_that_has_started_meanwhile_and_one_whose_socket_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examine: Doctor, is_started: bool
) -> None:
    server = Server(tmp_path)
    server.start()
    assert server.process is not None
    pid = server.process.pid
    monkeypatch.setattr(doctor_host, "is_of_unit", lambda found, unit: (found, unit) == (pid, UNIT))
    state = f"s=active; p={0 if is_started else pid}; case $2 in *.socket) s={'active' if is_started else 'inactive'};; esac; "
    put_systemctl(tmp_path, monkeypatch, state + "printf 'LoadState=loaded\\nActiveState=%s\\nMainPID=%s\\n' $s $p")
    try:
        _status, checks = examine(server.config, "--unit", UNIT)
        assert states(checks, "listening") == ["ok"], checks["listening"]
        assert ("port" in checks) is not is_started
        if not is_started:
            assert "rtc-server@confluence.socket was stopped" in checks["port"][0]["text"]
    finally:
        server.stop()


def test_whose_process_it_is(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(f"0::/system.slice/system-rtc\\x2dserver.slice/{UNIT}\n")
    root = str(tmp_path)
    assert doctor_host.is_of_unit(7, UNIT, root)
    assert not doctor_host.is_of_unit(7, "server@confluence.service", root) and not doctor_host.is_of_unit(
        8, UNIT, root
    )


@pytest.mark.parametrize("script", ["echo no bus >&2; exit 1", "exec sleep 60"])
def test_what_cannot_be_seen_is_unknown_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examine: Doctor, script: str
) -> None:
    put_systemctl(tmp_path, monkeypatch, script)
    monkeypatch.setattr(doctor_host, "PATIENCE", 0.5)
    config = tmp_path / "config.toml"
    config.write_text(config_text(tmp_path, free_port()))
    checks = examine(config, "--unit", UNIT)[1]
    assert states(checks, "unit") == ["unknown"] and "cannot be seen: systemctl" in checks["unit"][0]["text"]
    assert states(checks, "journal") == ["warning"]  # the others are done all the same


def test_an_instance_of_the_collection_is_known_by_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "")
    place = doctor.find_place("/etc/rtc-server/confluence.toml", "", 14)
    assert (place.unit, place.runtime) == (UNIT, "/run/rtc-server/confluence")
    assert os.environ["RUNTIME_DIRECTORY"] == "/etc/rtc-server/confluence"
    assert doctor.find_place("/srv/rtc.toml", "", 14).unit == ""


@pytest.mark.parametrize(
    ("free", "files", "state"),
    [
        (100 << 30, 5000, OK),
        (100 << 30, -1, OK),
        (100 << 30, 3, CRITICAL),
        (300 << 20, 5000, WARNING),
        (1 << 20, 5000, CRITICAL),
    ],
)
def test_the_disk(free: int, files: int, state: int) -> None:
    (check,) = doctor.judge_disk(doctor_host.Disk(free, 200 << 30, files), "/j", 256 << 20)
    assert check.state == state


def test_the_readiness_the_clock_descriptors_and_the_store(tmp_path: Path) -> None:
    health = doctor_host.Answer(200, {"version": __version__})
    for reason, state in (("disk", CRITICAL), ("journal", CRITICAL), ("draining", WARNING)):
        (check,) = doctor.judge_answers(health, doctor_host.Answer(503, {"reason": reason}))
        assert check.state == state
    old = doctor_host.Answer(200, {"version": "0.0.1"})
    assert doctor.find_worst(list(doctor.judge_answers(old, doctor_host.Answer(200)))) == WARNING
    now = time.time()
    assert [doctor.find_worst(list(doctor.judge_clock(at, lambda it=good: it))) for at, good in (
        (now, True), (now, False), (0, True))] == [OK, WARNING, CRITICAL]  # fmt: skip
    config = parse(config_text(tmp_path))
    for most, state in ((20_512, OK), (1024, WARNING)):
        assert doctor.find_worst(list(doctor.judge_descriptors(config, most))) == state
    for found, state in (
        ({"fault": "db: connection refused", "risks": {}}, CRITICAL),
        ({"fault": "", "risks": {"fsync": "fsync is off"}}, WARNING),
        ({"fault": "", "risks": {}}, OK),
    ):
        assert doctor.find_worst(list(doctor.judge_store(found))) == state


def test_a_journal_that_is_none(tmp_path: Path, examine: Doctor) -> None:
    config = tmp_path / "config.toml"
    config.write_text(config_text(tmp_path, free_port()))
    (tmp_path / "journal.db").write_bytes(b"x" * 100)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert states(examine(config)[1], "journal") == ["critical"]
    assert sorted(path.name for path in tmp_path.iterdir()) == before  # nothing is made beside it


def test_the_worst_is_the_exit_status() -> None:
    def of(*given: int) -> int:
        return doctor.find_worst([Check("x", state, "") for state in given])

    assert [of(), of(OK), of(OK, UNKNOWN), of(UNKNOWN, WARNING), of(WARNING, CRITICAL, UNKNOWN)] == [3, 0, 3, 1, 2]
    text = doctor.format_text("unit", [Check("a", OK, "fine"), Check("b", CRITICAL, "bad | \x1b[1m\nworse", "mend")])
    assert text.splitlines()[0] == "RTC CRITICAL - unit: bad /  [1m worse"
    assert "\x1b" not in text


def test_wrong_usage_is_unknown_for_a_monitoring_system(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor"])
    assert ended.value.code == 3
    assert "RTC UNKNOWN" in capsys.readouterr().err


@pytest.mark.parametrize("body", [b"[" * 9_000, b'{"version":' + b"[" * 9_000, b"\xff", b"1", b"null"])
def test_a_stranger_s_answer_is_no_version(body: bytes) -> None:
    """Whoever has the port, deeply nested JSON included, is named; the doctor itself does not fail."""

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        answer = doctor_host.ask("127.0.0.1", server.server_port, False, "/healthz")
        thread.join()
    assert (answer.status, answer.body) == (200, {})
    (check,) = doctor.judge_answers(answer, answer)
    assert check.state == CRITICAL and "no RTC server" in check.text
