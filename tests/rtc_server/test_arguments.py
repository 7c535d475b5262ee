# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command is told and where its output goes: odd names, locales without UTF-8, full disks, closed pipes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from journal_support import change, opened
from rtc_support import SOURCE, config_text

from rtc_server import auth, cli

NAME = "Plan \u00e4\u20ac"
NO_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration with a journal of one project."""

    async def fill() -> None:
        async with opened(tmp_path / "journal.db") as keeper:
            await keeper.keep(change(1, NAME, data=NAME))

    asyncio.run(fill())
    (tmp_path / "config.toml").write_text(config_text(tmp_path))
    return str(tmp_path / "config.toml")


def run(
    *arguments: str | bytes, shell: str = "", given: bytes | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own; ``shell`` is what a shell is to do with its descriptors."""
    command: list[str | bytes] = [sys.executable, "-m", "rtc_server", *arguments]
    if shell:
        command = ["sh", "-c", f'"$@" {shell}', "sh", *command]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **environment}
    return subprocess.run(command, env=environment, input=given, capture_output=True, check=False)


@pytest.mark.parametrize("environment", [{}, NO_LOCALE, {"PYTHONIOENCODING": "latin-1"}])
def test_names_and_exports_are_utf8_whatever_the_locale_is(config: str, environment: dict[str, str]) -> None:
    listed = run("list-projects", "--config", config, **environment)
    assert (listed.returncode, listed.stderr) == (0, b"")
    assert listed.stdout.decode().startswith(f"{NAME}\t1\t1\t")
    exported = run("export", "--config", config, "--project", NAME.encode(), **environment)
    assert (exported.returncode, exported.stderr) == (0, b"")
    assert exported.stdout.decode().count(NAME) == 2


@pytest.mark.parametrize("command", ["export", "delete-project", "import", "token"])
def test_a_name_that_is_no_text(config: str, command: str) -> None:
    user = ("--user", "ann") if command == "token" else ()
    done = run(command, "--config", config, *user, "--project", b"\xff")
    assert done.returncode == 2 and b"--project: is no text in UTF-8" in done.stderr


@pytest.mark.parametrize(
    ("shell", "status", "words"),
    [
        (">/dev/full", 1, b"standard output cannot be written: No space left on device\n"),
        ("| true", 0, b""),
        ("| head -c 1 >/dev/null", 0, b""),
        (">&-", 0, b""),
    ],
)
@pytest.mark.parametrize("command", ["list-projects", "export"])
def test_output_that_nobody_takes(config: str, command: str, shell: str, status: int, words: bytes) -> None:
    project = ("--project", NAME) if command == "export" else ()
    done = run(command, "--config", config, *project, shell=shell)
    assert (done.returncode, done.stderr) == (status, words)


def test_input_that_is_closed(config: str) -> None:
    done = run("import", "--config", config, shell="<&-")
    assert (done.returncode, done.stderr) == (1, b"standard input is closed\n")


@pytest.mark.parametrize("environment", [{}, NO_LOCALE])
def test_a_configuration_on_standard_input(config: str, environment: dict[str, str]) -> None:
    """As a module gives it to ``check-reload``, whose process may have no locale."""
    text = Path(config).read_text() + f"# {NAME}\n"
    for given, status, words in (
        (text.encode(), 0, b""),
        (b"\xff", 1, b"standard input is not UTF-8\n"),
        (f"[[{NAME}".encode(), 1, b"standard input:1: is not TOML: "),
    ):
        done = run("check-reload", config, "-", given=given, **environment)
        assert done.returncode == status and done.stderr.startswith(words) and b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--user", "", "--project", "p"), ("--user", "x" * 201, "--project", "p"), ("--user", "a\nb", "--project", "p"),
        ("--user", "u", "--project", ""), ("--user", "u", "--project", "x" * 201),
        ("--user", "u", "--project", "a\tb"), ("--user", "u", "--project", "p", "--name", "x" * 201),
        ("--user", "u", "--project", "p", "--name", "a\u2028b"), ("--user", "u", "--project", "p", "--ttl", "0"),
        ("--user", "u", "--project", "p", "--ttl", "9" * 15), ("--user", "u", "--project", "p", "--ttl", "9" * 400),
    ],
)  # fmt: skip
def test_no_token_is_made_that_no_server_takes(
    config: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    try:
        status = cli.main(["token", "--config", config, *arguments])
    except SystemExit as exc:
        status = int(str(exc.code))
    out, err = capsys.readouterr()
    assert (status, out) == (2, "") and "must " in err


def test_a_token_of_too_many_projects(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    def make(number: int) -> int:
        projects = [part for at in range(number) for part in ("--project", f"{'p' * 190}{at}")]
        return cli.main(["token", "--config", config, "--user", "ann", *projects])

    assert make(25) == 0
    assert len(capsys.readouterr().out) <= auth.MAX_TOKEN
    assert make(60) == 1
    out, err = capsys.readouterr()
    assert out == "" and "name fewer projects" in err


@pytest.mark.parametrize("number", ["0", "-1", "", "1.5", "99999999999"])
def test_processes_that_are_none(capsys: pytest.CaptureFixture[str], number: str) -> None:
    """To kill(2), 0 and -1 are the process's own group, and everybody. Nothing is asked of those."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(["reload", "--pid", number])
    assert stopped.value.code == 2 and "--pid" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "x", ""])
def test_times_that_are_none(config: str, capsys: pytest.CaptureFixture[str], number: str) -> None:
    for command, option, status in (("reload", "--timeout", 2), ("doctor", "--days", 3)):
        rest = ("--pid", "1") if command == "reload" else ("--config", config)
        with pytest.raises(SystemExit) as stopped:
            cli.main([command, *rest, option, number])
        assert stopped.value.code == status
        assert f"argument {option}: must be a number of 0 or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "made"),
    [
        ("https://Wiki.example.org:9083/", "https://wiki.example.org:9083/check#"),
        ("https://wiki.example.org:443", "https://wiki.example.org/check#"),
        ("http://[0:0::1]:80", "http://[::1]/check#"),
        ("https://wiki.example.org:0", ""),
        ("https://wiki.example.org:65536", ""),
        ("https://[::1", ""),
        ("https://wiki.example.org/wiki", ""),
    ],
)
def test_where_a_check_link_leads(config: str, capsys: pytest.CaptureFixture[str], url: str, made: str) -> None:
    status = cli.main(["check-link", "--config", config, "--url", url])
    out, err = capsys.readouterr()
    assert (status, out.partition("#")[0] + "#" if out else "") == (0 if made else 2, made)
    assert made or err.startswith("--url must be scheme, name and port")
