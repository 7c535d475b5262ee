# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The oldest and the newest PostgreSQL that a store may have: what of the journal and of the contract depends on it.

All tests of the store run on these versions with ``RTC_POSTGRES=13`` or ``17`` (``make test-rtc-cluster``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import postgres_binaries
import pytest
import test_contract
from postgres_support import VERSION, Postgres
from rtc_support import running
from test_store import (  # pytest collects what is here
    test_a_host_that_answers_with_an_error_is_passed_over,  # noqa: F401
    test_a_quota,  # noqa: F401
    test_a_round_takes_no_longer_when_the_log_is_long,  # noqa: F401
    test_another_history_begins_another_epoch,  # noqa: F401
    test_compaction_and_forgotten_ids,  # noqa: F401
    test_duplicates_over_servers,  # noqa: F401
    test_the_store_goes_away_and_comes_back,  # noqa: F401
    test_two_servers_deliver_one_order,  # noqa: F401
)
from test_store_commands import (
    test_check_config_tries_the_store,  # noqa: F401
    test_projects_move_between_both_journals,  # noqa: F401
)

from rtc_server.store_postgres.connections import Store

if VERSION:
    pytest.skip("all tests of the store run on one version", allow_module_level=True)


@pytest.fixture(scope="module", params=sorted(postgres_binaries.VERSIONS))
def postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """One server of each version."""
    server = Postgres(version=request.param)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.mark.parametrize(
    "contract",
    [
        test_contract.test_a_restart_loses_nothing,
        test_contract.test_a_long_absence_is_caught_up_page_by_page,
        test_contract.test_snapshot_compacts_and_nobody_is_left_behind,
    ],
)
async def test_clients_see_no_difference(
    contract: Callable[[Path], Coroutine[Any, Any, None]],
    store: Store,
    postgres: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = postgres.url(store.address.database)
    journal = {"path": None, "store_url": url, "store_password": store.password}
    monkeypatch.setattr(test_contract, "running", functools.partial(running, journal=journal))
    await contract(tmp_path)
