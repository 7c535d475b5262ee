# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's files that are looked at by detection, and in which real programs are started: the judges.

What is started has the directory as its root, and mounts, processes and a network of its own (``inside.py``), so that
paths are those of a host, ports are free, and nothing outlives a test. That takes root.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import Host

ROOT = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).with_name("inside.py")
SYSTEM = ("/bin", "/sbin", "/lib", "/lib64", "/usr", "/dev", "/etc/alternatives")
# Of the machine's own PAM nothing is needed to become another user as root.
PAM = "auth sufficient pam_permit.so\naccount sufficient pam_permit.so\nsession sufficient pam_permit.so\n"
# In place of java: what it is started with, and where.
RECORDER = """#!/bin/sh
case " $* " in *" org.apache.catalina.startup.Bootstrap "*) ;; *) exit 0 ;; esac
printf '%s\\0' "$PWD" "$0" "$@" >/recorded/$$.new
cat /proc/$$/environ >/recorded/$$.environ
mv /recorded/$$.new /recorded/$$.args
"""


@dataclass
class Row:
    """One line of the table. ``judge``: who says ``judged``, or the rule and its source where nobody can be asked."""

    kind: str  # "A1"
    about: str
    said: str
    judged: str
    judge: str
    tolerated: str = ""  # why another answer is right, too: only running it would tell

    @property
    def agrees(self) -> bool:
        return self.said == self.judged or bool(self.tolerated)


@functools.lru_cache(maxsize=None)
def explain_no_judge() -> str:
    """Why nothing can be started in a world here; "" when it can."""
    if os.geteuid() != 0:
        return "the judges are started in a root directory and namespaces of their own: run as root"
    done = subprocess.run(["unshare", "-mnp", "--fork", "true"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no namespaces here: {done.stderr.strip()}"


class World(Host):
    """A host beneath a directory, with what real programs need in it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        os.chmod(root, 0o755)
        self.binds: list[list[str]] = []
        users = "root:x:0:0::/root:/bin/sh\njira:x:1002:1002::/home/jira:/bin/sh\nconfluence:x:1001:1001::/:/bin/sh\n"
        self.write("/etc/passwd", users).write("/etc/group", "root:x:0:\njira:x:1002:\nconfluence:x:1001:\n")
        self.folder("/root", "/tmp", "/recorded", "/home/jira", "/etc/alternatives", "/usr/bin")
        self.chmod(0o1777, "/tmp", "/recorded")
        for name in ("su", "su-l", "runuser", "runuser-l", "sudo"):
            self.write(f"/etc/pam.d/{name}", PAM)
        os.chown(self.path("/home/jira"), 1002, 1002)

    def scripts(self, install: str, tomcat: Path) -> World:
        """The shell scripts and starters of a real Tomcat."""
        for source in (tomcat / "bin").iterdir():
            if source.suffix in (".sh", ".jar"):
                self.write(f"{install}/bin/{source.name}", source.read_bytes(), 0o755)
        return self

    def writable(self, install: str, user: int = 1002) -> World:
        """Give the application's user what he writes."""
        for name in ("logs", "temp", "work"):
            self.folder(f"{install}/{name}")
            os.chown(self.path(f"{install}/{name}"), user, user)
        return self

    def recorder(self, home: str) -> World:
        """A JRE that only says how it was started."""
        self.jre(home)
        self.write(f"{home}/bin/java", RECORDER, 0o755)
        return self

    def bind(self, source: Path | str, target: str) -> World:
        """Show a directory of the machine in the world, as long as something runs there."""
        self.binds.append([str(source), target])
        return self

    def run(self, *jobs: dict) -> list:
        """Do jobs of ``inside.py``, and return what came of each.

        :raises AssertionError: one of them did not work.
        """
        reason = explain_no_judge()
        if reason:
            pytest.skip(reason)
        paths = [path for path in sys.path if path and os.path.isdir(path)]
        shown = {os.path.realpath(path) for path in (*paths, sys.prefix, sys.base_prefix)}
        shown |= {*paths, sys.prefix, str(ROOT)}
        needed = [path for path in SYSTEM if os.path.lexists(path)]
        own = [[path, path] for path in sorted(shown) if not path.startswith(("/usr/", "/lib/")) and path != "/usr"]
        task = {
            "root": self.root,
            "binds": [*([path, path] for path in needed), *own, *self.binds],
            "path": paths,
            "jobs": list(jobs),
        }
        done = subprocess.run(
            ["unshare", "-mnp", "--fork", "--kill-child", sys.executable, str(INSIDE)],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-6000:]
        return json.loads(done.stdout)


def copy_libraries(tomcat: Path, target: Path) -> Path:
    """The lib of a Tomcat as the application's user may read it, which in the archive he may not."""
    shutil.copytree(tomcat / "lib", target)
    for path in target.iterdir():
        path.chmod(0o644)
    return target
