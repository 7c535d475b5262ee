# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example page and its token issuer, with two people in two browsers, while the server restarts."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from rtc_example import running_example
from rtc_support import PATIENCE, ROOT, Server, free_port
from test_real_clients import node as javascript  # the fixture

__all__ = ["javascript"]
ARTEFACTS = ROOT / ".build/artefacts/pages"


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def server(tmp_path, port):
    server = Server(tmp_path, server={"origins": [f"http://127.0.0.1:{port}"], "drain_seconds": 2})
    server.start()
    yield server
    if server.process.poll() is None:
        server.kill()


@pytest.fixture
def page(server, port, tmp_path, javascript):
    """The address of the page."""
    library = javascript / "node_modules/sio4/dist/socket.io.esm.min.js"
    with running_example(server.url, port, library, tmp_path) as address:
        yield f"{address}/"


def enter(browser, address, user, **options):
    """Somebody who has joined; whatever goes wrong in the page fails the test."""
    page = browser.new_context(viewport={"width": 800, "height": 480}, **options).new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(address)
    page.get_by_label("Your name").fill(user)
    page.get_by_role("button", name="Join").click()
    page.get_by_role("status").filter(has_text="Connected").wait_for()
    return page


def has(page, number, text):
    """Wait until a line has a text."""
    page.wait_for_function(
        "([number, text]) => document.querySelectorAll('#lines input')[number]?.value === text", arg=[number, text]
    )


def test_two_people_on_one_list(browser, page, server):
    ann = enter(browser, page, "Ann", color_scheme="light")
    bob = enter(browser, page, "<b>Bob</b>", color_scheme="dark")
    bob.get_by_text("Here now: <b>Bob</b>, Ann").wait_for()
    ann.get_by_role("button", name="Add a line").click()
    ann.get_by_label("Line 1").press_sequentially("Bread, and é😀")
    has(bob, 0, "Bread, and é😀")
    bob.get_by_role("button", name="Add a line").click()
    bob.get_by_label("Line 2").fill("Milk")
    has(ann, 1, "Milk")
    bob.mouse.move(400, 300)
    ann.locator(".cursor", has_text="<b>Bob</b>").wait_for()
    assert ann.locator(".cursor b").count() == 0, "a name became markup"

    # The server restarts while both write: what was typed meanwhile is there, once, for both.
    assert server.stop() == 0
    ann.get_by_role("status").filter(has_text="next try").wait_for()
    ann.get_by_label("Line 1").fill("Bread")
    bob.get_by_label("Line 2").fill("Milk, two")
    assert "unsent" in ann.get_by_label("Line 1").get_attribute("class")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    ann.screenshot(path=ARTEFACTS / "example-away.png")
    server.start()
    for one in (ann, bob):
        has(one, 0, "Bread")
        has(one, 1, "Milk, two")
        one.locator("#lines input.unsent").first.wait_for(state="detached")
    bob.mouse.move(420, 310)
    ann.mouse.move(200, 220)
    ann.locator(".cursor").wait_for()
    bob.locator(".cursor").wait_for()
    ann.screenshot(path=ARTEFACTS / "example-light.png")
    bob.screenshot(path=ARTEFACTS / "example-dark.png")
    assert ann.locator("main").aria_snapshot() == (
        '- main:\n  - heading "One list, many hands" [level=1]\n  - status: Connected\n'
        '  - paragraph: "Here now: <b>Bob</b>, Ann"\n  - list "Lines":\n    - listitem:\n'
        '      - textbox "Line 1": Bread\n    - listitem:\n      - textbox "Line 2": Milk, two\n'
        '  - button "Add a line"'
    )

    # Whoever comes later has all of it; who leaves is gone for the others.
    eve = enter(browser, page, "Eve")
    has(eve, 1, "Milk, two")
    bob.context.close()
    ann.get_by_text("Here now: Ann, Eve").wait_for()
    ann.wait_for_function("() => !document.querySelector('.cursor')")
    assert ann.faults == eve.faults == []


def test_the_issuer_refuses_what_is_no_name(page):
    for body in (b'{"user": ""}', b'{"user": "a\\nb"}', b"{}"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{page}token", data=body), timeout=10)
        assert refused.value.code == 400
