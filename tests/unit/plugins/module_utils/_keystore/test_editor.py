# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to become of a trust store where aliases of what is wanted collide with those that are there."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._keystore import editor
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import KeyStore, KeyStoreEntry
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import parse_certificates
from ansible_collections.collab.rtc.tests.unit import paths

NEW, OLD, THIRD = (
    parse_certificates((paths.DATA / "truststore" / name).read_bytes(), name)[0]
    for name in ("plain.pem", "root.pem", "own.pem")
)


def store(**certificates):
    entries = {alias: KeyStoreEntry(alias, "trusted", (one.der,), 0) for alias, one in certificates.items()}
    return KeyStore("jks", entries)


def trusted_after(before, changes):
    """Alias -> certificate of the store that comes of the changes."""
    kept = {alias: entry for alias, entry in before.entries.items() if alias not in changes.removed}
    after = {**{alias: editor.parse_entry(entry) for alias, entry in kept.items()}, **changes.added}
    assert changes.present.items() <= after.items()
    return after


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("asked", ["", "previous"])
def test_an_alias_for_a_new_one_does_not_cost_the_trust_in_the_old_one_that_is_wanted_too(order, asked):
    before = store(corp=OLD)
    changes = editor.plan_present(before, [(NEW, "Corp"), (OLD, asked)][::order])
    other = asked or editor.default_alias(OLD)
    assert trusted_after(before, changes) == {"corp": NEW, other: OLD}
    assert set(changes.removed) == {"corp"}
    assert changes.present == {}


def test_aliases_may_go_round():
    before = store(a=OLD, b=NEW)
    changes = editor.plan_present(before, [(THIRD, "a"), (OLD, "b"), (NEW, "c")])
    assert trusted_after(before, changes) == {"a": THIRD, "b": OLD, "c": NEW}


def test_another_copy_of_the_old_one_is_enough():
    before = store(corp=OLD, copy=OLD)
    changes = editor.plan_present(before, [(OLD, ""), (NEW, "corp")])
    assert trusted_after(before, changes) == {"corp": NEW, "copy": OLD}
    assert changes.present == {"copy": OLD}


@pytest.mark.parametrize("order", [1, -1])
def test_the_same_alias_for_the_old_and_the_new_one_is_refused(order):
    with pytest.raises(editor.AliasTakenError, match="'corp' is asked for by two"):
        editor.plan_present(store(corp=OLD), [(NEW, "corp"), (OLD, "CORP")][::order])


def test_what_nobody_wants_any_more_gives_its_alias_away():
    changes = editor.plan_present(store(corp=OLD), [(NEW, "corp")])
    assert (changes.added, changes.removed, changes.present) == ({"corp": NEW}, {"corp": OLD}, {})
