# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who besides root can change what a path leads to.

A program is run as root, and a file is trusted, only if nobody but root can change it. This rules out a
time-of-check/time-of-use race: nobody can replace the file between the check and its use. The rules are those of
path_resolution(7), unlink(2) with the sticky bit, and acl(5).
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
import struct
from dataclasses import dataclass
from typing import Callable, Iterator

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

Lstat = Callable[[str], os.stat_result]

ANYONE = -1
_MOST_LINKS = 40  # as Linux (path_resolution(7))
_WRITE = 2
# Tags of an entry, and the head of the attribute: include/uapi/linux/posix_acl_xattr.h
_ACL_USER_OBJ, _ACL_USER, _ACL_GROUP_OBJ, _ACL_GROUP, _ACL_MASK, _ACL_OTHER = 1, 2, 4, 8, 16, 32
_ACL_VERSION = 2


@dataclass(frozen=True)
class Writer:
    """Somebody who can change what the path leads to.

    :param uid: the user, or :data:`ANYONE` for a group or for everybody.
    :param gid: the group, or :data:`ANYONE` for a user or for everybody.
    :param where: the component of the path that they can write.
    """

    uid: int
    gid: int
    where: str

    def __str__(self) -> str:
        """For messages: "user confluence (/opt/atlassian/confluence/jre)"."""
        if self.uid != ANYONE:
            who = f"user {user_name(self.uid)}"
        else:
            who = f"group {group_name(self.gid)}" if self.gid != ANYONE else "everybody"
        return f"{who} ({self.where})"


class UnsafeProgramError(RtcError):
    """Somebody besides root can change a program that root was about to run."""


def user_name(uid: int) -> str:
    """The name of a user, or the numeric id where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The name of a group, its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def find_writers(path: str, entries: bool = False, root: str = "/", lstat: Lstat = os.lstat) -> list[Writer]:
    """Everybody but root who can change or exchange what ``path`` leads to, each once, outermost component first.

    Every directory on the way counts, those of symbolic links on the way too.

    :param path: absolute.
    :param entries: the path is a directory, and who can only make new entries in it counts too: in a sticky one.
    :param root: the directory that stands for ``/``; absolute links lead below it.
    :param lstat: says what is there, and whose; for tests.
    :raises OSError: a component is missing or may not be looked at, there are too many links, or the path is relative.
    """
    if not path.startswith("/"):
        raise OSError(errno.EINVAL, "not an absolute path", path)
    found: dict[Writer, None] = {}
    where = "/"
    info: os.stat_result | None = None
    for where, info in _walk(path, root, lstat):
        if not stat.S_ISLNK(info.st_mode):
            for writer in _writers_of(where, info, root):
                found.setdefault(writer)
        elif info.st_uid != 0:  # in a sticky directory the owner of a link can exchange it
            found.setdefault(Writer(info.st_uid, ANYONE, where))
    if entries and info is not None:
        for writer in _writers_of(where, info, root, sticky=False):
            found.setdefault(writer)
    return list(found)


def check_program(path: str) -> None:
    """Refuse a program that root must not run, because somebody else could exchange it. Other users run what they like.

    :raises UnsafeProgramError: with who can, and where.
    """
    if os.geteuid() != 0:
        return
    try:
        writers = find_writers(path)
    except OSError as exc:
        raise UnsafeProgramError(f"{path} cannot be looked at: {exc.strerror}.") from exc
    if writers:
        raise UnsafeProgramError(
            f"{path} is not run as root: {', '.join(map(str, writers))} can change it.",
            "Give what stands in parentheses to root and take the right to write from others (chown, chmod go-w).",
        )


def _walk(path: str, root: str, lstat: Lstat) -> Iterator[tuple[str, os.stat_result]]:
    """Every component and what ``lstat`` says of it; links are followed."""
    current = "/"
    yield current, lstat(_disk(current, root))
    todo = [part for part in path.split("/") if part not in ("", ".")]
    links = 0
    while todo:
        name = todo.pop(0)
        if name == "..":
            current = os.path.dirname(current)
            continue
        step = os.path.join(current, name)
        info = lstat(_disk(step, root))
        yield step, info
        if stat.S_ISLNK(info.st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(_disk(step, root))
            todo = [part for part in target.split("/") if part not in ("", ".")] + todo
            current = "/" if target.startswith("/") else current
        else:
            current = step


def _disk(path: str, root: str) -> str:
    return path if root == "/" else root + path


def _writers_of(path: str, info: os.stat_result, root: str, sticky: bool = True) -> list[Writer]:
    """Who can write a file or directory. In root's sticky directory only owners exchange entries: found there."""
    found = [] if info.st_uid == 0 else [Writer(info.st_uid, ANYONE, path)]
    if sticky and stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX:
        return found
    users, groups, others = _granted(_disk(path, root), info)
    found += [Writer(uid, ANYONE, path) for uid in users if uid not in (0, info.st_uid)]
    found += [Writer(ANYONE, gid, path) for gid in groups if gid != 0]
    if others:
        found.append(Writer(ANYONE, ANYONE, path))
    return found


def _granted(path: str, info: os.stat_result) -> tuple[list[int], list[int], bool]:
    """Named users and groups that have the right to write, and whether all others have it."""
    others = bool(info.st_mode & stat.S_IWOTH)
    acl = _read_acl(path)
    if not acl:
        return [], [info.st_gid] if info.st_mode & stat.S_IWGRP else [], others
    mask = next((perm for tag, perm, _id in acl if tag == _ACL_MASK), 7)
    users = [number for tag, perm, number in acl if tag == _ACL_USER and perm & mask & _WRITE]
    groups = [number for tag, perm, number in acl if tag == _ACL_GROUP and perm & mask & _WRITE]
    if any(tag == _ACL_GROUP_OBJ and perm & mask & _WRITE for tag, perm, _id in acl):
        groups.insert(0, info.st_gid)
    return users, groups, others


def _read_acl(path: str) -> list[tuple[int, int, int]]:
    """The entries of a file's POSIX ACL: tag, permissions, id; none where there is no ACL."""
    try:
        data = os.getxattr(path, "system.posix_acl_access", follow_symlinks=False)
    except OSError:
        return []
    if len(data) < 4 or struct.unpack_from("<I", data)[0] != _ACL_VERSION:
        return []
    return list(struct.iter_unpack("<HHI", data[4 : 4 + (len(data) - 4) // 8 * 8]))
