# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wheels: fetched by pip for another interpreter and machine, the server's own, and what unpacking one gives."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source
from ansible_collections.collab.rtc.plugins.plugin_utils._release.source import BundleError, Target

# Newest first; Debian 11 has glibc 2.31, RHEL 8 has 2.28.
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive can have
_CORRUPT = (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError)


def list_platforms(machine: str) -> list[str]:
    """The platforms of a machine, as pip takes them."""
    return [f"{platform}_{machine}" for platform in PLATFORMS]


def fetch(source: str, target: Target, cache: str) -> list[str]:
    """Paths of the packages' wheels for one target, sorted by name; fetched into the cache unless they are there.

    :param source: the directory ``files/rtc_server``.
    :raises BundleError: pip is missing, or a wheel for that interpreter and machine could not be had.
    """
    lock_file = os.path.join(source, release_source.REQUIREMENTS)
    content = release_source.read(lock_file)
    folder = os.path.join(cache, "wheels", f"{hashlib.sha256(content).hexdigest()[:12]}-{target.tag}")
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    allowed = release_source.parse_requirements(content.decode())
    # Ansible does the hosts of a play at the same time: one fetches, the others wait for it.
    with open(folder + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(folder, allowed):
            shutil.rmtree(folder, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=os.path.dirname(folder)) as made:
                _download(lock_file, target, os.path.join(made, "new"))
                os.rename(os.path.join(made, "new"), folder)
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def _is_whole(folder: str, allowed: dict[str, frozenset[str]]) -> bool:
    """Whether a folder of the cache has a wheel for each package, with a hash of the lock file."""
    if not os.path.isdir(folder):
        return False
    found = set()
    for name in os.listdir(folder):
        package = "==".join(split_name(name))
        if hashlib.sha256(Path(folder, name).read_bytes()).hexdigest() not in allowed.get(package, ()):
            return False
        found.add(package)
    return found == set(allowed)


def split_name(wheel: str) -> tuple[str, str]:
    """Project, as pip compares it, and version of a wheel by its file name (PEP 427)."""
    name, version = [*wheel.split("-"), ""][:2]
    return release_source.fold_name(name), version


def _find_pip() -> list[str]:
    # The controller's own interpreter often has no pip (pipx, a distribution's package): then any python3 that has.
    for python in (sys.executable, "python3"):
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
                return [python, "-m", "pip"]
    raise BundleError(
        "The controller has no pip, which fetches the packages of the RTC server.",
        "Install pip for python3 on the controller, or build a bundle elsewhere with collab.rtc.bundle and name it in"
        " rtc_bundle.",
    )


def _download(requirements: str, target: Target, folder: str) -> None:
    command = [*_find_pip(), "download", "--quiet", "--disable-pip-version-check", "--dest", folder]
    command += ["--require-hashes", "--no-deps", *select(target), "--requirement", requirements]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BundleError(
            f"pip could not fetch the RTC server's packages for {target}: " + result.stderr.strip()[-1000:],
            "Let the controller reach a package index, or build a bundle elsewhere with collab.rtc.bundle and name it"
            " in rtc_bundle.",
        )


def select(target: Target) -> list[str]:
    """Options of pip that choose the wheels of a target."""
    options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", target.python]
    for platform in list_platforms(target.machine):
        options += ["--platform", platform]
    return options


def read_metadata(wheel: bytes, name: str) -> Message:
    """What a wheel says of its package.

    :raises BundleError: it is no wheel.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            (path,) = [one for one in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one)]
            return BytesParser().parsebytes(archive.read(path))
    except (*_CORRUPT, ValueError) as exc:
        raise BundleError(f"{name} is no wheel: {exc}.", "Build the bundle again.") from None


def unpack(wheel: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Paths below the directory of libraries, and contents, of what a wheel installs there (PEP 427).

    Console scripts would start the controller's interpreter, and nobody calls them: they and other data are left out.

    :raises BundleError: it is no wheel, or has a path that leads elsewhere.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            for info in archive.infolist():
                path = re.sub(r"^[^/]+\.data/(?:purelib|platlib)/", "", info.filename)
                if info.is_dir() or re.match(r"[^/]+\.data/", path):
                    continue
                if path.startswith("/") or "\\" in path or {"", ".", ".."} & set(path.split("/")):
                    raise BundleError(f"{name} has a file {info.filename!r}.", "Build the bundle again.")
                yield path, archive.read(info)
    except _CORRUPT as exc:
        raise BundleError(f"{name} is no wheel: {exc}.", "Build the bundle again.") from None


def make_server_wheel(source: str) -> tuple[str, bytes]:
    """File name and content of the wheel of the server itself.

    Not by a build backend: that would have to be fetched, and none promises the same bytes. It is not compressed, so
    that they do not depend on the controller's zlib either.
    """
    version, base = release_source.read_version(source), os.path.join(source, "src")
    info = f"{release_source.PACKAGE}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in release_source.read_dependencies(source))
    files = {os.path.relpath(path, base): release_source.read(path) for path in release_source.list_package(source)}
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: rtc-server\nVersion: {version}\nLicense: GPL-3.0-or-later\n"
        f"Requires-Python: >=3.10\n{needs}"
    ).encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: collab.rtc\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\nrtc-server = rtc_server.cli:main\n"
    record = "".join(f"{path},{_hash_for_record(content)},{len(content)}\n" for path, content in sorted(files.items()))
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in files.items():
            member = zipfile.ZipInfo(path, _EPOCH)
            member.create_system, member.external_attr = 3, 0o100644 << 16
            archive.writestr(member, content)
    return f"{release_source.PACKAGE}-{version}-py3-none-any.whl", buffer.getvalue()


def _hash_for_record(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
