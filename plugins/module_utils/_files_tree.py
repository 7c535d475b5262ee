# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories and links, and removing: by the rules of ``_files``, for those who need more than a file's content."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Iterator

from ansible_collections.collab.rtc.plugins.module_utils import _labels, _ownership
from ansible_collections.collab.rtc.plugins.module_utils._files import make_temporary_name
from ansible_collections.collab.rtc.plugins.module_utils._place import (
    FileError,
    Place,
    changed,
    explained,
    suggest_remedy,
)

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = _FILE | os.O_DIRECTORY


def make_directory(path: str, mode: int = 0o755) -> bool:
    """Make a directory where there is none, those above it too (mode 0755).

    :param mode: of the directory, whatever the umask; one that exists keeps its own.
    :returns: whether it was made.
    :raises FileError: something else has the name, or it cannot be made.
    """
    with Place(path) as place:
        if place.info is not None:
            if not stat.S_ISDIR(place.info.st_mode):
                raise FileError(f"{place.path} is not a directory.", "Rename or remove it.")
            return False
        missing = place.missing
    if len(missing) > 1:
        make_directory(os.path.dirname(path.rstrip("/")))
    with Place(path) as place, explained(path, "made"):
        _make(place, place.name, mode)
        if _labels.is_on():
            with _opened_own(place, place.name) as handle:
                _labels.give_new(handle, place.path, stat.S_IFDIR)
        place.sync()
    return True


def label_tree(path: str, final: str) -> None:
    """Give all that is in a directory of our own, and the directory itself, the SELinux types of the policy.

    :param path: where it is now.
    :param final: where it will be: the policy goes by that.
    :raises FileError: it is another user's, or one cannot get its label.
    """
    if _labels.is_on():
        with Place(path) as place, explained(path, "labelled"), _opened_own(place, place.name) as handle:
            _label(handle, final)


def _label(handle: int, final: str) -> None:
    _labels.give_new(handle, final, stat.S_IFDIR)
    for name in os.listdir(handle):
        kind = stat.S_IFMT(os.lstat(name, dir_fd=handle).st_mode)
        if kind in (stat.S_IFDIR, stat.S_IFREG):
            entry = os.open(name, _FILE, dir_fd=handle)
            try:
                if kind == stat.S_IFDIR:
                    _label(entry, os.path.join(final, name))
                else:
                    _labels.give_new(entry, os.path.join(final, name), kind)
            finally:
                os.close(entry)


def make_hidden_directory(parent: str, label: str, mode: int = 0o700) -> str:
    """Make a directory with a name that nobody can guess; returns its path."""
    with Place(os.path.join(parent, label)) as place, explained(parent, "written"):
        name = make_temporary_name(label)
        _make(place, name, mode)
        return place.path_of(name)


def require_own(path: str, what: str) -> None:
    """Make sure that nobody but root, or the user of this process, can change what a path leads to.

    :param what: what is kept there, for the message.
    :raises FileError: somebody can, and says who and where; or the path is missing.
    """
    try:
        writers = [one for one in _ownership.find_writers(os.path.abspath(path)) if one.uid != os.geteuid()]
    except OSError as exc:
        raise FileError(f"{path} cannot be looked at: {exc.strerror}.", suggest_remedy(exc)) from exc
    if writers:
        raise FileError(
            f"{what} cannot be kept in {path}: {writers[0]} can change it.",
            "Give it, and all directories above it, to root, and let nobody else write there.",
        )


def list_directory(path: str) -> list[str]:
    """The sorted names in a directory; none where it is missing.

    :raises FileError: it is no directory, or may not be read.
    """
    with Place(path) as place:
        if place.info is None:
            return []
        with explained(path, "read"):
            handle = os.open(place.name, _DIRECTORY, dir_fd=place.directory)
            try:
                return sorted(os.listdir(handle))
            finally:
                os.close(handle)


def is_directory(path: str) -> bool:
    """Whether a directory is there."""
    with Place(path) as place:
        return place.info is not None and stat.S_ISDIR(place.info.st_mode)


def read_link(path: str) -> str:
    """What the symbolic link at a path says; "" where there is none. It is not followed."""
    with Place(path, follow=False) as place:
        return place.target


def replace_link(path: str, target: str, owner: int = -1) -> None:
    """Put a symbolic link in the place of whatever file or link has the name, in one step.

    :param owner: whose link it is (-1: the directory's owner's). It says who may be asked to follow it, so root does
        not sign for what others wrote.
    """
    with Place(path, follow=False) as place:
        put_link(place, target, owner)


def put_link(place: Place, target: str, owner: int = -1) -> None:
    """As :func:`replace_link`, in a directory that was walked to."""
    with explained(place.path, "written"):
        owner = place.directory_info.st_uid if owner < 0 else owner
        # Made in a directory that nobody else can enter: with a name in the open, its owner's change could hit a file
        # that somebody puts there.
        folder = make_temporary_name(place.name)
        _make(place, folder, 0o700)
        try:
            with _opened_own(place, folder) as handle:
                if os.fstat(handle).st_mode & 0o077:
                    raise changed(place.path_of(folder))
                os.symlink(target, "link", dir_fd=handle)
                try:
                    _labels.give_new(f"/proc/self/fd/{handle}/link", place.path, stat.S_IFLNK)
                    if owner != os.lstat("link", dir_fd=handle).st_uid and os.geteuid() == 0:
                        os.chown("link", owner, -1, dir_fd=handle, follow_symlinks=False)
                    os.rename("link", place.name, src_dir_fd=handle, dst_dir_fd=place.directory)
                except BaseException:
                    os.unlink("link", dir_fd=handle)
                    raise
        finally:
            with contextlib.suppress(OSError):
                os.rmdir(folder, dir_fd=place.directory)
        place.sync()


def rename(path: str, name: str) -> None:
    """Give a file or directory another name in its directory, where nothing has that name or an empty directory."""
    with Place(path, follow=False) as place, explained(path, "renamed"):
        os.rename(place.name, name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
        place.sync()


def remove(path: str) -> bool:
    """Remove a file, an empty directory, or a link, which is not followed; returns whether it was there.

    :raises FileError: it cannot be removed.
    """
    with Place(path, follow=False) as place:
        return unlink(place)


def unlink(place: Place) -> bool:
    """As :func:`remove`, in a directory that was walked to."""
    if place.info is None:
        return False
    remove_name = os.rmdir if stat.S_ISDIR(place.info.st_mode) else os.unlink
    with explained(place.path, "removed"):
        try:
            remove_name(place.name, dir_fd=place.directory)
        except FileNotFoundError:
            return False
    place.sync()
    return True


def remove_if_empty(path: str) -> bool:
    """Remove a directory of ours in which nothing is; returns whether it is gone."""
    with Place(path, follow=False) as place:
        if place.info is None or not stat.S_ISDIR(place.info.st_mode) or place.info.st_uid != os.geteuid():
            return False
        try:
            os.rmdir(place.name, dir_fd=place.directory)
        except OSError:  # something is in it
            return False
        place.sync()
        return True


def remove_tree(path: str) -> bool:
    """Remove a directory and all that is in it, following no link.

    :returns: whether it was there.
    :raises FileError: it is no directory, or something in it cannot be removed.
    """
    with Place(path, follow=False) as place:
        if place.info is None:
            return False
        with explained(path, "removed"):
            _empty(place.name, place.directory)
            os.rmdir(place.name, dir_fd=place.directory)
        place.sync()
        return True


def _empty(name: str, parent: int) -> None:
    handle = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        for entry in os.listdir(handle):
            if stat.S_ISDIR(os.lstat(entry, dir_fd=handle).st_mode):
                _empty(entry, handle)
                os.rmdir(entry, dir_fd=handle)
            else:
                os.unlink(entry, dir_fd=handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _opened_own(place: Place, name: str) -> Iterator[int]:
    """A descriptor of a directory that this process has made.

    :raises FileError: it is another user's by now.
    """
    handle = os.open(name, _DIRECTORY, dir_fd=place.directory)
    try:
        if os.fstat(handle).st_uid != os.geteuid():
            raise changed(place.path_of(name))
        yield handle
    finally:
        os.close(handle)


def _make(place: Place, name: str, mode: int) -> None:
    """By the umask, not by a change of mode afterwards, which could hit what somebody puts there."""
    before = os.umask(0)
    try:
        os.mkdir(name, mode, dir_fd=place.directory)
    finally:
        os.umask(before)
