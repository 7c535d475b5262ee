# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What SELinux and firewalld must allow a proxy server.

Written from semanage-port(8), setsebool(8), firewall-cmd(1) and the booleans of the targeted policy; not tried on a
real host of the RHEL family yet. A rollback does not revert these settings: whether something else on the host relies
on them is not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Command, ProxyError, run
from ansible_collections.collab.rtc.plugins.module_utils._proxy.sockets import is_wildcard

if TYPE_CHECKING:  # Python 3.8 cannot evaluate it
    from collections.abc import Callable, Sequence

    Runner = Callable[[list[str]], Command]

_TYPE = "http_port_t"
# Kind of proxy -> the boolean of the policy that lets it connect to any port.
BOOLEANS = {
    "nginx": "httpd_can_network_connect",
    "apache": "httpd_can_network_connect",
    "haproxy": "haproxy_connect_any",
}
_ENFORCE = "/sys/fs/selinux/enforce"


@dataclass
class Need:
    """One setting that is missing, and the commands that make it."""

    text: str
    commands: list[list[str]]


def is_enforcing() -> bool:
    """Whether SELinux refuses things now."""
    try:
        with open(_ENFORCE, encoding="ascii") as file:
            return file.read().strip() == "1"
    except OSError:
        return False


def find_selinux_needs(kind: str, ports: list[int], runner: Runner = run) -> list[Need]:
    """What SELinux lacks for a server to listen on these ports and to connect to its upstreams.

    :raises ProxyError: the tools to see it are missing.
    """
    listed = runner(["semanage", "port", "-l"])
    if listed.code != 0:
        raise ProxyError(
            f"SELinux is enforcing, and semanage cannot be used: {listed.output}",
            "Install the package policycoreutils-python-utils, or set selinux to false and see to the ports yourself.",
        )
    types = port_types(listed.output)
    found = []
    for port in ports:
        held = types.get(port, [])
        if _TYPE not in held:
            action = "-m" if held else "-a"  # an exact port of another type cannot be added a second time
            command = ["semanage", "port", action, "-t", _TYPE, "-p", "tcp", str(port)]
            found.append(Need(f"SELinux: {_TYPE} for port {port}", [command]))
    boolean = BOOLEANS[kind]
    state = runner(["getsebool", boolean])
    if state.code == 0 and not state.output.endswith("on"):  # else the policy does not know it, and asks nothing
        found.append(Need(f"SELinux: {boolean}", [["setsebool", "-P", boolean, "on"]]))
    return found


def port_types(text: str) -> dict[int, list[str]]:
    """The TCP ports that ``semanage port -l`` lists one by one, with their types. Ranges are defaults, not exact."""
    found: dict[int, list[str]] = {}
    for line in text.splitlines():
        match = re.match(r"(\S+)\s+tcp\s+(.*)$", line)
        for item in match.group(2).split(",") if match else []:
            if match and item.strip().isdigit():
                found.setdefault(int(item), []).append(match.group(1))
    return found


def find_firewalld_needs(ports: list[int], runner: Runner = run, addresses: Sequence[str] = ()) -> list[Need]:
    """The ports that a running firewalld keeps closed, now or after its next start, where connections come in.

    :param addresses: where the server is to listen; without any, or with all of a family, every interface counts.
    """
    if runner(["firewall-cmd", "--state"]).output.strip() != "running":
        return []
    found = []
    for port in ports:
        commands = []
        for zone in _find_zones(addresses, runner):
            for scope in (zone, [*zone, "--permanent"]):
                if runner(["firewall-cmd", *scope, f"--query-port={port}/tcp"]).code != 0:
                    commands.append(["firewall-cmd", *scope, f"--add-port={port}/tcp"])
        if commands:
            found.append(Need(f"firewalld: port {port}/tcp", commands))
    return found


def _find_zones(addresses: Sequence[str], runner: Runner) -> list[list[str]]:
    """The options of ``firewall-cmd`` for the zones of the interfaces that have these addresses, else for the default.

    Zones of sources are left alone: they are exceptions that somebody has made.
    """
    listed = re.findall(r"^\d+: (\S+)\s+inet6? ([^\s/]+)", runner(["ip", "-o", "address"]).output, re.MULTILINE)
    some = not any(is_wildcard(item) for item in addresses)
    wanted = {name for name, address in listed if address in addresses} if some else set()
    zones, name = [], ""
    for line in runner(["firewall-cmd", "--get-active-zones"]).output.splitlines():
        held = line.split()
        if held and not line[0].isspace():
            name = held[0]
        elif held[:1] == ["interfaces:"] and (not wanted or wanted & set(held[1:])):
            zones.append([f"--zone={name}"])
    return zones or [[]]


def apply_needs(needs: list[Need], runner: Runner = run) -> None:
    """Run the commands.

    :raises ProxyError: with the error message of the one that failed.
    """
    for need in needs:
        for command in need.commands:
            done = runner(command)
            if done.code != 0:
                raise ProxyError(f"{need.text} could not be set: {' '.join(command)}: {done.output}", "Set it by hand.")
