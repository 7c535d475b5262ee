# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What undoing runs would change on a host: for check mode and for diffs."""

from __future__ import annotations

import os
import stat
from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._place import Place
from ansible_collections.collab.rtc.plugins.module_utils._secret_text import mask_text
from ansible_collections.collab.rtc.plugins.module_utils._undo import restore

_LARGEST = 256 * 1024  # bytes of a file that is shown


class Change(NamedTuple):
    """A path that is not what it was before the oldest of the runs.

    :param copy: the saved file that it gets; "" where it is removed or becomes a link.
    :param target: of the link that it becomes, or "".
    :param edited: somebody changed it after the newest run that did.
    """

    path: str
    copy: str
    target: str
    edited: bool

    @property
    def removes(self) -> bool:
        return not self.copy and not self.target


def find_changes(
    directories: Sequence[str], refused: list[RtcError], only: Mapping[str, Sequence[str]] | None = None
) -> list[Change]:
    """What undoing these records changes in the end.

    :param directories: of the records, newest first.
    :param refused: gets an error for each path that must not be touched any more; the others go on.
    :param only: directory -> the paths that are given back of it; ``None``: all.
    :raises RtcError: a record cannot be undone at all.
    """
    newest: dict[str, tuple[str, dict[str, Any]]] = {}
    oldest: dict[str, tuple[str, dict[str, Any]]] = {}
    for directory in directories:
        for entry in reversed(restore.require_whole(directory)):
            if only is not None and entry["path"] not in only.get(directory, ()):
                continue
            newest.setdefault(entry["path"], (directory, entry))
            oldest[entry["path"]] = directory, entry
    changes = []
    for path, (directory, entry) in oldest.items():
        try:
            if restore.differs(directory, entry):
                copy = os.path.join(directory, entry["copy"]) if "copy" in entry else ""
                changes.append(Change(path, copy, entry.get("target", ""), restore.is_edited(*newest[path])))
        except RtcError as exc:
            refused.append(exc)
    return changes


def make_diff(change: Change) -> dict[str, str]:
    """What Ansible shows of it: no secrets, and nothing that is no text."""
    before, after = _show(change.path, follow=False), ""
    if change.copy:
        after = _show(change.copy)
    elif change.target:
        after = f"link to {change.target}\n"
    if before == after:  # such as secrets, or owner and mode
        before, after = f"{before}(as it is)\n", f"{after}(as it was before the run)\n"
    return {"before_header": change.path, "after_header": change.path, "before": before, "after": after}


def _show(path: str, follow: bool = True) -> str:
    with Place(path, follow) as place:
        if place.info is None:
            return ""
        if place.target:
            return f"link to {place.target}\n"
        if not stat.S_ISREG(place.info.st_mode):
            return "(no file)\n"
        if not place.info.st_mode & 0o077:
            return "(only its owner may read it: not shown)\n"
        data = b"" if place.info.st_size > _LARGEST else _files.read_whole(place)[0]
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or "PRIVATE KEY-----" in text or place.info.st_size > _LARGEST:
        return f"({place.info.st_size} bytes, not shown)\n"
    return mask_text(text)
