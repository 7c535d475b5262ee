# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that the lab runs on: commands, the packages that the lab needs, where its Debian packages come from."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .console import say, step
from .errors import LabError

# What the lab calls -> the package of Debian and Ubuntu that has it.
NEEDED = {
    "podman": "podman",
    "runc": "runc",
    "conmon": "conmon",
    "iptables": "iptables",
    "ip": "iproute2",
    "debootstrap": "debootstrap",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class Mirrors:
    """Where Debian packages come from, and what apt has to know to reach it (lines of apt.conf)."""

    main: str
    security: str
    apt_conf: str
    http_proxy: str


def run(
    command: Sequence[str],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.CompletedProcess[str]:
    """Run a command; with `log`, its output goes to that file, else it is in the result.

    Raises LabError with the end of the output when it fails and `check` is set, or when there is no such command.
    """
    environment = {**os.environ, **(env or {})}
    environment["PATH"] = os.pathsep.join([environment.get("PATH", "/usr/bin:/bin"), *SYSTEM_PATHS])
    try:
        if log is None:
            done = subprocess.run(command, env=environment, stdin=stdin, capture_output=True, text=True, check=False)
            output = done.stdout + done.stderr
        else:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("w+", encoding="utf-8", errors="replace") as sink:
                done = subprocess.run(
                    command, env=environment, stdin=stdin, stdout=sink, stderr=subprocess.STDOUT, text=True, check=False
                )
                sink.seek(0)
                output = sink.read()
    except FileNotFoundError as err:
        raise LabError(f"{command[0]} is not installed: {err}") from err
    if check and done.returncode:
        tail = "\n    ".join(output.strip().splitlines()[-15:])
        where = f"; all of its output: {log}" if log else ""
        raise LabError(f"`{' '.join(command)}` failed with {done.returncode}{where}\n    {tail}")
    return done


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Hold the lock of this name on this machine; wait, and say so, while another process holds it."""
    with (Path(tempfile.gettempdir()) / f"{name}.lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another lab command holds {name}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def missing_packages() -> list[str]:
    """Names of the packages that the lab needs and this machine lacks."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_PATHS])
    absent = []
    for thing, package in NEEDED.items():
        found = Path(thing).exists() if thing.startswith("/") else shutil.which(thing, path=path)
        if not found and package not in absent:
            absent.append(package)
    return absent


def has_podman() -> bool:
    """Whether Podman can be asked: it refuses everything without its helper for networks. Where one of them is missing,
    there is nothing of a lab yet."""
    return not {"podman", "netavark"} & set(missing_packages())


def install_missing(log_dir: Path) -> None:
    """Install what the lab needs with apt, after saying so. Raises LabError where that cannot be done."""
    packages = missing_packages()
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise LabError(
            f"The lab needs {', '.join(packages)} (names as in Debian) and this machine has no apt-get: install them "
            "with its own package manager, then call this again."
        )
    say(f"installing with apt what the lab needs and this machine lacks: {' '.join(packages)}")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    with step("apt-get update"):
        # One broken source of someone else's must not stop us; whether the packages are there shows below.
        run(["apt-get", "update"], log=log_dir / "apt-update.log", env=env, check=False)
    with step("apt-get install"):
        command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
        run(command, log=log_dir / "apt-install.log", env=env)
    still = missing_packages()
    if still:
        raise LabError(f"apt installed {', '.join(packages)}, but what {', '.join(still)} should bring is not there.")


WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
WATCHERS_PER_HOST = 16  # of systemd, its path units, dbus; seen: 9


def allow_watchers(hosts: int) -> None:
    """Raise the machine's limit on inotify instances, which all containers share: beyond it systemd's units fail."""
    needed = 128 + WATCHERS_PER_HOST * hosts
    if int(WATCHERS.read_text(encoding="ascii")) >= needed:
        return
    try:
        WATCHERS.write_text(str(needed), encoding="ascii")
        say(f"{WATCHERS} is {needed} now, for {hosts} hosts")
    except OSError as err:
        say(f"{WATCHERS} cannot be raised to {needed} ({err.strerror}); with many hosts, units of systemd may fail")


def _os_release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: value.strip('"') for key, value in pairs}


def _apt_setting(name: str) -> str:
    if not shutil.which("apt-config"):
        return ""
    shown = run(["apt-config", "dump", "--format", "%v%n", name], check=False).stdout.splitlines()
    return shown[0] if shown else ""


def find_mirrors() -> Mirrors:
    """The Debian mirrors in this machine's apt sources, or in LAB_MIRROR and LAB_SECURITY_MIRROR. Raises LabError."""
    release = _os_release()
    main, security = os.environ.get("LAB_MIRROR", ""), os.environ.get("LAB_SECURITY_MIRROR", "")
    if release.get("ID") == "debian" and shutil.which("apt-get"):
        codename = release.get("VERSION_CODENAME", "")
        targets = run(
            ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"], check=False
        ).stdout
        sources = dict(reversed([line.split(" ", 1) for line in targets.splitlines() if " " in line]))
        main = sources.get(codename, main).rstrip("/")
        security = sources.get(f"{codename}-security", security).rstrip("/")
    if not main or not security:
        raise LabError(
            "This machine's apt sources name no Debian mirror. Set LAB_MIRROR and LAB_SECURITY_MIRROR to URLs."
        )
    conf = []
    for name in ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until"):
        value = _apt_setting(name)
        if value:
            conf.append(f'{name} "{value}";')
    return Mirrors(main, security, "".join(f"{line}\n" for line in conf), _apt_setting("Acquire::http::Proxy"))
