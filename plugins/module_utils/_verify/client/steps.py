# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks in steps, and the one shape of their result.

``rtc_probe``, ``rtc_session`` and ``application_check`` all return it, so that the role ``verify`` and the report treat
them alike: ``{ok, steps: [{name, ok, seconds, detail}], failed_step, code, cause, remedy}``.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Iterator

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError


class CheckError(RtcError):
    """A step did not succeed.

    :param code: short name of the kind of failure, for programs: ``"tls_untrusted"``; documented with ``rtc_probe``.
    :param detail: what was seen, with host and port.
    :param cause: what most likely brought it about.
    :param remedy: what the administrator does about it.
    """

    def __init__(self, code: str, detail: str, cause: str, remedy: str) -> None:
        super().__init__(detail, remedy)
        self.code = code
        self.cause = cause
        self.certificate: bytes = b""  # DER, of a server whose certificate is what is wrong


@dataclass
class Step:
    """One step; ``detail`` is filled in while it runs."""

    name: str
    ok: bool = False
    seconds: float = 0.0
    detail: str = ""


@dataclass
class Checks:
    """Collects steps in the order in which they ran."""

    steps: list[Step] = field(default_factory=list)
    failure: CheckError | None = None  # the first one
    failed_step: str = ""

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time what is inside, and record whether it raised :class:`CheckError` (which goes on to the caller)."""
        step = Step(name)
        self.steps.append(step)
        start = time.monotonic()
        try:
            yield step
            step.ok = True
        except CheckError as exc:
            step.detail = exc.message
            if self.failure is None:
                self.failure, self.failed_step = exc, name
            raise
        finally:
            step.seconds = round(time.monotonic() - start, 4)

    @property
    def ok(self) -> bool:
        """Something was checked, and nothing failed."""
        return bool(self.steps) and all(step.ok for step in self.steps)

    def result(self) -> dict[str, Any]:
        """The result shape, as JSON-ready data."""
        failure = self.failure
        return {
            "ok": self.ok,
            "steps": [asdict(step) for step in self.steps],
            "failed_step": self.failed_step,
            "code": failure.code if failure else "",
            "cause": failure.cause if failure else "",
            "remedy": failure.remedy if failure else "",
        }
