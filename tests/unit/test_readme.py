# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""README.md lists all that the collection has."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def list_parts():
    for kind in ("plugins/modules", "plugins/filter", "playbooks"):
        files = sorted((ROOT / kind).glob("*.*"))
        yield from (file.stem for file in files if not file.stem.startswith("_"))
    yield from (role.name for role in sorted((ROOT / "roles").iterdir()))


@pytest.mark.parametrize("name", sorted(set(list_parts())))
def test_a_part_is_named(name):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    forms = (f"`{name}`", f"`collab.rtc.{name}`", f"[{name}](roles/{name}/README.md)")
    assert any(form in text for form in forms)
