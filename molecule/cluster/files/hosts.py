# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the scenario: their shells, their power, the playbooks on them, and the store with its standby."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from typing import Any

from scenario import PATIENCE, Failed, Scenario, wait_for

__all__ = [
    "PATIENCE", "Failed", "Store", "execute", "find_changed", "is_ready", "lose", "play", "power_on", "renew",
    "wait_for",
]  # fmt: skip

LAB = Scenario("cluster")
SCENARIO, STATE, OUT = LAB.folder, LAB.state, LAB.out
execute, lose, power_on, renew = LAB.execute, LAB.lose, LAB.power_on, LAB.renew
NODES = {"node1": "10.147.92.11", "node2": "10.147.92.12", "node3": "10.147.92.13"}
FRONT = "10.147.92.14"
PORTS = {"confluence": 9083, "jira": 9093}
DATA = "/var/lib/postgresql/15/main"
CLUSTER = "postgresql@15-main"


def is_ready(node: str, product: str) -> bool:
    """Whether the node's RTC server says that it may be given clients."""
    try:
        with urllib.request.urlopen(f"http://{NODES[node]}:{PORTS[product]}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def play(playbook: str, more: dict[str, Any], *arguments: str) -> dict[str, Any]:
    """Run a playbook with more variables of group ``all`` and of hosts; its report. It has to succeed."""
    played = LAB.play(playbook, more, *arguments)
    return {**played.report, "output": played.output}


def find_changed(output: str) -> list[str]:
    """Hosts on which a playbook changed something, by the last lines of its output."""
    return re.findall(r"^(\w+) +:.* changed=[1-9]", output, re.MULTILINE)


class Store:
    """PostgreSQL on two hosts: one takes writes, the other follows it, synchronously once ``follow`` was called."""

    def __init__(self) -> None:
        self.primary, self.standby = "db1", "db2"
        self.has_standby = False

    def sql(self, text: str, database: str = "postgres") -> list[str]:
        """Lines of the primary's answer, asked for as the superuser."""
        # A standby may be away: what is done here does not wait for it.
        command = ["podman", "exec", "--env", "PGOPTIONS=-c synchronous_commit=local", "--user", "postgres"]
        command += [LAB.container(self.primary), "psql", "-XAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text]
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
        changed = find_changed(play("store", {}, *limit)["output"])
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
