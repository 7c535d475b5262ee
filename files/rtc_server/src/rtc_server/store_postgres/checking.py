# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a store can be one, and what it risks, as the server and ``check-config`` say it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from ..journal.base import JournalError
from .connections import FAILURES, Connection, Store, Unusable, explain, hang_up, quote, read_version
from .reaching import Reached, reach

APART = 5.0  # seconds between the clocks of server and store that are told of; half of the default of token.leeway
_VERIFIED = "rtc-verify"  # the project that verifications leave; nobody misses it (_instance/moving.py)


@dataclass(frozen=True)
class Checked:
    """What a store that can be used was found to be."""

    risks: dict[str, str]  # setting -> what it risks
    projects: int  # without the one of verifications
    ahead: float  # seconds by which this host's clock is ahead of the store's


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


def name_rivals(reached: Reached) -> dict[str, str]:
    """The risk ``primaries``, where another host takes writes, too."""
    if not reached.rivals:
        return {}
    return {
        "primaries": (
            f"{', '.join(reached.rivals)} takes writes, too, though another host was promoted after it: what is kept"
            " there is lost. Stop PostgreSQL there, and make a standby of it"
        )
    }


async def check_store(store: Store) -> Checked:
    """Try connection, version and rights, changing nothing. Raises JournalError."""
    reached = await reach(store)
    connection = reached.connection
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
                f" to it (ALTER DATABASE {quote(store.address.database)} OWNER TO {quote(store.address.user)})"
            )
        if version:
            async with connection.transaction():  # undone: also what would grow the disk is tried
                await connection.execute("UPDATE rtc.meta SET value = value WHERE key = 'version'")
                await connection.execute("SELECT * FROM rtc.append_1('{}', '{}', '{}', '{}', '{}', 0)")
                await connection.execute("LOCK TABLE rtc.project, rtc.change IN ROW EXCLUSIVE MODE")
        projects = (
            await connection.fetchval("SELECT count(*) FROM rtc.project WHERE name <> $1", _VERIFIED) if version else 0
        )
        clock = await compare_clocks(connection)
        risks = await find_risks(connection, clock) | name_rivals(reached)
        return Checked(risks, int(projects), clock.ahead)
    except FAILURES as exc:
        if isinstance(exc, JournalError):
            raise
        raise JournalError(f"{store.address}: {explain(exc, store)}") from exc
    finally:
        await hang_up(connection)
