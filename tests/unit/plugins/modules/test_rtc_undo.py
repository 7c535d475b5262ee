# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undoing and listing runs on a host."""

from __future__ import annotations

import time

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import lease
from ansible_collections.collab.rtc.plugins.module_utils._undo import records as undo_records

OLD, NEW = "20260101T000000Z-aaaa", "20260102T000000Z-bbbb"


@pytest.fixture
def host(tmp_path):
    """A file that two runs changed: 1 -> 2 -> 3."""
    file, records = tmp_path / "server.xml", tmp_path / "undo"
    file.write_text("1")
    for run, text in ((OLD, "2"), (NEW, "3")):
        undo_records.record(str(records / run), str(file), text.encode())
        file.write_text(text)
    return file, records


def test_the_latest_run_is_undone_and_only_it(run_module, host):
    file, records = host
    result = run_module("rtc_undo", {"path": str(records)})
    assert (result["changed"], result["runs"], result["paths"], file.read_text()) == (True, [NEW], [str(file)], "2")


def test_undone_again_there_is_nothing_to_do(run_module, host):
    file, records = host
    run_module("rtc_undo", {"path": str(records)})
    again = run_module("rtc_undo", {"path": str(records)})
    assert (again["changed"], again["run"], again["runs"], file.read_text()) == (False, NEW, [], "2")
    named = run_module("rtc_undo", {"path": str(records), "run": NEW})
    assert (named["changed"], file.read_text()) == (False, "2")


def test_a_run_that_is_undone_is_passed_over_on_the_way_back(run_module, host):
    file, records = host
    run_module("rtc_undo", {"path": str(records)})
    result = run_module("rtc_undo", {"path": str(records), "run": OLD})
    assert (result["runs"], result["edited"], file.read_text()) == ([OLD], [], "1")


def test_back_to_before_an_older_run(run_module, host):
    file, records = host
    result = run_module("rtc_undo", {"path": str(records), "run": OLD})
    assert (result["changed"], result["runs"], file.read_text()) == (True, [NEW, OLD], "1")


def test_the_preview_changes_nothing_and_says_all(run_module, host):
    file, records = host
    file.write_text("3, edited")
    result = run_module("rtc_undo", {"path": str(records), "run": OLD}, check=True, diff=True)
    assert (result["changed"], result["paths"], file.read_text()) == (True, [str(file)], "3, edited")
    assert result["edited"] == [{"path": str(file), "copy": ""}]
    assert [(item["before"], item["after"]) for item in result["diff"]] == [("3, edited", "1")]
    assert not undo_records.is_undone(str(records / NEW))


def test_an_edit_is_kept_and_named(run_module, host):
    file, records = host
    file.write_text("3, edited")
    result = run_module("rtc_undo", {"path": str(records)})
    ((edited),) = result["edited"]
    assert edited["path"] == str(file) and edited["copy"].startswith(str(records / NEW))


def test_an_unknown_run_is_refused_with_the_known_ones(run_module, host):
    file, records = host
    result = run_module("rtc_undo", {"path": str(records), "run": "no"})
    assert result["failed"]
    assert NEW in result["msg"]
    assert file.read_text() == "3"


def test_a_run_that_could_not_be_undone_whole_is_not_marked(run_module, host):
    file, records = host
    file.unlink()
    file.mkdir()
    (file / "somebody's").write_text("")
    other = records.parent / "other"
    undo_records.record(str(records / NEW), str(other), b"made")
    other.write_bytes(b"made")
    result = run_module("rtc_undo", {"path": str(records)})
    assert result["failed"] and not undo_records.is_undone(str(records / NEW))
    assert not other.exists() and str(other) in result["paths"], "the rest is given back, and named for who reads it"


def test_without_any_record_there_is_nothing_to_do(run_module, tmp_path):
    result = run_module("rtc_undo", {"path": str(tmp_path / "none")})
    assert (result["changed"], result["runs"]) == (False, [])


def test_runs_are_listed_newest_first(run_module, host):
    file, records = host
    undo_records.note_run(str(records / NEW), {"user": "anna@controller"})
    run_module("rtc_undo", {"path": str(records), "undo_user": "berta@controller"})
    newest, oldest = run_module("rtc_runs_info", {"path": str(records)})["runs"]
    assert newest.pop("undone_at") > 0
    assert newest == {
        "run": NEW,
        "user": "anna@controller",
        "paths": [str(file)],
        "sites": [],
        "undone": True,
        "undone_by": "berta@controller",
        "unserved": False,
    }
    assert (oldest["run"], oldest["undone"], oldest["undone_at"], oldest["user"]) == (OLD, False, 0, "")


def test_without_any_record_no_run_is_listed(run_module, tmp_path):
    assert run_module("rtc_runs_info", {"path": str(tmp_path / "none")})["runs"] == []


def test_a_damaged_note_is_no_obstacle(run_module, host):
    _file, records = host
    for name in ("run.json", "undone.json"):
        (records / NEW / name).write_text("[")
    newest = run_module("rtc_runs_info", {"path": str(records)})["runs"][0]
    assert (newest["undone"], newest["user"], newest["undone_at"]) == (True, "", 0)


@pytest.mark.parametrize(
    ("at", "told"),
    [("5.5", 5), ("NaN", 0), ("Infinity", 0), ("-1", 0), ("1" + 400 * "0", 0), ("true", 0), ('"5"', 0), ("1e12", 0)],
)
def test_a_time_that_is_none_hides_no_run(run_module, host, at, told):
    _file, records = host
    (records / NEW / "undone.json").write_text(f'{{"at": {at}, "by": "anna"}}')
    newest = run_module("rtc_runs_info", {"path": str(records)})["runs"][0]
    assert (newest["undone"], newest["undone_at"], newest["undone_by"]) == (True, told, "anna")


def test_refused_while_another_run_changes_the_host(run_module, host):
    file, records = host
    lease.take(lease.Lease("20260103T000000Z-cccc", "ben@two"), path=str(records.parent / "lease"))
    result = run_module("rtc_undo", {"path": str(records)})
    assert "20260103T000000Z-cccc of ben@two" in result["msg"]
    assert file.read_text() == "3"


def test_a_run_that_was_killed_is_undone_with_its_lease(run_module, host):
    file, records = host
    lease.take(lease.Lease(NEW), path=str(records.parent / "lease"))
    run_module("rtc_undo", {"path": str(records)})
    assert (file.read_text(), (records.parent / "lease").exists()) == ("2", False)


@pytest.fixture
def held(run_module, host):
    """Undo for a caller who has to tell the services; returns what the module returns, and the files."""
    file, records = host

    def do(**more):
        return run_module("rtc_undo", {"path": str(records), "run": NEW, "hold": True, **more})

    return do, file, records


def test_what_the_services_were_not_told_is_returned_once_more(held, run_module):
    do, _file, records = held
    other = records.parent / "rtc.toml"
    undo_records.record(str(records / NEW), str(other), b"made")
    other.write_text("made")
    first = do()
    again = do()
    assert (again["changed"], again["runs"], again["paths"]) == (True, [], first["paths"])
    assert again["removed"] == first["removed"] == [str(other)]
    assert run_module("rtc_runs_info", {"path": str(records)})["runs"][0]["unserved"]
    do(state="ended", served=False)
    assert do(owners=["wiki/confluence"])["paths"] == first["paths"], "by the undoing of a site, too"
    other.write_text("made by somebody since")
    assert do()["removed"] == [], "whose service is not to be stopped"
    do(state="ended")
    assert do()["paths"] == []
    assert not run_module("rtc_runs_info", {"path": str(records)})["runs"][0]["unserved"]


def test_what_another_undoing_left_to_services_is_none_of_this_one(held):
    do, _file, records = held
    do()
    do(state="ended", served=False)
    later = "20260103T000000Z-cccc"
    other = records.parent / "other"
    undo_records.record(str(records / later), str(other), b"made")
    other.write_text("made")
    assert do(run=later)["paths"] == [str(other)]


def test_a_damaged_note_for_services_is_said(held, run_module):
    do, file, records = held
    for text in ("{", "[1]", '{"runs": 1}', '{"other": []}'):
        (records.parent / "unserved.json").write_text(text)
        assert "unserved.json is damaged" in do()["msg"]
    assert file.read_text() == "3"
    assert "unserved.json is damaged" in str(run_module("rtc_runs_info", {"path": str(records)})["warnings"])


def test_the_host_is_kept_until_the_services_have_the_files(held):
    do, _file, records = held
    place = str(records.parent / "lease")
    do(undo_user="berta@two", controller="m 1 2")
    held_by = lease.read(place)
    assert (held_by.run, held_by.user, held_by.controller) == (f"rollback-{NEW}", "berta@two", "m 1 2")
    with pytest.raises(RtcError, match=f"run rollback-{NEW} of berta@two"):
        lease.take(lease.Lease("another"), path=place)
    assert f"run rollback-{NEW}" in do(run=OLD)["msg"], "another rollback"
    do()  # the same one, which was killed
    do(state="ended")
    lease.take(lease.Lease("another"), path=place)
    assert "run another" in do()["msg"]
    do(state="ended")
    assert lease.read(place).run == "another"


@pytest.mark.parametrize("hold", [True, False])
def test_a_run_that_is_undone_while_it_goes_on_changes_nothing_more(held, monkeypatch, hold):
    do, file, records = held
    lease.take(lease.Lease(NEW), path=str(records.parent / "lease"))
    do(hold=hold)
    monkeypatch.setattr(undo_records, "_STARTED", time.monotonic() + 1)  # its calls that come later
    with pytest.raises(RtcError, match=f"Run {NEW} was given up on this host: another one has taken its place"):
        undo_records.record(str(records / NEW), str(file), b"4")
    assert file.read_text() == "2"


DAMAGED = [
    "null",
    "1",
    "[]",
    "{}",
    "garbage",
    "[" * 100_000,
    '{"kind": "file"}',
    '{"kind": "file", "path": "FILE"}',
    '{"kind": "file", "path": "FILE", "copy": 5}',
    '{"kind": "file", "path": "FILE", "copy": "../../FILE"}',
    '{"kind": "link", "path": "FILE"}',
    '{"kind": "of a newer version", "path": "FILE"}',
    '{"kind": "missing", "path": 5}',
    '{"kind": "missing", "path": "FILE", "walk": null}',
    '{"kind": "missing", "path": "FILE", "walk": [1]}',
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_record_is_no_record_of_less(run_module, host, line):
    """What its other lines say is not given back as if that were all; newer runs can be undone as before."""
    file, records = host
    path = records / OLD / "manifest.jsonl"
    path.write_text(line.replace("FILE", str(file)) + "\n" + path.read_text())
    result = run_module("rtc_undo", {"path": str(records), "run": OLD})
    assert result["failed"]
    assert f"{path} is damaged, or of a newer version of collab.rtc: line 1" in result["msg"]
    assert file.read_text() == "3"
    assert not (records / NEW / "undone.json").exists()
    assert run_module("rtc_undo", {"path": str(records), "run": NEW})["changed"]
    assert file.read_text() == "2"


def test_the_others_are_listed_beside_a_damaged_record(run_module, host):
    file, records = host
    (records / OLD / "manifest.jsonl").write_text("null\n")
    result = run_module("rtc_runs_info", {"path": str(records)})
    assert [(one["run"], one["paths"]) for one in result["runs"]] == [(NEW, [str(file)]), (OLD, [])]
    assert len(result["warnings"]) == 1
    assert "damaged" in str(result["warnings"])


@pytest.mark.parametrize(
    "text",
    [
        "[{}]", '[{"site": "s", "names": null, "owners": null}]', "{", "[" * 100_000,
        '[{"site": "s", "names": ["s"], "owners": [["w/c"]]}]', '[{"site": "s", "names": [{}], "owners": ["w/c"]}]',
        '[{"site": "s", "names": [1], "owners": ["w/c"]}]', '[{"site": null, "names": ["s"], "owners": ["w/c"]}]',
    ],
)  # fmt: skip
def test_a_damaged_mark_of_sites_is_said(run_module, host, text):
    file, records = host
    (records / NEW / "undone-sites.json").write_text(text)
    result = run_module("rtc_undo", {"path": str(records), "run": NEW, "owners": ["wiki1/confluence"]})
    assert "undone-sites.json is damaged" in result["msg"]
    assert "undone-sites.json is damaged" in str(run_module("rtc_runs_info", {"path": str(records)})["warnings"])
    assert file.read_text() == "3"
