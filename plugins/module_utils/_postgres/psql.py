# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking a server of PostgreSQL on this host, as its superuser through its socket."""

from __future__ import annotations

import glob
import json
import os
import pwd
import re
import shutil
import subprocess
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _ownership
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

_SECONDS = 60
_SOCKETS = ("/var/run/postgresql", "/run/postgresql", "/tmp")  # noqa: S108 - where PostgreSQL has it by default
_PROGRAMS = ("/usr/lib/postgresql/*/bin/psql", "/usr/pgsql-*/bin/psql")  # Debian; the project's packages for EL
# Statements are in no log: what is kept of a password is no password, but it is nobody's business either. The last two
# belong to extensions, and are set without an effect where those are not loaded.
_QUIETLY = """\
SET client_min_messages = warning;
SET standard_conforming_strings = on;
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_duration_sample = -1;
SET log_transaction_sample_rate = 0;
SET log_min_error_statement = 'panic';
SET pg_stat_statements.track = 'none';
SET pgaudit.log = 'none';
"""


def quote_name(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A text in SQL, with ``standard_conforming_strings``."""
    return "'" + text.replace("'", "''") + "'"


def find_program(given: str = "") -> str:
    """The newest ``psql`` of this host, or the one that is named.

    :raises RtcError: there is none, or somebody beside root could exchange it.
    """
    found = [given] if given else [path for pattern in _PROGRAMS for path in glob.glob(pattern)]
    found.sort(key=lambda path: [int(number) for number in re.findall(r"\d+", path)])
    program = found[-1] if found else shutil.which("psql") or ""
    if not program or not os.path.exists(program):
        raise RtcError(
            "PostgreSQL is not installed here: psql is missing.",
            "Install it, or let the role do it: rtc_store_install: true.",
        )
    _ownership.check_program(program)
    return program


class Psql:
    """A connection's options. Each call is a connection of its own."""

    def __init__(self, program: str = "", socket: str = "", port: int = 5432, user: str = "postgres") -> None:
        self.program = find_program(program)
        self.user, self.port = user, port
        name = f".s.PGSQL.{port}"
        places = [socket] if socket else [place for place in _SOCKETS if os.path.exists(f"{place}/{name}")]
        if not places or not os.path.exists(f"{places[0]}/{name}"):
            where = f"{socket}/{name}" if socket else f"{name} in {', '.join(_SOCKETS)}"
            raise RtcError(
                f"No server of PostgreSQL runs here with port {port}: there is no {where}.",
                "Start it; rtc_store_port names another port.",
            )
        self.socket = places[0]

    def run(self, statements: str, seconds: float = _SECONDS) -> str:
        """What statements print, which ``psql`` gets on its standard input.

        :raises RtcError: with PostgreSQL's words, in which no statement is repeated.
        """
        command = [self.program, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse", "-h"]
        command += [self.socket, "-p", str(self.port), "-U", self.user, "-d", "postgres", "-f", "-"]
        # Nothing comes from this process's environment or a home directory. lc_messages: errors are read.
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "PGPASSFILE": "/dev/null"}
        if os.geteuid() == 0:
            command = [*self._become(), *command]
            # In /tmp anybody may have a socket, whose answers would name the files that root writes.
            environment["PGREQUIREPEER"] = self.user
        try:
            done = subprocess.run(
                command,
                input=_QUIETLY + statements,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
                cwd="/",
                check=False,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            raise RtcError(
                f"PostgreSQL on port {self.port} did not answer within {seconds:g} seconds.",
                "Look at its log; where a synchronous standby is away, commits wait for it.",
            ) from None
        if done.returncode != 0:
            words = re.sub(r"^psql:\S* ?(<stdin>:\d+: )?", "", done.stderr.strip(), flags=re.MULTILINE)
            raise RtcError(f"PostgreSQL on port {self.port} as {self.user}: {words.strip()}")
        return done.stdout

    def _become(self) -> list[str]:
        try:
            pwd.getpwnam(self.user)
        except KeyError:
            raise RtcError(f"There is no user {self.user} on this host.", "Is PostgreSQL installed?") from None
        program = shutil.which("runuser") or "/usr/sbin/runuser"
        _ownership.check_program(program)
        return [program, "-u", self.user, "--"]

    def read(self, query: str) -> Any:
        """The JSON that a query returns as its one value."""
        return json.loads(self.run(query))
