# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of attacks: ``@attack`` puts one into it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .wire import Target

Function = Callable[[Target], Awaitable[None]]


@dataclass(frozen=True)
class Attack:
    """One attack. It ends by itself, or when its time is over; then its connections stay open for a while."""

    name: str
    function: Function
    about: str
    short: bool  # part of the short form
    editor: bool  # by somebody with a token, whose connections may stay and whose changes are kept
    files: int  # descriptors that the server may have; 0: as many as usual
    tls: bool  # makes sense with TLS only


ATTACKS: dict[str, Attack] = {}


def attack(
    about: str, *, short: bool = False, editor: bool = False, files: int = 0, tls: bool = False
) -> Callable[[Function], Function]:
    """Register an attack under the name of its function."""

    def register(function: Function) -> Function:
        name = function.__name__
        assert name not in ATTACKS
        ATTACKS[name] = Attack(name, function, about, short, editor, files, tls)
        return function

    return register
