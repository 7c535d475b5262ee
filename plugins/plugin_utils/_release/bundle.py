# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The deployment bundle: the RTC server and all it needs, as one archive.

Built on the controller, because the servers it goes to stand behind firewalls: the target contacts no package index and
needs no pip, no virtual environment and no compiler. The archive holds ``lib/`` (every package, unpacked), the launcher
``rtc-server`` and ``RELEASE``. Its name is a hash of all that went in, so the same input is never built or sent twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

# Newest first; Debian 11 has glibc 2.31, RHEL 8 has 2.28.
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")
OLDEST_PYTHON = (3, 10)

LAUNCHER = """\
# Starts the RTC server of this release: python3 -I rtc-server serve --config FILE
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "lib"))

from rtc_server.cli import main

sys.exit(main())
"""


COLLECTION = Path(__file__).resolve().parents[3]


class BundleError(RtcError):
    """The bundle could not be built."""


def read_schema() -> int:
    """The version of a store's schema that the RTC server of this collection makes; 0 where that cannot be read."""
    path = COLLECTION / "files/rtc_server/src/rtc_server/store_postgres/schema.py"
    with contextlib.suppress(OSError):
        match = re.search(r"^VERSION = (\d+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        return int(match.group(1)) if match else 0
    return 0


def release_name(source: str, python_version: str, machine: str) -> str:
    """The name of the release that these sources make: ``0.1.0-cp311-x86_64-<12 hex digits>``.

    :param source: the directory ``files/rtc_server``.
    :param python_version: of the interpreter on the target, such as ``3.11``.
    :raises BundleError: the interpreter is older than the server takes, or the sources are missing.
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
    digest = hashlib.sha256()
    for path in _list_inputs(source):
        digest.update(os.path.relpath(path, source).encode() + b"\0")
        with open(path, "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    digest.update(LAUNCHER.encode())
    tag = "cp" + "".join(python_version.split(".")[:2])
    return f"{_read_version(source)}-{tag}-{machine}-{digest.hexdigest()[:12]}"


def build(source: str, python_version: str, machine: str, cache: str) -> str:
    """The path of the bundle, built into the cache directory unless it is there.

    :raises BundleError: pip is missing, or a wheel for that interpreter and machine could not be had.
    """
    name = release_name(source, python_version, machine)
    target = os.path.join(cache, name + ".tar.gz")
    if os.path.exists(target):
        return target
    os.makedirs(cache, exist_ok=True)
    # Ansible does the hosts of a play at the same time: one builds, the others wait for it.
    with open(target + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(target):
            _build(source, python_version, machine, target)
    return target


def _build(source: str, python_version: str, machine: str, target: str) -> None:
    name = os.path.basename(target)[: -len(".tar.gz")]
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
        library = os.path.join(folder, "lib")
        _install(source, python_version, machine, library)
        shutil.copytree(
            os.path.join(source, "src", "rtc_server"),
            os.path.join(library, "rtc_server"),
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        _write(os.path.join(folder, "rtc-server"), LAUNCHER)
        _write(os.path.join(folder, "RELEASE"), name + "\n")
        archive = _pack(folder)
    partial = f"{target}.{os.getpid()}"
    with open(partial, "wb") as file:
        file.write(archive)
    os.rename(partial, target)


def _list_inputs(source: str) -> list[str]:
    requirements = os.path.join(source, "requirements.txt")
    package = os.path.join(source, "src", "rtc_server")
    if not os.path.isfile(requirements) or not os.path.isdir(package):
        raise BundleError(f"{source} does not hold the RTC server.", "Install the collection again.")
    found = [requirements, os.path.join(source, "pyproject.toml")]
    for folder, names, files in os.walk(package):
        names[:] = [name for name in names if name != "__pycache__"]
        found += [os.path.join(folder, name) for name in files if not name.endswith(".pyc")]
    return sorted(found)


def _read_version(source: str) -> str:
    with open(os.path.join(source, "pyproject.toml"), encoding="utf-8") as file:
        for line in file:
            key, _equals, value = line.partition("=")
            if key.strip() == "version":
                return value.strip().strip('"')
    raise BundleError(f"{source}/pyproject.toml has no version.", "Install the collection again.")


def _find_pip() -> list[str]:
    # The controller's own interpreter often has no pip (pipx, a distribution's package): then any python3 that has.
    for python in (sys.executable, "python3"):
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
                return [python, "-m", "pip"]
    raise BundleError(
        "The controller has no pip, which builds the bundle of the RTC server.",
        "Install pip for python3 on the controller, or build the bundle elsewhere and name it in rtc_server_bundle.",
    )


def _install(source: str, python_version: str, machine: str, library: str) -> None:
    command = [
        *_find_pip(),
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--target",
        library,
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--implementation",
        "cp",
        "--python-version",
        ".".join(python_version.split(".")[:2]),
    ]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_{machine}"]
    result = _run_with_requirements(command, os.path.join(source, "requirements.txt"))
    if result.returncode != 0:
        raise BundleError(
            f"pip could not fetch the RTC server's packages for Python {python_version} on {machine}: "
            + result.stderr.strip()[-1000:],
            "Let the controller reach a package index, or build the bundle elsewhere and name it in rtc_server_bundle.",
        )
    # Console scripts of the packages would start the controller's interpreter: nobody calls them.
    shutil.rmtree(os.path.join(library, "bin"), ignore_errors=True)


def _run_with_requirements(command: list[str], requirements: str) -> subprocess.CompletedProcess[str]:
    # pip evaluates environment markers for the interpreter that it runs on, not for --python-version. What the lock
    # file has is therefore installed for every version; back-ports that an interpreter does not need do no harm.
    with open(requirements, encoding="utf-8") as file:
        lines = [re.sub(r"\s*;[^\\]*", " ", line) for line in file]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as plain:
        plain.writelines(lines)
        plain.flush()
        return subprocess.run([*command, "--requirement", plain.name], capture_output=True, text=True, check=False)


def _pack(folder: str) -> bytes:
    """A gzip-compressed tar that depends on the content only: sorted, no times, no owners."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(_walk(folder)):
            info = tar.gettarinfo(path, os.path.relpath(path, folder))
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.mtime = 0
            info.mode = 0o755 if info.isdir() else 0o644
            if info.isfile():
                with open(path, "rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    return buffer.getvalue()


def _walk(folder: str) -> list[str]:
    found = []
    for base, names, files in os.walk(folder):
        found += [os.path.join(base, name) for name in names + files]
    return found


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
