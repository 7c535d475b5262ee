# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to the store: TLS, what each session sets, what errors mean, and whether the store fits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..journal.base import JournalError
from . import schema
from .address import Address

try:
    import asyncpg  # type: ignore[import-not-found,import-untyped,unused-ignore]
except ImportError as exc:  # only who wants the store needs it
    raise JournalError(
        "journal.store_url: the Python package asyncpg, which connects to PostgreSQL, is not installed"
    ) from exc

logger = logging.getLogger(__name__)

Connection = Any  # asyncpg.Connection

CONNECT_SECONDS = 5.0
APART = 5.0  # seconds between the clocks of server and store that are told of; half of the default of token.leeway
COMMAND_SECONDS = 10.0  # a round that takes longer has an unknown result
_QUOTED = re.compile(r' "[^"]*"')
_READ_ONLY = "takes no writes: it is a standby, or default_transaction_read_only is on"
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError, JournalError)
# Set for each session. A standby that is synchronous confirms before a commit returns; whatever the database's or
# user's default is, nothing is acknowledged without it.
_SESSION = {
    "application_name": "rtc-server",
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "9000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "30000",
    # A session whose server was cut off while it was sent rows would hold the rows' locks for a quarter of an hour
    # ("tcp_user_timeout", "tcp_keepalives_idle"; without effect on sockets of Unix).
    "tcp_user_timeout": "10000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "client_encoding": "UTF8",
    "search_path": "pg_catalog",
    # Every query looks rows up by an index. Before tables were analysed, or with statistics of an emptier store, the
    # planner would read the whole log for each round.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}


class Unusable(JournalError):
    """A store that answers, and cannot be one; ``kind`` is a word for programs: read_only, newer, pooler. Of a newer
    one, ``needs`` is the version of the schema that a server has to know."""

    def __init__(self, text: str, kind: str, needs: int = 0) -> None:
        super().__init__(text)
        self.kind, self.needs = kind, needs


@dataclass(frozen=True)
class Checked:
    """What a store that can be used was found to be."""

    risks: dict[str, str]  # setting -> what it risks
    projects: int
    ahead: float  # seconds by which this host's clock is ahead of the store's


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


async def connect(store: Store, on_warning: Callable[[str, str], None] | None = None) -> Connection:
    """A connection to the host that takes writes. ``on_warning`` gets SQLSTATE and text of what the store warns of.
    Raises JournalError with what to do."""
    connection = await _reach(store)
    if on_warning is not None:

        def take(_connection: Connection, message: Any) -> None:
            on_warning(message.sqlstate or "", message.message or "")

        connection.add_log_listener(take)
    try:
        kept = await connection.fetchval("SELECT current_setting('synchronous_commit')")
        if kept not in ("on", "remote_apply"):
            raise Unusable(
                f"{store.address}: synchronous_commit is {kept}, which the session did not set: a pooler between?",
                "pooler",
            )
    except BaseException as exc:
        await hang_up(connection)
        if isinstance(exc, FAILURES) and not isinstance(exc, JournalError):
            raise JournalError(f"{store.address}: {explain(exc, store)}") from exc
        raise
    return connection


async def _reach(store: Store) -> Connection:
    """The first host that takes writes. The driver, given all hosts, would stop at one that answers with an error, as
    one that starts up or shuts down does. Raises JournalError with what each host said."""
    password, context = read_password(store), make_context(store)
    reasons: list[str] = []
    kinds: set[str] = set()
    for host, port in store.address.hosts:
        try:
            connection = await asyncpg.connect(
                host=host,
                port=port,
                user=store.address.user,
                database=store.address.database,
                password=password,
                passfile="/dev/null",  # nothing comes from a home directory
                ssl=context or False,
                target_session_attrs="read-write",
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
                server_settings=_SESSION,
            )
            # Before PostgreSQL 14 a server does not report this, and the driver takes its silence for "it does".
            if not await connection.fetchval("SELECT current_setting('transaction_read_only') = 'on'"):
                return connection
            await hang_up(connection)
            raise Unusable(_READ_ONLY, "read_only")
        except Exception as exc:  # a driver may raise anything before it has a connection
            reasons.append(explain(exc, store) if len(store.address.hosts) == 1 else f"{host}: {explain(exc, store)}")
            kinds.add(_classify(exc))
    words = f"{store.address}: {'; '.join(reasons)}"
    # one that takes no writes, beside one that does not answer: the other may be the primary
    raise Unusable(words, kinds.pop()) if len(kinds) == 1 and "" not in kinds else JournalError(words)


def _classify(exc: Exception) -> str:
    if isinstance(exc, Unusable):
        return exc.kind
    if isinstance(exc, asyncpg.TargetServerAttributeNotMatched):
        return "read_only"
    # PgBouncer refuses parameters of the start that it does not know.
    return "pooler" if "unsupported startup parameter" in str(exc) else ""


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
        return f"{text}: the database must belong to {address.user} (ALTER DATABASE ... OWNER TO ...)"
    if isinstance(exc, asyncpg.ReadOnlySQLTransactionError):
        return f"{text}: it is a standby, or was made read-only; name the primary, too"
    if isinstance(exc, asyncpg.DiskFullError) or "No space left" in text:
        # without the file's name, which is another one each time: the log would repeat it every second
        return f"the store's disk is full ({_QUOTED.sub('', text)}): make room there"
    if isinstance(exc, asyncpg.TooManyConnectionsError):
        return f"{text}: raise max_connections there; each server takes 3"
    if isinstance(exc, asyncpg.TargetServerAttributeNotMatched):
        return _READ_ONLY
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
            "CREATE TEMPORARY TABLE probe AS SELECT repeat(md5(n::text), 32) AS text FROM generate_series(1, 1024) AS n"
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


class Moment(NamedTuple):
    """The store's clock, and the clock here before and after it was asked for; seconds since the epoch. The answer was
    made in between: for all of that time there is no difference that could be told."""

    before: float
    there: float
    after: float

    @property
    def apart(self) -> float:
        """Seconds by which the clocks are apart at least."""
        return max(self.before - self.there, self.there - self.after)

    @property
    def ahead(self) -> float:
        """Seconds by which the clock here is ahead, as well as it can be told."""
        return (self.before + self.after) / 2 - self.there


async def compare_clocks(connection: Connection) -> Moment:
    """The store's clock beside the one here."""
    before = time.time()
    there = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))
    return Moment(before, there, time.time())


async def find_risks(connection: Connection, clock: Moment) -> dict[str, str]:
    """Settings of the store that can lose what was acknowledged, by name, and ``clock``, one here that is apart from
    the store's; each with what it risks."""
    settings = dict(
        await connection.fetch(
            "SELECT name, setting FROM pg_settings"
            " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_standby_names')"
        )
    )
    risks: dict[str, str] = {}
    if settings.get("fsync") == "off":
        risks["fsync"] = (
            "fsync is off: a power cut or a crash of the system loses acknowledged changes, or the database"
        )
    if settings.get("full_page_writes") == "off":
        risks["full_page_writes"] = (
            "full_page_writes is off: a power cut can leave pages that are half written, without a remedy"
        )
    if not settings.get("synchronous_standby_names"):
        risks["synchronous_standby_names"] = (
            "no standby is synchronous: when the primary's disk is lost, so is what a standby did not have yet"
        )
    if clock.apart > APART:
        risks["clock"] = (
            f"the clock here is {clock.apart:.0f} s apart from the store's: tokens are taken for expired, or not valid"
            " yet, by one server and not by another; set it by NTP on all of them"
            " (the order of changes does not need it)"
        )
    return risks


async def check_store(store: Store) -> Checked:
    """Try connection, version and rights, changing nothing. Raises JournalError."""
    connection = await connect(store)
    try:
        version = await read_version(connection, store)
        row = await connection.fetchrow(
            "SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS fixed,"
            " has_database_privilege(current_database(), 'CREATE') AS create"
        )
        if row["standby"] or row["fixed"]:
            raise Unusable(f"{store.address}: takes no writes: it is a standby, or was made read-only", "read_only")
        if version == 0 and not row["create"]:
            raise JournalError(
                f"{store.address}: the user {store.address.user} may not create the schema: the database must belong"
                f" to it (ALTER DATABASE {store.address.database} OWNER TO {store.address.user})"
            )
        if version:
            async with connection.transaction():  # undone: also what would grow the disk is tried
                await connection.execute("UPDATE rtc.meta SET value = value WHERE key = 'version'")
                await connection.execute("SELECT * FROM rtc.append_1('{}', '{}', '{}', '{}', '{}', 0)")
                await connection.execute("LOCK TABLE rtc.project, rtc.change IN ROW EXCLUSIVE MODE")
        projects = await connection.fetchval("SELECT count(*) FROM rtc.project") if version else 0
        clock = await compare_clocks(connection)
        return Checked(await find_risks(connection, clock), int(projects), clock.ahead)
    except FAILURES as exc:
        if isinstance(exc, JournalError):
            raise
        raise JournalError(f"{store.address}: {explain(exc, store)}") from exc
    finally:
        await hang_up(connection)
