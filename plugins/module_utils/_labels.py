# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SELinux labels of what is written, as the extended attribute ``security.selinux``.

A file that is replaced keeps its label; what is new gets the type that the policy has for its path, as restorecon(8)
gives it: by itself it would get its directory's, and programs in ``/opt`` could not be started, for instance. Where
SELinux is off nothing is asked and nothing is set.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os

from ansible_collections.collab.rtc.plugins.module_utils._place import FileError

NAME = "security.selinux"
_ENFORCE = "/sys/fs/selinux/enforce"  # the kernel's; there while SELinux is on, enforcing or permissive
_NOTRANS = 2  # MATCHPATHCON_NOTRANS of selinux.h: labels as the kernel takes them, not as mcstransd words them
_UNLABELLED = (errno.ENOTSUP, errno.ENOSYS)  # the file system has one label for all, from its mount


def is_on() -> bool:
    """Whether the kernel has SELinux, and it is switched on."""
    return os.path.exists(_ENFORCE)


def read(handle: int) -> bytes | None:
    """The label of a file; ``None`` where it has none."""
    with contextlib.suppress(OSError):
        return os.getxattr(handle, NAME)
    return None


def keep(handle: int, label: bytes, path: str) -> None:
    """Give a file the label that the one before it had.

    :param path: that it will have.
    :raises FileError: SELinux is on, and does not let it have the label.
    """
    if label != read(handle):
        _set(handle, label, path)


def give_new(file: int | str, path: str, mode: int) -> None:
    """Give something new the type that the policy has for a path.

    :param file: a descriptor, or where it is now: a link is not followed there.
    :param path: that it will have.
    :param mode: ``st_mode``: the policy tells files, directories and links apart.
    :raises FileError: SELinux is on, and does not let it have the label.
    """
    wanted = find_in_policy(path, mode) if is_on() else None
    if wanted is None:
        return
    current = b""
    with contextlib.suppress(OSError):
        current = os.getxattr(file, NAME) if isinstance(file, int) else os.getxattr(file, NAME, follow_symlinks=False)
    label = change_type(current, wanted)
    if label != current:
        _set(file, label, path)


def change_type(current: bytes, wanted: bytes) -> bytes:
    """A label with the type of another: user, role and range stay, as restorecon leaves them without ``-F``.

    :param current: ``user:role:type:range``, a NUL after it; may be empty.
    """
    have, want = (one.rstrip(b"\0").split(b":", 3) for one in (current, wanted))
    if len(have) < 3 or len(want) < 3:
        return b":".join(want) + b"\0"
    if have[2] == want[2]:
        return current
    return b":".join([*have[:2], want[2], *have[3:]]) + b"\0"


def find_in_policy(path: str, mode: int) -> bytes | None:
    """The label that the policy on this host has for a path; ``None``: it has none, or cannot be asked."""
    try:
        library = ctypes.CDLL("libselinux.so.1", use_errno=True)
        library.set_matchpathcon_flags(_NOTRANS)
        match = library.matchpathcon
    except (OSError, AttributeError):
        return None
    match.argtypes = [ctypes.c_char_p, ctypes.c_uint, ctypes.POINTER(ctypes.c_char_p)]
    label = ctypes.c_char_p()
    if match(os.fsencode(path), mode, ctypes.byref(label)) != 0:
        return None
    try:
        return label.value
    finally:
        library.freecon(label)


def _set(file: int | str, label: bytes, path: str) -> None:
    try:
        if isinstance(file, int):
            os.setxattr(file, NAME, label)
        else:
            os.setxattr(file, NAME, label, follow_symlinks=False)
    except OSError as exc:
        # Of files of a user, such as a cache on the controller, SELinux's own choice is good enough.
        if exc.errno in _UNLABELLED or os.geteuid() != 0 or not is_on():
            return
        words = label.rstrip(b"\0").decode("utf-8", "replace")
        raise FileError(
            f"{path} cannot get SELinux's label {words}: {exc.strerror}.",
            f"Run restorecon -v {path}, and the playbook as a user whose role may change labels (id -Z).",
        ) from exc
