# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What SELinux and firewalld must allow a proxy server.

Written from semanage-port(8), setsebool(8), firewall-cmd(1) and the booleans of the targeted policy; tried with the
real tools, on a kernel without SELinux. What is opened here is recorded, so that it, and nothing else, can be closed
again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._commands import Command, run
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
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
_SERVICES = {80: "http", 443: "https"}  # as administrators open these ports, and the installer of the RHEL family does


FIREWALLD, PORT, BOOLEAN = "firewalld", "selinux_port", "selinux_boolean"


@dataclass(frozen=True)
class Setting:
    """Something that was opened for a proxy."""

    tool: str  # FIREWALLD | PORT | BOOLEAN
    name: str  # zone, "" for the default; type of the port; boolean
    port: int = 0  # 0 for a boolean, which is for all ports
    permanent: bool = False  # of firewalld: for its next start
    before: str = ""  # type that the port had, where it was another

    @property
    def key(self) -> str:
        """There is one entry of it in the record of what is managed."""
        words = [self.tool, self.name, f"{self.port}/tcp" if self.port else "", "permanent" if self.permanent else ""]
        return " ".join(["setting", *filter(None, words)])

    def make_opening(self) -> list[str]:
        """The command that opens it."""
        if self.tool == FIREWALLD:
            return [*self._zone(), f"--add-port={self.port}/tcp"]
        if self.tool == BOOLEAN:
            return ["setsebool", "-P", self.name, "on"]
        action = "-m" if self.before else "-a"  # an exact port of another type cannot be added a second time
        return ["semanage", "port", action, "-t", self.name, "-p", "tcp", str(self.port)]

    def make_closing(self) -> list[str]:
        """The command that gives back what was before."""
        if self.tool == FIREWALLD:
            return [*self._zone(), f"--remove-port={self.port}/tcp"]
        if self.tool == BOOLEAN:
            return ["setsebool", "-P", self.name, "off"]
        action = ["-m", "-t", self.before] if self.before else ["-d", "-t", self.name]
        return ["semanage", "port", *action, "-p", "tcp", str(self.port)]

    def is_open(self, runner: Runner) -> bool:
        """Whether it is as it was opened; somebody may have closed it since.

        :raises ProxyError: that cannot be seen.
        """
        if self.tool == BOOLEAN:
            return runner(["getsebool", self.name]).output.endswith("on")
        if self.tool == PORT:
            listed = runner(["semanage", "port", "-l"])
            if listed.code != 0:
                raise ProxyError(f"semanage cannot be used: {listed.output}", f"Close {self.key} by hand.")
            return self.name in port_types(listed.output).get(self.port, [])
        if runner(["firewall-cmd", "--state"]).output.strip() == "running":
            return runner(self.make_query()).code == 0
        if not self.permanent:
            return False  # it ended with firewalld
        raise ProxyError("firewalld does not run, so its ports cannot be seen.", f"Close {self.key} by hand.")

    def make_query(self) -> list[str]:
        """The command that ends with 0 where a running firewalld has the port open."""
        return [*self._zone(), f"--query-port={self.port}/tcp"]

    def _zone(self) -> list[str]:
        zone = [f"--zone={self.name}"] if self.name else []
        return ["firewall-cmd", *zone, *(["--permanent"] if self.permanent else [])]


@dataclass
class Need:
    """What is missing for one port, or for all."""

    text: str
    settings: list[Setting]

    @property
    def commands(self) -> list[list[str]]:
        """The commands that open it."""
        return [item.make_opening() for item in self.settings]


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
            setting = Setting(PORT, _TYPE, port, before=held[0] if held else "")
            found.append(Need(f"SELinux: {_TYPE} for port {port}", [setting]))
    boolean = BOOLEANS[kind]
    state = runner(["getsebool", boolean])
    if state.code == 0 and not state.output.endswith("on"):  # else the policy does not know it, and asks nothing
        found.append(Need(f"SELinux: {boolean}", [Setting(BOOLEAN, boolean)]))
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
        zones = _find_zones(addresses, runner)
        settings = [Setting(FIREWALLD, zone, port, permanent) for zone in zones for permanent in (False, True)]
        closed = [item for item in settings if not _is_reachable(item, runner)]
        if closed:
            found.append(Need(f"firewalld: port {port}/tcp", closed))
    return found


def _is_reachable(item: Setting, runner: Runner) -> bool:
    """Whether the zone lets connections in to the port, by the port itself or by the service that has it."""
    query = item.make_query()
    if runner(query).code == 0:
        return True
    service = _SERVICES.get(item.port)
    return bool(service) and runner([*query[:-1], f"--query-service={service}"]).code == 0


def _find_zones(addresses: Sequence[str], runner: Runner) -> list[str]:
    """The zones of the interfaces that have these addresses; "" for the default one.

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
            zones.append(name)
    return zones or [""]


def apply_needs(needs: list[Need], runner: Runner = run) -> None:
    """Run the commands.

    :raises ProxyError: with the error message of the one that failed.
    """
    for need in needs:
        for command in need.commands:
            done = runner(command)
            if done.code != 0:
                raise ProxyError(f"{need.text} could not be set: {' '.join(command)}: {done.output}", "Set it by hand.")


def list_open(settings: Sequence[Setting]) -> list[Setting]:
    """Those that are still as they were opened.

    :raises ProxyError: that cannot be seen.
    """
    return [item for item in settings if item.is_open(run)]


def close(settings: Sequence[Setting]) -> None:
    """Give back what was before, of what is still as it was opened.

    :raises ProxyError: with the error message of the command that failed.
    """
    for item in list_open(settings):
        _change(item.make_closing())


def reopen(settings: Sequence[Setting]) -> None:
    """Open again what a run had closed.

    :raises ProxyError: with the error message of the command that failed.
    """
    there = list_open(settings)
    for item in settings:
        if item not in there:
            _change(item.make_opening())


def _change(command: list[str]) -> None:
    done = run(command)
    if done.code != 0:
        raise ProxyError(f"{' '.join(command)} failed: {done.output}", "Do it by hand.")
