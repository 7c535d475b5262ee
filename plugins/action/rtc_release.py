# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import controller_files
from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle as bundle_module
from ansible_collections.collab.rtc.plugins.plugin_utils._report import show

SOURCE = os.path.join(os.path.dirname(__file__), "..", "..", "files", "rtc_server")


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Builds the bundle and sends it, when the host does not have the release: one remote call when it has."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        try:
            name, path = self._release(args, (task_vars or {}).get("inventory_dir"))
            result = self._call(dict(args, name=name), task_vars)
            if result.get("failed") or not result.get("missing") or self._task.check_mode:
                return result
            path = path or self._build(args)
        except RtcError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        # The first call may have made the directory, to put the module there. Only the last one made is ever removed
        # (by "cleanup", which Ansible calls in every case), so there must be no second. TRANSFERS_FILES would have one
        # made and removed at each run, also where nothing is sent.
        tmpdir = self._connection._shell.tmpdir or self._make_tmp_path()
        remote = self._connection._shell.join_path(tmpdir, os.path.basename(path))
        self._transfer_file(path, remote)
        return self._call(dict(args, name=name, src=remote), task_vars)

    def _release(self, args: dict[str, Any], inventory_dir: str | None) -> tuple[str, str | None]:
        bundle = args.pop("bundle", None)
        if not bundle:
            return bundle_module.release_name(SOURCE, args["python_version"], self._machine(args)), None
        try:
            path = controller_files.find_file(str(bundle), [inventory_dir, self._loader.get_basedir()])
        except OSError as error:
            raise AnsibleActionFail(f"rtc_bundle is {bundle}: {error} Build it, or leave rtc_bundle out.") from None
        return os.path.basename(path)[: -len(".tar.gz")], path

    def _build(self, args: dict[str, Any]) -> str:
        """Build the bundle, or take it from the cache; say so, because pip may take minutes."""
        version, machine = args["python_version"], self._machine(args)
        show.show(self._display, f"The RTC server for Python {version} ({machine}) is built once on the controller.")
        return str(bundle_module.build(SOURCE, version, machine, self._cache(args)))

    def _call(self, args: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="collab.rtc.rtc_release", module_args=args, task_vars=task_vars
        )
        return result

    @staticmethod
    def _machine(args: dict[str, Any]) -> str:
        return str(args.get("machine", "x86_64"))

    @staticmethod
    def _cache(args: dict[str, Any]) -> str:
        return os.path.expanduser(str(args.get("cache", "~/.cache/collab-rtc")))
