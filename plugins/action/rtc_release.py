# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import controller_files
from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle as release_bundle
from ansible_collections.collab.rtc.plugins.plugin_utils._release import release
from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source
from ansible_collections.collab.rtc.plugins.plugin_utils._report import show


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Builds the release, or takes it from a bundle, and sends it when the host does not have it: one remote call when
    it has."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        try:
            target = release_source.make_target(str(args["python_version"]), str(args.get("machine", "x86_64")))
            bundle = self._find_bundle(args.pop("bundle", None), (task_vars or {}).get("inventory_dir"))
            if bundle:
                name = release_bundle.open_bundle(bundle).find_release(target)
            else:
                name = release.name_own(release_source.SOURCE, target)
            result = self._call(dict(args, name=name), task_vars)
            if result.get("failed") or not result.get("missing") or self._task.check_mode:
                return result
            path = self._build(args, target, bundle)
        except RtcError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        # The first call may have made the directory, to put the module there. Only the last one made is ever removed
        # (by "cleanup", which Ansible calls in every case), so there must be no second. TRANSFERS_FILES would have one
        # made and removed at each run, also where nothing is sent.
        tmpdir = self._connection._shell.tmpdir or self._make_tmp_path()
        remote = self._connection._shell.join_path(tmpdir, os.path.basename(path))
        self._transfer_file(path, remote)
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        return self._call(dict(args, name=name, src=remote, digest=digest), task_vars)

    def _find_bundle(self, value: object, inventory_dir: str | None) -> str:
        if not value:
            return ""
        try:
            return controller_files.find_file(str(value), [inventory_dir, self._loader.get_basedir()])
        except OSError as error:
            raise AnsibleActionFail(f"rtc_bundle is {value}: {error} Build it, or leave rtc_bundle out.") from None

    def _build(self, args: dict[str, Any], target: release_source.Target, bundle: str) -> str:
        """The archive, made or taken from the cache; where it is made from an index, say so: pip may take minutes."""
        cache = os.path.expanduser(str(args.get("cache", "~/.cache/collab-rtc")))
        if bundle:
            return release.build_from(bundle, target, cache)
        show.show(self._display, f"The RTC server for {target} is built once on the controller.")
        return release.build_own(release_source.SOURCE, target, cache)

    def _call(self, args: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="collab.rtc.rtc_release", module_args=args, task_vars=task_vars
        )
        return result
