# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trying a release of the RTC server before it is switched to.

The program runs by the release's interpreter, as a user who owns nothing: it starts the server on a free port of
loopback with a journal of its own, waits until it says that it is ready (sd_notify(3)), asks ``/readyz``, and stops it.
So imports, compiled parts, event loop, journal and HTTP are those of this host; address, certificates and store of an
instance are tried by ``check-config``.
"""

from __future__ import annotations

SECONDS = 60  # for a start on a busy host; it takes half a second
PROGRAM = """\
import http.client, os, signal, socket, subprocess, sys, tempfile, time

def run(folder):
    deadline = time.monotonic() + float(sys.argv[2])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.bind(folder + "/notices")
    notices.settimeout(0.1)
    with open(folder + "/secret", "w") as file:
        file.write(os.urandom(32).hex())
    with open(folder + "/config.toml", "w") as file:
        file.write('[server]\\naddress = "127.0.0.1"\\nport = %d\\n[token]\\nkeys = ["%s/secret"]\\n[journal]\\n'
                   'path = "%s/journal.db"\\n[limits]\\nreserve_bytes = 0\\n' % (port, folder, folder))
    log = open(folder + "/log", "w+")
    command = [sys.executable, "-I", sys.argv[1], "serve", "--config", folder + "/config.toml"]
    server = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ, NOTIFY_SOCKET=folder + "/notices"))
    try:
        ready = b""
        while b"READY=1" not in ready:
            if server.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                last = (log.read().strip().split("\\n") or [""])[-1]
                return last or ("it ended" if server.poll() is not None else "it does not get ready")
            try:
                ready = notices.recv(4096)
            except OSError:
                pass
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/readyz", headers={"Connection": "close"})
        answer = connection.getresponse()
        if answer.status != 200:
            return "/readyz answers %d %s" % (answer.status, answer.read(200).decode("latin-1"))
        server.send_signal(signal.SIGTERM)
        server.wait(max(deadline - time.monotonic(), 1))
    except (OSError, http.client.HTTPException, subprocess.TimeoutExpired) as exc:
        return str(exc)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()

with tempfile.TemporaryDirectory(prefix="rtc-trial-") as folder:
    why = run(folder)
sys.exit(why)
"""
