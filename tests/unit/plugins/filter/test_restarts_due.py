# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.filter import restarts_due

WIKI = {"site": "wiki.example.com:9083", "service": "confluence", "reasons": []}
JIRA = {"site": "jira.example.com:9093", "service": "jira", "reasons": []}
STALE = {**JIRA, "reasons": ["server.xml is newer than the process"]}
NOW = restarts_due.CHANGED_NOW


def loop(*items: tuple[str, bool]) -> dict:
    """The registered result of a loop over parts of the plan: site and whether it was changed."""
    results = [{"item": {"site": site}, "changed": changed} for site, changed in items]
    return {"results": results, "changed": any(changed for _site, changed in items)}


SKIPPED = {"results": [{"item": {"site": WIKI["site"]}, "skipped": True}], "skipped": True}


@pytest.mark.parametrize(
    ("restarts", "results", "expected"),
    [
        ([WIKI, JIRA], [], []),
        ([WIKI, JIRA], [{}, {}, {}], []),
        ([WIKI, JIRA], [loop((WIKI["site"], False), (JIRA["site"], False))], []),
        ([WIKI, JIRA], [loop((WIKI["site"], False), (JIRA["site"], True))], [{**JIRA, "reasons": [NOW]}]),
        ([WIKI, JIRA], [{}, loop((WIKI["site"], True)), loop((WIKI["site"], True))], [{**WIKI, "reasons": [NOW]}]),
        ([WIKI, JIRA], [SKIPPED], []),
        ([WIKI, JIRA], [{"results": [], "skipped": True}], []),
        ([WIKI, STALE], [{}], [STALE]),
        (
            [WIKI, STALE],
            [loop((WIKI["site"], True), (JIRA["site"], True))],
            [{**WIKI, "reasons": [NOW]}, {**STALE, "reasons": [*STALE["reasons"], NOW]}],
        ),
        ([WIKI], [loop(("other.example.com:9083", True))], []),
    ],
)
def test_restarts_due(restarts, results, expected):
    assert restarts_due.select_restarts_due(restarts, results) == expected


def test_filter_name():
    assert set(restarts_due.FilterModule().filters()) == {"restarts_due"}
