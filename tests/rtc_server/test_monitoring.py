# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert rules, dashboard and document name what there is: metrics of the server, and of what is left for
node_exporter."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from prometheus_client import ProcessCollector
from rtc_support import ROOT, Client, Server, free_port, hang_up, token

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


PROMETHEUS = shutil.which("prometheus")


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[tuple[Server, str]]:
    """A server with an admin listener, and Prometheus that scrapes it as docs/monitoring.md says."""
    secret, admin, port = "a token of administrators, long enough 0123", free_port(), free_port()
    (tmp_path / "admin-token").write_text(secret)
    server = Server(tmp_path, admin={"listen": f"127.0.0.1:{admin}", "token": f"{tmp_path}/admin-token"})
    server.start()
    example = yaml.safe_load(re.findall("```yaml\n(scrape_configs:.*?)```", DOCUMENT, re.DOTALL)[0])
    (job,) = example["scrape_configs"]
    job["authorization"]["credentials_file"] = f"{tmp_path}/admin-token"
    job["static_configs"] = [{"targets": [f"127.0.0.1:{admin}"]}]
    settings = {
        **example,
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(MONITORING / "alerts.yml")],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(settings))
    command = [str(PROMETHEUS), f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        await hang_up()
        process.terminate()
        process.wait()
        server.stop()


async def query(where: str, **parameters: str) -> Any:
    """The data of an answer of Prometheus; None while it does not answer."""
    path = "query" if parameters else "rules"
    async with aiohttp.ClientSession() as http:
        try:
            async with http.get(f"{where}/api/v1/{path}", params=parameters) as answer:
                return (await answer.json())["data"] if answer.status == 200 else None
        except aiohttp.ClientError:
            return None


async def wait_for(ask: Callable[[], Awaitable[Any]], what: str) -> Any:
    give_up = time.monotonic() + 60
    while not (value := await ask()):
        assert time.monotonic() < give_up, f"never came true: {what}"
        await asyncio.sleep(0.1)
    return value


@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is missing: apt-get install prometheus")
async def test_prometheus_itself(prometheus: tuple[Server, str]) -> None:
    server, where = prometheus
    client = await Client.open(server.url)
    await client.connect(token())
    await client.ask("join", {"project": "p"})
    for number in range(5):
        assert (await client.ask("change", {"project": "p", "id": str(number), "data": 1}))["ok"]

    async def has_all() -> bool:
        found = await query(where, query='rtc_changes_accepted_total{job="rtc"}')
        return bool(found and found["result"] and found["result"][0]["value"][1] == "5")

    await wait_for(has_all, "the changes are known")

    async def has_run() -> Any:
        found = await query(where)
        rules = [rule for group in found["groups"] for rule in group["rules"]] if found else []
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else None

    rules = await wait_for(has_run, "all rules were evaluated")
    assert {rule["name"]: rule["health"] for rule in rules} == {rule["alert"]: "ok" for rule in RULES}
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
    for expression in list_queries():
        bare = expression.replace("$__rate_interval", "1m").replace("$job", "rtc").replace("$instance", ".*")
        if not bare.startswith("label_values"):
            assert await query(where, query=bare) is not None, bare
