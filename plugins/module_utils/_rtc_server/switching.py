# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which release of the RTC server is current on a host, and which one each instance was last ready with.

``current`` is a link that every instance starts from. ``ready/INSTANCE`` is a link, too: it is the way back from a
release that does not get ready. A kill between any two steps leaves links that lead to whole releases: the next run
sees that ``current`` is not what an instance was ready with, and goes on from there.
"""

from __future__ import annotations

import ctypes
import os

from ansible_collections.collab.rtc.plugins.module_utils import _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._place import Place


def path_of_current(base: str) -> str:
    """The link to the current release."""
    return os.path.join(base, "current")


def path_of_ready(base: str, instance: str) -> str:
    """The link to the release that an instance was last ready with."""
    return os.path.join(base, "ready", instance)


def link_to(name: str) -> str:
    """Where ``current`` leads for a release."""
    return os.path.join("releases", name)


def read_current(base: str) -> str:
    """The name of the current release; "" for none."""
    return os.path.basename(_files_tree.read_link(path_of_current(base)))


def read_ready(base: str) -> dict[str, str]:
    """The release that each instance was last ready with."""
    names = _files_tree.list_directory(os.path.join(base, "ready"))
    found = {name: os.path.basename(_files_tree.read_link(path_of_ready(base, name))) for name in names}
    return {name: release for name, release in found.items() if release and not name.startswith(".")}


def switch(base: str, name: str) -> None:
    """Point ``current`` at a release, in one step."""
    _files_tree.replace_link(path_of_current(base), link_to(name))


def note_ready(base: str, instance: str, name: str) -> None:
    """Note that an instance got ready with a release, unless that is noted already."""
    path = path_of_ready(base, instance)
    if name and os.path.basename(_files_tree.read_link(path)) != name:
        _files_tree.make_directory(os.path.dirname(path))
        _files_tree.replace_link(path, os.path.join("..", link_to(name)))


def find_way_back(base: str, instance: str) -> str:
    """The release that an instance was last ready with, where it is there and not the current one; else ""."""
    name = read_ready(base).get(instance, "")
    there = bool(name) and _files_tree.is_directory(os.path.join(base, link_to(name)))
    return name if there and name != read_current(base) else ""


def runs_other(base: str, instance: str, started: float) -> bool:
    """Whether a process that runs does so with another release than the current one.

    It does where the link is younger than the process: but not where the release was taken back meanwhile, and the
    process had got ready with that.

    :param started: when it was started, in seconds since the epoch.
    """
    current, ready = path_of_current(base), path_of_ready(base, instance)
    if not os.path.lexists(current) or os.lstat(current).st_mtime <= started:
        return False
    noted = os.path.lexists(ready) and os.lstat(ready).st_mtime >= started
    return not (noted and read_ready(base).get(instance) == read_current(base))


def sync(folder: str) -> None:
    """Bring all of a directory's file system to the disk.

    A directory gets its name without its files being there: after a power cut, they would be empty.
    """
    with Place(folder) as place:
        # Any descriptor names the file system: that of the directory above does.
        if ctypes.CDLL(None, use_errno=True).syncfs(place.directory) != 0:
            os.sync()
