# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL for tests: servers of their own, unprivileged, on loopback, killed and promoted as a test wants it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import postgres_binaries
import pytest
from journal_support import Keeper
from rtc_support import config_text, eventually, free_port

asyncpg = pytest.importorskip("asyncpg")

from rtc_server import cli  # noqa: E402
from rtc_server.journal import Change, JournalLimits  # noqa: E402
from rtc_server.store_postgres.address import parse_address  # noqa: E402
from rtc_server.store_postgres.connections import Store  # noqa: E402
from rtc_server.store_postgres.journal import PostgresJournal  # noqa: E402

_CONFIGS = itertools.count()
VERSION = os.environ.get("RTC_POSTGRES", "")  # of servers for which a test names none; "": the distribution's


class Postgres:
    """One server. ``stop`` and ``kill`` leave its data; ``remove`` ends all. With a ``source`` it is a standby of that,
    of the same version."""

    def __init__(self, source: Postgres | None = None, version: str = VERSION, **settings: str) -> None:
        self.version = version if source is None else source.version
        self._programs = postgres_binaries.programs(self.version)
        self.directory = Path(tempfile.mkdtemp(prefix="rtc-pg-"))
        self.port = free_port()
        self._settings = {"max_connections": "60", "shared_buffers": "32MB", **settings}
        self._user = postgres_binaries.as_postgres()
        self._addresses = "127.0.0.1"
        if self._user:
            shutil.chown(self.directory, "postgres", "postgres")
        self.data = self.directory / "data"
        if source is None:
            self._run("initdb", "-D", str(self.data), "-A", "scram-sha-256", "-U", "postgres", "--no-sync",
                      "--pwfile", str(self._write("pw", "secret")), "-E", "UTF8", "--locale", "C.UTF-8")  # fmt: skip
            (self.data / "pg_hba.conf").write_text(
                "local all all trust\nhost all rtc 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 trust\n"
                "hostssl all rtc 198.18.0.0/15 scram-sha-256\n"
            )
        else:
            self._copy(source)
            conninfo = f"host=127.0.0.1 port={source.port} user=postgres application_name=standby"
            with (self.data / "postgresql.auto.conf").open("a") as file:
                file.write(f"\nprimary_conninfo = '{conninfo}'\n")

    def _copy(self, source: Postgres) -> None:
        """The data of a server, as a standby has them. Fetched versions have no pg_basebackup, so there the source is
        restarted."""
        if (self._programs / "pg_basebackup").exists():
            self._run("pg_basebackup", "-h", "127.0.0.1", "-p", str(source.port), "-U", "postgres", "-D",
                      str(self.data), "-R", "-X", "stream", "-c", "fast")  # fmt: skip
            return
        source.stop()
        shutil.copytree(source.data, self.data, copy_function=shutil.copy)
        (self.data / "standby.signal").touch()
        for path in (self.data, *self.data.rglob("*")):
            self.own(path)
        source.start()

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def _run(self, name: str, *arguments: str) -> None:
        command = [*self._user, f"{self._programs}/{name}", *arguments]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def own(self, path: Path) -> None:
        """Give a file to the server's user."""
        if self._user:
            shutil.chown(path, "postgres", "postgres")

    def start(self, **settings: Any) -> None:
        self._settings.update(settings)
        options = " ".join(f"-c {name}={value}" for name, value in self._settings.items())
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.directory / "log"), "-o",
                  f"-p {self.port} -k {self.directory} -c listen_addresses={self._addresses} {options}", "start")  # fmt: skip

    def start_with_tls(self, pair: tuple[Path, Path], *addresses: str) -> Path:
        """Certificate and key are copied; on loopback, and on further addresses. The CA's file."""
        for source, name in zip(pair, ("server.crt", "server.key"), strict=True):
            file = self.directory / name
            file.write_bytes(source.read_bytes())
            file.chmod(0o600)
            self.own(file)
        self._addresses = ",".join(("127.0.0.1", *addresses))
        self.start(ssl="on", ssl_cert_file=self.directory / "server.crt", ssl_key_file=self.directory / "server.key")
        return pair[0]

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """As if the process had died: no checkpoint, no good-bye."""
        self.stop("immediate")

    def pause(self) -> None:
        """Nothing of it answers any more, and its connections stay."""
        os.kill(self.pid, signal.SIGSTOP)
        for pid in self.children():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in [*self.children(), self.pid]:
            os.kill(pid, signal.SIGCONT)

    def children(self) -> list[int]:
        found = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def promote(self) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-w", "promote")

    def remove(self) -> None:
        with contextlib.suppress(AssertionError, OSError, ValueError):
            self.resume()
        with contextlib.suppress(AssertionError):
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def make_database(self, name: str = "rtc") -> None:
        """A database and its owner ``rtc``."""
        self.make_role()
        self.query(f"CREATE DATABASE {name} OWNER rtc")

    def make_role(self) -> None:
        """The user ``rtc`` with the password ``rtc's secret``, unless it is there."""
        if not self.query("SELECT 1 FROM pg_roles WHERE rolname='rtc'"):
            self.query("CREATE ROLE rtc LOGIN PASSWORD 'rtc''s secret'")

    def query(self, text: str, database: str = "postgres") -> list[Any]:
        """As superuser, over the socket, from any thread or task."""
        command = [f"{postgres_binaries.distribution()}/psql", "-h", str(self.directory), "-p", str(self.port), "-U", "postgres", "-d",
                   database, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text]  # fmt: skip
        environment = {**os.environ, "PGOPTIONS": "-c synchronous_commit=local"}  # a standby may be away
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def url(self, database: str = "rtc", *others: Postgres) -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self, *others))
        return f"postgresql://rtc@{hosts}/{database}"

    def store(self, database: str = "rtc", *others: Postgres) -> Store:
        return Store(parse_address(self.url(database, *others)), "", str(self._write("password", "rtc's secret\n")))


@contextlib.contextmanager
def started() -> Iterator[Postgres]:
    """A server for as long as the block runs."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


class Cable:
    """Between a server and its store; while it is cut nothing comes through, or no answer, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self._there, self._back = asyncio.Event(), asyncio.Event()
        self.mend()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Cable:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        self._there.clear()
        self._back.clear()

    def cut_answers(self) -> None:
        self._back.clear()

    def mend(self) -> None:
        self._there.set()
        self._back.set()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection("127.0.0.1", self._target)
        for source, target, whole in ((reader, to, self._there), (there, writer, self._back)):
            task = asyncio.ensure_future(self._pass_on(source, target, whole))
            self._tasks.add(task)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, whole: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                await whole.wait()
                target.write(data)
        await whole.wait()
        target.close()


class Hall:
    """An audience that keeps what it is told."""

    def __init__(self) -> None:
        self.journal: PostgresJournal
        self.epochs: dict[str, str] = {}
        self.seen: dict[str, list[str]] = {}
        self.renewed: list[str] = []
        self.base: dict[str, int] = {}

    async def load(self, project: str) -> None:
        head = await self.journal.read_head(project)
        found = await self.journal.read_changes(project, head.base, 10**6, 10**9)
        self.epochs[project] = head.epoch
        self.seen[project] = [""] * head.base + [change.id for change in found]

    def list_loaded(self) -> list[str]:
        return list(self.seen)

    def find_delivered(self, project: str) -> tuple[str, int] | None:
        return (self.epochs[project], len(self.seen[project])) if project in self.seen else None

    def deliver(self, project: str, changes: list[Change]) -> None:
        for change in changes:
            if change.revision > len(self.seen[project]):
                assert change.revision == len(self.seen[project]) + 1
                self.seen[project].append(change.id)

    def renew(self, project: str, why: str) -> None:
        self.renewed.append(project)
        del self.seen[project]

    def note_snapshot(self, project: str, base: int, revision: int) -> None:
        self.base[project] = base

    def list_own_members(self, project: str) -> list[tuple[str, str]]:
        return []

    def set_guests(self, *_arguments: Any) -> None:
        pass

    def pass_presence(self, *_arguments: Any) -> None:
        pass


class StoreKeeper(Keeper):
    """A started journal on the store, which delivers its own outcomes to a hall, as projects do."""

    def __init__(self, store: Store, limits: JournalLimits) -> None:
        self.hall = Hall()
        self.journal = self.hall.journal = PostgresJournal(store, limits)  # type: ignore[assignment]
        self.outcomes = []
        self.journal.attend(self.hall)

    def take(self, outcomes: Any) -> None:
        super().take(outcomes)
        for outcome in outcomes:
            seen = self.hall.seen.get(outcome.request.project)
            if seen is not None and not outcome.code and not outcome.duplicate and hasattr(outcome.request, "id"):
                assert outcome.revision <= len(seen) + 1, "a gap was not filled before an own change"
                if outcome.revision == len(seen) + 1:
                    seen.append(outcome.request.id)


NO_LIMITS = JournalLimits()


@contextlib.asynccontextmanager
async def opened_store(store: Store, limits: JournalLimits = NO_LIMITS) -> AsyncIterator[StoreKeeper]:
    keeper = StoreKeeper(store, limits)
    await keeper.journal.start(keeper.take)
    try:
        yield keeper
    finally:
        await keeper.journal.close()


async def well(keeper: StoreKeeper) -> None:
    await eventually(lambda: keeper.journal.fault is None, "the store is back")


def config_file(directory: Path, postgres: Postgres, store: Store, **journal: Any) -> str:
    """A configuration file whose journal is on the store."""
    path = directory / f"config{next(_CONFIGS)}.toml"
    url = postgres.url(store.address.database)
    path.write_text(
        config_text(directory, journal={"path": None, "store_url": url, "store_password": store.password, **journal})
    )
    return str(path)


def run(capsysbinary: Any, *arguments: str) -> tuple[int, str]:
    """Status and all output of a command, in a thread's own loop as on the command line."""
    with ThreadPoolExecutor(1) as pool:
        status = pool.submit(cli.main, arguments).result()
    out, err = capsysbinary.readouterr()
    return status, (out + err).decode()
