# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/findings.md from the catalogue of findings. ``tools/generate_docs.py`` writes and checks it."""

from __future__ import annotations

import re
import textwrap

from vendor_requirements import EXAMPLES, REQUIREMENTS

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import catalog

WIDTH = 120

HEAD = """\
<!-- Written by tools/generate_docs.py from plugins/plugin_utils/_findings/catalog_*.py. Do not edit. -->
# Findings

What the plan can find, before anything is changed. An **error** stops its site before the first change, and a mistake
in the inventory (RTC1xx) the whole run. A **warning** stops nothing: the run fixes it, by the role that is named, or it
is for you to decide. An **info** is good to know. An id never changes its meaning.

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
    parts.append(_requirements())
    return "".join(parts)


def _overview() -> str:
    lines = ["| id | severity | title | fixed by |", "|---|---|---|---|"]
    lines += [
        f"| [{entry.id}](#{entry.id.lower()}) | {entry.severity} | {entry.title} | {_role(entry)} |"
        for entry in sorted(catalog.CATALOGUE.values(), key=lambda item: item.id)
    ]
    return "\n".join(lines) + "\n\n"


def _entry(entry: FindingType) -> str:
    points = [f"Detected: {entry.detected}", f"Remedy: {entry.remedy}", f"Fixed by: {_role(entry)}"]
    if entry.vendor_requirements:
        points.append(f"Vendor's requirements: {', '.join(entry.vendor_requirements)}")
    meaning = _wrap(f"**{entry.title}** ({entry.severity}). {entry.meaning}")
    return f"### {entry.id}\n\n{meaning}\n\n" + "\n".join(_wrap(point, "- ") for point in points) + "\n\n"


def _wrap(text: str, first: str = "") -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _role(entry: FindingType) -> str:
    return f"role {entry.role}" if entry.role else "no action needed" if entry.severity == "info" else "you"


def _requirements() -> str:
    lines = [
        "## From the vendor's page to findings\n",
        "What the vendor's page on the real-time collaboration service requires of an administrator, in short, and what"
        " checks it.\n",
        "| | requirement | findings |",
        "|---|---|---|",
    ]
    for number, text in REQUIREMENTS.items():
        ids = [entry.id for entry in catalog.CATALOGUE.values() if number in entry.vendor_requirements]
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
