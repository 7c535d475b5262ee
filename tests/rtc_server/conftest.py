# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the RTC server's tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from journal_support import Maintenance
from rtc_figures import FIGURES, HOSTILE, SOAK, line, table
from rtc_support import BREACHES, Server, Site, running

from rtc_server.journal import sqlite, writer

if TYPE_CHECKING:
    from postgres_support import Postgres

    from rtc_server.store_postgres.connections import Store

try:
    from hypothesis import settings
except ImportError:
    pass
else:
    settings.register_profile("default", max_examples=100, deadline=None)
    settings.register_profile("thorough", max_examples=3000, deadline=None)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _contract_is_kept() -> Iterator[None]:
    """Whatever a test is about: nothing that the server sent may differ from docs/asyncapi.yaml."""
    BREACHES.clear()
    yield
    assert BREACHES == []


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A server in this process with the default limits."""
    async with running(tmp_path) as site:
        yield site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server in a process of its own, started."""
    server = Server(tmp_path)
    server.start()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a journal's file."""
    return tmp_path / "journal.db"


@pytest.fixture
def maintenance(monkeypatch: pytest.MonkeyPatch) -> Maintenance:
    """Nothing is flushed by itself in this test until this is released."""
    return Maintenance(monkeypatch)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that failed tries again at once."""
    monkeypatch.setattr(writer, "RETRY", 0.02)
    monkeypatch.setattr(sqlite, "RETRY", 0.02)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server of PostgreSQL; each test makes a database of its own in it."""
    from postgres_support import started  # its driver is there only where a store is tested

    with started() as server:
        yield server


@pytest.fixture
def store(postgres: Postgres) -> Store:
    """A database of its own."""
    name = f"store{len(postgres.query('SELECT 1 FROM pg_database'))}"
    postgres.make_database(name)
    return postgres.store(name)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    import datetime

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("tls")
    (directory / "crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return directory / "crt", directory / "key"


# --- the figures of `make test-rtc` ----------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its figures to the controlling process."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["rtc_figures"] = [dict(FIGURES), HOSTILE, SOAK]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """The controlling process adds up."""
    counts, hostile, soak = getattr(node, "workeroutput", {}).get("rtc_figures", ({}, [], []))
    FIGURES.update(counts)
    HOSTILE.extend(hostile)
    SOAK.extend(soak)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print them when there are any."""
    for text in table(HOSTILE) if HOSTILE else ():
        terminalreporter.write_line(text)
    for text in SOAK:
        terminalreporter.write_line(text)
    if FIGURES:
        terminalreporter.write_line("RTC server: " + line(FIGURES))
