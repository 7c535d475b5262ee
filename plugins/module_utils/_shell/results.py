# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What reading a shell script finds, and the names of commands that it knows."""

from __future__ import annotations

from dataclasses import dataclass, field

EXPORTS = ("export", "declare", "typeset", "readonly", "local")
BASH_ONLY = ("[[", "((", "let", "declare", "typeset", "source")  # not found by dash
CHANGING = ("nocasematch", "extglob", "lastpipe")  # options by which scripts mean something else
SILENT = ("mkdir", "chmod", "chown", "touch", "rm", "ln", "ulimit", "umask", "trap", "set", "shopt", "sleep", "kill")


@dataclass
class Ran:
    """A command that a script runs: its words, the directory and environment that it is run in, and its input."""

    words: list[str]
    folder: str
    environment: dict[str, str]
    text: str | None = None


@dataclass
class Result:
    """What a script leaves.

    ``causes``: variable -> the place ("bin/setenv.sh:12") that makes its value unknown. ``anything``: the place after
    which any variable may have any value, "" for none. ``work``: characters that were gone through.
    """

    variables: dict[str, str] = field(default_factory=dict)
    causes: dict[str, str] = field(default_factory=dict)
    anything: str = ""
    place: str = ""
    ran: list[Ran] = field(default_factory=list)
    work: int = 0


class Stop(Exception):
    """Control goes elsewhere: ``break``, ``continue``, ``return``, ``exit``. ``levels``: of loops that end."""

    levels = 1
