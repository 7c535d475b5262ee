# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import rules_managed, rules_proxy
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import load_inventory, schema
from ansible_collections.collab.rtc.plugins.plugin_utils._report import json_file, show
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text
from ansible_collections.collab.rtc.plugins.plugin_utils._run import course, outcome, tags
from ansible_collections.collab.rtc.plugins.plugin_utils._run.course import HostVars


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Prints the report of a run from what plan, roles and checks left as facts of the hosts; no remote call.

    It runs on every host of the run: the first one prints, and each fails for what failed there.
    """

    _VALID_ARGS = frozenset({"applies", "fail_on_changes", "fail_on_failed_checks", "file"})
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print, write the file, and fail for what failed on this host."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        hostvars: HostVars = task_vars["hostvars"]
        plan = course.find_plan(hostvars)
        if plan is None:
            raise AnsibleActionFail(self._explain_missing_plan(task_vars))
        applies = self._is_set("applies") and tags.is_chosen("apply", task_vars)
        found = outcome.collect(plan, hostvars, applies)
        known = _facts.from_dict(schema.Plan, dict(plan))
        more = [*rules_managed.check_rollback(known, found), *rules_proxy.check_written(known, found)]
        plan = {**plan, "findings": [*map(_facts.to_dict, more), *plan["findings"]]}
        changes = found.changes if self._is_set("fail_on_changes") else {}
        hosts = task_vars.get("ansible_play_hosts_all") or [task_vars.get("inventory_hostname")]
        if task_vars.get("inventory_hostname") == hosts[0]:
            if not tags.is_only("plan", task_vars):
                self._show(result, plan, found)
            self._write(plan, found)
        result.update(changed=False, failed_checks=outcome.count_failed_checks(found.checks.values()))
        return self._fail(result, plan, found, hostvars, changes, task_vars)

    def _fail(
        self,
        result: dict[str, Any],
        plan: Any,
        found: outcome.Outcome,
        hostvars: HostVars,
        changes: dict[str, list[str]],
        task_vars: dict[str, Any],
    ) -> dict[str, Any]:
        """The result, failed where something failed for this host."""
        checked = hostvars if boolean(self._task.args.get("fail_on_failed_checks", True)) else {}
        verdicts = outcome.judge(plan, found, checked)
        for host, steps in changes.items():
            verdicts.setdefault(host, []).append(f"would change: {'; '.join(steps)}")
        hosts = task_vars.get("ansible_play_hosts_all") or [task_vars.get("inventory_hostname")]
        mine = task_vars.get("inventory_hostname")
        reasons = list(verdicts.get(str(mine), []))
        if mine == hosts[0]:  # what failed for a host outside of this play fails the play's first
            reasons += [text for host, texts in verdicts.items() if host not in hosts for text in texts]
            if not plan["sites"] and not verdicts and not plan.get("absent"):
                reasons.append(report_text.render_no_site(_facts.from_dict(schema.Plan, plan)))
        if reasons:
            result.update(failed=True, msg="\n".join(reasons))
        return result

    def _is_set(self, name: str) -> bool:
        return bool(boolean(self._task.args.get(name, False)))

    def _show(self, result: dict[str, Any], plan: Any, found: outcome.Outcome) -> None:
        with_changes = self._is_set("fail_on_changes") or bool(self._task.check_mode)
        text = report_text.render_report(_facts.from_dict(schema.Plan, plan), found, with_changes)
        if not show.show(self._display, text):
            result["report"] = text

    def _write(self, plan: Any, found: outcome.Outcome) -> None:
        if self._task.args.get("file") and not self._task.check_mode:
            try:
                known = {key: plan[key] for key in ("sites", "hosts", "findings", "stopped", "left_out")}
                data = {"plan": known, **_facts.to_dict(found)}
                json_file.write_json(self._task.args["file"], data, "report", "rtc_report_file")
                whole = _facts.from_dict(schema.Plan, plan)
                json_file.write_settings(self._task.args["file"], whole, "report", "rtc_report_file")
                if any(report_text.find_deployed(site, whole) for site in whole.sites):
                    json_file.write_page(self._task.args["file"], "check page", "rtc_report_file")
            except RtcError as error:
                raise AnsibleActionFail(str(error)) from None  # Ansible repeats a cause in its message

    @staticmethod
    def _explain_missing_plan(task_vars: dict[str, Any]) -> str:
        if context.CLIARGS.get("start_at_task"):
            return (
                "There is no plan, because --start-at-task left out detection and plan. Run without it, and choose what"
                " follows the plan with --tags: apply, verify or report."
            )
        failures = course.find_failures(task_vars["hostvars"])
        if failures:
            failure = next(iter(failures.values()))
            return f"There is no plan. {failure['step']}: {failure['cause']} {failure['remedy']}"
        ours = course.list_groups_hosts(task_vars.get("groups", {}))
        if ours:
            return (
                "None of the hosts of this run is in the groups confluence, jira or rtc_proxies, so nothing was done."
                f" The limit leaves out {', '.join(ours)}."
            )
        meant = load_inventory.explain_groups(task_vars.get("groups", {}))
        return " ".join(
            [
                "No host is in the groups confluence, jira or rtc_proxies, so nothing was done.",
                *(f"{one.message} {one.remedy}" for one in meant),
                "Put the application's host into confluence or jira.",
            ]
        )
