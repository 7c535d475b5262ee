# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``store_database`` on a real PostgreSQL: after it, an RTC node gets in by TLS and SCRAM, and nobody else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from rtc_support import SOURCE, config_text

pytest.importorskip("ansible")

import postgres_binaries
from postgres_support import Postgres

from ansible_collections.collab.rtc.plugins.modules import store_database
from ansible_collections.collab.rtc.tests.unit import module_runner

PASSWORD = 'a pässword\'s "long" one'
HBA = "local all all trust\nhost all all all md5\n"
Run = Callable[..., dict[str, Any]]


class Plain(Postgres):
    """A server as an administrator has it: its settings are in its files, and none on the command line."""

    def __init__(self) -> None:
        super().__init__()
        self.hba, self.config = self.data / "pg_hba.conf", self.data / "postgresql.conf"
        self.hba.write_text(HBA)
        with self.config.open("a") as file:
            file.write(f"unix_socket_directories = '{self.directory}'\nport = {self.port}\nfsync = off\n")
            file.write("log_statement = 'all'\nlog_min_duration_statement = 0\n")
        self.plain = self.config.read_text()

    def start(self, **_settings: Any) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.directory / "log"), "start")

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()


@pytest.fixture(scope="module")
def machine() -> Iterator[Plain]:
    server = Plain()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def server(machine: Plain) -> Iterator[Plain]:
    """With nothing of the test before."""
    yield machine
    machine.hba.write_text(HBA)
    machine.config.write_text(machine.plain)
    machine.query("ALTER SYSTEM RESET ALL")
    for name in machine.query("SELECT format('%I', datname) FROM pg_database WHERE oid > 16383"):
        machine.query(f"DROP DATABASE {name} WITH (FORCE)")
    for name in machine.query("SELECT format('%I', rolname) FROM pg_roles WHERE oid > 16383"):
        machine.query(f"DROP ROLE {name}")
    shutil.rmtree(machine.directory / "tls", ignore_errors=True)
    before = machine.query("SELECT pg_conf_load_time()")
    machine.query("SELECT pg_reload_conf()")
    end = time.monotonic() + 20
    while machine.query("SELECT pg_conf_load_time()") == before:
        assert time.monotonic() < end, "PostgreSQL does not read its files anew"


@pytest.fixture
def run(
    server: Plain,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    run_module = module_runner.make_run_module(capsys, monkeypatch)
    folder = server.directory / "tls"  # where the server's user gets in

    def run(check: bool = False, **options: Any) -> dict[str, Any]:
        database = {"name": "rtc", "password": PASSWORD, "clients": ["127.0.0.1"], **options.pop("database", {})}
        options = {
            "databases": [database],
            "certificate": certificate[0].read_text(),
            "key": certificate[1].read_text(),
            "port": server.port,
            "socket": str(server.directory),
            "psql": f"{postgres_binaries.distribution()}/psql",
            "tls_directory": str(folder),
            **options,
        }
        found: dict[str, Any] = run_module("store_database", options, check=check, diff=True)
        assert PASSWORD not in str(found) and "PRIVATE KEY" not in str(found) and "SCRAM-SHA-256$" not in str(found)
        return found

    return run


def check_config(server: Plain, certificate: tuple[Path, Path], directory: Path, password: str = PASSWORD,
                 **journal: str) -> str:  # fmt: skip
    """What ``rtc-server check-config`` says of a node that uses the store by name, with verified TLS; "" for good."""
    (directory / "password").write_text(password + "\n")
    section = {
        "path": None,
        "store_url": f"postgresql://rtc@localhost:{server.port}/rtc",
        "store_ca": str(certificate[0]),
        "store_password": str(directory / "password"),
        **journal,
    }
    (directory / "node.toml").write_text(config_text(directory, journal=section))
    code = "import sys; from rtc_server.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "check-config", str(directory / "node.toml")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    return "" if done.returncode == 0 else done.stderr


def test_a_node_gets_in_and_a_second_run_changes_nothing(
    server: Plain, run: Run, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    assert check_config(server, certificate, tmp_path) != ""
    foreseen = run(check=True)
    assert foreseen["changed"] and server.query("SELECT 1 FROM pg_roles WHERE rolname = 'rtc'") == []
    assert (server.hba.read_text(), server.config.read_text()) == (HBA, server.plain)

    made = run()
    assert not made.get("failed"), made["msg"]
    assert (made["diff"], made["steps"], made["restart_due"]) == (foreseen["diff"], foreseen["steps"], [])
    assert "another password" not in str(made["diff"]) and "CREATE DATABASE" in str(made["diff"])
    assert check_config(server, certificate, tmp_path) == ""
    assert "is not let in" in check_config(server, certificate, tmp_path, password="another")
    assert server.query("SELECT datcollate, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'rtc'") == [
        "C|UTF8"
    ]
    assert server.query("SELECT has_database_privilege('pg_monitor', 'rtc', 'CONNECT')") == ["f"]
    assert PASSWORD not in server.log and "SCRAM-SHA-256$" not in server.log and "CREATE ROLE" not in server.log

    again = run()
    assert (again["changed"], again["diff"], again["steps"]) == (False, [], [])


def test_our_lines_are_before_who_would_decide_and_that_is_said(server: Plain, run: Run) -> None:
    made = run()
    assert made["notes"] == [f"{server.hba}:2 would decide first ('host all all all md5'): our lines are before it."]
    lines = server.query("SELECT type, database, user_name, auth_method FROM pg_hba_file_rules ORDER BY line_number")
    assert lines[1] == "hostssl|{rtc}|{rtc}|scram-sha-256"
    assert [line for line in server.hba.read_text().splitlines() if line in HBA.splitlines()] == HBA.splitlines()


def test_another_password_is_a_change_and_one_that_is_kept_as_md5_too(
    server: Plain, run: Run, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    run()
    changed = run(database={"password": "another one"})
    assert changed["steps"] == ['ALTER ROLE "rtc": another password (not shown)']
    assert check_config(server, certificate, tmp_path, password="another one") == ""
    assert check_config(server, certificate, tmp_path) != ""
    server.query("SET password_encryption = 'md5'; ALTER ROLE rtc PASSWORD 'another one'")
    assert run(database={"password": "another one"})["changed"]
    assert check_config(server, certificate, tmp_path, password="another one") == ""


def test_a_password_that_postgresql_made_is_known_again(server: Plain, run: Run) -> None:
    """By SASLprep: a soft hyphen is nothing, a Roman numeral is its letters."""
    server.query("CREATE ROLE rtc LOGIN PASSWORD 'pass\u00adword\u2168'")
    assert not any("password" in step for step in run(database={"password": "passwordIX"})["steps"])


def test_what_is_made_by_hand_as_the_documentation_says_is_taken_on(server: Plain, run: Run) -> None:
    server.query(f"CREATE ROLE rtc LOGIN PASSWORD $x${PASSWORD}$x$")
    server.query("CREATE DATABASE rtc OWNER rtc TEMPLATE template0 ENCODING 'UTF8'")
    made = run()
    assert [step for step in made["steps"] if "ROLE" in step or "DATABASE" in step] == [
        'REVOKE ALL ON DATABASE "rtc" FROM PUBLIC'
    ]


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["CREATE ROLE rtc LOGIN SUPERUSER"], "is a superuser"),
        (["CREATE ROLE rtc LOGIN", "CREATE DATABASE other OWNER rtc"], "rights or things in other"),
        (["CREATE ROLE rtc LOGIN", "CREATE DATABASE other", "GRANT CREATE ON DATABASE other TO rtc"], "in other"),
        (["CREATE ROLE rtc LOGIN IN ROLE pg_monitor"], "is a member of pg_monitor"),
        (["CREATE ROLE rtc"], "may not log in"),
        (["CREATE DATABASE rtc"], "belongs to postgres"),
        (
            ["CREATE ROLE rtc LOGIN", "CREATE DATABASE rtc OWNER rtc TEMPLATE template0 ENCODING 'SQL_ASCII'"],
            "SQL_ASCII",
        ),
    ],
)
def test_what_is_somebody_elses_is_left_alone(server: Plain, run: Run, statements: list[str], words: str) -> None:
    for statement in statements:
        server.query(statement)
    kept = server.query("SELECT rolname, rolpassword FROM pg_authid ORDER BY 1")
    refused = run()
    assert refused["failed"] and words in refused["msg"]
    assert server.query("SELECT rolname, rolpassword FROM pg_authid ORDER BY 1") == kept
    assert (server.hba.read_text(), server.config.read_text()) == (HBA, server.plain)


def test_whoever_is_refused_on_purpose_is_not_let_in(server: Plain, run: Run) -> None:
    server.hba.write_text("local all all trust\nhost all all 127.0.0.0/8 reject\n")
    refused = run()
    assert refused["failed"] and f"{server.hba}:2 refuses rtc from 127.0.0.1/32" in refused["msg"]
    assert server.query("SELECT 1 FROM pg_roles WHERE rolname = 'rtc'") == []


def test_a_file_that_postgresql_does_not_read_is_not_touched(server: Plain, run: Run) -> None:
    server.hba.write_text(HBA + "host all all\n")
    refused = run()
    assert refused["failed"] and f"{server.hba}:3" in refused["msg"]
    server.hba.write_text(HBA)
    server.config.write_text(server.plain + "prot = 1\n")
    refused = run()
    assert refused["failed"] and f"{server.config}:{server.plain.count(chr(10)) + 1}" in refused["msg"]


def test_comments_in_another_encoding_are_kept(server: Plain, run: Run) -> None:
    for path, text in ((server.hba, HBA), (server.config, server.plain)):
        path.write_bytes(text.encode() + b"# Gr\xfc\xdfe\n")
    server.hba.write_bytes(b"host all all 127.0.0.1/32 md5 # Gr\xfc\xdfe\n" + server.hba.read_bytes())
    made = run()
    assert made["changed"] and "would decide first" in made["notes"][0] and not run()["changed"]
    for path in (server.hba, server.config):
        assert b"# Gr\xfc\xdfe\n" in path.read_bytes()
    assert run(state="absent")["changed"]
    assert server.config.read_bytes() == server.plain.encode() + b"# Gr\xfc\xdfe\n"


def test_a_certificate_of_another_key_is_refused(server: Plain, run: Run, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(key)],
                   check=True, capture_output=True)  # fmt: skip
    refused = run(key=key.read_text())
    assert refused["failed"] and "do not belong together" in refused["msg"]
    assert server.config.read_text() == server.plain


def test_without_a_certificate_there_has_to_be_one(server: Plain, run: Run, certificate: tuple[Path, Path]) -> None:
    refused = run(certificate=None, key=None)
    assert refused["failed"] and "server.crt (ssl_cert_file)" in refused["msg"]
    for name, source in (("server.crt", certificate[0]), ("server.key", certificate[1])):
        path = server.data / name
        path.write_bytes(source.read_bytes())
        path.chmod(0o600)
        server.own(path)
    try:
        assert run(certificate=None, key=None)["changed"]
        assert server.query("SHOW ssl") == ["on"] and not run(certificate=None, key=None)["changed"]
        assert not (server.directory / "tls").exists()
    finally:
        for name in ("server.crt", "server.key"):
            (server.data / name).unlink()


def test_a_renewed_certificate_is_written_and_presented(server: Plain, run: Run, tmp_path: Path) -> None:
    run()
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(tmp_path / "key"),
               "-out", str(tmp_path / "crt")]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    renewed = run(certificate=(tmp_path / "crt").read_text(), key=(tmp_path / "key").read_text())
    assert len(renewed["steps"]) == 2 and "new key, not shown" in str(renewed["diff"])
    assert check_config(server, (tmp_path / "crt", tmp_path / "key"), tmp_path) == ""


def test_nodes_of_other_machines_need_a_restart_which_is_said(server: Plain, run: Run) -> None:
    client = {"clients": ["127.0.0.1", "192.0.2.0/24"]}
    assert run(database=client, check=True)["restart_due"] == ["listen_addresses"]
    made = run(database=client)
    assert made["restart_due"] == ["listen_addresses"] and not made["restarted"]
    assert "listen_addresses = '*'" in server.config.read_text() and server.query("SHOW listen_addresses") == [
        "localhost"
    ]
    again = run(database=client)
    assert not again["changed"] and again["restart_due"] == ["listen_addresses"]
    server.stop()
    server.start()
    again = run(database=client)
    assert (again["changed"], again["restart_due"]) == (False, []) and server.query("SHOW listen_addresses") == ["*"]
    server.config.write_text(server.plain)
    server.stop()
    server.start()


def test_alter_system_is_said(server: Plain, run: Run) -> None:
    server.query("ALTER SYSTEM SET ssl = off")
    refused = run()
    assert refused["failed"] and "ALTER SYSTEM RESET ssl;" in refused["msg"]


def test_odd_names_reach_their_store(server: Plain, run: Run, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """Capitals, spaces, quotes, percent signs, and what is a keyword in pg_hba.conf."""
    for name, owner in (('RTC "100%"', "Of Jïra"), ("all", "+all"), ("sameuser", "@x")):
        made = run(database={"name": name, "owner": owner})
        assert made.get("changed"), made["msg"]
        assert not run(database={"name": name, "owner": owner})["changed"]
        url = f"postgresql://{quote(owner, safe='')}@localhost:{server.port}/{quote(name, safe='')}"
        assert check_config(server, certificate, tmp_path, store_url=url) == ""
    gone = run(database={"name": 'RTC "100%"', "owner": "Of Jïra"}, state="absent", drop=True)
    assert 'DROP DATABASE "RTC ""100%"""' in gone["steps"] and 'DROP ROLE "Of Jïra"' in gone["steps"]


def test_two_stores_and_one_that_is_not_wanted_any_more(server: Plain, run: Run) -> None:
    one = {"name": "rtc", "password": PASSWORD, "clients": ["127.0.0.1"]}
    two = {"name": "rtc jira", "owner": 'of "jira"', "password": PASSWORD + "2", "clients": ["127.0.0.1", "::1"]}
    assert run(databases=[one, two])["changed"] and not run(databases=[one, two])["changed"]
    assert server.query("SELECT count(*) FROM pg_hba_file_rules WHERE type = 'hostssl'") == ["3"]
    assert run(databases=[one])["steps"] == [f"write {server.hba}"]
    assert server.query("SELECT count(*) FROM pg_hba_file_rules WHERE type = 'hostssl'") == ["1"]
    assert server.query("SELECT 1 FROM pg_database WHERE datname = 'rtc jira'") == ["1"]


def test_absent_gives_back_what_was_there_and_keeps_the_database(server: Plain, run: Run) -> None:
    run()
    foreseen = run(state="absent", check=True)
    gone = run(state="absent")
    assert gone["changed"] and gone["diff"] == foreseen["diff"]
    assert (server.hba.read_text(), server.config.read_text()) == (HBA, server.plain)
    assert server.query("SHOW ssl") == ["off"] and not (server.directory / "tls").exists()
    assert server.query("SELECT 1 FROM pg_database WHERE datname = 'rtc'") == ["1"]
    assert not run(state="absent")["changed"]
    assert run(state="absent", drop=True)["steps"] == ['DROP DATABASE "rtc"', 'DROP ROLE "rtc"']
    assert server.query("SELECT 1 FROM pg_roles WHERE rolname = 'rtc'") == []
    assert not run(state="absent", drop=True)["changed"]


def test_a_certificate_that_somebody_uses_is_not_taken_away(server: Plain, run: Run) -> None:
    """PostgreSQL would go on with what it has read, and not start again."""
    run()
    path = server.directory / "tls/tls.crt"
    server.config.write_text(f"ssl_cert_file = '{path}'\n" + server.config.read_text())
    for options in ({"state": "absent"}, {"certificate": None, "key": None}):
        refused = run(**options)
        assert refused["failed"] and f"{server.config}:1: ssl_cert_file is {path}" in refused["msg"]
    assert path.exists() and server.query("SHOW ssl") == ["on"]


def test_no_server_is_an_error_that_says_where_was_looked(server: Plain, run: Run) -> None:
    refused = run(port=server.port + 1 if server.port < 65535 else 1)
    assert refused["failed"] and "No server of PostgreSQL runs here" in refused["msg"]


@pytest.fixture
def unit(server: Plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The server as a service of systemd, of which only ``restart`` is there; the file has the calls."""
    calls, program = tmp_path / "calls", tmp_path / "bin/systemctl"
    program.parent.mkdir()
    become = "runuser -u postgres --" if os.geteuid() == 0 else ""
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{calls}\ncd /\n'
        f"exec {become} {postgres_binaries.distribution()}/pg_ctl -D {server.data} -w -l {server.directory}/log restart >/dev/null 2>&1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(store_database.Store, "_find_unit", lambda _self: "postgresql@15-main.service")
    return calls


def test_a_server_that_has_no_other_databases_is_restarted(server: Plain, run: Run, unit: Path) -> None:
    client = {"clients": ["192.0.2.0/24"]}
    foreseen = run(database=client, check=True)
    assert "restart (listen_addresses)" in foreseen["steps"] and not unit.exists()
    made = run(database=client)
    assert (made["restarted"], made["restart_due"], made["diff"]) == (True, [], foreseen["diff"])
    assert unit.read_text() == "restart postgresql@15-main.service\n"
    assert server.query("SHOW listen_addresses") == ["*"] and not run(database=client)["changed"]
    assert run(database=client, state="absent")["restarted"] and server.query("SHOW listen_addresses") == ["localhost"]


def test_a_server_that_does_not_start_again_gets_its_old_files_and_another_start(
    server: Plain, run: Run, unit: Path
) -> None:
    """An address that this machine does not have: PostgreSQL ends at its start."""
    server.config.write_text(server.plain + "listen_addresses = ''\n")
    server.stop()
    server.start()
    try:
        refused = run(database={"clients": ["192.0.2.0/24"]}, listen=["203.0.113.77"])
        assert refused["failed"] and "does not restart" in refused["msg"]
        assert server.query("SHOW listen_addresses") == [""] and server.hba.read_text() == HBA
        assert unit.read_text().count("restart") == 2
    finally:
        server.config.write_text(server.plain)
        server.stop()
        server.start()


def test_a_server_of_somebody_else_is_not_asked(server: Plain, run: Run) -> None:
    """It would name the files that root writes, such as the configuration of PostgreSQL."""
    if os.geteuid() != 0:
        pytest.skip("only root asks as somebody else")
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        Path(folder).chmod(0o755)
        path = Path(folder) / f".s.PGSQL.{server.port}"
        listener.bind(str(path))
        path.chmod(0o777)
        listener.listen()
        refused = run(socket=folder)
        assert refused["failed"] and "requirepeer" in refused["msg"]
        with listener.accept()[0] as connection:
            assert connection.recv(1) == b""  # not even who asks


def test_a_line_that_is_wrong_in_an_included_file_is_named(server: Plain, run: Run) -> None:
    if int(server.query("SHOW server_version_num")[0]) < 160000:
        pytest.skip("before PostgreSQL 16 nothing is included")
    run()
    included = server.data / "more.conf"
    included.write_text("# 1\n\nhost all all\n")  # a line of our block's number
    server.own(included)
    server.hba.write_text(server.hba.read_text() + "include more.conf\n")
    refused = run()
    assert refused["failed"] and f"{included}:3: " in refused["msg"]


def test_what_is_used_is_not_dropped_and_nothing_else_is_taken_away(server: Plain, run: Run) -> None:
    run()
    kept = server.hba.read_text()
    command = [f"{postgres_binaries.distribution()}/psql", "-h", str(server.directory), "-p", str(server.port), "-U"]
    with subprocess.Popen([*command, "postgres", "-d", "rtc", "-qAt"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as user:  # fmt: skip
        assert user.stdin is not None and user.stdout is not None
        user.stdin.write("SELECT 1;\n")
        user.stdin.flush()
        assert user.stdout.readline() == "1\n"
        for check in (True, False):
            refused = run(state="absent", drop=True, check=check)
            assert refused["failed"] and "is used, by 1 connections" in refused["msg"]
        user.stdin.close()
    assert server.hba.read_text() == kept and run(state="absent")["changed"]


def test_a_server_that_others_use_is_not_restarted_unless_it_is_asked_for(server: Plain, run: Run, unit: Path) -> None:
    server.query("CREATE DATABASE confluence")
    client = {"clients": ["192.0.2.0/24"]}
    assert run(database=client)["restart_due"] == ["listen_addresses"] and not unit.exists()
    assert not run(database=client)["changed"]
    assert run(database=client, restart="always")["restarted"]
    assert run(database=client, restart="always", state="absent")["restarted"]
