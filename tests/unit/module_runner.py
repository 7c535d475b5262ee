# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a module in the process of the test, as Ansible would; the ``run_module`` of every conftest is made here."""

from __future__ import annotations

import importlib
import json
import time

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._undo import records


def make_run_module(capsys, monkeypatch):
    """A function: ``run_module("tomcat_connector", {...}, check=True, diff=True)``, for a fixture.

    It returns what the module printed, as a dictionary; a failure has ``failed: True`` in it.
    """
    from ansible.module_utils import _internal
    from ansible.module_utils.common import warnings
    from ansible.module_utils.testing import patch_module_args

    # A test that loaded controller code before would have the module's warnings go to the terminal, not into its result.
    monkeypatch.setattr(_internal, "is_controller", False)

    def run_module(name, args, check=False, diff=False):
        warnings._global_warnings.clear()  # they are the process's: those of other tests would be in this result
        module = importlib.import_module(f"ansible_collections.collab.rtc.plugins.modules.{name}")
        monkeypatch.setattr(records, "_STARTED", time.monotonic())  # each call is a process of its own
        args = dict(args, _ansible_check_mode=check, _ansible_diff=diff)
        with patch_module_args(args), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return run_module
