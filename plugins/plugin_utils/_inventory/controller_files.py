# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a file of the controller is looked for that the inventory names, and what may not be replaced by one."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

COLLECTION = Path(__file__).resolve().parents[3]


def list_places(value: str, directories: Iterable[str | None]) -> list[str]:
    """The absolute paths that ``value`` may mean, in the order in which they are tried.

    An absolute path, or one that begins with ``~``, means itself. Any other is looked for in each of the directories
    and where the run was started. Nobody keeps files among the playbooks of this collection, so these are passed over.
    """
    path = os.path.expanduser(value)
    if os.path.isabs(path):
        return [path]
    playbooks = COLLECTION / "playbooks"
    found = [os.path.abspath(item) for item in [*directories, os.getcwd()] if item]
    outside = [item for item in found if playbooks not in (real := Path(item).resolve(), *real.parents)]
    return list(dict.fromkeys(os.path.normpath(os.path.join(item, path)) for item in outside))


def find_file(value: str, directories: Iterable[str | None]) -> str:
    """The file that ``value`` means.

    :raises OSError: there is none; says where was looked.
    """
    places = list_places(value, directories)
    for place in places:
        if os.path.isfile(place):
            return place
    for place in places:
        if os.path.isdir(place):
            raise OSError(f"{place} is a directory.")
    where = "" if places == [value] else f" Looked for {', '.join(places)}."
    raise OSError(f"there is no such file on the controller.{where}")


def explain_no_file(path: str) -> str:
    """Why what has that name cannot be replaced; "" where it is a file, or nothing. A renamed file takes the place of
    anything but a directory: root would take /dev/null, or what /dev/stdout is, from the whole machine."""
    with contextlib.suppress(OSError):  # which writing will tell
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return "it is a directory"
        if not stat.S_ISREG(mode):
            return "it is a pipe or device, and no file"
    return ""


def explain_no_place(path: str) -> str:
    """Why a file cannot be written there, as far as that can be told before; "" for nothing."""
    path = os.path.expanduser(path)
    directory = os.path.dirname(path) or "."
    why = explain_no_file(path)
    if not why and not os.path.isdir(directory):
        why = f"there is no directory {directory}"
    if not why and not os.access(directory, os.W_OK | os.X_OK):
        why = f"the user who runs Ansible may not write to {directory}"
    return why
