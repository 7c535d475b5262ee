# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""firewalld, ufw, nftables: which one is switched on, and what it lets in.

Written from firewall-cmd(1), firewalld.richlanguage(5), ufw-framework(8) and what the real tools print and write.
ufw is read from its files, which it loads and writes itself: it is a program in Python, and takes its time.
"""

from __future__ import annotations

import re
from typing import Iterable

from ansible_collections.collab.rtc.plugins.module_utils._host.processes import Proc
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.system import SECONDS, Runner
from ansible_collections.collab.rtc.plugins.module_utils._obstacle_facts import (
    FIREWALL_RULES,
    Firewall,
    FirewallRule,
    FirewallZone,
)

_UNIT = "firewalld.service"
_UNITS = "/etc/systemd/system"
_SERVICES = ("/etc/firewalld/services", "/usr/lib/firewalld/services")  # the first wins
_HEADER = re.compile(r"^(\S+)(?: \((.*)\))?$")  # "internal (active)", "public (default, active)"
_SERVICE_PORT = re.compile(r"<port\s[^>]*>")
_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*[\"']([^\"']*)[\"']")
_POLICIES = {"DROP": "deny", "REJECT": "reject", "ACCEPT": "allow"}


def find(rootfs: RootFs, procs: Iterable[Proc]) -> str:
    """ "firewalld" when it runs, "ufw" or "nftables" when they are switched on, else ""."""
    if any(any("/firewalld" in word for word in proc.args[:3]) and proc.uid == 0 for proc in procs):
        return "firewalld"
    if re.search(r"^\s*ENABLED=[\"']?yes", rootfs.text("/etc/ufw/ufw.conf") or "", re.MULTILINE | re.IGNORECASE):
        return "ufw"
    wants = ("sysinit.target.wants", "multi-user.target.wants")
    if any("nftables.service" in rootfs.names(f"{_UNITS}/{name}") for name in wants):
        return "nftables"
    return ""


def describe(rootfs: RootFs, kind: str, root: bool, runner: Runner) -> Firewall:
    """What is known of the firewall of a kind, as :func:`find` says it.

    :param root: whether this process is root: nobody else may ask.
    """
    found = Firewall()
    masked = _is_masked(rootfs)
    if kind == "firewalld":
        found.state, found.masked = "running", masked
        if root:
            _read_firewalld(rootfs, found, runner)
    elif kind == "ufw":
        _read_ufw(rootfs, found)
    elif not kind and (rootfs.is_file("/usr/sbin/firewalld") or rootfs.is_file("/usr/bin/firewall-cmd")):
        found.state = "masked" if masked else "enabled" if _is_enabled(rootfs) else ""
    return found


def _is_masked(rootfs: RootFs) -> bool:
    """As ``systemctl mask`` leaves it, or an empty file (systemd.unit(5))."""
    for folder in (_UNITS, "/run/systemd/system"):
        path = f"{folder}/{_UNIT}"
        if rootfs.link(path) == "/dev/null" or (rootfs.is_file(path) and rootfs.data(path) == b""):
            return True
    return False


def _is_enabled(rootfs: RootFs) -> bool:
    folders = [name for name in rootfs.names(_UNITS) if name.endswith((".wants", ".requires"))]
    return any(_UNIT in rootfs.names(f"{_UNITS}/{name}") for name in folders)


def _read_firewalld(rootfs: RootFs, found: Firewall, runner: Runner) -> None:
    text = runner(["firewall-cmd", "--list-all-zones"], SECONDS)
    if text is None:
        rootfs.note(FIREWALL_RULES, "firewall-cmd --list-all-zones fails: firewall-cmd --state says more")
        return
    zones = parse_zones(text)
    holds = any(zone.interfaces for zone in zones)
    if not holds and not any(zone.default for zone in zones):  # firewalld before 2 does not mark it in this list
        default = (runner(["firewall-cmd", "--get-default-zone"], SECONDS) or "").strip()
        for zone in zones:
            zone.default = zone.name == default
        if not any(zone.default for zone in zones):
            rootfs.note(FIREWALL_RULES, "firewall-cmd --get-default-zone fails: firewall-cmd --state says more")
    found.zones = [zone for zone in zones if zone.interfaces or zone.sources or (zone.default and not holds)]
    named = {name for zone in found.zones for name in zone.services}
    for zone in found.zones:
        for rule in zone.rich_rules:
            named.update(re.findall(r'\bservice name="([^"]+)"', rule))
    found.services = {name: _read_service(rootfs, name) for name in sorted(named)}


def _read_service(rootfs: RootFs, name: str) -> list[str]:
    """The ports of a service, "9083/tcp"; without those of services that it includes."""
    if not re.fullmatch(r"[\w.+-]+", name):
        return []
    text = next(filter(None, (rootfs.text(f"{folder}/{name}.xml") for folder in _SERVICES)), "")
    ports = [dict(_ATTRIBUTE.findall(tag)) for tag in _SERVICE_PORT.findall(text)]
    return [f"{one['port']}/{one.get('protocol', '')}" for one in ports if one.get("port")]


def parse_zones(text: str) -> list[FirewallZone]:
    """All zones in what ``firewall-cmd --list-all-zones`` prints."""
    zones: list[FirewallZone] = []
    in_rules = False
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header:
            zones.append(FirewallZone(header.group(1), default="default" in (header.group(2) or "").split(", ")))
            in_rules = False
            continue
        word = line.strip()
        if not zones or not word:
            continue
        name, _colon, value = word.partition(":")
        if in_rules and word.startswith("rule "):
            zones[-1].rich_rules.append(word)
            continue
        in_rules = name == "rich rules"
        if name == "target":
            zones[-1].target = value.strip()
        elif name in ("interfaces", "sources", "ports", "services"):
            getattr(zones[-1], name).extend(value.split())
    return zones


def _read_ufw(rootfs: RootFs, found: Firewall) -> None:
    """ufw's rules, and what it does with the rest."""
    text = rootfs.text("/etc/ufw/user.rules")
    defaults = rootfs.text("/etc/default/ufw")
    if text is None or defaults is None:
        rootfs.note(FIREWALL_RULES, "/etc/ufw/user.rules or /etc/default/ufw cannot be read: run with become")
        return
    policy = re.findall(r"^\s*DEFAULT_INPUT_POLICY=[\"']?(\w+)", defaults, re.MULTILINE)
    found.incoming = _POLICIES.get(policy[-1].upper() if policy else "DROP", "deny")
    found.rules = parse_ufw(text)


def parse_ufw(text: str) -> list[FirewallRule]:
    """The rules for what comes in to the host: the tuples that ufw keeps as comments in ``user.rules``.

    ``### tuple ### ACTION PROTOCOL DPORT DST SPORT SRC [DAPP SAPP] DIRECTION[_INTERFACE] [comment=HEX]``
    """
    found = []
    for line in re.findall(r"^### tuple ### (.*)$", text, re.MULTILINE):
        words = [word for word in line.split() if not word.startswith("comment=")]
        if len(words) not in (6, 7, 8, 9) or words[0].startswith("route:"):
            continue
        action, protocol, ports, destination, source_ports, source = words[:6]
        direction, _underscore, interface = (words[-1] if len(words) in (7, 9) else "in").partition("_")
        if direction != "in":
            continue
        found.append(
            FirewallRule(
                action=action.partition("_")[0],  # "allow_log", "deny_log-all"
                protocol=protocol,
                ports=ports,
                source=_name_any(source),
                destination=_name_any(destination),
                source_ports=source_ports,
                interface=interface,
            )
        )
    return found


def _name_any(address: str) -> str:
    return "any" if address in ("0.0.0.0/0", "::/0") else address
