# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import catalog
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import tls_files, variables
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import build, load_inventory
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Landscape
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text

DETECTED = "rtc_detected"  # what the role topology registers on every host


class ActionModule(ActionBase):
    """Makes the plan from the facts and variables of all hosts; no remote call."""

    _VALID_ARGS = frozenset({"facts", "fail_on_errors", "file", "show"})
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        landscape, plan_file = self._load(task_vars)
        if not any(landscape.groups.values()):
            raise AnsibleActionFail(
                "No host is in the groups confluence, jira or rtc_proxies. Put the application's host into confluence or jira."
            )
        plan = build.make_plan(landscape)
        data = _facts.to_dict(plan)
        plan_file = self._task.args.get("file") or plan_file
        if plan_file and not self._task.check_mode:
            self._write(os.path.expanduser(plan_file), data)
        self._show(plan, landscape)
        errors = catalog.errors(plan.findings)
        run = task_vars.get("rtc_run") or task_vars.get("rtc_run_id") or new_run()
        result.update(
            changed=False,
            plan=data,
            sites=data["sites"],
            findings=data["findings"],
            errors=len(errors),
            ansible_facts={"rtc_plan": data, "rtc_run": run},
        )
        if errors and boolean(self._task.args.get("fail_on_errors", True)):
            # The errors alone: Ansible prints all that a failed task returns.
            return {"changed": False, "failed": True, "errors": len(errors), "msg": report_text.render_errors(errors)}
        return result

    def _show(self, plan, landscape):
        wanted = self._task.args.get("show", "nothing")
        if wanted not in ("nothing", "detected", "plan"):
            raise AnsibleActionFail(f"The option show is '{wanted}', and has to be nothing, detected or plan.")
        if wanted == "detected":
            self._display.display(report_text.render_detected(plan, landscape.facts))
        elif wanted == "plan":
            self._display.display(report_text.render_plan(plan))

    def _load(self, task_vars):
        hostvars, groups = task_vars["hostvars"], task_vars.get("groups", {})
        in_play = set(task_vars.get("ansible_play_hosts_all") or hostvars)
        given = self._task.args.get("facts")
        landscape = Landscape(
            now=time.time(),
            groups={name: [str(host) for host in groups.get(name, [])] for name in load_inventory.GROUPS},
        )
        plan_file = ""
        for host in dict.fromkeys(host for members in landscape.groups.values() for host in members):
            topology, why = self._topology(host, hostvars, given)
            if topology is not None:
                landscape.facts[host] = _facts.from_dict(_facts.HostFacts, topology)
            elif given is not None or host in in_play:
                landscape.failed[host] = why
            else:
                continue  # left out by --limit
            self._add_host(host, hostvars, landscape)
            plan_file = plan_file or next((item.plan_file for item in landscape.wishes[host].values()), "")
        return landscape, plan_file

    @staticmethod
    def _topology(host, hostvars, given):
        """The facts of a host, or ``None`` and the reason."""
        if given is not None:
            topology = given.get(host)
            return (plain(topology), "") if topology else (None, "the option facts does not have it.")
        detected = hostvars[host].get(DETECTED) or {}
        if detected.get("topology"):
            return plain(detected["topology"]), ""
        return None, str(detected.get("msg") or detected.get("module_stderr") or "it was not reached.").strip()

    def _add_host(self, host, hostvars, landscape):
        strict = any(host in landscape.groups[kind] for kind in variables.KINDS)
        load_inventory.add(landscape, host, *self._variables(host, hostvars, strict))
        for kind, wishes in landscape.wishes[host].items() if strict else ():
            given = self._tls(wishes)
            if given:
                landscape.tls.setdefault(host, {})[kind] = given

    def _variables(self, host, hostvars, strict):
        """The variables of a host with our prefix that the plan reads, evaluated; and problems of those that cannot be."""
        raw = hostvars.raw_get(host) if hasattr(hostvars, "raw_get") else hostvars[host]
        # hostvars[host] evaluates without "hostvars" itself, which inventories do use in our variables.
        templar = self._templar.copy_with_new_env(available_variables={**raw, "hostvars": hostvars})
        values, problems = {}, []
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
                    problems.append(variables.Problem("RTC102", name, text, "Correct the variable in the inventory."))
        return values, problems

    def _tls(self, wishes):
        """What the certificate files hold; paths in the wishes become absolute. ``None`` where nothing is given."""
        texts, failed = {}, None
        for name in ("tls_certificate", "tls_key", "tls_ca", "upstream_ca"):
            value = getattr(wishes, name)
            try:
                texts[name] = self._read(value, wishes, name) if value else None
            except (OSError, AnsibleError) as error:
                failed = failed or tls_files.GivenTls(variable=variables.PREFIX + name, error=f"{value}: {error}")
        if failed:
            return failed
        if not texts["tls_certificate"] and not texts["tls_ca"]:
            return None
        return tls_files.inspect(texts["tls_certificate"] or "", texts["tls_key"], texts["tls_ca"])

    def _read(self, value, wishes, name):
        if "-----BEGIN" in value:
            return value
        path = self._find(value)
        setattr(wishes, name, path)
        if not os.path.isfile(path):
            raise OSError("there is no such file on the controller.")
        with open(self._loader.get_real_file(path), "rb") as file:  # decrypts what is vaulted
            return file.read().decode("utf-8", "replace")

    def _find(self, value):
        """A path of the controller: as it is, beside the playbook, or where the run was started."""
        path = os.path.expanduser(value)
        candidates = [path] if os.path.isabs(path) else [self._loader.path_dwim(path), os.path.abspath(path)]
        return next((item for item in candidates if os.path.exists(item)), candidates[0])

    @staticmethod
    def _write(path, data):
        temporary = path + ".new"
        try:
            # Names and addresses of a network are nobody else's business, though no secret is among them.
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                json.dump(data, file, indent=2, sort_keys=True)
                file.write("\n")
            os.replace(temporary, path)
        except OSError as error:
            raise AnsibleActionFail(f"The plan cannot be written to {path}: {error}. Correct rtc_plan_file.") from error


def plain(value):
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


def new_run():
    """An id for a run that sorts by time."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
