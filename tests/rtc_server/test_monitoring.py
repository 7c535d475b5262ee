# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert rules, dashboard and document name what there is: metrics of the server, and of what is left for
node_exporter."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import ProcessCollector
from rtc_support import ROOT

from ansible_collections.collab.rtc.plugins.plugin_utils._run.textfile import METRICS as SITE_METRICS
from rtc_server.metrics import METRICS

MONITORING = ROOT / "files/monitoring"
ALERTS = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
BOARD = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
DOCUMENT = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PROMTOOL = shutil.which("promtool")


def list_known() -> set[str]:
    """Names as queries have them."""
    known = {"up"} | set(SITE_METRICS)
    for name, kind in METRICS.items():
        ends = ("_bucket", "_sum", "_count") if kind.type == "histogram" else ("",)
        known |= {name + end for end in ends}
    process = ProcessCollector(registry=None).collect()
    return known | {sample.name for family in process for sample in family.samples}


def find_metrics(query: str) -> set[str]:
    """The metrics of a query: words that are no function, no label and no keyword."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|on|ignoring|without) *\([^)]*\)', " ", query)
    words = set(re.findall(r"[a-zA-Z_:][\w:]*(?! *\()\b", bare))
    return {word for word in words if not re.search(rf"\b{word} *\(", bare)} - {"e"}


def list_queries() -> list[str]:
    panels = [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", [])]
    variables = [item["query"] for item in BOARD["templating"]["list"] if item["type"] == "query"]
    labels = [re.sub(r", *\w+\)$", ")", query) for query in variables]
    return panels + labels


def test_metrics_are_found_in_queries() -> None:
    query = 'sum by (le) (rate(rtc_x_bucket{reason="rtc_y"}[5m])) / rtc_z > on (job) (0.9 * rtc_w) - time()'
    assert find_metrics(query) == {"rtc_x_bucket", "rtc_z", "rtc_w"}


@pytest.mark.parametrize("query", [rule["expr"] for rule in RULES] + list_queries())
def test_the_metrics_of_a_query_exist(query: str) -> None:
    found = find_metrics(query)
    assert found and found <= list_known()


def test_labels_of_queries_exist() -> None:
    by_name: dict[str, set[str]] = {name: set(kind.labels) for name, kind in METRICS.items()}
    by_name |= {name: set(kind.labels) for name, kind in SITE_METRICS.items()}
    for query in [rule["expr"] for rule in RULES] + list_queries():
        for name, labels in re.findall(r"(\w+)\{([^}]*)\}", query):
            used = set(re.findall(r"(\w+) *=", labels))
            base = re.sub("_(bucket|sum|count)$", "", name)
            assert used <= by_name.get(name, by_name.get(base, set())) | {"job", "instance", "le"}, query


def test_the_board_is_whole() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids) > 20
    shown = set().union(*map(find_metrics, list_queries()))
    missing = list_known() - shown - {"up"}
    missing = {name for name in missing if not name.startswith("process_") and not name.endswith(("_sum", "_count"))}
    assert missing == {
        "rtc_journal_disk_full", "rtc_journal_requests_total", "rtc_journal_waiting_bytes", "rtc_journal_unflushed_bytes",
    }  # fmt: skip


def test_each_alert_says_what_to_do_and_is_documented() -> None:
    for rule in RULES:
        assert set(rule["annotations"]) == {"summary", "remedy"} and rule["labels"]["severity"] in (
            "critical",
            "warning",
        )
        assert f"`{rule['alert']}`" in DOCUMENT


def test_the_document_lists_the_metrics() -> None:
    for metrics in (METRICS, SITE_METRICS):
        for name, kind in metrics.items():
            labels = ", ".join(f"`{label}`" for label in kind.labels)
            assert f"| `{name}` | {kind.type} | {labels} | {kind.text} |" in DOCUMENT, name
    rows = re.findall(r"^\| `(rtc_\w+)` \|", DOCUMENT, re.MULTILINE)
    assert sorted(rows) == sorted([*METRICS, *SITE_METRICS])


def run_promtool(*arguments: str, cwd: Path = ROOT) -> Any:
    return subprocess.run([str(PROMTOOL), *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_prometheus_takes_the_rules_and_they_fire() -> None:
    checked = run_promtool("check", "rules", str(MONITORING / "alerts.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = run_promtool("test", "rules", str(Path(__file__).parent / "data/alerts_test.yml"))
    assert tested.returncode == 0, tested.stdout + tested.stderr
