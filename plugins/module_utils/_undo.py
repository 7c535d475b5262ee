# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The undo record of a run: what each file was before we first touched it.

A record is a directory, one for each run and host. ``manifest.jsonl`` has one JSON object for each file, in the order
in which they were first touched: ``{"path", "kind", "copy", "target"}``; ``copy`` is the name of the saved
file in the directory, ``kind`` is ``file``, ``link`` or ``missing``.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

MANIFEST = "manifest.jsonl"


def record(directory: str | None, path: str) -> None:
    """Save what ``path`` is now, once a run; call it before the first change. ``None`` records nothing.

    A symbolic link is recorded as the link, and the file it names as a file of its own: undo gives both back.
    """
    if not directory:
        return
    os.makedirs(directory, mode=0o700, exist_ok=True)
    known = {entry["path"] for entry in entries(directory)}
    if os.path.islink(path) and path not in known:
        _append(directory, {"path": path, "kind": "link", "target": os.readlink(path)})
    real = os.path.realpath(path)
    if real in known or os.path.isdir(real):  # a link to a directory: the link is all that we ever change
        return
    if not os.path.lexists(real):
        _append(directory, {"path": real, "kind": "missing"})
        return
    copy = f"{len(known):04d}-{os.path.basename(real)}"
    _files.copy_file(real, os.path.join(directory, copy))
    _append(directory, {"path": real, "kind": "file", "copy": copy})


def entries(directory: str) -> list[dict[str, Any]]:
    """The record's entries, oldest first; an entry cut short by a kill was never acted on and is left out."""
    try:
        with open(os.path.join(directory, MANIFEST), encoding="utf-8") as file:
            lines = file.read().split("\n")
    except FileNotFoundError:
        return []
    found = []
    for line in lines[:-1]:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def restore(directory: str) -> list[str]:
    """Give every recorded file back its bytes, owner and mode, newest first; files that we made are removed.

    :returns: the paths that differed and were changed.
    :raises RtcError: there is no such record, or a saved copy is missing (nothing is changed then).
    """
    found = entries(directory)
    if not found:
        raise RtcError(f"{directory} holds no undo record.", "List the runs of this host, and name one of them.")
    for entry in found:
        if entry["kind"] == "file" and not os.path.exists(os.path.join(directory, entry["copy"])):
            raise RtcError(f"The undo record {directory} has lost its copy of {entry['path']}.", "Restore it by hand.")
    return [entry["path"] for entry in reversed(found) if _give_back(directory, entry)]


def differs(directory: str, entry: dict[str, Any]) -> bool:
    """Whether the path of an entry is not what was recorded."""
    path = entry["path"]
    if entry["kind"] == "missing":
        return os.path.lexists(path)
    if entry["kind"] == "link":
        return not os.path.islink(path) or os.readlink(path) != entry["target"]
    if not os.path.isfile(path):
        return True
    copy = os.path.join(directory, entry["copy"])
    return _read_identity(path) != _read_identity(copy) or _files.read_bytes(path) != _files.read_bytes(copy)


def _read_identity(path: str) -> tuple[int, int, int]:
    info = os.stat(path)
    return stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid


def _give_back(directory: str, entry: dict[str, Any]) -> bool:
    path = entry["path"]
    if not differs(directory, entry):
        return False
    # A hidden name: daemons that read whole directories pass it by, should a kill leave it there.
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.rtc-undo")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    if entry["kind"] == "missing":
        os.unlink(path)
    elif entry["kind"] == "link":
        os.symlink(entry["target"], temporary)
        os.rename(temporary, path)
    else:
        copy = os.path.join(directory, entry["copy"])
        _files.copy_file(copy, temporary)
        os.rename(temporary, path)
    _files.sync_directory(os.path.dirname(path))
    return True


def _append(directory: str, entry: dict[str, Any]) -> None:
    with open(os.path.join(directory, MANIFEST), "a", encoding="utf-8") as file:
        file.write(json.dumps(entry, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
