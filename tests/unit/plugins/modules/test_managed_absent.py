# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking files and directories away."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore


@pytest.fixture
def host(tmp_path):
    inner = tmp_path / "etc/wiki"
    inner.mkdir(parents=True, mode=0o700)
    (inner / "key.pem").write_text("secret")
    (tmp_path / "opt/releases").mkdir(parents=True)
    (tmp_path / "opt/releases/file").write_text("1")
    return tmp_path


def ask(host, **more):
    return {
        "files": [str(host / "etc/wiki/key.pem"), str(host / "etc/wiki/gone.pem")],
        "directories": [str(host / "etc/wiki"), str(host / "etc")],
        "undo_dir": str(host / "undo/20260101T000000Z-aaaa"),
        **more,
    }


def test_files_and_the_directories_that_are_empty_then(run_module, host):
    result = run_module("managed_absent", ask(host, trees=[str(host / "opt")]))
    names = [name.replace(str(host), "") for name in result["removed"]]
    assert names == ["/etc/wiki/key.pem", "/etc/wiki", "/etc", "/opt"]
    assert sorted(path.name for path in host.iterdir()) == ["undo"]
    assert run_module("managed_absent", ask(host, trees=[str(host / "opt")]))["changed"] is False


def test_a_directory_with_something_else_stays(run_module, host):
    (host / "etc/other").write_text("theirs")
    result = run_module("managed_absent", ask(host))
    assert [name.replace(str(host), "") for name in result["removed"]] == ["/etc/wiki/key.pem", "/etc/wiki"]
    assert (host / "etc/other").read_text() == "theirs"


@pytest.mark.parametrize("trees", [[], ["opt"]])
def test_a_run_that_was_given_up_takes_nothing_away(run_module, host, trees):
    asked = ask(host, trees=[str(host / name) for name in trees], **({"files": [], "directories": []} if trees else {}))
    records.end_run(asked["undo_dir"], for_good=True)
    assert "was given up on this host" in run_module("managed_absent", asked)["msg"]
    assert (host / "etc/wiki/key.pem").exists() and (host / "opt/releases/file").exists()


def test_check_mode_says_the_same_and_changes_nothing(run_module, host):
    planned = run_module("managed_absent", ask(host), check=True, diff=True)
    assert (host / "etc/wiki/key.pem").exists()
    assert planned["removed"] == run_module("managed_absent", ask(host))["removed"]
    assert "secret" not in str(planned["diff"])


def test_a_rollback_makes_the_directories_again(run_module, host):
    run_module("managed_absent", ask(host))
    restore.restore(str(host / "undo/20260101T000000Z-aaaa"))
    assert (host / "etc/wiki/key.pem").read_text() == "secret"
    assert (host / "etc/wiki").stat().st_mode & 0o777 == 0o700
