# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about listeners at AWS: RTC480 to RTC486. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.collab.rtc.plugins.plugin_utils._aws import difference, problems
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import (
    PlacedListener,
    Problem,
    name_listener,
    seen_arn,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput

IDS = {
    "access": "RTC480",
    "load_balancer": "RTC481",
    "targets": "RTC482",
    "certificate": "RTC483",
    "port": "RTC484",
}


def check(plan_input: PlanInput, placed: Sequence[PlacedListener]) -> Iterator[Finding]:
    """Findings about every listener that a run is to set."""
    known = plan_input.aws or {}
    for item in placed:
        wanted, seen = item.wanted, known.get(name_listener(item.wanted))
        if isinstance(seen, Problem):
            yield _report(item, seen)
        elif seen is not None:
            for problem in problems.find_problems(wanted, seen):
                yield _report(item, problem)
            for text in difference.list_warnings(wanted, seen):
                yield make("RTC485", item.host, text, site=wanted.site)
        if item.standing_by:
            text = f"{wanted.site}: {item.host} serves RTC, and nothing brings in {', '.join(item.standing_by)}."
            yield make("RTC486", item.host, text, site=wanted.site)
    yield from _check_shared_ports(plan_input, placed)


def _report(item: PlacedListener, problem: Problem) -> Finding:
    text = f"{item.wanted.site}: {problem.text}"
    return make(IDS[problem.kind], item.host, text, remedy=problem.remedy, site=item.wanted.site)


def _check_shared_ports(plan_input: PlanInput, placed: Sequence[PlacedListener]) -> Iterator[Finding]:
    """Two sites of this run on one port of one load balancer, whether it is named by its name or its ARN."""
    first: dict[tuple[str, int], PlacedListener] = {}
    for item in placed:
        if not item.wanted.present:
            continue
        arn = seen_arn((plan_input.aws or {}).get(name_listener(item.wanted)))
        other = first.setdefault((arn or item.wanted.load_balancer, item.wanted.port), item)
        if other is not item:
            text = f"{other.wanted.site} and {item.wanted.site} have one port of {item.wanted.load_balancer}."
            for one in (other, item):
                yield make("RTC484", one.host, text, site=one.wanted.site)
