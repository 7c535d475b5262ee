# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman, called in the way that works on every machine the lab was tried on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from .machine import run

CONF = Path(__file__).resolve().parent.parent / "containers.conf"

# Where Podman, as root, keeps what must not outlive a boot: the mark that it has started, the addresses that it gave
# out, its name server's process id, and the mount points of its containers' network namespaces.
ALIVE = Path("/run/libpod/alive")
LEASES = Path("/run/containers/networks/ipam.db")
NAME_SERVER = Path("/run/containers/networks/aardvark-dns")
NAMESPACES = Path("/run/netns")


def forget_the_last_boot() -> bool:
    """Tell Podman that the machine has started anew, where it cannot see that itself. Returns whether there was need.

    It trusts that /run is empty after a boot. On a machine whose /run is on a disk it takes the containers of the
    last boot for living ones, and every command of it fails on their lost network namespaces.
    """
    if not ALIVE.exists() or ALIVE.stat().st_mtime >= _boot_time():
        return False
    for namespace in NAMESPACES.glob("netns-*"):
        if not os.path.ismount(namespace):
            namespace.unlink()
    LEASES.unlink(missing_ok=True)
    # The process id in there may belong to anyone by now, and Podman would signal it.
    shutil.rmtree(NAME_SERVER, ignore_errors=True)
    ALIVE.unlink()
    return True


def refresh_names() -> None:
    """Let every name server of Podman read its files anew.

    Podman notifies only the one whose process id it wrote down. Two that were started at the same moment share the
    networks, and some names are then answered by the one that is never notified.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            if command[0].endswith(b"/aardvark-dns") and os.fsencode(NAME_SERVER) in command:
                os.kill(int(process.name), signal.SIGHUP)


def _boot_time() -> int:
    """When the kernel started, in seconds since the epoch."""
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0


class Podman:
    """Podman with the lab's own settings; the machine's stay as they are."""

    def __init__(self, state: Path) -> None:
        self.logs = state / "log"
        self.env = {"CONTAINERS_CONF": str(CONF)}

    def __call__(
        self, *args: str, check: bool = True, log: str | None = None, stdin: int = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[str]:
        """Run `podman ARGS`; with `log`, the output goes to that file in the lab's state. Raises LabError."""
        path = self.logs / log if log else None
        return run(["podman", *args], log=path, env=self.env, check=check, stdin=stdin)

    def json(self, *args: str) -> list[dict[str, Any]]:
        """The output of `podman ARGS --format json`."""
        answer = self(*args, "--format", "json").stdout
        return list(json.loads(answer or "[]") or [])

    def containers(self, label: str) -> dict[str, dict[str, Any]]:
        """Container name -> what `podman ps` says of it, for all with this label, running or not."""
        found = self.json("ps", "--all", "--filter", f"label={label}")
        return {container["Names"][0]: container for container in found}
