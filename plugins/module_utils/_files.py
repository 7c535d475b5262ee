# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole or not at all: reading and replacing files that belong to others."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import time

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

# Copied from the replaced file: the SELinux label (so that a confined daemon may still read it) and the POSIX ACL.
_ATTRIBUTES = ("security.selinux", "system.posix_acl_access")


class FileError(RtcError):
    """A file could not be read or written."""


def read_bytes(path: str, limit: int = 64 * 1024 * 1024) -> bytes:
    """The content of a regular file.

    :param limit: largest size taken, in bytes; a larger file is refused (it is not what it is said to be).
    :raises FileError: missing, unreadable, not a regular file, or larger than the limit.
    """
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileError(f"{path} is not a regular file.", "Name a file.")
            data = file.read(limit + 1)
    except OSError as exc:
        raise FileError(f"{path} cannot be read: {exc.strerror}.", _suggest_remedy(exc)) from exc
    if len(data) > limit:
        raise FileError(f"{path} is larger than {limit} bytes.", "Check that this is the right file.")
    return data


def read_owned(path: str, limit: int = 64 * 1024 * 1024) -> tuple[bytes, int]:
    """The content of a regular file, and the user id of its owner, of one and the same file.

    :raises FileError: as :func:`read_bytes`.
    """
    try:
        with open(path, "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise FileError(f"{path} is not a regular file.", "Name a file.")
            data = file.read(limit + 1)
    except OSError as exc:
        raise FileError(f"{path} cannot be read: {exc.strerror}.", _suggest_remedy(exc)) from exc
    if len(data) > limit:
        raise FileError(f"{path} is larger than {limit} bytes.", "Check that this is the right file.")
    return data, info.st_uid


def write_atomic(path: str, data: bytes, mode: int = 0o644, owner: int = -1, group: int = -1) -> str:
    """Replace a file as a whole: write beside it, sync, rename. A kill leaves the old or the new file.

    A symbolic link is followed and stays: the file that it names is replaced. An existing file keeps its owner,
    mode, SELinux context and ACL.

    ``AnsibleModule.atomic_move`` does less: it syncs nothing to the disk, replaces a link by a file, gives a new file
    the mode of the umask for a moment (here are private keys), and sets the SELinux context after the rename, when a
    daemon may have read the file already. It also needs a module, which these helpers are not given.

    :param mode: permission bits of a file that did not exist; likewise ``owner`` and ``group`` (ids, -1: those of this
        process).
    :returns: the path really written (links resolved).
    :raises FileError: the directory is missing, read-only or full; the old file is untouched then.
    """
    real = os.path.realpath(path)
    old = _stat_regular(real)
    directory = os.path.dirname(real)
    try:
        handle, temporary = tempfile.mkstemp(prefix="." + os.path.basename(real) + ".", suffix=".new", dir=directory)
    except OSError as exc:
        raise FileError(f"{directory} cannot be written: {exc.strerror}.", _suggest_remedy(exc)) from exc
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            _adopt(file.fileno(), real, old, mode, owner, group)
            os.fsync(file.fileno())
        os.rename(temporary, real)
    except BaseException as exc:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(exc, OSError):
            raise FileError(f"{real} cannot be written: {exc.strerror}.", _suggest_remedy(exc)) from exc
        raise
    sync_directory(directory)
    return real


def sync_directory(directory: str) -> None:
    """Make a rename in a directory durable; file systems that cannot are left alone."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def backup(path: str) -> str:
    """Copy a file beside itself as Ansible names backups (``path.pid.date@time~``), owner and mode kept.

    :returns: the path of the copy.
    """
    real = os.path.realpath(path)
    copy = f"{real}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S~')}"
    copy_file(real, copy)
    return copy


def copy_file(source: str, target: str) -> None:
    """Copy bytes, owner, mode, SELinux context and ACL; the copy appears whole."""
    info = os.stat(source)
    write_atomic(target, read_bytes(source), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)
    copy_attributes(source, target)


def copy_attributes(source: str, target: str) -> None:
    """Copy the SELinux context and the ACL where the file system has them."""
    for name in _ATTRIBUTES:
        with contextlib.suppress(OSError):
            os.setxattr(target, name, os.getxattr(source, name))


def _stat_regular(path: str) -> os.stat_result | None:
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise FileError(f"{path} cannot be read: {exc.strerror}.", _suggest_remedy(exc)) from exc
    if not stat.S_ISREG(info.st_mode):
        raise FileError(f"{path} is not a regular file.", "Name a file.")
    return info


def _adopt(handle: int, real: str, old: os.stat_result | None, mode: int, owner: int, group: int) -> None:
    if old is None:
        if owner >= 0 or group >= 0:
            os.fchown(handle, owner, group)
        os.fchmod(handle, mode)
        return
    with contextlib.suppress(
        PermissionError
    ):  # not root: the file has this owner already, or stays readable by its group
        os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, stat.S_IMODE(old.st_mode))
    for name in _ATTRIBUTES:
        with contextlib.suppress(OSError):
            os.setxattr(handle, name, os.getxattr(real, name))


def _suggest_remedy(exc: OSError) -> str:
    remedies = {
        errno.ENOENT: "Check the path.",
        errno.EACCES: "Run with become, or as the owner of the file.",
        errno.EPERM: "Run with become, or as the owner of the file.",
        errno.EROFS: "The file system is mounted read-only: remount it, or name another path.",
        errno.ENOSPC: "The disk is full: free some space.",
        errno.EDQUOT: "The disk quota is used up: free some space.",
    }
    return remedies.get(exc.errno or 0, "")
