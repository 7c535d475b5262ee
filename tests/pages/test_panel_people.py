# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The panel's list of people: names of any kind, and whoever is in it by keyboard."""

from __future__ import annotations

from pages import test_panel
from pages.managing import PATIENCE
from playwright.sync_api import expect

administer, context, crowd, run = test_panel.administer, test_panel.context, test_panel.crowd, test_panel.run


def test_names_in_any_direction_stay_apart(run, administer, crowd):
    """Letters that are written from right to left would put name and user, and projects, into another order."""
    server = run()
    crowd(server).come("\u05d3\u05d4\u05d5", "\u05d0\u05d1\u05d2", name="\u05d6\u05d7\u05d8" + 80 * "\u0301")
    admin = administer(server)
    names = admin.page.locator("#people td bdi")
    expect(names).to_have_count(3)
    left = "(element) => element.getBoundingClientRect().left"
    assert names.nth(0).evaluate(left) < names.nth(1).evaluate(left), "the name is before the user"
    assert names.nth(0).evaluate("(element) => getComputedStyle(element.closest('td')).contain") == "paint"


def test_the_focus_stays_while_people_come_and_go(run, administer, crowd):
    """Somebody on the way to a button, by keyboard, in a list that is new every few seconds."""
    server = run()
    people = crowd(server)
    first = people.come("ann", "plans")
    people.come("bob", "plans")
    admin = administer(server)
    button = admin.page.get_by_role("button", name="Disconnect bob")
    button.focus()
    people.come("aaron", "plans")
    people.come("cid", "plans")
    people.do(first.close())
    expect(admin.page.locator("#people tr")).to_have_count(3, timeout=PATIENCE)
    expect(admin.page.locator("#people tr td:first-child")).to_have_text(["aaron", "bob", "cid"], timeout=PATIENCE)
    expect(button).to_be_focused()
    assert admin.errors == []
