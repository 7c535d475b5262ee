# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers: start them from whatever state they are in, and know when they are ready."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostlab import ssh
from hostlab.console import say, step
from hostlab.errors import LabError
from hostlab.images import Image
from hostlab.inventory import Host, Lab
from hostlab.podman import Podman

LABEL = "rtc.lab"
SPEC_LABEL = "rtc.lab.spec"
READY_TIMEOUT_S = 180.0
POLL_S = 0.25
# systemd mounts credentials and sandboxes in namespaces below a shared root; a container's root is private.
ENTRY = "mount --make-rshared / && /usr/local/lib/rtc-lab-host/first-boot && exec /sbin/init"
TCP_LISTEN = "0A"


@dataclass(frozen=True)
class Wanted:
    """What a host's container must be like. `spec`: a hash of all of it, kept as a label of the container."""

    host: Host
    container: str
    arguments: tuple[str, ...]
    spec: str


def wanted(lab: Lab, host: Host, image: Image) -> Wanted:
    """Work out the container of a host, and write the files that it mounts."""
    folder = ssh.host_folder(lab, host.name)
    settings = {"LAB_PRODUCTS": " ".join(host.products), "LAB_SERVICE": host.service}
    settings |= {f"LAB_CONTEXT_{product.upper()}": path for product, path in host.contexts.items()}
    env = "".join(f"{key}='{value}'\n" for key, value in settings.items())
    (folder / "host.env").write_text(env, encoding="utf-8")
    aliases = [f"--network-alias={name}" for name in (host.name, *host.names)]
    arguments = (
        "--systemd=always",
        "--cap-add=SYS_ADMIN",
        "--security-opt=label=disable",
        f"--network={lab.name}",
        f"--ip={host.address}",
        *aliases,
        f"--hostname={host.name}",
        f"--volume={folder}:/etc/rtc-lab:ro",
        f"--label={LABEL}={lab.name}",
        image.tag,
        "/bin/sh",
        "-c",
        ENTRY,
    )
    keys = [(folder / name).read_text(encoding="utf-8") for name in ("authorized_keys", f"{ssh.HOST_KEY}.pub")]
    spec = hashlib.sha256(json.dumps([arguments, env, keys]).encode()).hexdigest()[:16]
    return Wanted(host, lab.container(host), arguments, spec)


def listening_ports(pid: int) -> set[int]:
    """TCP ports that are listened on in the network namespace of this process; empty when there is no such process."""
    ports = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == TCP_LISTEN:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def is_alive(container: dict[str, Any]) -> bool:
    """Whether this container of `podman ps` really runs: a machine that stopped hard may leave it listed as running."""
    pid = int(container.get("Pid") or 0)
    return container.get("State") == "running" and pid > 0 and Path(f"/proc/{pid}").exists()


def ensure_network(podman: Podman, lab: Lab) -> None:
    """Create the lab's network; make it anew when it has another subnet (its containers go with it)."""
    found = [net for net in podman.json("network", "ls") if net["name"] == lab.name]
    if found:
        subnets = [subnet["subnet"] for subnet in found[0].get("subnets") or []]
        if subnets == [lab.subnet]:
            return
        say(f"network {lab.name} has {', '.join(subnets)}, not {lab.subnet}: making it anew")
        podman("network", "rm", "--force", lab.name)
    made = podman("network", "create", f"--subnet={lab.subnet}", f"--label={LABEL}={lab.name}", lab.name, check=False)
    if made.returncode:
        raise LabError(
            f"Cannot make the network {lab.name} with {lab.subnet}: {made.stderr.strip()}\nIf the subnet is taken on this "
            "machine, choose another one in the inventory (lab_subnet, and ansible_host of its hosts)."
        )


def bring_up(podman: Podman, target: Wanted, current: dict[str, Any] | None, *, fresh: bool = False) -> bool:
    """Make the container run as wanted. Returns whether it was started now (and not found running)."""
    name = target.container
    if current:
        same = (current.get("Labels") or {}).get(SPEC_LABEL) == target.spec
        if same and not fresh and is_alive(current):
            return False
        if same and not fresh and current.get("State") != "running":
            say(f"{target.host.name}: was {current.get('State')}, starting it again")
            if podman("start", name, check=False).returncode == 0:
                return True
        if not same:
            say(f"{target.host.name}: image or description has changed, making it anew")
        remove(podman, name)
    command = ("run", "--detach", f"--name={name}", f"--label={SPEC_LABEL}={target.spec}", *target.arguments)
    started = podman(*command, check=False)
    if started.returncode:
        # Half-made by an interrupted run, or a leftover that only its name betrays: once more from nothing.
        remove(podman, name)
        podman(*command)
    return True


def remove(podman: Podman, container: str) -> None:
    """Remove the container, whatever state it is in; no error when there is none."""
    podman("rm", "--force", "--time=0", "--volumes", "--ignore", container)


def wait_ready(podman: Podman, target: Wanted, *, started: bool) -> None:
    """Return when systemd, sshd and the applications of the host are up. Raises LabError with what is not, and why."""
    host, name = target.host, target.container
    deadline = time.monotonic() + READY_TIMEOUT_S
    with step(f"{host.name}: waiting for systemd, sshd{' and ' + ', '.join(host.products) if host.products else ''}"):
        pid = _pid(podman, name)
        needed = {22, *host.ports.values()}
        if not started and needed <= listening_ports(pid):
            return
        _wait_systemd(podman, name, host, deadline)
        if not started:
            _start_services(podman, name, host)

        def why() -> str:
            return _why(podman, name, host, needed)

        _wait(lambda: needed <= listening_ports(_pid(podman, name)), deadline, why)
        _wait(lambda: _ssh_answers(host), deadline, lambda: f"{host.name}: sshd listens but does not answer")
        if started:
            _wait(lambda: all(_application_answers(host, *item) for item in host.ports.items()), deadline, why)


def _wait(condition: Callable[[], bool], deadline: float, complaint: Callable[[], str]) -> None:
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(complaint())
        time.sleep(POLL_S)


def _pid(podman: Podman, container: str) -> int:
    answer = podman("inspect", "--format", "{{.State.Pid}}", container).stdout.strip()
    pid = int(answer or 0)
    if pid == 0:
        said = podman("logs", "--tail=15", container, check=False)
        raise LabError(f"{container} has stopped by itself. It said:\n{said.stdout}{said.stderr}")
    return pid


def _wait_systemd(podman: Podman, container: str, host: Host, deadline: float) -> None:
    state = ""
    while state != "running":
        _pid(podman, container)
        asked = podman("exec", container, "systemctl", "is-system-running", check=False)
        state = asked.stdout.strip()
        if state == "degraded":
            failed = podman("exec", container, "systemctl", "--failed", "--no-legend", "--plain", check=False).stdout
            raise LabError(
                f"{host.name}: systemd says degraded; failed units:\n{failed}"
                f"See `lab exec {host.name} journalctl -b`, or make it anew: `lab reset {host.name}`."
            )
        if time.monotonic() > deadline:
            raise LabError(f"{host.name}: systemd is still {state or 'not answering'} after {READY_TIMEOUT_S:.0f} s.")
        time.sleep(POLL_S)


def _start_services(podman: Podman, container: str, host: Host) -> None:
    """A host that was found running may have had its services stopped: start them."""
    for unit in ("ssh", *host.products):
        podman("exec", container, "systemctl", "start", unit, check=False)


def _ssh_answers(host: Host) -> bool:
    try:
        with socket.create_connection((host.address, 22), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _application_answers(host: Host, product: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host.address, port, timeout=20)
    try:
        connection.request("GET", f"{host.contexts[product]}/rtc-lab/request.jsp")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _why(podman: Podman, container: str, host: Host, needed: set[int]) -> str:
    absent = sorted(needed - listening_ports(_pid(podman, container)))
    logs = []
    for product in host.products:
        script = f"systemctl status --no-pager {product}; tail -n 15 /opt/atlassian/{product}/logs/catalina.out"
        logs.append(podman("exec", container, "sh", "-c", script, check=False).stdout)
    what = f"nothing listens on {absent}" if absent else "an application answers with an error"
    return f"{host.name}: after {READY_TIMEOUT_S:.0f} s {what}.\n{''.join(logs)}\nMake it anew: `lab reset {host.name}`."
