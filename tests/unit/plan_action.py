# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plan in this process, with an inventory of its own; hosts are those of the cases."""

from __future__ import annotations

import json
import os

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.collab.rtc.plugins.action import plan as action
from ansible_collections.collab.rtc.tests.unit import paths

CASES = paths.DATA / "cases" / "bases.yml"
LATER = 4102444800  # 2100-01-01: the action reads the clock, so the certificates of the bases must not end before


def base(name):
    data = yaml.safe_load(CASES.read_text(encoding="utf-8"))
    return json.loads(json.dumps(data["bases"][name]).replace("1730000000", str(LATER)))


class Run:
    """The action in this process, with an inventory file in a directory of its own."""

    def __init__(self, directory, data, **options):
        self.directory, self.options = directory, options
        children = {group: {"hosts": dict.fromkeys(hosts)} for group, hosts in data["groups"].items()}
        hosts = {host: None for members in data["groups"].values() for host in members}
        for host in hosts:
            found = (
                {"topology": data["facts"][host]}
                if host in data["facts"]
                else {"unreachable": True, "msg": "Connection timed out"}
            )
            hosts[host] = {"rtc_detected": found, **data.get("vars", {}).get(host, {})}
        inventory = {"all": {"hosts": hosts, "children": children, "vars": data.get("all", {})}}
        (directory / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
        self.text = ""

    def __call__(self, hosts=None, check=False, plan=None, tags=None, seen=None):
        """What the action returns; its message with single spaces is in ``text``. ``seen``: further variables of the task."""
        loader = DataLoader()
        loader.set_basedir(str(self.directory))
        inventory = InventoryManager(loader=loader, sources=[str(self.directory / "hosts.yml")])
        manager = VariableManager(loader=loader, inventory=inventory)
        task = Task()
        task.args, task.action, task.check_mode = self.options, "collab.rtc.plan", check
        variables = {
            "hostvars": HostVars(inventory, manager, loader),
            "groups": inventory.get_groups_dict(),
            "ansible_play_hosts_all": hosts or [host.name for host in inventory.get_hosts()],
            "ansible_run_tags": tags or ["all"],
            **({"rtc_plan": plan} if plan else {}),
            **(seen or {}),
        }
        context = PlayContext()
        module = action.ActionModule(
            task=task,
            connection=connection_loader.get("local", context, os.devnull),
            play_context=context,
            loader=loader,
            templar=Templar(loader=loader, variables=variables),
            shared_loader_obj=None,
        )
        result = module.run(task_vars=variables)
        self.text = " ".join(result.get("msg", "").split())
        return result
