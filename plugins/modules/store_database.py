#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: store_database
short_description: Make databases of PostgreSQL that RTC servers share
version_added: 0.2.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Makes each database with an owner of its own, lets nobody else connect, turns TLS on, and lets the RTC nodes in with
    TLS and SCRAM. It asks a server that runs, as its superuser through its socket.
  - C(pg_hba.conf) and C(postgresql.conf) get a block each, and nothing else of them is touched. The lines of
    C(pg_hba.conf) stand before the first line that would decide on these connections instead.
  - PostgreSQL reads its files anew, and is restarted only where a setting asks for it (C(listen_addresses)).
  - Roles and databases that are somebody else's are refused - a superuser, a role with rights in other databases, a
    database of another owner.
  - On a standby only files are written; databases and owners come from its primary.
extends_documentation_fragment: [collab.rtc.attributes]
attributes:
  check_mode: {support: full}
  diff_mode:
    support: full
    details: Passwords and keys are never shown.
  idempotent: {support: full}
options:
  databases:
    description: The databases. Each site needs one of its own.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the database.
        type: str
        required: true
      owner:
        description: The role that it belongs to, and that RTC servers connect as. The database's name by default.
        type: str
      password:
        description:
          - The owner's password. PostgreSQL is sent what it keeps of it (SCRAM-SHA-256), never the password.
          - It is changed where what PostgreSQL keeps is not this password.
        type: str
        required: true
      clients:
        description: Addresses, networks or names of the RTC nodes, as they appear to PostgreSQL.
        type: list
        elements: str
        required: true
  certificate:
    description:
      - Certificate that PostgreSQL presents, with its chain - PEM text, or a file of the controller. Without it, the
        server's own certificate and key stay.
    type: str
  key:
    description: Its private key, without a pass phrase - PEM text, or a file of the controller.
    type: str
  listen:
    description:
      - Addresses that PostgreSQL has to listen on, besides those that it has. Without any, all, where it listens on
        loopback only and clients come from other machines.
    type: list
    elements: str
    default: []
  restart:
    description:
      - What is done where a setting needs a restart. V(auto) restarts a server that has no databases but these, and
        says otherwise what is due.
    type: str
    choices: [auto, always, never]
    default: auto
  state:
    description:
      - V(absent) takes blocks, certificate and key away. The databases stay, unless O(drop) is set.
    type: str
    choices: [present, absent]
    default: present
  drop:
    description: With O(state=absent), drop the databases, which nobody may be connected to, and owners without more.
    type: bool
    default: false
  port:
    description: The server's port.
    type: int
    default: 5432
  user:
    description:
      - The superuser, and the user of this host who may connect as such through the socket. The server runs as that
        user - one of somebody else is not believed.
    type: str
    default: postgres
  socket:
    description: Directory of the server's socket, where it is not one of the usual.
    type: path
  psql:
    description: The program C(psql); the newest that is installed by default.
    type: path
  tls_directory:
    description: Directory for O(certificate) and O(key).
    type: path
    default: /etc/rtc-store
"""

EXAMPLES = r"""
- name: Make the store of Confluence's site
  collab.rtc.store_database:
    databases:
      - name: rtc
        password: "{{ vault_rtc_store_password }}"
        clients: [10.0.0.11, 10.0.0.12]
    certificate: files/db1.pem
    key: files/db1.key
"""

RETURN = r"""
steps:
  description: What was done, or would be, in words.
  returned: success
  type: list
  elements: str
notes:
  description: What is worth knowing, such as a line of C(pg_hba.conf) that would have decided first.
  returned: success
  type: list
  elements: str
restart_due:
  description: Settings that PostgreSQL has only after a restart, which this did not do.
  returned: success
  type: list
  elements: str
restarted:
  description: Whether PostgreSQL was restarted.
  returned: success
  type: bool
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import time
from typing import Any, Callable

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._host import processes
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._postgres import databases, hba, settings
from ansible_collections.collab.rtc.plugins.module_utils._postgres.psql import Psql
from ansible_collections.collab.rtc.plugins.module_utils._quiet_module import QuietModule
from ansible_collections.collab.rtc.plugins.module_utils._x509 import pair

_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.1


class Store:
    """What is there, what is to be, and the way from one to the other."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.wanted = databases.check(params["databases"])
        self.listen = settings.check_listen(params["listen"])
        self.psql = Psql(params["psql"] or "", params["socket"] or "", params["port"], params["user"])
        self.present = params["state"] == "present"
        self.notes: list[str] = []
        self.restarting = ""  # the unit, once its restart was tried
        self.found = self._ask()
        self.tls = {name: f"{params['tls_directory']}/{name}" for name in ("tls.crt", "tls.key")}
        self._check_tls()
        self.steps = self._find_steps()
        self.before: dict[str, bytes | None] = {}
        self.after: dict[str, bytes | None] = {}
        self._plan_tls()
        self._plan_settings()
        self._plan_hba()

    def _ask(self) -> dict[str, Any]:
        found: dict[str, Any] = self.psql.read(databases.make_query(self.wanted))
        return found

    def _check_tls(self) -> None:
        certificate, key = self.params["certificate"], self.params["key"]
        if bool(certificate) != bool(key):
            raise RtcError("rtc_store_certificate and rtc_store_key are needed together.")
        if certificate:
            fault = pair.find_fault(certificate.encode(), key.encode())
            words = {
                pair.MISMATCH: "do not belong together",
                pair.ENCRYPTED: "cannot be used: the key has a pass phrase",
            }
            if fault:
                raise RtcError(
                    f"rtc_store_certificate and rtc_store_key {words.get(fault, f'cannot be used: {fault}')}."
                )

    def _find_steps(self) -> list[databases.Step]:
        if not self.present:
            return databases.find_drops(self.wanted, self.found) if self.params["drop"] else []
        steps = databases.find_steps(self.wanted, self.found)
        if self.found["standby"] and steps:
            self.notes.append("This is a standby: databases and owners have to be made on its primary.")
            return []
        for item in self.wanted:
            others = ((self.found["databases"] or {}).get(item.name) or {}).get("others")
            if others:
                self.notes.append(f"The database {item.name} has rights for {', '.join(others)}, too, which stay.")
        return steps

    def _plan_tls(self) -> None:
        given = self.present and bool(self.params["certificate"])
        ours = self.params["certificate"], self.params["key"]
        for path, text in zip(self.tls.values(), ours):
            self.before[path] = _files.read_existing(path)
            self.after[path] = text.encode() if given else None

    def _plan_settings(self) -> None:
        path = self.found["config"]
        text = _read_text(path)
        bare, block = settings.take_out(text)
        known = settings.Settings(path, self.found["settings"], self.found["lines"] or [])
        fault = known.find_fault(block)
        if fault:
            raise RtcError(fault, "Correct that line.")
        values: dict[str, str] = {}
        known.require_unused([path for path in self.tls.values() if self.after[path] is None], block)
        if self.present:
            certificate, key = self.tls.values() if self.params["certificate"] else ("", "")
            clients = [client for item in self.wanted for client in item.clients]
            values = settings.choose(known, block, certificate, key, self.listen, clients)
            self._require_certificate(known, block, certificate)
        self.before[path], self.after[path] = _encode(text), _encode(settings.render(bare, values))
        self.restart_due = self._list_due(known, block, values)

    def _require_certificate(self, known: settings.Settings, block: range, certificate: str) -> None:
        for name in () if certificate else ("ssl_cert_file", "ssl_key_file"):
            path = os.path.join(self.found["data"], known.find_bare(name, block))
            if _files.look(path) is None:
                raise RtcError(
                    f"PostgreSQL has no certificate: there is no {path} ({name}).",
                    "Give one: rtc_store_certificate and rtc_store_key.",
                )

    def _list_due(self, known: settings.Settings, block: range, values: dict[str, str]) -> list[str]:
        """Settings whose new value PostgreSQL takes only with a restart."""
        due = []
        for name, row in known.now.items():
            will = values.get(name, known.find_bare(name, block))
            if row["context"] == "postmaster" and will != row["setting"]:
                due.append(name)
        return due

    def _plan_hba(self) -> None:
        path = self.found["hba"]
        text = _read_text(path)
        block = settings.take_out(text)[1]
        for line in self.found["hba_errors"] or []:
            if line["file"] != path or line["line"] not in block:
                raise RtcError(_name_error(line), "Correct pg_hba.conf; PostgreSQL does not read it.")
        groups = {name: frozenset(role["groups"] or ()) for name, role in (self.found["roles"] or {}).items()}
        grants = [
            hba.Grant(item.database, item.owner, item.client, groups.get(item.owner, frozenset()))
            for item in (databases.list_grants(self.wanted) if self.present else [])
        ]
        try:
            placing = hba.place(path, text, grants, self.found["version"], _read_other, _files_tree.list_directory)
        except RtcError as exc:
            raise RtcError(exc.message if path in exc.message else f"{path}: {exc.message}", exc.remedy) from exc
        self.notes += placing.notes
        self.before[path], self.after[path] = _encode(text), _encode(placing.text)

    def list_changed(self) -> list[str]:
        """Files that are not what they are to be, in the order of writing: what names others comes after them."""
        changed = [path for path in self.after if self.before[path] != self.after[path]]
        return changed if self.present else changed[::-1]

    def list_words(self) -> list[str]:
        """Everything that is done, in words."""
        words = [step.text for step in self.steps]
        for path in self.list_changed():
            words.append(f"{'write' if self.after[path] is not None else 'remove'} {path}")
        if self.restart_due:
            how = "restart" if self.may_restart() else "not restarted: a restart is due"
            words.append(f"{how} ({', '.join(self.restart_due)})")
        return words

    def may_restart(self) -> bool:
        """Whether a restart is done where one is due."""
        choice = self.params["restart"]
        alone = choice == "always" or (choice == "auto" and not self.found["strangers"])
        return alone and bool(self._find_unit())

    def _find_unit(self) -> str:
        """The unit of systemd whose main process is the server; "" for none."""
        pid = int(self.found["pid"])
        unit = processes.Proc(RootFs("/"), pid).unit
        if not unit or not shutil.which("systemctl"):
            return ""
        command = ["systemctl", "show", "-p", "MainPID", "--value", unit]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return unit if shown == str(pid) else ""  # it may be started by hand from another service

    def is_changed(self) -> bool:
        """Whether anything is to be done. A restart that is due and not ours to do is said, and is no change."""
        return bool(self.steps or self.list_changed() or (self.restart_due and self.may_restart()))

    def diff(self) -> list[dict[str, str]]:
        """Statements in words, files as text; no secrets."""
        found = []
        actions = [step.text for step in self.steps]
        if self.restart_due and self.may_restart():
            actions.append(f"restart PostgreSQL, for {', '.join(self.restart_due)}")
        if actions:
            found.append(_make_diff(f"PostgreSQL on port {self.params['port']}", "", "\n".join(actions) + "\n"))
        for path in self.list_changed():
            before, after = (
                (content or b"").decode("utf-8", "replace") for content in (self.before[path], self.after[path])
            )
            if path == self.tls["tls.key"]:
                before, after = (
                    text and f"({word} key, not shown)\n" for text, word in ((before, "old"), (after, "new"))
                )
            found.append(_make_diff(path, before, after))
        return found

    def apply(self) -> bool:
        """Do it; on failure the old files again. Returns whether PostgreSQL was restarted."""
        changed = self.list_changed()
        if self.present:
            self._run_steps()
        try:
            for path in changed:
                self._put(path, self.after[path])
            if changed:
                self._reload()
            restarted = bool(self.restart_due) and self.may_restart() and self._restart()
            if self.present:
                self._require_settings()
        except (RtcError, OSError):
            self._give_back(changed)
            raise
        if not self.present:
            self._run_steps()
            _files_tree.remove_if_empty(self.params["tls_directory"])
        return restarted

    def _give_back(self, changed: list[str]) -> None:
        """The old files, and a server that has them. What fails with that must not hide why it is done."""
        for path in changed[::-1]:
            self._put(path, self.before[path])
        if changed and self.restarting:  # it may not run any more
            subprocess.run(["systemctl", "restart", self.restarting], capture_output=True, check=False)
        elif changed:
            with contextlib.suppress(RtcError):
                self.psql.run("SELECT pg_catalog.pg_reload_conf();")

    def _run_steps(self) -> None:
        for step in self.steps:  # one by one: CREATE DATABASE is no part of a transaction
            self.psql.run(step.statement)

    def _put(self, path: str, content: bytes | None) -> None:
        if content is None:
            _files_tree.remove(path)
        elif path not in self.tls.values():
            _files.write_atomic(path, content)
        else:
            _files_tree.make_directory(os.path.dirname(path))
            # PostgreSQL takes a key of root's that only its own group reads ("Secure TCP/IP Connections with SSL").
            secret = path == self.tls["tls.key"]
            own = os.geteuid() != 0
            _files.write_atomic(
                path,
                content,
                mode=(0o600 if own else 0o640) if secret else 0o644,
                group=self._find_group() if secret and not own else -1,
                exact=True,
            )

    def _find_group(self) -> int:
        info = _files.look(self.found["data"])
        return info.st_gid if info is not None else pwd.getpwnam(self.params["user"]).pw_gid

    def _reload(self) -> None:
        loaded = self.found["loaded"]
        self.psql.run("SELECT pg_catalog.pg_reload_conf();")
        now = _await(self._ask, lambda found: found["loaded"] != loaded, "PostgreSQL does not read its files anew.")
        for line in now["hba_errors"] or []:
            raise RtcError(_name_error(line), "pg_hba.conf was given back.")
        fault = settings.Settings(now["config"], now["settings"], now["lines"] or []).find_fault()
        if fault:
            raise RtcError(fault, "The old files were given back.")

    def _require_settings(self) -> None:
        now = self._ask()
        if not settings.is_on(now["settings"]["ssl"]["setting"]):
            raise RtcError(
                "PostgreSQL did not turn TLS on: its log says why.",
                f"See it in {now['data']}/log, /var/log/postgresql or the journal. The old files were given back.",
            )

    def _restart(self) -> bool:
        """Restart the unit that the server belongs to."""
        unit = self.restarting = self._find_unit()
        done = subprocess.run(["systemctl", "restart", unit], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RtcError(
                f"{unit} does not restart: {done.stderr.strip()}",
                f"See journalctl -u {unit}. The old files were given back.",
            )
        pid = self.found["pid"]
        _await(self._ask, lambda found: found["pid"] != pid, f"{unit} does not answer after its restart.")
        self.restart_due = []
        return True


def _await(ask: Callable[[], dict[str, Any]], good: Callable[[dict[str, Any]], bool], words: str) -> dict[str, Any]:
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        why = ""
        try:
            found = ask()
            if good(found):
                return found
        except RtcError as exc:  # it starts
            why = f" {exc.message}"
        if time.monotonic() > end:
            raise RtcError(words + why, "See its log.")
        time.sleep(_POLL_SECONDS)


def _name_error(line: dict[str, Any]) -> str:
    """A line of ``pg_hba.conf``, or of a file that it includes, that PostgreSQL refuses."""
    where = f":{line['line']}" if line["line"] else ""
    return f"{line['file']}{where}: {line['error']}"


def _read_text(path: str) -> str:
    """A file whose comments may be in any encoding: :func:`_encode` gives the same bytes."""
    return _files.read_bytes(path).decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _read_other(path: str) -> str | None:
    content = _files.read_existing(path)
    return None if content is None else content.decode("utf-8", "surrogateescape")


def _make_diff(header: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": header, "after_header": header, "before": before, "after": after}


def main() -> None:
    """Entry point."""
    database = {
        "name": {"type": "str", "required": True},
        "owner": {"type": "str"},
        "password": {"type": "str", "required": True, "no_log": True},
        "clients": {"type": "list", "elements": "str", "required": True},
    }
    module = QuietModule(
        argument_spec={
            "databases": {"type": "list", "elements": "dict", "required": True, "options": database},
            "certificate": {"type": "str"},
            "key": {"type": "str", "no_log": True},
            "listen": {"type": "list", "elements": "str", "default": []},
            "restart": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "drop": {"type": "bool", "default": False},
            "port": {"type": "int", "default": 5432},
            "user": {"type": "str", "default": "postgres"},
            "socket": {"type": "path"},
            "psql": {"type": "path"},
            "tls_directory": {"type": "path", "default": "/etc/rtc-store"},
        },
        supports_check_mode=True,
    )
    try:
        store = Store(module.params)
        changed, words, diff = store.is_changed(), store.list_words(), store.diff()
        restarted = store.apply() if changed and not module.check_mode else False
    except (RtcError, OSError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    due = [] if module.check_mode and store.may_restart() else store.restart_due
    if due:
        module.warn(f"PostgreSQL has to be restarted for {', '.join(due)}; until then it is as before.")
    module.exit_json(changed=changed, steps=words, notes=store.notes, restart_due=due, restarted=restarted, diff=diff)


if __name__ == "__main__":
    main()
