# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a secret again where detection found it: a plan says file, line and what is before it, never the value."""

from __future__ import annotations

import re

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import property_sources


class SourceChanged(RtcError):
    """The line is not the one that detection saw."""


def read_secret(name: str, file: str, line: int, before: str) -> str:
    """The value of a property that ``_facts.SecretSource`` describes.

    :raises SourceChanged: the line has something else now. :raises FileError: the file cannot be read.
    """
    value = find_value(_files.read_bytes(file).decode("utf-8", "replace"), name, file, line, before)
    if value is None:
        raise SourceChanged(
            f"{file}, line {line}: {name} is not set here any more.", "It changed since the plan was made: run again."
        )
    return value


def find_value(text: str, name: str, file: str, line: int, before: str) -> str | None:
    """The value that one line has; ``None`` for another line than the one that is described.

    :param text: of the file.
    """
    if not before:
        return next(
            (value for at, found, value in property_sources.read_lines(text) if (at, found) == (line, name)), None
        )
    lines = split_lines(text, file)
    return read_line(lines[line - 1] if 0 < line <= len(lines) else "", file, before)


def read_line(found: str, file: str, before: str) -> str | None:
    """What stands in a line behind ``before``."""
    if file.startswith("/proc/"):
        return found[len(before) :] if found.startswith(before) else None
    start = re.search(r"(?<![\w.-])" + re.escape(before), found)
    if start is None or found.lstrip().startswith("#"):
        return None
    rest = found[start.end() :]
    quote = re.search(r"\\?[\"']", before)
    return rest.partition(quote[0])[0] if quote else re.split(r"[\s\"';\\]", rest)[0]


def split_lines(text: str, file: str) -> list[str]:
    """The lines of a file; the arguments or variables of a process."""
    return text.split("\0" if file.startswith("/proc/") else "\n")
