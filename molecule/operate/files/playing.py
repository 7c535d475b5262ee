"""The hosts, their files, and playbooks that are played on them."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = ROOT / "molecule/operate"
OUT = ROOT / ".build/molecule/operate/table"
REPORT = OUT / "report.json"
CREATED = ROOT / ".build/molecule/operate/ssh/known_hosts"  # written when the hosts are made
LOGS: set[tuple[str, int]] = set()  # of what was played, and how often
HOSTS = ("wiki", "tracker", "front")
WIKI, TRACKER = "wiki.lab.test:9083", "tracker.lab.test:9093"
PLAYBOOK = [Path(sys.executable).parent / "ansible-playbook", "-i", SCENARIO / "inventory/hosts.yml"]
RECORD = "/var/lib/collab-rtc/managed.json"
SITES = "/etc/nginx/sites-enabled"
# Prints a digest of each file that a run may touch. Links to services, and what packages bring, come and go with those.
SNAPSHOT = r"""
import hashlib, os
for top in ("/etc", "/opt/atlassian"):
    for folder, names, files in os.walk(top):
        names[:] = [n for n in names if n not in ("logs", "temp", "work", "ssl", "alternatives", "systemd", "init.d")]
        for name in files:
            path = os.path.join(folder, name)
            ours = top == "/etc" or name in ("server.xml", "setenv.sh", "cacerts")
            if ours and not path.startswith("/etc/rc") and name not in ("ld.so.cache", "machine-id", "mtab"):
                data = os.readlink(path).encode() if os.path.islink(path) else open(path, "rb").read()
                print(hashlib.sha256(data).hexdigest()[:16], path)
"""


Snapshot = dict[str, set[str]]  # host -> digest and path of each file that a run may touch
Cells = list[tuple[bool, str]]  # of a row: whether it is as it has to be, and why not


@dataclass
class Row:
    """A change of mind, and what has to come of it."""

    name: str
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)  # host -> variables of one more inventory
    base: dict[str, dict[str, Any]] = field(default_factory=dict)  # of the inventory that the hosts are at before
    add_on: bool = False  # whether the tracker has an add-on that can serve RTC itself
    setup: dict[str, str] = field(default_factory=dict)  # host -> commands of its shell, before the snapshot
    edit: dict[str, str] = field(default_factory=dict)  # after it
    planned: tuple[str, ...] = ()  # patterns of the plan
    playbook: str = "site"
    arguments: tuple[str, ...] = ()
    status: int = 0
    words: str = ""  # a pattern of the run's output
    served: tuple[str, ...] = (WIKI, TRACKER)  # sites whose checks pass in the run
    gone: dict[str, str] = field(default_factory=dict)  # host -> commands that have to succeed after the run
    undo: bool = True  # whether the run changed something that a rollback gives back
    before_undo: dict[str, str] = field(default_factory=dict)
    undo_site: str = ""  # undone first alone, after the run; "self": the run does it itself
    undo_arguments: tuple[str, ...] = ()
    cleanup: dict[str, str] = field(default_factory=dict)
    short: bool = False


def no_port(port: int) -> str:
    return f"! ss -ltn | grep -q ':{port} '"


def execute(host: str, commands: str, check: bool = True) -> tuple[int, str]:
    """Run commands in a host's shell as root, without SSH."""
    command = ["podman", "exec", f"rtc-operate-{host}", "bash", "-c", commands]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise SystemExit(f"{host}: {commands}: {done.stdout}{done.stderr}")
    return done.returncode, done.stdout.strip()


def take_snapshot() -> Snapshot:
    """Digest and path of each file that a run may touch, by host."""
    found = {}
    for host in HOSTS:
        command = ["podman", "exec", "-i", f"rtc-operate-{host}", "python3", "-"]
        done = subprocess.run(command, input=SNAPSHOT, capture_output=True, text=True, check=True)
        found[host] = set(done.stdout.splitlines())
    return found


def compare(before: Snapshot) -> list[str]:
    """What is another than in a snapshot, without what packages of the system bring."""
    now = take_snapshot()
    found = []
    for host in HOSTS:
        paths = sorted({line.split(" ", 1)[1] for line in before[host] ^ now[host]})
        brought = find_brought(host, paths)
        found += [f"{host} {path}" for path in paths if path not in brought]
    return found


def find_brought(host: str, paths: list[str]) -> set[str]:
    """Those of the paths that belong to a package, or that installing one changes."""
    if not paths:
        return set()
    owned = execute(host, f"dpkg -S {' '.join(map(shlex.quote, paths))} 2>/dev/null | sed 's/^[^/]*: //'", False)[1]
    made = re.compile(r"/etc/(networks|(group|gshadow|passwd|shadow|sub[ug]id)-?|(apache2|ssl|perl)/.*)")
    return {*owned.splitlines(), *(path for path in paths if made.fullmatch(path) and "lab.test" not in path)}


def start(playbook: str, row: Row, *arguments: str) -> subprocess.Popen[str]:
    """A playbook with the row's inventory, in a session of its own."""
    more = OUT / "more.json"
    more.write_text(json.dumps({"all": {"hosts": row.variables}}))
    command = [*PLAYBOOK, "-i", more, f"collab.rtc.{playbook}", "-e", f"rtc_report_file={REPORT}", *arguments]
    return subprocess.Popen(
        list(map(str, command)),
        cwd=SCENARIO,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def play(playbook: str, row: Row, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Exit status, output and report of a playbook with the row's inventory."""
    REPORT.unlink(missing_ok=True)
    process = start(playbook, row, *arguments)
    output, _nothing = process.communicate()
    name = f"{re.sub('[^a-z0-9]+', '-', row.name.lower())}-{playbook}"
    turn = next(number for number in itertools.count(1) if (name, number) not in LOGS)
    LOGS.add((name, turn))
    (OUT / f"{name}-{turn}.log").write_text(output)
    return process.returncode, output, json.loads(REPORT.read_text()) if REPORT.exists() else {}


def is_served(site: str, report: dict[str, Any]) -> bool:
    checks = report.get("checks", {}).get(site, [])
    return bool(checks) and all(check["ok"] is not False for check in checks)
