# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each test runs with the project's own ansible-core, and with those that ``RTC_ANSIBLE`` lists ("2.16 2.20")."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build/ansible"
OWN = "own"
PYTHONS = ("python3.11", "python3.12", "python3.13")
OLDEST = {"2.20": "python3.12", "2.21": "python3.12"}  # what the controller needs; 3.11 for the others


def pytest_generate_tests(metafunc):
    """One instance of a test for each version."""
    if "playbook_command" in metafunc.fixturenames:
        versions = os.environ.get("RTC_ANSIBLE", OWN).split()
        metafunc.parametrize("playbook_command", versions, indirect=True, scope="session")


@pytest.fixture(scope="session")
def playbook_command(request):
    """The path of ``ansible-playbook``, installed into an environment of its own where it is another version."""
    version = request.param
    if version == OWN:
        return str(Path(sys.executable).parent / "ansible-playbook")
    known = [path for name in PYTHONS if name >= OLDEST.get(version, PYTHONS[0]) for path in _find_pythons(name)]
    if not known:
        pytest.skip(f"ansible-core {version} needs {OLDEST.get(version, PYTHONS[0])} or newer on this machine")
    place = BUILD / version
    if not (place / "bin/ansible-playbook").exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([known[0], "-m", "venv", str(place)], check=True)
        install = [str(place / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, f"ansible-core~={version}.0"], check=True)
    return str(place / "bin/ansible-playbook")


def _find_pythons(name):
    """Interpreters of that name in the path, where a name of pyenv's may lead to none, and among pyenv's own."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(name), *map(str, sorted(pyenv.glob(f"versions/*/bin/{name}")))]
    return [
        path
        for path in found
        if path and subprocess.run([path, "-V"], capture_output=True, check=False).returncode == 0
    ]


class Runs:
    """Playbooks of the built collection on an inventory in a directory of its own."""

    def __init__(self, command, directory):
        self.command, self.directory = command, directory
        self.output = ""

    def __call__(self, playbook, hosts, *arguments, groups=None, shared=None, **environment):
        """The exit status. ``playbook``: its name in the collection, or its path. ``hosts``: name -> variables; all are in the group confluence, unless ``groups`` says."""
        groups = groups if groups is not None else {"confluence": list(hosts)}
        children = {group: {"hosts": {name: {} for name in names}} for group, names in groups.items()}
        inventory = {"all": {"hosts": hosts, "children": children, "vars": shared or {}}}
        (self.directory / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
        settings = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        settings |= {
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"),
            "ANSIBLE_HOME": str(self.directory / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_TIMEOUT": "5",
            **environment,
        }
        done = subprocess.run(
            [
                self.command,
                "-i",
                "hosts.json",
                str(playbook if isinstance(playbook, Path) else f"collab.rtc.{playbook}"),
                *arguments,
            ],
            cwd=self.directory,
            env=settings,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        self.output = done.stdout + done.stderr
        return done.returncode

    @property
    def text(self):
        """The output with single spaces."""
        return " ".join(self.output.split())


@pytest.fixture
def runs(playbook_command, tmp_path):
    """See :class:`Runs`."""
    return Runs(playbook_command, tmp_path)
