# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import schema
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text


class ActionModule(ActionBase):
    """Prints the report of a run from what plan and checks left as facts of the hosts; no remote call."""

    _VALID_ARGS = frozenset({"file", "fail_on_failed_checks"})
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        args = self._task.args
        hostvars = task_vars["hostvars"]
        plan = next((hostvars[host]["rtc_plan"] for host in hostvars if "rtc_plan" in hostvars[host]), None)
        if plan is None:
            raise AnsibleActionFail("There is no plan to report on. Run the role collab.rtc.topology before.")
        checks = self._checks(hostvars)
        pending = self._pending(hostvars)
        text = report_text.render_report(_facts.from_dict(schema.Plan, plan), checks, pending)
        self._display.display(text)
        if args.get("file"):
            self._write(os.path.expanduser(args["file"]), {"plan": plan, "checks": checks, "pending": pending})
        failed = sum(check["ok"] is False for found in checks.values() for check in found)
        result.update(changed=False, failed_checks=failed)
        if failed and args.get("fail_on_failed_checks", True):
            result.update(failed=True, msg=f"{failed} checks failed; the report above says which, why, and what to do.")
        return result

    @staticmethod
    def _checks(hostvars):
        """Site name -> results of the role verify, of all nodes of the site."""
        merged = {}
        for host in hostvars:
            for site, found in (hostvars[host].get("verify_checks") or {}).items():
                merged.setdefault(site, []).extend(found)
        return merged

    @staticmethod
    def _pending(hostvars):
        """Host -> restarts that the inventory leaves to the administrator."""
        return {
            host: list(hostvars[host].get("application_pending") or [])
            for host in hostvars
            if hostvars[host].get("application_pending")
        }

    @staticmethod
    def _write(path, data):
        temporary = path + ".new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=2, sort_keys=True)
            file.write("\n")
        os.rename(temporary, path)
