# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users of the host: their home directories, and what they may read."""

from __future__ import annotations

import contextlib
import os
import pwd

from ansible_collections.collab.rtc.plugins.module_utils._host.processes import user_id
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs


def find_home(rootfs: RootFs, name: str) -> str:
    """The home directory of a user of the host, as Java takes it for ``user.home``; "" when there is no such user.

    :param name: or number.
    """
    user = _find_user(rootfs, name)
    return user[2] if user else ""


def may_read(rootfs: RootFs, name: str, path: str) -> bool:
    """Whether a user may read a file, by owner, group and mode of the file itself.

    :param name: or number; "" for unknown.
    """
    info, user = rootfs.lstat(rootfs.real(path)), _find_user(rootfs, name)
    if info is None:
        return False
    if user is not None and info.st_uid == user_id(rootfs, name):
        return bool(info.st_mode & 0o400)
    if user is not None and info.st_gid in (os.getgrouplist(user[0], user[1]) if rootfs.root == "/" else [user[1]]):
        return bool(info.st_mode & 0o040)
    return bool(info.st_mode & 0o004)


def _find_user(rootfs: RootFs, name: str) -> tuple[str, int, str] | None:
    """Name, group id and home directory of a user."""
    if rootfs.root == "/":
        with contextlib.suppress(KeyError, ValueError):
            entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
            return entry.pw_name, entry.pw_gid, entry.pw_dir
        return None
    for line in (rootfs.text("/etc/passwd") or "").splitlines():
        parts = line.split(":")
        if len(parts) > 5 and name in (parts[0], parts[2]) and parts[3].isdigit():
            return parts[0], int(parts[3]), parts[5]
    return None
