# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Giving files back from an undo record (``_undo``), without losing what others changed since."""

from __future__ import annotations

import json
import os
import stat
import time
from typing import Any, NamedTuple, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._ownership import user_name
from ansible_collections.collab.rtc.plugins.module_utils._place import FileError, Place
from ansible_collections.collab.rtc.plugins.module_utils._undo import records


class Edited(NamedTuple):
    """A file that somebody changed after the run, and the copy of it in the record; "" for what is no file."""

    path: str
    copy: str


class Restored(NamedTuple):
    """What :func:`restore` did: the paths that differed and were changed, and those of them that others had changed."""

    paths: list[str]
    edited: list[Edited]


def require_whole(directory: str) -> list[dict[str, Any]]:
    """The entries of a record that can be undone.

    :raises RtcError: there is none, or somebody else can change it, or a saved copy is missing.
    """
    found = records.entries(directory)
    if not found:
        raise RtcError(f"{directory} holds no undo record.", "List the runs of this host, and name one of them.")
    _files_tree.require_own(directory, records.WHAT)
    for entry in found:
        if entry["kind"] == "file":
            _require_copy(directory, entry)
    return found


def _require_copy(directory: str, entry: dict[str, Any]) -> None:
    path = os.path.join(directory, entry["copy"])
    data = _files.read_existing(path)
    if data is None:
        raise RtcError(f"The undo record {directory} has lost its copy of {entry['path']}.", "Restore it by hand.")
    if entry.get("digest", records.digest(data)) != records.digest(data):  # records of 0.1.0 have none
        raise RtcError(
            f"{path} is not what was saved of {entry['path']}: it was changed since, or lost its content with a disk.",
            f"Restore it from a backup; or give {entry['path']} back by hand.",
        )


def restore(directory: str, notes: list[str] | None = None, only: Sequence[str] | None = None) -> Restored:
    """Give every recorded file back its bytes, owner and mode, newest first; files that we made are removed.

    What somebody changed since is kept in the record before it is replaced.

    :param notes: gets what is worth knowing: directories that are others than then.
    :param only: paths that are given back; ``None``: all.
    :raises RtcError: there is no such record, or somebody else can change it, or a saved copy is missing (nothing is
        changed then); or a path must not be touched any more (all others are given back).
    """
    restored = Restored([], [])
    refused = []
    for number, entry in enumerate(reversed(require_whole(directory))):
        if only is not None and entry["path"] not in only:
            continue
        try:
            with _reach(entry, notes) as place:
                if not _differs(place, directory, entry):
                    continue
                copy = _keep_edited(place, directory, entry, number)
                _give_back(place, directory, entry)
        except RtcError as exc:
            refused.append(exc)
            continue
        restored.paths.append(entry["path"])
        if copy is not None:
            restored.edited.append(Edited(entry["path"], copy))
    if refused:
        others = f" Given back: {', '.join(restored.paths)}." if restored.paths else ""
        raise RtcError(" ".join(exc.message for exc in refused) + others, refused[0].remedy)
    return restored


def mark_undone(directory: str, by: str) -> None:
    """Note that the run was undone: from now on it counts for nothing."""
    note = json.dumps({"at": round(time.time()), "by": by})
    _files.write_atomic(os.path.join(directory, records.UNDONE), note.encode(), 0o600)


def note_intended(directory: str, path: str, data: bytes) -> None:
    """Note that a file has been given this content by us, too; nothing where the record does not have the file."""
    if any(entry["path"] == path for entry in records.entries(directory)):
        records.append(directory, [{"path": path, "intended": records.digest(data)}])


def differs(directory: str, entry: dict[str, Any]) -> bool:
    """Whether the path of an entry is not what was recorded.

    :raises RtcError: the path must not be touched any more.
    """
    with _reach(entry, None) as place:
        return _differs(place, directory, entry)


def is_edited(directory: str, entry: dict[str, Any]) -> bool:
    """Whether somebody else changed a file since the run; not where the record does not say what the run made of it.

    :raises RtcError: the path must not be touched any more.
    """
    with _reach(entry, None) as place:
        return _differs(place, directory, entry) and not _is_own(_read_state(place), entry)


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


def _read_state(place: Place) -> str:
    """What a path is, in one word: a digest, where a link leads, or that there is nothing."""
    if place.info is None:
        return records.MISSING
    if place.target:
        return f"link:{place.target}"
    if not stat.S_ISREG(place.info.st_mode):
        return "no file"
    return records.digest(_files.read_whole(place)[0])


def _is_own(state: str, entry: dict[str, Any]) -> bool:
    # Without "intended" the record is of 0.1.0: nobody knows, and its file is kept as one that was edited.
    return state == records.MISSING or state in entry.get("intended", ())


def _keep_edited(place: Place, directory: str, entry: dict[str, Any], number: int) -> str | None:
    """Copy what somebody changed since into the record, where no daemon reads it; returns the path of the copy.

    :returns: "" for a pipe and the like, which have no content; ``None`` where nobody changed it.
    """
    if place.info is None or _is_own(_read_state(place), entry):
        return None
    copy = os.path.join(directory, f"edited-{number:04d}-{os.path.basename(place.name)[-200:]}")
    if place.target:
        _files_tree.replace_link(copy, place.target)
        return copy
    if not stat.S_ISREG(place.info.st_mode):
        return ""
    with Place(copy, follow=False) as kept:
        _files.put_copy(kept, kept.name, _files.read_whole(place))
    return copy


def _make_directory(entry: dict[str, Any]) -> None:
    """Make the directory of a file again: a run took it away with the last file in it.

    :raises FileError: it was another user's.
    """
    path, walk = entry["path"], entry.get("walk", [])
    if not walk or walk[-1][0] != os.geteuid():
        raise FileError(f"{path} is not given back: its directory is gone.", "Make the directory first.")
    _files_tree.make_directory(os.path.dirname(path), entry.get("folder", 0o700))


def _remove_made(entry: dict[str, Any]) -> None:
    """Remove the directories that the run made for a file, where nothing else is in them."""
    names = os.path.dirname(entry["path"]).split("/")[1:]
    for depth in range(len(names), len(entry.get("walk") or names), -1):
        if not _files_tree.remove_if_empty("/" + "/".join(names[:depth])):
            return


def _give_back(place: Place, directory: str, entry: dict[str, Any]) -> None:
    if len(place.missing) > 1:
        _make_directory(entry)
        with _reach(entry, None) as found:
            _give_back(found, directory, entry)
    elif entry["kind"] == "file":
        with Place(os.path.join(directory, entry["copy"])) as copy:
            _files.put_copy(place, place.name, _files.read_whole(copy))
    elif entry["kind"] == "link":
        _files_tree.put_link(place, entry["target"], entry.get("owner", -1))
    else:
        _files_tree.unlink(place)
        _remove_made(entry)
