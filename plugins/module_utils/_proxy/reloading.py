# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Having a server load files that were given back, without losing the one that runs."""

from __future__ import annotations

import os
from typing import Callable

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._proxy import preflight
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Backend, DesiredLayout
from ansible_collections.collab.rtc.plugins.module_utils._proxy.control import Control, find_remaining, find_stopped
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError


class Reload:
    """The reload of a server whose files were given back; one that failed, or that we stopped, is started.

    :param put_forward: gives the files the content again that the server runs with.
    """

    def __init__(self, backend: Backend, put_forward: Callable[[], None]) -> None:
        self.backend, self.put_forward = backend, put_forward
        self.control = Control(backend)
        self.stopped = find_stopped(backend)
        self.state = self.control.state()
        if self.state == "stopped" and os.path.exists(self.stopped):
            self.state = "failed"  # nobody else wants it stopped

    @property
    def is_due(self) -> bool:
        """Whether it runs, or shall; one that others stopped, or never started, is left alone."""
        return self.state in ("running", "failed") and self.backend.installed()

    def find_obstacle(self) -> str:
        """Why the server would not take its files, as far as that shows before a reload; "" for nothing.

        :raises RtcError: that cannot be seen.
        """
        if not self.backend.serves():
            return ""
        words = self.backend.validate()
        if words:
            return f"{self.backend.kind} refuses the files that were given back: {words}"
        read = self.backend.read()
        listens = [(item.address, item.port) for item in read.sockets if not item.last_port]
        dual = {(item.address, item.port) for item in read.sockets if item.dual}
        try:
            preflight.check_ports(self.backend, DesiredLayout(listens=listens, dual=dual), read, self.control.master())
        except ProxyError as exc:
            return str(exc)
        return ""

    def run(self) -> None:
        """Reload or start it.

        :raises ProxyError: it does not take the files. It runs with those from before then, where it ran.
        """
        if not self.backend.serves():
            if self.state == "running":
                self.control.stop()
                _files_tree.make_directory(os.path.dirname(self.stopped))
                _files.write_atomic(self.stopped, b"It had nothing left to serve.\n")
            return
        answering = self.control.find_answering()
        try:
            self.control.take_effect([], find_remaining(self.backend, answering))
        except RtcError as exc:
            raise self._undo(exc.message, answering) from exc
        _files_tree.remove(self.stopped)

    def refuse(self, why: str) -> ProxyError:
        """Leave the running server alone, and the files as it has them. Returns the error."""
        return self._undo(why, self.control.find_answering(), reload=False)

    def _undo(self, why: str, answering: list[tuple[str, int]], reload: bool = True) -> ProxyError:
        remedy = "Correct what it complains about, and roll back once more: that gives back the rest."
        if self.state != "running":
            return ProxyError(f"{why} It does not run.", remedy)
        try:
            self.put_forward()
        except RtcError as exc:  # then its files are those that it does not take: nothing must have it read them
            words = f"Nor can it get the files of the run again, and no restart must come before it has: {exc.message}"
            return ProxyError(f"{why} {words}", exc.remedy or remedy)
        words = self.control.restore(answering) if reload else ""
        state = f"With them it does not run as before: {words}" if words else "It runs with them as before."
        return ProxyError(f"{why} Its files are those of the run again. {state}", remedy)
