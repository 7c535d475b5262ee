# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for secrets on the host: in what processes show, in temporary files, in logs, in files that others can read."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import attackers
from places import SAMPLES, STATE, owner


class Sampler:
    """Looks for secrets in what processes show to their neighbours and, as root, in temporary files, all the time."""

    PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/home/admin/.ansible/tmp", "/root/.ansible/tmp")

    def __init__(self, secrets: dict[str, str], files: bool) -> None:
        self.secrets = {name: value.encode() for name, value in secrets.items()}
        self.files = files
        self.counter = attackers.Counter()
        self.seen: set[tuple[str, str]] = set()
        # Opened as root, for it writes as another user then.
        self.out = os.open(SAMPLES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self) -> None:
        ending: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
        while not ending:
            for place, data in self._files() if self.files else self._processes():
                self.counter.add()
                for name, value in self.secrets.items():
                    if value in data and (place, name) not in self.seen:
                        self.seen.add((place, name))
                        os.write(self.out, (json.dumps({"where": place, "secret": name}) + "\n").encode())
            time.sleep(0.05)

    def _processes(self):
        # What an administrator wrote into a JVM's own options is his doing.
        own = {owner("confluence")[0], owner("jira")[0]}
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            for part in ("cmdline", "environ"):
                try:
                    uid = os.stat(f"/proc/{pid}").st_uid
                    with open(f"/proc/{pid}/{part}", "rb") as file:
                        data = file.read(200_000)
                except OSError:
                    continue
                if uid not in own:
                    yield f"/proc/{part} of {data.split(bytes(1))[0].decode(errors='replace')}", data

    def _files(self):
        for place in self.PLACES:
            for folder, _names, files in os.walk(place):
                if folder.startswith(("/tmp/evil", "/tmp/atlassian-jira", "/tmp/hsperfdata_")):
                    continue
                for name in files:
                    path = os.path.join(folder, name)
                    with contextlib.suppress(OSError):
                        info = os.lstat(path)
                        if stat.S_ISREG(info.st_mode) and info.st_size < 20_000_000:
                            with open(path, "rb") as file:
                                yield path, file.read()


def readable_by(user: str, secrets: dict[str, str], passed: tuple[str, ...]) -> list[str]:
    """Files that came or changed since the beginning, that this user can read, and that have a secret in them."""
    begin = (STATE / "begin").stat().st_mtime
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        attackers.become(*owner(user))
        with os.fdopen(writer, "w") as out:
            for folder, names, files in os.walk("/"):
                names[:] = [
                    name for name in names if os.path.join(folder, name) not in ("/proc", "/sys", "/dev", "/usr")
                ]
                for name in files:
                    path = os.path.join(folder, name)
                    with contextlib.suppress(OSError):
                        info = os.lstat(path)
                        if stat.S_ISREG(info.st_mode) and info.st_ctime > begin and info.st_size < 20_000_000:
                            with open(path, "rb") as file:
                                data = file.read()
                            found = [key for key, value in secrets.items() if value.encode() in data]
                            out.writelines(
                                f"{key} in {path}, for {user}\n" for key in found if not path.startswith(passed)
                            )
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        return [line.strip() for line in lines]


def in_logs(secrets: dict[str, str]) -> list[str]:
    """Secrets in the journal and in the logs of the proxy and of the system."""
    journal = subprocess.run(["journalctl", "--no-pager", "-o", "export"], capture_output=True, check=False).stdout
    found = [f"{name} in the journal" for name, value in secrets.items() if value.encode() in journal]
    for folder, _names, files in os.walk("/var/log"):
        for name in files:
            with contextlib.suppress(OSError):
                data = Path(folder, name).read_bytes()
                found += [f"{key} in {folder}/{name}" for key, value in secrets.items() if value.encode() in data]
    return found
