# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applications that run in containers, as facts: seen through the root directory of their process, read only.

Their paths begin with the name of the container ("wiki:/opt/atlassian/confluence"), as those of ``docker cp``: no
module takes one for a file of the host. A container counts where root started it, or where the inventory names it.
"""

from __future__ import annotations

import re

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import Container
from ansible_collections.collab.rtc.plugins.module_utils._detect import application, installations
from ansible_collections.collab.rtc.plugins.module_utils._detect.doubts import (
    Doubts,
    Installation,
    explain_process,
    printable,
)
from ansible_collections.collab.rtc.plugins.module_utils._facts import Application, ServiceUnit
from ansible_collections.collab.rtc.plugins.module_utils._host.container_files import ContainerFiles
from ansible_collections.collab.rtc.plugins.module_utils._host.containers import Finder
from ansible_collections.collab.rtc.plugins.module_utils._host.processes import Proc
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._java.options import read_command_line

_HOSTS_LIMIT = 256 * 1024  # bytes of /etc/hosts


def find_all(
    rootfs: RootFs, procs: dict[int, Proc], finder: Finder, named: list[str], doubts: Doubts
) -> tuple[list[Application], set[int]]:
    """The applications of the host's containers, and the processes that were seen to be theirs.

    :param named: directories that the inventory names; those in containers count.
    :param doubts: gets what does not count.
    """
    found: dict[str, Application] = {}
    seen: set[int] = set()
    for proc in installations.jvms(procs):
        if not proc.has_other_root() or not proc.settle():
            continue
        try:
            files = finder.open_files(proc)
        except OSError as exc:
            reason = f"it is in a container whose files cannot be seen ({exc.strerror}): run with become"
            doubts.add("process", "", reason, "", [_name(proc)], proc)
            seen.add(proc.pid)
            continue
        try:
            _strip_root(rootfs, proc)
            item = _find_installation(files, proc)
            if item is None:
                continue
            seen.add(proc.pid)
            container = finder.describe(proc)
            place = f"{container.name}:{item.path}"
            if place in found:  # an older process of it
                continue
            why, doubt = _explain(files, finder, item, proc, place in named)
            if doubt:
                doubts.add("process", place, doubt, item.kind, [_name(proc)], proc)
                continue
            item.evidence += [f"process {proc.pid} runs in the container {container.name} ({why})"]
            found[place] = _describe(files, item, container)
            for what, reason in files.unreadable.items():
                rootfs.note(f"{container.name}:{printable(what)}", printable(reason))
        finally:
            files.close()
    return list(found.values()), seen


def _name(proc: Proc) -> str:
    return f"process {proc.pid} of user {proc.user}: {proc.exe or proc.args[0]}"


def _strip_root(rootfs: RootFs, proc: Proc) -> None:
    """Let paths of a process that chroot alone put into its root be those that it sees, as in any other container."""
    root = rootfs.link(f"/proc/{proc.pid}/root")
    for name in ("exe", "cwd"):
        path = getattr(proc, name)
        if root != "/" and (path + "/").startswith(root + "/"):
            proc.__dict__[name] = path[len(root) :] or "/"


def _find_installation(files: ContainerFiles, proc: Proc) -> Installation | None:
    properties = read_command_line(proc.args).properties
    base = properties.get("catalina.base") or properties.get("catalina.home", "")
    if not base.startswith("/") or printable(base) != base:
        return None
    path, home = files.real(base), files.real(properties.get("catalina.home") or base)
    kind = installations.kind_of(files, path) or installations.kind_of(files, path, properties, home)
    return Installation(kind, path, proc=proc, tomcat=home if home != path else "") if kind else None


def _explain(files: ContainerFiles, finder: Finder, item: Installation, proc: Proc, named: bool) -> tuple[str, str]:
    """Why it counts, and why not; one of the two is ""."""
    why, doubt = ("rtc_install_dir names it", "") if named else finder.explain_trust(proc)
    if doubt:
        return "", doubt
    _user, doubt = explain_process(files, item, proc)
    return why, doubt


def _describe(files: ContainerFiles, item: Installation, container: Container) -> Application:
    found = application.describe(files, item, {}, contained=True)
    found.container = container
    container.resolves = _read_hosts(files)
    found.service = ServiceUnit("none", "", False, f"it runs in the container {container.name}")
    found.aliases = [item.path]
    _add_name(found, container.name + ":")
    return found


def _read_hosts(files: ContainerFiles) -> dict[str, str]:
    """What the container's own /etc/hosts says, which Docker and Podman write: ``extra_hosts`` are in it."""
    found: dict[str, str] = {}
    for line in (files.text("/etc/hosts", _HOSTS_LIMIT) or "").splitlines():
        words = line.partition("#")[0].split()
        for name in words[1:]:
            if re.fullmatch(r"[\w.-]{1,253}", name) and re.fullmatch(r"[0-9a-fA-F:.]+", words[0]):
                found.setdefault(name.lower(), words[0])
    return dict(sorted(found.items())[:100])


def _add_name(found: Application, prefix: str) -> None:
    """Let the application's paths begin with the name of the container."""

    def place(path: str) -> str:
        return prefix + path if path.startswith("/") else path

    found.install_dir = place(found.install_dir)
    found.home, found.shared_home = place(found.home), place(found.shared_home)
    xml, java = found.server_xml, found.java
    if xml is not None:
        xml.error = xml.error.replace(xml.path, place(xml.path))
        xml.path, xml.context_file, xml.mounted = place(xml.path), place(xml.context_file), False
        for tls in (one for connector in xml.connectors for one in connector.tls):
            tls.keystore, tls.certificate = place(tls.keystore), place(tls.certificate)
            tls.key, tls.chain = place(tls.key), place(tls.chain)
    if java is not None:
        java.home, java.keytool, java.option = place(java.home), place(java.keytool), None
        store = java.truststore
        if store is not None:
            store.error = store.error.replace(store.path, place(store.path))
            store.path, store.real_path = place(store.path), place(store.real_path)
