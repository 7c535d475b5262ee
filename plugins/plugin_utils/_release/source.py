# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release of the RTC server is made from, and what it is called."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import release

COLLECTION = Path(__file__).resolve().parents[3]
SOURCE = str(COLLECTION / "files/rtc_server")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")
OLDEST_PYTHON = (3, 10)
PACKAGE = "rtc_server"
REQUIREMENTS = "requirements.txt"

LAUNCHER = """\
# Starts the RTC server of this release: python3 -I rtc-server serve --config FILE
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "lib"))

from rtc_server.cli import main

sys.exit(main())
"""


class BundleError(RtcError):
    """A bundle or a release could not be built, or a bundle cannot be used."""


class Target(NamedTuple):
    """What a release runs on.

    :param python: version of the interpreter, such as ``3.11``.
    :param machine: as ``uname -m`` says it.
    """

    python: str
    machine: str

    @property
    def tag(self) -> str:
        """``cp311-x86_64``."""
        return release.make_tag(self.python, self.machine)

    def __str__(self) -> str:
        """For people."""
        return f"Python {self.python} ({self.machine})"


def make_target(python_version: str, machine: str) -> Target:
    """The target of a host.

    :param python_version: such as ``3.11`` or ``3.11.2``.
    :raises BundleError: the interpreter is older than the server takes.
    """
    try:
        version = tuple(int(part) for part in python_version.split(".")[:2])
    except ValueError:
        version = ()
    if version < OLDEST_PYTHON:
        raise BundleError(
            f"The RTC server needs Python 3.10 or newer, the target has {python_version or 'none'}.",
            "Install a newer interpreter there and name it in rtc_server_python.",
        )
    return Target(".".join(map(str, version)), machine)


def read_tag(tag: str) -> Target:
    """The target that a tag means: the reverse of :attr:`Target.tag`.

    :raises ValueError: it is none.
    """
    match = re.fullmatch(r"cp(3)(\d+)-(\w+)", tag)
    if match is None:
        raise ValueError(tag)
    return Target(f"{match[1]}.{match[2]}", match[3])


def read_schema() -> int:
    """The version of a store's schema that the RTC server of this collection makes; 0 where that cannot be read."""
    with contextlib.suppress(OSError):
        text = Path(SOURCE, "src/rtc_server/store_postgres/schema.py").read_text(encoding="utf-8")
        match = re.search(r"^VERSION = (\d+)", text, re.MULTILINE)
        return int(match.group(1)) if match else 0
    return 0


def digest_source(source: str) -> str:
    """12 hex digits for all that goes into a release; the packages by their pinned hashes.

    :param source: the directory ``files/rtc_server``.
    :raises BundleError: the sources are missing.
    """
    digest = hashlib.sha256()
    for path in [os.path.join(source, REQUIREMENTS), os.path.join(source, "pyproject.toml"), *list_package(source)]:
        digest.update(os.path.relpath(path, source).encode() + b"\0")
        digest.update(hashlib.sha256(read(path)).digest())
    digest.update(LAUNCHER.encode())
    return digest.hexdigest()[:12]


def list_package(source: str) -> list[str]:
    """The files of the package, sorted.

    :raises BundleError: there is none.
    """
    package = os.path.join(source, "src", PACKAGE)
    found = []
    for folder, names, files in os.walk(package):
        names[:] = [name for name in names if name != "__pycache__"]
        found += [os.path.join(folder, name) for name in files if not name.endswith(".pyc")]
    if not found or not os.path.isfile(os.path.join(source, REQUIREMENTS)):
        raise BundleError(f"{source} does not hold the RTC server.", "Install the collection again.")
    return sorted(found)


def read_version(source: str) -> str:
    """The version in ``pyproject.toml``.

    :raises BundleError: it has none.
    """
    return _find_project(source, r'^version = "([^"]+)"')[0]


def read_dependencies(source: str) -> list[str]:
    """The packages that the server needs, as ``pyproject.toml`` has them.

    A pattern, because the controller may run Python 3.10, which reads no TOML.
    """
    return re.findall(r'^    "([^"]+)",$', _find_project(source, r"^dependencies = \[\n(.*?)^\]")[0], re.MULTILINE)


def _find_project(source: str, pattern: str) -> list[str]:
    text = read(os.path.join(source, "pyproject.toml")).decode()
    found = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
    if not found:
        raise BundleError(f"{source}/pyproject.toml does not have {pattern}.", "Install the collection again.")
    return found


def parse_requirements(text: str) -> dict[str, frozenset[str]]:
    """The SHA-256 digests that a lock file allows, by ``name==version`` with the name as pip compares it."""
    found = {}
    for name, version, hashes in re.findall(r"^([\w.-]+)==(\S+)((?:\s*\\\n\s+--hash=\S+)*)", text, re.MULTILINE):
        found[f"{fold_name(name)}=={version}"] = frozenset(re.findall(r"sha256:([0-9a-f]{64})", hashes))
    return found


def fold_name(name: str) -> str:
    """A project's name as pip compares names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(path: str) -> bytes:
    """A file of the collection.

    :raises BundleError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise BundleError(f"{path} cannot be read: {exc.strerror}.", "Install the collection again.") from None


def hash_all(parts: Iterable[bytes]) -> str:
    """SHA-256 of parts one after another."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
