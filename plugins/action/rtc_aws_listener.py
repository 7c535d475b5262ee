# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.plugin_utils._aws import applying, difference
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import AwsError, Target, WantedListener
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.session import OPTIONS, Access, Aws

SECRETS = ("access_key", "secret_key", "session_token")
SPEC: dict[str, dict[str, Any]] = {
    "load_balancer": {"type": "str", "required": True},
    "site": {"type": "str", "required": True},
    "application": {"type": "str", "required": True, "choices": ["confluence", "jira"]},
    "inventory": {"type": "str", "required": True},
    "nodes": {"type": "list", "elements": "str", "required": True},
    "server_name": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 0},
    "protocol": {"type": "str", "choices": ["HTTP", "HTTPS"], "default": "HTTP"},
    "target_protocol": {"type": "str", "choices": ["HTTP", "HTTPS"], "default": "HTTP"},
    "like_port": {"type": "int", "default": 443},
    "targets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "node": {"type": "str", "required": True},
            "id": {"type": "str", "required": True},
            "label": {"type": "str", "default": ""},
        },
    },
    "certificate": {"type": "str", "default": ""},
    "tls_policy": {"type": "str", "default": ""},
    "health_path": {"type": "str", "default": "/readyz"},
    "health_codes": {"type": "str", "default": "200"},
    "deregistration_delay": {"type": "int", "default": 30},
    "idle_timeout": {"type": "int", "default": 60},
    "peered": {"type": "bool", "default": False},
    "kept": {"type": "list", "elements": "str", "default": []},
    "unseen": {"type": "list", "elements": "str", "default": []},
    "neighbours": {"type": "list", "elements": "str", "default": []},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "wait": {"type": "int", "default": 120},
    **{name: {"type": "str", "default": "", "no_log": name in SECRETS} for name in OPTIONS},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Makes, changes or takes away the RTC listener of one site; it asks AWS from the controller, and no host."""

    _VALID_ARGS = frozenset(SPEC)
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look, compare, and do what differs."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(SPEC)
        wanted = read_wanted(args)
        if wanted.present and not (0 < wanted.port <= 65535 and wanted.server_name):
            raise AnsibleActionFail("state is present: port and server_name are required.")
        if wanted.routes_sessions and not all(item.label for item in wanted.targets):
            raise AnsibleActionFail("Several targets serve: each needs the label that its session ids end in.")
        changed = False
        try:
            aws = Aws(Access(**{name: args[name] for name in OPTIONS}))
            seen, steps = applying.examine(aws, wanted)
            result.update(changed=bool(steps), steps=[step.text for step in steps], region=aws.region)
            result["warnings"] = difference.list_warnings(wanted, seen)
            if steps:
                result["diff"] = applying.show_difference(wanted, seen)
            if steps and not self._task.check_mode:
                applying.carry_out(aws, wanted, seen, steps)
                changed = True
                registered = any(step.call == "register_targets" for step in steps)
                if registered and args["wait"]:
                    bad = applying.wait_for_health(aws, wanted, args["wait"])
                    result.update(unhealthy=bad)
                    result["warnings"] += [f"The load balancer does not find it healthy: {one}." for one in bad]
        except AwsError as error:
            # Not raised: Ansible before 2.19 would lose what was registered.
            return {"changed": changed or error.done > 0, "failed": True, "msg": str(error), "kind": error.problem.kind}
        result["calls"] = aws.calls
        return result


def read_wanted(args: dict[str, Any]) -> WantedListener:
    """What is wanted, from the options as they were checked."""
    given = {name: args[name] for name in SPEC if name not in (*OPTIONS, "targets", "state", "wait")}
    targets = [Target(node=item["node"], id=item["id"], label=item.get("label") or "") for item in args["targets"]]
    return WantedListener(**given, targets=targets, present=args["state"] == "present")
