# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of modules and of their private helpers."""

from __future__ import annotations

import importlib
import json

import pytest


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Run a module in this process as Ansible would: ``run_module("tomcat_connector", {...}, check=True, diff=True)``.

    Returns what the module printed, as a dictionary; a failure has ``failed: True`` in it.
    """
    from ansible.module_utils import _internal
    from ansible.module_utils.common import warnings
    from ansible.module_utils.testing import patch_module_args

    # A test that loaded controller code before would have the module's warnings go to the terminal, not into its result.
    monkeypatch.setattr(_internal, "is_controller", False)

    def run(name, args, check=False, diff=False):
        warnings._global_warnings.clear()  # they are the process's: those of other tests would be in this result
        module = importlib.import_module(f"ansible_collections.collab.rtc.plugins.modules.{name}")
        args = dict(args, _ansible_check_mode=check, _ansible_diff=diff)
        with patch_module_args(args), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return run
