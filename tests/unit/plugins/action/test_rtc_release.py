# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action ``rtc_release``: what it sends, and that nothing of it stays in Ansible's temporary directories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar

from ansible_collections.collab.rtc.plugins.action import rtc_release as action


class Release(action.ActionModule):
    """The action with the module left out: ``answers`` are its results; ``seen`` has what was sent with each call."""

    def _call(self, args, task_vars):
        if self.module_files:  # as without pipelining: the module itself is put into a temporary directory
            tmpdir = self._connection._shell.tmpdir or self._make_tmp_path()
            self._transfer_data(os.path.join(tmpdir, "AnsiballZ_rtc_release.py"), "module")
        self.seen.append(Path(args["src"]).read_text(encoding="utf-8") if "src" in args else None)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def release(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    bundle = tmp_path / "0.1.0-cp311-x86_64-00ff.tar.gz"
    bundle.write_text("bundle")

    def make(*answers, module_files=False):
        loader, task, context = DataLoader(), Task(), PlayContext()
        task.args, task.action = {"python_version": "3.11", "bundle": str(bundle)}, "collab.rtc.rtc_release"
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
        assert run.seen == [None, "bundle"]
        assert len(left(tmp_path)) == 1
    finally:
        run.cleanup()  # as Ansible does in every case (TaskExecutor._execute_internal)
    assert left(tmp_path) == []


def test_a_release_that_is_there_costs_no_directory(release, tmp_path):
    run = release({"missing": False, "changed": False})
    run.run(task_vars={})
    assert (run.seen, left(tmp_path)) == ([None], [])
