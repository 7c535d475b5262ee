# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys: one pair for the administrator, a host key for each host; known_hosts is right before the first connection."""

from __future__ import annotations

import shutil
from pathlib import Path

from .inventory import Lab
from .machine import run

USER_KEY = "ssh/id_ed25519"
HOST_KEY = "ssh_host_ed25519_key"


def _ensure_key(path: Path, comment: str) -> str:
    """The public key of the pair at `path`, which is made where it is not there."""
    public = path.with_name(path.name + ".pub")
    if not path.exists() or not public.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    path.chmod(0o600)
    return public.read_text(encoding="utf-8").strip()


def host_folder(lab: Lab, name: str) -> Path:
    """What the host `name` gets to read at its first start; mounted there as /etc/rtc-lab."""
    return lab.state / "hosts" / name


def ensure(lab: Lab) -> None:
    """Make the keys that are missing, and write known_hosts for all hosts of the inventory."""
    user_public = _ensure_key(lab.state / USER_KEY, f"{lab.name} administrator")
    known = []
    for host in lab.hosts.values():
        folder = host_folder(lab, host.name)
        public = _ensure_key(folder / HOST_KEY, host.name)
        (folder / "authorized_keys").write_text(f"{user_public}\n", encoding="utf-8")
        names = ",".join([host.address, host.name, *host.names])
        known.append(f"{names} {' '.join(public.split()[:2])}\n")
    (lab.state / "ssh/known_hosts").write_text("".join(known), encoding="utf-8")
    for folder in (lab.state / "hosts").iterdir():
        if folder.name not in lab.hosts:
            shutil.rmtree(folder)
