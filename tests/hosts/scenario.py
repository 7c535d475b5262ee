# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a Molecule scenario, for those that print a table: shells, power, playbooks, and names."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "tests/hosts/lab.py"
PATIENCE = 90.0  # seconds until what should come true is given up


class Failed(Exception):
    """Something of the scenario itself did not do what it has to."""


@dataclass
class Played:
    """What came of a playbook."""

    status: int
    output: str
    report: dict[str, Any]  # empty where it wrote none


class Scenario:
    """``molecule/<name>`` with its hosts, whose containers begin with ``rtc-<name>-``."""

    def __init__(self, name: str) -> None:
        self.folder = ROOT / "molecule" / name
        self.inventory = self.folder / "inventory/hosts.yml"
        self.state = ROOT / ".build/molecule" / name
        self.out = self.state / "table"
        self._prefix = f"rtc-{name}-"
        self._plays = itertools.count(1)

    def container(self, host: str) -> str:
        return self._prefix + host

    def execute(self, host: str, commands: str, check: bool = True) -> str:
        """Run commands in a host's shell as root, without SSH; their output."""
        command = ["podman", "exec", self.container(host), "bash", "-c", commands]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise Failed(f"{host}: {commands}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def lose(self, host: str) -> None:
        """As if its power had gone: its kernel does not even close its connections."""
        pid = self.find_init(host)
        enter = ["nsenter", "--target", str(pid), "--net", "ip", "link", "set", "eth0", "down"]
        subprocess.run(enter, check=True, capture_output=True)
        os.kill(pid, signal.SIGKILL)  # the kernel ends all of its processes with it
        self.await_end(host)

    def await_end(self, host: str) -> None:
        """Until it is off."""
        subprocess.run(["podman", "wait", self.container(host)], check=True, capture_output=True)

    def find_init(self, host: str) -> int:
        """The host's first process, as this machine numbers it: its files are below /proc/PID/root."""
        ask = ["podman", "inspect", "--format", "{{.State.Pid}}", self.container(host)]
        return int(subprocess.run(ask, check=True, capture_output=True, text=True).stdout)

    def power_on(self, host: str) -> None:
        """Start it again with its disk."""
        self._lab("up", host)

    def renew(self, host: str) -> None:
        """As new, with nothing on it."""
        self._lab("reset", host)

    def _lab(self, verb: str, host: str) -> None:
        command = [sys.executable, LAB, verb, "--inventory", self.inventory, host]
        done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"lab {verb} {host}: {done.stdout}{done.stderr}")

    def play(self, playbook: str, more: dict[str, Any], *arguments: str, statuses: tuple[int, ...] = (0,)) -> Played:
        """Run a playbook with more variables, of group ``all`` and of hosts, as a further inventory.

        :raises Failed: its exit status is none of these.
        """
        report, added = self.out / "report.json", self.out / "more.json"
        report.unlink(missing_ok=True)
        added.write_text(json.dumps({"all": more}))
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", self.inventory, "-i", added]
        command += [f"collab.rtc.{playbook}", "-e", f"rtc_report_file={report}", *arguments]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        log = self.out / f"{next(self._plays):02}-{playbook}.log"
        with log.open("w") as file:
            told = {"stdout": file, "stderr": subprocess.STDOUT}
            done = subprocess.run(list(map(str, command)), cwd=self.folder, env=environment, check=False, **told)
        output = log.read_text()
        if done.returncode not in statuses:
            raise Failed(f"{playbook} ended with {done.returncode}, see {log}:\n{output[-6000:]}")
        return Played(done.returncode, output, json.loads(report.read_text()) if report.exists() else {})


def wait_for(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until a condition holds; its value."""
    give_up = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > give_up:
            raise Failed(f"not within {patience:.0f} s: {what}")
        time.sleep(0.1)
    return value


def resolve(names: set[str], address: str) -> None:
    """Let names lead to an address: the controller's resolver knows nothing of the lab's."""
    ask = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        return ask(address if host in names else host, *arguments, **named)

    socket.getaddrinfo = getaddrinfo
