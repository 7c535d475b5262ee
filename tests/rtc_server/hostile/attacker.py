# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that attacks: ``python -m hostile.attacker``, driven by :mod:`hostile.processes`.

It reads one line of JSON, says ``ready``, waits for a line and attacks; when the attack is over it tells what it did and
keeps its connections until the next line, then hangs up.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import Any

from . import attacks_connections, attacks_editors, attacks_packets
from .attack import ATTACKS
from .wire import Ended, Target

assert attacks_connections and attacks_editors and attacks_packets  # they fill the list


def _say(value: Any) -> None:
    print(json.dumps(value), flush=True)


async def _listen() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


async def main() -> None:
    """One attack."""
    order = json.loads(sys.stdin.readline())
    target = Target(order["port"], order["tls"], order["tokens"], order["scale"], order["megabytes"])
    _say("ready")
    await _listen()
    work = asyncio.ensure_future(ATTACKS[order["name"]].function(target))  # type: ignore[arg-type]
    await asyncio.wait([work], timeout=order["seconds"])
    target.enough = 0  # floods end; what drips, pings and polls goes on until it is hung up
    error = None
    if work.done() and not isinstance(work.exception(), Ended):
        error = repr(work.exception()) if work.exception() else None
    _say(
        {"sent": target.sent, "opened": target.opened, "refused": target.refused, "left": target.left(), "error": error}
    )
    listening = asyncio.ensure_future(_listen())
    await listening
    _say({"left": target.left()})
    work.cancel()
    target.hang_up()
    await asyncio.wait([work])


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main())
