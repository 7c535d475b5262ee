# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens within a world: started by ``world.World.run`` with namespaces of its own for mounts, processes, network.

It makes the world's directory the root, does the jobs that come on its standard input, one after the other, and prints
what came of each as JSON. All that it starts ends with it, because it is the first process there.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import http.client
import io
import json
import os
import pwd
import runpy
import socket
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path

MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
TIMEOUT = 60  # seconds that a start may take at most
RECORDS = Path("/recorded")


def mount(source: str, target: str, kind: str = "", flags: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def enter(root: str, binds: list[list[str]]) -> None:
    """Make a directory the root, with these others mounted in it, and let the loopback interface work."""
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    for source, target in binds:
        place = Path(root + target)
        if os.path.islink(source):
            if not place.is_symlink():
                place.symlink_to(os.readlink(source))
            continue
        if Path(source).is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        mount(source, str(place), flags=MS_BIND | MS_REC)
    mount("proc", root + "/proc", "proc")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        request = struct.pack("16sh", b"lo", 1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(made, 0x8914, request)  # SIOCSIFFLAGS
    os.chroot(root)
    os.chdir("/")


def as_user(name: str):
    """For ``preexec_fn``: become a user of the world."""
    found = pwd.getpwnam(name)

    def become() -> None:
        os.setgroups([])
        os.setgid(found.pw_gid)
        os.setuid(found.pw_uid)

    return become


def start(job: dict) -> subprocess.Popen:
    """Run a command as systemd does: with this environment alone, as this user, in this directory."""
    user = job.get("user") or "root"
    home = pwd.getpwnam(user).pw_dir
    usual = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"}
    if job.get("user"):
        usual.update(HOME=home, USER=user, LOGNAME=user)
    with Path("/tmp/said").open("ab") as said:
        return subprocess.Popen(
            job["command"],
            env={**usual, **job.get("env", {})},
            cwd=home if job.get("cwd") == "~" else job.get("cwd") or "/",
            preexec_fn=as_user(user),  # noqa: PLW1509 - one thread
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(condition, process: subprocess.Popen, what: str, forks: bool = False):
    """What a condition returns once that is true.

    :param forks: whether the process may end well before that.
    """
    end = time.monotonic() + TIMEOUT
    while True:
        failed = process.poll() not in ((None, 0) if forks else (None,))
        found = condition()
        if found:
            return found
        if failed or time.monotonic() > end:
            said = Path("/tmp/said").read_text(errors="replace")[-3000:]
            raise AssertionError(f"{what}; exit status {process.poll()}; {said}")
        time.sleep(0.02)


def record(job: dict) -> list[dict]:
    """Command lines and environments of the JVMs that a command starts; in place of java there is a recorder."""
    for old in RECORDS.iterdir():
        old.unlink()
    process = start(job)
    names = wait_for(lambda: sorted(RECORDS.glob("*.args")), process, "no JVM was started", forks=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    found = []
    for name in names:
        words = name.read_bytes().decode().split("\0")[:-1]
        pairs = name.with_suffix(".environ").read_bytes().decode().split("\0")
        found.append({"args": words[1:], "cwd": words[0], "environment": dict(p.split("=", 1) for p in pairs if p)})
    return found


def list_listeners() -> list[list]:
    """Address and port of each socket that listens; the world has a network of its own."""
    found = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            _number, local, _remote, state = line.split()[:4]
            if state == "0A":
                address, port = local.split(":")
                words = struct.unpack(f">{len(address) // 8}I", bytes.fromhex(address))
                raw = struct.pack(f"={len(words)}I", *words)
                text = socket.inet_ntop(socket.AF_INET if name == "tcp" else socket.AF_INET6, raw)
                found.append([text.replace("::ffff:", ""), int(port, 16)])
    return found


def tomcat(job: dict) -> dict:
    """Start a real Tomcat, wait until it says that it started, and look: listeners, certificates, pages, detection."""
    process = start(job)
    logs = [Path("/tmp/said"), *(Path(base, "logs/catalina.out") for base in job["bases"])]
    wait_for(
        lambda: any(log.exists() and b"Server startup in" in log.read_bytes() for log in logs), process, "no start"
    )
    result = {"listeners": list_listeners(), "pages": {}, "certificates": {}}
    for address, port in result["listeners"]:
        if f"{address}:{port}" in job["tls"]:
            result["certificates"][f"{address}:{port}"] = see_certificate(
                address, port, job["tls"][f"{address}:{port}"]
            )
    for address, port, path in job["pages"]:
        if [address, port] in result["listeners"]:
            result["pages"][f"{address}:{port}{path}"] = fetch(address, port, path)
    result["facts"] = gather(job)
    result["said"] = "".join(log.read_text(errors="replace") for log in logs if log.exists())
    return result


def see_certificate(address: str, port: int, name: str) -> str:
    """SHA-256 of the certificate that a server shows; what went wrong otherwise."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((address, port), 20) as raw, context.wrap_socket(raw, server_hostname=name) as it:
            return hashlib.sha256(it.getpeercert(True)).hexdigest()
    except (OSError, ssl.SSLError) as exc:
        return f"no TLS: {type(exc).__name__}"


def fetch(address: str, port: int, path: str) -> dict:
    """What a page of the world's application says: lines ``name=value``."""
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path, headers={"Host": f"asked.example.com:{port}"})
        response = connection.getresponse()
        body = response.read().decode("latin-1")
        if response.status != 200:
            return {"status": f"{response.status} {body[:1500]}"}
        return dict(line.split("=", 1) for line in body.splitlines() if "=" in line)
    except (OSError, http.client.HTTPException) as exc:
        return {"status": type(exc).__name__}
    finally:
        connection.close()


def gather(job: dict) -> dict:
    """What detection says of the world."""
    from ansible_collections.collab.rtc.plugins.module_utils import _facts
    from ansible_collections.collab.rtc.plugins.module_utils._detect.gather import gather

    return _facts.to_dict(gather(lookup=lambda name: [], install_dirs=job.get("install_dirs")))


def module(job: dict) -> dict:
    """What a module prints, in check mode or not."""
    from ansible.module_utils.testing import patch_module_args

    printed = io.StringIO()
    name = f"ansible_collections.collab.rtc.plugins.modules.{job['module']}"
    args = {**job["args"], "_ansible_check_mode": job.get("check", False)}
    with patch_module_args(args), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        runpy.run_module(name, run_name="__main__")
    return json.loads(printed.getvalue())


def main() -> None:
    task = json.load(sys.stdin)
    sys.path[:0] = task["path"]
    enter(task["root"], task["binds"])
    done = [globals()[job["job"]](job) for job in task["jobs"]]
    print(json.dumps(done))


if __name__ == "__main__":
    main()
