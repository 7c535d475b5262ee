# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kinds have in common."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._proxy import backend


def test_a_command_that_is_not_there():
    assert backend.run(["/no/such/program"]).code == 127
