# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of two releases on one store: one after another is replaced while clients write, and one goes back.

No release before this one has a store. So this one is the older of the two, and the newer is made of it as a release may
be by the rule of store_postgres/schema.py ("a release reads and writes the one before it"): with a schema of the next
version, which older servers can bear, and a function for its rounds that they do not know.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import pytest
from rtc_support import SOURCE, Server

pytest.importorskip("asyncpg")
from rtc_cluster import LONG, Cluster, configured

from rtc_server import __version__
from rtc_server.store_postgres import schema

NEXT = "99.0.0"
FORM = 2  # of the newer release's function


def make_next_release(directory: Path) -> Path:
    """The sources of a release after this one."""
    source = directory / "next"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    found = re.search(r"CREATE FUNCTION rtc\.append_1.*?\nEND \$\$;", schema.STEPS[0], re.DOTALL)
    assert found is not None
    step = (
        "ALTER TABLE rtc.project ADD COLUMN later text; CREATE TABLE rtc.later (project bigint PRIMARY KEY);\n"
        f"{found[0].replace('append_1', f'append_{FORM}')}\n"
        f"UPDATE rtc.meta SET value = '{schema.VERSION + 1}' WHERE key = 'version';"
    )
    for name, old, new in (
        ("__init__.py", f'__version__ = "{__version__}"', f'__version__ = "{NEXT}"'),
        ("store_postgres/schema.py", f"\nVERSION = {schema.VERSION} ", f"\nVERSION = {schema.VERSION + 1} "),
        ("store_postgres/rounds.py", "rtc.append_1(", f"rtc.append_{FORM}("),
    ):
        path = source / "rtc_server" / name
        text = path.read_text()
        assert old in text, name
        path.write_text(text.replace(old, new))
    with (source / "rtc_server/store_postgres/schema.py").open("a") as file:
        file.write(f"\nSTEPS[{schema.VERSION}] = {step!r}\n")
    return source


def replace(server: Server, source: Path) -> None:
    """As the run of an upgrade does it: SIGTERM, then the other release."""
    assert server.stop() == 0
    server.source = source
    server.start()


def read_version(server: Server) -> str:
    status, health = server.health("healthz")
    assert status == 200
    return str(health["version"])


async def test_servers_of_two_releases(tmp_path: Path) -> None:
    newer = make_next_release(tmp_path)
    async with Cluster() as cluster:
        store = await cluster.add_machine()
        password = Path(store.store().password)
        count = 3 if LONG else 2
        await cluster.start_servers([configured(tmp_path / f"node{at}", store.url(), password) for at in range(count)])
        await cluster.begin_writing()
        assert store.query("SELECT value FROM rtc.meta WHERE key='version'", "rtc") == [str(schema.VERSION)]
        for at, server in enumerate(cluster.servers):
            await cluster.while_writing("a server is upgraded", lambda s=server: replace(s, newer))
            versions = [await asyncio.to_thread(read_version, server) for server in cluster.servers]
            assert versions == [NEXT] * (at + 1) + [__version__] * (count - at - 1)
            assert store.query("SELECT value FROM rtc.meta WHERE key='version'", "rtc") == [str(schema.VERSION + 1)]
        await cluster.while_writing("one goes back", lambda: replace(cluster.servers[0], SOURCE))
        assert await asyncio.to_thread(read_version, cluster.servers[0]) == __version__
        for server in cluster.servers:
            assert "refuses changes" not in server.log.read_text()
        await cluster.settle(store, "rolling upgrade")
