# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check page in a real browser, against the real server, directly and behind real proxies."""

from __future__ import annotations

import re

import pytest
from pages import conftest
from pages.browsing import DIRECT, NAMES, SHOTS, STEPS, Direct, Proxied, Tab, from_disk, make_link
from playwright.sync_api import expect
from proxies import conftest as proxies
from proxies.bench import Upstream

certificates, daemon, port, run_module = proxies.certificates, proxies.daemon, proxies.port, proxies.run_module
KINDS = ("nginx", "apache", "haproxy")
# What takes the header away that a WebSocket begins with.
WITHOUT_UPGRADE = {
    "nginx": ("proxy_set_header Upgrade $http_upgrade;", 'proxy_set_header Upgrade "";'),
    "apache": (" upgrade=websocket", ""),
    "haproxy": ("    option forwardfor\n", "    option forwardfor\n    http-request del-header Upgrade\n"),
}


@pytest.fixture
def server(tmp_path):
    """Without a proxy."""
    found = Direct(tmp_path)
    yield found
    found.stop()


@pytest.fixture(params=KINDS)
def proxied(request, server, daemon, port, run_module, certificates):
    """Behind each proxy, with TLS."""
    return Proxied([server], daemon(request.param), port, run_module, certificates.issue())


@pytest.fixture(scope="module")
def users(browser):
    """A browser that knows the names of the sites."""
    made = browser.browser_type.launch(executable_path=conftest.CHROMIUM, args=["--no-sandbox", NAMES])
    yield made
    made.close()


@pytest.fixture
def context(users):
    """A user's browser. What stands for the trust of a certificate is that its errors are ignored."""
    made = []

    def make(trusts=True, **options):
        made.append(users.new_context(ignore_https_errors=trusts, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def works(tab, cookies="works"):
    assert tab.status == "All works.", tab.report
    assert tab.kinds == {**dict.fromkeys(STEPS, "works"), "cookies": cookies}, tab.report


# --- what works -----------------------------------------------------------------------------------


def test_all_works_directly(server, context):
    tab = Tab(context(), make_link(server.url)).finish()
    works(tab)
    assert re.fullmatch(r"median [\d.]+ ms, worst [\d.]+ ms of 20 over WebSocket", tab.text("latency"))
    assert tab.page.locator("#unreachable").is_hidden()
    assert server.server.health("readyz")[0] == 200


def test_all_works_behind_each_proxy(proxied, context):
    works(Tab(context(), make_link(proxied.url)).finish())


def test_from_a_disk(server, context):
    works(Tab(context(), from_disk(make_link(server.url))).finish(), cookies="skipped")


def test_from_a_disk_behind_each_proxy(proxied, context):
    works(Tab(context(), from_disk(make_link(proxied.url))).finish(), cookies="skipped")


def test_for_screen_readers(server, context):
    page = Tab(context(), make_link(server.url)).finish().page
    expect(page.locator("main")).to_match_aria_snapshot("""
    - heading "Check of the collaboration service" [level=1]
    - status: All works.
    - region "Results":
      - heading "Results" [level=2]
      - list:
        - listitem: /Server an RTC server answers, \\d+ ms/
        - listitem: /Polling works, \\d+ ms/
        - listitem: /Upgrade from polling to WebSocket, \\d+ ms/
        - listitem: /WebSocket at once, without polling, \\d+ ms/
        - listitem: /Latency median .+ over WebSocket/
        - listitem: Clock as the server's, to a few seconds
        - listitem: /Cookies reach the server/
    - region "Live with a second tab":
      - heading "Live with a second tab" [level=2]
      - paragraph:
        - link "Open this check in a second tab"
      - status: No other tab is here.
      - 'group "Board: move the pointer here, or press the arrow keys"'
      - textbox "Send a change": Hello
      - button "Send"
      - list "Changes"
    - region "For support":
      - heading "For support" [level=2]
      - button "Copy report"
      - button "Check again"
      - textbox "Report"
    """)


# --- a second tab ---------------------------------------------------------------------------------


def test_two_tabs_are_live(server, context):
    one_context = context()
    one = Tab(one_context, make_link(server.url)).finish()
    with one_context.expect_page() as opened:
        one.page.locator("#second").press("Enter")
    two = opened.value
    for page in (one.page, two):
        expect(page.locator("#others")).to_have_text("One other tab is here.", timeout=30_000)
    board = two.locator("#board")
    board.focus()
    board.press("ArrowRight")
    other = one.page.locator(".dot.other")
    expect(other).to_have_css("left", re.compile(r"\d"))
    expect(other).to_have_attribute("style", re.compile(r"left: 55%"))
    two.locator("#words").fill("<img src=x onerror=alert(1)> hello")
    two.locator("#words").press("Enter")
    expect(one.page.locator("#changes li")).to_have_text("another tab: <img src=x onerror=alert(1)> hello")
    expect(two.locator("#changes li")).to_have_text(re.compile(r"^you: <img src=x .+ hello \(\d+ ms\)$"))
    assert one.page.locator("#changes img").count() == 0
    SHOTS.mkdir(parents=True, exist_ok=True)
    one.page.screenshot(path=SHOTS / "check-two-tabs.png", full_page=True)
    two.close()
    expect(one.page.locator("#others")).to_have_text("No other tab is here.", timeout=30_000)


def test_a_second_tab_goes_to_the_node_of_the_first(tmp_path, daemon, port, run_module, context):
    nodes = [Direct(tmp_path / label, server={"label": label}) for label in ("one", "two", "three")]
    try:
        site = Proxied(nodes, daemon("haproxy"), port, run_module)
        own = context()
        first = Tab(own, make_link(site.url)).finish()
        works(first)
        node = re.search(r"\(node (\w+)\)", first.text("reach"))[1]
        for _ in range(2):
            tab = Tab(own, first.page.url).finish()
            assert f"(node {node})" in tab.text("reach")
        expect(first.page.locator("#others")).to_have_text("2 other tabs are here.", timeout=30_000)
    finally:
        for one in nodes:
            one.stop()


# --- what fails -----------------------------------------------------------------------------------


def test_without_upgrade_headers(proxied, context):
    proxied.rewrite(*WITHOUT_UPGRADE[proxied.daemon.kind])
    tab = Tab(context(), make_link(proxied.url)).finish()
    assert tab.status == "Polling works, WebSocket does not: collaboration works, but more slowly."
    kinds = tab.kinds
    assert (kinds["polling"], kinds["upgrade"], kinds["websocket"]) == ("works", "fails", "fails"), tab.report
    assert "not reachable from this browser" in tab.text("websocket")
    assert "over polling" in tab.text("latency")


def is_unreachable(tab, url):
    assert tab.status == "The server is not reachable from this browser."
    assert tab.kinds == {**dict.fromkeys(STEPS, "skipped"), "reach": "fails", "websocket": "fails"}
    assert tab.text("reach").startswith("not reachable from this browser")
    direct = tab.page.locator("#direct")
    expect(direct).to_be_visible()
    assert direct.get_attribute("href") == f"{url}/check"


def test_without_polling(server, context):
    """Something on the way answers no plain requests; WebSocket passes."""
    browser = context()
    browser.route("**/socket.io/*", lambda route: route.abort())
    tab = Tab(browser, make_link(server.url)).finish()
    assert tab.status == "Not all works: see below.", tab.report
    assert (tab.kinds["reach"], tab.kinds["websocket"], tab.kinds["latency"]) == ("fails", "works", "works")
    assert tab.page.locator("#live").is_visible() and tab.page.locator("#unreachable").is_hidden()


def test_an_untrusted_certificate(server, daemon, port, run_module, certificates, context):
    site = Proxied([server], daemon("nginx"), port, run_module, certificates.issue())
    tab = Tab(context(trusts=False), from_disk(make_link(site.url))).finish()
    is_unreachable(tab, site.url)
    assert "certificate" not in tab.report  # the page cannot know


def test_the_wrong_protocol(server, context):
    url = server.url.replace("http:", "https:")
    is_unreachable(Tab(context(), from_disk(make_link(url))).finish(), url)


def test_a_server_that_is_stopped(server, context):
    link = make_link(server.url)
    tab = Tab(context(), link).finish()
    server.stop()
    tab.says("The connection is over.", "#changes li")
    is_unreachable(Tab(context(), from_disk(link)).finish(), server.url)


def test_something_else_answers(context):
    other = Upstream(websockets=False)
    try:
        tab = Tab(context(), from_disk(make_link(f"http://{DIRECT}:{other.port}"))).finish()
        # Without a word that lets other pages read it, a browser shows nothing of an answer.
        is_unreachable(tab, f"http://{DIRECT}:{other.port}")
    finally:
        other.close()


def test_a_link_that_has_expired(server, context):
    tab = Tab(context(), make_link(server.url, -60)).finish()
    assert tab.status == "The server answers, but this link does not let in: see below."
    assert tab.text("polling") == "the link has expired: get a new one"
    assert tab.page.locator("#live").is_hidden()
    tab.page.get_by_label("Paste the link").fill(make_link(server.url))
    tab.page.get_by_label("Paste the link").press("Enter")
    tab.says("All works")
    assert tab.page.locator("#help").is_hidden()


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-4], lambda text: text.replace(".", "", 1), lambda text: "#x.y.z"]
)
def test_a_link_that_is_damaged(server, context, damage):
    place, fragment = make_link(server.url).split("#")
    tab = Tab(context(), f"{place}#{damage(fragment)}")
    tab.says("The link is damaged|this link does not let in")


def test_no_link_and_one_that_is_pasted(server, context):
    tab = Tab(context(), f"{server.url}/check")
    tab.says("This page checks whether your browser reaches the collaboration service.")
    expect(tab.page.locator("#help")).to_contain_text("rtc-server check-link")
    tab.page.get_by_label("Paste the link").fill(make_link(server.url))
    tab.page.get_by_label("Paste the link").press("Enter")
    works(tab.finish())


def test_a_link_of_another_site(server, context):
    other = make_link("https://jira.example.org:9093")
    tab = Tab(context(), f"{server.url}/check#{other.partition('#')[2]}")
    tab.says(f"The link is for https://jira.example.org:9093, and this page is of {server.url}")
    assert tab.page.locator("#results").is_hidden()


def test_a_clock_that_is_wrong(server, context):
    late = context()
    late.add_init_script("const real = Date.now; Date.now = () => real() - 3600000;")
    tab = Tab(late, make_link(server.url)).finish()
    assert tab.status == "All works."
    assert tab.kinds["clock"] == "note"
    assert tab.text("clock").startswith("this computer is 60 minutes behind the server")


def test_a_name_with_markup(server, context):
    """A link is signed, so only who has the secret could make such a one; the page shows it as text all the same."""
    import base64
    import json

    claims = {"check": "0" * 16, "url": "https://<img src=x onerror=alert(1)>/"}
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    tab = Tab(context(), f"{server.url}/check#x.{part}.y")
    tab.says("The link is damaged")
    assert tab.page.locator("img").count() == 0


# --- the report -----------------------------------------------------------------------------------


def test_the_report_is_for_support_and_has_no_token(server, context):
    link = make_link(server.url)
    own = context(permissions=["clipboard-read", "clipboard-write"])
    tab = Tab(own, link).finish()
    tab.page.get_by_role("button", name="Copy report").press("Enter")
    tab.says("Copied.", "#copied")
    text = tab.report
    assert link.partition("#")[2] not in text
    assert not re.search(r"[\w-]{20,}\.[\w-]{20,}", text)
    for part in (f"{server.url}/socket.io/", "Browser:  Mozilla", "Result:   All works.", "✓ Polling: works"):
        assert part in text


# --- how it looks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scheme", "width"), [("light", "light", 900), ("dark", "dark", 900), ("narrow", "light", 360)]
)
def test_pictures(server, context, name, scheme, width):
    tab = Tab(context(color_scheme=scheme, viewport={"width": width, "height": 900}), make_link(server.url)).finish()
    page = tab.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"check-{name}.png", full_page=True)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(20, 23, 28)") == (scheme == "dark")


def test_picture_of_what_fails(context, server):
    tab = Tab(
        context(viewport={"width": 900, "height": 900}), from_disk(make_link(server.url.replace("http:", "https:")))
    ).finish()
    SHOTS.mkdir(parents=True, exist_ok=True)
    tab.page.screenshot(path=SHOTS / "check-unreachable.png", full_page=True)
