# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The small RTC server of ``small_index``, for every test here."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._release import wheels
from ansible_collections.collab.rtc.tests.unit.small_index import Index


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The sources and the index; nothing is fetched from anywhere else."""
    made = Index(tmp_path)
    monkeypatch.setattr(wheels, "_download", made.download)
    return made
