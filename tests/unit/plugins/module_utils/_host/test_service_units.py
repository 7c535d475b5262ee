# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd says of units, and what their files say; starters are in ``_detect/test_installation_layouts``."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._host import service_units

STATES = [
    ("Id=a.service\nActiveState=activating\nMainPID=7\n", {"a.service": (True, 7)}),
    (
        "Id=a.service\nActiveState=inactive\n\nId=b.service\nActiveState=reloading\n",
        {"a.service": (False, 0), "b.service": (True, 0)},
    ),
    (None, {}),
    ("System has not been booted with systemd", {}),
]


@pytest.mark.parametrize(("text", "expected"), STATES)
def test_states(text, expected):
    assert service_units.states(["a.service"], lambda command, timeout: text) == expected


def test_states_of_none_asks_nobody():
    assert service_units.states([], lambda command, timeout: pytest.fail("asked")) == {}
