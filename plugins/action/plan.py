# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import getpass
import os
import platform
import secrets
import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import catalog, evaluate
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import tls_files, variables
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import GivenTls
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import HostSettings, Problem
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import build, decide, load_inventory, topology
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan
from ansible_collections.collab.rtc.plugins.plugin_utils._report import json_file
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text

DETECTED = "rtc_detected"  # what the role plan registers on every host


def make_plan(plan_input: PlanInput) -> Plan:
    """From facts and settings to the plan of every host, with everything found: one way, each step once.

    Never raises for what the facts hold.
    """
    classification = topology.classify(plan_input)
    state = decide.decide(classification)
    plan = build.build_plan(state, plan_input.facts)
    plan.findings = evaluate.evaluate(plan_input, classification, state)
    evaluate.mute(plan.findings, plan_input, state)
    return plan


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Makes the plan from the facts and variables of all hosts; no remote call."""

    _VALID_ARGS = frozenset({"facts", "fail_on_errors", "file", "show"})
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Plan, write the file, print what is asked for, and fail when an error was found."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        plan_input, plan_file = self._load(task_vars)
        if not any(plan_input.groups.values()):
            raise AnsibleActionFail(
                "No host is in the groups confluence, jira or rtc_proxies."
                " Put the application's host into confluence or jira."
            )
        plan = make_plan(plan_input)
        data = _facts.to_dict(plan)
        plan_file = self._task.args.get("file") or plan_file
        if plan_file and not self._task.check_mode:
            try:
                json_file.write_json(plan_file, data, "plan", "rtc_plan_file")
            except RtcError as error:
                raise AnsibleActionFail(str(error)) from None  # Ansible repeats a cause in its message
        self._show(plan, plan_input)
        errors = catalog.list_errors(plan.findings)
        # The fact is not rtc_run_id: a rollback that is given no id has to undo the latest run, not the one it is in.
        run = task_vars.get("rtc_run") or task_vars.get("rtc_run_id") or new_run()
        result.update(
            changed=False,
            plan=data,
            sites=data["sites"],
            findings=data["findings"],
            errors=len(errors),
            ansible_facts={"rtc_plan": data, "rtc_run": run, "rtc_run_user": name_user()},
        )
        if errors and boolean(self._task.args.get("fail_on_errors", True)):
            # The errors alone: Ansible prints all that a failed task returns.
            return {"changed": False, "failed": True, "errors": len(errors), "msg": report_text.render_errors(errors)}
        return result

    def _show(self, plan: Plan, plan_input: PlanInput) -> None:
        wanted = self._task.args.get("show", "nothing")
        if wanted not in ("nothing", "detected", "plan"):
            raise AnsibleActionFail(f"The option show is '{wanted}', and has to be nothing, detected or plan.")
        if wanted == "detected":
            self._display.display(report_text.render_detected(plan, plan_input.facts))
        elif wanted == "plan":
            self._display.display(report_text.render_plan(plan))

    def _load(self, task_vars: dict[str, Any]) -> tuple[PlanInput, str]:
        """What the plan is made from, and the plan's file as the inventory names it."""
        hostvars, groups = task_vars["hostvars"], task_vars.get("groups", {})
        in_play = set(task_vars.get("ansible_play_hosts_all") or hostvars)
        given = self._task.args.get("facts")
        plan_input = PlanInput(
            now=time.time(),
            groups={name: [str(host) for host in groups.get(name, [])] for name in load_inventory.GROUPS},
        )
        plan_file = ""
        for host in dict.fromkeys(host for members in plan_input.groups.values() for host in members):
            facts, why = self._read_facts(host, hostvars, given)
            if facts is not None:
                plan_input.facts[host] = _facts.from_dict(_facts.HostFacts, facts)
            elif given is not None or host in in_play:
                plan_input.failed[host] = why
            else:
                continue  # left out by --limit
            self._add_host(host, hostvars, plan_input)
            plan_file = plan_file or next((item.plan_file for item in plan_input.settings[host].values()), "")
        return plan_input, plan_file

    @staticmethod
    def _read_facts(host: str, hostvars: Any, given: Any) -> tuple[dict[str, Any] | None, str]:
        """The facts of a host, or ``None`` and the reason."""
        if given is not None:
            facts = given.get(host)
            return (plain(facts), "") if facts else (None, "the option facts does not have it.")
        detected = hostvars[host].get(DETECTED) or {}
        if detected.get("topology"):
            return plain(detected["topology"]), ""
        return None, str(detected.get("msg") or detected.get("module_stderr") or "it was not reached.").strip()

    def _add_host(self, host: str, hostvars: Any, plan_input: PlanInput) -> None:
        strict = any(host in plan_input.groups[kind] for kind in variables.KINDS)
        load_inventory.add_host(plan_input, host, *self._read_variables(host, hostvars, strict))
        for kind, settings in plan_input.settings[host].items() if strict else ():
            given = self._read_tls(settings)
            if given:
                plan_input.tls.setdefault(host, {})[kind] = given

    def _read_variables(self, host: str, hostvars: Any, strict: bool) -> tuple[dict[str, Any], list[Problem]]:
        """The variables of a host that the plan reads, evaluated; and problems with those that cannot be."""
        raw = hostvars.raw_get(host) if hasattr(hostvars, "raw_get") else hostvars[host]
        # hostvars[host] evaluates without "hostvars" itself, which inventories do use in these variables.
        templar = self._templar.copy_with_new_env(available_variables={**raw, "hostvars": hostvars})
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name in map(str, raw):
            if not name.startswith(variables.PREFIX) or name in variables.INTERNAL:
                continue
            if name in variables.UNREAD:
                values[name] = None
                continue
            try:
                values[name] = plain(templar.template(raw[name]))
            except AnsibleError as error:
                # A proxy's host gets variables of the group all that only make sense for an application.
                if strict:
                    text = f"{name} cannot be evaluated: {error}"
                    problems.append(Problem("RTC102", name, text, "Correct the variable in the inventory."))
        return values, problems

    def _read_tls(self, settings: HostSettings) -> GivenTls | None:
        """What the certificate files hold; paths in the settings become absolute. ``None`` where nothing is given."""
        texts: dict[str, str | None] = {}
        failed: GivenTls | None = None
        for name in ("tls_certificate", "tls_key", "tls_ca", "upstream_ca"):
            value = getattr(settings, name)
            try:
                texts[name] = self._read(value, settings, name) if value else None
            except (OSError, AnsibleError) as error:
                failed = failed or GivenTls(variable=variables.PREFIX + name, error=f"{value}: {error}")
        if failed:
            return failed
        if not texts["tls_certificate"] and not texts["tls_ca"]:
            return None
        return tls_files.inspect(texts["tls_certificate"] or "", texts["tls_key"], texts["tls_ca"])

    def _read(self, value: str, settings: HostSettings, name: str) -> str:
        if "-----BEGIN" in value:
            return value
        path = self._find(value)
        setattr(settings, name, path)
        if not os.path.isfile(path):
            raise OSError("there is no such file on the controller.")
        with open(self._loader.get_real_file(path), "rb") as file:  # decrypts what is vaulted
            content: bytes = file.read()
        return content.decode("utf-8", "replace")

    def _find(self, value: str) -> str:
        """A path of the controller: as it is, beside the playbook, or where the run was started."""
        path = os.path.expanduser(value)
        candidates = [path] if os.path.isabs(path) else [self._loader.path_dwim(path), os.path.abspath(path)]
        return next((item for item in candidates if os.path.exists(item)), candidates[0])


def plain(value: Any) -> Any:
    """Nothing but exact built-in types: what Ansible hands over is tagged, lazy, or both."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


def name_user() -> str:
    """Who runs this on which controller, for the undo records: ``anna@controller``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user id that has no name
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


def new_run() -> str:
    """An id for a run that sorts by time."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
