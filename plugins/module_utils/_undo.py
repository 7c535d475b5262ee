# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The undo record of a run: what each file was before we first touched it.

A record is a directory, one for each run and host, that only root can change. ``manifest.jsonl`` has one JSON object
for each file, in the order in which they were first touched: ``{"path", "kind", "copy", "target", "owner", "walk"}``;
``copy`` is the name of the saved file in the directory, ``kind`` is ``file``, ``link`` or ``missing``, ``owner`` is the
link's, and ``walk`` has owner and inode of each directory on the way to the path. Records of 0.1.0 have no ``owner``
and no ``walk``.

A file is given back where its path leads to directories of the same owners as then, by the rules of ``_files``. That
they are the same directories is not demanded: an upgrade of the application exchanges them.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._ownership import user_name
from ansible_collections.collab.rtc.plugins.module_utils._place import FileError, Place

MANIFEST = "manifest.jsonl"
_WHAT = "The undo record"


def record(directory: str | None, path: str) -> None:
    """Save what ``path`` is now, once a run; call it before the first change. ``None`` records nothing.

    A symbolic link is recorded as the link, and the file it names as a file of its own: undo gives both back.

    :raises RtcError: somebody else can change the record, or the path must not be touched.
    """
    if not directory:
        return
    _files_tree.make_directory(directory, 0o700)
    _files_tree.require_own(directory, _WHAT)
    known = {entry["path"] for entry in entries(directory)}
    with Place(path, follow=False) as place:
        if place.target and path not in known:
            owner = place.info.st_uid if place.info else -1
            link = {"path": path, "kind": "link", "target": place.target, "owner": owner}
            _append(directory, {**link, "walk": place.steps[:-1]})
    with Place(path) as place:
        # Where directories are missing too, the place is the outermost of them; what is recorded is the file.
        real, walk = "/".join([place.path, *place.missing[1:]]), place.directories()
        # A link to a directory: the link is all that we ever change.
        if real in known or (place.info is not None and stat.S_ISDIR(place.info.st_mode)):
            return
        if place.info is None:
            _append(directory, {"path": real, "kind": "missing", "walk": walk})
            return
        whole = _files.read_whole(place)
        copy = f"{len(known):04d}-{os.path.basename(real)[-200:]}"
        with Place(os.path.join(directory, copy), follow=False) as saved:
            _files.put_copy(saved, saved.name, whole)
        _append(directory, {"path": real, "kind": "file", "copy": copy, "walk": walk})


def entries(directory: str) -> list[dict[str, Any]]:
    """The record's entries, oldest first; an entry cut short by a kill was never acted on and is left out."""
    text = (_files.read_existing(os.path.join(directory, MANIFEST)) or b"").decode("utf-8", "surrogateescape")
    found = []
    for line in text.split("\n")[:-1]:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def restore(directory: str, notes: list[str] | None = None) -> list[str]:
    """Give every recorded file back its bytes, owner and mode, newest first; files that we made are removed.

    :param notes: gets what is worth knowing: directories that are others than then.
    :returns: the paths that differed and were changed.
    :raises RtcError: there is no such record, or somebody else can change it, or a saved copy is missing (nothing is
        changed then); or a path must not be touched any more (all others are given back).
    """
    found = entries(directory)
    if not found:
        raise RtcError(f"{directory} holds no undo record.", "List the runs of this host, and name one of them.")
    _files_tree.require_own(directory, _WHAT)
    for entry in found:
        if entry["kind"] == "file" and _files.look(os.path.join(directory, entry["copy"])) is None:
            raise RtcError(f"The undo record {directory} has lost its copy of {entry['path']}.", "Restore it by hand.")
    changed, refused = [], []
    for entry in reversed(found):
        try:
            if _give_back(directory, entry, notes):
                changed.append(entry["path"])
        except RtcError as exc:
            refused.append(exc)
    if refused:
        others = f" Given back: {', '.join(changed)}." if changed else ""
        raise RtcError(" ".join(exc.message for exc in refused) + others, refused[0].remedy)
    return changed


def differs(directory: str, entry: dict[str, Any]) -> bool:
    """Whether the path of an entry is not what was recorded.

    :raises RtcError: the path must not be touched any more.
    """
    with _reach(entry, None) as place:
        return _differs(place, directory, entry)


def _reach(entry: dict[str, Any], notes: list[str] | None) -> Place:
    """The path of an entry, where it leads to directories of the same owners as then."""
    place = Place(entry["path"], follow=False)
    steps = zip(entry.get("walk", []), place.steps, entry["path"].split("/")[1:])
    walked = ""
    for (owner, inode), (owner_now, inode_now), name in steps:
        walked += f"/{name}"
        if owner != owner_now:
            place.close()
            raise FileError(
                f"{entry['path']} is not given back: {walked} belongs to {user_name(owner_now)} now, and belonged to "
                f"{user_name(owner)} when it was recorded.",
                "Look who changed that; the saved files are in the undo record.",
            )
        if inode != inode_now and notes is not None:
            notes.append(f"{walked} is another directory than when {entry['path']} was recorded.")
    return place


def _differs(place: Place, directory: str, entry: dict[str, Any]) -> bool:
    if entry["kind"] == "missing":
        return place.info is not None
    if entry["kind"] == "link":
        return bool(place.target != entry["target"])
    if place.info is None or not stat.S_ISREG(place.info.st_mode):
        return True
    with Place(os.path.join(directory, entry["copy"])) as copy:
        data, saved, _attributes = _files.read_whole(copy)
    if _identity(saved) != _identity(place.info) or saved.st_size != place.info.st_size:
        return True
    return _files.read_whole(place)[0] != data


def _identity(info: os.stat_result) -> tuple[int, int, int]:
    return info.st_mode & 0o777, info.st_uid, info.st_gid


def _give_back(directory: str, entry: dict[str, Any], notes: list[str] | None) -> bool:
    with _reach(entry, notes) as place:
        if not _differs(place, directory, entry):
            return False
        if len(place.missing) > 1:
            raise FileError(f"{place.asked} is not given back: its directory is gone.", "Make the directory first.")
        if entry["kind"] == "file":
            with Place(os.path.join(directory, entry["copy"])) as copy:
                _files.put_copy(place, place.name, _files.read_whole(copy))
        elif entry["kind"] == "link":
            _files_tree.put_link(place, entry["target"], entry.get("owner", -1))
        else:
            _files_tree.unlink(place)
        return True


def _append(directory: str, entry: dict[str, Any]) -> None:
    path = os.path.join(directory, MANIFEST)
    old = _files.read_existing(path) or b""
    line = json.dumps(entry, sort_keys=True) + "\n"
    kept = old[: old.rfind(b"\n") + 1]  # a line cut short by a kill would spoil this one
    _files.write_atomic(path, kept + line.encode("utf-8", "surrogateescape"), 0o600)
