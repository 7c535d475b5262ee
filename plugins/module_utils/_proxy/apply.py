# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One change of a proxy server: read, refuse, write, validate, undo or reload."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from typing import Any, Callable, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._proxy import (
    preflight,
    seen,
    selinux_firewalld,
    sockets,
    writers,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import (
    RUN,
    Backend,
    DesiredFile,
    DesiredLayout,
    DesiredLink,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.blocked import BlockedError, add_words
from ansible_collections.collab.rtc.plugins.module_utils._proxy.control import Control, find_remaining, find_stopped
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.loaded import Loaded
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.module_utils._secret_text import mask_text
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

writers.register()  # Backend.build_layout


@dataclass
class ChangeOptions:
    """How a change is made."""

    check: bool = False
    validate: bool = True
    reload: bool = True
    backup: bool = False
    selinux: bool = True
    firewalld: bool = True
    undo_dir: str | None = None
    # Called with the kind of the proxy and what is about to be opened, before it is.
    note: Callable[[str, list[selinux_firewalld.Setting]], None] | None = None
    see: seen.See | None = None  # asks for RTC through what was written; None: nobody looks
    # Called with the cause before a server that did not take its new files loads the old ones: what was written before
    # this change, such as certificates, has to be as it was by then, too.
    take_back: Callable[[RtcError], None] | None = None


@dataclass
class ChangeResult:
    """What a change did, or would do."""

    changed: bool = False
    reloaded: bool = False
    version: str = ""
    files: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)  # of SELinux and firewalld
    backups: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)  # names of virtual hosts that RTC was seen to pass
    unseen: dict[str, str] = field(default_factory=dict)  # names of others that were written -> why it was not seen
    loaded: bool = False  # the running server has what is in the files


class ProxyChange:
    """The change of one proxy server.

    :param vhosts: those that shall be there.
    :param absent: names of those that shall not.
    """

    def __init__(self, backend: Backend, vhosts: list[VhostPlan], absent: list[str], options: ChangeOptions) -> None:
        self.backend, self.vhosts, self.absent, self.options = backend, vhosts, absent, options
        self.control = Control(backend)
        self.result = ChangeResult()
        self.marker = backend.path(f"{RUN}/{backend.kind}.reload")
        self.stopped = find_stopped(backend)

    def run(self) -> ChangeResult:
        """Make it so.

        :raises RtcError: refused, or undone; nothing is left changed then.
        """
        if not self.backend.installed() and not self._accepts_missing():
            return self.result
        self.result.version = self.backend.version()
        self._check_certificates()
        self._refuse_broken()
        current = self.backend.read()
        desired = self.backend.build_layout(self.vhosts, self.absent, current)
        if not os.path.exists(self.marker):  # else a killed run's reload is still to come
            preflight.refuse_unread(self.backend, {vhost.port for vhost in self.vhosts}, current)
        steps = find_differences(desired)
        self.result.files = [*(item.path for item in desired.files), *(item.path for item in desired.links)]
        self.result.modules = [name for name in desired.modules if any(f"/{name}.load" in step.path for step in steps)]
        self.result.diff = [step.diff() for step in steps]
        needs = self._find_platform_needs()
        self.result.changed = bool(steps or needs)
        self.result.settings = [need.text for need in needs]
        if self.options.check:
            self._foresee(desired)
            return self.result
        if steps:
            preflight.check_ports(self.backend, desired, current, self.control.master())
        if needs and self.options.note:
            self.options.note(self.backend.kind, [item for need in needs for item in need.settings])
        try:
            selinux_firewalld.apply_needs(needs)
            self._apply(steps, desired)
        except RtcError:
            with contextlib.suppress(RtcError):  # what failed is the cause; it stays recorded as opened
                records.require_going(self.options.undo_dir)
                selinux_firewalld.close([item for need in needs for item in need.settings])
            raise
        for directory in desired.emptied:
            _files_tree.remove_if_empty(directory)
        return self.result

    def _accepts_missing(self) -> bool:
        """Whether to go on although the server is not installed."""
        # In check mode the role has not really installed the package: show what would be written.
        if not self.vhosts:
            return False
        if not self.options.check:
            package = self.backend.programs[0]
            raise ProxyError(f"{self.backend.kind} is not installed on this host.", f"Install its package ({package}).")
        self.result.warnings.append(f"{self.backend.kind} is not installed yet: what it would refuse is not known.")
        return True

    def _check_certificates(self) -> None:
        blocked: dict[str, RtcError] = {}
        for vhost in self.vhosts:
            paths = [path for path in (vhost.certificate, vhost.key, vhost.upstream_ca) if path]
            lacking = [path for path in paths if not os.path.exists(path)]
            if self.options.check and lacking:
                self.result.warnings.append(f"{vhost.name}: {', '.join(lacking)} is not there yet and was not checked.")
                continue
            try:
                self.result.warnings += preflight.check_certificate(vhost)
                preflight.check_authorities(vhost)
            except RtcError as exc:
                blocked.setdefault(vhost.site, exc)
        if blocked:
            raise BlockedError(blocked)

    def _refuse_broken(self) -> None:
        """Stop when the configuration is broken already, unless by a managed file: a run that was killed."""
        if not self.options.validate or not self.backend.program() or not os.path.exists(self.backend.main()):
            return
        words = self.backend.validate()
        if words and not self.backend.blames_managed(words):
            raise ProxyError(
                f"{self.backend.kind} refuses its present configuration, which is not of this collection: {words}",
                "Fix that first. Nothing was changed.",
            )

    def _find_platform_needs(self) -> list[selinux_firewalld.Need]:
        if self.backend.root != "/":
            return []
        ports = sorted({vhost.port for vhost in self.vhosts})
        addresses = [item for vhost in self.vhosts for name in vhost.listen or ["*"] for item in sockets.resolve(name)]
        found = (
            selinux_firewalld.find_selinux_needs(self.backend.kind, ports)
            if self.options.selinux and ports and selinux_firewalld.is_enforcing()
            else []
        )
        return found + (
            selinux_firewalld.find_firewalld_needs(ports, addresses=addresses) if self.options.firewalld else []
        )

    def _list_sources(self, desired: DesiredLayout) -> list[str]:
        paths = [*desired.configuration, *(item.path for item in desired.links), *(item.path for item in desired.files)]
        for vhost in self.vhosts:
            paths += [path for path in (vhost.certificate, vhost.key, vhost.upstream_ca) if path]
        return paths

    def _is_stale(self, desired: DesiredLayout) -> bool:
        """Whether a reload is due: a killed run left one out, or a file changed since (a renewed certificate, say)."""
        sources = self._list_sources(desired)
        return os.path.exists(self.marker) or self._find_loaded().is_outdated(sources)

    def _find_loaded(self) -> Loaded:
        return Loaded(self.backend, self.control.master())

    def _foresee(self, desired: DesiredLayout) -> None:
        state = self._find_state()
        self.result.loaded = self.options.reload and state != "stopped"
        if self.options.reload and (self.result.changed or state in ("new", "failed") or self._is_stale(desired)):
            self.result.reloaded = state != "stopped"
            self.result.changed = self.result.changed or self.result.reloaded

    def _apply(self, steps: list[Step], desired: DesiredLayout) -> None:
        pending = os.path.exists(self.marker)
        if steps:
            self._write(steps, desired, pending)
        if not self.options.reload:
            return
        state = self._find_state()
        self.result.loaded = state != "stopped"
        if not self.vhosts and not self.backend.serves():
            if steps and state == "running":
                self.control.stop()
                _files.write_atomic(self.stopped, b"It had nothing left to serve.\n")
                self.result.reloaded = True
        elif state == "stopped":
            if self.vhosts:
                words = f"{self.control.unit} was stopped by someone and is left so."
                self.result.warnings.append(words)
                self.result.unseen = {vhost.name: words.rstrip(".") for vhost in self._list_changed(steps)}
        elif steps or state in ("new", "failed") or self._is_stale(desired):
            if state in ("new", "failed") and not self.vhosts:
                return
            answering = self.control.find_answering()
            try:
                self.control.take_effect(desired.listens, find_remaining(self.backend, answering))
                if steps and self.options.see:
                    found = seen.look_through(self.backend, self._list_changed(steps), self.options.see)
                    self.result.passed = [name for name, why in found.items() if not why]
                    self.result.unseen = {name: why for name, why in found.items() if why}
            except ProxyError as exc:
                words = self._undo(steps, answering, exc)
                raise add_words(exc, words) from exc
            self.result.reloaded = self.result.changed = True
            self._find_loaded().note(self._list_sources(desired))
            _files_tree.remove(self.stopped)
        with contextlib.suppress(RtcError):
            _files_tree.remove(self.marker)

    def _list_changed(self, steps: list[Step]) -> list[VhostPlan]:
        """The virtual hosts for RTC that a change is about; HAProxy has all of them in one file."""
        names = {os.path.splitext(os.path.basename(step.path))[0] for step in steps}
        whole = self.backend.kind == "haproxy"
        return [vhost for vhost in self.vhosts if vhost.role == "rtc" and (whole or vhost.name in names)]

    def _find_state(self) -> str:
        """The state of the service. One that we stopped is as good as new: nobody else wants it stopped."""
        state = self.control.state()
        return "new" if state == "stopped" and os.path.exists(self.stopped) else state

    def _write(self, steps: list[Step], desired: DesiredLayout, pending: bool) -> None:
        self._find_loaded().note([*self._list_sources(desired), *(step.path for step in steps)])
        for directory in desired.directories:
            _files_tree.make_directory(directory, 0o700)
        for step in steps:
            records.record(self.options.undo_dir, step.path, step.intended)
            if self.options.backup and step.existed and not step.secret and not step.link:
                self.result.backups.append(_files.backup(step.path))
        _files_tree.make_directory(os.path.dirname(self.marker))
        _files.write_atomic(self.marker, b"The configuration was changed and not yet loaded.\n")
        done: list[Step] = []
        try:
            for step in steps:
                done.append(step)
                step.apply()
            words = self.backend.validate() if self.options.validate else ""
            if words:
                raise ProxyError(
                    f"{self.backend.kind} refuses the new configuration, which is undone: {words}",
                    "Report this with the words above, or correct the virtual host's options.",
                )
        except BaseException as exc:
            words = take_back(done, self.options.undo_dir)
            if not pending and not words:
                _files_tree.remove(self.marker)
            if words and isinstance(exc, RtcError):
                raise add_words(exc, words) from exc
            raise

    def _undo(self, steps: list[Step], answering: list[tuple[str, int]], cause: ProxyError) -> str:
        """The server did not take it: give it back what it had, and make sure that it runs with that.

        :param answering: where it answered before.
        :returns: what came of it.
        """
        words = take_back(steps, self.options.undo_dir)
        if self.options.take_back:
            self.options.take_back(cause)
        if words:  # it must not read them; the marker says to the next run that this is due
            return words
        if (steps or not self.control.master()) and self.backend.serves() and not self.backend.validate():
            words = self.control.restore(answering)
        with contextlib.suppress(RtcError):
            _files_tree.remove(self.marker)
        if words:
            return f"With its old files it does not run as before: {words}"
        return f"It runs as before, and answers on all of {len(answering)} sockets." if answering else ""


def take_back(steps: Sequence[Step], undo_dir: str | None = None) -> str:
    """Give all paths what they were, as far as that can be done; returns what could not, in words.

    What is new goes first: on a full disk that makes room for the rest.

    :param undo_dir: of the run. Where that was given up meanwhile, what is there is somebody else's.
    """
    try:
        records.require_going(undo_dir)
    except RtcError as exc:
        return str(exc)
    failed = []
    for step in [one for there in (False, True) for one in reversed(steps) if one.existed is there]:
        try:
            step.undo()
        except RtcError as exc:
            failed.append(f"{step.path} could not be given back: {exc}")
    return " ".join(failed)


class Step:
    """One path that changes, with what it was."""

    def __init__(self, path: str, new: DesiredFile | DesiredLink | None) -> None:
        self.path, self.new = path, new
        self.link = _files_tree.read_link(path)
        self.secret = isinstance(new, DesiredFile) and new.secret
        self.whole = None if self.link else _files.read_copy(path)
        self.existed = bool(self.link or self.whole)
        self.data = self.whole[0] if self.whole else b""
        self.mode = stat.S_IMODE(self.whole[1].st_mode) if self.whole else 0

    @property
    def intended(self) -> bytes | str | None:
        """What the undo record is told: the new content, or where a link is to lead."""
        if isinstance(self.new, DesiredLink):
            return self.new.target
        return None if self.new is None else self.new.data

    def apply(self) -> None:
        if self.new is None:
            _files_tree.remove(self.path)
        elif isinstance(self.new, DesiredLink):
            _files_tree.replace_link(self.path, self.new.target)
        else:
            _files.write_atomic(self.path, self.new.data, self.new.mode, exact=self.new.secret)

    def undo(self) -> None:
        if self.link:
            _files_tree.replace_link(self.path, self.link)
        elif self.whole:
            _files.put_back(self.path, self.whole)
        else:
            _files_tree.remove(self.path)

    def diff(self) -> dict[str, str]:
        if self.secret:
            return {"before_header": self.path, "after_header": self.path, "before": "", "after": "(a secret)\n"}
        before = f"link to {self.link}\n" if self.link else _mask(self.data)
        after = ""
        if isinstance(self.new, DesiredLink):
            after = f"link to {self.new.target}\n"
        elif isinstance(self.new, DesiredFile):
            after = _mask(self.new.data)
        return {"before_header": self.path, "after_header": self.path, "before": before, "after": after}


def find_differences(desired: DesiredLayout) -> list[Step]:
    """What is not as it shall be, in an order that is good at every moment: switched on last, off first."""
    steps = []
    for item in desired.files:
        step = Step(item.path, item)
        loose = item.secret and step.mode != item.mode
        if not step.existed or step.data != item.data or loose:
            steps.append(step)
    steps += [Step(link.path, link) for link in desired.links if not _is_linked(link)]
    steps += [Step(path, None) for path in desired.absent if os.path.lexists(path)]
    return steps


def _mask(data: bytes) -> str:
    """The text of a file for a diff; what others keep secret in it is not shown."""
    if b"PRIVATE KEY" in data:
        return "(a secret)\n"
    return mask_text(data.decode("utf-8", "replace"))


def _is_linked(link: DesiredLink) -> bool:
    wanted = os.path.join(os.path.dirname(link.path), link.target)
    return os.path.islink(link.path) and os.path.realpath(link.path) == os.path.realpath(wanted)


def summarize(results: list[ChangeResult]) -> dict[str, Any]:
    """The results of all kinds as a module returns them."""
    return {
        "changed": any(item.changed for item in results),
        "reloaded": any(item.reloaded for item in results),
        "files": [path for item in results for path in item.files],
        "enabled_modules": [name for item in results for name in item.modules],
        "settings": [text for item in results for text in item.settings],
        "passed": [name for item in results for name in item.passed],
        "unseen": {name: why for item in results for name, why in item.unseen.items()},
        "version": next((item.version for item in results if item.version), ""),
    }
