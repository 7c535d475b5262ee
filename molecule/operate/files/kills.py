"""Kills of runs, rollbacks and uninstallations at moments all over them: each file is as before or as after, and once
more completes it.

Moments are spread over the time that the same work takes when nobody kills it, from its first change to its last.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from playing import HOSTS, OUT, RECORD, Cells, Row, Snapshot, execute, is_served, no_port, play, start, take_snapshot

KILLED = ("controller", "module", "connection")
CONNECTION = "pkill -9 -f '[B]ECOME-SUCCESS'"
COMMANDS = {"connection": CONNECTION, "module": f"pkill -9 -f '^/usr/bin/python3$' && {{ {CONNECTION}; true; }}"}
PORTS = (9083, 9085)
ROW = "kills"  # of all logs


@dataclass(frozen=True)
class Operation:
    """What is killed.

    :param begin: the play with its first change, and ``end`` the one that changes nothing any more.
    """

    name: str
    playbook: str
    begin: str
    end: str
    arguments: tuple[str, ...] = ()


APPLY = "PLAY [Behind proxies of other hosts, trust"
HALF = ("--limit", "wiki,front")  # the hosts of the site whose port changes
RUN = Operation("run", "site", APPLY, "PLAY [Detect again", (*HALF, "--skip-tags", "verify"))
ROLLBACK = Operation("rollback", "rollback", "PLAY [Undo", "PLAY [Verify what is there now", HALF)
UNINSTALL = Operation("uninstall", "uninstall", APPLY, "PLAY [Report", HALF)


@dataclass
class Tally:
    """What the kills of one operation came to."""

    points: int = 0
    between: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    changed_again: list[str] = field(default_factory=list)  # by repeating what was complete

    def to_cells(self, name: str) -> Cells:
        print(
            f"kills of {name}: points {self.points}, between = {len(self.between)}, not completed by the next ="
            f" {len(self.incomplete)}, changed once more = {len(self.changed_again)}"
        )
        found = (self.between, self.incomplete, self.changed_again)
        return [(True, ""), *((not one, "; ".join(one[:6])) for one in found), (True, "")]


class Reader(threading.Thread):
    """Follows what a playbook prints: its plays and tasks from a certain play on, and when they began."""

    def __init__(self, process: subprocess.Popen[str], begin: str) -> None:
        super().__init__(daemon=True)  # a connection that is kept open may hold the pipe
        self.process, self.begin = process, begin
        self.changed = threading.Condition()
        self.headings: list[tuple[float, str]] = []
        self.ended = False
        self.start()

    def run(self) -> None:
        with (OUT / f"killed-{self.process.pid}.log").open("w") as log:
            for line in self.process.stdout or ():
                log.write(line)
                log.flush()
                if re.match(r"(PLAY|TASK|RUNNING HANDLER) \[", line):
                    self.note(line.strip(" *\n"))
        with self.changed:
            self.ended = True
            self.changed.notify()

    def note(self, heading: str) -> None:
        with self.changed:
            if self.headings or heading.startswith(self.begin):
                self.headings.append((time.monotonic(), heading))
                self.changed.notify()

    def wait(self, number: int) -> None:
        """Wait for so many headings, or the end."""
        with self.changed:
            self.changed.wait_for(lambda: self.ended or len(self.headings) >= number)


def measure(operation: Operation, row: Row) -> list[float]:
    """Do all of it; after how many seconds from its first change on each play and task began, to the last change."""
    process = start(operation.playbook, row, *operation.arguments)
    reader = Reader(process, operation.begin)
    status = process.wait()
    reader.join(10)
    last = next((n for n, (_when, text) in enumerate(reader.headings) if text.startswith(operation.end)), 0)
    if status != 0 or not last:
        raise SystemExit(f"The {operation.name} that is to be measured ended with {status}.")
    return [when - reader.headings[0][0] for when, _text in reader.headings[: last + 1]]


def start_and_kill(operation: Operation, row: Row, number: int, delay: float, what: str) -> str:
    """Start it, and kill, so many seconds after the play or task of that number began, the "controller", the "module"
    that runs on each host, or its "connection" alone, so that it goes on and nobody knows. Returns where that was; ""
    where all was over before."""
    process = start(operation.playbook, row, *operation.arguments)
    reader = Reader(process, operation.begin)
    reader.wait(number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    if what == "controller":
        is_hit = process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:  # between two tasks there is nothing to kill
        is_hit = False
        while not is_hit and process.poll() is None:
            is_hit = 0 in [execute(host, COMMANDS[what], False)[0] for host in ("wiki", "front")]
    where = f"{reader.headings[-1][1]}, killed-{process.pid}.log" if is_hit else ""
    process.wait()
    return where


def spread(operation: Operation, row: Row, times: list[float], count: int, number: int, tally: Tally) -> str:
    """Make the kill of that count; its name.

    :param times: that were measured. A kill comes in the same task, however slow the machine is by now.
    """
    what = KILLED[count % len(KILLED)]
    moment = times[-1] * (count + 0.5) / number
    begun = bisect.bisect_right(times, moment)
    where = start_and_kill(operation, row, begun, moment - times[begun - 1], what)
    tally.points += bool(where)
    name = f"kill {count} ({what}, {where or 'too late'})"
    print(f"{operation.name}: {name}", file=sys.stderr, flush=True)
    return name


def make_row(port: int) -> Row:
    return Row(ROW, {"wiki": {"rtc_port": port}})


def bring(port: int, *arguments: str) -> Snapshot:
    """Have the site at a port, as a run leaves it; whether it is served is seen after the kill."""
    play("site", make_row(port), "--skip-tags", "verify", *arguments)
    return take_snapshot()


def find_between(allowed: list[Snapshot], name: str) -> list[str]:
    """Files that are neither as before nor as after, those that must not be there among them."""
    now = take_snapshot()
    found = []
    for host in HOSTS:
        every = [one[host] for one in allowed]
        found += [f"{name}: {host} {line}" for line in sorted(now[host] - set.union(*every))]
        found += [f"{name}: {host} lacks {line}" for line in sorted(set.intersection(*every) - now[host])]
    return found


def is_at(port: int) -> bool:
    """Whether proxy and RTC server of the site listen on that port, and not on the other one."""
    words = " && ".join(no_port(one) for one in PORTS if one != port) + f" && ss -ltn | grep -q ':{port} '"
    return all(execute(host, words, False)[0] == 0 for host in ("front", "wiki"))


def repeat(operation: Operation, row: Row, state: Snapshot, name: str) -> list[str]:
    """Do once more what is complete: it has to succeed, and to change nothing."""
    status, output, _report = play(operation.playbook, row, *operation.arguments)
    changed = re.findall(r"^(\S+) .*changed=[1-9]", output, re.MULTILINE)
    other = [host for host in HOSTS if take_snapshot()[host] != state[host]]
    if status == 0 and not changed and not other:
        return []
    return [f"{name}: once more ended with {status}, and changed {', '.join({*changed, *other}) or 'nothing'}"]


def kill_runs(number: int) -> Cells:
    """Change a port forth and back, and kill each run at another moment."""
    tally = Tally()
    states = [bring(PORTS[0], *HALF)]
    times = measure(RUN, make_row(PORTS[1]))
    states.append(take_snapshot())
    for count in range(number):
        target = count % 2  # the hosts are at the other one
        name = spread(RUN, make_row(PORTS[target]), times, count, number, tally)
        tally.between += find_between(states, name)
        status, _output, report = play("site", make_row(PORTS[target]), *HALF)
        if status != 0 or not is_served(f"wiki.lab.test:{PORTS[target]}", report) or take_snapshot() != states[target]:
            tally.incomplete.append(f"{name}: the next run ended with {status}")
    bring(PORTS[0])
    return tally.to_cells(RUN.name)


def kill_rollbacks(number: int) -> Cells:
    """Change a port, and kill the rollback of that run."""
    tally = Tally()
    old, new = map(make_row, PORTS)
    before, after = (bring(port, *HALF) for port in PORTS)
    times = measure(ROLLBACK, new)
    for count in range(number):
        bring(PORTS[1], *HALF)
        name = spread(ROLLBACK, new, times, count, number, tally)
        tally.between += find_between([before, after], name)
        status, output, _report = play("rollback", new, *HALF)
        verified = play("verify", old, *HALF)[0] if "checks passed" not in output else 0
        if status != 0 or verified != 0 or not is_at(PORTS[0]) or take_snapshot() != before:
            tally.incomplete.append(f"{name}: the next rollback ended with {status}, checks with {verified}")
        tally.changed_again += repeat(ROLLBACK, new, before, name)
    bring(PORTS[0])
    return tally.to_cells(ROLLBACK.name)


def kill_uninstallations(number: int) -> Cells:
    """Kill uninstallations of one site; the next one leaves nothing of it, and the other site is served on."""
    done = {"wiki": f"! test -e {RECORD} && ! test -e /opt/rtc-server && {no_port(PORTS[0])}"}
    done["front"] = f"{no_port(PORTS[0])} && ss -ltn | grep -q ':9093 '"
    tally = Tally()
    row = make_row(PORTS[0])
    times = measure(UNINSTALL, row)
    gone = take_snapshot()
    for count in range(number):
        installed = bring(PORTS[0], *HALF)  # with a secret of its own each time
        name = spread(UNINSTALL, row, times, count, number, tally)
        tally.between += find_between([installed, gone], name)
        status, _output, _report = play("uninstall", row, *HALF)
        left = find_between([gone], name)
        left += [f"{host}: {words}" for host, words in done.items() if execute(host, words, False)[0] != 0]
        if status != 0 or left:
            tally.incomplete.append(f"{name}: the next uninstallation ended with {status}, left: {', '.join(left[:4])}")
        tally.changed_again += repeat(UNINSTALL, row, gone, name)
    bring(PORTS[0])
    return tally.to_cells(UNINSTALL.name)


def list_tries(number: int) -> list[tuple[str, int, Callable[[], Cells]]]:
    """What is killed, how often, and the function that does it."""
    functions = {RUN: kill_runs, ROLLBACK: kill_rollbacks, UNINSTALL: kill_uninstallations}
    share = -(-number // len(functions))
    return [(one.name, share, functools.partial(function, share)) for one, function in functions.items() if share]
