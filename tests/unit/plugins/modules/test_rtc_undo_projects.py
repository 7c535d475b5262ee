# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rtc_undo: users do not lose their projects with the configuration of an RTC server."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit
from ansible_collections.collab.rtc.plugins.module_utils._undo import records as undo_records

RUN = "20260101T000000Z-aaaa"
OWN = '[journal]\npath = "/j"\n'
STORE = '[journal]\nstore_url = "postgresql://rtc@db/rtc"\n'
OTHER = '[journal]\nstore_url = "postgresql://rtc@db/other"\n'
PROGRAM = """\
#!/bin/sh
[ "$3 $4 $5" = "list-projects --config {root}/etc/confluence.toml" ] || exit 3
[ "$CREDENTIALS_DIRECTORY" = "{root}/etc/confluence" ] || exit 4
[ -e "{root}/projects" ] || {{ echo "the store does not answer" >&2; exit 1; }}
cat "{root}/projects"
"""


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host below a directory, with a function: configuration before and after the one run."""
    for name, folder in {"CONFIG_DIR": "etc", "STATE_DIR": "state"}.items():
        monkeypatch.setattr(unit, name, str(tmp_path / folder))
        (tmp_path / folder / "confluence").mkdir(parents=True)
    monkeypatch.setattr(unit, "UNIT", str(tmp_path / "unit"))
    program = tmp_path / "python3"
    program.write_text(PROGRAM.format(root=tmp_path))
    program.chmod(0o755)
    (tmp_path / "unit").write_text(f"[Service]\nExecStart={program} -I {tmp_path}/unit serve --config x\n")
    return tmp_path


def change(host, before, after):
    config = host / "etc/confluence.toml"
    if before is not None:
        config.write_text(before)
    undo_records.record(str(host / "undo" / RUN), str(config), after.encode())
    config.write_text(after)
    return config


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("before", "after"), [(OWN, STORE), (OTHER, STORE)])
@pytest.mark.parametrize(
    ("projects", "words"),
    [("rtc-verify\t1\t1\t1\np\t1\t1\t1\n", "leave behind projects of the store"), (None, "the store does not answer")],
)
def test_projects_of_a_store_are_not_left_behind(run_module, host, before, after, projects, words, check):
    config = change(host, before, after)
    if projects is not None:
        (host / "projects").write_text(projects)
    result = run_module("rtc_undo", {"path": str(host / "undo")}, check=check)
    assert result["failed"] and result["left_behind"] and words in result["msg"] and "docs/scaling.md" in result["msg"]
    assert config.read_text() == after


def test_projects_of_a_journal_are_not_left_behind(run_module, host):
    config = change(host, STORE, OWN)
    (host / "projects").write_text("p\t1\t1\t1\n")
    (host / "state/confluence/journal.db").write_text("")
    result = run_module("rtc_undo", {"path": str(host / "undo")})
    assert result["failed"] and "projects of the journal" in result["msg"] and config.read_text() == OWN


@pytest.mark.parametrize(
    ("before", "after", "projects"),
    [
        (OWN, STORE, "rtc-verify\t1\t1\t1\n"),  # of checks
        (OWN, STORE, ""),
        (STORE, OWN, None),  # there is no journal
        (OWN, OWN + "# more\n", None),
        (STORE, STORE.replace("rtc@db", "other@DB:5432"), None),
    ],
)
def test_all_else_is_given_back(run_module, host, before, after, projects):
    config = change(host, before, after)
    if projects is not None:
        (host / "projects").write_text(projects)
    assert run_module("rtc_undo", {"path": str(host / "undo")})["changed"]
    assert config.read_text() == before


def test_an_instance_that_the_run_made_goes(run_module, host):
    config = change(host, None, STORE)
    (host / "projects").write_text("p\t1\t1\t1\n")
    result = run_module("rtc_undo", {"path": str(host / "undo")})
    assert result["changed"] and not config.exists()
    assert "Projects of the store postgresql://rtc@db/rtc: p. They stay" in str(result["warnings"])


@pytest.mark.parametrize(
    ("projects", "words"), [("p\t1\t1\t1\n", "journal.db: p. They stay"), (None, "is not known: "), ("", "")]
)
def test_where_the_journal_of_an_instance_that_goes_stays_is_said(run_module, host, projects, words):
    change(host, None, OWN)
    (host / "state/confluence/journal.db").write_text("")
    if projects is not None:
        (host / "projects").write_text(projects)
    result = run_module("rtc_undo", {"path": str(host / "undo")})
    assert result["changed"] and (words in str(result["warnings"]) if words else not result.get("warnings"))


@pytest.mark.parametrize("check", [True, False])
def test_where_the_journal_of_before_is_kept_is_said(run_module, host, check):
    change(host, OWN, STORE)
    (host / "projects").write_text("")
    (host / "state/confluence/moved-20260101T000000Z.db").write_text("")
    result = run_module("rtc_undo", {"path": str(host / "undo")}, check=check)
    assert result["changed"] and "kept in" in str(result["warnings"])
