# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets the store's password in clear text when it asks for it: nobody beyond this machine without verified TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("asyncpg")

from rtc_server.journal import JournalError
from rtc_server.store_postgres.address import Address
from rtc_server.store_postgres.connections import Store
from rtc_server.store_postgres.reaching import connect

WORD = b"the store's word"
ASK_CLEAR_TEXT = b"R" + struct.pack("!ii", 8, 3)  # AuthenticationCleartextPassword
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Elsewhere(Address):
    """An address on this machine that is taken as one of another."""

    @property
    def is_local(self) -> bool:
        return False


@dataclass
class Asker:
    """Says ``answer`` to who wants TLS, and then asks for the password. ``heard`` is all that it got."""

    answer: bytes
    context: ssl.SSLContext | None = None
    heard: bytearray = field(default_factory=bytearray)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            first = await reader.readexactly(8)
            if first == SSL_REQUEST:
                writer.write(self.answer)
                await writer.drain()
                if self.context:
                    await writer.start_tls(self.context)
            writer.write(ASK_CLEAR_TEXT)
            while data := await reader.read(4096):
                self.heard += data
                if WORD in self.heard:
                    break
        writer.close()


async def ask(asker: Asker, tmp_path: Path, kind: type[Address], ca: str = "", host: str = "127.0.0.1") -> str:
    """What is said of a store that asks so."""
    password = tmp_path / "password"
    password.write_bytes(WORD + b"\n")
    server = await asyncio.start_server(asker, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(JournalError) as caught:
            await connect(Store(kind(((host, port),), "rtc", "rtc"), ca, str(password)))
        assert WORD.decode() not in str(caught.value)
        return str(caught.value)
    finally:
        server.close()


@pytest.mark.parametrize("answer", [b"N", b"S", b"N" + ASK_CLEAR_TEXT, b"S" + ASK_CLEAR_TEXT, ASK_CLEAR_TEXT, b"E"])
async def test_beyond_this_machine_nothing_is_said_without_tls(answer: bytes, tmp_path: Path) -> None:
    asker = Asker(answer)
    await ask(asker, tmp_path, Elsewhere)
    assert WORD not in asker.heard


@pytest.mark.parametrize("fault", ["of nobody who is trusted", "of another name"])
async def test_nor_to_a_certificate_that_is_not_its_own(
    fault: str, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    asker = Asker(b"S", context)
    ca, host = (str(certificate[0]), "127.0.0.1") if fault == "of another name" else ("", "localhost")
    assert "not trusted" in await ask(asker, tmp_path, Elsewhere, ca, host)
    assert WORD not in asker.heard


async def test_to_the_right_certificate_and_on_this_machine_it_is(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """So that the others do not pass because nothing is ever said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    for asker, kind, ca in ((Asker(b"S", context), Elsewhere, str(certificate[0])), (Asker(b"N"), Address, "")):
        await ask(asker, tmp_path, kind, ca, "localhost")
        assert WORD in asker.heard
