# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the lab."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import hosts, images, inventory, machine, pki, ssh
from .console import say
from .errors import LabError
from .inventory import Host, Lab
from .machine import alone
from .podman import Podman, forget_the_last_boot, refresh_names

REPOSITORY_ROOT = Path(__file__).resolve().parents[3]
DEFAULT_INVENTORY = REPOSITORY_ROOT / "inventories/lab/hosts.yml"
MARKER = ".rtc-lab-state"
# More at once does not help on two cores.
WORKERS = 4


def up(lab: Lab, podman: Podman, chosen: list[Host], *, fresh: bool = False) -> None:
    """Bring the hosts up from whatever state the machine is in; `fresh`: throw their containers away first."""
    machine.install_missing(lab.state / "log")
    machine.allow_watchers(len(lab.hosts))
    ssh.ensure(lab)
    pki.ensure(lab.state / "pki", lab.server_names)
    mirrors = machine.find_mirrors()
    of_host = {host.name: images.image_for(host, mirrors) for host in chosen}
    images.ensure(podman, list(of_host.values()), mirrors)
    targets = [hosts.wanted(lab, host, of_host[host.name]) for host in chosen]
    if not hosts.network_is_right(podman, lab):
        hosts.make_network(podman, lab)
    try:
        started = _start(lab, podman, targets, fresh=fresh)
    except hosts.NetworkBrokenError as err:
        say(f"{err}: making the network and its hosts anew")
        down(lab, podman, None)
        hosts.forget_leases(podman)
        hosts.make_network(podman, lab)
        started = _start(lab, podman, targets, fresh=False)
    if started:
        refresh_names()
        with alone(images.LOCK):
            images.remove_stale(podman, list(of_host.values()))
    say(f"{lab.name}: {len(chosen)} host{'s' if len(chosen) > 1 else ''} up")


def _start(lab: Lab, podman: Podman, targets: list[hosts.Wanted], *, fresh: bool) -> bool:
    """Start what does not run, wait until all is ready. Returns whether there was anything to do; raises LabError."""
    there = podman.containers(f"{hosts.LABEL}={lab.name}")

    def one(target: hosts.Wanted) -> bool:
        current = there.get(target.container)
        outcome = hosts.bring_up(podman, target, current, fresh=fresh)
        if outcome is hosts.Outcome.KEPT and current and hosts.services_listen(current, target.host):
            return False
        hosts.wait_ready(podman, target, outcome)
        say(f"{target.host.name}: up at {target.host.address} ({outcome.value})")
        return True

    with ThreadPoolExecutor(WORKERS) as pool:
        results = [pool.submit(one, target) for target in targets]
    failures = [error for result in results if (error := result.exception())]
    for error in failures:
        if not isinstance(error, LabError) or isinstance(error, hosts.NetworkBrokenError):
            raise error
    if failures:
        raise LabError("\n".join(str(error) for error in failures)) from failures[0]
    return any(result.result() for result in results)


def down(lab: Lab, podman: Podman, chosen: list[Host] | None) -> None:
    """Remove the containers of these hosts; None: all of the lab, those too that the inventory no longer names."""
    there = podman.containers(f"{hosts.LABEL}={lab.name}")
    names = list(there) if chosen is None else [lab.container(host) for host in chosen if lab.container(host) in there]
    _remove_containers(podman, names)


def clean(lab: Lab, podman: Podman, *, every_lab: bool) -> None:
    """Remove all that the lab (or every lab) made on this machine, but not the packages that it installed."""
    states = {lab.state}
    if machine.has_podman():
        label = hosts.LABEL if every_lab else f"{hosts.LABEL}={lab.name}"
        _remove_containers(podman, list(podman.containers(label)))
        for network in podman.json("network", "ls", "--filter", f"label={label}"):
            podman("network", "rm", "--force", network["name"])
            state = (network.get("labels") or {}).get(hosts.STATE_LABEL)
            states |= {Path(state)} if state else set()
            say(f"removed the network {network['name']}")
        with alone(images.LOCK):
            gone, kept = images.remove_all(podman)
            images.remove_trees()
        say(f"removed {gone} images" + (f", kept {kept} that another lab uses" if kept else ""))
    for state in states:
        if (state / MARKER).exists():
            shutil.rmtree(state)
            say(f"removed {state}")


def _remove_containers(podman: Podman, names: list[str]) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda name: hosts.remove(podman, name), names))
    say(f"removed {len(names)} container{'' if len(names) == 1 else 's'}")


def status(lab: Lab, podman: Podman) -> int:
    """Print a table of the hosts. Returns 0 when all are up, else 3."""
    there = podman.containers(f"{hosts.LABEL}={lab.name}") if machine.has_podman() else {}
    rows = [("host", "address", "state", "debian", "image", "applications", "names")]
    all_up = True
    for host in lab.hosts.values():
        container = there.get(lab.container(host))
        state = "absent" if container is None else str(container["State"])
        if container and hosts.is_alive(container):
            state = "up" if hosts.services_listen(container, host) else "services stopped"
        elif container and state == "running":
            state = "dead"
        all_up = all_up and state == "up"
        products = ", ".join(f"{p}:{host.ports[p]}{host.contexts[p] or '/'}" for p in host.products) or "-"
        rows.append((host.name, host.address, state, str(host.debian), host.image, products, " ".join(host.names)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0 if all_up else 3


def into_host(lab: Lab, host: Host, podman: Podman, command: list[str], *, as_root: bool) -> int:
    """Run a command on a host and show what it says: as root through Podman, or as `admin` through ssh."""
    if as_root:
        interactive = ["--interactive", "--tty"] if sys.stdin.isatty() else []
        words = ["podman", "exec", *interactive, lab.container(host), *(command or ["bash"])]
    else:
        key, known = lab.state / ssh.USER_KEY, lab.state / "ssh/known_hosts"
        options = ["-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes"]
        words = ["ssh", *options, f"admin@{host.address}", *command]
    return subprocess.run(words, env={**os.environ, **podman.env}, check=False).returncode


def _give_to_caller(lab: Lab) -> None:
    """After sudo, the state belongs to who called: Ansible reads keys and certificates without root."""
    if "SUDO_UID" in os.environ:
        owner = (int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))
        for path in [lab.state.parent, lab.state, *lab.state.rglob("*")]:
            os.lchown(path, *owner)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="Real test hosts in Podman containers.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--inventory", type=Path, default=DEFAULT_INVENTORY, help="Ansible inventory that describes the hosts"
    )
    common.add_argument("--name", help="name of the lab instead of the inventory's lab_name")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("up", "make and start what is missing, wait until all is ready"),
        ("down", "remove the containers"),
        ("reset", "make these hosts anew, as they were at first"),
    ):
        verbs.add_parser(verb, help=text, parents=[common]).add_argument("hosts", nargs="+" if verb == "reset" else "*")
    verbs.add_parser("status", help="show the hosts; 3 when one is not up", parents=[common])
    cleaning = verbs.add_parser("clean", help="remove containers, network, images and state", parents=[common])
    cleaning.add_argument("--all", action="store_true", help="of every lab on this machine")
    for verb, text in (("ssh", "log in as the administrator"), ("exec", "run a command as root")):
        one = verbs.add_parser(verb, help=text, parents=[common])
        one.add_argument("host")
        one.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _run(options: argparse.Namespace) -> int:
    lab = inventory.read(options.inventory, options.name)
    if forget_the_last_boot():
        say("the machine has started anew since the last run: Podman's containers are all stopped")
    podman = Podman(lab.state)
    if options.verb in ("ssh", "exec"):
        host = lab.select([options.host])[0]
        return into_host(lab, host, podman, options.command, as_root=options.verb == "exec")
    if options.verb == "status":
        return status(lab, podman)
    chosen = lab.select(getattr(options, "hosts", []))
    with alone(f"rtc-lab-{lab.name}"):
        if options.verb == "clean":
            clean(lab, podman, every_lab=options.all)
            return 0
        lab.state.mkdir(parents=True, exist_ok=True)
        (lab.state / MARKER).touch()
        if options.verb == "down":
            if machine.has_podman():
                down(lab, podman, chosen if options.hosts else None)
        else:
            up(lab, podman, chosen, fresh=options.verb == "reset")
        _give_to_caller(lab)
    return 0


def main() -> int:
    """Run the command line. Returns the exit status: 0, 1 with a message on stderr, 3 from `status`."""
    options = _parser().parse_args()
    if os.geteuid() != 0:
        # Only root's containers have addresses that SSH can reach.
        if not shutil.which("sudo"):
            print("lab: needs root, and there is no sudo: call it as root.", file=sys.stderr)
            return 1
        print("lab: needs root: going on with sudo", file=sys.stderr)
        os.execvp("sudo", ["sudo", sys.executable, str(Path(sys.argv[0]).resolve()), *sys.argv[1:]])
    try:
        return _run(options)
    except LabError as err:
        print(f"lab: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; call the same command again to go on.", file=sys.stderr)
        return 130
