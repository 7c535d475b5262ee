# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of the attacks: the host's count and the controller's logs in, lines to read and what is wrong out (JSON).

judge.py FOLDER < {"host": ..., "rounds": ...}
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

LEAST = 2000  # attacks; fewer are no test
# What an impostor is known by in a finding: each must be named by one, in the plan of the first round.
REPORTED = ("/home/mallory/confluence", "/tmp/atlassian-jira", "mallory", "nobody")


def main(folder: Path) -> None:
    given: dict[str, Any] = json.load(sys.stdin)
    host, rounds = given["host"], given["rounds"]
    missing = [one["name"] for one in rounds if not (folder / f"{one['name']}.json").exists()]
    rounds = [one for one in rounds if (folder / f"{one['name']}.json").exists()]
    runs = {one["name"]: json.loads((folder / f"{one['name']}.json").read_text()) for one in rounds}
    secrets = [*host["secrets"], *(text for run in runs.values() for text in run["secrets"])]
    wrong = [f"the round {name} was not run" for name in missing]
    wrong += [f"touched: {path}" for path in host["touched"]]
    wrong += [f"run as root: {line}" for line in host["ran"]]
    wrong += [f"secret: {text}" for text in secrets]
    wrong += [f"left behind: {path}" for path in host["left"]]
    wrong += [f"the attacker {name} failed, so it proved nothing" for name in host["failed"]]
    wrong += [f"{name}: hung for more than {run['seconds']} s" for name, run in runs.items() if run["late"]]
    for one in rounds:
        output = (folder / f"{one['name']}.log").read_text(errors="replace")
        if "Traceback (most recent call last)" in output:
            wrong.append(f"{one['name']}: a traceback, see {one['name']}.log")
        if one.get("stops") and runs[one["name"]]["status"] == 0:
            wrong.append(f"{one['name']}: it did not stop with an error")
        if one["name"] == "kinds":
            wrong += [
                f"kinds: {text}"
                for text in sorted(
                    set(
                        re.findall(
                            r"^ +msg: '?((?:link|hard link|fifo|socket|directory|sparse)[^\n]*?: .*)",
                            output,
                            re.MULTILINE,
                        )
                    )
                )
            ]
    wrong += unreported(folder)
    if host["tried"] < LEAST:
        wrong.append(f"only {host['tried']} attacks")
    figures = (
        f"attacks tried {host['tried']}, files of root touched {len(host['touched'])}, "
        f"programs of others run as root {len(host['ran'])}, secrets found {len(secrets)}"
    )
    lines = [
        *(f"{name}: status {run['status']} in {run['seconds']} s" for name, run in runs.items()),
        f"samples of processes and temporary files: {host['samples']}",
        *summary(host["attackers"]),
        figures,
    ]
    print(json.dumps({"lines": lines, "wrong": [figures, *wrong] if wrong else []}))


def summary(attackers: list[str]) -> list[str]:
    """What was tried, those of one kind together."""
    counts: dict[str, int] = {}
    for line in attackers:
        name, _colon, number = line.rpartition(": ")
        kind = re.sub(r"^(impostor|kind|between) .*", r"\1", name)
        counts[kind] = counts.get(kind, 0) + int(number)
    return [f"  {name}: {number}" for name, number in sorted(counts.items())]


def unreported(folder: Path) -> list[str]:
    """Impostors of which no finding tells."""
    path = folder / "first-plan.json"
    findings = json.loads(path.read_text())["findings"] if path.exists() else []
    text = json.dumps([one for one in findings if "evidence" in json.dumps(one) or "message" in one])
    return [f"no finding tells of {what}" for what in REPORTED if what not in text]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
