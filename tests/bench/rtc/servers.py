# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers that are compared, what they need, and how they and the generator are started.

Everything fetched or built goes to ``.build/bench-rtc`` and stays there until its sources change.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rtc_server.auth import Tokens

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CACHE = ROOT / ".build/bench-rtc"
SOURCE = "files/rtc_server/src"  # of a checkout
SECRET = b"a secret for the benchmark, long enough for HS256"
DEPLOYED = "uvloop"  # event loop of ours
SERVER_CORE, GENERATOR_CORE = "0", "1"


class UnavailableError(Exception):
    """A peer cannot be had here; the text says why."""


class OverloadedError(Exception):
    """The generator gave up: the server refused something, closed connections or did not answer."""


class BrokenError(Exception):
    """The server broke a promise of its contract (a gap in the order, a change lost): no figure counts then."""


# --- what is needed -------------------------------------------------------------------------------


def tool(*command: str | Path, cwd: Path) -> None:
    """Run a tool. Raises UnavailableError with its last words."""
    if shutil.which(str(command[0])) is None:
        raise UnavailableError(f"{command[0]} is not installed here")
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-300:]}")


def made(name: str, sources: list[Path], make: Callable[[Path], None]) -> Path:
    """A folder in the cache, made anew when its sources change. Raises UnavailableError."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        (folder / "complete").touch()
    return folder


def generator(tls: bool = False) -> Path:
    """The compiled generator. The one with TLS is a program of its own: the other needs no OpenSSL. Raises
    UnavailableError."""
    sources = [HERE / "gen.c", HERE / "gen_tls.h", HERE / "gen_runs.h", HERE / "gen_options.h"]

    def make(folder: Path) -> None:
        tool(
            "gcc",
            "-O2",
            "-Wall",
            "-Wextra",
            *(["-DWITH_TLS"] if tls else []),
            "-o",
            folder / "gen",
            sources[0],
            *(["-lssl", "-lcrypto"] if tls else []),
            cwd=folder,
        )

    return made("gen-tls" if tls else "gen", sources, make) / "gen"


def node_peer(kind: str) -> list[str]:
    """The command of the relay on Node."""
    sources = [HERE / "package.json", HERE / "package-lock.json", HERE / "peers/relay.js"]

    def make(folder: Path) -> None:
        for path in sources:
            shutil.copy(path, folder)
        tool("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)

    if shutil.which("node") is None:
        raise UnavailableError("node is not installed here")
    return ["node", str(made("node", sources, make) / "relay.js"), "{port}", kind]


def netty_peer() -> list[str]:
    """The command of the relay on netty-socketio. The JVM counts the one core that it is pinned to."""
    sources = [HERE / "peers/pom.xml", HERE / "peers/Relay.java"]

    def make(folder: Path) -> None:
        tool(
            "mvn",
            "-q",
            "-B",
            "-f",
            sources[0],
            "dependency:copy-dependencies",
            f"-DoutputDirectory={folder / 'lib'}",
            cwd=folder,
        )
        tool("javac", "-cp", f"{folder / 'lib'}/*", "-d", folder, sources[1], cwd=folder)

    folder = made("netty", sources, make)
    return ["java", "-Xms512m", "-Xmx512m", "-cp", f"{folder / 'lib'}/*:{folder}", "Relay", "{port}"]


def distribution_python() -> str:
    """The Python that servers have by themselves and that ours runs on there; our own where there is none that will do.

    A distribution's is built with all optimisations, as Node and the JVM are; one that was compiled by hand often is
    not.
    """
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        subprocess.run(["/usr/bin/python3", "-Sc", "import sys; sys.exit(sys.version_info < (3, 10))"], check=True)
        return "/usr/bin/python3"
    return sys.executable


PYTHON = distribution_python()
PEER_PACKAGES = ("python-socketio", "python-engineio", "bidict", "simple-websocket", "wsproto", "h11")


def python_packages(root: Path = ROOT) -> Path:
    """What ours (of that checkout) and python-socketio need, as locked, for that Python. Raises UnavailableError."""
    locks = [root / "files/rtc_server/requirements.txt", ROOT / "requirements/dev.txt"]

    def make(folder: Path) -> None:
        blocks = re.split(r"\n(?=\S)", locks[1].read_text(encoding="utf-8"))
        wanted = [block for block in blocks if block.partition("==")[0] in PEER_PACKAGES]
        (folder / "peers.txt").write_text("\n".join(wanted) + "\n", encoding="utf-8")
        tool(
            sys.executable,
            "-m",
            "pip",
            "--python",
            PYTHON,
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--require-hashes",
            "--target",
            folder / "lib",
            "-r",
            locks[0],
            "-r",
            folder / "peers.txt",
            cwd=folder,
        )

    return made(Path(PYTHON).resolve().name, locks, make) / "lib"


@dataclass(frozen=True)
class Kind:
    """A server: how it is called in tables, its command, whether it speaks our contract, seconds until it is warm; of
    ours: the checkout that it comes from, and whether its journal is an old one."""

    name: str
    title: str
    command: Callable[[], list[str]]
    contract: bool = False
    warm: float = 1.0
    root: Path = ROOT
    old: bool = False


def _python(*command: str, root: Path = ROOT) -> Callable[[], list[str]]:
    return lambda: ["env", f"PYTHONPATH={root / SOURCE}:{python_packages(root)}", PYTHON, *command]


_SERVE = ("-m", "rtc_server", "serve", "--config", "{config}")
serve_ours = _python(*_SERVE)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("ours", "ours, journal off", _python(str(HERE / "serve_ours.py"), "{config}"), contract=True),
        Kind(
            "ours_durable",
            "ours, journal on",
            serve_ours,
            contract=True,
        ),
        Kind("node", "Node socket.io, ws", lambda: node_peer("ws"), warm=2.0),
        Kind("node_uws", "Node socket.io, uWebSockets", lambda: node_peer("uws"), warm=2.0),
        Kind("netty", "netty-socketio", netty_peer, warm=4.0),
        Kind("python", "python-socketio", _python(str(HERE / "peers/relay.py"), "{port}")),
    )
}


def beside(root: Path) -> Kind:
    """Ours of another checkout."""
    return Kind("beside", "beside, journal on", _python(*_SERVE, root=root), contract=True, root=root)


def with_old_journal(kind: Kind) -> Kind:
    """The same with a journal that has been in use for a year."""
    return replace(kind, name=f"{kind.name}_old", title=f"{kind.title.partition(',')[0]}, old journal", old=True)


RECOVERY = Kind("node", "Node socket.io, ws, recovery", lambda: node_peer("recovery"))


# --- running --------------------------------------------------------------------------------------


def _first() -> None:
    """In the child: before other work on this machine, where that is allowed; many files."""
    os.setsid()
    with contextlib.suppress(OSError):
        if not os.environ.get("BENCH_POLITE"):
            os.nice(-19)
            Path("/proc/self/autogroup").write_text("-19", encoding="ascii")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _pinned(core: str, command: list[str]) -> list[str]:
    return ["taskset", "-c", core, *command]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# Limits out of the way: one generator is many users.
_LIMITS = {
    "changes_per_second": 1_000_000,
    "changes_burst": 1_000_000,
    "change_bytes_per_second": 1_000_000_000,
    "change_bytes_burst": 1_000_000_000,
    "reads_per_second": 100_000,
    "read_bytes_per_second": 1_000_000_000,
    "project_bytes": 1 << 40,
    "connections": 20_000,
    "pending": 20_000,
    "pending_per_address": 20_000,
}


def limits_text(root: Path) -> str:
    """The options of the section ``limits``. Those that a checkout does not know are left out."""
    known = (root / "files/rtc_server/config.example.toml").read_text(encoding="utf-8")
    return "\n".join(f"{name} = {value}" for name, value in _LIMITS.items() if f"\n{name} =" in known)


def _config(folder: Path, kind: Kind, port: int, loop: str, more: str) -> Path:
    """The product's configuration. ``more``: further sections."""
    (folder / "token.key").write_bytes(SECRET)
    if kind.old:
        shutil.copyfile(old_journal(kind.root), folder / "journal.db")
        with (folder / "journal.db").open("rb") as copy:
            os.fsync(copy.fileno())  # else the kernel writes gigabytes of it while the server is measured
    path = folder / "config.toml"
    path.write_text(
        f"""
[server]
port = {port}
loop = "{loop}"
[token]
keys = ["{folder}/token.key"]
[journal]
path = "{folder / "journal.db"}"
[limits]
{limits_text(kind.root)}
[log]
level = "warning"
{more}
""",
        encoding="utf-8",
    )
    return path


OLD_CHANGES, OLD_PROJECTS = 10_000_000, 10_000


def old_journal(root: Path) -> Path:
    """A journal after a year, for that checkout: made once; each server has a copy, so that what one run adds is not
    sent to the members of the next. Raises UnavailableError."""
    changes = os.environ.get("BENCH_OLD_CHANGES", str(OLD_CHANGES))
    program, copier = ROOT / "tests/rtc_server/old_journal.py", HERE / "copy_journal.py"

    def make(folder: Path) -> None:
        path = folder / "journal.db"
        if root == ROOT:
            command = [program, path, str(OLD_PROJECTS), changes]
        else:
            command = [copier, old_journal(ROOT), path]
        tool("env", f"PYTHONPATH={root / SOURCE}:{python_packages(root)}", PYTHON, *command, cwd=folder)

    sources = [program, copier, root / SOURCE / "rtc_server/journal/schema.py"]
    return made(f"old-journal-{changes}", sources, make) / "journal.db"


def token_file() -> Path:
    """10,000 tokens, of as many users, for a day."""
    path = CACHE / "tokens"
    if not path.exists() or time.time() - path.stat().st_mtime > 43_200:
        tokens = Tokens([SECRET])
        part = path.with_suffix(".part")
        part.write_text(
            "".join(f"{tokens.make(f'user{n}', {'*': 'edit'}, 86_400)}\n" for n in range(10_000)), encoding="ascii"
        )
        part.replace(path)
    return path


class Running:
    """A server process, perhaps with a proxy before it, and the generator that is pointed at it. Where the journal is an
    old one, the rooms are projects that it has.

    ``processes``: ids of those whose CPU counts, the server first. ``ports``: where it is reached, by TLS if ``tls``; of
    several servers members are spread over all.
    """

    def __init__(self, kind: Kind, processes: list[int], *ports: int, tls: bool = False) -> None:
        self.kind = kind
        self.processes = processes
        self.ports = ports
        self.tls = tls
        self._runs = 0

    def load(self, *options: object) -> dict[str, Any]:
        """One run of the generator; its figures. Raises OverloadedError, BrokenError."""
        self._runs += 1
        command = [
            str(generator(self.tls)),
            "-p",
            ",".join(map(str, self.ports)),
            "-s",
            ",".join(map(str, self.processes)),
            "-n",
            # Other rooms each time, for the same reason; of an old journal old100 to old9019, which it has.
            f"old{self._runs % 9 + 1}0" if self.kind.old else f"run{self._runs}-",
        ]
        if self.tls:
            command.append("-T")
        if self.kind.contract:
            command += ["-c", str(token_file())]
        command += [str(option) for option in options]
        done = subprocess.run(
            _pinned(GENERATOR_CORE, command),
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
            preexec_fn=_first,
        )
        if done.returncode:
            error = BrokenError if done.returncode in (1, 6) else OverloadedError
            raise error(f"{self.kind.title}: {done.stderr.strip()[-400:]}")
        figures: dict[str, Any] = json.loads(done.stdout)
        return figures


@contextlib.contextmanager
def serving(title: str, command: list[str], port: int, log: Path) -> Iterator[int]:
    """A process on the servers' core, once it listens on its port; its id. Raises UnavailableError when it does not
    start."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            _pinned(SERVER_CORE, command),
            stdout=out,
            stderr=out,
            preexec_fn=_first,  # noqa: PLW1509 - there are no threads here
        )
    try:
        give_up = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > give_up:
                raise UnavailableError(f"{title} did not start: {log.read_text(errors='replace')[-400:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def running(
    kind: Kind, loop: str = DEPLOYED, sections: Callable[[Path], str] = lambda _folder: ""
) -> Iterator[Running]:
    """A fresh server for as long as the block runs. Raises UnavailableError when it does not start.

    ``sections``: given the server's folder, returns further sections of the configuration, and may put files there.
    """
    command = kind.command()
    port = free_port()
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="run-") as name:
        folder = Path(name)
        config = _config(folder, kind, port, loop, sections(folder))
        command = [part.replace("{port}", str(port)).replace("{config}", str(config)) for part in command]
        with serving(kind.title, command, port, folder / "log") as process:
            yield Running(kind, [process], port)
