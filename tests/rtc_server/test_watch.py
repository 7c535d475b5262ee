# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the journal that are exchanged under a running server: nothing is acknowledged into files without a name."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from journal_support import change

from rtc_server.journal.verify import verify_journal
from rtc_server.journal.wal import file_names
from rtc_server.journal.writer import Writer

MOST = 10_000  # changes that the tests try


def exchange(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)


def rename(path: Path) -> None:
    path.rename(path.with_name("away"))


def move_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def keep_until_refused(writer: Writer) -> str:
    """The code with which changes are refused at last."""
    for number in range(100, MOST):
        (outcome,) = writer.commit([change(number)])
        if outcome.code:
            return outcome.code
        time.sleep(0.01)
    return ""


@pytest.mark.parametrize("act", [rename, exchange, Path.unlink])
@pytest.mark.parametrize("which", ["", "-log0", "-log1", "-wal"])
def test_a_file_is_exchanged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, act: Callable[[Path], None], which: str
) -> None:
    path = tmp_path / "journal.db"
    writer = Writer(str(path))
    assert writer.commit([change(0)])[0].revision == 1
    act(Path(f"{path}{which}"))
    with caplog.at_level(logging.ERROR):
        assert keep_until_refused(writer) == "unavailable"
    assert f"{path}{which} was deleted, moved or replaced" in caplog.text
    if not which:
        writer._retry_at = 0.0
        writer.probe()  # nor does it begin another journal
        assert "was deleted, moved or replaced" in str(writer.fault)
        assert path.exists() == (act is exchange)
    writer.close()
    writer.unlock()


def test_the_directory_is_moved_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "data" / "journal.db"
    path.parent.mkdir()
    writer = Writer(str(path))
    assert writer.commit([change(0)])[0].revision == 1
    move_directory(path)
    assert keep_until_refused(writer) == "unavailable"
    writer._retry_at = 0.0
    writer.probe()
    assert writer.fault is not None and not path.parent.exists()
    (tmp_path / "moved").rename(path.parent)
    writer._retry_at = 0.0
    (outcome,) = writer.commit([change(0)])
    assert (outcome.code, outcome.duplicate, outcome.revision) == ("", True, 1)
    writer.flush_and_close()
    writer.unlock()
    assert verify_journal(str(path))[0] == []


def test_idle_servers_notice_it_too(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    writer = Writer(str(path))
    assert writer.commit([change(0)])[0].revision == 1
    assert all(writer._watch is not None and Path(name).exists() for name in file_names(str(path)))
    rename(path)
    assert writer._watch is not None
    writer._watch._look_at = 0.0
    assert writer.run_maintenance() is None
    assert "was deleted, moved or replaced" in str(writer.fault)
    writer.close()
    writer.unlock()
