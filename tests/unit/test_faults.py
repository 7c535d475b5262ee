# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenario ``faults``: each finding has a case on a real host, or a reason why it has none."""

from __future__ import annotations

from pathlib import Path

import yaml

from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import CATALOGUE

FILES = Path(__file__).resolve().parents[2] / "molecule/faults/vars"


def test_each_finding_has_a_case_or_a_reason():
    known = {key: value for path in FILES.glob("*.yml") for key, value in yaml.safe_load(path.read_text()).items()}
    cases = [case for key, value in known.items() if key.endswith("_cases") for case in value]
    tried = {name for case in cases for name in (*case["finds"], *case.get("muted", []))}
    excused = [name for names in known["without_case"].values() for name in names]
    assert len(excused) == len(set(excused))
    assert sorted({*tried, *excused}) == sorted(CATALOGUE)
    assert not tried & set(excused)
