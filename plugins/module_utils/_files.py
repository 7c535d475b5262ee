# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one way to the content of a host's files, for root in directories that others may write.

Which links are followed says ``_place``. Only regular files are read, at once and up to a limit, and only those with
one name: a second name may be another user's way to have root change a file. Files are replaced as a whole or not at
all. Directories, links and removing: ``_files_tree``.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import IO, Dict, Iterator, Tuple

from ansible_collections.collab.rtc.plugins.module_utils import _labels
from ansible_collections.collab.rtc.plugins.module_utils._place import (
    FileError,
    Place,
    changed,
    explained,
)

LIMIT = 64 * 1024 * 1024  # bytes
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Kept when a file is replaced, as its SELinux label is.
_ACL = "system.posix_acl_access"
Whole = Tuple[bytes, os.stat_result, Dict[str, bytes]]  # content, ``fstat``, label and ACL


def read_bytes(path: str, limit: int = LIMIT, root: str = "/") -> bytes:
    """The content of a regular file.

    :param root: the directory that stands for ``/``, which no link leads out of.
    :param limit: largest size taken, in bytes; a larger file is refused (it is not what it is said to be).
    :raises FileError: missing, unreadable, not a regular file, larger than the limit, changed during the reading, with
        more than one name, or behind a link that is not followed.
    """
    with Place(path, root=root) as place, place.opened() as (handle, info):
        return _read(place, handle, info, limit)


def read_existing(path: str, limit: int = LIMIT) -> bytes | None:
    """As :func:`read_bytes`; ``None`` where there is nothing."""
    found = read_state(path, limit)
    return None if found is None else found[0]


def read_state(path: str, limit: int = LIMIT) -> tuple[bytes, os.stat_result] | None:
    """Content and ``fstat`` of one and the same file, as :func:`read_bytes`; ``None`` where there is nothing."""
    with Place(path) as place:
        if place.info is None:
            return None
        with place.opened() as (handle, info):
            return _read(place, handle, info, limit), info


def read_whole(place: Place) -> Whole:
    """Content, ``fstat``, and label and ACL of a file; all of one file, whatever takes its name meanwhile."""
    with place.opened() as (handle, info):
        return _read(place, handle, info, LIMIT), info, read_attributes(handle)


def read_owned(path: str, limit: int = LIMIT) -> tuple[bytes, int]:
    """The content of a regular file, and the user id of its owner, of one and the same file.

    :raises FileError: as :func:`read_bytes`.
    """
    with Place(path) as place, place.opened() as (handle, info):
        return _read(place, handle, info, limit), info.st_uid


@contextlib.contextmanager
def open_file(path: str, limit: int = LIMIT) -> Iterator[IO[bytes]]:
    """A regular file to read from piece by piece, such as an archive: it may change while it is read.

    :raises FileError: as :func:`read_bytes`.
    """
    with Place(path) as place, place.opened() as (handle, info):
        if info.st_size > limit:
            raise _too_large(place, limit)
        with open(handle, "rb", closefd=False) as file:
            yield file


def look(path: str, follow: bool = True) -> os.stat_result | None:
    """The ``stat`` of what is there, ``None`` for nothing.

    :param follow: whether a link that is the last name is followed (if it may be).
    """
    with Place(path, follow) as place:
        return place.info


def write_atomic(
    path: str,
    data: bytes,
    mode: int = 0o644,
    owner: int = -1,
    group: int = -1,
    exact: bool = False,
    expected: bytes | None = None,
) -> str:
    """Replace a file as a whole: write beside it, sync, rename. A kill leaves the old or the new file.

    A symbolic link that is followed stays: the file that it names is replaced. An existing file keeps its owner, mode
    (without set-id bits), SELinux context and ACL; all are given to the new one before it takes the name. One that did
    not exist gets the context that the policy has for its path.

    ``AnsibleModule.atomic_move`` does less: it syncs nothing to the disk, replaces a link by a file, follows
    directories that others exchange, gives a new file the mode of the umask for a moment (here are private keys), and
    sets the SELinux context after the rename, when a daemon may have read the file already. It also needs a module,
    which these helpers are not given.

    :param mode: permission bits of a file that did not exist; likewise ``owner`` and ``group`` (ids, -1: those of this
        process).
    :param exact: mode, and owner and group where given, count for an existing file too.
    :param expected: what an existing file must still hold: the content that ``data`` was made from.
    :returns: the path really written (links resolved).
    :raises FileError: the directory is missing, read-only or full, or what is there must not be touched; the old file
        is untouched then.
    """
    with Place(path) as place:
        if len(place.missing) > 1:
            raise FileError(f"{os.path.dirname(path)} cannot be written: it is missing.", "Check the path.")
        attributes = None
        if place.info is not None:
            with place.opened(alone=True) as (handle, info):
                if expected is not None and _read(place, handle, info, LIMIT) != expected:
                    raise changed(place.path)
                attributes = read_attributes(handle)
            if exact:
                owner, group = (owner if owner >= 0 else info.st_uid), (group if group >= 0 else info.st_gid)
            else:
                mode, owner, group = info.st_mode & 0o777, info.st_uid, info.st_gid
        elif expected is not None:
            raise changed(place.path)
        create(place, place.name, data, mode, owner, group, attributes)
        return place.path


def backup(path: str) -> str:
    """Copy a file beside itself as Ansible names backups (``path.pid.date@time~``), owner, mode, label and ACL kept.

    :returns: the path of the copy.
    """
    with Place(path) as place:
        name = f"{place.name}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S~')}"
        put_copy(place, name, read_whole(place))
        return place.path_of(name)


def read_copy(path: str) -> Whole | None:
    """All of a file that :func:`put_back` needs; ``None`` where there is nothing."""
    with Place(path) as place:
        return None if place.info is None else read_whole(place)


def put_back(path: str, whole: Whole) -> None:
    """Make a file again what it was: bytes, owner, mode, SELinux context and ACL, whatever is there now.

    :raises FileError: as :func:`write_atomic`.
    """
    with Place(path) as place:
        if len(place.missing) > 1:
            raise FileError(f"{os.path.dirname(path)} cannot be written: it is missing.", "Check the path.")
        if place.info is not None:
            with place.opened(alone=True):
                pass  # it may be touched
        put_copy(place, place.name, whole)


def copy_file(source: str, target: str) -> None:
    """Copy bytes, owner, mode, SELinux context and ACL; the copy appears whole, in the place of whatever was there."""
    with Place(source) as place:
        whole = read_whole(place)
    with Place(target, follow=False) as place:
        put_copy(place, place.name, whole)


def create(
    place: Place,
    name: str,
    data: bytes,
    mode: int,
    owner: int,
    group: int,
    attributes: dict[str, bytes] | None = None,
) -> None:
    """Put a whole file in the place of a name in the directory of ``place``, whatever that was.

    :param attributes: the label and ACL it is to have; ``None`` for a new file, whose ACL is what the directory gives.
        Without a label it gets the policy's.
    """
    temporary = make_temporary_name(name)
    with explained(place.path_of(name), "written"):
        handle = os.open(temporary, _CREATE, 0o600, dir_fd=place.directory)
        try:
            try:
                _fill(handle, data, owner, group, attributes)
                label = (attributes or {}).get(_labels.NAME)
                if label:
                    _labels.keep(handle, label, place.path_of(name))
                else:
                    _labels.give_new(handle, place.path_of(name), stat.S_IFREG)
                os.fchmod(handle, mode)
                os.fsync(handle)
            finally:
                os.close(handle)
            os.rename(temporary, name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=place.directory)
            raise
    place.sync()


def put_copy(place: Place, name: str, whole: Whole) -> None:
    """As :func:`create`, with what :func:`read_whole` returned: bytes, owner, mode, label and ACL of another file."""
    data, info, attributes = whole
    create(place, name, data, info.st_mode & 0o777, info.st_uid, info.st_gid, attributes)


def read_attributes(handle: int) -> dict[str, bytes]:
    """The SELinux label and the ACL of a file, those that it has."""
    found = {}
    for name in (_labels.NAME, _ACL):
        with contextlib.suppress(OSError):
            found[name] = os.getxattr(handle, name)
    return found


def make_temporary_name(name: str) -> str:
    """Hidden, so that daemons that read whole directories pass it by, should a kill leave it; nobody can guess it."""
    return f".{name[:40]}.{os.urandom(8).hex()}.new"


def _read(place: Place, handle: int, info: os.stat_result, limit: int) -> bytes:
    pieces, size = [], 0
    while info.st_size <= limit and size <= limit:
        piece = os.read(handle, min(limit + 1 - size, 1024 * 1024))
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    else:
        raise _too_large(place, limit)
    after = os.fstat(handle)
    if (info.st_size, info.st_mtime_ns, info.st_ctime_ns) != (after.st_size, after.st_mtime_ns, after.st_ctime_ns):
        raise changed(place.path)
    return b"".join(pieces)


def _fill(handle: int, data: bytes, owner: int, group: int, attributes: dict[str, bytes] | None) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
    info = os.fstat(handle)
    if owner not in (-1, info.st_uid) or group not in (-1, info.st_gid):
        try:
            os.fchown(handle, owner, group)
        except PermissionError:
            if os.geteuid() == 0:  # else it is this user's file already, or stays readable by its group
                raise
    if attributes is not None:
        with contextlib.suppress(OSError):
            os.removexattr(handle, _ACL)  # from a default ACL of the directory: the old file's counts, or none
        if _ACL in attributes:
            os.setxattr(handle, _ACL, attributes[_ACL])


def _too_large(place: Place, limit: int) -> FileError:
    return FileError(f"{place.path} is larger than {limit} bytes.", "Check that this is the right file.")
