#!/usr/bin/env python3
"""What a run costs: remote calls, and the bytes that Ansible sends with them, for each host.

Runs the playbook of the collection as ``make site`` does, with a stand-in for ``ssh`` that counts. Run it on hosts that
have converged: what is left is what every further run costs. The last line is JSON.

    tools/count_remote_calls.py [-i INVENTORY] [PLAYBOOK] [arguments of ansible-playbook]
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = "RTC_COUNT_DIRECTORY"  # set: this program stands in for ssh
SSH = "RTC_COUNT_SSH"
CHUNK = 65536  # bytes


def stand_in(arguments: list[str]) -> int:
    """Run ssh with the same arguments, and note how many bytes went through its standard input."""
    process = subprocess.Popen([os.environ[SSH], *arguments], stdin=subprocess.PIPE)
    assert process.stdin is not None
    sent = [0]
    thread = threading.Thread(target=_copy, args=(process.stdin.fileno(), sent), daemon=True)
    thread.start()
    status = process.wait()
    host = next((item.split("=", 1)[1] for item in arguments if item.startswith("HostKeyAlias=")), "")
    name = host or next((item for item in _positional(arguments)), "?")
    with tempfile.NamedTemporaryFile("w", dir=os.environ[DIRECTORY], suffix=".json", delete=False) as file:
        json.dump({"host": name, "bytes": sent[0]}, file)
    return status


def _copy(target: int, sent: list[int]) -> None:
    while True:
        data = os.read(0, CHUNK)
        if not data:
            os.close(target)
            return
        sent[0] += len(data)
        try:
            os.write(target, data)
        except OSError:
            return


_WITH_VALUE = set("bcDEeFIiJLlmOoPpQRSWw")


def _positional(arguments: list[str]) -> list[str]:
    found, rest = [], iter(arguments)
    for item in rest:
        if item.startswith("-") and len(item) == 2 and item[1] in _WITH_VALUE:
            next(rest, None)
        elif not item.startswith("-"):
            found.append(item)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--inventory", default="inventories/lab/hosts.yml")
    parser.add_argument("playbook", nargs="?", default="site.yml")
    options, further = parser.parse_known_args()
    ssh = shutil.which("ssh")
    if ssh is None:
        print("There is no ssh on this machine.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="rtc-count-") as directory:
        environment = {
            **os.environ,
            DIRECTORY: directory,
            SSH: ssh,
            "ANSIBLE_SSH_EXECUTABLE": str(Path(__file__).resolve()),
        }
        command = ["ansible-playbook", "-i", options.inventory, options.playbook, *further]
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        counted: dict[str, list[int]] = collections.defaultdict(list)
        for path in Path(directory).glob("*.json"):
            item = json.loads(path.read_text())
            counted[item["host"]].append(item["bytes"])
    hosts = {host: {"calls": len(sizes), "bytes": sum(sizes)} for host, sizes in sorted(counted.items())}
    print(json.dumps({"exit_status": status, "hosts": hosts}))
    return status


if __name__ == "__main__":
    sys.exit(stand_in(sys.argv[1:]) if DIRECTORY in os.environ else main())
