#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rtc_instance
short_description: Run one instance of the RTC server
version_added: 0.1.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Writes the unit, the configuration and the secret of C(rtc-server@INSTANCE), and starts or restarts it when one of
    them, or the release, is newer than the running process.
  - A process whose release can reloads instead what changes without a restart, and nobody is cut off. That are the
    certificate, the secret (the earlier one lets in for C(token.overlap_seconds) yet), origins, trusted proxies and
    those limits that do not size the unit. The release says what else needs a restart.
  - Where O(config) has a section C(tls), the service gets C(tls.crt) and C(tls.key) from C(/etc/rtc-server/INSTANCE),
    where M(collab.rtc.keystore_pem) puts them.
  - The listening sockets are those of C(rtc-server@INSTANCE.socket), which outlive the process, so a restart refuses no
    connection. A release that does not know of that opens them itself, and gets no such unit.
  - What the service may take of the host, memory and file descriptors, follows from the section C(limits) of O(config).
  - The configuration is checked by the server itself before it takes the place of the old one, and before a start with
    another release. When the service does not come up, the old files are given back and the old service is started
    again.
  - A release with which the service does not get ready, or which refuses the configuration, is taken back. The release
    that this instance was last ready with becomes current again, for the other instances on the host, too.
  - With C(journal.store_url), connection, rights and version of the store are tried in the same way. A journal of the
    instance's own that holds projects is not left behind, nor are those of a store, so the module fails instead, and
    says where it is written how projects are moved.
extends_documentation_fragment: [collab.rtc.attributes, collab.rtc.writing]
attributes:
  check_mode: {support: full}
  diff_mode:
    support: full
    details: The secret is never shown.
  idempotent: {support: full}
options:
  instance:
    description:
      - Name of the instance, such as V(confluence). Small letters, digits, C(-) and C(_), at most 27.
      - The service runs as the user C(rtc-INSTANCE), which systemd makes and which no other instance has.
    type: str
    required: true
  config:
    description: Configuration of the server, as C(files/rtc_server/config.example.toml) shows it.
    type: dict
    default: {}
  secret:
    description:
      - The secret that tokens are signed with, at least 32 characters.
      - Without one, a secret is made on the host at the first run, and kept.
    type: str
  store_password:
    description:
      - The password of the store's user, where O(config) has C(journal.store_url).
      - The service gets it as a credential. It is on no command line and in no environment.
    type: str
  store_ca:
    description: PEM text of the authority of the store's certificate.
    type: str
  panel_token:
    description:
      - The token of administrators, at least 32 characters, where O(config) has a section C(admin).
      - Without one, a token is made on the host at the first run, and kept in C(/etc/rtc-server/INSTANCE/admin-token).
      - The service gets it as a credential. Another one takes a restart.
    type: str
    version_added: 0.1.0
  panel_ca:
    description: PEM text of the authority of the certificate that users see, where its system does not trust it.
    type: str
    version_added: 0.1.0
  python:
    description: The interpreter that the server runs on.
    type: path
    default: /usr/bin/python3
  base:
    description: Directory of the releases.
    type: path
    default: /opt/rtc-server
  state:
    description: V(absent) stops the service and removes its configuration and secret; its journal stays.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Run the RTC server of Confluence
  collab.rtc.rtc_instance:
    instance: confluence
    config:
      listen: {address: 127.0.0.1, port: 9083}
"""

RETURN = r"""
unit:
  description: Name of the systemd unit.
  returned: success
  type: str
restarted:
  description: Whether the service was started or restarted.
  returned: success
  type: bool
reloaded:
  description: Whether the running service was made to read its configuration, secret and certificate anew.
  returned: success
  type: bool
config_path:
  description: Path of the configuration.
  returned: success
  type: str
"""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree, _ownership
from ansible_collections.collab.rtc.plugins.module_utils._argspec import WRITING
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import limits as rtc_server_limits
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import panel, ready, switching, unit, unit_file
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import store as rtc_server_store
from ansible_collections.collab.rtc.plugins.module_utils._undo import prune, records

_CHECKS = "/run"
_READY_SECONDS = 30  # until a server has its connections to the store, after a failover of that too
_SERVICE = "rtc-server@{}.service"
_SOCKET = "rtc-server@{}.socket"


def _make_secret() -> bytes:
    return secrets.token_urlsafe(48).encode() + b"\n"


class Instance:
    """The files and the unit of one instance."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.unit = _SERVICE.format(params["instance"])
        self.socket = _SOCKET.format(params["instance"])
        self.config_path = f"{unit.CONFIG_DIR}/{params['instance']}.toml"
        # In a directory of its own: as $CREDENTIALS_DIRECTORY it gives the commands what systemd gives the service.
        self.credentials = f"{unit.CONFIG_DIR}/{params['instance']}"
        self.secret_path = f"{self.credentials}/{unit.SECRET}"
        self.handed_over = f"{unit.RUN_DIR}/{params['instance']}"
        self.drop_in = unit.tls_drop_in(params["instance"])
        self.socket_path = unit.socket_unit(params["instance"])
        self.with_socket = unit.socket_drop_in(self.drop_in)
        self.store = rtc_server_store.drop_in(self.drop_in)
        self.store_ca = f"{self.credentials}/{rtc_server_store.CA}"
        self.store_password = f"{self.credentials}/{rtc_server_store.PASSWORD}"
        self.panel = panel.drop_in(self.drop_in)
        self.panel_ca = f"{self.credentials}/{panel.CA}"
        self.panel_token = f"{self.credentials}/{panel.TOKEN}"
        self.hidden = {self.secret_path: "secret", self.store_password: "password", self.panel_token: "token"}
        self.limits = rtc_server_limits.drop_in(self.drop_in)
        self.tls = params["state"] == "present" and bool((params["config"] or {}).get("tls"))
        self.before = {path: _files.read_existing(path) for path in self.paths()}
        self.after = self._render()

    def paths(self) -> list[str]:
        """The files that the instance is made of, the shared unit first."""
        more = [self.store, self.store_ca, self.store_password, self.panel, self.panel_ca, self.panel_token]
        sockets = [self.socket_path, self.with_socket]
        return [unit.UNIT, self.limits, self.drop_in, *sockets, *more, self.config_path, self.secret_path]

    def _render(self) -> dict[str, bytes | None]:
        if self.params["state"] == "absent":
            return {**dict.fromkeys(self.paths()), unit.UNIT: self.before[unit.UNIT]}
        secret = self.params["secret"]
        if secret:
            kept = secret.encode() + b"\n"
        else:
            kept = self.before[self.secret_path] or _make_secret()
        limits = rtc_server_limits.render_drop_in(self.params["config"].get("limits"))
        return {
            unit.UNIT: unit_file.render_unit(self.params["python"], self.params["base"]).encode(),
            self.limits: limits.encode() if limits else None,
            self.drop_in: unit_file.render_tls(self.params["python"], self.params["base"]).encode()
            if self.tls
            else None,
            **self._render_socket(),
            **self._render_store(),
            **self._render_panel(),
            self.config_path: self._render_config(),
            self.secret_path: kept,
        }

    def _render_config(self) -> bytes:
        return unit.render_toml(self.params["config"]).encode()

    def _render_socket(self) -> dict[str, bytes | None]:
        if not self._takes_sockets():
            return dict.fromkeys((self.socket_path, self.with_socket))
        config = self.params["config"]
        needs_network = bool((config.get("journal") or {}).get("store_url") or config.get("admin"))
        return {
            self.socket_path: unit_file.render_socket(self._list_places()).encode(),
            self.with_socket: unit_file.render_with_socket(needs_network).encode(),
        }

    def _list_places(self) -> list[str]:
        server = self.params["config"].get("server") or {}
        return unit_file.list_places(str(server.get("address", "127.0.0.1")), server.get("port", 9083))

    def _takes_sockets(self) -> bool:
        """Whether the current release takes sockets that systemd hands over; one that does not know the question does
        not. Before there is a release (check mode), the answer is that of the one which is to come."""
        if not switching.read_current(self.params["base"]):
            return True
        words = self._render_config().decode()
        return self._call_server("check-sockets", "-", *self._list_places(), words=words).returncode == 0

    def _render_store(self) -> dict[str, bytes | None]:
        paths = (self.store, self.store_ca, self.store_password)
        if not (self.params["config"].get("journal") or {}).get("store_url"):
            return dict.fromkeys(paths)
        authority, password = self.params["store_ca"], self.params["store_password"]
        if not password:
            raise RtcError("The store has no password.", "Set rtc_store_password, or leave rtc_store_url out.")
        texts = (rtc_server_store.render_drop_in(unit.CONFIG_DIR, bool(authority)), authority, password + "\n")
        return {path: text.encode() if text else None for path, text in zip(paths, texts)}

    def _render_panel(self) -> dict[str, bytes | None]:
        paths = (self.panel, self.panel_ca, self.panel_token)
        if not self.params["config"].get("admin"):
            return dict.fromkeys(paths)
        authority, token = self.params["panel_ca"], self.params["panel_token"]
        drop_in = panel.render_drop_in(unit.CONFIG_DIR, bool(authority)).encode()
        kept = token.encode() + b"\n" if token else self.before[self.panel_token] or _make_secret()
        return dict(zip(paths, (drop_in, authority.encode() if authority else None, kept)))

    def changed_paths(self) -> list[str]:
        """The files whose content is not what it is to be."""
        return [path for path in self.paths() if self.before[path] != self.after[path]]

    def diff(self) -> list[dict[str, str]]:
        """Whole files before and after; of the secret only that it changes."""
        return [
            {
                "before_header": path,
                "after_header": path,
                "before": self._show(path, self.before[path], "the old"),
                "after": self._show(path, self.after[path], "a new"),
            }
            for path in self.changed_paths()
        ]

    def _show(self, path: str, content: bytes | None, words: str) -> str:
        if content is None:
            return ""
        return f"({words} {self.hidden[path]}, not shown)\n" if path in self.hidden else content.decode()

    def apply(self) -> None:
        """Put the files in place, after the server itself accepted the new configuration."""
        _files_tree.make_directory(self.credentials, 0o700)
        if self.params["state"] == "present":
            self.check_config()
        for path in self.changed_paths():
            records.record(self.params["undo_dir"], path, self.after[path])
            if self.params["backup"] and self.before[path] is not None:
                _files.backup(path)
            self._put(path, self.after[path])

    def was_whole(self) -> bool:
        """Whether the instance was there before."""
        needed = (unit.UNIT, self.config_path, self.secret_path)  # the others depend on the configuration
        return all(self.before[path] is not None for path in needed)

    def give_back(self) -> None:
        """Put the old files in place again."""
        for path in self.changed_paths():
            self._put(path, self.before[path])

    def _put(self, path: str, content: bytes | None) -> None:
        if content is None:
            _files_tree.remove(path)
        else:
            _files_tree.make_directory(os.path.dirname(path))
            _files.write_atomic(path, content, mode=0o600 if path in self.hidden else 0o644)

    def check_move(self) -> None:
        """Whether the journal goes to another place: what is in the old one would be gone for users.

        :raises RtcError: with how it is moved.
        """
        before = (self.before[self.config_path] or b"").decode("utf-8", "replace")
        was = rtc_server_store.find_url(before)
        will = str((self.params["config"].get("journal") or {}).get("store_url") or "")
        if not before or (was == will if not was or not will else rtc_server_store.is_same(was, will)):
            return
        if not was and not os.path.lexists(f"{unit.STATE_DIR}/{self.params['instance']}/journal.db"):
            return
        found = self._call_server("list-projects", "--config", self.config_path)
        if found.returncode == 0 and not found.stdout.strip():
            return
        names = [line.split("\t")[0] for line in found.stdout.splitlines()]
        what = f"projects ({', '.join(names[:5])}{', …' if names[5:] else ''})" if names else found.stderr.strip()
        raise RtcError(
            f"The {'store' if was else 'journal'} that {self.config_path} names would be left behind: {what}.",
            f"Stop {self.unit} on all nodes, move the projects and put the old {'schema' if was else 'journal'} away,"
            " as docs/scaling.md of the collection shows; then run again.",
        )

    def _call_server(
        self, *arguments: str, words: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        _ownership.check_program(self.params["python"])
        program = os.path.join(self.params["base"], "current", "rtc-server")
        return subprocess.run(
            [self.params["python"], "-I", program, *arguments],
            input=words or "",
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "CREDENTIALS_DIRECTORY": self.credentials, "RUNTIME_DIRECTORY": self.credentials,
                 **environment},
        )  # fmt: skip

    def check_config(self) -> None:
        """Let the current release check the configuration that is to be.

        :raises RtcError: with what it says.
        """
        folder = _files_tree.make_hidden_directory(_CHECKS, "rtc-server")  # readable by us alone, gone with a reboot
        try:
            candidate = os.path.join(folder, "config.toml")
            _files.write_atomic(candidate, self.after[self.config_path] or b"")
            handed = (self.secret_path, self.store_ca, self.store_password, self.panel_ca, self.panel_token)
            files = {path: self.after[path] for path in handed}
            if self.tls:
                files.update((path, _files.read_existing(path)) for path in self._pair())
            for path, content in files.items():
                if content is not None:
                    _files.write_atomic(os.path.join(folder, os.path.basename(path)), content, mode=0o600)
            result = self._call_server(
                "check-config", candidate, CREDENTIALS_DIRECTORY=folder, RUNTIME_DIRECTORY=folder
            )
        finally:
            _files_tree.remove_tree(folder)
        if result.returncode != 0:
            words = (result.stdout + result.stderr).strip().replace(candidate, self.config_path)
            words = words.replace(folder, self.credentials)  # the folder is gone when this is read
            given = " rtc_store_url, rtc_store_ca and rtc_store_password give what journal.store_… names."
            remedy = f"Nothing was changed.{given if 'journal.store_' in words else ''}"
            raise RtcError(
                f"The RTC server refuses its configuration: {words}{'' if words.endswith('.') else '.'}", remedy
            )

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
            if _run(["systemctl", "restart", _SERVICE.format(name)]).returncode == 0:
                switching.note_ready(base, name, back)
                words += f" {_SERVICE.format(name)} was restarted with it."
            else:
                words += f" {_SERVICE.format(name)} does not start with it: see its journalctl."
        return words

    def _take_socket_away(self, name: str) -> None:
        """Let another instance open its sockets itself."""
        _run(["systemctl", "stop", _SERVICE.format(name), _SOCKET.format(name)])
        for path in (unit.socket_drop_in(unit.tls_drop_in(name)), unit.socket_unit(name)):
            if os.path.lexists(path):
                records.record(self.params["undo_dir"], path, None)
                _files_tree.remove(path)
        _run(["systemctl", "daemon-reload"])

    def _pair(self) -> list[str]:
        return [f"{self.credentials}/{name}" for name in (unit.TLS_CERTIFICATE, unit.TLS_KEY)]

    def _read_loaded(self) -> dict[str, Any]:
        """What the running process says that it runs with; nothing when its release says nothing of it."""
        try:
            found = json.loads(_files.read_existing(f"{self.handed_over}/{unit.RELOADED}") or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def need(self) -> str:
        """What brings the service to its files: "restart", "reload", or "" for nothing."""
        started = self.started()
        # What a process gets at its start only.
        fixed = [path for path in self.paths() if path not in (self.config_path, self.secret_path)]
        if not started or any(os.lstat(path).st_mtime > started for path in fixed if os.path.lexists(path)):
            return "restart"
        if switching.runs_other(self.params["base"], self.params["instance"], started):
            return "restart"
        if any(self.before[path] != self.after[path] for path in fixed):
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
            log = _run(["journalctl", "-u", self.unit, "-n", "15", "--no-pager", "-o", "cat"]).stdout.strip()
            raise RtcError(f"{self.unit} does not start: {result.stderr.strip()} Its log: {log}")

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


def make_present(instance: Instance, changed: bool, need: str) -> None:
    """Put the files in place and let the service have them; on failure the old state again."""
    try:
        if changed:
            instance.apply()
        elif need == "restart":
            instance.check_config()
    except RtcError as exc:
        raise RtcError(exc.message, f"{exc.remedy} {instance.take_back_release()}".strip()) from exc
    if need == "reload":
        reload_present(instance, changed)
    elif need:
        start_present(instance, changed)
    instance.note_ready()  # also what a run that was killed did not come to


def reload_present(instance: Instance, changed: bool) -> None:
    """Let the service reload. One that refuses goes on as it was, and so do the files."""
    try:
        instance.reload()
    except RtcError as exc:
        if changed:
            instance.give_back()
            _run(["systemctl", "reload", instance.unit])  # the files that are handed over are the old ones again
        raise RtcError(exc.message, f"{exc.remedy} The service runs as before.".strip()) from exc


def start_present(instance: Instance, changed: bool) -> None:
    """Start or restart the service, or the old one if it does not come up."""
    new_release = instance.is_new_release()
    try:
        instance.start()
        instance.await_ready(new_release)
    except RtcError as exc:
        raise RtcError(exc.message, f"{exc.remedy} {give_back(instance, changed)}".strip()) from exc


def give_back(instance: Instance, changed: bool) -> str:
    """The release and the files before, and the service with them; what was done, as sentences."""
    instance.stop()
    words = instance.take_back_release()
    if changed:
        instance.give_back()
    if not words and not (changed and instance.was_whole()):
        return "The service was left stopped."
    if changed and instance.was_whole():
        words = f"{words} The previous configuration was restored, and the service runs with it.".strip()
    try:
        instance.start()
    except RtcError as exc:
        return f"{words} But {exc}"
    return words


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "instance": {"type": "str", "required": True},
            "config": {"type": "dict", "default": {}},
            "secret": {"type": "str", "no_log": True},
            "store_password": {"type": "str", "no_log": True},
            "store_ca": {"type": "str"},
            "panel_token": {"type": "str", "no_log": True},
            "panel_ca": {"type": "str"},
            "python": {"type": "path", "default": "/usr/bin/python3"},
            "base": {"type": "path", "default": unit.BASE},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **WRITING,
        },
        supports_check_mode=True,
    )
    params = module.params
    if not unit.INSTANCE.match(params["instance"]):
        module.fail_json(msg="The name of an instance has small letters, digits, - and _, and at most 27 of them.")
    if params["secret"] and len(params["secret"]) < 32:
        module.fail_json(msg="rtc_secret has fewer than 32 characters. Make a longer one: openssl rand -base64 48.")
    if params["panel_token"] and (len(params["panel_token"]) < 32 or not params["panel_token"].isascii()):
        module.fail_json(msg="rtc_panel_token needs 32 or more characters of ASCII: openssl rand -hex 32 makes one.")
    try:
        instance = Instance(params)
        changed = bool(instance.changed_paths())
        present = params["state"] == "present"
        if present and changed:
            instance.check_move()
        need = instance.need() if present else ""
        restarted, reloaded = need == "restart", need == "reload"
        if not module.check_mode:
            if present:
                make_present(instance, changed, need)
            elif changed:
                instance.stop()
                instance.apply()
                _files_tree.remove(switching.path_of_ready(params["base"], params["instance"]))
    except (RtcError, OSError, TypeError) as exc:
        module.fail_json(msg=str(exc))
    prune.prune_after(module)
    module.exit_json(
        changed=changed or restarted or reloaded,
        restarted=restarted,
        reloaded=reloaded,
        unit=instance.unit,
        config_path=instance.config_path,
        diff=instance.diff(),
    )


if __name__ == "__main__":
    main()
