# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rtc-server doctor``: what is wrong with a server on this host, whether it runs or not.

Its exit status is that of plugins for Nagios (Monitoring Plugins Development Guidelines): 0, 1 warning, 2 critical, 3
unknown. Each check is a function of what :mod:`doctor_host` saw, and of the configuration; its output has no secret.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from . import __version__
from . import doctor_host as host
from .capacity import needed_descriptors
from .config import Config, ConfigError, load
from .reload import FILE, Outcome, read_outcome

OK, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("ok", "warning", "critical", "unknown")
_WORSE = (OK, UNKNOWN, WARNING, CRITICAL)  # what is known to be wrong is worse than what is not seen
_DAY = 86400
_DESCRIPTORS = 40  # that a server has open besides its connections
_RESERVED_FILES = 100  # that a file system should have room for
_CONFIGS = re.compile(r"(/etc/rtc-server/([a-z0-9][a-z0-9_-]{0,26}))\.toml")  # as the collection writes them
_BORN = 1767225600  # 2026: a clock before that was never set


@dataclass
class Check:
    """One thing that was looked at. ``remedy`` is what to do; "" when nothing."""

    name: str
    state: int
    text: str
    remedy: str = ""


@dataclass
class Place:
    """Where a server's things are; "" for what it has not. ``unit`` is that of systemd, ``runtime`` its directory."""

    config: str
    unit: str
    runtime: str
    days: float  # for which certificates have to be valid yet, or there is a warning


def find_place(config: str, unit: str, days: float) -> Place:
    """By where the configuration is: one of the collection belongs to a unit. Then secrets are found where root keeps
    them, as they are not handed over to a server that is stopped."""
    found = _CONFIGS.fullmatch(os.path.realpath(config))
    if found is None:
        return Place(config, unit, os.environ.get("RUNTIME_DIRECTORY", ""), days)
    for name in ("CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY"):
        os.environ[name] = found[1]
    return Place(config, unit or f"rtc-server@{found[2]}.service", f"/run/rtc-server/{found[2]}", days)


def examine(place: Place) -> list[Check]:
    """All checks, those first that explain others."""
    shown, checks = _examine_unit(place)
    try:
        config = load(place.config)
    except ConfigError as exc:
        remedy = "Mend it; rtc-server check-config tells whether it is good."
        try:
            _require_sight(exc)
        except host.Unseen as unseen:
            return [*checks, Check("configuration", UNKNOWN, str(unseen), "Run it as root.")]
        return [*checks, *(Check("configuration", CRITICAL, text, remedy) for text in exc.complaints)]
    checks.append(Check("configuration", OK, f"{place.config} is good"))
    pid = int(shown.get("MainPID") or 0)
    answers = _Answers(config)
    steps: dict[str, Callable[[], Iterator[Check]]] = {
        "listening": lambda: _examine_listeners(config, pid, place.unit),
        "readiness": lambda: judge_answers(answers.health, answers.ready),
        "configuration in force": lambda: judge_outcome(config, read_outcome(f"{place.runtime}/{FILE}"), pid),
        "keys": lambda: _examine_keys(config),
        "certificate": lambda: _examine_certificate(config, place, answers.health.certificate),
        "journal": lambda: _examine_journal(config),
        "disk": lambda: _examine_disk(config),
        "clock": lambda: judge_clock(host.read_clock(), host.is_clock_synchronized),
        "files": lambda: judge_descriptors(config, host.read_descriptors(pid)) if pid else iter(()),
    }
    for name, step in steps.items():
        try:
            checks += list(step())
        except host.Unseen as exc:
            checks.append(Check(name, UNKNOWN, f"cannot be seen: {exc}", "Run it as root."))
        except Exception as exc:  # a check that fails is none that is passed; its words may hold anything
            checks.append(Check(name, UNKNOWN, f"the check itself failed: {type(exc).__name__}", "Report it."))
    return checks


class _Answers:
    def __init__(self, config: Config) -> None:
        where = config.server.address, config.server.port, bool(config.tls.certificate)
        self.health = host.ask(*where, "/healthz")
        self.ready = host.ask(*where, "/readyz") if self.health.status else self.health


# --- the unit ----------------------------------------------------------------------------------


def _examine_unit(place: Place) -> tuple[dict[str, str], list[Check]]:
    if not place.unit:
        return {}, []
    try:
        shown = host.show_unit(place.unit)
        if (
            shown.get("ActiveState") == "failed"
        ):  # where it reached its start limit, only its socket says so (systemd 252)
            socket = host.show_unit(place.unit.replace(".service", ".socket"))
            if socket.get("Result") == "service-start-limit-hit":
                shown["Result"] = "start-limit-hit"
    except host.Unseen as exc:
        return {}, [Check("unit", UNKNOWN, f"cannot be seen: {exc}", "Run it on the host itself.")]
    is_down = shown.get("ActiveState") not in ("active", "reloading")
    return shown, list(judge_unit(place.unit, shown, host.read_log(place.unit) if is_down else []))


def judge_unit(unit: str, shown: dict[str, str], log: list[str]) -> Iterator[Check]:
    """What systemd says of the service."""
    state, result = shown.get("ActiveState", ""), shown.get("Result", "")
    last = f" Its log ends: {' | '.join(log[-3:])}" if log else ""
    if shown.get("LoadState") != "loaded":
        yield Check("unit", CRITICAL, f"DOWN: {unit} is {shown.get('LoadState') or 'not known to systemd'}",
                    "Run the collection for this host, or systemctl daemon-reload.")  # fmt: skip
        return
    if state in ("active", "reloading"):
        yield Check("unit", OK, f"{unit} runs (process {shown.get('MainPID')}, {shown.get('NRestarts')} restarts)")
    elif result == "start-limit-hit":
        yield Check("unit", CRITICAL, f"DOWN: {unit} failed so often that systemd gave up (start limit).{last}",
                    f"Mend the cause, then: systemctl reset-failed {unit} && systemctl start {unit}")  # fmt: skip
    elif state == "activating" and shown.get("SubState") != "auto-restart" and shown.get("NRestarts") == "0":
        yield Check("unit", CRITICAL, f"DOWN: {unit} is starting.{last}", "Wait for a minute.")
    elif state == "activating":
        yield Check("unit", CRITICAL, f"DOWN: {unit} starts and fails, again and again ({shown.get('NRestarts')} "
                    f"restarts).{last}", f"See journalctl -u {unit}.")  # fmt: skip
    elif state == "failed":
        why = {"oom-kill": "there was too little memory (MemoryMax=)", "watchdog": "it hung"}.get(result, result)
        yield Check("unit", CRITICAL, f"DOWN: {unit} failed: {why}, status {shown.get('ExecMainStatus')}.{last}",
                    f"See journalctl -u {unit}; then systemctl start {unit}.")  # fmt: skip
    else:
        yield Check("unit", CRITICAL, f"DOWN: {unit} is stopped ({state}): somebody stopped it, or it was never "
                    f"started.{last}", f"systemctl start {unit}")  # fmt: skip
    if shown.get("UnitFileState") not in ("enabled", "enabled-runtime", "static", "indirect", "generated"):
        yield Check("start", WARNING, f"{unit} is {shown.get('UnitFileState') or 'not enabled'}: after a reboot it is "
                    "down", f"systemctl enable {unit}")  # fmt: skip
    if shown.get("NeedDaemonReload") == "yes":
        yield Check("unit file", WARNING, f"the files of {unit} have changed since systemd read them",
                    "systemctl daemon-reload; what changed counts from the next restart on.")  # fmt: skip
    used, most = shown.get("MemoryCurrent", ""), shown.get("MemoryMax", "")
    if used.isdigit() and most.isdigit() and int(used) > 0.9 * int(most):
        yield Check("memory", WARNING, f"{int(used) >> 20} MB of {int(most) >> 20} (MemoryMax=) are taken: beyond it "
                    "the kernel ends the server", "Raise the limits, or lower limits.connections.")  # fmt: skip


# --- the process --------------------------------------------------------------------------------


def _examine_listeners(config: Config, pid: int, unit: str) -> Iterator[Check]:
    found = host.find_listeners(config.server.port)
    for one in found:
        if unit and one.pid != pid and host.is_of_unit(one.pid, unit):  # it has started since it was looked at
            pid = one.pid
    socket, shown = unit.removesuffix(".service") + ".socket", dict[str, str]()
    with contextlib.suppress(host.Unseen):  # which is said of the service
        shown = host.show_unit(socket) if unit else {}
    is_held = shown.get("ActiveState") == "active"
    waits = socket if is_held and any(one.pid == host.SYSTEMD for one in found) else ""
    yield from judge_listeners(config, found, pid, unit, waits)
    if pid and shown.get("LoadState") == "loaded" and not is_held:
        yield Check("port", WARNING, f"{socket} was stopped, or does not listen: the next restart refuses newcomers",
                    f"systemctl restart {unit}, which starts it, too.")  # fmt: skip


def judge_listeners(
    config: Config, found: list[host.Listener], pid: int, unit: str, waits: str = ""
) -> Iterator[Check]:
    """Whether the server's port is its own. ``pid``: of the unit's process; 0: it has none, or there is no unit.
    ``waits``: the socket unit for which systemd has the port; "" for none."""
    port, wanted = config.server.port, ipaddress.ip_address(config.server.address)
    ours = [one for one in found if _covers(one.address, wanted)]
    if not ours:
        others = f"; {', '.join(one.address for one in found)} only" if found else ""
        yield Check("listening", CRITICAL, f"DOWN: nobody listens on {wanted} port {port}{others}",
                    f"See {unit or 'the log of the server'}: why does it not run?")  # fmt: skip
        return
    one = ours[0]
    if one.pid == host.SYSTEMD and waits:
        yield Check("listening", CRITICAL, f"DOWN: {waits} listens on {one.address} port {port}, and no server "
                    "accepts: newcomers wait for one", f"See {unit}: it starts, stops, or fails.")  # fmt: skip
    elif (one.pid and pid and one.pid != pid) or (unit and one.pid and not pid):
        yield Check("listening", CRITICAL, f"port {port} is taken by {one.program} (process {one.pid}), which is not "
                    f"{unit}", "Stop that, or give the server another port.")  # fmt: skip
    elif one.pid:
        yield Check("listening", OK, f"{one.program} (process {one.pid}) listens on {one.address} port {port}")
    else:
        yield Check("listening", UNKNOWN if unit else OK, f"somebody listens on {one.address} port {port}; whose "
                    "process it is can be seen by root only")  # fmt: skip


def _covers(address: str, wanted: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    found = ipaddress.ip_address(address)
    if found == wanted or (wanted.is_unspecified and found.version <= wanted.version):
        return True
    return found.is_unspecified and found.version in (wanted.version, 6)


def judge_answers(health: host.Answer, ready: host.Answer) -> Iterator[Check]:
    """What ``/healthz`` and ``/readyz`` say."""
    if not health.status:
        yield Check("readiness", CRITICAL, f"DOWN: /healthz: {health.fault}", "See the log of the server.")
        return
    if health.status != 200 or "version" not in health.body:
        yield Check("readiness", CRITICAL, f"what listens there is no RTC server: /healthz is answered {health.status}",
                    "See who has the port: ss -tlnp")  # fmt: skip
        return
    version, reason = health.body["version"], ready.body.get("reason")
    if version != __version__:
        yield Check("release", WARNING, f"release {version} runs, and {__version__} is installed",
                    "Restart the server: clients come back by themselves.")  # fmt: skip
    if ready.status == 200:
        yield Check("readiness", OK, f"release {version} takes changes")
    elif reason == "draining":
        yield Check("readiness", WARNING, "the server is being stopped", "Wait for a minute.")
    else:
        what = {"disk": "the disk is nearly full", "journal": "the journal or store cannot be written"}
        why = what.get(str(reason)) or ready.fault or ready.status
        yield Check("readiness", CRITICAL, f"no changes are taken: {why}",
                    "The log of the server has the cause.")  # fmt: skip


def judge_outcome(config: Config, outcome: Outcome | None, pid: int) -> Iterator[Check]:
    """Whether the process has the configuration that is in the file."""
    if outcome is None or not pid or outcome.pid != pid:
        return
    if outcome.refused:
        yield Check("configuration in force", WARNING, f"the latest reload was refused: {outcome.refused}",
                    "Mend the configuration, then systemctl reload; or restart for what needs that.")  # fmt: skip
    elif outcome.digest != config.digest:
        then = time.strftime("%Y-%m-%d %H:%M", time.localtime(outcome.at))
        yield Check("configuration in force", WARNING, f"{config.file} has changed since the server read it ({then})",
                    "systemctl reload, which fails if it takes a restart.")  # fmt: skip
    else:
        yield Check("configuration in force", OK, "the server runs with what is in the file")


def judge_descriptors(config: Config, most: int) -> Iterator[Check]:
    """Whether the process may open what its limits promise."""
    needed = needed_descriptors(_DESCRIPTORS, config.limits.connections, config.limits.pending)
    if most < needed:
        yield Check("files", WARNING, f"the server may open {most} files, and its limits need {needed}: fewer clients "
                    "than configured can connect", "Raise LimitNOFILE=, or lower limits.connections.")  # fmt: skip
    else:
        yield Check("files", OK, f"the server may open {most} files")


# --- what it needs ------------------------------------------------------------------------------


def _require_sight(error: ConfigError) -> None:
    """What only root may read is unknown to others. Raises Unseen."""
    if os.geteuid() != 0 and os.strerror(errno.EACCES) in str(error):
        raise host.Unseen("; ".join(error.complaints))


def _examine_keys(config: Config) -> Iterator[Check]:
    from .app import make_tokens

    try:
        make_tokens(config)
    except ConfigError as exc:
        _require_sight(exc)
        yield from (Check("keys", CRITICAL, text, "Without it the server does not start.") for text in exc.complaints)
    else:
        yield Check("keys", OK, "the keys of tokens can be used")


def _examine_certificate(config: Config, place: Place, presented: bytes) -> Iterator[Check]:
    from .app import make_tls_context

    if not config.tls.certificate:
        return
    try:
        make_tls_context(config.tls)
    except ConfigError as exc:
        _require_sight(exc)
        yield Check("certificate", CRITICAL, f"certificate and key cannot be used, or do not belong together: {exc}",
                    "Put the right pair there: the server does not start with this one.")  # fmt: skip
    found = host.read_certificates(config.tls.certificate)
    yield from judge_certificates(found, config.server.name, host.read_clock(), place.days)
    if presented and presented != found[0].der:
        yield Check("certificate in force", WARNING, "the server presents another certificate than that of the file",
                    "systemctl reload")  # fmt: skip


def judge_certificates(found: list[host.Certificate], name: str, now: float, days: float) -> Iterator[Check]:
    """Dates of all of a chain, names of its first."""
    renew = "Renew it, then systemctl reload: nobody is disconnected."
    for number, one in enumerate(found):
        what = f"the certificate {one.subject!r}" + (" of the chain" if number else "")
        end = time.strftime("%Y-%m-%d", time.gmtime(one.ends))
        if now >= one.ends:
            yield Check("certificate", CRITICAL, f"{what} expired on {end}", renew)
        elif now < one.begins:
            begin = time.strftime("%Y-%m-%d", time.gmtime(one.begins))
            yield Check("certificate", CRITICAL, f"{what} is valid from {begin} on only", "Is the clock right?")
        elif one.ends - now < days * _DAY:
            left = f"in {(one.ends - now) / _DAY:.0f} days"
            yield Check("certificate", WARNING, f"{what} expires on {end}, {left}", renew)
        else:
            yield Check("certificate", OK, f"{what} is valid until {end}")
    names = found[0].names
    if name and not any(_matches(pattern, name) for pattern in names):
        is_for = ", ".join(names) or "no name (subjectAltName), which browsers and Java ask for"
        yield Check("certificate", CRITICAL, f"the certificate is not for {name}: it is for {is_for}",
                    "Get one with the name that users type.")  # fmt: skip


def _matches(pattern: str, name: str) -> bool:
    """RFC 6125 section 6.4: a wildcard is the whole first label."""
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if pattern.startswith("*."):
        return "." in name and name.partition(".")[2] == pattern[2:]
    try:
        return ipaddress.ip_address(pattern) == ipaddress.ip_address(name)
    except ValueError:
        return pattern == name


def _examine_journal(config: Config) -> Iterator[Check]:
    if config.journal.store_url:
        from .app import look_at_store

        yield from judge_store(look_at_store(config) or {})
        return
    path = os.path.realpath(config.journal.path)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "Not a regular file", path)
            head = file.read(16)
    except FileNotFoundError:
        yield Check("journal", WARNING, f"{path} is missing: the server makes an empty one when it starts",
                    "If there was one, restore it from a backup before the start.")  # fmt: skip
    except OSError as exc:
        if exc.errno == errno.EACCES and os.geteuid() != 0:
            raise host.Unseen(f"{path}: {exc.strerror}") from exc
        yield Check("journal", CRITICAL, f"{path} cannot be read: {exc.strerror}", "Name a file in journal.path.")
    else:
        if head not in (b"SQLite format 3\0", b""):
            yield Check("journal", CRITICAL, f"{path} is no journal, or is damaged",
                        "Stop the server, then rtc-server repair, or restore a backup.")  # fmt: skip
        else:
            yield Check("journal", OK, f"{path}, {os.path.getsize(path) >> 20} MB")


def judge_store(found: dict[str, object]) -> Iterator[Check]:
    """What the store was found to be."""
    if found.get("fault"):
        yield Check("store", CRITICAL, str(found["fault"]), "Until it is reached, no changes are taken.")
        return
    yield Check("store", OK, "the store is reached and takes writes")
    risks = found.get("risks")
    for risk in risks.values() if isinstance(risks, dict) else ():
        yield Check("store", WARNING, str(risk))


def _examine_disk(config: Config) -> Iterator[Check]:
    if config.journal.path:
        directory = os.path.dirname(os.path.realpath(config.journal.path))
        yield from judge_disk(host.look_at_disk(directory), directory, config.limits.reserve_bytes)


def judge_disk(disk: host.Disk, directory: str, reserve: int) -> Iterator[Check]:
    """As the server does: of a small file system a tenth is reserved."""
    least = min(reserve, disk.total // 10)
    text = f"{directory} has {disk.free >> 20} MB free; with less than {least >> 20} MB no changes are taken"
    remedy = "Free some space, or give the file system more; snapshots of clients let old changes go."
    if disk.free < max(least, 1 << 20):
        yield Check("disk", CRITICAL, text, remedy)
    elif disk.free < 2 * least:
        yield Check("disk", WARNING, text, remedy)
    elif 0 <= disk.files < _RESERVED_FILES:
        yield Check("disk", CRITICAL, f"{directory}: its file system has room for {disk.files} more files", remedy)
    else:
        yield Check("disk", OK, text)


def judge_clock(now: float, is_synchronized: Callable[[], bool]) -> Iterator[Check]:
    """Tokens and certificates are valid by the clock."""
    if now < _BORN:
        yield Check("clock", CRITICAL, "the clock was never set: tokens and certificates are refused", "Set it (NTP).")
    elif not is_synchronized():
        yield Check("clock", WARNING, "the clock is not synchronized: once it is off by more than token.leeway, tokens "
                    "are refused", "Run chrony, or systemd-timesyncd.")  # fmt: skip
    else:
        yield Check("clock", OK, "the clock is synchronized")


# --- the answer ---------------------------------------------------------------------------------


def find_worst(checks: list[Check]) -> int:
    """The state of all, which is the exit status."""
    return max((check.state for check in checks), key=_WORSE.index, default=UNKNOWN)


def format_text(name: str, checks: list[Check]) -> str:
    """One line for a monitoring system, then one for each check, the worst first."""
    ordered = sorted(checks, key=lambda check: -_WORSE.index(check.state))
    state = find_worst(checks)
    first = ordered[0].text.removeprefix(f"{name}: ") if ordered and state != OK else f"{len(checks)} checks"
    lines = [f"RTC {WORDS[state].upper()} - {name}: {_flatten(first)}"]
    for check in ordered:
        lines.append(f"[{WORDS[check.state]}] {check.name}: {_flatten(check.text)}")
        if check.remedy:
            lines.append(f"    {_flatten(check.remedy)}")
    return "\n".join(lines)


def format_json(name: str, checks: list[Check]) -> str:
    """The same for programs."""
    state = find_worst(checks)
    found = [{**asdict(check), "state": WORDS[check.state]} for check in checks]
    return json.dumps({"name": name, "status": state, "state": WORDS[state], "version": __version__, "checks": found})


def _flatten(text: str) -> str:
    """In one line; "|" begins performance data for Nagios, and what came from elsewhere may have control characters."""
    return "".join(c if c.isprintable() else " " for c in text.replace("|", "/"))
