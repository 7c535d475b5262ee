# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strangers and editors attack a server in a process of its own; a good client beside them must not be hurt.

What is asserted does not depend on the machine: who stays, what is kept, what is given back, what is over. Latencies are
printed at the end, in a table. ``RTC_HOSTILE=long`` plays every attack, with 200 MB and eight seconds, on both loops.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rtc_certificates import make_pair
from rtc_figures import FIGURES, HOSTILE

from hostile import attacks_connections, attacks_editors, attacks_packets, scenario
from hostile.attack import ATTACKS

assert attacks_connections and attacks_editors and attacks_packets  # they fill the list

IS_LONG = os.environ.get("RTC_HOSTILE") == "long"
FORM = scenario.LONG if IS_LONG else scenario.SHORT


def _cases() -> list[tuple[str, str, bool]]:
    """Attack, loop, TLS. Short: each once, on the loop that is deployed. Long: also on the other one, with TLS."""
    found = []
    for attack in ATTACKS.values():
        if IS_LONG:
            found += [(attack.name, "uvloop", attack.tls), (attack.name, "asyncio", True)]
        elif attack.short:
            found.append((attack.name, "uvloop", attack.tls))
    return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate and its key."""
    return make_pair(tmp_path_factory.mktemp("tls"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory and descriptors are read from /proc")
@pytest.mark.parametrize(("name", "loop", "tls"), _cases())
def test_a_good_client_is_not_hurt(name: str, loop: str, tls: bool, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    attack = ATTACKS[name]
    result = scenario.play(attack, loop, pair if tls else None, FORM, tmp_path)
    HOSTILE.append(result.as_dict())
    FIGURES["attacks"] += 1
    FIGURES["outlived"] += result.outlived + result.left
    assert not result.faults
    assert result.outlived == 0, f"{result.outlived} descriptors outlive every deadline"
    assert result.left == 0, f"{result.left} descriptors and sessions are left when the attackers have hung up"
    assert result.newcomers_refused == 0, "a colleague with a token was locked out"
    assert result.not_ready == 0, "/readyz did not answer"
    if not attack.editor:
        grown = result.after_mb - result.before_mb
        assert grown <= scenario.GIVEN_BACK / 1e6, f"{grown:.0f} MB are not given back"
