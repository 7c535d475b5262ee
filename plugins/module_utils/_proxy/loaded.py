# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a running server has loaded: a file that was changed and given back is newer, and no reason for a reload."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import Any, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import RUN, Backend

_SAME = 0.1  # seconds between two readings of when one and the same load was, by proc(5)


class Loaded:
    """Digests of the files that a server loaded, kept until it loads anew.

    :param master: the server's process; 0: it does not run, and has loaded nothing.
    """

    def __init__(self, backend: Backend, master: int) -> None:
        self.backend, self.master = backend, master
        self.path = backend.path(f"{RUN}/{backend.kind}.loaded")

    def is_outdated(self, sources: Sequence[str]) -> bool:
        """Whether one of these files is not what the server has loaded."""
        if not self.backend.is_outdated(self.master, list(sources)):
            return False
        known = self._read()
        unknown = [one for one in sources if not _digest(one) or known.get(one) != _digest(one)]
        return self.backend.is_outdated(self.master, unknown)

    def note(self, sources: Sequence[str]) -> None:
        """Keep what these files hold, of those that are as the server has loaded them."""
        load = self.backend.loaded(self.master) if self.master else 0.0
        if not load:
            return
        fresh = {one: _digest(one) for one in sources if not self.backend.is_outdated(self.master, [one])}
        text = json.dumps({"master": self.master, "load": load, "files": {**self._read(), **fresh}})
        with contextlib.suppress(RtcError):  # without it, it is reloaded once more than need be
            _files_tree.make_directory(os.path.dirname(self.path))
            _files.write_atomic(self.path, text.encode(), 0o600)

    def _read(self) -> dict[str, Any]:
        """The digests, if they are of the present load."""
        with contextlib.suppress(RtcError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            known = json.loads(_files.read_existing(self.path) or b"{}")
            if known["master"] == self.master and abs(known["load"] - self.backend.loaded(self.master)) < _SAME:
                return dict(known["files"])
        return {}


def _digest(path: str) -> str:
    """Of what a file holds, and where the link leads if it is one; of a directory, of its names; "" for what cannot be
    read."""
    try:
        if _files_tree.is_directory(path):
            return _hash("\n".join(sorted(_files_tree.list_directory(path))), b"")
        link, data = _files_tree.read_link(path), _files.read_existing(path)
    except RtcError:
        return ""
    return "" if data is None else _hash(link, data)


def _hash(text: str, data: bytes) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape") + b"\0" + data).hexdigest()
