# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the parsers of the three servers share: files with their limits, and directives in blocks.

Nothing here raises: what cannot be read becomes a note.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

MAX_DEPTH = 40  # of files that include each other, and of blocks
_MAX_FILES = 2000
_MAX_BYTES = 8 * 1024 * 1024  # of one file


@dataclass
class ParsedConfig:
    """A server's whole configuration, in the order in which the server reads it."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)  # directories of which it takes whatever fits a pattern
    notes: list[str] = field(default_factory=list)

    @property
    def sources(self) -> list[str]:
        """All that changes when the configuration does: a directory is newer too where a file was taken out of it."""
        return [*self.files, *self.folders]

    def find_files(self, pattern: str) -> list[str]:
        """The paths that fit a pattern, in order."""
        self.folders += [path for path in glob.glob(os.path.dirname(pattern)) if path not in self.folders]
        return sorted(glob.glob(pattern))

    def read(self, path: str, depth: int = 0) -> str | None:
        """The text of one more file, without a byte-order mark; None, and a note, where it cannot be read.

        :param depth: how many files include each other up to this one.
        """
        if depth > MAX_DEPTH or len(self.files) >= _MAX_FILES:
            note = f"{path}: too many files include each other; not read."
            self.notes += [note] if note not in self.notes else []
            return None
        try:
            text = _files.read_bytes(path, _MAX_BYTES).decode("utf-8", "surrogateescape")
        except RtcError as exc:
            self.notes.append(exc.message)
            return None
        self.files.append(path)
        return text.replace("\ufeff", "")


@dataclass
class Directive:
    """A directive of nginx or Apache; ``block`` is None unless it has one."""

    name: str
    args: list[str]
    file: str
    line: int
    block: list[Directive] | None = None

    def all(self, *names: str) -> Iterator[Directive]:
        """All directives of these names directly within the block."""
        return (item for item in self.block or [] if item.name in names)

    def first(self, name: str) -> Directive | None:
        """The first one of a name."""
        return next(self.all(name), None)

    def last(self, name: str) -> Directive | None:
        """The last one of a name: with Apache it is the one that counts."""
        found = list(self.all(name))
        return found[-1] if found else None
