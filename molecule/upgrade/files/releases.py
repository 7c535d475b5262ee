# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles of further releases: the same server with another version, or broken in one way."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle, release, source

CACHE = os.path.expanduser("~/.cache/collab-rtc")  # that of the runs
TARGET = source.make_target("3.11", os.uname().machine)  # the lab's Debian 12
# file -> pattern, and what is put behind it. A release is tried without trusted proxies, and the site has some: so all
# but the first are seen only where the instance's own configuration is.
_SERVE = r'^async def serve\(.*\n    """.*"""\n'
BREAKS = {
    "does not start": ("app.py", _SERVE, '    raise SystemExit("broken on purpose")\n'),
    "refuses the configuration": (
        "config.py",
        r"^    lines = find_lines\(text\)\n    complaints: .*\n",
        '    if document.get("server", {}).get("trusted_proxies"):\n'
        '        complaints.append(f"{path}: server.trusted_proxies: is not known any more")\n',
    ),
    "ends at its start": (
        "app.py",
        _SERVE,
        '    if config.server.trusted_proxies:\n        raise SystemExit("broken on purpose")\n',
    ),
    "is never ready": (
        "app.py",
        r'^        why = "draining" if service\.draining .*\n',
        '        why = why or ("journal" if service.config.server.trusted_proxies else "")\n',
    ),
    "ends soon after its start": (
        "app.py",
        r'^        systemd\.notify\("READY=1"\)\n',
        '        if config.server.trusted_proxies:\n            loop.call_later(5, __import__("os")._exit, 1)\n',
    ),
}


@dataclass(frozen=True)
class Release:
    """A bundle on this machine."""

    version: str
    name: str  # of the release on the hosts
    path: Path


def own() -> tuple[str, str]:
    """Version and name of the collection's own release."""
    return source.read_version(source.SOURCE), release.name_own(source.SOURCE, TARGET)


def make(folder: Path, version: str, broken: str = "") -> Release:
    """Build the bundle of a version; ``broken``: one of ``BREAKS``."""
    tree = folder / f"source-{version}"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(source.SOURCE, tree, ignore=shutil.ignore_patterns("__pycache__"))
    _change(tree / "pyproject.toml", r'^version = ".*"\n', f'version = "{version}"\n')
    _change(tree / "src/rtc_server/__init__.py", r'^__version__ = ".*"\n', f'__version__ = "{version}"\n')
    if broken:
        file, pattern, more = BREAKS[broken]
        _change(tree / "src/rtc_server" / file, pattern, rf"\g<0>{more}")
    path = folder / f"rtc-server-{version}.tar"
    bundle.build(str(tree), [TARGET], CACHE, str(path))
    return Release(version, bundle.check(str(path)).find_release(TARGET), path)


def _change(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, text, path.read_text(), flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{path} has {pattern} {count} times")
    path.write_text(changed)
