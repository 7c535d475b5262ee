# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import controller_files


def _find_files(args: dict[str, Any]) -> list[str]:
    """The arguments that are names of files. Where certificate and key are to be taken away, they need not be there,
    and go from the arguments."""
    names = ("certificate", "key")
    if args.get("state") == "absent":
        for name in names:
            args.pop(name, None)
    return [name for name in names if args.get(name) and "-----BEGIN" not in str(args[name])]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Reads certificate and key where they are files of the controller, and sends their text."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        for name in _find_files(args):
            args[name] = self._read(str(args[name]), name, (task_vars or {}).get("inventory_dir"))
        result: dict[str, Any] = self._execute_module(
            module_name="collab.rtc.store_database", module_args=args, task_vars=task_vars
        )
        return result

    def _read(self, value: str, name: str, inventory_dir: str | None) -> str:
        try:
            path = controller_files.find_file(value, [inventory_dir, self._loader.get_basedir()])
            with open(self._loader.get_real_file(path), encoding="utf-8") as file:  # decrypts what is vaulted
                return file.read()
        except (OSError, UnicodeDecodeError, AnsibleError) as exc:
            raise AnsibleActionFail(f"rtc_store_{name}: {value}: {exc}") from exc
