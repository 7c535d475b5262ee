# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrade, break, renew, hang, fill and kill an RTC server under its users, and print how long they were away.

    table.py [--rows WORDS]    those whose name has one of the words
    table.py --list

RTC_UPGRADE=short is the short form: fewer users, and the rows that administrators see most. After each row everybody
is back, and every acknowledged change has to be in the journal once. "back" is how long one had to wait for an
acknowledgement, at most: 99 of 100 users, and the last. "turned away" are new sessions over connections that the
server had accepted before it drained: their clients come again at once. A ✗ is a row that is not so; the exit status
is 1 then.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
PATHS = (".build/src", "files/rtc_server/src", "tests", "tests/hosts", "tests/rtc_server")
sys.path[1:1] = [str(ROOT / path) for path in PATHS]

import acts  # noqa: E402
import people  # noqa: E402
import rtc_support  # noqa: E402
from acts import FRONT, LAB, NAME, URL, Act  # noqa: E402
from colleagues import Colleague, working  # noqa: E402
from scenario import Failed, resolve, wait_for  # noqa: E402

from rtc_server.journal import export_import  # noqa: E402

IS_SHORT = os.environ.get("RTC_UPGRADE") == "short"
NUMBER = int(os.environ.get("RTC_UPGRADE_USERS", "50" if IS_SHORT else "200"))
PEOPLE = "people"  # the project of those with the browsers' own library
PATIENCE = 120.0  # seconds until everybody has to be back
_TURNED_AWAY = (
    "Server is going away"  # to a request whose connection was accepted before the drain began; it comes again
)


@dataclass
class Done:
    """What came of a row."""

    act: Act
    lost: int = 0
    doubled: int = 0
    answers: dict[str, int] = field(default_factory=dict)  # to new sessions that were not opened, by reasons
    disconnected: int = 0
    back: list[float] = field(default_factory=list)  # of each, sorted
    seconds: float = 0.0
    said: str = ""
    problem: str = ""

    @property
    def refused(self) -> int:
        """New sessions that found nobody who serves."""
        return sum(self.answers.values()) - self.turned_away

    @property
    def turned_away(self) -> int:
        """New sessions whose connection the server had accepted before it drained."""
        return sum(count for why, count in self.answers.items() if _TURNED_AWAY in why)

    def judge(self) -> None:
        """The first of what is not as it has to be, unless there is a problem already."""
        wrong = {
            f"{self.lost} acknowledged changes are lost": self.lost,
            f"{self.doubled} changes are there twice": self.doubled,
            f"{self.disconnected} were disconnected": self.act.is_calm and self.disconnected,
            f"{self.refused} were refused": (self.act.is_calm or self.act.is_open) and self.refused,
            f"{self.turned_away} were turned away": self.act.is_calm and self.turned_away,
        }
        self.problem = self.problem or next((words for words, is_so in wrong.items() if is_so), "")


def read_journal() -> dict[str, list[str]]:
    """The ids of each project's changes, from a backup of this moment."""
    copy = LAB.out / "journal.db"
    copy.unlink(missing_ok=True)
    LAB.execute("wiki", f"rm -f /root/journal.db && {acts.server('backup')} /root/journal.db")
    subprocess.run(["podman", "cp", f"{LAB.container('wiki')}:/root/journal.db", copy], check=True, capture_output=True)
    names = [line.split("\t")[0] for line in LAB.execute("wiki", acts.server("list-projects")).splitlines()]
    lines = {name: map(json.loads, export_import.export_project(str(copy), name)) for name in names}
    return {name: [line["id"] for line in found if "data" in line] for name, found in lines.items()}


async def take(act: Act, team: list[Colleague], newcomer: Any, others: list[people.Person]) -> Done:
    """Let it happen while everybody works, and look what came of it."""
    done, began = Done(act), time.monotonic()
    for one in team:
        one.begin()
    for person in others:
        person.longest, person.last = 0.0, began
    newcomer.refused.clear()
    try:
        done.said = await asyncio.to_thread(act.do)
        done.seconds = time.monotonic() - began
        await wait_for_all([*team, *others])
    except (TimeoutError, Failed, subprocess.CalledProcessError) as exc:
        done.problem = str(exc).partition("\n")[0]  # of a run the rest is in its log
    done.answers = dict(newcomer.refused)
    for one in team:
        done.answers.update({why: done.answers.get(why, 0) + count for why, count in one.list_refused().items()})
    done.disconnected = sum(one.disconnected for one in team)
    done.back = sorted(one.longest for one in (*team, *others))
    told = [(one.project, dict(one.acknowledged)) for one in (*team, *others)]
    final = await asyncio.to_thread(read_journal)
    done.lost = sum(final[project][at - 1 : at] != [id] for project, ids in told for id, at in ids.items())
    done.doubled = sum(len(ids) - len(set(ids)) for ids in final.values())
    done.judge()
    return done


async def wait_for_all(everybody: list[Any]) -> None:
    """Until each has come, and got an answer from now on."""
    wanted = {one: len(one.acknowledged) for one in everybody}
    for one in everybody:
        if isinstance(one, Colleague):
            one.hurry.set()
    give_up = time.monotonic() + PATIENCE
    while late := [one for one in everybody if not has_come_back(one, wanted[one])]:
        dead = [str(one) for one in late if one.state.startswith("died")]
        if dead or time.monotonic() > give_up:
            raise TimeoutError("not there: " + "; ".join(dead or map(str, late[:5])))
        await asyncio.sleep(0.05)


def has_come_back(one: Any, acknowledged: int) -> bool:
    """Whether somebody has got an answer since, and waits for none; people write without a pause."""
    return len(one.acknowledged) > acknowledged and (isinstance(one, people.Person) or one.is_at_ease())


async def work(chosen: list[Act]) -> list[Done]:
    """Take the rows while everybody works; at the end all saw one order."""
    done: list[Done] = []
    async with contextlib.AsyncExitStack() as stack:
        team, newcomer = await stack.enter_async_context(working(URL, NUMBER))
        others: list[people.Person] = []
        if people.has_node:
            bearer, authority = rtc_support.token("js", ttl=7200), LAB.state / "pki/root.pem"
            some = people.People(URL, FRONT, f"https://{NAME}", bearer, PEOPLE, authority)
            others = (await stack.enter_async_context(some)).all
        await wait_for_all([*team, *others])
        for act in chosen:
            done.append(await take(act, team, newcomer, others))
            print(render(done[-1]), file=sys.stderr, flush=True)
            if done[-1].problem and not done[-1].said:
                break  # the hosts are in no state for another
    final = read_journal()
    if any(one.seen != final[one.project][: len(one.seen)] for one in (*team, *others)):
        done[-1].problem = done[-1].problem or "somebody saw another order"
    return done


def render(done: Done) -> str:
    """The row, what the run said, and what is wrong."""
    late = done.back[-(-99 * len(done.back) // 100) - 1]
    figures = f"{done.lost:4} {done.doubled:7} {done.refused:7} {done.turned_away:11} {done.disconnected:12}"
    figures += f" {late:7.1f} {done.back[-1]:7.1f} {done.seconds:6.0f}"
    row = f"{'✗' if done.problem else '✓'} {done.act.what:56} {figures}"
    reasons: dict[str, int] = {}
    for why, count in done.answers.items():
        short = " ".join(why.removeprefix("comes: ").split("<")[0].split())[:70]
        reasons[short] = reasons.get(short, 0) + count
    refused = ", ".join(f"{count} x {why}" for why, count in sorted(reasons.items(), key=lambda item: -item[1])[:4])
    lines = [row, f"    {textwrap.shorten(done.said, 400)}"] + [f"    refused: {refused}"] * bool(refused)
    return "\n".join([*lines, *([f"    ✗ {done.problem}"] if done.problem else [])])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", default=[], metavar="WORD")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    chosen = [act for act in acts.ACTS if not options.rows or any(word in act.what for word in options.rows)]
    chosen = [act for act in chosen if act.is_short or options.rows or not IS_SHORT]
    if options.list:
        print("\n".join(act.what for act in chosen))
        return 0
    LAB.out.mkdir(parents=True, exist_ok=True)
    resolve({NAME}, FRONT)
    acts.use_secret(acts.SECRET)
    if people.has_node:
        people.install()
    else:
        print("SKIPPED: node and npm are not on this machine, so that the browsers' library was not tried")
    began = time.monotonic()
    acts.play({})
    wait_for(acts.find_version, "the RTC server answers")
    print(f"the first run took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    rows = asyncio.run(work(chosen))
    wrong = sum(bool(row.problem) for row in rows) + (len(rows) < len(chosen))
    heading = "lost doubled refused turned away disconnected back:p99    last    run"
    print(f"{NUMBER} users, and {len(people.WAYS) * people.has_node} with the browsers' library\n  {'':56} {heading}")
    print("\n".join(map(render, rows)))
    print(f"{len(rows)} of {len(chosen)} rows, {wrong} with ✗")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
