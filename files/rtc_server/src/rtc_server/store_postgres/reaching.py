# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to the host that takes writes, and what each session sets there."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import asyncpg  # type: ignore[import-not-found,import-untyped,unused-ignore]

from ..journal.base import JournalError
from . import histories
from .connections import (
    COMMAND_SECONDS,
    POOLER,
    READ_ONLY,
    Connection,
    Store,
    Unusable,
    explain,
    hang_up,
    make_context,
    read_password,
    tells_of_pooler,
)
from .histories import History

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
OTHERS_SECONDS = 1.0  # for which other hosts may still answer, once one takes writes
# Set for each session. A standby that is synchronous confirms before a commit returns; whatever the database's or
# user's default is, nothing is acknowledged without it.
_SESSION = {
    "application_name": "rtc-server",
    # A wait for the standby that was given up is told by a warning, and by nothing else.
    "client_min_messages": "warning",
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
    # A round's megabyte several times over: with temp_file_limit set, what does not fit would fail.
    "work_mem": "16MB",
}
# Routines of PostgreSQL that warn in whatever session comes along: numbers of transactions nearly used up (varsup.c,
# multixact.c), the queue of notices half full, perhaps by another database (async.c). Texts may be in any language.
_OF_THE_WHOLE_SERVER = ("GetNewTransactionId", "GetNewMultiXactId", "asyncQueueFillWarning")
# Since PostgreSQL 14 and 17; before, a connection that names them is refused. A connection is idle while nobody
# writes, and one that the store ends costs all of them.
_UNLIMITED = ("idle_session_timeout", "transaction_timeout")
# What the session has of both, and who gave it that.
_SETTINGS = """
SELECT name, source, CASE WHEN name = ANY ($2::text[]) THEN set_config(name, '0', false) END
FROM pg_settings WHERE name = ANY ($1::text[] || $2::text[])"""


class Reached(NamedTuple):
    """A connection that takes writes, and the store narrowed to its host; further hosts that take writes, too, though
    their history ends in the past; the history of this one, where it can be told."""

    connection: Connection
    store: Store
    rivals: tuple[str, ...] = ()
    history: History | None = None


async def connect(store: Store) -> Connection:
    """A connection to the host that takes writes. Raises JournalError with what to do."""
    return (await reach(store)).connection


def hear_warnings(connection: Connection, on_warning: Callable[[str, str], None]) -> None:
    """``on_warning`` gets SQLSTATE and text of what the store warns of, but for what says nothing of a commit: the log
    has that, once for each connection."""
    said: set[str] = set()

    def take(_connection: Connection, message: Any) -> None:
        routine = message.server_source_function or ""
        if routine in _OF_THE_WHOLE_SERVER:
            if routine not in said:
                logger.warning("the store warns: %s", message.message)
            said.add(routine)
            return
        on_warning(message.sqlstate or "", message.message or "")

    connection.add_log_listener(take)


async def reach(store: Store) -> Reached:
    """The host that takes writes. All are asked at a time: one that does not answer delays nothing, and of two that
    take writes one is the primary of before a failover. Raises JournalError with what each host said."""
    password, context = read_password(store), make_context(store)
    tasks = [asyncio.ensure_future(_reach_host(store, place, password, context)) for place in store.address.hosts]
    try:
        pending, found = set(tasks), False
        while pending:
            done, pending = await asyncio.wait(
                pending, timeout=OTHERS_SECONDS if found else None, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            found = found or any(task.exception() is None for task in done)
        reached = [task.result() for task in tasks if task.done() and task.exception() is None]
        if not reached:
            raise _refuse(store, [task.exception() for task in tasks])
        chosen = _choose(store, reached)
    except BaseException:
        await _leave(tasks, None)
        raise
    await _leave(tasks, chosen.connection)
    return chosen


async def _leave(tasks: Sequence[asyncio.Task[Reached]], kept: Connection | None) -> None:
    """Hang up all connections but one, also those that are just being made."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Reached) and result.connection is not kept:
            await hang_up(result.connection)


def _choose(store: Store, reached: Sequence[Reached]) -> Reached:
    """Of hosts that take writes the one with the latest timeline. Raises JournalError where that cannot be told."""
    names = [item.store.address.format_hosts() for item in reached]
    histories = [item.history for item in reached]
    if len(reached) == 1 or (None not in histories and len(set(histories)) == 1):  # or one server by several names
        return reached[0]
    told = ", ".join(names)
    systems = {history.system if history else "" for history in histories}
    timelines = [history.timeline if history else 0 for history in histories]
    if len(systems) > 1 or 0 in timelines or timelines.count(max(timelines)) > 1:
        raise Unusable(
            f"{store.address}: more than one host takes writes ({told}), and which of them is the primary cannot be"
            " told: stop the others, or make standbys of them",
            "primaries",
        )
    best = timelines.index(max(timelines))
    return reached[best]._replace(rivals=tuple(name for at, name in enumerate(names) if at != best))


async def _reach_host(store: Store, place: tuple[str, int], password: str, context: ssl.SSLContext | None) -> Reached:
    """A connection to one host, if it takes writes. Raises JournalError and what the driver raises."""
    host, port = place
    connection = await asyncpg.connect(
        host=host,
        port=port,
        user=store.address.user,
        database=store.address.database,
        password=password,
        passfile="/dev/null",  # nothing comes from a home directory
        ssl=context or False,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings=_SESSION,
    )
    try:
        # not the driver's target_session_attrs: before PostgreSQL 14 it takes the server's silence for "it does"
        pid, is_fixed = await connection.fetchrow(
            "SELECT pg_backend_pid(), current_setting('transaction_read_only') = 'on'"
        )
        if pid != connection.get_server_pid():  # a pooler's sessions are its own
            raise Unusable(POOLER, "pooler")
        if is_fixed:
            raise Unusable(READ_ONLY, "read_only")
        rows = await connection.fetch(_SETTINGS, list(_SESSION), list(_UNLIMITED))
        lost = sorted(name for name, source, _ in rows if name in _SESSION and source != "client")
        if lost:
            raise Unusable(f"the session has not what was set for it ({', '.join(lost)}): {POOLER}", "pooler")
        narrowed = replace(store, address=replace(store.address, hosts=(place,)))
        return Reached(connection, narrowed, history=await histories.read(connection))
    except BaseException:
        await hang_up(connection)
        raise


def _refuse(store: Store, failures: Sequence[BaseException | None]) -> JournalError:
    """Why no host can be used."""
    found = [exc for exc in failures if exc is not None]
    reasons = [
        explain(exc, store) if len(found) == 1 else f"{host}: {explain(exc, store)}"
        for (host, _), exc in zip(store.address.hosts, found, strict=True)
    ]
    kinds = {_classify(exc) for exc in found}
    words = f"{store.address}: {'; '.join(reasons)}"
    # one that takes no writes, beside one that does not answer: the other may be the primary
    return Unusable(words, kinds.pop()) if len(kinds) == 1 and "" not in kinds else JournalError(words)


def _classify(exc: BaseException) -> str:
    if isinstance(exc, Unusable):
        return exc.kind
    return "pooler" if tells_of_pooler(exc) else ""
