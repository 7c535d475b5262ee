# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which container a process is in: who started it, its name and image, its network and the ports that lead to it.

The kernel says what is; the container's manager (Docker, Podman) knows names, and is asked where it is there. What
neither tells is unknown, with the reason.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Iterable

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import Container, Mount, PublishedPort
from ansible_collections.collab.rtc.plugins.module_utils._host import container_files, processes, system
from ansible_collections.collab.rtc.plugins.module_utils._host.processes import Proc
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.system import SECONDS, Runner
from ansible_collections.collab.rtc.plugins.module_utils._java.secrets import mask
from ansible_collections.collab.rtc.plugins.module_utils._secret_text import mask_text

_ID = re.compile(r"(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?=/|$)")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,127}")
_NAMED = re.compile(
    r"(?:/lxc\.payload\.|/lxc/|/machine-|/systemd-nspawn@)([A-Za-z0-9][\w.-]*?)(?:\.scope|\.service)?(?:/| |$)"
)
_COMPOSE = "com.docker.compose."
# Programs of root that start containers, and stay: what they started is theirs.
_MONITORS = {
    "containerd-shim": "containerd",
    "containerd-shim-runc-v1": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "docker-containerd-shim": "docker",
    "conmon": "podman",
    "lxc-start": "lxc",
    "systemd-nspawn": "nspawn",
}
# What cgroup paths of managers have in them.
_IN_PATH = (("libpod", "podman"), ("kubepods", "kubernetes"), ("crio-", "cri-o"), ("docker", "docker"))
_CLIENTS = {"docker": ["docker"], "podman": ["podman"], "containerd": ["docker", "nerdctl"], "": ["docker", "podman"]}
_MOST_STATE = 16 * 1024 * 1024
_MOST_VALUE, _MOST_NAMES = 4096, 200
_VARIABLE = re.compile(r"(?:ATL|CATALINA|JVM|JAVA|JDK|_JAVA|CONFLUENCE|CONF|JIRA|SETENV|TOMCAT)_\w+", re.IGNORECASE)
_DNAT = re.compile(
    r"(?:--dport|dport)\s+(\d+)\b.*?(?:--to-destination|dnat(?:\s+ip6?)?\s+to)\s+(\[[0-9a-f:]+\]|[\d.]+):(\d+)", re.I
)
_FOR_ADDRESS = re.compile(r"(?:-d|daddr)\s+(\[?[0-9a-fA-F:.]+\]?)")


class Finder:
    """Finds out about the containers of a host; what concerns all of them is read once."""

    def __init__(self, rootfs: RootFs, procs: dict[int, Proc], runner: Runner) -> None:
        self.rootfs = rootfs
        self.procs = procs
        self.runner = runner
        self._rules: str | None = None

    def find_monitor(self, proc: Proc) -> Proc | None:
        """The process outside of the container that started it; ``None`` where it has ended."""
        seen: set[int] = set()
        while proc.pid not in seen:
            seen.add(proc.pid)
            parent = self.procs.get(proc.parent)
            if parent is None or parent.pid == 1:
                return None
            if not parent.has_other_root():
                return parent
            proc = parent
        return None

    def explain_trust(self, proc: Proc) -> tuple[str, str]:
        """Why root vouches for a container, and why not; one of the two is "".

        A user can give himself a root directory and name it as he likes. He can neither be a child of root's container
        manager, nor make a control group among root's.
        """
        monitor = self.find_monitor(proc)
        name = os.path.basename(monitor.exe or monitor.args[0]) if monitor and monitor.args else ""
        if monitor is not None and set(monitor.uids) != {0}:
            return "", f"user {monitor.user} started the container (process {monitor.pid}, {name})"
        if monitor is not None and name in _MONITORS:
            return f"root's {name} (process {monitor.pid}) started the container", ""
        paths = self._list_paths(proc)
        ours = [path for path in paths if _ID.search(path)]
        if ours and not any(re.search(r"\.service/|user\.slice|/user@", path[: _at(path)]) for path in ours):
            return f"its control group {ours[0]} is root's", ""
        return "", "nothing shows that root started the container"

    def describe(self, proc: Proc) -> Container:
        """All that is to be known of the container of a process."""
        identity = self._find_id(proc)
        monitor = self.find_monitor(proc)
        found = Container(name="", id=identity, engine=self._find_engine(proc, monitor))
        state, source = self._read_state(found)
        if state:
            _apply_state(found, state)
            found.source = source
        elif monitor is not None:
            _apply_monitor(found, monitor.args)
        found.source = found.source or "the kernel"
        found.name = found.name if _NAME.fullmatch(found.name) else identity[:12] or self._find_name(proc)
        if monitor is not None and monitor.uid > 0:
            found.name = f"{monitor.user}/{found.name}"
        found.environment = choose_environment({**found.environment, **proc.environment})
        self._describe_network(found, proc, bool(state))
        inside = container_files.read_mounts(self.rootfs, str(proc.pid))
        host = container_files.read_mounts(self.rootfs, "self")
        found.mounts = [Mount(*item) for item in container_files.find_sources(inside, host)]
        return found

    def open_files(self, proc: Proc) -> container_files.ContainerFiles:
        """Its files.

        :raises OSError: they may not be seen.
        """
        mounts = container_files.read_mounts(self.rootfs, str(proc.pid))
        return container_files.ContainerFiles(self.rootfs.disk(f"/proc/{proc.pid}/root"), mounts)

    def _list_paths(self, proc: Proc) -> list[str]:
        """Its control groups, of all hierarchies, without what is ours in them where we are in a container, too."""
        own = {path for path in _read_paths(self.rootfs, 1) if _ID.search(path)}
        prefix = max((path[: _at(path) + 65] for path in own), key=len, default="")
        return [
            path[len(prefix) :] if prefix and path.startswith(prefix) else path
            for path in _read_paths(self.rootfs, proc.pid)
        ]

    def _find_id(self, proc: Proc) -> str:
        found = {match for path in self._list_paths(proc) for match in _ID.findall(path)[-1:]}
        return found.pop() if len(found) == 1 else ""

    def _find_name(self, proc: Proc) -> str:
        """The name that LXC and systemd-nspawn give a control group; else the process has to do."""
        match = _NAMED.search(" ".join(self._list_paths(proc)))
        return match.group(1) if match else f"process-{proc.pid}"

    def _find_engine(self, proc: Proc, monitor: Proc | None) -> str:
        if monitor is not None and monitor.uid == 0 and monitor.args:
            if "moby" in monitor.args:
                return "docker"
            engine = _MONITORS.get(os.path.basename(monitor.exe or monitor.args[0]), "")
            if engine not in ("", "containerd"):
                return engine
        paths = " ".join(self._list_paths(proc))
        return next((engine for word, engine in _IN_PATH if word in paths), "containerd" if monitor else "")

    def _read_state(self, found: Container) -> tuple[dict[str, Any], str]:
        """What the container's manager says of it, in the form of ``docker inspect``; and who says so."""
        if not found.id:
            return {}, ""
        for client in _CLIENTS.get(found.engine, []):
            text = self.runner([client, "inspect", "--type", "container", found.id], SECONDS)
            for item in _load(text, list):
                if isinstance(item, dict) and item.get("Id") == found.id:
                    return item, f"{client} inspect"
        folder = _load(self.rootfs.text("/etc/docker/daemon.json"), dict).get("data-root") or "/var/lib/docker"
        path = f"{folder}/containers/{found.id}"
        state = _load(self.rootfs.text(f"{path}/config.v2.json", _MOST_STATE), dict)
        if state:
            state["HostConfig"] = _load(self.rootfs.text(f"{path}/hostconfig.json", _MOST_STATE), dict)
            return state, f"{path}/config.v2.json"
        stored = _load(self.rootfs.text("/var/lib/containers/storage/overlay-containers/containers.json"), list)
        for item in stored:
            if isinstance(item, dict) and item.get("id") == found.id:
                found.image = str(_load(str(item.get("metadata", "")), dict).get("image-name", ""))
        return {}, ""

    def _describe_network(self, found: Container, proc: Proc, told: bool) -> None:
        theirs, own = (self.rootfs.link(f"/proc/{which}/ns/net") for which in (proc.pid, "self"))
        found.network = ("host" if theirs == own else "own") if theirs and own else ""
        if found.network == "host":
            found.ports = []
            return
        found.addresses = found.addresses or system.addresses(self.rootfs, f"/proc/{proc.pid}/net")
        found.listens = processes.list_ports(self.rootfs, proc.pid)
        if told:
            return
        rules = self._read_rules()
        found.ports = find_proxied(self.procs.values(), found.addresses)
        found.ports += [item for item in find_translated(rules, found.addresses) if item not in found.ports]
        if not found.ports and not rules:
            found.ports_unknown = (
                f"neither {found.engine or 'the manager of the container'} nor the rules of the firewall could be asked"
            )

    def _read_rules(self) -> str:
        """The rules that translate addresses, as iptables or nft print them; "" where neither can be asked."""
        if self._rules is None:
            commands = (["iptables-save", "-t", "nat"], ["ip6tables-save", "-t", "nat"], ["nft", "list", "ruleset"])
            self._rules = "\n".join(self.runner(command, SECONDS) or "" for command in commands).strip()
        return self._rules


def _at(path: str) -> int:
    match = _ID.search(path)
    return match.start(1) if match else 0


def _read_paths(rootfs: RootFs, pid: int) -> list[str]:
    text = rootfs.text(f"/proc/{pid}/cgroup") or ""
    return list(dict.fromkeys(line.split(":", 2)[2] for line in text.splitlines() if line.count(":") > 1))


def _load(text: str | None, kind: type) -> Any:
    """JSON of a kind, an empty one for anything else."""
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, kind) else kind()


def _get(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _apply_state(found: Container, state: dict[str, Any]) -> None:
    """Take over what ``docker inspect``, ``podman inspect`` or Docker's own file of the container says."""
    found.name = str(_get(state, "Name") or "").lstrip("/")
    found.image = str(_get(state, "ImageName") or _get(state, "Config", "Image") or found.image)
    labels = _get(state, "Config", "Labels") or {}
    found.compose_project = str(_get(labels, _COMPOSE + "project") or "")
    found.compose_service = str(_get(labels, _COMPOSE + "service") or "")
    found.compose_directory = str(_get(labels, _COMPOSE + "project.working_dir") or "")
    files = str(_get(labels, _COMPOSE + "project.config_files") or "")
    found.compose_files = [item for item in files.split(",") if item]
    words = _get(state, "Config", "Env") or []
    found.environment = dict(word.split("=", 1) for word in words if isinstance(word, str) and "=" in word)
    networks = _get(state, "NetworkSettings", "Networks") or {}
    told = [_get(item, "IPAddress") for item in (networks.values() if isinstance(networks, dict) else [])]
    found.addresses = [str(item) for item in [*told, _get(state, "NetworkSettings", "IPAddress")] if item]
    found.addresses = list(dict.fromkeys(found.addresses))
    ports = _get(state, "NetworkSettings", "Ports") or {}
    for name, places in ports.items() if isinstance(ports, dict) else ():
        number, _slash, protocol = str(name).partition("/")
        for place in places or [] if protocol in ("", "tcp") and number.isdigit() else []:
            port = str(_get(place, "HostPort") or "")
            if port.isdigit():
                address = str(_get(place, "HostIp") or "") or "0.0.0.0"  # noqa: S104 - named, not bound
                found.ports.append(PublishedPort(address, int(port), int(number)))


def _apply_monitor(found: Container, args: list[str]) -> None:
    """The name that Podman's monitor was given: ``conmon -c ID -n NAME``."""
    for option, value in zip(args, args[1:]):
        if option == "-n" and found.engine == "podman":
            found.name = value


def choose_environment(given: dict[str, str]) -> dict[str, str]:
    """What of an environment concerns Tomcat and Java, without secrets; what a container's user chose is bounded."""
    chosen = {name: value for name, value in given.items() if _VARIABLE.fullmatch(name)}
    shown = {name: mask_text(value) for name, value in mask(chosen).items()}
    cut = {name: value for name, value in shown.items() if len(value) <= _MOST_VALUE and value.isprintable()}
    return {name: cut[name] for name in sorted(cut)[:_MOST_NAMES]}


def find_proxied(procs: Iterable[Proc], addresses: list[str]) -> list[PublishedPort]:
    """Ports that Docker's userland proxies of root forward to a container: their command lines have both ends."""
    found = []
    for proc in procs:
        if os.path.basename(proc.args[0] if proc.args else "") == "docker-proxy" and proc.uid == 0:
            told = dict(zip(proc.args[1::2], proc.args[2::2]))
            host, inside = told.get("-host-port", ""), told.get("-container-port", "")
            if told.get("-proto") == "tcp" and told.get("-container-ip") in addresses and host.isdigit():
                address = told.get("-host-ip", "0.0.0.0")  # noqa: S104 - named, not bound
                found.append(PublishedPort(address, int(host), int(inside or "0")))
    return found


def find_translated(rules: str, addresses: list[str]) -> list[PublishedPort]:
    """Ports that rules of the firewall translate to a container: Docker's and netavark's chains."""
    found = []
    for line in rules.splitlines():
        match = None if re.search(r"\budp\b", line) else _DNAT.search(line)
        if match and match.group(2).strip("[]") in addresses:
            named = _FOR_ADDRESS.search(line[: match.start(2)])
            address = named.group(1).strip("[]") if named else "0.0.0.0"  # noqa: S104 - named, not bound
            item = PublishedPort(address, int(match.group(1)), int(match.group(3)))
            if item not in found:
                found.append(item)
    return found
