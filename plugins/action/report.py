# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import schema
from ansible_collections.collab.rtc.plugins.plugin_utils._report import json_file
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text

HostVars = Mapping[str, Mapping[str, Any]]  # inventory name -> variables and facts


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Prints the report of a run from what plan and checks left as facts of the hosts; no remote call."""

    _VALID_ARGS = frozenset({"file", "fail_on_failed_checks"})
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print, write the file, and fail when a check failed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = self._task.args
        hostvars: HostVars = (task_vars or {})["hostvars"]
        plan = next((hostvars[host]["rtc_plan"] for host in hostvars if "rtc_plan" in hostvars[host]), None)
        if plan is None:
            raise AnsibleActionFail("There is no plan to report on. Run the role collab.rtc.plan before.")
        checks = collect_checks(hostvars)
        restarts_left = collect_restarts_left(hostvars)
        text = report_text.render_report(_facts.from_dict(schema.Plan, plan), checks, restarts_left)
        self._display.display(text)
        if args.get("file") and not self._task.check_mode:
            try:
                data = {"plan": plan, "checks": checks, "restarts_left": restarts_left}
                json_file.write_json(args["file"], data, "report", "rtc_report_file")
            except RtcError as error:
                raise AnsibleActionFail(str(error)) from None  # Ansible repeats a cause in its message
        failed = sum(check["ok"] is False for found in checks.values() for check in found)
        result.update(changed=False, failed_checks=failed)
        if failed and boolean(args.get("fail_on_failed_checks", True)):
            result.update(failed=True, msg=f"{failed} checks failed; the report above says which, why, and what to do.")
        return result


def collect_checks(hostvars: HostVars) -> dict[str, list[dict[str, Any]]]:
    """Site name -> results of the role verify, of all nodes of the site."""
    merged: dict[str, list[dict[str, Any]]] = {}
    for host in hostvars:
        for site, found in (hostvars[host].get("verify_checks") or {}).items():
            merged.setdefault(site, []).extend(found)
    return merged


def collect_restarts_left(hostvars: HostVars) -> dict[str, list[dict[str, Any]]]:
    """Host -> service and reasons of each restart that the inventory leaves to the administrator."""
    left = {host: hostvars[host].get("restart_left") or [] for host in hostvars}
    return {
        host: [{"service": item["service"] or item["kind"], "reasons": list(item["reasons"])} for item in items]
        for host, items in left.items()
        if items
    }
