# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles' argument specifications agree with their defaults, names and examples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.collab.rtc.plugins.plugin_utils._findings import catalog
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import variables
from ansible_collections.collab.rtc.plugins.plugin_utils._run import steps

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def load_specification(role: Path) -> dict:
    """The entry point of the role: ``main``, or what another role gets from it."""
    (found,) = load(role / "meta/argument_specs.yml")["argument_specs"].values()
    return found


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


@pytest.fixture(params=ROLES, ids=[path.name for path in ROLES])
def role(request) -> Path:
    return request.param


def test_defaults_are_those_of_the_specification(role):
    options = load_specification(role)["options"]
    defaults = load(role / "defaults/main.yml")
    assert set(defaults) == {name for name, option in options.items() if not option.get("required")}
    for name, value in defaults.items():
        if not (isinstance(value, str) and "{{" in value):  # a template has its value from the inventory
            assert options[name]["default"] == value


def test_variables_begin_with_the_name_of_the_role(role):
    names = set(load_specification(role)["options"])
    names |= set(load(role / "vars/main.yml"))
    assert all(name.startswith(f"{role.name}_") for name in names)


def test_what_roles_set_is_no_unknown_variable():
    """Variables and registered results of a role whose name begins with rtc_ are in every host's variables later."""
    texts = [
        path.read_text(encoding="utf-8") for path in [*ROOT.glob("roles/*/*/*.yml"), *ROOT.glob("playbooks/**/*.yml")]
    ]
    names = {name for text in texts for name in re.findall(r"^ *(?:register: )?(rtc_\w+)(?::| |$)", text, re.MULTILINE)}
    names.discard("rtc_ports")  # an option of topology_info
    assert {"rtc_server_keys", "rtc_server_plan", "rtc_detected", "rtc_work"} <= names
    assert [problem.variable for problem in variables.find_unknown(dict.fromkeys(names))] == []


def test_the_example_uses_the_role(role):
    plays = yaml.safe_load(load_specification(role)["examples"])
    used = {item["role"]: item.get("vars", {}) for play in plays for item in play.get("roles", [])}
    options = load_specification(role)["options"]
    required = {name for name, option in options.items() if option.get("required")}
    assert required <= set(used[f"collab.rtc.{role.name}"])


def test_findings_name_roles_that_exist():
    named = {entry.role for entry in catalog.CATALOGUE.values() if entry.role}
    assert named <= {role.name for role in ROLES}


def list_steps():
    """Registered name -> task, of all tasks and handlers of roles that change a host in a run."""
    apart = ("plan", "verify", "rtc_store")  # the last has a playbook of its own
    files = [path for role in ROLES if role.name not in apart for path in role.glob("[th]a*/*.yml")]
    tasks = [task for path in files for task in yaml.safe_load(path.read_text(encoding="utf-8"))]
    local = ("ansible.builtin.debug", "ansible.builtin.set_fact")
    return {task.get("register"): task["name"] for task in tasks if not any(name in task for name in local)}


def test_every_step_that_changes_a_host_registers_its_result():
    assert list_steps() == steps.STEPS


PARTS = sorted((ROOT / "playbooks").rglob("*.yml"))


@pytest.mark.parametrize("path", PARTS, ids=[path.stem for path in PARTS])
def test_no_configuration_changes_the_course_of_a_play(path):
    for play in yaml.safe_load(path.read_text(encoding="utf-8")):
        if "import_playbook" not in play:
            assert play["strategy"] == "linear"
            assert play["gather_facts"] is False
            assert isinstance(play["hosts"], str), "a group that nobody has would cause a warning"
            assert "hosts_for" in play["hosts"] or play["hosts"] == "localhost"


def list_plays():
    """Stage -> what its play of ``apply.yml`` runs of roles: (role, file of tasks)."""
    found = {}
    for play in yaml.safe_load((ROOT / "playbooks/parts/apply.yml").read_text(encoding="utf-8")):
        tasks = [task for block in play["tasks"] for task in block.get("block", [])]
        roles = [task["ansible.builtin.import_role"] for task in tasks if "ansible.builtin.import_role" in task]
        stage = re.search(r"ternary\('(\w+)', 'none'\)", play["hosts"])[1]
        found[stage] = [(role["name"].rpartition(".")[2], role.get("tasks_from", "main")) for role in roles]
    return found


def test_rtc_runs_before_the_proxy_is_written_and_the_connectors_announce_it():
    plays = list_plays()
    order = ["apply_services", "apply_proxies", "apply_shared_proxies", "apply_connectors"]
    assert [stage for stage in plays if stage in order] == order
    assert ("rtc_server", "main") in plays["apply_services"]
    assert ("reverse_proxy", "main") in plays["apply_proxies"] and ("reverse_proxy", "main") in plays[
        "apply_shared_proxies"
    ]
    announcing = [stage for stage, roles in plays.items() if ("connector", "main") in roles]
    assert announcing == ["apply_connectors", "apply_applications"]


def test_no_part_of_a_run_forgets_what_an_earlier_one_did():
    """A task that runs again, or is left out, registers anew: report, rollback and restarts read the results."""
    plays = list_plays()
    parts = [plays[stage] for stage in ("apply_services", "apply_shared_proxies", "apply_connectors")]
    together = [role for part in parts for role in part]
    assert sorted(together) == sorted(set(together))
    assert set(together) == set(plays["apply_applications"]), "in parts as much is done as in one"


def test_each_play_that_installs_the_rtc_server_hands_it_the_same_options():
    """What only one of them hands over would be missing for the other's sites."""

    def find_uses(value):
        if isinstance(value, dict):
            if value.get("ansible.builtin.import_role", {}).get("name") == "collab.rtc.rtc_server":
                yield set(value["vars"])
            for item in value.values():
                yield from find_uses(item)
        elif isinstance(value, list):
            for item in value:
                yield from find_uses(item)

    uses = list(find_uses(load(ROOT / "playbooks/parts/apply.yml")))
    assert len(uses) > 1 and all(names == uses[0] for names in uses)
