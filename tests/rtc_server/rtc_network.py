# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network namespace for a server, with a cable to this machine that can be cut for one port."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


class Island:
    """What runs here (``prefix`` before its command) has the address ``inside``, and finds this machine at ``outside``;
    both are of RFC 2544's network, which nobody else has."""

    def __init__(self) -> None:
        missing = [tool for tool in ("ip", "iptables") if shutil.which(tool) is None]
        if missing or os.geteuid() != 0:
            pytest.skip(
                f"a network namespace needs root, ip and iptables (tools/packages); missing: {missing or 'root'}"
            )
        number = os.getpid() % (1 << 14)
        net = f"198.{18 + (number >> 13)}.{number >> 5 & 255}."
        self.outside, self.inside = f"{net}{number % 32 * 8 + 1}", f"{net}{number % 32 * 8 + 2}"
        self._name = f"rtc-{os.getpid()}"
        self.prefix = ["ip", "netns", "exec", self._name]
        try:
            _run("ip", "netns", "add", self._name)
        except AssertionError as exc:
            pytest.skip(f"no network namespace can be made here: {exc}")
        try:
            _run("ip", "link", "add", self._name, "type", "veth", "peer", "name", "eth0", "netns", self._name)
            _run("ip", "addr", "add", f"{self.outside}/30", "dev", self._name)
            _run("ip", "link", "set", self._name, "up")
            for command in (f"addr add {self.inside}/30 dev eth0", "link set eth0 up", "link set lo up"):
                _run("ip", "-n", self._name, *command.split())
        except AssertionError:
            self.remove()
            raise

    def remove(self) -> None:
        """The cable goes with it. What runs in it has to be ended before."""
        subprocess.run(["ip", "link", "del", self._name], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self._name], capture_output=True, check=False)

    def cut(self, port: int, *how: str) -> None:
        """Nothing passes to or from that port outside: silently, or as ``how`` says."""
        target = how or ("DROP",)
        for chain, direction in (("OUTPUT", "--dport"), ("INPUT", "--sport")):
            _run(*self.prefix, "iptables", "-A", chain, "-p", "tcp", direction, str(port), "-j", *target)

    def reset(self, port: int) -> None:
        """Each packet to or from that port outside is answered with RST, on both sides."""
        self.cut(port, "REJECT", "--reject-with", "tcp-reset")

    def mend(self) -> None:
        """All passes again."""
        _run(*self.prefix, "iptables", "-F")
