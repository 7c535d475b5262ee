# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which undo records go, and that undoing what is left gives the same files."""

from __future__ import annotations

import os
import stat
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.collab.rtc.plugins.module_utils._undo import prune, restore
from ansible_collections.collab.rtc.plugins.module_utils._undo import records as undo_records
from ansible_collections.collab.rtc.plugins.module_utils._undo.prune import Record, Removal

NOW = datetime(2026, 6, 30, tzinfo=timezone.utc)


def run(day):
    """The name of a run that was so many days before the last day."""
    return f"{NOW - timedelta(days=day):%Y%m%dT%H%M%SZ}-00ff"


def choose(records, running="", keep=2, days=400):
    """Records as day -> paths, each path a letter; "-" says that the run was undone."""
    found = [Record(run(day), tuple(set(paths) - {"-"}), "-" in paths) for day, paths in records.items()]
    return prune.choose(found, running or run(0), keep, days, NOW)


@pytest.mark.parametrize(
    ("records", "options", "gone"),
    [
        pytest.param({2: "ab", 1: "a", 0: "b"}, {"keep": 3}, [], id="as many as stay"),
        pytest.param({3: "ab", 2: "a", 1: "b", 0: "a"}, {}, [(2, 3, "")], id="too many"),
        pytest.param({3: "ab", 2: "a", 1: "b", 0: "a"}, {"keep": 0}, [], id="no limit of the number"),
        pytest.param({3: "a", 2: "b", 1: "a", 0: "a"}, {"keep": 1}, [(1, 2, "a")], id="the first of b stays, a is left to it"),
        pytest.param({4: "a", 3: "b", 2: "a", 1: "a", 0: "a"}, {"keep": 1}, [(2, 3, "a"), (1, 3, "")], id="the older of two counts"),
        pytest.param({5: "ab", 4: "a", 3: "bc", 2: "a", 1: "ab", 0: "a"}, {"keep": 1}, [(4, 5, ""), (2, 3, "a"), (1, 3, "")], id="several"),
        pytest.param({9: "a", 8: "a", 0: "a"}, {"keep": 20, "days": 7}, [(8, 9, "")], id="too old"),
        pytest.param({9: "a", 7: "a", 0: "a"}, {"keep": 20, "days": 7}, [], id="just not too old"),
        pytest.param({9: "a", 8: "a", 0: "a"}, {"keep": 20, "days": 0}, [], id="no limit of the age"),
        pytest.param({9: "a", 8: "a", 7: "a"}, {"keep": 1, "days": 5, "running": run(7)}, [(8, 9, "")], id="the running run stays"),
        pytest.param({9: "a", 8: "", 7: "a"}, {"keep": 1}, [(8, None, "")] , id="an empty one"),
        pytest.param({9: "a", 7: "a-", 0: "a"}, {"keep": 1}, [(7, None, "")], id="an undone one leaves nothing"),
        pytest.param({9: "a-", 7: "a", 6: "a", 0: "a"}, {"keep": 1}, [(9, None, ""), (6, 7, "")], id="an undone one is no first one"),
        pytest.param({9: "ab", 8: "b", 7: "a-", 6: "b", 0: "b"}, {"keep": 1}, [(8, 9, ""), (7, None, ""), (6, 9, "")], id="nothing is left to an undone one"),
        pytest.param({9: "a", 8: "a-", 7: "b"}, {"keep": 3}, [], id="an undone one stays for its time"),
        pytest.param({}, {}, [], id="none"),
    ],
)  # fmt: skip
def test_what_goes(records, options, gone):
    wanted = [Removal(run(day), "" if heir is None else run(heir), tuple(left)) for day, heir, left in gone]
    assert choose(records, **options) == wanted


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("20260101T000000Z-aaaa", True),
        ("20260101T000000Z", False),
        ("20261301T000000Z-aaaa", False),
        ("20260101T000000Z-aaaa.tmp", False),
        ("before-the-upgrade", False),
    ],
)
def test_only_what_is_named_as_a_run_is_looked_at(name, ours):
    assert prune.is_run(name) is ours


@settings(max_examples=300)
@given(
    records=st.lists(st.sets(st.sampled_from("abcde")), max_size=12),
    keep=st.integers(0, 5),
    days=st.integers(0, 12),
)
def test_what_always_stays(records, keep, days):
    names = [run(len(records) - 1 - number) for number in range(len(records))]
    gone = {
        item.name
        for item in choose(dict(zip(range(len(records) - 1, -1, -1), map(sorted, records))), keep=keep, days=days)
    }
    assert run(0) not in gone
    for path in "abcde":
        assert next((name for name, paths in zip(names, records) if path in paths), None) not in gone
    if keep and not days:
        assert gone.isdisjoint(names[-keep:])
    if not keep and not days:
        assert not gone


@settings(max_examples=60, deadline=None)
@given(
    runs=st.lists(
        st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2", None]), min_size=1), min_size=2, max_size=8
    ),
    keep=st.integers(1, 4),
    data=st.data(),
)
def test_undoing_what_is_left_gives_the_same_files(tmp_path_factory, runs, keep, data):
    """Random runs write, or remove (None), files. After pruning, any record that is left leads back to its state."""
    root = tmp_path_factory.mktemp("host")
    files, undo = root / "files", root / "undo"
    files.mkdir()
    (files / "a").write_text("0")
    states = {}
    for number, changes in enumerate(runs):
        name = run(len(runs) - 1 - number)
        states[name] = read(files)
        for file, text in changes.items():
            path = files / file
            undo_records.record(str(undo / name), str(path), None if text is None else text.encode())
            if text is not None:
                path.write_text(text)
                path.chmod(0o600 if text == "1" else 0o640)
            elif path.exists():
                path.unlink()
    prune.prune(str(undo / name), keep, 0)
    left = sorted(os.listdir(undo))
    assert name in left
    target = data.draw(st.sampled_from(left))
    for one in reversed(left[left.index(target) :]):
        assert restore.restore(str(undo / one)).edited == []  # nobody but the runs changed anything
    assert read(files) == states[target]


def read(directory):
    return {path.name: (path.read_text(), stat.S_IMODE(path.stat().st_mode)) for path in directory.iterdir()}


@pytest.fixture
def records(tmp_path):
    """Three runs changed a file of mode 0600 from 0 to 3."""
    path, undo = tmp_path / "file", tmp_path / "undo"
    path.write_text("0")
    path.chmod(0o600)
    for number in (1, 2, 3):
        undo_records.record(str(undo / run(3 - number)), str(path), b"")
        path.write_text(str(number))
    return undo


def test_a_run_that_is_not_named_as_one_removes_nothing(records):
    prune.prune(str(records / "mine"), 1, 1)
    assert len(os.listdir(records)) == 3


def test_what_is_no_record_of_a_run_stays(records):
    (records / "mine").mkdir()
    prune.prune(str(records / run(0)), 1, 0)
    assert sorted(os.listdir(records)) == sorted([run(2), run(0), "mine"])


@pytest.mark.parametrize("victim", ["_hand_over", "_files_tree.remove", "_files_tree.remove_tree"])
def test_a_kill_leaves_what_the_next_run_finishes(tmp_path, monkeypatch, victim):
    """The record in the middle goes and leaves its file to the first one; killed before each step."""
    a, b, undo = tmp_path / "a", tmp_path / "b", tmp_path / "undo"
    for number, path in enumerate(
        (b, a, b, a, b)
    ):  # the last but one is not the first of a, and before it there is only b
        path.write_text(str(number))
        undo_records.record(str(undo / run(4 - number)), str(path), b"")
    path.write_text("5")

    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"{prune.__name__}.{victim}", killed)
        with pytest.raises(KeyboardInterrupt):
            prune.prune(str(undo / run(0)), 1, 0)
    prune.prune(str(undo / run(0)), 1, 0)
    left = sorted(os.listdir(undo))
    assert left == [run(4), run(3), run(0)]
    for name in reversed(left):
        restore.restore(str(undo / name))
    assert (a.read_text(), b.read_text()) == ("1", "0")


def test_releases_that_undoing_would_bring_back():
    entries = [
        {"path": "/opt/rtc-server/current", "kind": "missing"},
        {"path": "/opt/rtc-server/current", "kind": "link", "target": "releases/one"},
        {"path": "/opt/other/current", "kind": "link", "target": "releases/two"},
        {"path": "/etc/x", "kind": "file", "copy": "0000-x"},
    ]
    assert prune.find_releases(entries, "/opt/rtc-server/current") == ["one"]


@pytest.mark.parametrize(
    ("kinds", "made"), [([], False), (["missing"], True), (["missing", "file"], True), (["file", "missing"], False)]
)
def test_files_that_a_run_made(kinds, made):
    entries = [{"path": "/other", "kind": "missing"}, *({"path": "/key", "kind": kind} for kind in kinds)]
    assert prune.was_made(entries, "/key") is made
