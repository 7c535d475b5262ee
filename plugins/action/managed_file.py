# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import variables


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Reads the content of files that are on the controller, and sends all of them in one call."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        args["files"] = [self._with_content(dict(item), task_vars or {}) for item in args.get("files") or []]
        result: dict[str, Any] = self._execute_module(
            module_name="collab.rtc.managed_file", module_args=args, task_vars=task_vars
        )
        return result

    def _with_content(self, item: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if item.get("content") is not None:
            return item
        source, variable, host = item.pop("src", None), item.pop("variable", None), item.pop("from", None)
        kind = item.pop("kind", None)
        if variable:
            item["content"] = _pick_text(task_vars["hostvars"][host][variable], kind, variable)
        elif source:
            item["content"] = self._read(source)
        else:
            raise AnsibleActionFail(f"{item.get('path')}: give content, src, or variable and from.")
        return item

    def _read(self, source: str) -> str:
        try:
            # Decrypts what is vaulted; the clear text is a temporary file that the loader removes.
            with open(self._loader.get_real_file(self._loader.path_dwim(source)), encoding="utf-8") as file:
                return file.read()
        except (OSError, UnicodeDecodeError, AnsibleError) as exc:
            raise AnsibleActionFail(f"{source} on the controller cannot be read: {exc}") from exc


def _pick_text(value: Any, kind: str | None, variable: str) -> str:
    """The text for the application ``kind``. Whatever is no text is refused: written, it would destroy a live key."""
    value = variables.pick_kind(value, kind or "")
    # A vaulted value is no str before ansible-core 2.19.
    if value is None or isinstance(value, (Mapping, list, tuple)):
        raise AnsibleActionFail(f"{variable}: a text is expected" + (f" for {kind}." if kind else "."))
    return str(value)
