# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to the store: TLS, what errors mean, and whether the schema fits."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from dataclasses import dataclass
from typing import Any

from ..journal.base import JournalError
from . import schema
from .address import Address

try:
    import asyncpg  # type: ignore[import-not-found,import-untyped,unused-ignore]
except ImportError as exc:  # only who wants the store needs it
    raise JournalError(
        "journal.store_url: the Python package asyncpg, which connects to PostgreSQL, is not installed"
    ) from exc

Connection = Any  # asyncpg.Connection

COMMAND_SECONDS = 10.0  # a round that takes longer has an unknown result
_QUOTED = re.compile(r' "[^"]*"')
READ_ONLY = "takes no writes: it is a standby, or default_transaction_read_only is on"
POOLER = (
    "a pooler is between (PgBouncer in any mode, or another one). Sessions, LISTEN and what is set have to be this"
    " server's own, and it takes three connections only: name host and port of PostgreSQL itself in journal.store_url"
)
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError, JournalError)
# The store gave a statement up, by a timeout or as somebody wanted it; the connection is as good as before.
CANCELLED = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


class Unusable(JournalError):
    """A store that answers, and cannot be one; ``kind`` is a word for programs: read_only, newer, pooler, primaries.
    Of a newer one, ``needs`` is the version of the schema that a server has to know."""

    def __init__(self, text: str, kind: str, needs: int = 0) -> None:
        super().__init__(text)
        self.kind, self.needs = kind, needs


@dataclass(frozen=True)
class Store:
    """How the store is reached. ``ca`` and ``password`` are names of files; both may be empty."""

    address: Address
    ca: str = ""
    password: str = ""


def read_password(store: Store) -> str:
    """The password's file without the line's end. Raises JournalError that names the file, never its content."""
    if not store.password:
        return ""
    try:
        with open(store.password, encoding="utf-8") as file:
            password = file.read().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "is not UTF-8"
        raise JournalError(f"{store.password}: journal.store_password: cannot be read: {reason}") from exc
    if not password or "\n" in password:
        raise JournalError(f"{store.password}: journal.store_password: must be one line, the password")
    return password


def make_context(store: Store) -> ssl.SSLContext | None:
    """TLS that checks the certificate and the name in it, as libpq's verify-full. None: nothing leaves this machine,
    and no CA is named. Raises JournalError."""
    if not store.ca and store.address.is_local:
        return None
    try:
        context = ssl.create_default_context(cafile=store.ca or None)
    except (OSError, ssl.SSLError) as exc:
        raise JournalError(f"{store.ca}: journal.store_ca: is no file of CA certificates (PEM): {exc}") from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def tells_of_pooler(exc: BaseException) -> bool:
    """PgBouncer refuses parameters of the start that it does not know, and transactions in one of its modes. In another
    one, a statement is prepared at one server and run at the next."""
    if isinstance(exc, asyncpg.DuplicatePreparedStatementError | asyncpg.InvalidSQLStatementNameError):
        return True
    return any(words in str(exc) for words in ("unsupported startup parameter", "statement pooling mode"))


class Line:
    """A connection that several tasks use, one after another."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = asyncio.Lock()

    async def fetch(self, query: str, *values: object, seconds: float = COMMAND_SECONDS) -> list[Any]:
        """Rows. Raises what the driver raises, and TimeoutError after so many seconds."""
        async with self._lock:
            rows: list[Any] = await self.connection.fetch(query, *values, timeout=seconds)
            return rows

    async def fetch_one(self, query: str, *values: object) -> Any:
        """The first row or None."""
        async with self._lock:
            return await self.connection.fetchrow(query, *values)


def quote(name: str) -> str:
    """A name in SQL, for remedies."""
    return '"' + name.replace('"', '""') + '"'


async def hang_up(connection: Connection | None) -> None:
    """Close a connection without waiting for its peer."""
    if connection is not None:
        with contextlib.suppress(Exception):
            connection.terminate()


def explain(exc: BaseException, store: Store) -> str:
    """Cause and remedy, in one line. The driver's messages never have the password."""
    address = store.address
    text = str(exc).partition("\n")[0] or type(exc).__name__
    if isinstance(exc, asyncpg.InvalidPasswordError | asyncpg.InvalidAuthorizationSpecificationError):
        return (
            f"the user {address.user} is not let in ({text}): see journal.store_password"
            f" ({store.password or 'not set'}) and pg_hba.conf of the store"
        )
    if isinstance(exc, asyncpg.InvalidCatalogNameError):
        return f"there is no database {address.database!r}: create it, owned by {address.user}"
    if isinstance(exc, asyncpg.InsufficientPrivilegeError):
        return (
            f"{text}: the database must belong to {address.user} (ALTER DATABASE {quote(address.database)} OWNER TO"
            f" {quote(address.user)})"
        )
    if isinstance(exc, asyncpg.ReadOnlySQLTransactionError):
        return f"{text}: it is a standby, or was made read-only; name the primary, too"
    if isinstance(exc, asyncpg.DiskFullError) or "No space left" in text:
        # without the file's name, which is another one each time: the log would repeat it every second
        return f"the store's disk is full ({_QUOTED.sub('', text)}): make room there"
    if isinstance(exc, asyncpg.TooManyConnectionsError):
        return f"{text}: raise max_connections there; each server takes 3"
    if tells_of_pooler(exc):
        return f"{text}: {POOLER}"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {exc.verify_message}; see journal.store_ca ({store.ca or 'not set'})"
    if isinstance(exc, ssl.SSLError | ConnectionError) and "SSL" in text:
        return f"TLS: {text}"
    if isinstance(exc, ConnectionRefusedError) or "Connect call failed" in text:
        return f"no server listens there ({text}): is it up, and are host and port right?"
    if isinstance(exc, asyncio.TimeoutError):
        return "no answer in time: is it up, and does a firewall let connections through?"
    return text


# --- does it fit -------------------------------------------------------------------------------


async def prepare(connection: Connection, store: Store) -> None:
    """Make the schema, or bring it to this release's version; refuse one that this release cannot use. Raises
    JournalError."""
    try:
        version = await read_version(connection, store)
        if version >= schema.VERSION:
            return
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({schema.LOCK})")
            version = await read_version(connection, store)  # another server may have been quicker
            for step in range(version, schema.VERSION):
                await connection.execute(schema.STEPS[step])
    except FAILURES as exc:
        if isinstance(exc, JournalError):
            raise
        raise JournalError(f"{store.address}: {explain(exc, store)}") from exc


async def try_disk(connection: Connection) -> None:
    """A megabyte is written and taken back: until that succeeds, a store whose disk was full is not believed to have
    room. Raises what the driver raises."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(
            "CREATE TEMPORARY TABLE probe AS SELECT repeat(encode(sha256(n::text::bytea), 'hex'), 16) AS text"
            " FROM generate_series(1, 1024) AS n"
        )
    finally:
        await transaction.rollback()


async def read_version(connection: Connection, store: Store) -> int:
    """The schema's version; 0: there is none. Raises JournalError."""
    address = store.address
    if connection.get_server_version().major < 13:
        raise JournalError(f"{address}: is PostgreSQL {connection.get_server_version().major}: 13 is the oldest")
    encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise JournalError(f"{address}: the database's encoding is {encoding}: create it with ENCODING 'UTF8'")
    # one question: another server that starts may make the schema between two
    tables, metas = await connection.fetchrow(
        "SELECT count(*), count(*) FILTER (WHERE relname = 'meta') FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = relnamespace WHERE nspname = 'rtc'"
    )
    if not metas:
        if tables:
            raise JournalError(f"{address}: its schema rtc is not of rtc-server: name another database")
        return 0
    meta = dict(await connection.fetch("SELECT key, value FROM rtc.meta WHERE key IN ('version', 'needs')"))
    version, needs = int(meta.get("version", 0)), int(meta.get("needs", 0))
    if needs > schema.VERSION or version < schema.OLDEST:
        raise Unusable(
            f"{address}: its schema has version {version} and needs an rtc-server that knows {needs}; this one knows"
            f" {schema.OLDEST} to {schema.VERSION}: install that version again, or use another database",
            "newer" if needs > schema.VERSION else "",
            needs,
        )
    return version
