# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program that is not trusted can do, tried by real ones."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _memory_file
from ansible_collections.collab.rtc.plugins.module_utils._java import confined

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def sh(script, account=None, descriptors=(), timeout=20.0):
    return confined.run(["/bin/sh", "-c", script], account, descriptors, timeout)


@pytest.fixture
def account():
    return confined.make_account()


def test_it_has_no_environment_but_a_locale(account, monkeypatch):
    monkeypatch.setenv("SECRET", "geheim")
    names = {line.partition(b"=")[0] for line in sh("env", account).output.splitlines()}
    assert names - {b"PWD", b"_", b"SHLVL", b"OLDPWD"} == {b"PATH", b"LANG", b"LC_ALL"}


def test_it_has_the_descriptors_that_it_is_given_and_no_other(account):
    with _memory_file.hold(b"a secret") as given, _memory_file.hold(b"another") as other:
        os.set_inheritable(other, True)
        result = sh(f"cat /proc/self/fd/{given}; echo; echo changed > /proc/self/fd/{given}; ls /proc/self/fd", account,
                    [given])  # fmt: skip
        lines = result.output.decode().splitlines()
        assert _memory_file.read_all(given, 100) == b"changed\n"
    assert lines[0] == "a secret"
    assert str(given) in lines
    assert str(other) not in lines[1:]


def test_what_it_wrote_is_bounded():
    with _memory_file.hold(b"x" * 100) as handle:
        assert _memory_file.read_all(handle, 100) == b"x" * 100
        with pytest.raises(Exception, match="more than 99 bytes"):
            _memory_file.read_all(handle, 99)


def test_status_and_output(account):
    result = sh("echo one; echo two >&2; exit 3", account)
    assert (result.status, result.output) == (3, b"one\ntwo\n")


@pytest.mark.parametrize("script", ["sleep 100", "exec >/dev/null 2>&1; sleep 100", "sleep 100 & sleep 100"])
def test_it_is_ended_when_its_time_is_over(account, script):
    began = time.monotonic()
    with pytest.raises(confined.ConfinedError, match="did not end within"):
        sh(script, account, timeout=0.5)
    assert time.monotonic() - began < 90  # not the 100 s that it would sleep


def test_a_child_that_holds_its_output_is_not_waited_for(account):
    began = time.monotonic()
    assert sh("echo first; sleep 100 & exit 0", account).output == b"first\n"
    assert time.monotonic() - began < 90  # not the 100 s that its child sleeps


def test_output_without_end(account):
    with pytest.raises(confined.ConfinedError, match="prints more than"):
        sh("while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done", account)


def test_files_and_memory_are_bounded(account):
    with _memory_file.hold(b"") as handle:
        result = sh(f"head -c 100000000 /dev/zero > /proc/self/fd/{handle}", account, [handle])
        assert result.status != 0
        assert os.fstat(handle).st_size <= confined.MAX_FILE
    core = sh("grep 'core file' /proc/self/limits", account).output.split()
    assert core[4:6] in ([b"1", b"1"], [b"0", b"0"])  # 0 where this host allows no more; a pipe gets one with 0, too
    limits = sh("ulimit -c; ulimit -v; ulimit -n; grep NoNewPrivs /proc/self/status", account).output.split()
    assert limits == [b"0", b"4194304", b"256", b"NoNewPrivs:", b"1"]


def test_a_program_that_cannot_be_run(account):
    with pytest.raises(OSError, match="No such file"):
        confined.run(["/nonexistent/keytool"], account, [], 5)


@needs_root
def test_it_is_nobody_and_can_do_nothing(account, tmp_path):
    (tmp_path / "root").write_text("root's", encoding="ascii")
    probe = f"id -u; id -G; cat {tmp_path}/root /etc/shadow; echo x > /etc/evil; kill -0 1; touch /usr/evil; echo end"
    lines = sh(probe, account).output.decode().splitlines()
    assert lines[:2] == [str(account.uid), str(account.gid)]
    assert account.uid not in (0, 65534)
    assert sum("ermission denied" in line or "not permitted" in line for line in lines) >= 4
    assert lines[-1] == "end"
    assert not os.path.exists("/etc/evil")


@needs_root
def test_it_cannot_gain_rights(account):
    """A program that is set-user-ID-root gives it nothing."""
    result = sh("grep -H Uid: /proc/self/status; su -c id root </dev/null", account)
    assert b"uid=0" not in result.output


def living_processes(uid):
    """What runs as this user, and is not merely waiting for its parent to take notice of its end."""
    command = ["ps", "-U", str(uid), "-o", "stat=,args="]
    lines = subprocess.run(command, capture_output=True, check=False).stdout.splitlines()
    return [line for line in lines if not line.startswith(b"Z")]


@needs_root
def test_what_it_leaves_running_is_ended(account):
    result = sh("setsid sleep 1000 >/dev/null 2>&1 & (setsid sh -c 'sleep 1001 & sleep 1002' >/dev/null 2>&1 &); sleep 0.3; "
                "echo done", account)  # fmt: skip
    assert result.output == b"done\n"
    # SIGKILL was sent when the run returned; the kernel ends them in its own time.
    deadline = time.monotonic() + 30
    while living_processes(account.uid):
        assert time.monotonic() < deadline, living_processes(account.uid)
        time.sleep(0.01)


@needs_root
def test_a_bomb_of_processes_is_bounded(account):
    result = sh("i=0; while [ $i -lt 600 ]; do sleep 60 & i=$((i+1)); done; echo all", account, timeout=20.0)
    assert b"all" not in result.output


@needs_root
def test_only_an_account_of_its_own_loses_all_its_processes():
    """A user's other processes go on."""
    nobody = confined.find_account(65534)
    other = subprocess.Popen(["sleep", "100"], user=65534)
    try:
        assert sh("id -u", nobody).output == b"65534\n"
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@needs_root
def test_whether_somebody_may_execute(account, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n", encoding="ascii")
    program.chmod(0o755)
    assert confined.may_execute(account, "/bin/sh")
    tmp_path.chmod(0o700)
    assert not confined.may_execute(account, str(program))
    assert confined.may_execute(confined.find_account(0), str(program))
