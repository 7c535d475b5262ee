# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starting and reloading a proxy server, and seeing that it took effect."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._commands import run
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Listener
from ansible_collections.collab.rtc.plugins.module_utils._host import processes
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._proxy import by_hand, daemon, kin, sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import RUN, Backend
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError

# nginx itself tries for 2.5 seconds to bind an address; a master with hundreds of sites takes a second or two to load.
_WAIT_SECONDS = 20.0
_POLL_SECONDS = 0.05
_SUPERVISOR_SECONDS = 2.0
_MOST_LOG = 1 << 50  # bytes: only the end of a log is read, so it may be as large as it likes


class Control:
    """The service of one proxy server: systemd's, or a master process that takes signals where there is no systemd."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.unit = backend.service() + ".service"
        self.systemd = backend.root == "/" and os.path.isdir("/run/systemd/system")
        self.how: by_hand.Start | None = None  # of a master that systemd does not have

    def master(self) -> int:
        """The process id of the running master, 0 for none."""
        found = self.backend.find_master()
        if found or not self.systemd:
            return found
        main = self._read_main()
        return main if daemon.name_of(main) in self.backend.programs else 0

    def _read_main(self) -> int:
        text = run(["systemctl", "show", "-p", "MainPID", "--value", self.unit]).output
        return int(text) if text.isdigit() else 0

    def _is_systemds(self, master: int) -> bool:
        """Whether it is the service's; somebody may have started the server without it."""
        main = self._read_main() if self.systemd else 0
        while master > 1 and main and master != main:
            master = kin.parent(master)
        return bool(main) and master == main

    def find_answering(self) -> list[tuple[str, int]]:
        """Where the running server takes connections now, and reacts."""
        family = kin.family(self.master(), self.backend.programs)
        own = (sockets.from_listener(item) for item in listening() if item.pid in family)
        return by_hand.find_answering((item.address, item.port) for item in own)

    def state(self) -> str:
        """``running``, ``stopped`` (by someone), ``failed``, or ``new``: never started since the host is up."""
        if self.master():
            return "running"
        if not self.systemd:
            return "stopped"
        text = run(["systemctl", "show", "-p", "ActiveState,ActiveEnterTimestampMonotonic", self.unit]).output
        values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        if values.get("ActiveState") in ("active", "reloading"):
            return "running"
        if values.get("ActiveState") == "failed":
            return "failed"
        return "new" if values.get("ActiveEnterTimestampMonotonic", "0") == "0" else "stopped"

    def take_effect(self, listens: list[tuple[str, int]], answering: Iterable[tuple[str, int]] = ()) -> None:
        """Reload, or start what does not run, and wait until it has loaded its files anew, listens, and answers.

        :param answering: where it is to answer afterwards.
        :raises ProxyError: with the server's error message.
        """
        begun = time.time()
        log = _LogTail(self.backend)
        master = self.master()
        before, failures = (self.backend.loaded(master), self.backend.failed_reloads(master)) if master else (0.0, 0)
        words = self._reload(master) if master else self._start()
        deadline = time.monotonic() + _WAIT_SECONDS
        while not words:
            reason = self._explain_pending(before, listens) or _explain_silent(answering)
            if not reason:
                return
            ended = bool(master) and not daemon.name_of(master) and not self.master()
            failed = self.backend.gave_up(log.text()) or self.backend.failed_reloads(self.master()) > failures
            if ended or failed or time.monotonic() > deadline:
                words = reason
                break
            time.sleep(_POLL_SECONDS)
        raise ProxyError(
            f"{self.backend.kind} did not take the new configuration: {words} {log.words(self.unit, begun)}".strip(),
            "Fix what it complains about; the files were restored.",
        )

    def restore(self, answering: list[tuple[str, int]]) -> str:
        """After files were given back: have the server run with them as it did.

        :param answering: where it answered before.
        :returns: what is amiss still, or an empty string.
        """
        for _attempt in range(2):
            try:
                self.take_effect([], answering)
            except RtcError as exc:
                words = exc.message
            else:
                return ""
        command = f"systemctl start {self.unit}" if not self.how else self.how.describe()
        return f"{words} Start it: {command}."

    def stop(self) -> None:
        """Stop a server that has nothing left to serve; no reload would be taken."""
        if self.systemd:
            run(["systemctl", "stop", self.unit])
        elif self.master():
            os.kill(self.master(), signal.SIGTERM)

    def _reload(self, master: int) -> str:
        if self._is_systemds(master):
            done = run(["systemctl", "reload", self.unit])
            return "" if done.code == 0 else done.output
        self.how = by_hand.remember(master) or self.how
        if self.backend.takes_signals(master):
            os.kill(master, self.backend.reload_signal())
            return ""
        if not self.how:
            return "how it was started cannot be seen."
        more = self.backend.successor_arguments(master)
        return by_hand.start(self.how, self.backend.programs, lambda: self.master() not in (0, master), more)

    def _start(self) -> str:
        if self.how:
            self._await_supervisor(self.how.parent)
            if self.master():
                return ""
            # httpd takes the number in it for a process that runs, even where only an exit code is left of that.
            _files_tree.remove(self.backend.pid_file())
            return by_hand.start(self.how, self.backend.programs, lambda: bool(self.master()))
        if not self.systemd:
            return "it does not run, and there is no systemd to start it."
        run(["systemctl", "reset-failed", self.unit])
        done = run(["systemctl", "start", self.unit])
        return "" if done.code == 0 else done.output

    def _await_supervisor(self, parent: int) -> None:
        """Leave it to whoever started the server, and is there yet, to start it again."""
        deadline = time.monotonic() + _SUPERVISOR_SECONDS
        while parent > 1 and daemon.name_of(parent) and not self.master() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _explain_pending(self, before: float, listens: list[tuple[str, int]]) -> str:
        master = self.master()
        if not master:
            return "its master process is gone."
        loaded = self.backend.loaded(master)
        if before and loaded - before < daemon.CLOCK_SLACK:
            return "it still runs with the configuration from before."
        if (
            0 <= time.time() - loaded <= 2 * daemon.CLOCK_SLACK
        ):  # else a file that changes next would not count as newer
            return "it has loaded its configuration this very moment."
        held = [sockets.from_listener(item) for item in listening() if self._may_be_server(item)]
        for name, port in listens:
            there = [item for item in held if item.port == port]
            if not all(any(sockets.covers(item, address) for item in there) for address in sockets.resolve(name)):
                return f"it does not listen on {name}:{port}."
        return ""

    def _may_be_server(self, item: Listener) -> bool:
        return not item.pid or item.process in self.backend.programs


def _explain_silent(answering: Iterable[tuple[str, int]]) -> str:
    wanted = set(answering)
    silent = sorted(wanted - set(by_hand.find_answering(wanted)))
    return f"it does not answer on {silent[0][0]}:{silent[0][1]}, where it did." if silent else ""


class _LogTail:
    """What the error log got since."""

    def __init__(self, backend: Backend) -> None:
        self.path = backend.error_log()
        self.start = 0
        with contextlib.suppress(OSError):
            self.start = os.path.getsize(self.path)

    def text(self) -> str:
        with contextlib.suppress(RtcError, OSError), _files.open_file(self.path, _MOST_LOG) as file:
            file.seek(self.start)
            return file.read(20000).decode("utf-8", "replace")
        return ""

    def words(self, unit: str, begun: float) -> str:
        text = self.text()
        if not text.strip() and os.path.isdir("/run/systemd/system"):
            text = run(["journalctl", "-q", "-o", "cat", "-u", unit, f"--since=@{int(begun)}"]).output
        lines = [line for line in text.splitlines() if line.strip()]
        return "Its log says: " + " | ".join(lines[-6:]) if lines else ""


def find_stopped(backend: Backend) -> str:
    """The path of the file that says: we stopped the server, because it had nothing left to serve."""
    return backend.path(f"{RUN}/{backend.kind}.stopped")


def find_remaining(backend: Backend, answering: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Of the sockets of the running server those that its new configuration has too."""
    read = backend.read()
    opened = read.sockets or [listen for host in read.hosts for listen in host.listens]
    return [
        (address, port)
        for address, port in answering
        if any(item.takes(port) and sockets.covers(item, address) for item in opened)
    ]


def listening() -> list[Listener]:
    """All listening TCP sockets of this machine, with their processes as far as we may see them."""
    rootfs = RootFs("/")
    return processes.listeners(rootfs, processes.processes(rootfs))
