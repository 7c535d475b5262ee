# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that no systemd starts: how it was started, so that it can be started again; whether it answers."""

from __future__ import annotations

import concurrent.futures
import os
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils import _ownership
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon, kin, sockets

_ANSWER_SECONDS = 2.0
_MOST = 32  # listeners that are asked
_START_SECONDS = 5.0  # within which a server that cannot have its sockets ends
# What HAProxy and nginx tell themselves when they start themselves anew, and systemd tells what it starts.
_OF_ONE_START = re.compile(r"HAPROXY_|NGINX$|NOTIFY_SOCKET$|LISTEN_|INVOCATION_ID$|MAINPID$")


@dataclass
class Start:
    """How a running server was started."""

    program: str
    arguments: list[str]  # without its name
    directory: str
    environment: dict[str, str]
    user: int
    parent: int

    def describe(self) -> str:
        """The command for an administrator."""
        return shlex.join([self.program, *self.arguments])


def remember(master: int) -> Start | None:
    """How a master was started; None where that may not be seen."""
    try:
        program = os.readlink(f"/proc/{master}/exe")
        user = os.stat(f"/proc/{master}").st_uid
    except OSError:
        return None
    words = daemon.command_line(master)
    title = re.match(r"nginx: master process (.*)", words[0] if words else "")
    if title:  # it shows its arguments as one, without their quotes; those of -g end with a semicolon
        words = shlex.split(re.sub(r"(?<= -g )(.*?;)(?= -|\s*$)", lambda found: shlex.quote(found[1]), title[1]))
    environment = {key: value for key, value in daemon.environment(master).items() if not _OF_ONE_START.match(key)}
    # A package's update has unlinked it; what is there now is what the next start takes.
    program = re.sub(r" \(deleted\)$", "", program)
    return Start(program, words[1:], daemon.directory(master), environment, user, kin.parent(master))


def start(how: Start, names: Iterable[str], is_up: Callable[[], bool], more: Sequence[str] = ()) -> str:
    """Start it again: why that failed, or an empty string.

    Only as the user that we are, and nothing that others could have exchanged. It goes on when we end.

    :param names: the names of its program.
    :param is_up: whether it runs; until then, and not for ever, its own end is waited for.
    :param more: further arguments.
    """
    if how.user != os.geteuid():
        return f"it was started by another user (id {how.user})"
    if os.path.basename(how.program) not in names:
        return f"it was started by {how.program}"
    try:
        _ownership.check_program(how.program)
        process = subprocess.Popen(
            [how.program, *how.arguments, *more], cwd=how.directory or "/", env=how.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except (OSError, RtcError) as exc:
        return str(exc)
    deadline = time.monotonic() + _START_SECONDS
    while not process.poll() and not is_up() and time.monotonic() < deadline:
        time.sleep(0.05)
    return f"{how.describe()} ended with code {process.returncode}" if process.returncode else ""


def find_answering(places: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Of addresses and ports those where a process takes connections and reacts.

    They get an empty line and the end of what is sent, which no server takes for a request: all three close then, or
    say that it is none. A connection alone would only show that the kernel holds the socket.
    """
    asked = sorted(set(places))[:_MOST]
    if not asked:
        return []
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        return [place for place, answers in zip(asked, pool.map(_answers, asked)) if answers]


def _answers(place: tuple[str, int]) -> bool:
    address, port = place
    host = {sockets.ALL4: "127.0.0.1", sockets.ALL6: "::1"}.get(address, address)
    deadline = time.monotonic() + _ANSWER_SECONDS
    try:
        with socket.create_connection((host, port), _ANSWER_SECONDS) as sock:
            sock.sendall(b"\r\n")
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(max(0.1, deadline - time.monotonic()))
            sock.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        return True  # by who did not want it; a port where nobody listens refuses
    except OSError:
        return False
    return True
