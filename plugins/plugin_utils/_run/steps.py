# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps that change a host, and which of them failed: read from what Ansible registered. Pure.

A host that is lost in the middle of a run is no failure to Ansible's ``rescue``, and in a handler ``rescue`` is not
told what failed (before ansible-core 2.19). So every step registers its result, and the results say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import reaching

DETECTED = "rtc_detected"  # what the role plan registers on every host
VHOSTS = "reverse_proxy_vhosts"
FAILED = "rtc_failed"  # the fact that ``rescue`` sets where no step below has registered a failure

# Registered name -> the task. All tasks of the roles that change something, in the order of a run.
STEPS = {
    "truststore_imported": "Import the certificates that the application must trust",
    "truststore_named": "Point the application's JVM to a trust store of its own",
    "rtc_server_released": "Install the release of the RTC server",
    "rtc_server_directory": "Create the directory of configurations",
    "rtc_server_key_directories": "Create the directories of keys",
    "rtc_server_keys": "Give the RTC server the key of the application's connector",
    "rtc_server_instances_run": "Run the RTC server",
    "reverse_proxy_installed": "Install the proxy where it is missing",
    "reverse_proxy_certificates": "Install the certificates and keys that the proxy presents",
    VHOSTS: "Write the virtual hosts",
    "aws_listeners_set": "Set the listener of the AWS load balancer",
    "connector_set": "Set the attributes of the user connector",
    "removal_early_vhosts": "Take away the virtual hosts that are in the way",
    "removal_vhosts": "Take away the virtual hosts",
    "removal_instances": "Stop the RTC servers that are not wanted",
    "removal_leftovers": "Take away what belongs to those",
    "removal_connectors": "Give the connectors back what they had",
    "removal_options": "Take the option of the trust store away",
    "removal_trust": "Take the authorities away",
    "removal_files": "Take away the files",
    "removal_settings": "Close what was opened for proxies",
    "restart_done": "Restart the application",
    "restart_commanded": "Restart the application by the command of the inventory",
    "restart_answer": "Wait until the application answers",
}
DETECT = "Detect what is on the host"
# Beginnings of messages that tell nothing without the output.
UNSAID = (
    *("module failure", "non-zero return code", "one or more items failed", "all items completed"),
    *("the module failed to execute correctly", "module result deserialization failed"),
)
PREFIX = re.compile(r"^((Task|Action|Module) failed: )+")  # of ansible-core from 2.19 on
LABELS = ("path", "dest", "instance", "service", "python")  # keys of a plan's parts
RUN_AGAIN = "Correct what the message names, and run again: a run does what is not done yet."

Result = Mapping[str, Any]  # what Ansible registered of a task
Failure = dict[str, str]  # {step, cause, remedy}


def find_failure(variables: Mapping[str, Any]) -> Failure | None:
    """What failed on a host in a step that changes it, from all variables and facts of the host."""
    for name, step in STEPS.items():
        result = variables.get(name) or {}
        if is_bad(result):
            return describe_failure(result, step)
    noted = variables.get(FAILED)
    return {key: str(noted[key]) for key in ("step", "cause", "remedy")} if noted else None


def find_detection_failure(variables: Mapping[str, Any]) -> Failure | None:
    """Why a host was not seen; ``None`` for one that was, or that the run does not look at."""
    result = variables.get(DETECTED) or {}
    return describe_failure(result, DETECT) if is_bad(result) else None


def find_blocked(variables: Mapping[str, Any]) -> dict[str, str]:
    """The sites that the proxy on a host did not take, with the reason: their parts were taken back there."""
    sites = (variables.get(VHOSTS) or {}).get("sites") or []
    return {str(item["site"]): " ".join(str(item["reason"]).split()) for item in sites if item["state"] == "blocked"}


def is_lost(variables: Mapping[str, Any]) -> bool:
    """Whether the host was unreachable in a step that changes it: nothing more is tried there."""
    return any((variables.get(name) or {}).get("unreachable") for name in STEPS)


def find_changes(variables: Mapping[str, Any]) -> list[str]:
    """The steps that changed something on a host, or would in check mode, with what they changed."""
    return [
        f"{step}: {', '.join(labels)}" if labels else step
        for name, step in STEPS.items()
        if (variables.get(name) or {}).get("changed")
        for labels in [list(dict.fromkeys(_list_changed_items(variables[name])))]
    ]


def is_bad(result: Result) -> bool:
    """Whether a task failed, or its host was unreachable."""
    return bool(result.get("failed") or result.get("unreachable"))


def describe_failure(result: Result, step: str) -> Failure:
    """Cause and remedy of a task that failed; of a loop, of its first item that did."""
    bad = next((item for item in _list_items(result) if is_bad(item)), result)
    cause = _find_cause(bad)
    return {"step": step, "cause": cause, "remedy": reaching.find_remedy(_join_texts(bad)) or RUN_AGAIN}


def _list_items(result: Result) -> list[Result]:
    """The results of a loop. Modules of package managers give their messages by the same name."""
    return [item for item in result.get("results") or [] if isinstance(item, Mapping)]


def _find_cause(result: Result) -> str:
    """The message, with the last line of the output where the message alone says nothing."""
    message = PREFIX.sub("", str(result.get("msg") or "").strip())
    if message and not message.lower().startswith(UNSAID):
        return message
    outputs = [str(result.get(key) or "").strip() for key in ("module_stderr", "stderr", "module_stdout", "stdout")]
    last = next((text.splitlines()[-1].strip() for text in outputs if text), "")
    if not message:
        return last or ("it was not reached." if result.get("unreachable") else "it failed without a message.")
    return f"{message.splitlines()[0]} {last}".strip()


def _join_texts(result: Result) -> str:
    return "\n".join(str(result.get(key) or "") for key in ("msg", "module_stderr", "stderr", "module_stdout"))


def _list_changed_items(result: Result) -> Iterator[str]:
    """What each item of a loop is about: part of a plan, of which one of these says it."""
    for changed in (item for item in _list_items(result) if item.get("changed")):
        item = changed.get("item")
        parts = item if isinstance(item, Mapping) else {}
        yield str(next((parts[key] for key in LABELS if parts.get(key)), "" if parts else item))
