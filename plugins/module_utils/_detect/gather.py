# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All that is to be known of a host, gathered in one go: the work of ``topology_info``."""

from __future__ import annotations

import os
import re
import time
from typing import Callable

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import is_contained
from ansible_collections.collab.rtc.plugins.module_utils._detect import (
    contained,
    installations,
    managed,
    passage,
    store,
)
from ansible_collections.collab.rtc.plugins.module_utils._detect.application import describe_all, sort_out
from ansible_collections.collab.rtc.plugins.module_utils._detect.doubts import Doubts
from ansible_collections.collab.rtc.plugins.module_utils._detect.installations import unit_of
from ansible_collections.collab.rtc.plugins.module_utils._facts import (
    Application,
    HostFacts,
    Listener,
    ManagedEntry,
    Proxy,
    RtcInstance,
)
from ansible_collections.collab.rtc.plugins.module_utils._host import (
    firewalls,
    processes,
    service_units,
    system,
    writable,
)
from ansible_collections.collab.rtc.plugins.module_utils._host.containers import Finder
from ansible_collections.collab.rtc.plugins.module_utils._host.processes import Proc
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.service_units import UnitState
from ansible_collections.collab.rtc.plugins.module_utils._host.system import Lookups, Runner
from ansible_collections.collab.rtc.plugins.module_utils._obstacle_facts import Unreadable
from ansible_collections.collab.rtc.plugins.module_utils._ownership import Lstat
from ansible_collections.collab.rtc.plugins.module_utils._proxy import registry
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit as rtc_server_unit

RTC_PORTS = (9083, 9093)  # of the add-on beside Confluence and beside Jira (the vendor's page, "Prerequisites")
_UNIT = "rtc-server@{}.service"
_SOCKET = "rtc-server@{}.socket"
_SYSTEMD = 1
_PROXY_PROCESSES = ("nginx", "apache2", "httpd", "haproxy")
_PROXY_USERS = ("root", "nginx", "www-data", "apache", "httpd", "haproxy")  # of sockets: root, as a rule
_PORT = re.compile(r'^\s*"?port"?\s*[=:]\s*(\d+)', re.MULTILINE)


def gather(
    root: str = "/",
    names: list[str] | None = None,
    install_dirs: list[str] | None = None,
    rtc_ports: list[int] | None = None,
    runner: Runner | None = None,
    lookup: Callable[[str], list[str]] | None = None,
    timeout: float = 5.0,
    lstat: Lstat = os.lstat,
    services: dict[str, str] | None = None,
) -> HostFacts:
    """The facts of this host; nothing raises because a part cannot be read: it is in ``unreadable``.

    :param root: what stands for ``/``; commands of the host are run only when it is ``/``.
    :param names: names to resolve besides those that the configuration has.
    :param install_dirs: directories to look for installations in besides the usual ones.
    :param rtc_ports: ports on which an RTC service is looked for.
    :param timeout: for resolving names, in seconds, all together.
    :param lstat: says whose files are; for tests.
    :param services: application -> the unit or SysV script that the inventory says starts it.
    """
    rootfs = RootFs(root, lstat)
    runner = runner or system.make_runner(rootfs)
    lookups = Lookups(names or [], lookup)
    procs = processes.processes(rootfs)
    facts = _describe_system(rootfs, procs)
    facts.listeners = processes.listeners(rootfs, procs)

    starters = service_units.starters(rootfs)
    named = [path for path in install_dirs or [] if is_contained(path)]
    doubts = Doubts(rootfs)
    inside, seen = contained.find_all(rootfs, procs, Finder(rootfs, procs, runner), named, doubts)
    outside = {pid: proc for pid, proc in procs.items() if pid not in seen}
    found = installations.discover(
        rootfs, outside, starters, [path for path in install_dirs or [] if path not in named], doubts
    )
    facts.doubted = doubts.list_all()
    instances = _find_instances(rootfs)
    units = [unit_of(starter) for item in found for starter in item.starters]
    units += [kind.format(name) for name in instances for kind in (_UNIT, _SOCKET)]
    units += [item.proc.unit for item in found if item.proc and item.proc.unit]
    services = {kind: name for kind, name in (services or {}).items() if name}
    units += [name if name.endswith(".service") else name + ".service" for name in services.values()]
    states = service_units.states(sorted(set(units)), runner)
    facts.applications = sort_out([*describe_all(rootfs, found, states, services), *inside])
    lookups.add(_collect_proxy_names(facts.applications))

    facts.proxies = _discover_proxies(rootfs)
    lookups.add(_collect_upstream_names(facts.proxies))
    rtc_ports = rtc_ports or list(RTC_PORTS)
    facts.rtc = _find_rtc(facts, rootfs, procs, instances, states, rtc_ports)
    facts.releases = [name for name in rootfs.names(rtc_server_unit.BASE + "/releases") if not name.startswith(".")]
    if rootfs.root == "/":
        _look_through_proxies(facts, [*(names or []), *_collect_proxy_names(facts.applications)], rtc_ports)
    if facts.selinux == "enforcing" and facts.root:
        facts.selinux_ports, facts.selinux_types = system.selinux_ports(rootfs, rtc_ports, runner)
    facts.firewall_state = firewalls.describe(rootfs, facts.firewall, facts.root, runner)

    facts.resolves, late = lookups.results(timeout)
    for name in late:
        rootfs.note(f"name {name}", f"no answer within {timeout:g} seconds")
    if rootfs.root == "/":
        facts.managed = managed.describe()
    if facts.root:
        recorded = [path for entry in facts.managed.entries for path in _list_files(entry)]
        facts.unwritable = writable.find_unwritable(rootfs, facts.applications, facts.proxies, recorded)
    facts.unreadable = [Unreadable(what, reason) for what, reason in rootfs.unreadable.items()]
    return facts


def _describe_system(rootfs: RootFs, procs: dict[int, Proc]) -> HostFacts:
    identity, version, family = system.system(rootfs)
    python, pythons = system.pythons(rootfs)
    own = system.addresses(rootfs)
    root = os.geteuid() == 0
    if not root and 1 not in procs:  # the file system of /proc is mounted with hidepid
        rootfs.note("processes of other users", "they are hidden: run with become")
    elif rootfs.root == "/" and 1 not in procs:
        rootfs.note("processes", "/proc is not mounted, or shows none but this one's")
    return HostFacts(
        hostname=system.hostname(rootfs),
        machine_id=(rootfs.text("/etc/machine-id") or "").strip(),
        os_id=identity,
        os_version=version,
        os_family=family,
        machine=os.uname().machine,
        systemd=system.systemd_version(rootfs),
        python=python,
        pythons=pythons,
        selinux=system.selinux(rootfs),
        selinux_connect=system.read_selinux_boolean(rootfs, "httpd_can_network_connect"),
        selinux_haproxy_connect=system.read_selinux_boolean(rootfs, "haproxy_connect_any"),
        firewall=firewalls.find(rootfs, procs.values()),
        root=root,
        clock=time.time(),
        addresses=own,
        main_address=system.main_address(rootfs, own),
    )


def _list_files(entry: ManagedEntry) -> list[str]:
    return [path for path in [entry.what.get("path"), *entry.what.get("files", [])] if isinstance(path, str)]


def _collect_proxy_names(applications: list[Application]) -> list[str]:
    files = [application.server_xml for application in applications if application.server_xml]
    return [connector.proxy_name for file in files for connector in file.connectors]


def _collect_upstream_names(proxies: list[Proxy]) -> list[str]:
    routes = [route for proxy in proxies for host in proxy.hosts for route in host.routes]
    return [upstream.host for route in routes for upstream in route.upstreams]


def _discover_proxies(rootfs: RootFs) -> list[Proxy]:
    try:
        return registry.discover(rootfs.root, rootfs.note)
    except Exception as exc:  # one odd file of a proxy must not hide the rest of the host
        rootfs.note("proxies", f"{type(exc).__name__}: {exc}")
        return []


def _look_through_proxies(facts: HostFacts, names: list[str], ports: list[int]) -> None:
    for proxy in facts.proxies:
        if (
            proxy.running and not proxy.unloaded
        ):  # else its answer is not that of the files, which the next reload loads
            proxy.passages = passage.look_through(proxy, names, ports, facts.addresses, facts.main_address)


def _find_instances(rootfs: RootFs) -> dict[str, int]:
    """The deployed instances of the host, by name, with the port of each (0: its configuration may not be read)."""
    found = {}
    for name in rootfs.names(rtc_server_unit.CONFIG_DIR):
        stem, ending = os.path.splitext(name)
        if ending in (".toml", ".json"):
            match = _PORT.search(rootfs.text(f"{rtc_server_unit.CONFIG_DIR}/{name}") or "")
            found[stem] = int(match.group(1)) if match else 0
    return found


def _belongs_to_proxy(facts: HostFacts, listener: Listener) -> bool:
    if listener.pid:
        # The name alone is what any program may give itself.
        return listener.process in _PROXY_PROCESSES and listener.user in _PROXY_USERS
    hosts = [host for proxy in facts.proxies if proxy.running for host in proxy.hosts]
    return any(listen.takes(listener.port) for host in hosts for listen in host.listens)


def _listens_for(item: RtcInstance, port: int, states: dict[str, UnitState]) -> bool:
    """Whether systemd listens on a port for an instance."""
    socket = states.get(_SOCKET.format(item.instance))
    return item.port == port and socket is not None and socket.active


def _find_rtc(
    facts: HostFacts,
    rootfs: RootFs,
    procs: dict[int, Proc],
    instances: dict[str, int],
    states: dict[str, UnitState],
    ports: list[int],
) -> list[RtcInstance]:
    release = os.path.basename(rootfs.real(rtc_server_unit.BASE + "/current"))
    release = "" if release == "current" else release
    deployed = {}
    for name, port in instances.items():
        unit = _UNIT.format(name)
        active = unit in states and states[unit].active
        deployed[name] = RtcInstance("deployed", port, instance=name, unit=unit, active=active, release=release)
        deployed[name].store = store.look(rootfs, name)
    others = []
    jvms = {item.process.pid for item in facts.applications if item.process}
    users = {item.process.user: item.process.pid for item in facts.applications if item.process}
    for listener in facts.listeners:
        proc = procs.get(listener.pid)
        unit = proc.unit if proc else ""
        mine = next((item for item in deployed.values() if unit and item.unit == unit), None)
        if mine is None and not proc:  # not permitted to see the process: the port and the user must do
            mine = next((item for item in deployed.values() if item.port == listener.port and item.active), None)
        waits = listener.pid == _SYSTEMD  # for a socket unit, whose service does not run
        if mine is None and waits:
            mine = next((item for item in deployed.values() if _listens_for(item, listener.port, states)), None)
        if mine is not None:
            if mine.port in (0, listener.port):
                mine.port, mine.address = listener.port, listener.address
                mine.pid, mine.process, mine.active = listener.pid, listener.process, mine.active or not waits
        elif listener.port in {*ports, *instances.values()} and not _belongs_to_proxy(facts, listener):
            # Where it may not be seen which process has the socket, the user of the application must do.
            pid = listener.pid or users.get(listener.user, 0)
            builtin = pid in jvms
            kind = "builtin" if builtin else "foreign"
            others.append(RtcInstance(kind, listener.port, listener.address, active=True))
            others[-1].process, others[-1].pid = listener.process, pid
    return [*deployed.values(), *others]
