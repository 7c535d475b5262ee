# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a playbook on the controller, with all that it says kept, a bound on time, and an eye on what ``ps`` shows.

    run.py FOLDER NAME SECONDS COMMAND...

FOLDER has ``secrets.json``; it gets ``NAME.log`` and ``NAME.json`` (status, seconds, secrets seen in command lines).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main(folder: Path, name: str, limit: float, command: list[str]) -> int:
    secrets = {key: value.encode() for key, value in json.loads((folder / "secrets.json").read_text()).items()}
    seen: set[str] = set()
    here = os.stat("/proc/self/ns/pid").st_ino
    begin = time.monotonic()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        while process.poll() is None and time.monotonic() - begin < limit:
            for one in Path("/proc").glob("[0-9]*/cmdline"):
                try:  # the processes of the lab's hosts are this machine's too, in namespaces of their own
                    if os.stat(one.parent / "ns/pid").st_ino != here:
                        continue
                    data = one.read_bytes()
                except OSError:
                    continue
                seen |= {
                    f"{key} in a command line on the controller" for key, value in secrets.items() if value in data
                }
            time.sleep(0.05)
        late = process.poll() is None
        if late:
            os.killpg(process.pid, signal.SIGKILL)
    result = {"name": name, "status": process.wait(), "seconds": round(time.monotonic() - begin, 1), "late": late}
    output = (folder / f"{name}.log").read_bytes()
    result["secrets"] = sorted(seen) + [
        f"{key} in the output of {name}" for key, value in secrets.items() if value in output
    ]
    (folder / f"{name}.json").write_text(json.dumps(result))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4:]))
