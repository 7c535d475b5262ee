# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answering refusals, and hanging up on those who go on all the same.

To refuse costs as much as to serve, so a limit alone protects nobody. A user may cause so many refusals a second;
beyond that, the connection that causes the next one is closed. Not counted is what the client could not know: the first
refusal for its rate (those before ``retry_after`` has passed count), and what fails for reasons of the server.
"""

from __future__ import annotations

import logging
from collections import Counter

from .connection import Connection
from .contract import DRAINING, OVERLOADED, RATE, UNAVAILABLE, Refusal, format_closing
from .engine import Socket
from .limits import Allowance
from .rarely import Rarely

logger = logging.getLogger(__name__)
_said = Rarely()
REFUSED = Counter[str]()  # requests of clients, by error code, since the start of the process

_NO_FAULT = frozenset((DRAINING, OVERLOADED, UNAVAILABLE))
_WEIGHT = 16 << 10  # bytes that cost as much as a refusal: they were read and decoded
_DROPS = 16  # presence messages dropped without a word that count as one refusal


class RateRefusal(Refusal):
    """More requests or bytes than allowed. ``was_told``: before the end of the ``retry_after`` of the refusal
    before."""

    def __init__(self, allowance: Allowance, now: float) -> None:
        limit, unit, wait, self.wanted = allowance.find_shortage()
        super().__init__(RATE, f"{limit:g} {unit} a second are allowed", limit=limit, retry_after=wait)
        self.was_told = now < allowance.again
        allowance.again = now + wait


def refuse(socket: Socket, name: str, number: int | None, refusal: Refusal, now: float) -> None:
    """Answer a request, which asked for an acknowledgement if it has a number."""
    REFUSED[refusal.code] += 1
    if number is not None:
        socket.answer_text(number, refusal.text())
    else:
        socket.send_text(refusal.event(name))
    if isinstance(refusal, RateRefusal):
        if refusal.was_told:
            charge_refusal(socket, now, 1.0 + refusal.wanted / _WEIGHT)
    elif refusal.code not in _NO_FAULT:
        charge_refusal(socket, now)


def note_dropped(connection: Connection, now: float) -> None:
    """A presence above its rate was dropped without a word."""
    connection.dropped += 1
    if connection.dropped % _DROPS == 0:
        charge_refusal(connection.socket, now)


def charge_refusal(socket: Socket, now: float, weight: float = 1.0) -> None:
    """Count a refusal, and close the connection of a user who causes too many."""
    connection: Connection | None = socket.app
    if connection is None or not socket.connected or connection.user.refusals.take(now, weight):
        return
    refusals = connection.user.refusals
    line = "user %s goes on with requests that are refused, and is disconnected: its client is wrong, or hostile"
    _said.log(logger, logging.WARNING, connection.identity.user, line, connection.identity.user)
    socket.send_text(format_closing("refused", refusals.burst / refusals.rate / 2))
    socket.session.close("too many refusals")
