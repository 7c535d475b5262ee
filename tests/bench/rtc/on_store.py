# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One, two and three servers that share a PostgreSQL: ours, whose journal is there, and Node's socket.io, whose adapter
passes messages on through it and keeps none. All of them and PostgreSQL are on the servers' core, so more servers are not
meant to be faster here: what it costs that there are more is seen. Centrifugo is not among them: it did not build within
ten minutes on two busy cores, and the generator does not speak its protocol.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from servers import (
    CACHE,
    DEPLOYED,
    ROOT,
    SECRET,
    SERVER_CORE,
    Kind,
    Running,
    UnavailableError,
    free_port,
    limits_text,
    node_peer,
    serve_ours,
    serving,
)

COUNTS = (1, 2, 3)


@dataclass(frozen=True)
class StoreKind:
    """``command``: of one server, of a folder for its files, its port, and the store's URL. ``beside``: the server without
    a store that it belongs to, and is asked for with."""

    kind: Kind
    command: Callable[[Path, int, str], list[str]]
    beside: str


def _ours(folder: Path, port: int, url: str) -> list[str]:
    (folder / "token.key").write_bytes(SECRET)
    config = folder / f"config{port}.toml"
    config.write_text(
        f'[server]\nport = {port}\nloop = "{DEPLOYED}"\n[token]\nkeys = ["{folder}/token.key"]\n'
        f'[journal]\nstore_url = "{url}"\n[limits]\n{limits_text(ROOT)}\n[log]\nlevel = "error"\n',
        encoding="utf-8",
    )
    return [part.replace("{config}", str(config)) for part in serve_ours()]


def _node(_folder: Path, port: int, url: str) -> list[str]:
    return [*(part.replace("{port}", str(port)) for part in node_peer("postgres")), url]


STORE_KINDS = (
    StoreKind(Kind("ours_store", "ours, on the store", serve_ours, contract=True), _ours, "ours_durable"),
    StoreKind(
        Kind("node_postgres", "Node socket.io, PostgreSQL adapter", lambda: node_peer("postgres")), _node, "node"
    ),
)


def _programs() -> Path:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
    if not found:
        raise UnavailableError("PostgreSQL is not installed here (tools/packages installs it)")
    return Path(found[-1])


@contextlib.contextmanager
def _postgres() -> Iterator[str]:
    """A fresh server of PostgreSQL on the servers' core; its URL. It syncs, as it does by default."""
    programs, port = _programs(), free_port()
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def run(*command: str | Path) -> None:
        done = subprocess.run(
            ["taskset", "-c", SERVER_CORE, *user, *map(str, command)],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
        if done.returncode:
            raise UnavailableError(f"PostgreSQL: {(done.stderr or done.stdout).strip()[-300:]}")

    with tempfile.TemporaryDirectory(prefix="bench-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, "postgres", "postgres")
        run(programs / "initdb", "-D", folder / "data", "-A", "trust", "-U", "rtc", "-E", "UTF8", "--locale", "C.UTF-8")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        run(programs / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options, "start")
        try:
            run(programs / "createdb", "-h", folder, "-p", str(port), "-U", "rtc", "rtc")
            yield f"postgresql://rtc@127.0.0.1:{port}/rtc"
        finally:
            run(programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "-w", "stop")


@contextlib.contextmanager
def running_on_store(kind: StoreKind, count: int) -> Iterator[Running]:
    """So many fresh servers with a fresh store. Raises UnavailableError when they do not start."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(_postgres())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE, prefix="run-")))
        ports = [free_port() for _ in range(count)]
        processes = [
            stack.enter_context(serving(kind.kind.title, kind.command(folder, port, url), port, folder / f"log{port}"))
            for port in ports
        ]
        yield Running(kind.kind, processes, *ports)
