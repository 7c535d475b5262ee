# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The panel in a real browser: who gets in, what is shown, what is done, and DOWN where users cannot come."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pages.managing import PATIENCE, TOKEN, Administrator, Crowd, Managed
from playwright.sync_api import expect
from proxies import conftest as proxies
from rtc_support import free_port

certificates, daemon, run_module = proxies.certificates, proxies.daemon, proxies.run_module
KINDS = ("nginx", "apache", "haproxy")
# What takes the header away that a WebSocket begins with.
WITHOUT_UPGRADE = {
    "nginx": ("proxy_set_header Upgrade $http_upgrade;", 'proxy_set_header Upgrade "";'),
    "apache": (" upgrade=websocket", ""),
    "haproxy": ("    option forwardfor\n", "    option forwardfor\n    http-request del-header Upgrade\n"),
}
MARKUP = "<img src=x onerror=\"document.title='owned'\"><b>plans</b>"


@pytest.fixture
def run(tmp_path):
    """Start a server with a panel."""
    made = []

    def start(**options):
        made.append(Managed(tmp_path, **options))
        made[-1].start()
        return made[-1]

    yield start
    for server in made:
        if server.process is not None and server.process.poll() is None:
            server.kill()


@pytest.fixture
def crowd():
    """People at a server."""
    made = []

    def gather(server):
        made.append(Crowd(server.url))
        return made[-1]

    yield gather
    for one in made:
        one.leave()


@pytest.fixture
def context(browser):
    """Browsers of people, each with cookies of its own."""
    made = []

    def make(**options):
        made.append(browser.new_context(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def administer(context):
    """An administrator who has logged in."""

    def make(server, **options):
        return Administrator(context(**options), server).log_in()

    return make


# --- who gets in ----------------------------------------------------------------------------------


def test_login_and_logout(run, context):
    server, browser = run(), context()
    admin = Administrator(browser, server).log_in("not the token")
    admin.see("[role=alert]", "That is not the token.")
    admin.log_in()
    admin.see("#word", "not known")
    assert admin.page.title() == "RTC: wiki.example.com"
    (cookie,) = browser.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    assert admin.page.evaluate("document.cookie") == ""
    admin.page.get_by_role("button", name="Log out").click()
    admin.page.wait_for_url("**/login")
    browser.add_cookies([cookie])  # somebody has kept it
    admin.page.goto(server.panel)
    assert admin.page.url.endswith("/login")
    # "Failed to load resource: 401" is the browser's word for a wrong token
    assert [line for line in admin.errors if "401" not in line] == []


def test_a_session_that_is_over_leads_to_the_login(run, administer):
    server = run()
    admin = administer(server)
    admin.see("#word", "not known")
    server.stop()
    admin.see("#lost", "rtc-server doctor")
    server.start()  # it knows no session
    admin.page.wait_for_url("**/login")
    admin.log_in().see("#word", "not known")


class _Evil(BaseHTTPRequestHandler):
    """A page of somebody else, which sends its visitors' browsers to the panel."""

    target = ""

    def do_GET(self):
        body = f"""<!doctype html><iframe src="{self.target}/"></iframe>
<form id="form" method="post" action="{self.target}/api/restart"><input name="a" value="b"></form>
<script>
const tried = [];
for (const [path, options] of [["/api/state", {{}}], ["/api/restart", {{method: "POST"}}],
    ["/api/drain", {{method: "POST", mode: "no-cors"}}]])
  tried.push(fetch("{self.target}" + path, {{credentials: "include", ...options}})
    .then((answer) => answer.type + answer.status, () => "refused"));
Promise.all(tried).then((found) => {{ document.title = found.join(" "); }});
</script>""".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def test_a_page_of_another_origin_can_do_nothing(run, administer):
    """Also one of another port of the same name, to which the browser gives the cookie."""
    server = run()
    admin = administer(server)
    admin.see("#word", "not known")
    handler = type("Evil", (_Evil,), {"target": server.panel})
    evil = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=evil.serve_forever, daemon=True).start()
    try:
        for name in ("localhost", "127.0.0.1"):
            page = admin.page.context.new_page()
            page.goto(f"http://{name}:{evil.server_port}/")
            page.wait_for_function("document.title !== ''")
            assert page.title() == "refused refused refused"
            assert page.frames[1].url.startswith("chrome-error:"), "nobody frames it"
            page.evaluate("document.getElementById('form').submit()")
            expect(page.locator("body")).to_contain_text("the page of somebody else has sent this")
    finally:
        evil.shutdown()
        evil.server_close()
    assert server.process.poll() is None and server.health("readyz")[0] == 200


def test_an_action_without_the_pages_own_token_is_refused(run, administer):
    server = run()
    admin = administer(server)
    admin.see("#word", "not known")
    ask = "async (headers) => (await fetch('/api/drain', {method: 'POST', headers})).status"
    assert admin.page.evaluate(ask, {}) == 403
    assert admin.page.evaluate(ask, {"X-CSRF-Token": "x" * 43}) == 403
    assert server.health("readyz")[0] == 200


# --- what is shown --------------------------------------------------------------------------------


def test_names_with_markup_are_text(run, administer, crowd):
    server = run()
    people = crowd(server)
    people.come("<i>eve</i>", MARKUP, name="<script>document.title='owned'</script>")
    admin = administer(server)
    row = admin.page.locator("#people tr")
    expect(row).to_have_count(1)
    expect(row.locator("td").nth(0)).to_have_text("<script>document.title='owned'</script> (<i>eve</i>)")
    expect(row.locator("td").nth(1)).to_have_text(MARKUP)
    assert admin.page.locator("#people img, #people b, #people script").count() == 0
    assert admin.page.title() == "RTC: wiki.example.com" and admin.errors == []


def test_a_thousand_members(run, administer, crowd):
    server = run()
    crowd(server).come_all([(f"user{number:04}", f"team{number // 25:02}") for number in range(1000)])
    admin = administer(server)
    admin.see("#people-note", "1000 connections")
    admin.see("#now", "40 open, 1000 members")
    expect(admin.page.locator("#people tr")).to_have_count(200)
    admin.see("#page", "Page 1 of 5")
    expect(admin.page.get_by_role("button", name="Previous")).to_be_disabled()
    for number in range(2, 6):
        admin.page.get_by_role("button", name="Next").click()
        admin.see("#page", f"Page {number} of 5")
    admin.see("#people tr:last-child", "user0999")
    admin.page.get_by_label("User or project").fill("USER0123")
    expect(admin.page.locator("#people tr")).to_have_count(1)
    admin.see("#people", "user0123")
    admin.page.get_by_label("User or project").fill("team07")
    expect(admin.page.locator("#people tr")).to_have_count(25)
    assert admin.errors == []


def test_what_a_screen_reader_and_a_keyboard_get(run, administer, crowd):
    server = run()
    crowd(server).come("ann", "plans", name="Ann")
    admin = administer(server)
    admin.see("#people", "Ann (ann)")
    expect(admin.page.locator("body")).to_match_aria_snapshot(r"""
      - banner:
        - heading "RTC wiki.example.com" [level=1]
        - button "Log out"
      - main:
        - region "Status":
          - heading "Status" [level=2]
          - status:
            - strong: not known
            - text: the server takes changes; by which address users come is not configured
          - term: Server name
          - definition: wiki.example.com
          - term: Port
          - definition: /\d+/
          - term: Protocol
          - definition: HTTP
        - region "The way users come":
          - heading "The way users come" [level=2]
          - button "Verify now" [disabled]
        - region "Now"
        - region "What is kept"
        - region "Who is connected":
          - heading "Who is connected" [level=2]
          - searchbox "User or project"
          - region "Who is connected":
            - table:
              - rowgroup:
                - row:
                  - columnheader "User"
                  - columnheader "Projects"
              - rowgroup:
                - row:
                  - cell "Ann (ann)"
                  - cell "plans"
                  - cell "websocket"
                  - cell
                  - cell "127.0.0.1"
                  - cell:
                    - button "Disconnect Ann (ann)"
        - region "Recent warnings and errors"
        - region "Actions":
          - button "Restart"
          - button "Drain"
          - button "Resume" [disabled]
      - contentinfo
    """)
    # A dialog takes the focus, Escape says no, and the focus is back where it was.
    drain = admin.page.get_by_role("button", name="Drain")
    drain.focus()
    admin.page.keyboard.press("Enter")
    expect(admin.page.get_by_role("dialog")).to_be_visible()
    expect(admin.page.get_by_role("button", name="Cancel")).to_be_focused()
    admin.page.keyboard.press("Escape")
    expect(admin.page.get_by_role("dialog")).to_be_hidden()
    expect(drain).to_be_focused()
    assert server.health("readyz")[0] == 200


# --- what is done ---------------------------------------------------------------------------------


def test_actions(run, administer, crowd):
    server = run()
    people = crowd(server)
    ann, bob = people.come("ann", "plans"), people.come("bob", "plans")
    admin = administer(server)
    expect(admin.page.locator("#people tr")).to_have_count(2)
    admin.confirm("Disconnect ann", "Disconnect")
    admin.see("#said", "1 connections were ended")
    expect(admin.page.locator("#people tr")).to_have_count(1)
    assert ann.of("closing")[0]["reason"] == "disconnected" and bob.of("closing") == []
    admin.confirm("Drain", "Drain")
    admin.see("#word", "DOWN")
    admin.see("#why", "drained")
    assert server.health("readyz") == (503, {"status": "not ready", "reason": "draining"})
    resume = admin.page.get_by_role("button", name="Resume")
    expect(resume).to_be_enabled()
    while server.health("readyz")[0] != 200:  # those who do not read have a moment
        resume.click()
        admin.page.wait_for_timeout(100)
    admin.see("#word", "not known")
    people.come("cid", "plans")
    first = server.process.pid
    admin.confirm("Restart", "Restart")
    assert server.process.wait(30) == 0
    server.start()  # as systemd does
    admin.page.wait_for_url("**/login")
    admin.log_in().see("#word", "not known")
    assert server.process.pid != first
    assert TOKEN not in server.log.read_text()


# --- the way users come ---------------------------------------------------------------------------


class Proxied:
    """An RTC server behind a proxy that ends TLS, and its panel."""

    def __init__(self, kind, directory, daemon, run_module, certificates):
        self.port = free_port()
        self.daemon, self.certificates = daemon(kind), certificates
        self.server = Managed(directory, url=f"https://localhost:{self.port}", ca=str(certificates.authority))
        self.server.start()
        self.pair = [directory / "front.pem", directory / "front.key"]
        for path, source in zip(self.pair, certificates.issue("localhost"), strict=True):
            path.write_text(Path(source).read_text())
        vhost = {
            **{"kind": self.daemon.kind, "name": "rtc-confluence", "role": "rtc", "server_name": "localhost"},
            **{"port": self.port, "listen": ["127.0.0.1"]},
            **{"certificate": str(self.pair[0]), "key": str(self.pair[1])},
            "upstreams": [{"scheme": "http", "host": "127.0.0.1", "port": self.server.port}],
        }
        result = run_module("proxy_vhost", {"vhosts": [vhost], "config_root": str(self.daemon.root)})
        assert not result.get("failed"), result
        self.daemon.start()

    def replace(self, *changes):
        """Somebody changes texts in the files of the proxy; those before are kept."""
        files = [*self.pair, *self.daemon.root.joinpath("etc").rglob("*")]
        self.before = {
            path: path.read_text(errors="replace") for path in files if path.is_file() and not path.is_symlink()
        }
        for before, after in changes:
            found = [path for path, text in self.before.items() if before in text]
            assert found, before
            for path in found:
                path.write_text(path.read_text().replace(before, after))

    def present(self, name):
        """Somebody puts the certificate for another name there, which the collection would refuse."""
        pairs = zip(self.pair, self.certificates.issue(name), strict=True)
        self.replace(*((path.read_text(), Path(other).read_text()) for path, other in pairs))

    def restore(self):
        """The files are as they were before the last change."""
        for path, text in self.before.items():
            if path.read_text(errors="replace") != text:
                path.write_text(text)

    def restart(self):
        self.daemon.stop()
        self.daemon.start()


@pytest.fixture(params=KINDS)
def proxied(request, tmp_path, daemon, run_module, certificates):
    """Behind each proxy."""
    found = Proxied(request.param, tmp_path, daemon, run_module, certificates)
    yield found
    found.server.kill()


def verify(admin, word, *texts):
    """Press the button until what is seen is of now."""
    button = admin.page.get_by_role("button", name="Verify now")
    expect(button).to_be_enabled(timeout=PATIENCE)
    button.click()
    expect(button).to_be_enabled(timeout=PATIENCE)
    admin.see("#word", word)
    for text in texts:
        admin.see("#verdict", text)
    return [item.get_attribute("data-state") for item in admin.page.locator("#steps li").all()]


def test_the_way_fails_while_the_process_lives(proxied, administer):
    admin = administer(proxied.server)
    ok, failed, skipped = "ok", "failed", "skipped"
    assert verify(admin, "UP", "HTTP + SSL", str(proxied.port), "valid until") == [ok] * 6
    assert admin.page.title() == "UP: wiki.example.com"
    proxied.daemon.stop()
    assert verify(admin, "DOWN", f"connection: port {proxied.port} cannot be reached", "See whether the proxy runs") == [
        ok, failed, skipped, skipped, skipped, skipped,
    ]  # fmt: skip
    proxied.replace(WITHOUT_UPGRADE[proxied.daemon.kind])
    proxied.daemon.start()
    assert verify(admin, "DOWN", "WebSocket: the upgrade to WebSocket is answered", "pass Upgrade") == [ok] * 5 + [
        failed
    ]
    proxied.restore()
    proxied.restart()
    assert verify(admin, "UP") == [ok] * 6
    proxied.present("other.example.com")
    proxied.restart()
    found = verify(admin, "DOWN", "TLS: the certificate is refused", "Get one with the name that users type.")
    assert found == [ok, ok, failed, skipped, skipped, skipped]
    assert proxied.server.health("readyz")[0] == 200 and admin.errors == []


def test_the_proxy_loses_the_server(tmp_path, daemon, run_module, certificates, administer):
    """It forwards to a port where nobody is."""
    proxied = Proxied("nginx", tmp_path, daemon, run_module, certificates)
    try:
        admin = administer(proxied.server)
        proxied.replace((f"127.0.0.1:{proxied.server.port}", f"127.0.0.1:{free_port()}"))
        proxied.restart()
        verify(admin, "DOWN", "service: the proxy answers 502", "See where the proxy forwards to")
    finally:
        proxied.server.kill()


# --- how it looks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"color_scheme": "light", "viewport": {"width": 900, "height": 800}}),
        ("dark", {"color_scheme": "dark", "viewport": {"width": 1100, "height": 800}}),
        ("narrow", {"color_scheme": "light", "viewport": {"width": 360, "height": 800}}),
    ],
)
def test_pictures(tmp_path, daemon, run_module, certificates, administer, crowd, context, name, options):
    """Nothing is wider than the window, and the colours can be read."""
    proxied = Proxied("nginx", tmp_path, daemon, run_module, certificates)
    try:
        people = crowd(proxied.server)
        people.come("ann", "Roadmap 2027", name="Ann Lee")
        people.come("bob", "Roadmap 2027", name="Bob", transport="polling")
        people.come("cid", "Checkout – wireframes of the mobile application with a long name", name="Cid")
        login = Administrator(context(**options), proxied.server)
        login.page.goto(proxied.server.panel)
        login.shoot(f"panel-login-{name}")
        admin = administer(proxied.server, **options)
        verify(admin, "UP")
        expect(admin.page.locator("#people tr")).to_have_count(3)
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert admin.page.evaluate(width) == 0
        admin.shoot(f"panel-{name}")
        admin.shoot(f"panel-{name}-top", whole=False)
        assert read_contrasts(admin.page) == []
        proxied.daemon.stop()
        verify(admin, "DOWN")
        admin.shoot(f"panel-down-{name}")
        admin.shoot(f"panel-down-{name}-top", whole=False)
        assert admin.page.evaluate(width) == 0 and read_contrasts(admin.page) == []
    finally:
        proxied.server.kill()


_CONTRASTS = """() => {
  const read = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const back = (element) => {
    for (; element; element = element.parentElement) {
      const colour = read(getComputedStyle(element).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("main *, header *, footer *")) {
    if (!element.checkVisibility() || element.disabled || element.classList.contains("unseen")) continue;
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const [one, other] = [read(getComputedStyle(element).color), back(element)].map(light).sort((a, b) => b - a);
    if ((one + 0.05) / (other + 0.05) < 4.5) found.push(element.outerHTML.slice(0, 100));
  }
  return found;
}"""


def read_contrasts(page):
    """Texts whose contrast is below 4.5 (WCAG 2.2, 1.4.3)."""
    return page.evaluate(_CONTRASTS)
