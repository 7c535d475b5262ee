# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action ``rtc_release``: what it sends, and that nothing of it stays in Ansible's temporary directories."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar

from ansible_collections.collab.rtc.plugins.action import rtc_release as action
from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle as release_bundle
from ansible_collections.collab.rtc.plugins.plugin_utils._release import wheels
from ansible_collections.collab.rtc.plugins.plugin_utils._release.source import Target
from ansible_collections.collab.rtc.tests.unit.small_index import Index


class Release(action.ActionModule):
    """The action with the module left out: ``answers`` are its results; ``seen`` has what was sent with each call."""

    def _call(self, args, task_vars):
        if self.module_files:  # as without pipelining: the module itself is put into a temporary directory
            tmpdir = self._connection._shell.tmpdir or self._make_tmp_path()
            self._transfer_data(os.path.join(tmpdir, "AnsiballZ_rtc_release.py"), "module")
        self.seen.append(Path(args["src"]).name if "src" in args else None)
        if "src" in args:
            assert hashlib.sha256(Path(args["src"]).read_bytes()).hexdigest() == args["digest"]
            assert Path(args["src"]).name == args["name"] + ".tar.gz"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def release(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    index = Index(tmp_path / "index")
    monkeypatch.setattr(wheels, "_download", index.download)
    path = tmp_path / "rtc-server.tar"
    release_bundle.build(index.source, [Target("3.11", "x86_64")], str(tmp_path / "cache"), str(path))

    def make(*answers, module_files=False, python_version="3.11", bundle=path):
        loader, task, context = DataLoader(), Task(), PlayContext()
        task.args = {"python_version": python_version, "bundle": str(bundle), "cache": str(tmp_path / "cache")}
        task.action = "collab.rtc.rtc_release"
        made = Release(
            task=task,
            connection=connection_loader.get("local", context, os.devnull),
            play_context=context,
            loader=loader,
            templar=Templar(loader=loader, variables={}),
            shared_loader_obj=None,
        )
        made._connection._shell.set_options(direct={"remote_tmp": str(tmp_path / "tmp")})
        made.answers, made.seen, made.module_files = list(answers), [], module_files
        return made

    return make


def left(tmp_path):
    return sorted(os.listdir(tmp_path / "tmp"))


@pytest.mark.parametrize("module_files", [True, False])
@pytest.mark.parametrize(
    "second", [{"changed": True}, {"failed": True}, ConnectionError("gone")], ids=["ok", "failed", "lost"]
)
def test_nothing_is_left_on_the_host(release, tmp_path, module_files, second):
    run = release({"missing": True}, second, module_files=module_files)
    try:
        if isinstance(second, Exception):
            with pytest.raises(ConnectionError):
                run.run(task_vars={})
        else:
            assert run.run(task_vars={}) == second
        assert run.seen[0] is None and run.seen[1].startswith("1.2.3-cp311-x86_64-")
        assert len(left(tmp_path)) == 1
    finally:
        run.cleanup()  # as Ansible does in every case (TaskExecutor._execute_internal)
    assert left(tmp_path) == []


def test_a_release_that_is_there_costs_no_directory(release, tmp_path):
    run = release({"missing": False, "changed": False})
    run.run(task_vars={})
    assert (run.seen, left(tmp_path)) == ([None], [])


def test_a_bundle_for_other_hosts_costs_the_host_nothing(release, tmp_path):
    run = release(python_version="3.12")
    with pytest.raises(AnsibleActionFail, match=r"nothing for Python 3\.12 \(x86_64\)"):
        run.run(task_vars={})
    assert (run.seen, left(tmp_path)) == ([], [])


def test_a_damaged_bundle_is_refused_before_anything_is_sent(release, tmp_path):
    path = tmp_path / "rtc-server.tar"
    path.write_bytes(path.read_bytes().replace(b"# fast", b"# slow"))
    run = release({"missing": True})
    with pytest.raises(AnsibleActionFail, match="is damaged"):
        run.run(task_vars={})
    assert (run.seen, left(tmp_path)) == ([None], [])
