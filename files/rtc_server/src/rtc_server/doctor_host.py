# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``rtc-server doctor`` looks at: systemd, sockets, answers, files. Nothing here judges, changes anything, or
opens the journal: to open it as root could leave files behind that the server's user cannot write."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import re
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from .given_files import read_given

PATIENCE = 5.0  # seconds for each question
_PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "MainPID", "UnitFileState",
    "NeedDaemonReload", "MemoryCurrent", "MemoryMax",
)  # fmt: skip
_ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
_LISTENING = "0A"  # proc(5): TCP_LISTEN
SYSTEMD = 1  # its process
_UNSYNCHRONIZED = 5  # adjtimex(2): TIME_ERROR
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Unseen(Exception):
    """Something cannot be seen, and why: that is not the same as its absence."""


def _call(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, env=_ENVIRONMENT, check=False, errors="replace"
        )
    except OSError as exc:
        raise Unseen(f"{command[0]} cannot be run: {exc.strerror}") from exc
    except subprocess.TimeoutExpired as exc:
        raise Unseen(f"{command[0]} does not answer within {PATIENCE:g} s") from exc
    if done.returncode != 0:
        raise Unseen(f"{command[0]}: {(done.stderr or done.stdout).strip()[:200]}")
    return done.stdout


def show_unit(unit: str) -> dict[str, str]:
    """What systemd knows of a unit. Raises Unseen."""
    text = _call("systemctl", "show", unit, "--property=" + ",".join(_PROPERTIES))
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def read_log(unit: str) -> list[str]:
    """The last lines that a unit's processes wrote to the log, without what systemd says of them; none where it cannot
    be read."""
    try:
        lines = _call("journalctl", f"_SYSTEMD_UNIT={unit}", "-n", "20", "--no-pager", "-o", "cat").splitlines()
    except Unseen:
        return []
    return [line.strip() for line in lines if line.strip()]


@dataclass
class Listener:
    """A socket that listens, and whose it is; no ``pid`` where that cannot be seen."""

    address: str
    pid: int = 0
    program: str = ""


def _parse_address(text: str) -> str:
    """As the kernel writes it: words of 32 bits in the machine's order (here little-endian)."""
    if len(text) == 8:
        return ".".join(str(byte) for byte in reversed(bytes.fromhex(text)))
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, 32, 8)]
    return "::" if not any(map(any, words)) else b"".join(words).hex(":", 2)


def find_listeners(port: int, root: str = "/proc") -> list[Listener]:
    """Who listens on a TCP port of this network namespace. Raises Unseen."""
    inodes: dict[str, Listener] = {}
    for name in ("tcp", "tcp6"):
        try:
            with open(f"{root}/net/{name}", encoding="ascii") as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except FileNotFoundError:  # no IPv6
            continue
        except OSError as exc:
            raise Unseen(f"{root}/net/{name}: {exc.strerror}") from exc
        for row in rows:
            address, _, number = row[1].partition(":")
            if row[3] == _LISTENING and int(number, 16) == port:
                inodes[f"socket:[{row[9]}]"] = Listener(_parse_address(address))
    if inodes:
        _find_owners(inodes, root)
    return list(inodes.values())


def _find_owners(inodes: dict[str, Listener], root: str) -> None:
    for pid in filter(str.isdigit, os.listdir(root)):
        try:
            descriptors = os.listdir(f"{root}/{pid}/fd")
        except OSError:  # ended, or somebody else's and we are not root
            continue
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                found = inodes.get(os.readlink(f"{root}/{pid}/fd/{descriptor}"))
                # systemd (1) has those of its socket units, too: they count as its own where nobody else has them.
                if found is not None and (found.pid in (0, SYSTEMD) or SYSTEMD < int(pid) < found.pid):
                    with open(f"{root}/{pid}/comm", encoding="utf-8", errors="replace") as file:
                        found.pid, found.program = int(pid), file.read().strip()


def is_of_unit(pid: int, unit: str, root: str = "/proc") -> bool:
    """Whether a process is one of a unit's; False where that cannot be seen."""
    try:
        with open(f"{root}/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            return any(line.rstrip("\n").endswith(f"/{unit}") for line in file)
    except OSError:
        return False


@dataclass
class Answer:
    """To a request; ``status`` 0: there was none, and ``fault`` says why. ``certificate`` is what was presented."""

    status: int = 0
    body: dict[str, object] = field(default_factory=dict)
    fault: str = ""
    certificate: bytes = b""


def ask(address: str, port: int, tls: bool, path: str) -> Answer:
    """One request to the server on this host, whatever certificate it has: that is looked at elsewhere."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104
    answer = Answer()
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        if tls:
            context = ssl._create_unverified_context()  # noqa: S323
            connection = http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)
        connection.connect()
        if isinstance(connection.sock, ssl.SSLSocket):
            answer.certificate = connection.sock.getpeercert(binary_form=True) or b""
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        text = response.read(10_000)
        answer.status = response.status
        with contextlib.suppress(ValueError, RecursionError):
            body = json.loads(text)
            answer.body = body if isinstance(body, dict) else {}
    except TimeoutError:
        answer.fault = f"no answer within {PATIENCE:g} s"
    except (OSError, http.client.HTTPException) as exc:
        answer.fault = (exc.strerror if isinstance(exc, OSError) else "") or type(exc).__name__
    finally:
        connection.close()
    return answer


@dataclass
class Certificate:
    """One of a file. Times are seconds since 1970; ``names`` are DNS names and addresses that it is for."""

    begins: float
    ends: float
    subject: str
    names: list[str]
    der: bytes


def read_certificates(path: str) -> list[Certificate]:
    """All of a PEM file, the server's own first. Raises Unseen."""
    try:
        blocks = _PEM.findall(read_given(path).decode("ascii", "replace"))
    except OSError as exc:
        raise Unseen(f"{path}: {exc.strerror}") from exc
    if not blocks:
        raise Unseen(f"{path}: there is no certificate in it")
    return [_decode(block, path) for block in blocks]


def _decode(block: str, path: str) -> Certificate:
    """The ssl module decodes certificates of files only, by a function that the standard library's own tests use."""
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    if decode is None:
        raise Unseen("this Python cannot decode certificates")
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(block + "\n")
        file.flush()
        try:
            found = decode(file.name)
            der = ssl.PEM_cert_to_DER_cert(block)
        except (ssl.SSLError, ValueError) as exc:
            raise Unseen(f"{path}: a certificate in it cannot be read") from exc
    subject = {key: value for part in found.get("subject", ()) for key, value in part}
    names = [value for kind, value in found.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    begins, ends = (ssl.cert_time_to_seconds(found[name]) for name in ("notBefore", "notAfter"))
    common = subject.get("commonName", "")
    return Certificate(begins, ends, common, names, der)


def read_descriptors(pid: int) -> int:
    """How many files a process may open. Raises Unseen."""
    try:
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            (line,) = [line for line in file if line.startswith("Max open files")]
        return int(line.split()[3])
    except (OSError, ValueError) as exc:
        raise Unseen(f"/proc/{pid}/limits cannot be read") from exc


@dataclass
class Disk:
    """Bytes, and files that can be made yet (-1: the file system does not say)."""

    free: int
    total: int
    files: int


def look_at_disk(directory: str) -> Disk:
    """The file system of a directory, or of what is above it while it is missing. Raises Unseen."""
    while not os.path.exists(directory) and directory != "/":
        directory = os.path.dirname(directory)
    try:
        found = os.statvfs(directory)
    except OSError as exc:
        raise Unseen(f"{directory}: {exc.strerror}") from exc
    return Disk(
        found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, found.f_favail if found.f_files else -1
    )


def is_clock_synchronized() -> bool:
    """Whether the kernel is told the time by others (adjtimex(2)). Raises Unseen."""
    buffer = ctypes.create_string_buffer(1024)  # struct timex, with modes = 0: nothing is changed
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    if state < 0:
        raise Unseen(f"adjtimex: {os.strerror(ctypes.get_errno())}")
    return bool(state != _UNSYNCHRONIZED)


def read_clock() -> float:
    """Seconds since 1970."""
    return time.time()
