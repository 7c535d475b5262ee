# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both benchmarks of modules that edit files of others, beside what people use today: ``make bench-modules``.

Progress is shown as it comes; the last line is JSON with the rows of both. The exit status is 1 when ours is not ahead
on every row, or when a benchmark could not run. ``BENCH_ROUNDS`` sets how often each is measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
BENCHES = ("bench.bench_server_xml", "bench.bench_truststore")


def run(name: str) -> dict:
    """Run one benchmark, show its table, and return the JSON of its last line."""
    print(f"==> {name}", flush=True)
    process = subprocess.Popen([sys.executable, "-m", name], cwd=TESTS, stdout=subprocess.PIPE, text=True)
    last = ""
    for line in process.stdout or ():
        if last:
            print(last, end="", flush=True)
        last = line
    status = process.wait()
    try:
        return {**json.loads(last), "status": status}
    except ValueError:
        print(last, end="", flush=True)
        return {"bench": name, "status": status or 1, "error": "it ended without its figures"}


def main() -> int:
    found = [run(script) for script in BENCHES]
    behind = [
        f"{bench['bench']}: {row['case']}" for bench in found for row in bench.get("rows", ()) if not row["ahead"]
    ]
    failed = [f"{bench['bench']}: {bench.get('error')}" for bench in found if not bench.get("rows")]
    rows = sum(len(bench.get("rows", ())) for bench in found)
    print(f"ahead on {rows - len(behind)} of {rows} rows" + "".join(f"\n  not: {one}" for one in behind + failed))
    print(
        json.dumps(
            {
                "bench": "modules",
                "ahead_everywhere": not (behind or failed),
                "behind": behind + failed,
                "benches": found,
            }
        )
    )
    return 1 if behind or failed else 0


if __name__ == "__main__":
    sys.exit(main())
