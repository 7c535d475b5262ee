# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of the engine's tests, and their event loops: a test that names its loops (``pytest.mark.asyncio(loop_factories=[…])``) runs on
each of them."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from eio_support import Echo, Web, serving
from ws_connections_support import Hall, hall_of

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
try:
    import uvloop
except ImportError:  # its tests are then skipped by name
    pass
else:
    LOOPS["uvloop"] = uvloop.new_event_loop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both for those that ask for them, asyncio's own for all others."""
    marker = item.get_closest_marker("asyncio")
    return LOOPS if marker is not None and "loop_factories" in marker.kwargs else {"asyncio": LOOPS["asyncio"]}


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    """An echo server with so long a heartbeat that no test meets it by chance."""
    async with serving(Echo(ping_interval=20, ping_timeout=20)) as web:
        yield web


@pytest.fixture
async def impatient() -> AsyncIterator[Web]:
    """An echo server with a sub-second heartbeat."""
    async with serving(Echo(ping_interval=0.2, ping_timeout=0.15, upgrade_timeout=0.2)) as web:
        yield web


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for server and client."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path_factory.mktemp("tls") / "pair"
    plain = serialization.NoEncryption()
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl._create_unverified_context()


@pytest.fixture(params=["tcp", "tls"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def hall(kind: str, contexts: Any) -> AsyncIterator[Hall]:
    """An echo server; no message may have more than 100,000 bytes."""
    async with hall_of(Echo(max_payload=100_000), kind, contexts) as hall:
        yield hall
