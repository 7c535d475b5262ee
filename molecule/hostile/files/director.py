# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host, as root: sets the scene, lets attackers loose as other users, counts what came of it.

    director.py scene          users, owners, planted secrets, fake programs, canaries
    director.py start ROUND   attackers of the round; they live until "stop"
    director.py stop          ends them, and puts back what they moved
    director.py between NAME  what a run user does between two runs
    director.py report        the figures as JSON

Attackers are children of whoever logged in, as a local user's processes are: not of a unit, which would lend them
a name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import attackers
from places import BASE, CONFLUENCE, COUNTS, DROP, HOME, JIRA, JIRA_HOME, PIDS, SAMPLES, STATE, owner
from scene import edit, scene
from watch import Sampler, in_logs, readable_by

SPARE = ".spare"
# Kinds that the random exchanges go through.
KINDS = ("link", "fifo", "link to a device", "sparse", "directory", "socket", "hard link")

# Attackers.


def loose(user: str, name: str, attacker, namespace: bool = False) -> None:
    """Start an attacker as a user, for good; what it counted is written when it ends."""
    if os.fork():
        return
    os.setsid()
    supervisor = os.getpid()
    with pid_file(name in ("sampler", "watcher")).open("a", encoding="ascii") as file:
        file.write(f"{supervisor}\n")
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    worker = os.fork()
    if worker == 0:
        if namespace:
            attackers._LIBC.unshare(0x00020000)  # CLONE_NEWNS: where the real path is his own directory
            attackers._LIBC.mount(b"none", b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE
            attackers._LIBC.mount(b"/home/mallory/confluence", os.fsencode(CONFLUENCE), None, 0x1000, None)  # MS_BIND
        if user != "root":
            attackers.become(*owner(user))
        status = 1
        try:
            attacker()
            status = 0
        finally:
            os._exit(status)
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(worker, signal.SIGTERM))
    status = os.waitpid(worker, 0)[1]
    count = attacker.counter.value if hasattr(attacker, "counter") else 1
    with COUNTS.open("a", encoding="ascii") as file:
        file.write(json.dumps({"name": name, "user": user, "tried": count, "status": status}) + "\n")
    os._exit(0)


def pid_file(always: bool) -> Path:
    return PIDS.with_suffix(".always") if always else PIDS


def bait(swap: attackers.Swap, user: str) -> bool:
    """Make the bait as its user would. Says what the kernel does not let him make."""
    keep(Path(swap.path))
    kind = swap.bait.replace(" ", "-")
    swap.spare = os.path.join(os.path.dirname(swap.path), f".{os.path.basename(swap.path)}.{kind}{SPARE}")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            attackers.become(*owner(user))
            swap.prepare()
            status = 0
        except attackers.NoBait as exc:
            print(f"{user} cannot make it: {exc}", flush=True)
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def swap_kinds(user: str, path: str, victim: str, kinds: tuple[str, ...], hold: float, rest: float) -> None:
    """Exchange a file with every kind of bait that the user can make, one after the other."""
    swaps = [attackers.Swap(path, victim, kind) for kind in kinds]
    swaps = [one for one in swaps if bait(one, user)]
    loose(user, f"swap {path}", attackers.Swapper(swaps, hold, rest, in_turn=True))


def snipe(user: str, path: str, victim: str, bursts: tuple[int, ...] | None) -> None:
    one = attackers.Swap(path, victim)
    if bait(one, user):
        loose(user, f"snipe {path}", attackers.Sniper(one, bursts))


def keep(path: Path) -> None:
    """A copy of what an attack may lose, for the next round."""
    copy = STATE / "kept" / str(path).replace("/", "_")
    copy.parent.mkdir(mode=0o700, exist_ok=True)
    # Not what an attack has put there: more names of root's file, or what it grew to.
    if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1 and path.stat().st_size < 1 << 24:
        shutil.copy2(path, copy)
        shutil.chown(copy, *owner(path.owner()))


def give_back() -> None:
    """Where an attacker has lost a file that he exchanged, the copy."""
    for copy in (STATE / "kept").glob("_opt_*"):
        path = Path(copy.name.replace("_", "/"))
        if os.path.realpath(path.parent) == str(path.parent) and (path.is_symlink() or not path.is_file()):
            attackers.remove(str(path))
            shutil.copy2(copy, path)
            os.chown(path, copy.stat().st_uid, copy.stat().st_gid)


def impostors() -> None:
    """Processes that call themselves Tomcat; all newer than the real ones."""
    line = attackers.command_line
    evil = str(HOME / "evil/bin/jvm")
    java = str(HOME / "evil/bin/java")
    real = str(CONFLUENCE / "jre/bin/java")
    environment = {"JAVA_HOME": str(HOME / "evil"), "JRE_HOME": str(HOME / "evil")}
    confluence, jira = str(CONFLUENCE), str(JIRA)
    shown = [
        ("mallory", evil, line(java, confluence)),
        ("mallory", evil, line(java, jira)),
        ("mallory", "/tmp/evil/bin/jvm", line("/tmp/evil/bin/java", confluence)),
        ("mallory", evil, line(java, str(HOME / "confluence"))),
        ("mallory", evil, line(java, "/tmp/atlassian-jira")),
        (
            "mallory",
            evil,
            line(java, confluence, b"-Djavax.net.ssl.trustStore=/home/mallory/evil/lib/security/cacerts"),
        ),
        ("mallory", evil, line(java, confluence, b"-Dconfluence.home=/home/mallory")),
        ("mallory", evil, line(java, jira + "/../jira//")),
        ("mallory", evil, line(java, confluence, b"-Dx=" + b"A" * 100_000)),
        ("mallory", evil, line(java, confluence, b"-Dx=\xff\xfe\n\x1b[2J")),
        ("mallory", evil, [b"-", b"-Dcatalina.base=" + os.fsencode(jira), attackers.TOMCAT, b"start"]),
        ("mallory", evil, [os.fsencode(java), b"-Dcatalina.base=.", attackers.TOMCAT, b"start"]),
        ("mallory", evil, [os.fsencode(java), b"-Dcatalina.base=", attackers.TOMCAT]),
        ("nobody", real, line(java, confluence)),
        ("nobody", real, line(java, jira)),
        ("jira", "/home/jira/evil/bin/jvm", line("/home/jira/evil/bin/java", confluence)),
        ("confluence", "/tmp/evil/bin/jvm", line("/tmp/evil/bin/java", confluence)),
        ("jira", "/home/jira/evil/bin/jvm", line("/home/jira/evil/bin/java", jira)),
    ]
    for number, (user, executable, arguments) in enumerate(shown):

        def act(executable=executable, arguments=arguments):
            attackers.impersonate(executable, arguments, environment)

        loose(user, f"impostor {number}", act)
    loose(
        "mallory",
        "impostor in a namespace",
        lambda: attackers.impersonate(evil, line(java, confluence), environment),
        True,
    )


# What each round has.


def start(name: str, secrets: dict[str, str]) -> None:
    xml, jira_xml = str(CONFLUENCE / "conf/server.xml"), str(JIRA / "conf/server.xml")
    cacerts, setenv = str(JIRA / "jre/lib/security/cacerts"), str(JIRA / "bin/setenv.sh")
    rare = (0.001, 0.12)  # the run must get as far as its writing: most of the time all is in order
    if name == "always":
        loose("mallory", "sampler", Sampler(secrets, False))
        loose("root", "watcher", Sampler(secrets, True))
    elif name == "first":
        impostors()
        snipe("confluence", xml, "/etc/hostile-shadow", (2,))
        snipe("jira", jira_xml, "/root/canary", (2, 3))
        snipe("jira", setenv, "/etc/profile.d/setenv.sh", (2,))
        snipe("jira", cacerts, "/etc/cron.d/cacerts", (2,))
        planters()
    elif name == "again":
        swap_kinds("confluence", xml, "/root/canary", KINDS, *rare)
        snipe("jira", jira_xml, "/root/canary", (2, 3))
        snipe("jira", setenv, "/etc/profile.d/setenv.sh", (2,))
        snipe("jira", str(JIRA_HOME / "truststore"), "/etc/cron.d/truststore", (2,))
        swap_kinds("jira", cacerts, "/etc/cron.d/cacerts", ("link",), *rare)
        planters()
    elif name == "check":
        impostors()
        swap_kinds("confluence", xml, "/root/canary", ("link", "fifo"), *rare)
        swap_kinds("jira", str(JIRA / "conf/keystore.jks"), "/root/canary", ("link", "fifo", "sparse"), *rare)
        subprocess.run(["mount", "-o", "remount,hidepid=2", "/proc"], check=False)
    elif name == "rollback":
        impostors()
        planters()
        snipe("confluence", xml, "/root/canary", None)


def planters() -> None:
    for user, folder, names, victim in (
        ("confluence", CONFLUENCE / "conf", ("server.xml",), "/root/canary"),
        ("jira", JIRA / "conf", ("server.xml",), "/root/canary"),
        ("jira", JIRA / "bin", ("setenv.sh",), "/etc/profile.d/setenv.sh"),
        ("jira", JIRA / "jre/lib/security", ("cacerts",), "/etc/cron.d/cacerts"),
    ):
        paths = [str(folder / pattern.format(name)) for name in names for pattern in (".{}.rtc-undo", ".{}.new", "{}~")]
        backups = [str(folder / name) for name in names]
        loose(user, f"planter {folder}", attackers.Planter(paths, victim, backups))


def stop(always: bool = False) -> None:
    kept = pid_file(always)
    pids = [int(line) for line in kept.read_text(encoding="ascii").split()] if kept.exists() else []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    kept.unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,hidepid=0", "/proc"], check=False)
    for folder in (CONFLUENCE / "conf", JIRA / "conf", JIRA / "bin", JIRA / "jre/lib/security"):
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if path.name.endswith(SPARE):
                    attackers.remove(str(path))
    give_back()


def between(name: str) -> None:
    """What a run user does between two runs, to himself."""
    if name == "provoke":  # so that the next run has something to write
        for product in (CONFLUENCE, JIRA):
            edit(product / "conf/server.xml", lambda text: text.replace('.lab.test"', '.example.com"'))
        edit(JIRA / "bin/setenv.sh", lambda text: text.replace("jira/truststore", "jira/other"))
    elif name == "links":  # P2.2
        for folder, target in ((JIRA / "bin", "/etc/profile.d"), (JIRA / "conf", "/etc/profile.d"),
                               (JIRA / "jre/lib/security", "/etc/cron.d")):  # fmt: skip
            folder.rename(folder.with_name(folder.name + ".away"))
            folder.symlink_to(target)
            os.chown(folder, *owner("jira"), follow_symlinks=False)
    elif name == "no links":
        for folder in (JIRA / "bin", JIRA / "conf", JIRA / "jre/lib/security"):
            attackers.remove(str(folder)) if folder.is_symlink() else None
            folder.with_name(folder.name + ".away").rename(folder)
    elif name == "fifo":
        keep(JIRA / "conf/server.xml")
        attackers.remove(str(JIRA / "conf/server.xml"))
        os.mkfifo(JIRA / "conf/server.xml")
        os.chown(JIRA / "conf/server.xml", *owner("jira"))
    elif name == "no fifo":
        give_back()
    with COUNTS.open("a", encoding="ascii") as file:
        file.write(json.dumps({"name": f"between {name}", "user": "jira", "tried": 1, "status": 0}) + "\n")


# The figures.


def report(secrets: dict[str, str]) -> dict[str, object]:
    base = json.loads(BASE.read_text(encoding="ascii"))
    touched = [path for path, before in base.items() if attackers.fingerprint(path) != before]
    counts = [json.loads(line) for line in COUNTS.read_text(encoding="ascii").splitlines()]
    samples = [json.loads(line) for line in SAMPLES.read_text(encoding="ascii").splitlines()]
    of_root = {"canary": secrets["canary"]}
    # A run user reads his own files, those that an administrator wrote secrets into; not root's.
    found = [
        *[f"{one['secret']} in {one['where']}" for one in samples],
        *in_logs(secrets),
        *readable_by("mallory", secrets, ("/opt/atlassian/", "/home/mallory/confluence/", "/home/mallory/jira-old")),
        *readable_by("jira", of_root, ()),
        *readable_by("confluence", of_root, ()),
    ]
    left = [str(path) for place in ("/home/admin/.ansible/tmp", "/root/.ansible/tmp") for path in Path(place).glob("*")]
    attempts = [one for one in counts if one["name"] not in ("sampler", "watcher")]
    return {
        "tried": sum(one["tried"] for one in attempts),
        "samples": sum(one["tried"] for one in counts if one not in attempts),
        "attackers": [f"{one['name']}: {one['tried']}" for one in attempts],
        "failed": [one["name"] for one in counts if one["status"] not in (0, 15)],
        "touched": touched,
        "ran": attackers.ran_as_root(str(DROP)),
        "secrets": found,
        "left": left,
    }


def secrets() -> dict[str, str]:
    """Those that were planted; the file is root's alone."""
    return json.loads(Path("/usr/local/lib/hostile/secrets.json").read_text(encoding="ascii"))


def main() -> None:
    verb, more = sys.argv[1], sys.argv[2:]
    if verb == "scene":
        scene(secrets())
    elif verb == "start":
        start(more[0], secrets())
    elif verb == "stop":
        stop(more == ["always"])
    elif verb == "between":
        between(more[0])
    elif verb == "kind":
        for path in more[1:]:
            kind(more[0], path)
    elif verb == "report":
        print(json.dumps(report(secrets())))


def kind(name: str, path: str) -> None:
    """Put one kind of thing in place of a file, or ("file") the file back."""
    keep(Path(path))
    attackers.remove(path)
    if name == "file":
        give_back()
    else:
        attackers.make_bait(name, path, "/root/canary")
    if name != "hard link":
        os.chown(path, *owner("jira"), follow_symlinks=False)
    with COUNTS.open("a", encoding="ascii") as file:
        file.write(json.dumps({"name": f"kind {name} {path}", "user": "jira", "tried": 1, "status": 0}) + "\n")


if __name__ == "__main__":
    main()
