# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rtc_instance with real files below a directory. Programs stand for systemd and for the server's check of its
configuration; the scenarios of Molecule run the real ones."""

from __future__ import annotations

import http.server
import os
import shutil
import stat
import sys
import threading
import time

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import switching
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit as rtc_server_unit
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore
from ansible_collections.collab.rtc.plugins.modules import rtc_instance
from ansible_collections.collab.rtc.tests.unit.killing import run_and_die

SECRET = "x" * 40
CONFIG = {"server": {"address": "127.0.0.1", "port": 9083}}
TLS = {**CONFIG, "tls": {"certificate": "tls.crt", "key": "tls.key"}}

# Notes what it is asked, knows one unit, and does not start it while its configuration or release has the word "broken".
SYSTEMCTL = """\
#!{python} -IS
import os, sys, time
os.chdir({root!r})
words = sys.argv[1:]
with open("calls", "a") as file:
    print(*words, file=file)
def end(*names):
    for name in names:
        if os.path.exists(name):
            os.unlink(name)

def start(name):
    if not os.path.exists(name):
        open(name, "w").write(str(int(time.monotonic() * 1e6)))

if words[0] == "show":
    state = "listening" if words[1].endswith(".socket") else "started"
    running = os.path.exists(state)
    if running:
        for name in ("ExecMainStart", "ActiveEnter"):
            print(name + "TimestampMonotonic=" + open(state).read())
    print("ActiveState=" + ("active" if running else "inactive"))
elif words[0] == "restart" and "confluence" in words[1]:
    end("started")
    release = open("opt/current/rtc-server").read()
    if os.path.exists("systemd/confluence.d/socket.conf"):
        start("listening")  # the socket that is there already stays
    if "broken" in open("etc/confluence.toml").read() + release:
        end("listening")
        sys.exit("Job failed.")
    if os.path.exists("listening") and "opens sockets" in release:
        sys.exit("Address already in use.")
    start("started")
    if os.path.exists("telling"):
        os.makedirs("run/confluence", exist_ok=True)
        import hashlib, json
        for name in os.listdir("etc/confluence"):
            open("run/confluence/" + name, "wb").write(open("etc/confluence/" + name, "rb").read())
        stamps = {{n: os.stat("run/confluence/" + n).st_mtime_ns for n in os.listdir("etc/confluence")}}
        digest = hashlib.sha256(open("etc/confluence.toml", "rb").read()).hexdigest()
        json.dump({{"digest": digest, "handed_over": stamps}}, open("run/confluence/reload.json", "w"))
elif words[0] == "reload":
    # As the unit: root hands over the files, and the process says what came of it.
    import hashlib, json
    config = open("etc/confluence.toml", "rb").read()
    os.makedirs("run/confluence", exist_ok=True)
    for name in os.listdir("etc/confluence"):
        open("run/confluence/" + name, "wb").write(open("etc/confluence/" + name, "rb").read())
    told = json.load(open("run/confluence/reload.json"))
    told["refused"] = "it will not" if b"unwilling" in config else ""
    if not told["refused"]:
        told["digest"] = hashlib.sha256(config).hexdigest()
        told["handed_over"] = {{
            n: os.stat("run/confluence/" + n).st_mtime_ns for n in os.listdir("run/confluence") if n != "reload.json"
        }}
    json.dump(told, open("run/confluence/reload.json", "w"))
    sys.exit("Job failed." if told["refused"] else 0)
elif words[0] == "disable":
    end("started")
elif words[0] == "stop" and "confluence" in words[1]:
    end(*(["listening"] if len(words) == 2 else ["started", "listening"]))
"""
JOURNALCTL = "#!/bin/sh\necho cannot listen\n"
# python -I .../current/rtc-server check-config FILE
CHECK = """\
#!/bin/sh
if [ "$3" = list-projects ] && [ -e "{root}/silent" ]; then echo no answer >&2; exit 1; fi
if [ "$3" = list-projects ]; then cat "{root}/projects"; exit; fi
if [ "$3" = check-sockets ]; then
  ! grep -q "opens sockets" "$2" || exit 2
  [ "$4" = - ] && grep -q "^.server.$" && [ "$5" ]; exit
fi
if [ "$3" = check-reload ]; then
  [ "$5" = - ] && [ -s "$4" ] && ! [ -e "{root}/old-release" ] || exit 2
  ! grep -q "port = 1$" || {{ echo "server.port: changes with a restart only" >&2; exit 1; }}
  exit 0
fi
[ "$3" = check-config ] || exit 3
if grep -q store_url "$4"; then cp "$CREDENTIALS_DIRECTORY/store-password" "{root}/seen"; fi
[ "$(stat -c %a "$CREDENTIALS_DIRECTORY/secret")" = 600 ] || exit 4
if grep -q refuses "$2"; then echo "$4: server.new: unknown" >&2; exit 1; fi
if grep -q refused "$4"; then echo "$4: server.port: no port" >&2; exit 1; fi
if grep -q no-entry "$4"; then echo "journal.store_password ($CREDENTIALS_DIRECTORY/store-password): no" >&2; exit 1; fi
"""


class Machine:
    """A host below a directory."""

    def __init__(self, root, run_module):
        self.root, self._run_module = root, run_module
        self.unit, self.drop_in = root / "systemd/rtc-server@.service", root / "systemd/confluence.d/tls.conf"
        self.limits = self.drop_in.with_name("limits.conf")
        self.socket, self.with_socket = root / "systemd/confluence.socket", self.drop_in.with_name("socket.conf")
        self.config, self.secret = root / "etc/confluence.toml", root / "etc/confluence/secret"
        self.calls_file = root / "calls"

    def write(self, name, text, mode=0o644):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def run(self, check=False, **options):
        """Run the module; the calls of systemctl that changed something are in ``calls`` of the result."""
        self.calls_file.unlink(missing_ok=True)
        arguments = {"instance": "confluence", "config": CONFIG, "python": str(self.root / "bin/python3"),
                     "base": str(self.root / "opt"), **options}  # fmt: skip
        result = self._run_module("rtc_instance", arguments, check=check, diff=True)
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        result["calls"] = [
            line.replace("rtc-server@confluence.service", "UNIT").replace("rtc-server@confluence.socket", "SOCKET")
            for line in lines
            if "show" not in line
        ]
        return result

    def files(self):
        paths = (self.unit, self.limits, self.drop_in, self.socket, self.with_socket, self.config, self.secret)
        return {path: path.read_bytes() for path in paths if path.exists()}

    def age_process(self, seconds):
        """Let the running process have started earlier."""
        state = self.root / "started"
        state.write_text(str(int(state.read_text()) - int(seconds * 1e6)))


@pytest.fixture
def machine(tmp_path, monkeypatch, run_module):
    machine = Machine(tmp_path, run_module)
    monkeypatch.setattr(rtc_server_unit, "CONFIG_DIR", str(tmp_path / "etc"))
    monkeypatch.setattr(rtc_server_unit, "RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(rtc_server_unit, "STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(rtc_server_unit, "UNIT", str(machine.unit))
    monkeypatch.setattr(rtc_server_unit, "tls_drop_in", lambda name: str(tmp_path / f"systemd/{name}.d/tls.conf"))
    monkeypatch.setattr(rtc_server_unit, "socket_unit", lambda name: str(tmp_path / f"systemd/{name}.socket"))
    machine.write("bin/systemctl", SYSTEMCTL.format(python=sys.executable, root=str(tmp_path)), 0o755)
    machine.write("bin/journalctl", JOURNALCTL, 0o755)
    machine.write("bin/python3", CHECK.format(root=tmp_path), 0o755)
    machine.write("opt/releases/one/rtc-server", "")
    (tmp_path / "opt/current").symlink_to("releases/one")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return machine


STARTED = ["daemon-reload", "reset-failed UNIT", "enable UNIT", "restart UNIT"]
STOPPED = ["disable --now UNIT", "stop SOCKET"]
ANEW = ["stop UNIT SOCKET", *STARTED]  # with another socket, or its first one


def test_a_new_instance_is_written_and_started_and_then_left_alone(machine):
    result = machine.run()
    assert (result["changed"], result["restarted"], result["reloaded"]) == (True, True, False)
    assert result["calls"] == ANEW
    assert "port = 9083" in machine.config.read_text()
    assert f"{machine.root}/opt/current/rtc-server serve" in machine.unit.read_text()
    assert len(machine.secret.read_text().strip()) >= 32
    assert [stat.S_IMODE(path.stat().st_mode) for path in (machine.config, machine.secret, machine.secret.parent)] == [
        0o644,
        0o600,
        0o700,
    ]
    before = machine.files()
    result = machine.run()
    assert (result["changed"], result["calls"], machine.files()) == (False, [], before)


def test_a_secret_that_is_given_takes_the_place_of_the_old_one_and_is_never_shown(machine):
    machine.run()
    old = machine.secret.read_text().strip()
    result = machine.run(secret=SECRET)
    assert machine.secret.read_text() == SECRET + "\n"
    assert result["restarted"]
    assert SECRET not in str(result) and old not in str(result)
    assert "a new secret, not shown" in str(result["diff"])


def test_a_short_secret_is_refused(machine):
    result = machine.run(secret="too short")
    assert result["failed"] and "fewer than 32 characters" in result["msg"]
    assert machine.files() == {}


def test_check_mode_writes_and_starts_nothing(machine):
    result = machine.run(check=True)
    assert (result["changed"], result["restarted"], result["calls"]) == (True, True, [])
    assert machine.files() == {}
    assert {item["after_header"] for item in result["diff"]} == {
        str(path) for path in (machine.unit, machine.socket, machine.with_socket, machine.config, machine.secret)
    }


def test_what_the_server_refuses_takes_no_place(machine):
    machine.run()
    before = machine.files()
    result = machine.run(config={"server": {"address": "refused"}})
    assert result["failed"] and result["calls"] == []
    assert f"{machine.config}: server.port: no port" in result["msg"]
    assert machine.files() == before


def test_a_service_that_does_not_come_up_gets_its_previous_files_and_runs_with_them(machine):
    machine.run()
    before = machine.files()
    result = machine.run(config={"server": {"address": "broken"}})
    assert result["failed"]
    assert "does not start: Job failed. Its log: cannot listen" in result["msg"]
    assert "The previous configuration was restored, and the service runs with it." in result["msg"]
    assert machine.files() == before
    assert result["calls"] == [*ANEW, *STOPPED, *ANEW]
    assert machine.run()["changed"] is False


def test_a_first_start_that_fails_leaves_nothing(machine):
    result = machine.run(config={"server": {"address": "broken"}})
    assert result["failed"] and "The service was left stopped." in result["msg"]
    assert result["calls"] == [*ANEW, *STOPPED]
    assert machine.files() == {}


def age(machine):
    """Let the process, and all that is older, be of an hour ago."""
    machine.age_process(3600)
    for path in (*machine.files(), machine.root / "opt/current"):
        os.utime(path, (1, 1), follow_symlinks=False)


def switch(machine, name, program):
    """As rtc_release does it: another release, and the link leads to it."""
    machine.write(f"opt/releases/{name}/rtc-server", program)
    switching.switch(str(machine.root / "opt"), name)


def current(machine):
    return os.readlink(machine.root / "opt/current")


def test_a_process_older_than_its_files_is_restarted(machine):
    machine.run()
    age(machine)
    assert machine.run()["changed"] is False
    os.utime(machine.config)
    result = machine.run()
    assert (result["changed"], result["restarted"], result["diff"]) == (True, True, [])


def test_a_process_of_another_release_is_restarted_after_its_configuration_was_checked(machine, readiness):
    machine.run(config=PROBED)
    age(machine)
    switch(machine, "two", "two")
    assert machine.run(config=PROBED, check=True)["restarted"] and readiness.asked == 0
    result = machine.run(config=PROBED)
    assert (result["restarted"], result["diff"], readiness.asked) == (True, [], 1)
    assert switching.read_ready(str(machine.root / "opt")) == {"confluence": "two"}
    assert machine.run(config=PROBED)["changed"] is False


def test_a_release_that_refuses_the_configuration_is_taken_back_and_the_old_one_serves_on(machine):
    machine.run()
    age(machine)
    switch(machine, "two", "refuses")
    before = machine.files()
    result = machine.run(undo_dir=str(machine.root / "undo/20260101T000000Z-aaaa"))
    assert result["failed"] and result["calls"] == []
    assert "server.new: unknown" in result["msg"]
    assert "The release two was taken back: one is current again." in result["msg"]
    assert (current(machine), machine.files()) == ("releases/one", before)
    result = machine.run()
    assert (result["changed"], result["calls"]) == (False, []), "the process is of the release that is current"


@pytest.mark.parametrize("changed", [True, False])
def test_a_release_that_does_not_start_is_taken_back(machine, changed):
    machine.run()
    before = machine.files()
    switch(machine, "two", "broken")
    result = machine.run(config=SMALL if changed else CONFIG)
    assert result["failed"] and "Its log: cannot listen" in result["msg"]
    assert "The release two was taken back: one is current again." in result["msg"]
    assert ("The previous configuration was restored" in result["msg"]) == changed
    assert result["calls"] == [*STARTED, *STOPPED, *ANEW]
    assert (current(machine), machine.files()) == ("releases/one", before)
    assert machine.run()["changed"] is False


def test_a_release_that_does_not_get_ready_is_taken_back(machine, readiness, monkeypatch):
    monkeypatch.setattr(rtc_instance, "_READY_SECONDS", 0.1)
    machine.run(config=PROBED)
    switch(machine, "two", "two")
    readiness.statuses = [503]
    result = machine.run(config=PROBED)
    assert result["failed"] and '503 {"reason": "journal"}' in result["msg"] and "two was taken back" in result["msg"]
    assert current(machine) == "releases/one"


def test_other_instances_go_back_with_it(machine):
    machine.run()
    switch(machine, "two", "broken")
    switching.note_ready(str(machine.root / "opt"), "jira", "two")  # it got ready with it before
    result = machine.run()
    assert "rtc-server@jira.service was restarted with it." in result["msg"]
    assert "restart rtc-server@jira.service" in result["calls"]
    assert switching.read_ready(str(machine.root / "opt")) == {"confluence": "one", "jira": "one"}


def test_where_the_old_release_does_not_start_either_both_are_said(machine):
    machine.run()
    machine.write("opt/releases/one/rtc-server", "broken")
    switch(machine, "two", "broken")
    result = machine.run()
    assert "one is current again. But rtc-server@confluence.service does not start" in result["msg"]


@pytest.mark.parametrize("removed", [True, False])
def test_without_a_way_back_the_service_is_left_stopped(machine, removed):
    machine.run()
    if removed:
        shutil.rmtree(machine.root / "opt/releases/one")
    else:
        (machine.root / "opt/ready/confluence").unlink()
    switch(machine, "two", "broken")
    result = machine.run()
    assert result["failed"] and "The service was left stopped." in result["msg"]
    assert current(machine) == "releases/two"


def test_a_kill_at_any_call_while_a_release_is_taken_back(machine):
    """The next run ends with the release that works, running."""
    machine.run()
    for number in range(1, 100):
        switch(machine, "two", "broken")
        died = run_and_die(number, machine.run)
        assert current(machine) in ("releases/one", "releases/two")
        result = machine.run()
        assert result.get("failed") is None or "one is current again" in result["msg"], result
        assert current(machine) == "releases/one"
        assert machine.run()["changed"] is False and (machine.root / "started").exists()
        if not died:
            break
    assert number > 10


def test_a_kill_at_any_call_while_a_release_is_started(machine, readiness):
    """The next run ends with the new release."""
    for number in range(1, 100):
        switch(machine, "one", "one")
        machine.run(config=PROBED)
        switch(machine, "two", "two")
        died = run_and_die(number, lambda: machine.run(config=PROBED))
        assert machine.run(config=PROBED).get("failed") is None
        assert switching.read_ready(str(machine.root / "opt")) == {"confluence": "two"}
        assert machine.run(config=PROBED)["changed"] is False and (machine.root / "started").exists()
        if not died:
            break
    assert number > 5


def read_socket(machine):
    lines = machine.socket.read_text().splitlines()
    return [line for line in lines if line.startswith("ListenStream=")]


def test_a_restart_leaves_the_socket_alone_and_another_port_does_not(machine):
    machine.run()
    assert read_socket(machine) == ["ListenStream=127.0.0.1:9083"]
    since = (machine.root / "listening").read_text()
    assert machine.run(config=SMALL)["calls"] == STARTED
    assert (machine.root / "listening").read_text() == since
    assert machine.run(config={"server": {"address": "::", "port": 9083}})["calls"] == ANEW
    assert read_socket(machine) == ["ListenStream=0.0.0.0:9083", "ListenStream=[::]:9083"]
    assert (machine.root / "listening").read_text() != since


def test_a_store_needs_the_network_and_no_other_instance_has_it(machine, readiness):
    machine.run()
    assert "PrivateNetwork=yes\n" in machine.with_socket.read_text()
    machine.run(config=STORE, store_password=PASSWORD)
    assert "PrivateNetwork" not in machine.with_socket.read_text() and "Wants=" in machine.with_socket.read_text()


@pytest.mark.parametrize("died_before_the_restart", [True, False])
def test_a_socket_that_is_not_as_it_was_written_is_made_anew(machine, died_before_the_restart):
    machine.run()
    if died_before_the_restart:
        os.utime(machine.socket, (time.time() + 5,) * 2)
    else:
        (machine.root / "listening").unlink()  # somebody stopped it
        machine.age_process(-1)
        os.utime(machine.config, (time.time() + 5,) * 2)
    result = machine.run()
    assert (result["restarted"], result["calls"]) == (True, ANEW)


def test_a_host_from_before_sockets_and_back(machine, readiness):
    """The release says whether it takes sockets: one that does not finds its port free."""
    switch(machine, "one", "opens sockets")
    assert machine.run(config=PROBED)["calls"] == STARTED
    assert not machine.socket.exists() and not machine.with_socket.exists()
    before = machine.files()
    assert machine.run(config=PROBED)["changed"] is False
    switch(machine, "two", "two")
    result = machine.run(config=PROBED)
    assert (result["calls"], machine.socket.exists(), machine.with_socket.exists()) == (ANEW, True, True)
    switching.switch(str(machine.root / "opt"), "one")
    result = machine.run(config=PROBED)
    assert (result["calls"], machine.files()) == (ANEW, before)
    assert machine.run(config=PROBED)["changed"] is False


def test_a_release_that_opens_sockets_is_taken_back_for_all(machine):
    switch(machine, "one", "opens sockets")
    machine.run()
    before = machine.files()
    switch(machine, "two", "broken")
    switching.note_ready(str(machine.root / "opt"), "jira", "two")  # it got ready with it, and has a socket
    for name in ("jira.socket", "jira.d/socket.conf"):
        machine.write(f"systemd/{name}", "x")
    undo = machine.root / "undo"
    result = machine.run(undo_dir=str(undo))
    assert result["failed"] and "two was taken back: one is current again." in result["msg"]
    assert (machine.files(), machine.run()["changed"]) == (before, False)
    assert not (machine.root / "systemd/jira.socket").exists()
    assert not (machine.root / "systemd/jira.d/socket.conf").exists()
    stop = "stop rtc-server@jira.service rtc-server@jira.socket"
    calls = [call for call in result["calls"] if "jira" in call or call == "daemon-reload"]
    assert calls[calls.index(stop) :][:3] == [stop, "daemon-reload", "restart rtc-server@jira.service"]
    assert {str(machine.root / "systemd/jira.socket")} <= {item["path"] for item in records.entries(str(undo))}


def test_a_process_that_does_not_run_is_started(machine):
    machine.run()
    (machine.root / "started").unlink()
    assert machine.run()["calls"] == STARTED


@pytest.fixture
def telling(machine):
    """A host whose release says what its process runs with."""
    machine.write("telling", "")
    for name in ("tls.crt", "tls.key"):
        machine.write(f"etc/confluence/{name}", "old")
    assert machine.run(config=TLS)["restarted"]
    assert machine.run(config=TLS)["changed"] is False
    return machine


OTHER_LIMIT = {**TLS, "server": {**TLS["server"], "origins": ["https://wiki.example.org"]}}


@pytest.mark.parametrize("what", ["certificate", "secret", "config"])
def test_what_the_release_can_reload_cuts_nobody_off(telling, what):
    options = {"config": OTHER_LIMIT if what == "config" else TLS}
    if what == "secret":
        options["secret"] = SECRET
    if what == "certificate":
        telling.write("etc/confluence/tls.crt", "new")
    result = telling.run(check=True, **options)
    assert (result["changed"], result["restarted"], result["reloaded"], result["calls"]) == (True, False, True, [])
    result = telling.run(**options)
    assert (result["changed"], result["restarted"], result["reloaded"]) == (True, False, True)
    assert result["calls"] == ["reload UNIT"]
    assert SECRET not in str(result)
    assert telling.run(**options)["changed"] is False


def test_what_the_release_cannot_reload_is_restarted(telling):
    result = telling.run(config={**TLS, "server": {"address": "127.0.0.1", "port": 1}})
    assert (result["restarted"], result["reloaded"], result["calls"]) == (True, False, ANEW)
    telling.run(config=TLS)
    telling.write("old-release", "")  # it does not know the question
    result = telling.run(config=OTHER_LIMIT)
    assert (result["restarted"], result["calls"]) == (True, STARTED)


def test_a_file_that_sizes_the_unit_is_no_matter_of_a_reload(telling):
    result = telling.run(config={**TLS, "limits": {"connections": 99}})
    assert (result["restarted"], result["calls"]) == (True, STARTED)


def test_a_process_that_says_nothing_is_restarted(telling):
    (telling.root / "run/confluence/reload.json").unlink()
    telling.write("etc/confluence/tls.crt", "new")
    assert telling.run(config=TLS)["calls"] == STARTED


def test_a_process_whose_configuration_is_another_one_is_restarted(telling):
    """Somebody has edited the file: nobody knows what the process has, so nobody can compare."""
    telling.config.write_text("edited")
    assert telling.run(config=OTHER_LIMIT)["calls"] == STARTED


def test_an_edit_that_the_process_never_saw_is_taken_back_without_a_word_to_it(telling):
    telling.config.write_text("edited")
    result = telling.run(config=TLS)
    assert (result["changed"], result["calls"]) == (True, [])


@pytest.mark.parametrize("name", ["secret", "tls.key"])
def test_what_was_handed_over_and_not_read_is_reloaded(telling, name):
    """As after a reload that was refused, or a kill between the two."""
    os.utime(telling.root / "run/confluence" / name, ns=(1, 1))
    assert telling.run(config=TLS)["calls"] == ["reload UNIT"]
    assert telling.run(config=TLS)["changed"] is False


def test_a_server_that_refuses_to_reload_runs_on_with_its_previous_files(telling):
    before = telling.files()
    result = telling.run(config={**TLS, "server": {**TLS["server"], "origins": ["unwilling"]}}, secret=SECRET)
    assert result["failed"] and "does not reload: it will not" in result["msg"]
    assert "The service runs as before." in result["msg"]
    assert telling.files() == before
    assert result["calls"] == ["reload UNIT", "reload UNIT"]
    assert telling.run(config=TLS)["changed"] is False


def test_without_tls_there_is_no_drop_in(machine):
    machine.run(config=TLS)
    result = machine.run()
    assert result["restarted"] and not machine.drop_in.exists()


SMALL = {**CONFIG, "limits": {"connections": 1000, "total_buffer_bytes": 1 << 20}}


def test_limits_of_an_instance_size_its_unit(machine):
    result = machine.run(check=True, config=SMALL)
    assert str(machine.limits) in {item["after_header"] for item in result["diff"]} and not machine.limits.exists()
    assert machine.run(config=SMALL)["calls"] == ANEW
    assert "LimitNOFILE=2512\n" in machine.limits.read_text()
    before = machine.files()
    assert machine.run(config=SMALL)["changed"] is False
    result = machine.run(config={**SMALL, "limits": {"connections": 1001}})
    assert result["restarted"]
    shown = {item["after_header"]: item for item in result["diff"]}[str(machine.limits)]
    assert "LimitNOFILE=2512\n" in shown["before"] and "LimitNOFILE=2514\n" in shown["after"]
    result = machine.run(config={**SMALL, "server": {"address": "broken"}, "limits": {"connections": 2}})
    assert result["failed"] and "LimitNOFILE=2514\n" in machine.limits.read_text()
    machine.run(config=SMALL)
    assert machine.files() == before
    assert machine.run()["changed"] and not machine.limits.exists()


def test_limits_are_undone_and_removed_with_the_instance(machine, tmp_path):
    machine.run()
    before = machine.files()
    record = tmp_path / "undo"
    machine.run(config=SMALL, undo_dir=str(record))
    assert machine.limits.exists()
    restore.restore(str(record))
    assert machine.files() == before
    machine.run(config=SMALL)
    machine.run(state="absent")
    assert set(machine.files()) == {machine.unit}


@pytest.mark.parametrize(
    "limits", [1, [], "x", {"connections": "many"}, {"connections": -1}, {"x": 1}, {"connections": True}]
)
def test_limits_that_the_server_will_refuse_do_not_get_in_the_way(machine, limits):
    assert machine.run(check=True, config={**CONFIG, "limits": limits}).get("failed") is not True


def test_an_absent_instance_is_stopped_and_its_configuration_removed(machine):
    machine.run(config=TLS)
    result = machine.run(state="absent")
    assert (result["changed"], result["restarted"], result["calls"]) == (True, False, STOPPED)
    assert set(machine.files()) == {machine.unit}  # other instances have the same one
    result = machine.run(state="absent")
    assert (result["changed"], result["calls"]) == (False, [])


def test_every_file_is_recorded_for_undo_and_backed_up_on_demand(machine):
    machine.run()
    before = machine.files()
    record = machine.root / "undo"
    other = {"server": {"address": "127.0.0.1", "port": 9084}}
    machine.run(config=other, secret=SECRET, undo_dir=str(record), backup=True)
    kinds = {item["path"]: item["kind"] for item in records.entries(str(record))}
    assert kinds == {str(path): "file" for path in (machine.config, machine.secret, machine.socket)}
    copies = [path for path in machine.config.parent.iterdir() if path.name.startswith("confluence.toml.")]
    assert [path.read_bytes() for path in copies] == [before[machine.config]]
    (copy,) = [path for path in machine.secret.parent.iterdir() if path.name.startswith("secret.")]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "../confluence", "a/b", "Wiki", "a b", "-a", "a\n", "a" * 28, "%i"])
def test_a_name_that_is_no_part_of_a_user(run_module, name):
    result = run_module("rtc_instance", {"instance": name})
    assert result["failed"]
    assert "name of an instance" in result["msg"]


PASSWORD = "the store's word"
STORE = {"server": {**CONFIG["server"]}, "journal": {"store_url": "postgresql://rtc@db/rtc"}}
PROBED = {"server": STORE["server"]}  # at the port of "readiness"
OWN = {**CONFIG, "journal": {"path": "/j"}}


class Readiness:
    """What answers for the RTC server of an instance that shares a store."""

    def __init__(self):
        self.statuses, self.asked = [200], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                self.send_response(status if self.path == "/readyz" else 404)
                self.end_headers()
                self.wfile.write(b'{"reason": "journal"}')

            def log_message(self, *_args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        STORE["server"]["port"] = self.server.server_address[1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def readiness():
    found = Readiness()
    yield found
    found.close()


def test_a_node_that_was_started_is_waited_for_before_the_run_goes_on(machine, readiness):
    readiness.statuses = [503, 503, 200]
    result = machine.run(config=STORE, store_password=PASSWORD)
    assert result["restarted"] and readiness.asked == 3
    machine.run(config=STORE, store_password=PASSWORD)
    assert readiness.asked == 3, "nothing was started"


def test_a_node_that_does_not_get_ready_has_its_previous_files(machine, readiness, monkeypatch):
    monkeypatch.setattr(rtc_instance, "_READY_SECONDS", 0.1)
    assert machine.run(config=STORE, store_password=PASSWORD)["changed"]
    before = machine.files()
    readiness.statuses = [503]
    result = machine.run(config={**STORE, "limits": {"changes_burst": 9}}, store_password=PASSWORD)
    assert result["failed"] and '503 {"reason": "journal"}' in result["msg"]
    assert "previous configuration was restored" in result["msg"]
    assert machine.files() == before


def test_a_store_has_its_password_by_credential_and_shows_it_nowhere(machine, readiness):
    result = machine.run(config=STORE, store_password=PASSWORD, store_ca="PEM\n")
    folder = machine.secret.parent
    assert (folder / "store-password").read_text() == PASSWORD + "\n"
    assert stat.S_IMODE((folder / "store-password").stat().st_mode) == 0o600
    assert (folder / "store-ca.pem").read_text() == "PEM\n"
    unit = machine.drop_in.with_name("store.conf").read_text()
    assert f"LoadCredential=store-password:{machine.root}/etc/%i/store-password\n" in unit
    assert f"LoadCredential=store-ca.pem:{machine.root}/etc/%i/store-ca.pem\n" in unit
    assert (machine.root / "seen").read_text() == PASSWORD + "\n"  # the server was asked with it
    assert PASSWORD not in str(result) and "a new password, not shown" in str(result["diff"])
    assert PASSWORD not in machine.config.read_text() + unit + "".join(result["calls"])
    result = machine.run(config=STORE, store_password=PASSWORD, store_ca="PEM\n")
    assert (result["changed"], result["calls"]) == (False, [])
    result = machine.run(config=STORE, store_password="another")
    assert result["restarted"] and not (folder / "store-ca.pem").exists()
    machine.run(state="absent")
    assert [*folder.iterdir(), *machine.drop_in.parent.iterdir()] == []


def test_a_store_without_a_password_is_refused(machine):
    result = machine.run(config=STORE)
    assert result["failed"] and "rtc_store_password" in result["msg"] and not machine.config.exists()


@pytest.mark.parametrize("check", [True, False])
def test_a_journal_with_projects_is_not_left_behind(machine, readiness, check):
    machine.run(config=OWN)
    journal = machine.write("state/confluence/journal.db", "")
    machine.write("projects", "p\t1\t1\t1\n")
    before = machine.files()
    result = machine.run(config=STORE, store_password=PASSWORD, check=check)
    assert result["failed"] and "projects (p)" in result["msg"] and "docs/scaling.md" in result["msg"]
    assert machine.files() == before and result["calls"] == []
    machine.write("projects", "")
    assert machine.run(config=STORE, store_password=PASSWORD, check=check)["changed"]
    journal.unlink()
    machine.write("projects", "p\t1\t1\t1\n")
    machine.run(config=STORE, store_password=PASSWORD)
    result = machine.run(config=OWN, check=check)
    assert result["failed"] and "The store that" in result["msg"] and "projects (p)" in result["msg"]
    machine.write("projects", "")  # moved, and the old schema put away
    assert machine.run(config=OWN, check=check)["changed"]


def test_a_store_that_cannot_be_asked_is_not_left_behind(machine, readiness):
    machine.run(config=STORE, store_password=PASSWORD)
    machine.write("silent", "")
    result = machine.run(config=OWN)
    assert result["failed"] and "would be left behind: no answer." in result["msg"]


def test_what_the_store_refuses_names_files_that_stay_and_variables(machine):
    config = {**CONFIG, "journal": {"store_url": "postgresql://rtc@no-entry/rtc"}}
    result = machine.run(config=config, store_password=PASSWORD)
    folder = machine.secret.parent
    assert f"journal.store_password ({folder}/store-password): no. Nothing was changed. rtc_store_url" in result["msg"]
    assert "rtc_store_password" in result["msg"] and not machine.config.exists()


def store_at(url):
    return {**STORE, "journal": {"store_url": url}}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    "url", ["postgresql://rtc@other/rtc", "postgresql://rtc@db/other", "postgresql://rtc@db:5433/rtc"]
)
def test_the_projects_of_a_store_are_not_left_behind_for_another_one(machine, readiness, url, check):
    machine.run(config=STORE, store_password=PASSWORD)
    machine.write("projects", "p\t1\t1\t1\n")
    before = machine.files()
    result = machine.run(config=store_at(url), store_password=PASSWORD, check=check)
    assert result["failed"] and "The store that" in result["msg"] and "projects (p)" in result["msg"]
    assert machine.files() == before and result["calls"] == []
    machine.write("silent", "")
    result = machine.run(config=store_at(url), store_password=PASSWORD, check=check)
    assert result["failed"] and "would be left behind: no answer." in result["msg"]
    (machine.root / "silent").unlink()
    machine.write("projects", "")  # moved, and the old schema put away
    assert machine.run(config=store_at(url), store_password=PASSWORD, check=check)["changed"]


@pytest.mark.parametrize(
    "url",
    ["postgresql://rtc@DB:5432/rtc", "postgres://other@db/rtc?sslmode=verify-full", "postgresql://rtc@db2,db/rtc",
     "postgresql://rtc@db/%72tc"],
)  # fmt: skip
def test_the_same_store_in_other_words_is_no_other_one(machine, readiness, url):
    machine.run(config=STORE, store_password=PASSWORD)
    machine.write("projects", "p\t1\t1\t1\n")
    assert machine.run(config=store_at(url), store_password=PASSWORD)["restarted"]


PANEL = {**CONFIG, "admin": {"listen": "$RUNTIME_DIRECTORY/admin.sock", "token": "$CREDENTIALS_DIRECTORY/admin-token"}}


def test_a_panel_has_its_token_by_credential_and_shows_it_nowhere(machine):
    token = "t" * 40
    result = machine.run(config=PANEL, panel_token=token, panel_ca="PEM\n")
    folder = machine.secret.parent
    assert (folder / "admin-token").read_text() == token + "\n"
    assert stat.S_IMODE((folder / "admin-token").stat().st_mode) == 0o600
    assert (folder / "admin-ca.pem").read_text() == "PEM\n"
    unit = machine.drop_in.with_name("panel.conf").read_text()
    assert f"LoadCredential=admin-token:{machine.root}/etc/%i/admin-token\n" in unit
    assert f"LoadCredential=admin-ca.pem:{machine.root}/etc/%i/admin-ca.pem\n" in unit
    assert token not in str(result) and "a new token, not shown" in str(result["diff"])
    assert token not in machine.config.read_text() + unit + "".join(result["calls"])
    result = machine.run(config=PANEL, panel_token=token, panel_ca="PEM\n")
    assert (result["changed"], result["calls"]) == (False, [])
    assert machine.run(config=PANEL, panel_token="u" * 40)["restarted"]
    assert not (folder / "admin-ca.pem").exists()
    machine.run()
    assert not (folder / "admin-token").exists() and not machine.drop_in.with_name("panel.conf").exists()


def test_a_panel_without_a_token_makes_one_and_keeps_it(machine):
    machine.run(config=PANEL)
    made = (machine.secret.parent / "admin-token").read_text()
    assert len(made) > 60 and made != machine.secret.read_text()
    assert not machine.run(config=PANEL)["changed"]
    assert (machine.secret.parent / "admin-token").read_text() == made


@pytest.mark.parametrize("token", ["short", "é" * 40])
def test_a_token_of_a_panel_that_is_none(machine, token):
    result = machine.run(config=PANEL, panel_token=token)
    assert result["failed"] and "rtc_panel_token" in result["msg"] and not machine.config.exists()
