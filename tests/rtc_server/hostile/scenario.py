# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One scenario: a good client works, an attack comes and goes; what that did to the good client and to the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .attack import Attack
from .processes import Helper, HostileServer, tokens, until

GIVEN_BACK = 20 << 20  # bytes above what it was before that may stay in memory
LATEST = 60.0  # seconds until what has a deadline must be over; the deadlines of the configuration are 2 and 4 s


@dataclass(frozen=True)
class Form:
    """How much: seconds undisturbed, seconds of the attack at most, scale of numbers, megabytes of floods."""

    calm: float
    seconds: float
    scale: float
    megabytes: float


SHORT = Form(calm=0.6, seconds=2.0, scale=0.3, megabytes=30.0)
LONG = Form(calm=2.0, seconds=8.0, scale=1.0, megabytes=200.0)


@dataclass
class Result:
    """Milliseconds, megabytes, numbers."""

    attack: str
    way: str  # event loop, and "tls"
    calm_p99: float = 0.0
    calm_worst: float = 0.0
    worst: float = 0.0  # of a change that was sent during the attack
    newcomer_worst: float = 0.0
    newcomers_refused: int = 0
    not_ready: int = 0  # answers of /readyz that were no 200, or never came
    sent_mb: float = 0.0
    opened: int = 0
    before_mb: float = 0.0
    peak_mb: float = 0.0
    after_mb: float = 0.0
    outlived: int = 0  # descriptors more than before, when every deadline was over and the attackers still there
    left: int = 0  # descriptors and sessions more than before, when the attackers had hung up
    faults: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the table."""
        return asdict(self)


def _least(measure: Callable[[], int], limit: float) -> int:
    """The least that was seen until it is 0, or the time is over."""
    found: list[int] = []

    def is_gone() -> bool:
        found.append(max(0, measure()))
        return found[-1] == 0

    until(is_gone, limit)
    return min(found)


def _milliseconds(noted: list[list[Any]], begin: float, end: float) -> list[float]:
    """Sorted; never is a minute."""
    return sorted(1000 * (60.0 if took is None else took) for began, took in noted if begin <= began < end)


def play(attack: Attack, loop: str, tls: tuple[Path, Path] | None, form: Form, directory: Path) -> Result:
    """Play it on a fresh server."""
    server = HostileServer(directory, loop, tls, attack.files)
    server.start()
    where = {"port": server.port, "tls": server.tls, "tokens": tokens()}
    helpers: list[Helper] = []
    try:
        attacker = Helper("attacker", name=attack.name, scale=form.scale, megabytes=form.megabytes,
                          seconds=form.seconds, **where)  # fmt: skip
        helpers.append(attacker)
        good = Helper("good_client", **where)
        helpers.append(good)
        assert (attacker.hear(), good.hear()) == ("ready", "ready")
        result = Result(attack.name, loop + (", TLS" if tls else ""))
        _play(server, good, attacker, attack, form, result)
    finally:
        for helper in helpers:
            helper.close()
        if server.stop() != 0:
            result.faults.append("SIGTERM did not end it in order")
    log = server.log.read_text()
    if "Traceback" in log:
        result.faults.append("traceback: " + log[log.index("Traceback") :].strip().splitlines()[-1][:200])
    return result


def _play(server: HostileServer, good: Helper, attacker: Helper, attack: Attack, form: Form, result: Result) -> None:
    time.sleep(0.5)  # the interpreter has then seen the code that a good client needs
    calm = time.monotonic()
    most: dict[str, int] = {}

    def note() -> bool:
        most["rss"] = max(most.get("rss", 0), server.resident())
        most["files"] = max(most.get("files", 0), server.descriptors())
        return time.monotonic() > calm + form.calm

    until(note, form.calm + 1, 0.02)  # what the good client and its newcomers take
    before, files = server.resident(), most["files"]
    sessions = 3  # two members and a newcomer
    begin = time.monotonic()
    attacker.go_on()
    done = until(lambda: note() and attacker.has_something_to_say(), form.seconds + 60, 0.02)
    assert done, "the attacker hangs"
    told = attacker.hear()
    end = time.monotonic()
    if told["error"]:
        result.faults.append(f"attack: {told['error']}")
    if not attack.editor:
        result.outlived = _least(lambda: server.descriptors() - files, LATEST)
    attacker.go_on()
    attacker.hear()
    result.left = _least(
        lambda: max(0, server.descriptors() - files) + max(0, server.look()["sessions"] - sessions), LATEST
    )
    until(lambda: note() and server.resident() <= before + GIVEN_BACK, LATEST / (6 if attack.editor else 2))
    result.after_mb = server.resident() / 1e6
    good.go_on()
    noted = good.hear()
    quiet = _milliseconds(noted["changes"], calm, begin - 0.2)
    during = _milliseconds(noted["changes"], begin, end)
    newcomers = _milliseconds(noted["newcomers"], begin, end + 1)
    result.calm_p99, result.calm_worst = quiet[int(len(quiet) * 0.99)], quiet[-1]
    result.worst = during[-1] if during else 0.0
    result.newcomer_worst = newcomers[-1] if newcomers else 0.0
    result.newcomers_refused = sum(took is None for began, took in noted["newcomers"] if began >= begin)
    result.not_ready = sum(took is None for began, took in noted["ready"] if began >= begin)
    result.sent_mb, result.opened = told["sent"] / 1e6, told["opened"]
    result.before_mb, result.peak_mb = before / 1e6, most["rss"] / 1e6
    if noted["thrown_out"]:
        result.faults.append("the good client was thrown out")
    if not noted["thrown_out"] and any(took is None for _, took in noted["changes"]):
        result.faults.append("a change was never acknowledged or delivered")
    result.faults += noted["wrong"]
