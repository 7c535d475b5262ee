# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host below a directory for rtc_instance. Programs stand for systemd and for the server's answers about itself."""

from __future__ import annotations

import http.server
import os
import threading

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import switching

SECRET = "x" * 40
CONFIG = {"server": {"address": "127.0.0.1", "port": 9083}}
SMALL = {**CONFIG, "limits": {"connections": 1000, "total_buffer_bytes": 1 << 20}}
TLS = {**CONFIG, "tls": {"certificate": "tls.crt", "key": "tls.key"}}

# Notes what it is asked, knows one unit, and does not start it while its configuration or release has the word "broken".
# The process of a release with the word "fickle" is always another one.
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
    if running and "fickle" in open("opt/current/rtc-server").read() and os.path.exists("restarted"):
        open(state, "w").write(str(int(time.monotonic() * 1e6)))
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
    open("restarted", "w")
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
if [ "$3" = list-projects ] && [ -e "{root}/others" ] && grep -q store_url "$5"; then cat "{root}/others"; exit; fi
if [ "$3" = list-projects ]; then cat "{root}/projects"; exit; fi
if [ "$3" = move ] && [ "$4" = --help ]; then ! [ -e "{root}/old-release" ]; exit; fi
if [ "$3" = move ]; then
  ! [ -e "{root}/started" ] && ! [ -e "{root}/listening" ] || {{ echo "in use" >&2; exit 1; }}
  ! [ -e "{root}/stuck" ] || {{ echo "project 'p': the store has another project of that name" >&2; exit 1; }}
  grep -q store_url "$8" && ! grep -q store_url "$5" && [ "$6 $7" = "--skip rtc-verify" ] || exit 4
  echo move >>"{root}/moves"
  cp "$CREDENTIALS_DIRECTORY/store-password" "{root}/moved"; exit
fi
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


STARTED = ["daemon-reload", "reset-failed UNIT", "enable UNIT", "restart UNIT"]
STOPPED = ["disable --now UNIT", "stop SOCKET"]
ANEW = ["stop UNIT SOCKET", *STARTED]  # with another socket, or its first one


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
