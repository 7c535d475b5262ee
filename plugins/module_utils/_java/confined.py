# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running a program that is not trusted: as a user who owns nothing, with bounds on all that it can use up.

It gets standard input, output and the descriptors that are meant for it; no environment but a locale; no way to gain
rights. When root runs it, it runs under a user id that no account and no process has: even a program that somebody else
put there learns nothing and changes nothing, and whatever it left running is ended by that id.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import resource
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
MAX_OUTPUT = 256 * 1024  # bytes
MAX_FILE = 64 * 1024 * 1024  # bytes of a file that it may write
_MAX_MEMORY = 4 * 1024 * 1024 * 1024  # bytes of addresses; a JVM reserves 1 to 2 GB before it does anything
_MAX_THREADS = 256  # processes and threads; a JVM has about 20
_MAX_DESCRIPTORS = 256
# Ids that no distribution, container manager or directory service gives to anybody (systemd's "Users, Groups, UIDs and
# GIDs on systemd systems").
_UNUSED = (1879048192, 2147483647)
_NOBODY = 65534  # where a user namespace has no such ids
_NO_NEW_PRIVS = 38  # PR_SET_NO_NEW_PRIVS of prctl(2)


class ConfinedError(RtcError):
    """The program could not be run, or went beyond its bounds."""


@dataclass(frozen=True)
class Account:
    """Whom a program runs as.

    :param alone: no other process has this user id: its number of processes is bounded, and all are ended with it.
    """

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    alone: bool = False


@dataclass(frozen=True)
class Result:
    """How a program ended.

    :param output: what it printed on standard output and error.
    """

    status: int
    output: bytes


def make_account() -> Account | None:
    """A user id that nobody has; ``None`` when this process is not root and can only run programs as itself."""
    if os.geteuid() != 0:
        return None
    number = SystemRandom().randrange(*_UNUSED)
    account = Account(number, number, alone=True)
    return account if _ask(account, lambda: True) else Account(_NOBODY, _NOBODY)


def find_account(uid: int) -> Account:
    """The account of a user, with his groups."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(uid, uid)
    return Account(uid, entry.pw_gid, tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)))


def may_execute(account: Account | None, path: str) -> bool:
    """Whether a program can be run as somebody."""
    return _ask(account, lambda: os.access(path, os.X_OK))


def run(command: Sequence[str], account: Account | None, descriptors: Sequence[int], timeout: float) -> Result:
    """Run a program to its end, or to the end of the time that it has.

    :param account: whom it runs as; ``None``: as this process.
    :param descriptors: what it inherits beside its standard streams.
    :param timeout: seconds, by the clock and of the processor.
    :raises OSError: it cannot be executed.
    :raises ConfinedError: it takes longer, or prints more than :data:`MAX_OUTPUT`.
    """
    prepare = _make_preparation(account, timeout)
    try:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            close_fds=True,
            pass_fds=tuple(descriptors),
            preexec_fn=prepare,  # noqa: PLW1509 - a module has one thread
            start_new_session=True,
        )
    except subprocess.SubprocessError as exc:
        raise ConfinedError(f"{command[0]} cannot be confined: {exc}", "Check what this system allows root.") from exc
    try:
        output = _read_output(process, time.monotonic() + timeout)
    finally:
        _end(process, account)
    if output is None:
        raise ConfinedError(f"{command[0]} did not end within {timeout:.0f} s.", "Run it by hand.")
    if len(output) > MAX_OUTPUT:
        raise ConfinedError(f"{command[0]} prints more than {MAX_OUTPUT} bytes.", "Run it by hand.")
    return Result(process.returncode, output)


def _read_output(process: subprocess.Popen[bytes], deadline: float) -> bytes | None:
    """What it prints until it ends; ``None`` when it does not end in time."""
    if process.stdout is None:
        return b""
    handle = process.stdout.fileno()
    os.set_blocking(handle, False)
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while len(output) <= MAX_OUTPUT:
            ended = process.poll() is not None
            # Its own children may hold the pipe open: what is there when it has ended is all.
            if selector.select(0 if ended else 0.05):
                piece = os.read(handle, 65536)
                output += piece
                if not piece:
                    selector.unregister(handle)
                    return output if _wait(process, deadline) else None
            elif ended:
                return output
            if time.monotonic() > deadline:
                return None
    return output


def _wait(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes], account: Account | None) -> None:
    """End it and all that it started, as far as that can be told."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    if account is not None and account.alone:
        _ask(account, _kill_own)


def _kill_own() -> bool:
    if os.getuid() == 0 or os.geteuid() == 0:  # root's "all" is everybody's
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # kill(2): all that this user may signal, which are his, but itself
    return True


def _make_preparation(account: Account | None, timeout: float) -> Callable[[], None]:
    """What the child does before it becomes the program."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    limits = {
        resource.RLIMIT_CPU: int(timeout) + 1,
        resource.RLIMIT_AS: _MAX_MEMORY,
        resource.RLIMIT_FSIZE: MAX_FILE,
        resource.RLIMIT_NOFILE: _MAX_DESCRIPTORS,
        # A core would have the password. core(5): 0 does not count where cores go to a program (abrt, apport), 1 does.
        resource.RLIMIT_CORE: 1,
    }
    if account is not None and account.alone:  # it counts what else a user runs
        limits[resource.RLIMIT_NPROC] = _MAX_THREADS

    def prepare() -> None:
        os.umask(0o077)
        for kind, wanted in limits.items():
            hard = resource.getrlimit(kind)[1]
            bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(kind, (bound, bound))
        if account is not None:
            _become(account)
        if prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no_new_privs")

    return prepare


def _become(account: Account) -> None:
    """Lay down root's rights for good."""
    os.setgroups(list(account.groups))
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)


def _ask(account: Account | None, question: Callable[[], bool]) -> bool:
    """The answer that a child gets who runs as the account; no when it cannot become him."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if account is not None:
                _become(account)
            status = 0 if question() else 1
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0
