# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""Giving back: what others changed since is kept, what a run wrote is not taken for that."""

from __future__ import annotations

import json
import os
import stat

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._undo import preview as undo_preview
from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.plugins.module_utils._undo import restore as undo_restore

OLD, NEW = "20260101T000000Z-aaaa", "20260102T000000Z-bbbb"


@pytest.fixture
def file(tmp_path):
    """A file that a run changed from "before" to "ours"."""
    path = tmp_path / "server.xml"
    path.write_text("before")
    records.record(str(tmp_path / OLD), str(path), b"ours")
    path.write_text("ours")
    return path


def restore(file, run=OLD):
    return undo_restore.restore(str(file.parent / run))


def test_what_the_run_wrote_is_no_edit(file):
    assert restore(file) == ([str(file)], [])
    assert file.read_text() == "before"


def test_an_edit_since_is_kept_where_no_daemon_reads_it(file):
    file.write_text("ours, and acceptCount by hand")
    file.chmod(0o640)
    paths, ((path, copy),) = restore(file)
    assert (paths, path, file.read_text()) == ([str(file)], str(file), "before")
    assert os.path.dirname(copy) == str(file.parent / OLD)
    with open(copy, encoding="utf-8") as kept:
        assert kept.read() == "ours, and acceptCount by hand"
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o640


def test_an_edit_of_a_file_that_is_removed_is_kept(tmp_path):
    made = tmp_path / "rtc.conf"
    records.record(str(tmp_path / OLD), str(made), b"ours")
    made.write_text("ours, edited")
    restored = restore(made)
    assert not made.exists()
    assert [item.path for item in restored.edited] == [str(made)]


@pytest.mark.parametrize("foreign", [False, True])
def test_directories_that_the_run_made_go_with_what_was_in_them(tmp_path, foreign):
    below = tmp_path / "rtc-proxy" / "wiki.example.com"
    (tmp_path / "rtc-proxy").mkdir()
    certificate, key = below / "fullchain.pem", below / "privkey.pem"
    records.record(str(tmp_path / OLD), str(certificate), b"one")
    below.mkdir()
    certificate.write_text("one")
    records.record(str(tmp_path / OLD), str(key), b"two")
    key.write_text("two")
    if foreign:
        (below / "notes").write_text("somebody's")
    undo_restore.restore(str(tmp_path / OLD))
    assert not certificate.exists() and not key.exists()
    assert below.exists() is foreign
    assert (tmp_path / "rtc-proxy").exists()  # it was there before


@pytest.mark.parametrize("state", ["before", "ours", None])
def test_a_kill_at_any_moment_leaves_no_edit(file, state):
    """What is recorded before the write is the state before and the state that was meant."""
    if state is None:
        file.unlink()
    else:
        file.write_text(state)
    assert restore(file).edited == []
    assert file.read_text() == "before"


def test_every_state_that_the_run_made_is_its_own(file):
    records.record(str(file.parent / OLD), str(file), b"ours, second step")
    file.write_text("ours, second step")
    assert restore(file).edited == []


def test_another_owner_or_mode_is_no_edit(file):
    file.chmod(0o600)
    assert restore(file) == ([str(file)], [])


def test_the_state_between_two_runs_is_no_edit(file):
    records.record(str(file.parent / NEW), str(file), b"later")
    file.write_text("later")
    assert restore(file, NEW).edited == restore(file).edited == []
    assert file.read_text() == "before"


def test_an_edit_between_two_runs_is_kept_by_the_older_one(file):
    file.write_text("edited")
    records.record(str(file.parent / NEW), str(file), b"later")
    file.write_text("later")
    assert restore(file, NEW).edited == []
    assert file.read_text() == "edited"
    assert [item.path for item in restore(file).edited] == [str(file)]


def test_of_a_record_that_does_not_say_what_was_written_everything_is_kept(file):
    """0.1.0 wrote such records."""
    manifest = file.parent / OLD / records.MANIFEST
    manifest.write_text("".join(line for line in manifest.open() if "kind" in json.loads(line)))
    assert [item.path for item in restore(file).edited] == [str(file)]


def test_links(tmp_path):
    current = tmp_path / "current"
    current.symlink_to("releases/1")
    records.record(str(tmp_path / OLD), str(current), "releases/2")
    current.unlink()
    current.symlink_to("releases/2")
    assert not undo_restore.is_edited(str(tmp_path / OLD), records.entries(str(tmp_path / OLD))[0])
    assert restore(current) == ([str(current)], [])
    assert os.readlink(current) == "releases/1"


def test_a_removal_that_was_meant(tmp_path):
    gone = tmp_path / "old.conf"
    gone.write_text("before")
    records.record(str(tmp_path / OLD), str(gone), None)
    gone.unlink()
    assert restore(gone) == ([str(gone)], [])
    gone.write_text("somebody made it anew")
    assert [item.path for item in restore(gone).edited] == [str(gone)]


# The preview


def preview(file, *runs):
    return undo_preview.find_changes([str(file.parent / run) for run in runs], [])


def test_the_preview_says_the_end_of_several_runs(file):
    records.record(str(file.parent / NEW), str(file), b"later")
    file.write_text("later")
    (change,) = preview(file, NEW, OLD)
    diff = undo_preview.make_diff(change)
    assert (diff["before"], diff["after"], change.edited, change.removes) == ("later", "before", False, False)


def test_the_preview_says_what_was_edited(file):
    file.write_text("edited")
    assert preview(file, OLD)[0].edited


def test_the_preview_leaves_out_what_is_as_before(file):
    file.write_text("before")
    assert preview(file, OLD) == []


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (b"key: hunter2", 0o600),
        (b"-----BEGIN PRIVATE KEY-----\nhunter2\n", 0o644),
        (b"\xfe\xed\xfe\xedhunter2", 0o644),
        (b'<Connector keystorePass="hunter2" port="1"/>', 0o644),
        (b"<Connector keyPass='hunter2 and more' port='1'/>", 0o644),
        (b"-Djavax.net.ssl.trustStorePassword=hunter2", 0o644),
        (b'rtc_token = "hunter2"', 0o644),
        (b"listen stats\n  stats auth admin:hunter2\n", 0o644),
        (b"userlist u\n  user joe insecure-password hunter2\n", 0o644),
        (b"hunter2" * 100_000, 0o644),
    ],
)
def test_the_diff_shows_no_secret(tmp_path, content, mode):
    path = tmp_path / "file"
    path.write_bytes(content)
    path.chmod(mode)
    records.record(str(tmp_path / OLD), str(path), b"ours")
    path.write_bytes(content.replace(b"hunter2", b"hunter3"))
    (change,) = preview(path, OLD)
    diff = undo_preview.make_diff(change)
    assert "hunter" not in diff["before"] + diff["after"] and diff["before"] != diff["after"]


def test_the_diff_of_a_file_that_goes_and_of_a_link(tmp_path):
    made, link = tmp_path / "made", tmp_path / "link"
    link.symlink_to("one")
    records.record(str(tmp_path / OLD), str(made), b"ours")
    made.write_bytes(b"ours")
    records.record(str(tmp_path / OLD), str(link), "two")
    link.unlink()
    link.symlink_to("two")
    shown = {item.path: undo_preview.make_diff(item) for item in preview(made, OLD)}
    assert (shown[str(made)]["before"], shown[str(made)]["after"]) == ("ours", "")
    assert (shown[str(link)]["before"], shown[str(link)]["after"]) == ("link to two\n", "link to one\n")


def test_a_link_that_somebody_put_there_is_kept_as_a_link(file):
    """Never what it leads to: that may be anything, and root would have made a copy of it."""
    file.unlink()
    file.symlink_to("/etc/shadow")
    ((path, copy),) = restore(file).edited
    assert (path, file.read_text(), file.is_symlink()) == (str(file), "before", False)
    assert os.readlink(copy) == "/etc/shadow"
    assert os.path.dirname(copy) == str(file.parent / OLD)


def test_a_pipe_that_somebody_put_there_is_named(file):
    file.unlink()
    os.mkfifo(file)
    assert restore(file).edited == [(str(file), "")]
    assert file.read_text() == "before"


@pytest.mark.parametrize("content", ["", "befor3"])
def test_a_copy_that_is_not_what_was_saved_is_given_to_nobody(file, content):
    """A disk that was full or failed leaves empty files; an empty server.xml stops the application."""
    other = file.parent / "other.xml"
    other.write_text("before")
    records.record(str(file.parent / OLD), str(other), b"ours")
    other.write_text("ours")
    (copy,) = (file.parent / OLD).glob("0000-*")
    copy.write_text(content)
    with pytest.raises(RtcError, match="is not what was saved of "):
        restore(file)
    assert (file.read_text(), other.read_text()) == ("ours", "ours")


def test_copies_of_older_records_have_no_digest(file):
    manifest = file.parent / OLD / records.MANIFEST
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert lines[0].pop("digest")
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert restore(file).paths == [str(file)]
