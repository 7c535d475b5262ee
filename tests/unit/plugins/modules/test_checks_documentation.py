# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three modules that check document the result that they share in the same words: a RETURN block cannot be shared."""

from __future__ import annotations

import importlib

import pytest
import yaml

from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import Checks

MODULES = ("rtc_probe", "rtc_session", "application_check")
SHARED = {"ok", "steps", "failed_step", "code", "cause", "remedy", "certificate"}


def documented(name):
    module = importlib.import_module(f"ansible_collections.collab.rtc.plugins.modules.{name}")
    return yaml.safe_load(module.RETURN)


def in_common(member):
    """What has to agree. Paragraphs of the description after the first are the module's own."""
    description = member["description"]
    first = description if isinstance(description, str) else description[0]
    return {
        "description": first,
        **{key: member.get(key) for key in ("type", "elements", "returned")},
    }


@pytest.mark.parametrize("module", MODULES[1:])
def test_shared_members_agree(module):
    first, other = documented(MODULES[0]), documented(module)
    assert set(first) & set(other) == SHARED
    for name in SHARED:
        assert in_common(first[name]) == in_common(other[name]), name
    assert first["steps"]["contains"] == other["steps"]["contains"]


@pytest.mark.parametrize("module", MODULES)
def test_shape_of_the_result_is_documented(module):
    result = Checks().result()
    assert set(result) == SHARED - {"certificate"}
    assert set(result) <= set(documented(module))
