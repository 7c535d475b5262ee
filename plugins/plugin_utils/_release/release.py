# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The release that a host gets: the RTC server and all it needs for its interpreter, as one archive.

Made on the controller, because the servers it goes to stand behind firewalls: the target contacts no package index and
needs no pip, no virtual environment and no compiler. The archive holds ``lib/`` (every wheel, unpacked), the launcher
``rtc-server`` and ``RELEASE``.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import release
from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle as release_bundle
from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source
from ansible_collections.collab.rtc.plugins.plugin_utils._release import wheels
from ansible_collections.collab.rtc.plugins.plugin_utils._release.source import BundleError, Target


def name_own(source: str, target: Target) -> str:
    """The name of the release that the collection's own server makes.

    :param source: the directory ``files/rtc_server``.
    :raises BundleError: the sources are missing.
    """
    return release.name_release(release_source.read_version(source), target.tag, release_source.digest_source(source))


def build_own(source: str, target: Target, cache: str) -> str:
    """The path of the archive of the collection's own server, built into the cache unless it is there.

    :raises BundleError: pip is missing, or a wheel for that interpreter and machine could not be had.
    """

    def read() -> dict[str, bytes]:
        found = {os.path.basename(path): Path(path).read_bytes() for path in wheels.fetch(source, target, cache)}
        found.update([wheels.make_server_wheel(source)])
        return found

    return _keep(cache, name_own(source, target), read)


def build_from(bundle: str, target: Target, cache: str) -> str:
    """The path of the archive of a bundle's server, made into the cache.

    :raises BundleError: the bundle cannot be used, or has nothing for the target.
    """
    opened, found = release_bundle.read_wheels(bundle, target)
    # Names are given by whoever built the bundle: what is in the cache is another one's where the wheels are.
    digest = release_source.hash_all(hashlib.sha256(found[name]).digest() for name in sorted(found))
    return _keep(os.path.join(cache, digest[:16]), opened.find_release(target), lambda: found)


def _keep(folder: str, name: str, read: Callable[[], Mapping[str, bytes]]) -> str:
    target = os.path.join(folder, name + ".tar.gz")
    if os.path.exists(target):
        return target
    os.makedirs(folder, exist_ok=True)
    # Ansible does the hosts of a play at the same time: one builds, the others wait for it.
    with open(target + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(target):
            partial = f"{target}.{os.getpid()}"
            Path(partial).write_bytes(pack(name, read()))
            os.rename(partial, target)
    return target


def pack(name: str, found: Mapping[str, bytes]) -> bytes:
    """A gzip-compressed tar that depends on the content only: sorted, no times, no owners.

    :param name: of the release.
    :param found: wheels by their file names.
    :raises BundleError: two wheels have one file with other contents, or a wheel is none.
    """
    files = {"RELEASE": f"{name}\n".encode(), "rtc-server": release_source.LAUNCHER.encode()}
    for wheel in sorted(found):
        for path, content in wheels.unpack(found[wheel], wheel):
            if files.setdefault(f"lib/{path}", content) != content:
                raise BundleError(f"{wheel} has lib/{path}, as another package has.", "Build the bundle again.")
    folders = {"/".join(path.split("/")[:end]) for path in files for end in range(1, path.count("/") + 1)}
    buffer = io.BytesIO()
    # Level 9, the default, takes five times as long, for a hundredth of the size.
    packing = gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=6, mtime=0)
    with packing as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted([*folders, *files]):
            member = tarfile.TarInfo(path)
            member.uname = member.gname = "root"
            member.mode = 0o644 if path in files else 0o755
            member.type = tarfile.REGTYPE if path in files else tarfile.DIRTYPE
            member.size = len(files.get(path, b""))
            tar.addfile(member, io.BytesIO(files.get(path, b"")))
    return buffer.getvalue()
