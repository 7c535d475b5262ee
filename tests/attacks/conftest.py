# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root's code under attack by another user, in this process and on this machine. Needs root and Linux."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from pathlib import Path

import pytest
from attacks import attackers

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

MALLORY = 65534  # nobody: owns nothing
SECRET = "of-root-alone-5f3a91"
BOUND = 5.0  # seconds that one call may take, whatever it is given

_totals = {"attacks tried": 0, "files of root touched": 0, "programs of others run as root": 0, "secrets found": 0}


def pytest_collection_modifyitems(items):
    reason = ""
    if os.geteuid() != 0:
        reason = "needs root, who is attacked"
    elif sys.platform != "linux":
        reason = "needs Linux"
    for item in items:
        if reason and str(item.path).startswith(str(Path(__file__).parent)):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter):
    if _totals["attacks tried"]:
        terminalreporter.write_line(", ".join(f"{name} {number}" for name, number in _totals.items()))


class Slow(Exception):
    """A call did not end in time."""


@contextlib.contextmanager
def bounded(seconds=BOUND):
    """Raise :class:`Slow` in here after these seconds, out of a system call that waits too."""

    def ring(number, frame):
        raise Slow(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Arena:
    """Directories of root and of Mallory, canaries, attackers, and what came of the calls."""

    def __init__(self, root):
        self.root = Path(root)
        self.home = self.root / "home"  # Mallory's
        self.vault = self.root / "vault"  # root's, full of canaries
        self.undo = self.root / "undo"  # root's alone
        self.drop = self.root / "drop"
        for folder, mode in ((self.home, 0o755), (self.vault, 0o755), (self.undo, 0o700), (self.drop, 0o1777)):
            folder.mkdir()
            folder.chmod(mode)
        os.chown(self.home, MALLORY, MALLORY)
        self.canaries = {}
        self.canary = self.add_canary("canary")
        self.attackers = []
        self.processes = []
        self.outcomes = {}
        self.touched = 0
        self.leaks = 0

    # Things to attack with.

    def add_canary(self, name, content=None):
        """A file of root's in the vault that only he may read; it keeps the name that a program asks for."""
        path = self.vault / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{SECRET}\n".encode() if content is None else content)
        path.chmod(0o600)
        self.canaries[path] = attackers.fingerprint(str(path))
        return path

    def mallorys(self, name, content=b"", mode=0o644):
        """A file of Mallory's, with directories of his."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        for one in (path, *path.parents):
            if one == self.home:
                break
            os.chown(one, MALLORY, MALLORY)
        return path

    def start(self, attacker):
        """Let an attacker loose, as Mallory."""
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for number in (signal.SIGALRM, signal.SIGINT):
                    signal.signal(number, signal.SIG_DFL)
                attackers.become(MALLORY, MALLORY)
                attacker()
                status = 0
            finally:
                os._exit(status)
        self.processes.append(pid)
        if hasattr(attacker, "counter"):
            self.attackers.append(attacker)
        return attacker

    def swap(self, path, bait="link", victim=None, spare="", **more):
        """Exchange a file with bait, thousands of times a second; the bait is made by root where Mallory may not."""
        one = attackers.Swap(str(path), str(victim or self.canary), bait, str(spare))
        one.prepare()
        os.chown(one.spare, MALLORY, MALLORY, follow_symlinks=False) if bait not in ("hard link", "") else None
        return self.start(attackers.Swapper([one], **more))

    def stop(self):
        """End all attackers."""
        for pid in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 3
        for pid in self.processes:
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.002)
        self.processes = []

    def rounds(self, calls, exchanges=0):
        """Numbers for that many calls, and on until there were as many exchanges: a busy machine lets attackers wait."""
        deadline = time.monotonic() + 15
        number = 0
        while number < calls or (self.tried < exchanges and time.monotonic() < deadline):
            yield number
            number += 1
            if number > calls:
                time.sleep(0.001)  # the attacker's turn

    # Calls, and what came of them.

    def call(self, function, *args, **more):
        """Call root's code. Returns what it returns; ``None`` when it refused. Everything else is remembered as wrong."""
        result = None
        try:
            with bounded():
                result = function(*args, **more)
            refusal = result.get("msg", "") if isinstance(result, dict) and result.get("failed") else ""
            outcome = "refused" if refusal else "done"
            if refusal and ("Traceback" in refusal or "Errno" in refusal):
                outcome = f"unclear: {refusal.strip().splitlines()[-1]}"
            self.look_for_secrets(json.dumps(result, default=str))
        except RtcError as exc:
            outcome = "refused"
            self.look_for_secrets(str(exc))
        except Slow:
            outcome = f"hangs for more than {BOUND:.0f} s"
        except (Exception, SystemExit) as exc:
            outcome = f"unclear: {type(exc).__name__}"
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.look_at_canaries()
        if outcome.startswith("hangs"):
            self.judge()  # fails; the next call would hang as well, and cost as much time
        return result

    def look_for_secrets(self, text):
        self.leaks += SECRET in text

    def look_at_canaries(self):
        """Count canaries that changed since the last look."""
        for path, before in self.canaries.items():
            now = attackers.fingerprint(str(path))
            if now != before:
                self.touched += 1
                self.canaries[path] = now

    def finish(self):
        """Stop; count the secrets that Mallory can read now."""
        self.stop()
        self.look_at_canaries()
        for folder, names, files in os.walk(self.home):
            for name in [*names, *files]:
                path = os.path.join(folder, name)
                info = os.lstat(path)
                readable = info.st_uid == MALLORY or info.st_mode & stat.S_IROTH
                if stat.S_ISREG(info.st_mode) and readable and info.st_size < attackers.HUGE and info.st_nlink == 1:
                    with open(path, "rb") as file:
                        self.leaks += SECRET.encode() in file.read(1 << 20)

    @property
    def tried(self):
        return sum(one.counter.value for one in self.attackers)

    def judge(self, exchanges=0, done=0):
        """Assert that nothing came of the attacks, and that they were attacks.

        :param exchanges: how many there must have been at least; ``done``: how many calls must have done their work.
        """
        self.finish()
        _totals["attacks tried"] += self.tried or sum(self.outcomes.values())
        _totals["files of root touched"] += self.touched
        ran = attackers.ran_as_root(str(self.drop))
        _totals["programs of others run as root"] += len(ran)
        _totals["secrets found"] += self.leaks
        figures = f"{self.tried} exchanges, outcomes {self.outcomes}, files of root touched {self.touched}, secrets {self.leaks}, ran as root {len(ran)}"
        print(figures)
        wrong = [outcome for outcome in self.outcomes if outcome not in ("done", "refused")]
        assert (self.touched, self.leaks, ran, wrong) == (0, 0, [], []), figures
        assert self.tried >= exchanges, figures
        assert self.outcomes.get("done", 0) >= done, figures


@pytest.fixture
def arena():
    # Not tmp_path: its parents are closed to others. The directory itself is root's.
    root = tempfile.mkdtemp(prefix="rtc-attacks-")
    os.chmod(root, 0o755)
    one = Arena(root)
    try:
        yield one
    finally:
        one.stop()
        shutil.rmtree(root)


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Run a module in this process as Ansible would; a failure has ``failed: True`` in the result."""
    from ansible.module_utils import _internal
    from ansible.module_utils.common import warnings
    from ansible.module_utils.testing import patch_module_args

    monkeypatch.setattr(_internal, "is_controller", False)

    def run(name, args, check=False, diff=True):
        warnings._global_warnings.clear()
        module = importlib.import_module(f"ansible_collections.collab.rtc.plugins.modules.{name}")
        capsys.readouterr()
        with patch_module_args(dict(args, _ansible_check_mode=check, _ansible_diff=diff)), contextlib.suppress(
            SystemExit
        ):
            module.main()
        return json.loads(capsys.readouterr().out)

    return run
