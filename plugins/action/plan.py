# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hmac
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError, AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._aws import observing
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import AwsError, PlacedListener, Seen, name_listener
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import Problem as AwsProblem
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.session import Access, Aws
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import (
    aws_listeners,
    catalog,
    evaluate,
    reachability,
    rules_inventory,
    rules_managed,
    rules_network,
    rules_tls,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import (
    controller_files,
    reaching,
    tls_files,
    variables,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.raw_values import (
    OmittedError,
    find_outside,
    get_known,
    get_raw,
    is_computed,
    locate,
    resolve,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import GivenTls
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import HostSettings, Problem
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import (
    basis,
    build,
    decide,
    difference,
    listeners,
    load_inventory,
    scope,
    topology,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput, Supply
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan
from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle as release_bundle
from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source
from ansible_collections.collab.rtc.plugins.plugin_utils._report import json_file, show
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text
from ansible_collections.collab.rtc.plugins.plugin_utils._run import course, history, runner, steps, tags

BUNDLE, REPORT_FILE = "rtc_bundle", "rtc_report_file"
QUESTION = "Apply this plan? Type yes to go on, anything else to leave all as it is: "
NO_TERMINAL = (
    "rtc_confirm is true, and there is no terminal to ask at. Look at the plan with collab.rtc.plan, or with --check,"
    " then run the same again with -e rtc_confirm=false"
)


def make_plan(plan_input: PlanInput) -> Plan:
    """From facts and settings to the plan of every host, with everything found: one way, each step once.

    Never raises for what the facts hold.
    """
    wanted = scope.leave_absent_out(plan_input)
    classification = topology.classify(wanted)
    state = decide.decide(classification)
    plan = build.build_plan(state, plan_input.facts)
    difference.compare(plan, plan_input.facts, scope.find_scope(plan_input, plan))
    scope.add_restarts(plan, plan_input)
    placed = listeners.list_listeners(plan_input, state)
    listeners.add_listeners(plan, placed, plan_input)
    plan.absent = bool(plan_input.absent) or scope.has_absent(plan_input)
    plan.basis = basis.describe(plan, plan_input.facts)
    plan.findings = evaluate.evaluate(
        wanted,
        classification,
        state,
        [
            *rules_managed.check(plan_input, plan),
            *rules_network.check_writing(plan, plan_input.facts),
            *rules_tls.check_removals(plan_input, plan),
            *reachability.check_removals(plan_input, plan),
            *aws_listeners.check(plan_input, placed),
        ],
    )
    evaluate.mute(plan.findings, plan_input, state)
    plan.stopped = course.stop_sites(plan, plan_input)
    basis.add_stopped(plan)
    changed = list(rules_inventory.check_kept_plan(plan_input, plan))
    if changed:  # mistakes in the inventory, as others are: nothing at all is done
        plan.findings = sorted([*plan.findings, *changed], key=catalog.sort_key)
        plan.stopped = course.stop_sites(plan, plan_input)
    limits = [item.max_failures for known in plan_input.settings.values() for item in known.values()]
    plan.identity = {
        "controller": plan_input.controller,
        "dead": plan_input.dead,
        "inventory": plan_input.inventory,
    }
    plan.kept_on_failure = [
        site.name
        for site in plan.sites
        if not all(plan_input.settings_of(host, site.application).rollback_on_failure for host in site.nodes)
    ]
    plan.max_failures = min((limit for limit in limits if limit), default=0)
    return plan


def find_listeners(plan_input: PlanInput) -> list[PlacedListener]:
    """The listeners that AWS is to be asked about."""
    wanted = scope.leave_absent_out(plan_input)
    return listeners.list_listeners(plan_input, decide.decide(topology.classify(wanted)))


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Makes the plan from the facts and variables of all hosts; no remote call but to AWS, where it has listeners."""

    _VALID_ARGS = frozenset({"confirm", "facts", "fail_on_errors", "file", "show", "state"})
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
        plan_input.aws = self._ask_aws(plan_input, task_vars["hostvars"])
        plan = make_plan(plan_input)
        before = task_vars.get(course.PLAN) or {}
        if "stopped" in before:  # a run reads its hosts again at its end; what it left alone it left alone
            plan.stopped = plain(before["stopped"])
        seen = {*plan_input.facts, *plan_input.failed}
        plan.left_out = [host for host in course.list_groups_hosts(plan_input.groups) if host not in seen]
        plan_file = self._task.args.get("file") or plan_file
        if plan_file and not self._task.check_mode:
            try:
                json_file.write_json(plan_file, _facts.to_dict(plan), "plan", "rtc_plan_file")
                json_file.write_settings(plan_file, plan, "plan", "rtc_plan_file")
            except RtcError as error:
                raise AnsibleActionFail(str(error)) from None  # Ansible repeats a cause in its message
        text, shown = self._show(plan, plan_input)
        self._confirm(plan, task_vars)
        errors = catalog.list_errors(plan.findings)
        failed = boolean(self._task.args.get("fail_on_errors", True)) and self._explain_failure(plan, errors, shown)
        if failed:
            # The errors alone: Ansible prints all that a failed task returns.
            return {"changed": False, "failed": True, "errors": len(errors), "msg": failed}
        # The id is not in rtc_run_id: a rollback that is given none has to undo the latest run, not the one it is in.
        run = before.get("run") or task_vars.get("rtc_run_id") or new_run()
        result.update(changed=False, errors=len(errors), run=run, run_user=history.name_user(), **_facts.to_dict(plan))
        if text and not shown:
            result["text"] = text
        return result

    def _explain_failure(self, plan: Plan, errors: list[Finding], shown: bool) -> str:
        """Why the plan fails; "" where it does not. What was printed already is not said again."""
        if errors and shown:
            return f"{len(errors)} error{'s' if len(errors) != 1 else ''}; see above. Nothing was changed."
        if errors:
            return report_text.render_errors(errors)
        no_site = self._task.args.get("show") == "plan" and not plan.sites and not plan.absent
        return report_text.render_no_site(plan) if no_site else ""

    def _show(self, plan: Plan, plan_input: PlanInput) -> tuple[str, bool]:
        """What is asked for as text, and whether it was printed."""
        wanted = self._task.args.get("show", "nothing")
        if wanted not in ("nothing", "detected", "plan"):
            raise AnsibleActionFail(f"The option show is '{wanted}', and has to be nothing, detected or plan.")
        text = ""
        if wanted == "detected":
            text = report_text.render_detected(plan, plan_input.facts)
        elif wanted == "plan":
            text = report_text.render_plan(plan)
        return text, bool(text) and show.show(self._display, text)

    def _confirm(self, plan: Plan, task_vars: dict[str, Any]) -> None:
        """Ask whether to apply the plan; without a yes all sites are stopped, those that are no more, too."""
        going = [name for name in course.list_worked_on(plan) if name not in plan.stopped]
        asked = boolean(self._task.args.get("confirm", False)) and not self._task.check_mode
        if not asked or not going or not tags.is_chosen("apply", task_vars):
            return
        try:
            answer = self._display.prompt_until(QUESTION)
            why = "" if answer.strip().lower() == b"yes" else "the plan was not confirmed"
        except AnsiblePromptNoninteractive:
            why = NO_TERMINAL
        except AnsiblePromptInterrupt:
            why = "the question was interrupted"
        if why:
            plan.stopped.update(dict.fromkeys(going, why))

    def _load(self, task_vars: dict[str, Any]) -> tuple[PlanInput, str]:
        """What the plan is made from, and the plan's file as the inventory names it."""
        hostvars, groups = task_vars["hostvars"], task_vars.get("groups", {})
        in_play = set(task_vars.get("ansible_play_hosts_all") or hostvars)
        given = self._task.args.get("facts")
        self._salt = secrets.token_bytes(16)
        plan_input = PlanInput(
            now=time.time(),
            controller=runner.identify(),
            schema=release_source.read_schema(),
            supply=_read_own_supply(),
            groups={name: [str(host) for host in groups.get(name, [])] for name in load_inventory.GROUPS},
        )
        plan_file = ""
        for host in dict.fromkeys(host for members in plan_input.groups.values() for host in members):
            facts, why = self._read_facts(host, hostvars, given)
            if facts is not None:
                plan_input.facts[host] = _facts.from_dict(_facts.HostFacts, facts)
            elif given is not None or host in in_play or hostvars[host].get(steps.DETECTED):
                plan_input.failed[host] = why
            else:
                continue  # left out by --limit
            self._add_host(host, hostvars, plan_input)
            named = next((item.inventory_id for item in plan_input.settings[host].values() if item.inventory_id), "")
            plan_input.inventory = plan_input.inventory or named
            if named and named != plan_input.inventory:  # whose the records are would depend on the limit
                text = f"rtc_inventory_id is {named} here, and {plan_input.inventory} on another host of the run."
                remedy = "Give it one value, for the group all."
                plan_input.problems[host].append(Problem("RTC102", "rtc_inventory_id", text, remedy))
            plan_file = plan_file or next((item.plan_file for item in plan_input.settings[host].values()), "")
        for host in list(plan_input.problems)[:1]:  # a playbook sets a variable, and groups have names, for all hosts
            names = find_outside(task_vars, hostvars, variables.is_ours)
            plan_input.problems[host] += variables.explain_outside(names) + load_inventory.explain_groups(groups)
        plan_input.inventory = plan_input.inventory or runner.name_inventory(task_vars.get("ansible_inventory_sources"))
        plan_input.accepted = self._read_accepted(task_vars, plan_input)
        plan_input.dead = runner.find_dead(plan_input.facts.values())
        if self._task.args.get("state") == "absent":
            plan_input.absent = {
                host: [kind for kind in variables.KINDS if host in plan_input.groups[kind]] for host in plan_input.facts
            }
        return plan_input, plan_file

    def _read_accepted(self, task_vars: dict[str, Any], plan_input: PlanInput) -> dict[str, dict[str, str]] | None:
        """The basis of the plan that is to be carried out; ``None`` where none is named, or where it has been already.

        :raises AnsibleActionFail: it cannot be read.
        """
        every = [item.from_plan for known in plan_input.settings.values() for item in known.values()]
        names = list(dict.fromkeys(filter(None, every)))
        if len(names) > 1:
            raise AnsibleActionFail(f"rtc_from_plan names {', '.join(names)}: a run carries out one plan. Name one.")
        if not names or "stopped" in (task_vars.get(course.PLAN) or {}):
            return None
        try:
            with open(os.path.expanduser(names[0]), encoding="utf-8") as file:
                return {str(host): dict(parts) for host, parts in json.load(file)["basis"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            why = getattr(error, "strerror", None) or error
            raise AnsibleActionFail(f"rtc_from_plan: {names[0]} is no plan that can be read: {why}") from None

    def _ask_aws(self, plan_input: PlanInput, hostvars: Any) -> dict[str, Seen | AwsProblem]:
        """What AWS has for each listener, or why that is not known."""
        found: dict[str, Seen | AwsProblem] = {}
        sessions: dict[Access, Aws] = {}
        if not any(one.aws_load_balancer for known in plan_input.settings.values() for one in known.values()):
            return found
        for item in find_listeners(plan_input):
            access = Access(**item.access, **self._read_aws_secrets(item.host, item.wanted.application, hostvars))
            try:
                sessions[access] = sessions.get(access) or Aws(access)
                found[name_listener(item.wanted)] = observing.observe(sessions[access], item.wanted)
            except AwsError as error:
                found[name_listener(item.wanted)] = error.problem
        return found

    def _read_aws_secrets(self, host: str, application: str, hostvars: Any) -> dict[str, str]:
        """The access key of a host's inventory variables: used here, and no part of the plan."""
        raw = get_raw(hostvars, host)
        templar = self._templar.copy_with_new_env(available_variables=get_known(hostvars, host))
        found = {}
        for name in ("access_key", "secret_key", "session_token"):
            variable = f"{variables.PREFIX}aws_{name}"
            try:
                given = plain(resolve(templar, raw.get(variable, ""), raw))
                value = variables.choose_setting(given, application, "")
            except OmittedError:
                value = ""
            except AnsibleError as error:
                text = f"{variable} of {host} cannot be evaluated."
                raise AnsibleActionFail(f"{text} Correct it in the inventory: {error}") from None
            found[name] = str(value)
        return found

    @staticmethod
    def _read_facts(host: str, hostvars: Any, given: Any) -> tuple[dict[str, Any] | None, str]:
        """The facts of a host, or ``None`` and the reason."""
        if given is not None:
            facts = given.get(host)
            return (plain(facts), "") if facts else (None, "the option facts does not have it.")
        detected = hostvars[host].get(steps.DETECTED) or {}
        if detected.get("topology"):
            return plain(detected["topology"]), ""
        return None, steps.describe_failure(detected, steps.DETECT)["cause"] if detected else "it was not reached."

    def _add_host(self, host: str, hostvars: Any, plan_input: PlanInput) -> None:
        strict = any(host in plan_input.groups[kind] for kind in variables.KINDS)
        values, problems = self._read_variables(host, hostvars, strict)
        problems += self._check_bundle(host, hostvars, plan_input) if strict else []
        problems += self._check_report_file(values)
        load_inventory.add_host(plan_input, host, values, problems)
        plan_input.problems[host] = _locate(plan_input.problems[host], get_raw(hostvars, host))
        plan_input.secrets[host] = self._digest_secrets(host, hostvars, plan_input.settings[host])
        for kind, settings in plan_input.settings[host].items() if strict else ():
            given = self._read_tls(settings, hostvars[host].get("inventory_dir"))
            if given:
                plan_input.tls.setdefault(host, {})[kind] = given

    def _read_variables(self, host: str, hostvars: Any, strict: bool) -> tuple[dict[str, Any], list[Problem]]:
        """The variables of a host that the plan reads, evaluated; and problems with those that cannot be."""
        raw = get_raw(hostvars, host)
        templar = self._templar.copy_with_new_env(available_variables=get_known(hostvars, host))
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name in map(str, raw):
            if not variables.is_ours(name) or name in variables.INTERNAL:
                continue
            if name in variables.UNREAD:
                try:
                    secret = resolve(templar, raw[name], raw) if is_computed(raw[name], raw) else raw[name]
                    values.update(_describe_secret(name, secret))
                    problems += variables.check_secret(name, secret) if strict else []
                except OmittedError:
                    continue  # roles take it for one that is not given
                except AnsibleError as error:
                    values.update(_describe_secret(name, True))
                    problems += [variables.explain_unreadable(name, str(error))] if strict else []
                continue
            if name == BUNDLE and not isinstance(raw[name], Mapping):
                continue  # it is read whole, elsewhere
            try:
                values[name] = plain(resolve(templar, raw[name], raw))
            except AnsibleError as error:
                if name in variables.OF_CHECKED_SITE and f"'{variables.CHECKED_SITE}' is undefined" in str(error):
                    continue
                # A proxy's host gets variables of the group all that only make sense for an application.
                if strict or name in variables.OF_EVERY_HOST:
                    text = f"{name} cannot be evaluated: {error}"
                    remedy = reaching.find_remedy(str(error)) or "Correct the variable in the inventory."
                    problems.append(Problem("RTC102", name, text, remedy))
        return values, problems

    def _digest_secrets(self, host: str, hostvars: Any, settings: Mapping[str, HostSettings]) -> dict[str, str]:
        """Digests of rtc_secret where nodes have to have the same; with a salt that ends with this task."""
        kinds = [kind for kind, item in settings.items() if item.store_url and "secret" in item.given]
        if not kinds:
            return {}
        raw = get_raw(hostvars, host)
        templar = self._templar.copy_with_new_env(available_variables=get_known(hostvars, host))
        try:
            value = plain(templar.template(raw[f"{variables.PREFIX}secret"]))
        except AnsibleError:
            return {}  # the role that needs it says what is wrong with it
        found = {kind: variables.pick_kind(value, kind) for kind in kinds}
        return {
            kind: hmac.new(self._salt, str(secret).encode(), "sha256").hexdigest()
            for kind, secret in found.items()
            if secret not in (None, "")
        }

    def _check_report_file(self, values: Mapping[str, Any]) -> list[Problem]:
        """What keeps the report from being written: that is done last, when everything is changed."""
        path = values.get(REPORT_FILE)
        why = (
            ""
            if self._task.check_mode or not isinstance(path, str)
            else controller_files.explain_no_place(path.strip())
        )
        text = f"{REPORT_FILE}: the report cannot be written to {path}: {why}."
        return [Problem("RTC102", REPORT_FILE, text, f"Correct {REPORT_FILE}.")] if why and path else []

    def _check_bundle(self, host: str, hostvars: Any, plan_input: PlanInput) -> list[Problem]:
        """Read the bundle; what is wrong with it, the role would only notice after it has changed the trust store."""
        raw = get_raw(hostvars, host)
        templar = self._templar.copy_with_new_env(available_variables=get_known(hostvars, host))
        try:
            value = templar.template(raw.get(BUNDLE) or "")
            if not value or not isinstance(value, str):
                return []
            path = controller_files.find_file(value, [raw.get("inventory_dir"), self._loader.get_basedir()])
            # It is as large as the packages, and all hosts have the same one.
            known = next((one for one in plan_input.bundles.values() if one.path == path), None)
            plan_input.bundles[host] = known or _read_supply(path)
        except (OSError, AnsibleError) as error:
            remedy = "Correct the variable, or leave it out: the controller builds the release then."
            return [Problem("RTC102", BUNDLE, f"{BUNDLE}: {error}", remedy)]
        except release_source.BundleError as error:
            return [Problem("RTC550", BUNDLE, error.message, error.remedy)]
        return []

    def _read_tls(self, settings: HostSettings, inventory_dir: str | None) -> GivenTls | None:
        """What the certificate files hold; paths in the settings become absolute. ``None`` where nothing is given."""
        texts: dict[str, str | None] = {}
        failed: GivenTls | None = None
        for name in ("tls_certificate", "tls_key", "tls_ca", "upstream_ca", "store_ca"):
            value = getattr(settings, name)
            try:
                texts[name] = self._read(value, settings, name, inventory_dir) if value else None
            except (OSError, AnsibleError) as error:
                failed = failed or GivenTls(variable=variables.PREFIX + name, error=f"{value}: {error}")
        if failed:
            return failed
        if not any(texts[name] is not None for name in ("tls_certificate", "tls_ca", "upstream_ca", "store_ca")):
            return None
        certificate, key = texts["tls_certificate"], texts["tls_key"]
        if certificate == "":
            return GivenTls(variable="rtc_tls_certificate", error="the file is empty.")
        return tls_files.inspect(certificate or "", key, texts["tls_ca"], texts["upstream_ca"], texts["store_ca"])

    def _read(self, value: str, settings: HostSettings, name: str, inventory_dir: str | None) -> str:
        if "-----BEGIN" in value:
            return value
        path = controller_files.find_file(value, [inventory_dir, self._loader.get_basedir()])
        setattr(settings, name, path)
        with open(self._loader.get_real_file(path), "rb") as file:  # decrypts what is vaulted
            content: bytes = file.read()
        return content.decode("utf-8", "replace")


def _locate(problems: list[Problem], raw: Mapping[str, Any]) -> list[Problem]:
    """The same problems with the places of their variables; of a wrong name, the place of the name."""
    names = {str(name): name for name in raw}
    items = [names.get(one.variable) if one.id == "RTC101" else raw.get(one.variable) for one in problems]
    return [replace(one, where=locate(item)) for one, item in zip(problems, items)]


def _describe_secret(name: str, value: Any) -> dict[str, Any]:
    """What a secret holds is the roles' business; looked at is only whether it is given, and for which applications.

    :param value: evaluated only where no lookup is in it: that may ask somebody, or make what it does not find
        (``password``), and a plan changes nothing.
    """
    if isinstance(value, Mapping):
        return {name: {str(key): None for key, item in value.items() if item not in (None, "")}}
    return {} if value in (None, "") else {name: None}


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


def new_run() -> str:
    """An id for a run that sorts by time."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"


def _read_supply(path: str) -> Supply:
    bundle = release_bundle.check(path)
    return Supply(path, bundle.version, bundle.digest, tuple(sorted(bundle.targets)))


def _read_own_supply() -> Supply:
    source = release_source.SOURCE
    try:
        return Supply("", release_source.read_version(source), release_source.digest_source(source))
    except release_source.BundleError:
        return Supply()  # what needs it says so
