# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying out the steps at AWS."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._aws import (
    arrangement,
    difference,
    observing,
    ownership,
    problems,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import (
    AwsError,
    Problem,
    Seen,
    Step,
    WantedListener,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.session import Aws

IN_USE = "ResourceInUse"  # a target group, for a moment after its listener is gone
THERE = "InvalidPermission.Duplicate"  # a rule of a security group: AWS has each once
TRIES, PAUSE = 10, 1.0  # seconds
HEALTH_PAUSE = 3.0  # seconds between two looks at the targets


def examine(aws: Aws, wanted: WantedListener) -> tuple[Seen, list[Step]]:
    """What is there, and the steps to what is wanted.

    :raises AwsError: AWS cannot be asked, or something prevents the listener: all that does is in the message.
    """
    seen = observing.observe(aws, wanted)
    found = list(problems.find_problems(wanted, seen))
    if found:
        remedies = dict.fromkeys(item.remedy for item in found)
        raise AwsError(Problem(found[0].kind, " ".join(item.text for item in found), " ".join(remedies)))
    return seen, difference.list_steps(wanted, seen)


def show_difference(wanted: WantedListener, seen: Seen) -> dict[str, str]:
    """What the steps change, as Ansible shows it."""
    return {
        "before_header": f"{wanted.load_balancer}: {wanted.site}",
        "after_header": f"{wanted.load_balancer}: {wanted.site}",
        "before": arrangement.render(arrangement.arrange_seen(wanted, seen)),
        "after": arrangement.render(arrangement.arrange_wanted(wanted, seen)),
    }


def carry_out(aws: Aws, wanted: WantedListener, seen: Seen, steps: list[Step]) -> None:
    """Do all steps.

    :raises AwsError: one failed. What was made has its tags, so the next run completes it, or takes it away.
    """
    known = {f"@group:{item.group.name}": item.arn for item in ownership.list_groups(seen, wanted)}
    for item in ownership.list_listeners(seen, wanted):
        if item.load_balancer == seen.load_balancer.arn and item.port == wanted.port:
            known[difference.LISTENER] = item.arn
    for number, step in enumerate(steps):
        try:
            answer = _do(aws, step, known)
        except AwsError as error:
            done = f"{number} of {len(steps)} steps at AWS were done. It failed to {step.text}: {error.problem.text}"
            remedy = f"{error.problem.remedy} The next run completes what is missing: nothing has to be taken back."
            raise AwsError(Problem(error.problem.kind, done, remedy), error.code, number) from None
        if step.gives:
            known[step.gives] = _find_arn(answer)


def _do(aws: Aws, step: Step, known: Mapping[str, str]) -> dict[str, Any]:
    request = {key: _fill_in(value, known) for key, value in step.request.items()}
    for left in reversed(range(TRIES)):
        try:
            return aws.call(step.service, step.call, **request)
        except AwsError as error:
            if error.code == THERE and step.call == "authorize_security_group_ingress":
                return {}  # another site's run, which has the same security group, was quicker
            if error.code != IN_USE or step.call != "delete_target_group" or not left:
                raise
        time.sleep(PAUSE)
    raise AssertionError("unreachable")


def _fill_in(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("@"):
        return known[value]
    if isinstance(value, Mapping):
        return {key: _fill_in(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill_in(item, known) for item in value]
    return value


def _find_arn(answer: Mapping[str, Any]) -> str:
    if "TargetGroups" in answer:
        return str(answer["TargetGroups"][0]["TargetGroupArn"])
    return str(answer["Listeners"][0]["ListenerArn"])


def wait_for_health(aws: Aws, wanted: WantedListener, seconds: float) -> list[str]:
    """Wait until the load balancer finds all targets healthy; then what is wrong with those that are not.

    A target that has just been registered gets no requests before.

    :raises AwsError: AWS cannot be asked.
    """
    groups = [item.arn for item in ownership.list_groups(observing.observe(aws, wanted), wanted)]
    end = time.monotonic() + seconds
    while True:
        bad = _find_unhealthy([one for arn in groups for one in observing.read_health(aws, arn)])
        if not bad or time.monotonic() >= end:
            return bad
        time.sleep(HEALTH_PAUSE)


def _find_unhealthy(targets: list[dict[str, Any]]) -> list[str]:
    found = set()
    for one in targets:
        state, target = one["TargetHealth"], one["Target"]
        if state["State"] not in ("healthy", "draining"):
            why = state.get("Description") or state.get("Reason") or "no reason is given"
            found.add(f"{target['Id']}:{target.get('Port', '')} is {state['State']}: {why}")
    return sorted(found)
