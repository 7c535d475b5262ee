# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/findings.md from the catalogue of findings. ``tools/generate_docs.py`` writes and checks it."""

from __future__ import annotations

import re

from vendor_requirements import EXAMPLES, STATEMENTS

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import catalog

HEAD = """\
<!-- Written by tools/generate_docs.py from plugins/plugin_utils/_findings/catalog_*.py. Do not edit. -->
# Findings

What the plan can find, before anything is changed. An **error** stops the run before the first change. A **warning** is
mended by the role that is named, or is for you to decide. An **info** is good to know. An id never changes its meaning.

To mute a finding on a host, say why:

```yaml
rtc_ignore_findings:
  - id: RTC603
    reason: the firewall is managed elsewhere, ports are open
```

A muted finding stays in the report, with the reason, and stops nothing.

"""


def render() -> str:
    """The whole document."""
    parts = [HEAD, _overview()]
    for _digit, (title, entries) in sorted(catalog.TOPICS.items()):
        parts.append(f"## {title}\n\n")
        parts += [_entry(entry) for entry in entries]
    parts.append(_statements())
    return "".join(parts)


def _overview() -> str:
    lines = ["| id | severity | title | mended by |", "|---|---|---|---|"]
    lines += [
        f"| [{entry.id}](#{entry.id.lower()}) | {entry.severity} | {entry.title} | {_role(entry)} |"
        for entry in sorted(catalog.CATALOGUE.values(), key=lambda item: item.id)
    ]
    return "\n".join(lines) + "\n\n"


def _entry(entry: FindingType) -> str:
    seed = f"- Vendor's statements: {', '.join(entry.seed)}\n" if entry.seed else ""
    return (
        f"### {entry.id}\n\n**{entry.title}** ({entry.severity}). {entry.meaning}\n\n"
        f"- Detected: {entry.detected}\n- Remedy: {entry.remedy}\n- Mended by: {_role(entry)}\n{seed}\n"
    )


def _role(entry: FindingType) -> str:
    return f"role {entry.role}" if entry.role else "nobody needs to" if entry.severity == "info" else "you"


def _statements() -> str:
    lines = [
        "## From the vendor's page to findings\n",
        "What the page on the real-time collaboration service asks of an administrator, in our words, and what checks it.\n",
        "| | statement | findings |",
        "|---|---|---|",
    ]
    for number, text in STATEMENTS.items():
        ids = [entry.id for entry in catalog.CATALOGUE.values() if number in entry.seed]
        lines.append(f"| {number} | {text} | {', '.join(f'[{item}](#{item.lower()})' for item in sorted(ids))} |")
    lines += [
        "\nWhat is in its example files only, and is no advice to everyone:\n",
        "| in the examples | here |",
        "|---|---|",
        *(f"| {text} | {re.sub(r'RTC[0-9]{3}', _link, answer)} |" for text, answer in EXAMPLES),
    ]
    return "\n".join(lines) + "\n"


def _link(match: re.Match[str]) -> str:
    return f"[{match.group()}](#{match.group().lower()})"
