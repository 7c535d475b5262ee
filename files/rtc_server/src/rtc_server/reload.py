# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the configuration anew while clients are connected: all of it or nothing, and its outcome for whoever asked.

A signal has no answer. So the server writes what came of it to a file in its runtime directory, and ``rtc-server
reload``, which is the unit's ``ExecReload=``, waits for that.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from . import systemd
from .config import Config, ConfigError, load
from .given_files import read_given

logger = logging.getLogger(__name__)

FILE = "reload.json"
# What a server has for as long as it runs: sockets, the journal, what sessions were told at their beginning.
_FIXED: dict[str, tuple[str, ...]] = {
    "server": ("address", "port", "path", "loop", "label"),
    "journal": (),
    "heartbeat": (),
    "log": ("format",),
    "admin": ("listen", "token"),
}


def find_fixed(old: Config, new: Config) -> list[str]:
    """``section.option`` of each difference that needs a restart; () above stands for all options of a section."""
    found = []
    for section, names in _FIXED.items():
        before, after = getattr(old, section), getattr(new, section)
        for name in names or [field.name for field in fields(before)]:
            if getattr(before, name) != getattr(after, name):
                found.append(f"{section}.{name}")
    if bool(old.tls.certificate) != bool(new.tls.certificate):
        found.append("tls.certificate")
    return found


@dataclass
class Outcome:
    """What a server runs with. ``count`` is of reloads; ``digest`` of the configuration's text that is in force, as
    ``at`` (seconds since 1970) is its time; ``refused``: why the latest reload changed nothing; ``handed_over``: when
    the files in the runtime directory that are in force were put there (nanoseconds since 1970, by name)."""

    pid: int
    count: int
    at: float
    digest: str
    refused: str
    handed_over: dict[str, int]


def find_file() -> str:
    """Where the outcome is; "" when the server was not started by its unit."""
    directory = os.environ.get("RUNTIME_DIRECTORY", "")
    return f"{directory}/{FILE}" if directory else ""


def read_outcome(path: str) -> Outcome | None:
    """None: there is none, or it is of a release that wrote another."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.loads(file.read(1 << 20))
        return Outcome(**{field.name: found[field.name] for field in fields(Outcome)})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _stat_files(config: Config, directory: str) -> dict[str, int]:
    """When each file of the runtime directory that a configuration names was put there."""
    found = {}
    for path in (*config.token.keys, config.tls.certificate, config.tls.key):
        if path and os.path.dirname(path) == directory:
            with contextlib.suppress(OSError):
                found[os.path.basename(path)] = os.stat(path).st_mtime_ns
    return found


def _load_again(path: str) -> Config:
    """As at the start, but from a file only: a pipe would make everybody wait. Raises ConfigError."""
    try:
        read_given(path)
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be read: {exc.strerror}"]) from exc
    return load(path)


class Reloading:
    """Reloads on demand. ``prepare`` makes everything that a configuration needs, or raises ConfigError and has changed
    nothing; ``apply`` cannot fail."""

    def __init__(self, config: Config, prepare: Callable[[Config], Any], apply: Callable[[Config, Any], None]) -> None:
        self.config = config
        self._prepare = prepare
        self._apply = apply
        self._path = find_file()
        handed_over = self._look_at_files(config)
        self._outcome = Outcome(os.getpid(), 0, time.time(), config.digest, "", handed_over)

    def _look_at_files(self, config: Config) -> dict[str, int]:
        return _stat_files(config, os.path.dirname(self._path)) if self._path else {}

    def reload(self) -> None:
        """Read the configuration and the files that it names. What cannot be used changes nothing, and is said."""
        systemd.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        outcome = self._outcome
        outcome.count += 1
        try:
            config = _load_again(self.config.file)
            handed_over = self._look_at_files(config)  # before they are read: what comes later is not in force
            fixed = find_fixed(self.config, config)
            if fixed:
                raise ConfigError([f"{config.file}: {name}: changes with a restart only" for name in fixed])
            prepared = self._prepare(config)
        except ConfigError as exc:
            outcome.refused = str(exc)
            logger.error("not reloaded, all stays as it was: %s", exc)
        except Exception as exc:  # whoever asked, systemd among them, would wait for ever
            outcome.refused = f"{type(exc).__name__}: a fault of the server itself, see its log"
            logger.exception("not reloaded, all stays as it was")
        else:
            self._apply(config, prepared)
            self.config = config
            outcome.at, outcome.digest, outcome.refused = time.time(), config.digest, ""
            outcome.handed_over = handed_over
            logger.info("reloaded: certificate, token keys, limits and origins are those of %s", config.file)
        self.tell()
        systemd.notify("READY=1\nSTATUS=" + outcome.refused.partition("\n")[0])

    def tell(self) -> None:
        """Write the outcome where ``rtc-server reload`` looks for it."""
        if not self._path:
            return
        new = f"{self._path}.new"
        try:
            with open(new, "w", encoding="utf-8") as file:
                json.dump(asdict(self._outcome), file)
            os.replace(new, self._path)
        except OSError as exc:
            logger.error("the outcome of a reload cannot be told: %s: %s", self._path, exc.strerror)


def ask(pid: int, timeout: float) -> str:
    """Let a server reload, and wait for what comes of it; "" when it did.

    :param pid: of the server, whose runtime directory is this process's too.
    :param timeout: seconds.
    """
    path = find_file()
    if not path:
        return "RUNTIME_DIRECTORY is not set: use systemctl reload, which sets it, or send SIGHUP and read the log"
    before = read_outcome(path)
    if before is None or before.pid != pid:
        return f"{path} is not of process {pid}: is it an RTC server of this release? Restart it"
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as exc:
        return f"process {pid} cannot be signalled: {exc.strerror}"
    give_up = time.monotonic() + timeout
    while time.monotonic() < give_up:
        after = read_outcome(path)
        if after is not None and after.pid == pid and after.count > before.count:
            return after.refused
        try:
            os.kill(pid, 0)
        except OSError:
            return f"process {pid} ended meanwhile; see its log"
        time.sleep(0.02)
    return f"process {pid} did not answer within {timeout:g} s: see its log; a hung server is restarted by the watchdog"
