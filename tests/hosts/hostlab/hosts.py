# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers: start them from whatever state they are in, and know when they are ready."""

from __future__ import annotations

import enum
import hashlib
import http.client
import ipaddress
import json
import re
import shutil
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import ssh
from .console import say, step
from .errors import LabError
from .images import Image
from .inventory import Host, Lab
from .machine import run
from .podman import LEASES, Podman

LABEL = "rtc.lab"
STATE_LABEL = "rtc.lab.state"
SPEC_LABEL = "rtc.lab.spec"
READY_TIMEOUT_S = 180.0
REMOVE_TIMEOUT_S = 20
POLL_S = 0.25
# systemd mounts credentials and sandboxes in namespaces below a shared root; a container's root is private.
ENTRY = "mount --make-rshared / && /usr/local/lib/rtc-lab-host/first-boot && exec /sbin/init"
# /sys/fs/selinux is made before systemd looks at it.
REDHAT_ENTRY = f"/usr/local/lib/rtc-lab-host/enforcing && {ENTRY}"
TCP_LISTEN = "0A"


class Outcome(enum.Enum):
    """What bringing a host up came to."""

    KEPT = "ran already"
    RESTARTED = "started again with its disk"
    MADE = "made anew"


class NetworkBrokenError(LabError):
    """Podman holds an address of the network for a container that is gone."""


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
    settings |= {f"LAB_STORE_{product.upper()}": store.kind for product, store in host.stores.items()}
    settings |= {"LAB_TOMCAT": str(host.tomcat)} if host.stores else {}
    for product, store in host.stores.items():
        for source, target in (("fullchain.pem", f"{product}.crt"), ("privkey.pem", f"{product}.key")):
            shutil.copy(lab.state / "pki" / store.name / source, folder / target)
    env = "".join(f"{key}='{value}'\n" for key, value in settings.items())
    (folder / "host.env").write_text(env, encoding="utf-8")
    aliases = [f"--network-alias={name}" for name in (host.name, *host.names)]
    arguments = (
        "--systemd=always",
        "--cap-add=SYS_ADMIN",
        # What root has on every real host: to see which process listens, and to run a firewall.
        *("--cap-add=SYS_PTRACE", "--cap-add=NET_ADMIN", "--cap-add=NET_RAW"),
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
        REDHAT_ENTRY if host.family == "redhat" else ENTRY,
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
    """Whether this container of `podman ps` really runs: after a hard stop of the machine it may only be listed so.

    Its process id may belong to another process by then, so the process must be in the container's control group.
    """
    try:
        groups = Path(f"/proc/{int(container.get('Pid') or 0)}/cgroup").read_text(encoding="utf-8")
    except OSError:
        return False
    return container.get("State") == "running" and str(container["Id"]) in groups


def network_is_right(podman: Podman, lab: Lab) -> bool:
    """Whether Podman knows the lab's network, with the inventory's subnet."""
    found = [net for net in podman.json("network", "ls") if net["name"] == lab.name]
    return bool(found) and [subnet["subnet"] for subnet in found[0].get("subnets") or []] == [lab.subnet]


def make_network(podman: Podman, lab: Lab) -> None:
    """Make the lab's network anew. Its containers go: without it they reach nothing, and are soon made again."""
    for container in podman.containers(f"{LABEL}={lab.name}"):
        remove(podman, container)
    podman("network", "rm", "--force", lab.name, check=False)
    labels = (f"--label={LABEL}={lab.name}", f"--label={STATE_LABEL}={lab.state}")
    create = ("network", "create", f"--subnet={lab.subnet}", *labels, lab.name)
    made = podman(*create, check=False)
    if made.returncode and _remove_orphan_bridge(podman, lab.subnet):
        made = podman(*create, check=False)
    if made.returncode:
        raise LabError(
            f"Cannot make the network {lab.name} with {lab.subnet}: {made.stderr.strip()}\nIf the subnet is taken on "
            "this machine, choose another one in the inventory (lab_subnet, and ansible_host of its hosts)."
        )


def forget_leases(podman: Podman) -> None:
    """Make Podman forget which addresses it gave out; call it with no container of the lab left.

    It keeps them by the network's name, beyond the network's own end, and a lease whose container was lost with a hard
    stop of the machine is never freed. They are no use when nothing runs. Raises LabError when something does run.
    """
    running = [container["Names"][0] for container in podman.json("ps", "--all") if is_alive(container)]
    if running:
        raise LabError(
            f"Podman holds an address of the lab for a container that is gone, and only forgets it when nothing runs; "
            f"stop {', '.join(running)}, or give the lab another name with --name."
        )
    LEASES.unlink(missing_ok=True)


def _remove_orphan_bridge(podman: Podman, subnet: str) -> bool:
    """Remove the bridge of a network that Podman no longer knows (lost configuration, hard stop), if it has our subnet.

    Returns whether one was removed. Only Podman's own kind of name, of which no network of Podman speaks, is touched.
    """
    known = {net.get("network_interface") for net in podman.json("network", "ls")}
    wanted_net = ipaddress.ip_network(subnet)
    removed = False
    for link in json.loads(run(["ip", "-json", "-4", "address"]).stdout):
        name = str(link.get("ifname"))
        inside = any(ipaddress.ip_address(entry["local"]) in wanted_net for entry in link.get("addr_info", []))
        if inside and re.fullmatch(r"podman\d+", name) and name not in known:
            say(f"removing the bridge {name}: left over from a network that Podman has lost")
            run(["ip", "link", "delete", name])
            removed = True
    return removed


def bring_up(podman: Podman, target: Wanted, current: dict[str, Any] | None, *, fresh: bool = False) -> Outcome:
    """Make the container run as wanted: keep it, start it again, or make it anew (always, if `fresh`)."""
    name = target.container
    if current:
        same = (current.get("Labels") or {}).get(SPEC_LABEL) == target.spec
        if same and not fresh and is_alive(current):
            return Outcome.KEPT
        if same and not fresh and current.get("State") != "running":
            say(f"{target.host.name}: was {current.get('State')}, starting it again")
            again = podman("start", name, check=False)
            if again.returncode == 0:
                return Outcome.RESTARTED
            say(
                f"{target.host.name}: cannot be started again, making it anew: {again.stderr.strip().splitlines()[-1:]}"
            )
        if not same:
            say(f"{target.host.name}: image or description has changed, making it anew")
        remove(podman, name)
    command = ("run", "--detach", f"--name={name}", f"--label={SPEC_LABEL}={target.spec}", *target.arguments)
    started = podman(*command, check=False)
    if started.returncode:
        # Half-made by an interrupted run, or a leftover that only its name betrays: once more from nothing.
        remove(podman, name)
        started = podman(*command, check=False)
    if "already allocated" in started.stderr:
        raise NetworkBrokenError(f"{target.host.name}: {started.stderr.strip()}")
    if started.returncode:
        raise LabError(f"Cannot start {target.host.name}: {started.stderr.strip()}")
    return Outcome.MADE


def remove(podman: Podman, container: str) -> None:
    """Remove the container, whatever state it is in; no error when there is none. Raises LabError."""
    deadline = time.monotonic() + REMOVE_TIMEOUT_S
    while True:
        removed = podman("rm", "--force", "--time=0", "--volumes", "--ignore", container, check=False)
        if removed.returncode == 0:
            return
        # The mount namespace of another container that starts just now still holds this one's /dev/shm for a moment.
        if "busy" not in removed.stderr or time.monotonic() > deadline:
            raise LabError(f"Cannot remove {container}: {removed.stderr.strip()}")
        time.sleep(0.2)


def services_listen(container: dict[str, Any], host: Host) -> bool:
    """Whether sshd and the applications of this running container listen, by the machine's own view of it (no call)."""
    return {22, *host.ports.values()} <= listening_ports(int(container["Pid"]))


def wait_ready(podman: Podman, target: Wanted, outcome: Outcome) -> None:
    """Return when systemd, sshd and the applications of the host are up. Raises LabError with what is not, and why."""
    host, name = target.host, target.container
    deadline = time.monotonic() + READY_TIMEOUT_S
    with step(f"{host.name}: waiting for systemd, sshd{' and ' + ', '.join(host.products) if host.products else ''}"):
        _wait_systemd(podman, name, host, deadline)
        if outcome is Outcome.KEPT:
            _start_services(podman, name, host)
        pid = _pid(podman, name)
        needed = {22, *host.ports.values()}

        def why() -> str:
            return _why(podman, name, host, needed)

        _wait(lambda: needed <= listening_ports(pid), deadline, why)
        _wait(lambda: _ssh_answers(host), deadline, lambda: f"{host.name}: sshd listens but does not answer")
        # Only a new host is known to have its connector on the outer address: the roles may move it to loopback.
        if outcome is Outcome.MADE:
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
        # --wait: one call that lasts until all units are up; it fails at once while D-Bus is not there yet.
        asked = podman("exec", container, "systemctl", "is-system-running", "--wait", check=False)
        state = asked.stdout.strip()
        if state == "degraded":
            failed = podman("exec", container, "systemctl", "--failed", "--no-legend", "--plain", check=False).stdout
            raise LabError(
                f"{host.name}: systemd says degraded; failed units:\n{failed}"
                f"See `lab exec {host.name} journalctl -b`, or make it anew: `lab reset {host.name}`."
            )
        if time.monotonic() > deadline:
            raise LabError(f"{host.name}: systemd is still {state or 'not answering'} after {READY_TIMEOUT_S:.0f} s.")
        if state != "running":
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
    if product in host.stores:  # that it answers is asked here, not whom it is trusted by
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(host.address, port, timeout=20, context=context)
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
    return (
        f"{host.name}: after {READY_TIMEOUT_S:.0f} s {what}.\n{''.join(logs)}\nMake it anew: `lab reset {host.name}`."
    )
