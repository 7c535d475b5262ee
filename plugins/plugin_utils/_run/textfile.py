# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a verification leaves for Prometheus, as a file that node_exporter reads (its textfile collector). Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.collab.rtc.plugins.plugin_utils._run.outcome import Check

SEVERITIES = ("error", "warning", "info")


class Kind(NamedTuple):
    """Of metric: its type as Prometheus calls it, what it says, and its labels."""

    type: str
    text: str
    labels: tuple[str, ...]


METRICS = {
    "rtc_site_check_up": Kind("gauge", "Whether a check of the site succeeded.", ("site", "check", "where")),
    "rtc_site_findings": Kind("gauge", "Findings about the site that are not muted.", ("site", "severity")),
    "rtc_site_planned_changes": Kind(
        "gauge", "Things of the site that differ from the inventory, on all of its hosts.", ("site",)
    ),
    "rtc_site_certificate_not_after_timestamp_seconds": Kind(
        "gauge", "When the certificate expires that users of RTC see; none without TLS.", ("site",)
    ),
    "rtc_site_verified_timestamp_seconds": Kind("gauge", "When the site was verified last.", ("site",)),
}

Sample = tuple[str, tuple[str, ...], float]  # name, values of the labels, value


def list_files(
    plan: Mapping[str, Any],
    host: str,
    site: str,
    checks: Sequence[Check],
    expires: float,
    now: float,
    work: Mapping[str, Any],
) -> list[dict[str, str]]:
    """``path`` and ``content`` of what is to be left on a host: where the plan has a file for the site, and the record
    of what is managed names it, or this run has noted it.

    :param work: what the run has applied on the host; empty where nothing.
    """
    known = {item["key"] for item in plan["hosts"][host]["work"] if item["action"] == "nothing"}
    known |= {item["key"] for item in work.get("records", [])}
    content = format_samples(list(find_samples(plan, site, checks, expires, now, site in work.get("sites", []))))
    mine = [item["path"] for item in plan["hosts"][host]["textfiles"] if item["site"] == site]
    return [{"path": path, "content": content} for path in mine if f"textfile {path}" in known]


def find_samples(
    plan: Mapping[str, Any], site: str, checks: Sequence[Check], expires: float, now: float, applied: bool
) -> Iterator[Sample]:
    """What is to be told of a site.

    :param expires: when the certificate expires, in seconds since 1970; 0: not known, or none.
    :param applied: the run has made what its plan had for the site.
    """
    for check in checks:
        if check["ok"] is not None:
            yield "rtc_site_check_up", (site, str(check["name"]), str(check["where"])), bool(check["ok"])
    found = [item["severity"] for item in plan["findings"] if item["site"] == site and not item["muted"]]
    for severity in SEVERITIES:
        yield "rtc_site_findings", (site, severity), found.count(severity)
    works = [item for host in plan["hosts"].values() for item in host["work"] if item["site"] == site]
    planned = [] if applied else [item for item in works if item["action"] != "nothing"]
    yield "rtc_site_planned_changes", (site,), len(planned)
    if expires:
        yield "rtc_site_certificate_not_after_timestamp_seconds", (site,), expires
    yield "rtc_site_verified_timestamp_seconds", (site,), now


def format_samples(samples: Sequence[Sample]) -> str:
    """In Prometheus' text format, version 0.0.4."""
    lines: list[str] = []
    for name, kind in METRICS.items():
        mine = [(labels, value) for found, labels, value in samples if found == name]
        if mine:
            lines += [f"# HELP {name} {kind.text}", f"# TYPE {name} {kind.type}"]
        for labels, value in mine:
            pairs = ",".join(f'{key}="{_escape(text)}"' for key, text in zip(kind.labels, labels, strict=True))
            lines.append(f"{name}{{{pairs}}} {value:.15g}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def parse_time(text: str) -> float:
    """Seconds since 1970 of a time such as ``2027-01-31T12:00:00Z``; 0 for ""."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0
