# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the scenario: their shells, their power, the playbooks on them, and the store with its standby."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = ROOT / "molecule/cluster"
INVENTORY = SCENARIO / "inventory/hosts.yml"
STATE = ROOT / ".build/molecule/cluster"
OUT = STATE / "table"
NAME = "rtc-cluster"
PATIENCE = 90.0  # seconds until what should come true is given up
NODES = {"node1": "10.147.92.11", "node2": "10.147.92.12", "node3": "10.147.92.13"}
FRONT = "10.147.92.14"
PORTS = {"confluence": 9083, "jira": 9093}
DATA = "/var/lib/postgresql/15/main"
CLUSTER = "postgresql@15-main"


class Failed(Exception):
    """Something of the scenario itself did not do what it has to."""


_plays = itertools.count(1)


def execute(host: str, commands: str, check: bool = True) -> str:
    """Run commands in a host's shell as root, without SSH; their output."""
    command = ["podman", "exec", f"{NAME}-{host}", "bash", "-c", commands]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise Failed(f"{host}: {commands}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Wait until a condition holds; its value."""
    give_up = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > give_up:
            raise Failed(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(0.1)
    return value


def lose(host: str) -> None:
    """As if its power had gone: its kernel does not even close its connections."""
    container = f"{NAME}-{host}"
    asked = subprocess.run(
        ["podman", "inspect", "--format", "{{.State.Pid}}", container], check=True, capture_output=True, text=True
    )
    enter = ["nsenter", "--target", asked.stdout.strip(), "--net", "ip", "link", "set", "eth0", "down"]
    for command in (enter, ["podman", "kill", "--signal", "KILL", container], ["podman", "wait", container]):
        subprocess.run(command, check=True, capture_output=True)


def power_on(host: str) -> None:
    """Start it again with its disk."""
    command = [sys.executable, ROOT / "tests/hosts/lab.py", "up", "--inventory", INVENTORY, host]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def renew(host: str) -> None:
    """As new, with nothing on it."""
    command = [sys.executable, ROOT / "tests/hosts/lab.py", "reset", "--inventory", INVENTORY, host]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def is_ready(node: str, product: str) -> bool:
    """Whether the node's RTC server says that it may be given clients."""
    try:
        with urllib.request.urlopen(f"http://{NODES[node]}:{PORTS[product]}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def play(playbook: str, more: dict[str, Any], *arguments: str) -> dict[str, Any]:
    """Run a playbook with more variables of group ``all`` and of hosts; its report. It has to succeed."""
    report, added = OUT / "report.json", OUT / "more.json"
    report.unlink(missing_ok=True)
    added.write_text(json.dumps({"all": more}))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", INVENTORY, "-i", added]
    command += [f"collab.rtc.{playbook}", "-e", f"rtc_report_file={report}", *arguments]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    log = OUT / f"{next(_plays):02}-{playbook}.log"
    with log.open("w") as file:
        told = {"stdout": file, "stderr": subprocess.STDOUT}
        done = subprocess.run(list(map(str, command)), cwd=SCENARIO, env=environment, check=False, **told)
    output = log.read_text()
    if done.returncode != 0:
        raise Failed(f"{playbook} ended with {done.returncode}, see {log}:\n{output[-6000:]}")
    found: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
    return {**found, "output": output}


class Store:
    """PostgreSQL on two hosts: one takes writes, the other follows it, synchronously once ``follow`` was called."""

    def __init__(self) -> None:
        self.primary, self.standby = "db1", "db2"
        self.has_standby = False

    def sql(self, text: str, database: str = "postgres") -> list[str]:
        """Lines of the primary's answer, asked for as the superuser."""
        # A standby may be away: what is done here does not wait for it.
        command = ["podman", "exec", "--env", "PGOPTIONS=-c synchronous_commit=local", "--user", "postgres"]
        command += [f"{NAME}-{self.primary}", "psql", "-XAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        if done.returncode != 0:
            raise Failed(f"{self.primary}: {text}: {done.stderr}")
        return done.stdout.splitlines()

    query = sql  # as tests/proxies/cluster.py asks for an account

    def make(self, with_standby: bool) -> None:
        """The role, on both hosts or on the primary alone; run again, it changes nothing."""
        ask = "runuser -u postgres -- psql -XAtc 'SELECT pg_is_in_recovery()' 2>/dev/null"
        if execute(self.standby, ask, False) == "f" and execute(self.primary, ask, False) != "f":
            self.primary, self.standby = self.standby, self.primary  # an earlier try failed over
        limit = [] if with_standby else ["--limit", self.primary]
        play("store", {}, *limit)
        if with_standby:
            self._prepare()
            self.follow()
        changed = re.findall(r"^(db\d) +:.* changed=([1-9]\d*)", play("store", {}, *limit)["output"], re.MULTILINE)
        if changed:
            raise Failed(f"A second run of collab.rtc.store changed something: {changed}")

    def _prepare(self) -> None:
        """Let the databases' hosts copy each other. None starts by itself: an old primary must not."""
        rule = "hostssl replication all 10.147.92.0/24 trust"
        for host in (self.primary, self.standby):
            execute(host, f"""
                cd /etc/postgresql/15/main
                grep -q '^{rule}' pg_hba.conf || echo '{rule}' >>pg_hba.conf
                echo manual >start.conf
                systemctl daemon-reload; systemctl reload {CLUSTER}""")  # fmt: skip

    def follow(self) -> None:
        """Make the standby anew from the primary, and let the primary wait for it."""
        self.sql("ALTER SYSTEM RESET synchronous_standby_names")
        self.sql("SELECT pg_reload_conf()")
        copy = f"pg_basebackup -h {self.primary} -U postgres -D {DATA} -R -X stream -c fast"
        execute(self.standby, f"""
            systemctl stop {CLUSTER}; rm -rf {DATA}
            runuser -u postgres -- {copy}
            echo "primary_conninfo = 'host={self.primary} user=postgres application_name={self.standby}'" \
                >>{DATA}/postgresql.auto.conf
            systemctl start {CLUSTER}""")  # fmt: skip
        self.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{self.standby}'")
        self.sql("SELECT pg_reload_conf()")
        wait_for(lambda: self.sql("SELECT sync_state FROM pg_stat_replication") == ["sync"], "the standby follows")
        self.has_standby = True

    def restart(self) -> None:
        """The primary's service, as an update of its package does it."""
        execute(self.primary, f"systemctl restart {CLUSTER}")

    def fail_over(self) -> None:
        """The primary's machine is lost, and the standby takes over."""
        lose(self.primary)
        self.primary, self.standby, self.has_standby = self.standby, self.primary, False
        execute(self.primary, "pg_ctlcluster 15 main promote")
        # What a copy of the configuration may have brought: nobody is there to wait for.
        self.sql("ALTER SYSTEM RESET synchronous_standby_names")
        self.sql("SELECT pg_reload_conf()")

    def mend(self) -> None:
        """The lost machine is back, and follows."""
        power_on(self.standby)
        self.follow()
