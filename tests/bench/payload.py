# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task as Ansible sends it to a managed host: the module with all that it imports, in one file of Python (AnsiballZ).

Made by ansible-core itself. Running it unpacks nothing and keeps no bytecode, so that what a module imports costs what
it costs on a host.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / ".build" / "bench"
PEERS = CACHE / "community_general"
LXML = CACHE / "lxml"
os.environ["ANSIBLE_COLLECTIONS_PATH"] = f"{ROOT / '.build' / 'src'}:{PEERS}"


@functools.lru_cache(maxsize=None)
def made(module: str, arguments: str) -> bytes:
    """The file for a module (its full name) with arguments (JSON)."""
    # Imported late: the search path of collections must be set before.
    from ansible.executor.module_common import modify_module
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

    found = loader().find_plugin_with_context(module)
    if not found.resolved:
        raise FileNotFoundError(f"no module {module} in {os.environ['ANSIBLE_COLLECTIONS_PATH']}")
    made = modify_module(
        module_name=found.resolved_fqcn,
        module_path=found.plugin_resolved_path,
        module_args=json.loads(arguments),
        templar=Templar(DataLoader()),
        task_vars={"ansible_playbook_python": sys.executable},
        remote_is_local=True,
    )
    return made.b_module_data


@functools.lru_cache(maxsize=None)
def loader():
    """What finds modules in collections."""
    from ansible.plugins.loader import init_plugin_loader, module_loader

    init_plugin_loader([])
    return module_loader


def run(module: str, arguments: dict) -> tuple[dict, tuple[float, float]]:
    """One task: a process of its own. Returns the result, and the seconds by the clock and of the processor."""
    given = {**arguments, "_ansible_remote_tmp": tempfile.gettempdir()}
    with tempfile.NamedTemporaryFile(suffix=".py") as file:
        file.write(made(module, json.dumps(given)))
        file.flush()
        began, used = time.perf_counter(), processor()
        done = subprocess.run(
            [sys.executable, file.name],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(LXML)},
            check=False,
        )
        seconds = (time.perf_counter() - began, processor() - used)
    try:
        return json.loads(done.stdout.splitlines()[-1]), seconds
    except (IndexError, ValueError):
        return {"failed": True, "msg": done.stderr[-500:]}, seconds


def processor() -> float:
    """Seconds of processor time that our finished child processes have used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
