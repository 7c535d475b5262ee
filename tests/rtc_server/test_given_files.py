# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in the configuration that lead to no file: a directory, a pipe that nobody writes to, a device without end.

Whoever opens a pipe waits, and a server that reloads would let everybody wait with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journal_support import change, opened
from rtc_support import config_text, running, token

from rtc_server import cli
from rtc_server.app import ReloadableTls, make_reloading
from rtc_server.config import load
from rtc_server.doctor import CRITICAL, examine, find_place
from rtc_server.given_files import read_given
from rtc_server.journal import JournalError, backup, export_import
from rtc_server.journal.verify import verify_journal

pytestmark = pytest.mark.timeout(60)


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def link_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


NO_FILES = {
    "directory": (Path.mkdir, "Is a directory"),
    "pipe": (os.mkfifo, "Not a regular file"),
    "device": (link_device, "Not a regular file"),
    "loop": (make_loop, "Too many levels of symbolic links"),
    "endless": (lambda path: path.write_bytes(bytes((1 << 20) + 1)), "More than 1 MB"),
    "nothing": (lambda path: None, "No such file or directory"),
}
KINDS = pytest.mark.parametrize(("make", "why"), NO_FILES.values(), ids=NO_FILES)
Make = Callable[[Path], Any]


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * (1 << 20))
    (tmp_path / "link").symlink_to("file")
    assert read_given(str(tmp_path / "link")) == b"x" * (1 << 20)


@KINDS
@pytest.mark.parametrize("option", ["token.keys", "tls.certificate", "tls.key", "admin.token", "admin.ca"])
def test_check_config_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, make: Make, why: str
) -> None:
    make(tmp_path / "odd")
    (tmp_path / "good").write_text("a" * 64)
    section, name = option.split(".")
    odd, good = str(tmp_path / "odd"), str(tmp_path / "good")
    whole: dict[str, dict[str, Any]] = {
        "tls": {"certificate": good, "key": good},
        "admin": {"listen": str(tmp_path / "socket"), "token": good},
        "token": {},
    }
    given = {**whole[section], name: [odd] if name == "keys" else odd}
    (tmp_path / "config.toml").write_text(config_text(tmp_path, **{section: given}))
    assert cli.main(["check-config", str(tmp_path / "config.toml")]) == 1
    complaint = capsys.readouterr().err
    if (name, make) != ("key", NO_FILES["endless"][0]) or why in complaint:  # OpenSSL looks at the certificate first
        assert why in complaint and odd in complaint


@KINDS
async def test_a_reload_refuses_it_and_nobody_waits(tmp_path: Path, make: Make, why: str) -> None:
    async with running(tmp_path) as site:
        client = await site.connect()
        assert (await client.ask("join", {"project": "p"}))["ok"]
        file = tmp_path / "config.toml"
        file.write_text(config_text(tmp_path, site.config.server.port))
        object.__setattr__(site.service.config, "file", str(file))
        reloading = make_reloading(site.service, site.door, ReloadableTls(site.config.tls))
        make(tmp_path / "odd")
        file.write_text(config_text(tmp_path, site.config.server.port, token={"keys": [str(tmp_path / "odd")]}))
        reloading.reload()
        assert reloading.config.token == site.config.token
        assert why in reloading._outcome.refused
        file.unlink()  # and the configuration itself
        make(file)
        reloading.reload()
        assert why in reloading._outcome.refused
        assert (await client.ask("change", {"project": "p", "id": "c1", "data": 1}))["revision"] == 1
        assert (await site.connect(token("bob"))).sid


@pytest.mark.parametrize("name", ["directory", "pipe", "device"])
async def test_a_journal_that_is_no_file(path: Path, tmp_path: Path, name: str) -> None:
    """Commands that only read it would wait for a pipe; a directory is no file with many names."""
    NO_FILES[name][0](path)
    words = "is a directory, pipe, link or device, and is not read: name a file in journal.path"
    async with opened(path) as keeper:
        assert words in str(keeper.journal.fault)
        assert (await keeper.keep(change(1)))[0].code == "unavailable"
    commands: list[Callable[[str], Any]] = [
        verify_journal,
        export_import.new_epoch,
        backup.compact,
        lambda journal: list(backup.list_projects(journal)),
        lambda journal: list(export_import.export_project(journal, "p")),
        lambda journal: backup.back_up(journal, str(tmp_path / "copy")),
    ]
    for command in commands:
        with pytest.raises(JournalError, match=words):
            command(str(path))


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("missing/journal.db", "No such file or directory; make the directory of journal.path"),
        ("file/journal.db", "Not a directory; make the directory of journal.path"),
        ("x" * 255, "File name too long; name another file in journal.path"),
    ],
)
async def test_a_journal_that_has_no_place(tmp_path: Path, where: str, words: str) -> None:
    (tmp_path / "file").touch()
    async with opened(tmp_path / where) as keeper:
        assert words in str(keeper.journal.fault)


@pytest.mark.parametrize("name", ["directory", "pipe", "loop"])
def test_the_doctor_says_what_the_journal_is(tmp_path: Path, name: str) -> None:
    """Root sees it, so it is not unknown: no changes are taken."""
    make, why = NO_FILES[name]
    make(tmp_path / "journal.db")
    (tmp_path / "config.toml").write_text(config_text(tmp_path))
    load(str(tmp_path / "config.toml"))
    checks = examine(find_place(str(tmp_path / "config.toml"), "", 14))
    (found,) = [check for check in checks if check.name == "journal"]
    assert (found.state, found.text) == (CRITICAL, f"{tmp_path}/journal.db cannot be read: {why}")
