# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that an instance of the RTC server is made of, and what the release in use says of them."""

from __future__ import annotations

import os
import secrets
import subprocess
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree, _ownership
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._instance import moving
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import limits as rtc_server_limits
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import panel, switching, unit, unit_file
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import store as rtc_server_store
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

SERVICE = "rtc-server@{}.service"
SOCKET = "rtc-server@{}.socket"
_CHECKS = "/run"
_NEW, _OLD = "new.toml", "old.toml"
_SECONDS = 300  # for a list of projects: of a large journal all is read


def _make_secret() -> bytes:
    return secrets.token_urlsafe(48).encode() + b"\n"


class InstanceFiles:
    """The files of one instance: as they are, and as they are to be. The parameters are those of the module."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.unit = SERVICE.format(params["instance"])
        self.socket = SOCKET.format(params["instance"])
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
        self.loose = {path for path in self.paths() if self._is_loose(path)}
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
        """Whether the release takes sockets that systemd hands over; one that does not know the question does not. Of
        one that is not here yet (check mode) the answer is that of this collection's own."""
        coming = self.params["release"]
        release = switching.link_to(coming) if coming else "current"
        if not os.path.exists(os.path.join(self.params["base"], release)):
            return True
        words = self._render_config().decode()
        asked = self._call_server("check-sockets", "-", *self._list_places(), words=words, release=release)
        return asked.returncode == 0

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
        """The files whose content is not what it is to be, or may be changed by others."""
        return [path for path in self.paths() if self.before[path] != self.after[path] or path in self.loose]

    def _is_loose(self, path: str) -> bool:
        """Whether somebody beside us may write a file, or read what is hidden: systemd would run what they write."""
        info = _files.look(path)
        most = 0o077 if path in self.hidden else 0o022
        return info is not None and (info.st_uid != os.geteuid() or bool(info.st_mode & most))

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
        """Put the old files in place again.

        :raises RtcError: the run was given up meanwhile: what is there is somebody else's.
        """
        records.require_going(self.params["undo_dir"])
        for path in self.changed_paths():
            self._put(path, self.before[path])

    def _put(self, path: str, content: bytes | None) -> None:
        if content is None:
            _files_tree.remove(path)
        else:
            _files_tree.make_directory(os.path.dirname(path))
            mode, own = 0o600 if path in self.hidden else 0o644, (os.geteuid(), os.getegid())
            _files.write_atomic(path, content, mode, *own, exact=path in self.loose)

    def find_move(self) -> moving.Move | None:
        """What is moved into the store, where the instance has a journal of its own; ``None`` where nothing is moved.

        :raises RtcError: the projects of a store would be left behind; with how they are moved.
        """
        before = (self.before[self.config_path] or b"").decode("utf-8", "replace")
        then = (self.after[self.config_path] or b"").decode()
        instance = self.params["instance"]
        if not before and rtc_server_store.find_url(then):
            before = moving.render_own(instance)  # an instance that was removed: its journal stayed
        if not moving.is_elsewhere(instance, before, then):
            return None
        was = rtc_server_store.find_url(before)
        if not was and not os.path.exists(os.path.join(self.params["base"], "current")):
            return moving.Move(before, [])  # the release that could be asked is not here yet (check mode)
        try:
            names = list(self.list_projects(before))
        except RtcError as exc:
            what = exc.message
        else:
            if not was:
                return moving.Move(before, names)
            if not names:
                return None
            what = f"projects ({moving.name_some(names)})"
        remedy = f"rtc-server verify-journal --config {self.config_path} says what is wrong with it."
        if was:
            remedy = f"Stop {self.unit} on all nodes, move the projects and put the old schema away, as docs/scaling.md"
            remedy += " of the collection shows; then run again."
        place = "store" if was else "journal"
        raise RtcError(f"The {place} that {self.config_path} names would be left behind: {what}.", remedy)

    def list_projects(self, config: str) -> dict[str, int]:
        """Names and revisions of the projects that a configuration leads to, without the one of verifications.

        :param config: its text; of the one that is in use, its file is taken with its credentials.
        :raises RtcError: with what the server says.
        """
        try:
            if config.encode() == self.before[self.config_path]:
                found = self._call_server("list-projects", "--config", self.config_path, seconds=_SECONDS)
            else:
                found = self._ask_with_new_files("list-projects", "--config", _OLD, old=config, seconds=_SECONDS)
        except subprocess.TimeoutExpired:
            raise RtcError(f"rtc-server list-projects gave no answer within {_SECONDS} seconds") from None
        if found.returncode != 0:
            raise RtcError((found.stderr.strip().splitlines() or ["no answer"])[-1].rstrip("."))
        return moving.read_projects(found.stdout)

    def describe_others(self, move: moving.Move) -> str:
        """What is worth knowing of a store before projects are moved into it: that it has others, perhaps of another
        site. "" for nothing, also where it cannot be asked: whether it can be used is checked apart. Where a site has
        several nodes, they are those of another one."""
        if not move.names or (self.params["config"].get("server") or {}).get("label"):
            return ""
        try:
            there = self.list_projects((self.after[self.config_path] or b"").decode())
        except (RtcError, OSError):
            return ""
        others = [name for name in there if name not in move.names]
        if not others:
            return ""
        return (
            f"The store that {self.config_path} is to name has projects that this site does not have"
            f" ({moving.name_some(others)}). Where it is another site's, name a database of this one's own in"
            " rtc_store_url: users of both would see all of them."
        )

    def require_move(self, move: moving.Move) -> None:
        """See that the release can move projects, where there are some.

        :raises RtcError: older ones do not know how to.
        """
        coming = self.params["release"]
        release = switching.link_to(coming) if coming else "current"
        if not move.names or not os.path.exists(os.path.join(self.params["base"], release)):
            return  # of a release that is not here yet (check mode) it is the collection's own
        if self._call_server("move", "--help", release=release).returncode != 0:
            raise RtcError(
                "The release in use cannot move projects into a store.",
                "Leave rtc_server_version out, for a newer one.",
            )

    def move(self, move: moving.Move) -> None:
        """Move the projects of the instance's own journal into the store. No server may run; the journal stays.

        :raises RtcError: not all are there now. What is there already is found there the next time.
        """
        # Nobody can make another one now. An older release needs to know nothing of moves where there is none.
        if not move.names:
            move = move._replace(names=list(self.list_projects(move.config)))
        self.require_move(move)
        if not move.names:
            return
        done = self._ask_with_new_files("move", "--config", _OLD, "--skip", moving.CHECKED, _NEW, old=move.config)
        if done.returncode != 0:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no answer"]
            raise RtcError(
                f"The projects of {self.unit} cannot be moved into the store: {words[-1].rstrip('.')}.",
                "Its own journal is as it was. Where the store has another project of that name: export and delete one"
                " of them (rtc-server export), and run again.",
            )

    def _call_server(
        self,
        *arguments: str,
        words: str | None = None,
        release: str = "current",
        seconds: float | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        _ownership.check_program(self.params["python"])
        program = os.path.join(self.params["base"], release, "rtc-server")
        return subprocess.run(
            [self.params["python"], "-I", program, *arguments],
            input=words or "",
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=seconds,
            # With no language set, Python speaks UTF-8: in another one it could not print all names.
            env={**os.environ, "LC_ALL": "C", "CREDENTIALS_DIRECTORY": self.credentials,
                 "RUNTIME_DIRECTORY": self.credentials, **environment},
        )  # fmt: skip

    def check_config(self) -> None:
        """Let the current release check the configuration that is to be.

        :raises RtcError: with what it says.
        """
        result = self._ask_with_new_files("check-config", _NEW)
        if result.returncode != 0:
            words = (result.stdout + result.stderr).strip()
            given = " rtc_store_url, rtc_store_ca and rtc_store_password give what journal.store_… names."
            remedy = f"Nothing was changed.{given if 'journal.store_' in words else ''}"
            raise RtcError(
                f"The RTC server refuses its configuration: {words}{'' if words.endswith('.') else '.'}", remedy
            )

    def _ask_with_new_files(
        self, *arguments: str, old: str = "", seconds: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the current release with the credentials that are to be. ``_NEW`` among the arguments is the
        configuration that is to be, ``_OLD`` another one. What it says names the files where they will be.

        :param old: text of the other one.
        """
        folder = _files_tree.make_hidden_directory(_CHECKS, "rtc-server")  # readable by us alone, gone with a reboot
        try:
            names = {one: os.path.join(folder, one) for one in (_NEW, _OLD)}
            _files.write_atomic(names[_NEW], self.after[self.config_path] or b"")
            _files.write_atomic(names[_OLD], old.encode("utf-8", "replace"))
            handed = (self.secret_path, self.store_ca, self.store_password, self.panel_ca, self.panel_token)
            files = {path: self.after[path] for path in handed}
            if self.tls:
                files.update((path, _files.read_existing(path)) for path in self._pair())
            for path, content in files.items():
                if content is not None:
                    _files.write_atomic(os.path.join(folder, os.path.basename(path)), content, mode=0o600)
            words = [names.get(one, one) for one in arguments]
            done = self._call_server(*words, seconds=seconds, CREDENTIALS_DIRECTORY=folder, RUNTIME_DIRECTORY=folder)
        finally:
            _files_tree.remove_tree(folder)
        for name in ("stdout", "stderr"):  # the folder is gone when this is read
            said = getattr(done, name)
            for one in names.values():
                said = said.replace(one, self.config_path)
            setattr(done, name, said.replace(folder, self.credentials))
        return done

    def _pair(self) -> list[str]:
        return [f"{self.credentials}/{name}" for name in (unit.TLS_CERTIFICATE, unit.TLS_KEY)]
