# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What undoing gives back, noted before it does, until the services have it: ``unserved.json`` beside the undo records.

Who is killed in between leaves files that are as before the run, and services that still run with those of the run.
Once more undoing the same run tells from this note whose turn it is.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from typing import Dict, List, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

# ruff: noqa: UP006

_NAME = "unserved.json"


@dataclass
class Unserved:
    """What services may not have yet."""

    runs: List[str] = field(default_factory=list)  # that were, or are, undone
    paths: List[str] = field(default_factory=list)  # that are given back
    removed: List[str] = field(default_factory=list)  # those of them that the runs had made

    def add(self, runs: Sequence[str], paths: Sequence[str], removed: Sequence[str]) -> None:
        """Note what else is about to be given back."""
        for mine, more in ((self.runs, runs), (self.paths, paths), (self.removed, removed)):
            mine += [one for one in more if one not in mine]


def read(root: str, runs: Sequence[str]) -> Unserved:
    """What undoing one of these runs has left to the services; empty where it has left nothing.

    :param root: directory of the undo records.
    :raises RtcError: the note is damaged.
    """
    path = _find(root)
    try:
        values: Dict[str, List[str]] = json.loads(_files.read_existing(path) or b"{}")
        found = Unserved(**{name: [str(one) for one in some] for name, some in values.items()})
    except (ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise RtcError(
            f"{path} is damaged: {type(exc).__name__}: {str(exc)[:80]}.",
            "Remove it; where a rollback was killed on this host, restart what reads the files that it gave back.",
        ) from exc
    return found if set(found.runs) & set(runs) else Unserved()


def write(root: str, note: Unserved) -> None:
    """Keep the note."""
    _files.write_atomic(_find(root), json.dumps(dataclasses.asdict(note)).encode(), 0o600)


def end(root: str) -> None:
    """The services have all of it."""
    if _files.look(_find(root)) is not None:
        _files_tree.remove(_find(root))


def _find(root: str) -> str:
    return os.path.join(os.path.dirname(root), _NAME)
