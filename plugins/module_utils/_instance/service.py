# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service of an instance of the RTC server: what brings it to its files, and back to the release before."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree, _ownership
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._instance import moving
from ansible_collections.collab.rtc.plugins.module_utils._instance.files import SERVICE, SOCKET, InstanceFiles
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import ready, store, switching, unit
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

_READY_SECONDS = 30  # until a server has its connections to the store, after a failover of that too
_STEADY_SECONDS = 10  # in which clients that were sent away come back to a new release (server.drain_seconds)


class Instance(InstanceFiles):
    """The files and the unit of one instance."""

    is_moved = False  # its projects are in the store, and users may have gone on with them there
    _moved: tuple[list[tuple[str, int, int, int]], dict[str, int]] = [], {}  # journal and store when all was moved

    def started(self) -> float:
        """When the running process was started (seconds since the epoch); 0 when it does not run."""
        return _find_start(self.unit, "ExecMainStartTimestampMonotonic")

    def has_its_socket(self) -> bool:
        """Whether systemd listens as the socket's unit says: since it was written, or not at all without one."""
        since = _find_start(self.socket, "ActiveEnterTimestampMonotonic")
        if self.after[self.socket_path] is None or not since:
            return not since and self.after[self.socket_path] is None
        written = os.lstat(self.socket_path).st_mtime if os.path.lexists(self.socket_path) else since
        return self.before[self.socket_path] == self.after[self.socket_path] and written <= since

    def is_new_release(self) -> bool:
        """Whether this instance has not been ready with the current release yet, but with another one."""
        return bool(switching.find_way_back(self.params["base"], self.params["instance"]))

    def note_ready(self) -> None:
        """Note that the instance is ready with the current release."""
        base = self.params["base"]
        switching.note_ready(base, self.params["instance"], switching.read_current(base))

    def take_back_release(self) -> str:
        """Make the release current that this instance was last ready with; what was done, as sentences.

        The other instances on the host that have got ready with the other one meanwhile are restarted: they have one
        release, and would have that after their next start in any case.
        """
        base, instance = self.params["base"], self.params["instance"]
        back, failed = switching.find_way_back(base, instance), switching.read_current(base)
        if not back:
            return ""
        records.record(self.params["undo_dir"], switching.path_of_current(base), switching.link_to(back))
        switching.switch(base, back)
        others = [name for name, release in switching.read_ready(base).items() if release == failed]
        words = f"The release {failed} was taken back: {back} is current again."
        takes_sockets = self._takes_sockets()
        for name in others:
            if not takes_sockets:
                self._take_socket_away(name)
            if _run(["systemctl", "restart", SERVICE.format(name)]).returncode == 0:
                switching.note_ready(base, name, back)
                words += f" {SERVICE.format(name)} was restarted with it."
            else:
                words += f" {SERVICE.format(name)} does not start with it: see its journalctl."
        return words

    def _take_socket_away(self, name: str) -> None:
        """Let another instance open its sockets itself."""
        _run(["systemctl", "stop", SERVICE.format(name), SOCKET.format(name)])
        for path in (unit.socket_drop_in(unit.tls_drop_in(name)), unit.socket_unit(name)):
            if os.path.lexists(path):
                records.record(self.params["undo_dir"], path, None)
                _files_tree.remove(path)
        _run(["systemctl", "daemon-reload"])

    def _read_loaded(self) -> dict[str, Any]:
        """What the running process says that it runs with; nothing when its release says nothing of it."""
        try:
            found = json.loads(_files.read_existing(f"{self.handed_over}/{unit.RELOADED}") or b"{}")
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def need(self) -> str:
        """What brings the service to its files: "restart", "reload", or "" for nothing."""
        started = self.started()
        # What a process gets at its start only.
        fixed = [path for path in self.paths() if path not in (self.config_path, self.secret_path)]
        if not started or any(os.lstat(path).st_mtime > started for path in fixed if os.path.lexists(path)):
            return "restart"
        base, coming = self.params["base"], self.params["release"]
        if coming not in (None, switching.read_current(base)):
            return "restart"
        if switching.runs_other(base, self.params["instance"], started):
            return "restart"
        if any(path in fixed for path in self.changed_paths()):
            return "restart"
        loaded = self._read_loaded()
        if not loaded.get("digest"):
            soft = (self.config_path, self.secret_path)
            newer = any(os.lstat(path).st_mtime > started for path in soft if os.path.lexists(path))
            return "restart" if newer or self.changed_paths() or self._is_renewed(loaded) else ""
        if self._digest(self.after) == loaded["digest"]:
            return "reload" if self._is_renewed(loaded) else ""
        return "reload" if self._can_reload(loaded["digest"]) else "restart"

    def _digest(self, files: dict[str, bytes | None]) -> str:
        return hashlib.sha256(files[self.config_path] or b"").hexdigest()

    def _can_reload(self, digest: str) -> bool:
        """Whether the release can go to the new configuration without a restart; one that does not know the question
        cannot, and nor can a process whose configuration is not the file that is there."""
        if self._digest(self.before) != digest:
            return False
        text = (self.after[self.config_path] or b"").decode()
        return self._call_server("check-reload", self.config_path, "-", words=text).returncode == 0

    def _is_renewed(self, loaded: dict[str, Any]) -> bool:
        """Whether secret, certificate or key is another than what the running process was given, or has read."""
        read = loaded.get("handed_over") or {}
        wanted = {self.secret_path: self.after[self.secret_path]} if read else {}
        if self.tls:
            wanted.update((path, _files.read_existing(path)) for path in self._pair())
        for path, content in wanted.items():
            given = f"{self.handed_over}/{os.path.basename(path)}"
            if _files.read_existing(given) != content:
                return True
            if read and os.lstat(given).st_mtime_ns != read.get(os.path.basename(path)):
                return True
        return False

    def reload(self) -> None:
        """Let the running process read configuration, secret, certificate and key anew.

        :raises RtcError: they cannot be used, or systemd cannot do it.
        """
        self.check_config()
        result = _run(["systemctl", "reload", self.unit])
        if result.returncode != 0:
            words = str(self._read_loaded().get("refused") or result.stderr).strip()
            raise RtcError(f"{self.unit} does not reload: {words}", f"See journalctl -u {self.unit}.")

    def give_back_running(self) -> None:
        """Put the old files in place again, also those that the running process has been handed."""
        self.give_back()
        _run(["systemctl", "reload", self.unit])

    def start(self) -> None:
        """Enable and (re)start the unit; returns when the server says that it is ready (Type=notify).

        The socket stays as it is, unless it is another one: that cannot be exchanged under a service that runs.

        :raises RtcError: with the last lines of its log.
        """
        if not self.has_its_socket():
            _run(["systemctl", "stop", self.unit, self.socket])
        _run(["systemctl", "daemon-reload"])
        _run(["systemctl", "reset-failed", self.unit])
        _run(["systemctl", "enable", self.unit])
        result = _run(["systemctl", "restart", self.unit])
        if result.returncode != 0:
            raise RtcError(f"{self.unit} does not start: {result.stderr.strip()} Its log: {self._read_log()}")

    def _read_log(self) -> str:
        """What its processes said last; what systemd says of them only where they said nothing."""
        for match in (f"_SYSTEMD_UNIT={self.unit}", f"--unit={self.unit}"):
            said = _run(["journalctl", match, "-n", "15", "--no-pager", "-o", "cat"]).stdout.strip()
            if said:
                break
        return said

    def await_ready(self, new_release: bool) -> None:
        """Wait until the service can keep changes: with a new release, and where nodes share a store, as a run goes on
        to the next node then.

        :raises RtcError: it cannot after :data:`_READY_SECONDS`.
        """
        config = self.params["config"]
        if not new_release and not (config.get("journal") or {}).get("store_url"):
            return
        server, deadline = config["server"], time.monotonic() + _READY_SECONDS
        while True:
            answer = ready.ask_ready(server.get("address", ""), server["port"], self.tls)
            if not answer:
                return
            if time.monotonic() > deadline:
                remedy = f"See journalctl -u {self.unit}. The other nodes of the site were left as they are."
                raise RtcError(f"{self.unit} runs, and is not ready after {_READY_SECONDS} s: {answer}.", remedy)
            time.sleep(0.2)

    def watch(self) -> None:
        """See a new release go on for as long as it takes until the clients are back.

        :raises RtcError: its process ends, or is another one already.
        """
        started, deadline = self.started(), time.monotonic() + _STEADY_SECONDS
        while time.monotonic() < deadline:
            time.sleep(min(0.5, _STEADY_SECONDS))
            if abs(self.started() - started) > 0.1:
                raise RtcError(f"{self.unit} gets ready, and ends soon after. Its log: {self._read_log()}")

    def move_all(self, move: moving.Move) -> None:
        """Move the projects, and note it: from the moment on that the configuration names the store, the journal is
        not what users have, and is to be put away.

        :raises RtcError: not all are in the store.
        """
        self._move(move)
        _files_tree.make_directory(self.credentials, 0o700)
        _files.write_atomic(f"{self.credentials}/{moving.MOVED}", b"")

    def move_rest(self, move: moving.Move) -> None:
        """With the new configuration in place, move what users did since: somebody may have started the service.

        :raises RtcError: not all are in the store.
        """
        self.stop()
        if moving.look(self._state) != self._moved[0]:
            self._move(move)

    def _move(self, move: moving.Move) -> None:
        self.move(move)
        self._moved = moving.look(self._state), self.list_projects(self._render_config().decode())

    def has_gone_on(self) -> bool:
        """Whether the store has more of a project than was moved into it. One that cannot be asked has not."""
        try:
            now = self.list_projects(self._render_config().decode())
        except (RtcError, OSError):
            return False
        return any(revision > self._moved[1].get(name, 0) for name, revision in now.items())

    def uses_store(self) -> bool:
        """Whether it is to have a store."""
        return bool((self.params["config"].get("journal") or {}).get("store_url"))

    def is_to_be_put_away(self) -> bool:
        """Whether a run that was killed has moved the journal, and has not put it away yet."""
        before = (self.before[self.config_path] or b"").decode("utf-8", "replace")
        return bool(store.find_url(before)) and os.path.lexists(f"{self.credentials}/{moving.MOVED}")

    def put_journal_away(self) -> None:
        """What was moved into the store is no journal of the instance any more; it is kept under another name.

        :raises RtcError: it cannot be renamed.
        """
        moving.put_away(self._state)
        self.forget_move()

    def forget_move(self) -> None:
        """The journal is put away, or is what users have again."""
        _files_tree.remove(f"{self.credentials}/{moving.MOVED}")

    @property
    def _state(self) -> str:
        return f"{unit.STATE_DIR}/{self.params['instance']}"

    def stop(self) -> None:
        """Stop and disable the unit, and free its port."""
        _run(["systemctl", "disable", "--now", self.unit])
        _run(["systemctl", "stop", self.socket])


def _find_start(name: str, timestamp: str) -> float:
    """When a unit became active, by one of its properties (seconds since the epoch); 0 when it is not active."""
    # systemctl prints key=value lines in its own order.
    show = _run(["systemctl", "show", name, "-p", "ActiveState", "-p", timestamp])
    values = dict(line.split("=", 1) for line in show.stdout.splitlines() if "=" in line)
    if values.get("ActiveState") != "active":
        return 0.0
    # systemd counts microseconds of CLOCK_MONOTONIC, as time.monotonic() does.
    return time.time() - (time.monotonic() - int(values.get(timestamp) or 0) / 1e6)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    program = shutil.which(command[0])
    if program:
        _ownership.check_program(program)
    return subprocess.run(command, capture_output=True, text=True, check=False)
