# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action ``rtc_bundle``: which Pythons and machines its options mean."""

from __future__ import annotations

import os

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader

from ansible_collections.collab.rtc.plugins.action.rtc_bundle import ActionModule, combine
from ansible_collections.collab.rtc.plugins.plugin_utils._release.source import BundleError


@pytest.mark.parametrize(
    ("pythons", "machines", "tags"),
    [
        ("3.11", "x86_64", ["cp311-x86_64"]),
        (3.11, "x86_64", ["cp311-x86_64"]),
        ("3.11, 3.13", ["aarch64"], ["cp311-aarch64", "cp313-aarch64"]),
        (["3.14", "3.14"], None, ["cp314-aarch64", "cp314-x86_64"]),
    ],
)
def test_lists_and_text_with_commas(pythons, machines, tags):
    assert [target.tag for target in combine(pythons, machines)] == tags


def test_without_options_all_that_is_promised():
    assert len(combine(None, "")) == 10


@pytest.mark.parametrize(
    ("pythons", "machines"),
    [
        ("3.9", "x86_64"),
        ("3.15", None),
        ("three", None),
        (None, "s390x"),
        (3, None),  # not all of them
        (None, True),
    ],
)
def test_what_there_is_no_server_for_is_refused(pythons, machines):
    with pytest.raises(BundleError, match=r"Choose among 3\.10, "):
        combine(pythons, machines)


@pytest.mark.parametrize(("pythons", "machines"), [({}, None), ({"confluence": "3.11"}, None), (None, {"x": "y"})])
def test_a_dictionary_is_neither(pythons, machines):
    with pytest.raises(BundleError, match="are a dictionary"):
        combine(pythons, machines)


@pytest.mark.parametrize("path", ["", " ", None])
def test_a_forgotten_path_is_not_the_directory_of_the_run(monkeypatch, path):
    task = Task()
    task.args, task.action = {"path": path}, "collab.rtc.rtc_bundle"
    context = PlayContext()
    module = ActionModule(
        task=task,
        connection=connection_loader.get("local", context, os.devnull),
        play_context=context,
        loader=DataLoader(),
        templar=None,
        shared_loader_obj=None,
    )
    with pytest.raises(AnsibleActionFail, match=r"rtc_bundle is empty\. Name the file to write"):
        module.run(task_vars={})
