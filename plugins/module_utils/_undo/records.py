# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The undo record of a run: what each file was before we first touched it.

A record is a directory, one for each run and host, that only root can change. ``manifest.jsonl`` has one JSON object
for each file, in the order in which they were first touched: ``{"path", "kind", "copy", "target", "owner", "walk"}``;
``copy`` is the name of the saved file in the directory, ``digest`` that of its content, ``kind`` is ``file``, ``link``
or ``missing``, ``owner`` is the link's, ``folder`` the permission bits of the directory, ``walk`` owner and inode of
each directory on the way. Lines ``{"path", "intended"}`` say what the run was about to make of it, each before it is
done: so an edit that somebody made since can be told from what a run wrote, also where a kill came between. Records of
0.1.0 have only the first four.

``ENDED`` names the records of runs that were given up since the last boot. A call of such a run may still be there: its
connection was lost, and it goes on. So each looks before it changes something, and after it has recorded that. A run
whose lease another one has taken is given up for good: its later calls are refused, too.

``run.json`` says who ran it, and ``undone.json`` that the run was undone, and when: it counts for nothing then.

A file is given back where its path leads to directories of the same owners as then, by the rules of ``_files``. That
they are the same directories is not demanded: an upgrade of the application exchanges them. Giving back:
``restore.py``; which records go with time: ``prune.py``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import stat
import time
from typing import Any, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._place import Place

MANIFEST = "manifest.jsonl"
ENDED = "/run/collab-rtc/ended.json"  # no call outlives the boot, and nothing of it is left on the disk
_MOST_ENDED = 20
_STARTED = time.monotonic()  # of this process; all processes have the same clock until the next boot
UNDONE = "undone.json"
_RUN = "run.json"
WHAT = "The undo record"
MISSING = "missing"


def record(directory: str | None, path: str, intended: bytes | str | None) -> None:
    """Save what ``path`` is now, once a run, and what it is about to become; call it before each change.

    A symbolic link is recorded as the link, and the file it names as a file of its own: undo gives both back.

    :param directory: the record; ``None`` records nothing.
    :param intended: the new content; for a link, where it is to lead; ``None``: it is to be removed.
    :raises RtcError: somebody else can change the record, the path must not be touched, or the run was given up.
    """
    if not directory:
        return
    require_going(directory)
    _files_tree.make_directory(directory, 0o700)
    _files_tree.require_own(directory, WHAT)
    known = {entry["path"] for entry in entries(directory)}
    lines = []
    with Place(path, follow=False) as place:
        if place.target and path not in known:
            owner = place.info.st_uid if place.info else -1
            link = {"path": path, "kind": "link", "target": place.target, "owner": owner}
            lines.append({**link, "folder": place.directory_info.st_mode & 0o777, "walk": place.steps[:-1]})
    with Place(path) as place:
        # Where directories are missing too, the place is the outermost of them; what is recorded is the file.
        real, walk = "/".join([place.path, *place.missing[1:]]), place.directories()
        # A link to a directory: the link is all that we ever change.
        directly = place.info is None or not stat.S_ISDIR(place.info.st_mode)
        if directly and real not in known:
            if place.info is None:
                lines.append({"path": real, "kind": "missing", "walk": walk})
            else:
                whole = _files.read_whole(place)
                copy = f"{len(known):04d}-{os.path.basename(real)[-200:]}"
                with Place(os.path.join(directory, copy), follow=False) as saved:
                    _files.put_copy(saved, saved.name, whole)
                folder = place.directory_info.st_mode & 0o777
                saved_as = {"copy": copy, "digest": digest(whole[0])}
                lines.append({"path": real, "kind": "file", **saved_as, "folder": folder, "walk": walk})
    state = MISSING if intended is None else f"link:{intended}" if isinstance(intended, str) else digest(intended)
    recorded = known | {line["path"] for line in lines}
    lines.append({"path": real if isinstance(intended, bytes) or path not in recorded else path, "intended": state})
    append(directory, lines)
    require_going(directory)


def end_run(directory: str, for_good: bool = False) -> None:
    """Give up a run on this host: calls of it that are there already change nothing from now on.

    :param directory: its record, which need not exist.
    :param for_good: later calls change nothing either.
    """
    ended = dict(list(_read_json(ENDED).items())[-_MOST_ENDED:])
    when = math.inf if for_good or ended.get(directory) == math.inf else time.monotonic()
    _files_tree.make_directory(os.path.dirname(ENDED), 0o700)
    _files.write_atomic(ENDED, json.dumps({**ended, directory: when}).encode(), 0o600)


def is_replaced(directory: str | None) -> bool:
    """Whether another run, or a rollback, has taken the place of a run that was taken for dead.

    :param directory: the run's record.
    """
    return directory is not None and _read_json(ENDED).get(directory) == math.inf


def require_going(directory: str | None) -> None:
    """Make sure that the run was not given up. Call it before each change that is not recorded.

    :param directory: its record; ``None``: nothing is known of a run.
    :raises RtcError: it was given up, while this process was there or for good.
    """
    when = _read_json(ENDED).get(directory) if directory else None
    if directory and isinstance(when, (int, float)) and when > _STARTED:
        why = "another one has taken its place" if when == math.inf else "the connection to this call was lost"
        raise RtcError(
            f"Run {os.path.basename(directory)} was given up on this host: {why}. It changes nothing more.",
            "Run again.",
        )


def entries(directory: str) -> list[dict[str, Any]]:
    """The record's entries, oldest first; ``intended`` of each has all that the run meant to make of the file.

    An entry cut short by a kill was never acted on and is left out.

    :raises RtcError: the record is damaged, or of a newer version: what it does not tell would be taken for what the
        run did not do.
    """
    path = os.path.join(directory, MANIFEST)
    text = (_files.read_existing(path) or b"").decode("utf-8", "surrogateescape")
    found: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(text.split("\n")[:-1], 1):
        try:
            one = json.loads(line)
            if "kind" in one:
                _require_entry(one)
                found[one["path"]] = one
            elif one["path"] in found:
                found[one["path"]].setdefault("intended", []).append(one["intended"])
        except (ValueError, TypeError, KeyError, RecursionError) as exc:
            raise RtcError(
                f"The undo record {path} is damaged, or of a newer version of collab.rtc: line {number} is no entry "
                f"({type(exc).__name__}: {str(exc)[:80]}).",
                f"Restore the file from a backup; or move {directory} away: then that run can no longer be undone.",
            ) from exc
    return list(found.values())


def _require_entry(entry: dict[str, Any]) -> None:
    """Make sure that an entry has what its kind needs.

    :raises ValueError, TypeError, KeyError: it has not.
    """
    kind, path = entry["kind"], entry["path"]
    needed = {"file": "copy", "link": "target", MISSING: "path"}
    if kind not in needed:
        raise ValueError(f"unknown kind {kind!r:.40}")
    name = entry[needed[kind]]
    if not os.path.isabs(path) or not isinstance(name, str) or not name:
        raise ValueError("no usable path")
    if kind == "file" and (os.path.basename(name) != name or name in (".", "..")):
        raise ValueError("a copy outside of the record")
    for owner, inode in entry.get("walk", []):
        if not _is_number(owner) or not _is_number(inode):
            raise ValueError("no usable walk")
    if not isinstance(entry.get("intended", []), list):
        raise ValueError("no usable intention")
    if not _is_number(entry.get("folder", 0)) or not _is_number(entry.get("owner", 0)):
        raise ValueError("no usable owner or mode")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def list_runs(path: str) -> list[str]:
    """Names of the runs that changed something, oldest first (names begin with the time).

    :param path: the directory of all records.
    """
    directories = {name: os.path.join(path, name) for name in _files_tree.list_directory(path)}
    return [name for name, one in directories.items() if _files_tree.is_directory(one) and _has_entries(one)]


def _has_entries(directory: str) -> bool:
    """Whether a run changed something; one whose record cannot be read counts: it may have."""
    try:
        return bool(entries(directory))
    except RtcError:
        return True


def note_run(directory: str, facts: dict[str, Any]) -> None:
    """Keep who ran it, once a run; nothing where the run has changed nothing."""
    path = os.path.join(directory, _RUN)
    if _files_tree.is_directory(directory) and _files.look(path) is None:
        _files.write_atomic(path, json.dumps(facts).encode(), 0o600)


def read_run(directory: str) -> dict[str, Any]:
    """What :func:`note_run` kept; empty where there is nothing."""
    return _read_json(os.path.join(directory, _RUN))


def is_undone(directory: str) -> bool:
    """Whether the run was undone."""
    return _files.look(os.path.join(directory, UNDONE)) is not None


def read_undone(directory: str) -> dict[str, Any]:
    """When a run was undone (``at``, seconds since the epoch) and by whom; empty where it was not."""
    return _read_json(os.path.join(directory, UNDONE))


def digest(data: bytes) -> str:
    """The state of a file with that content."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _read_json(path: str) -> dict[str, Any]:
    found: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(_files.read_existing(path) or b"{}")
    return found if isinstance(found, dict) else {}


def append(directory: str, lines: Sequence[dict[str, Any]]) -> None:
    path = os.path.join(directory, MANIFEST)
    old = _files.read_existing(path) or b""
    text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
    kept = old[: old.rfind(b"\n") + 1]  # a line cut short by a kill would spoil these
    _files.write_atomic(path, kept + text.encode("utf-8", "surrogateescape"), 0o600)
