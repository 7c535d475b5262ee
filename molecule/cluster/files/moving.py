# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sites with journals of their own get the store: a run moves what users have there, and a rollback that would leave it
behind is refused on all hosts."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

import hosts
from hosts import LAB, NODES, PORTS, Store, execute, find_changed, is_ready, wait_for
from proxies import cluster

KIND = "move"
PROJECT = "moved"
REFUSED = "Undoing would leave behind projects"


def try_move(current: Any, databases: dict[str, str], store: Store) -> tuple[list[str], list[str], int]:
    """Runs without and with the store; no rows of the table of sites, rows of what became of it, and how many are bad.

    :param current: a round of ``table.py``.
    :param databases: of the sites, by product.
    """
    if any(execute(node, "grep -ls store_url /etc/rtc-server/*.toml", False) for node in NODES):
        hosts.play("site", current.variables(**{node: {"rtc_state": "absent"} for node in NODES}))
    hosts.renew("front")
    fronts = {site.product: SimpleNamespace(url=site.url) for site in current.sites}
    hosts.play("site", current.variables(**{node: {"rtc_store_url": ""} for node in NODES}))
    writers = {product: asyncio.run(_write_some(front, 0)) for product, front in fronts.items()}
    # Those that stand by would serve what they have themselves, while the first one's journal is moved.
    planned = LAB.play("plan", current.variables(), statuses=(2,)).output
    rows = [_tell("the plan stops while others stand by, and says so (RTC495)", "✗ RTC495" in planned)]
    for node in list(NODES)[1:]:
        execute(node, "systemctl stop " + " ".join(f"rtc-server@{product}.{{service,socket}}" for product in PORTS))
    hosts.play("site", current.variables())
    changed = find_changed(hosts.play("site", current.variables())["output"])
    for node in NODES:
        for product in PORTS:
            wait_for(lambda a=node, b=product: is_ready(a, b), f"{product} on {node} is ready")  # type: ignore[misc]
    rows.append(_tell(f"the second run changed nothing{': ' * bool(changed)}{', '.join(changed)}", not changed))
    for product, front in fronts.items():
        # They see what was written before, in its order, and go on with it.
        late = asyncio.run(_write_some(front, len(writers[product])))
        problem = ""
        try:
            lost, doubled = cluster.account(store, writers[product] + late, databases[product])
        except AssertionError as exc:
            lost, doubled, problem = 0, 0, str(exc)
        count = sum(len(writer.acknowledged) for writer in writers[product])
        words = f"{front.url}: {count} acknowledged before the move, lost = {lost}, doubled = {doubled}, "
        rows.append(_tell(words + (problem or "one order"), not (lost or doubled or problem)))
    before = _look()
    undone = LAB.play("rollback", {}, statuses=(2,)).output
    is_refused = REFUSED in undone and PROJECT in undone
    rows.append(_tell("a rollback is refused, and says which projects it would leave behind", is_refused))
    rows.append(_tell("nothing is undone on any host", _look() == before))
    return [], rows, sum("✗" in row for row in rows)


def _tell(words: str, is_right: bool) -> str:
    row = f"{KIND:8} {'✓' if is_right else '✗'} {words}"
    print(row, file=sys.stderr, flush=True)
    return row


async def _write_some(front: Any, first: int) -> list[cluster.Visitor]:
    """Two people, numbered from ``first`` on, who write until each has a few changes acknowledged."""
    visitors = [cluster.Visitor(front, at, PROJECT) for at in (first, first + 1)]
    tasks = [asyncio.ensure_future(item.run()) for item in visitors]
    try:
        await cluster.progress(visitors)
        for visitor in visitors:
            visitor.stopping = True
        await asyncio.wait_for(asyncio.gather(*tasks), hosts.PATIENCE)
    finally:
        for task in tasks:
            task.cancel()
    return visitors


def _look() -> list[str]:
    """What the hosts have: configuration of the RTC servers and of the proxy, and what runs."""
    files = "cat /etc/rtc-server/*.toml /etc/nginx/conf.d/* /etc/nginx/sites-enabled/* 2>/dev/null | sha256sum"
    names = " ".join(f"rtc-server@{product}" for product in PORTS)
    shown = f"systemctl show -p ActiveState -p MainPID {names} nginx"
    return [execute(host, f"{files}; {shown}") for host in (*NODES, "front")]
