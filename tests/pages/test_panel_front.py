# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The panel through each proxy, as the collection writes it: for the networks that are named, and for nobody else."""

from __future__ import annotations

import json
import ssl
import threading
from http.client import HTTPSConnection
from http.server import ThreadingHTTPServer

import pytest
from pages import conftest
from pages.browsing import EXTERNAL, NAMES
from pages.managing import TOKEN, Administrator, Crowd, Managed
from pages.test_panel import KINDS, _Evil
from playwright.sync_api import expect
from proxies import conftest as proxies
from proxies.bench import NAME
from rtc_support import free_port

certificates, daemon, run_module = proxies.certificates, proxies.daemon, proxies.run_module
LET, OTHER = "127.0.0.1", "127.0.0.3"  # where an administrator comes from, and somebody else
SPELLINGS = (
    *(
        "/panel/",
        "/panel/api/state",
        "//panel/api/state",
        "/panel//api/state",
        "/./panel/api/state",
        "/x/../panel/api/state",
    ),
    *(
        "/%70anel/api/state",
        "/PANEL/api/state",
        "/panel%2fapi/state",
        "/panel;a/api/state",
        "/panel/../panel/api/state",
    ),
    *(
        "/socket.io/../panel/api/state",
        "/panel/%2e%2e/panel/api/state",
        "/panel\\api/state",
        "/panel/api/state?x=/socket.io/",
    ),
)


class Front:
    """An RTC server with a panel behind a proxy, which lets those of one network to it."""

    def __init__(self, kind, directory, daemon, run_module, certificates):
        self.port = free_port()
        self.url = f"https://{NAME}:{self.port}"
        self.server = Managed(directory, front=self.url)
        self.server.panel = f"{self.url}/panel/"
        self.server.start()
        self.daemon = daemon(kind)
        certificate, key = certificates.issue(NAME)
        vhost = {
            **{"kind": kind, "name": "rtc-confluence", "role": "rtc", "server_name": NAME, "port": self.port},
            **{"listen": [EXTERNAL], "certificate": str(certificate), "key": str(key)},
            **{"panel_port": self.server.admin_port, "panel_from": [f"{LET}/32", "fd00::/64"]},
            "upstreams": [{"scheme": "http", "host": "127.0.0.1", "port": self.server.port}],
        }
        self.write = lambda: run_module("proxy_vhost", {"vhosts": [vhost], "config_root": str(self.daemon.root)})
        result = self.write()
        assert not result.get("failed"), result
        self.daemon.start()

    def connect(self, source):
        """From an address; nothing of the certificate is looked at."""
        context = ssl._create_unverified_context()
        return HTTPSConnection(EXTERNAL, self.port, source_address=(source, 0), context=context, timeout=30)

    def ask(self, connection, path, method="GET"):
        """As somebody who has the token: status and text."""
        connection.putrequest(method, path, skip_host=True)
        for name, value in {
            "Host": f"{NAME}:{self.port}",
            "Authorization": f"Bearer {TOKEN}",
            "Content-Length": "0",
        }.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


@pytest.fixture(params=KINDS)
def front(request, tmp_path, daemon, run_module, certificates):
    found = Front(request.param, tmp_path, daemon, run_module, certificates)
    yield found
    if found.server.process.poll() is None:
        found.server.kill()


@pytest.fixture(scope="module")
def far(browser):
    """A browser that knows the name of the site."""
    made = browser.browser_type.launch(executable_path=conftest.CHROMIUM, args=["--no-sandbox", NAMES])
    yield made
    made.close()


def test_an_administrator_comes_by_the_address_of_users(front, far):
    people = Crowd(front.server.url)
    context = far.new_context(ignore_https_errors=True)
    try:
        people.come("ann", "plans")
        admin = Administrator(context, front.server).log_in()
        admin.see("#people", "ann")
        assert admin.page.url == front.server.panel
        (cookie,) = [one for one in context.cookies() if one["name"].startswith("rtc-panel")]
        assert cookie["secure"] and cookie["httpOnly"] and (cookie["path"], cookie["sameSite"]) == ("/panel/", "Strict")
        admin.confirm("Disconnect ann", "Disconnect")
        admin.see("#said", "1 connections were ended")
        admin.confirm("Drain", "Drain")
        admin.see("#why", "drained")
        assert front.server.health("readyz")[0] == 503
        # The application's pages are at another port of the same name, and of many authors.
        evil = ThreadingHTTPServer((EXTERNAL, 0), type("Evil", (_Evil,), {"target": front.server.panel.rstrip("/")}))
        threading.Thread(target=evil.serve_forever, daemon=True).start()
        page = context.new_page()
        page.goto(f"http://{NAME}:{evil.server_port}/")
        page.wait_for_function("document.title !== ''")
        assert page.title().split()[:2] == ["refused", "refused"] and page.frames[1].url.startswith("chrome-error:")
        evil.shutdown()
        evil.server_close()
        assert front.server.process.poll() is None
        assert admin.errors == []
        front.server.stop()
        admin.see("#lost", "HTTP status 50")  # the proxy's own page
        front.server.start()
        admin.page.wait_for_url("**/panel/login")
        admin.log_in().see("#word", "not known")
        admin.page.get_by_role("button", name="Log out").click()
        expect(admin.page.get_by_label("Token of the panel")).to_be_visible()
        assert context.cookies() == []
    finally:
        people.leave()
        context.close()


def test_nobody_else_comes_however_the_path_is_spelled(front):
    """With the right token, which somebody may have lost."""
    for path in SPELLINGS:
        connection = front.connect(OTHER)
        status, text = front.ask(connection, path)
        connection.close()
        assert status in (400, 403, 404) and "draining" not in text, (path, status, text)
    connection = front.connect(OTHER)
    assert front.ask(connection, "/readyz") == (200, '{"status": "ready"}'), "and is let to all else"
    status, text = front.ask(connection, "/panel/api/restart", "POST")  # on the same connection
    assert status == 403, text
    connection.close()
    assert front.server.process.poll() is None
    connection = front.connect(LET)
    status, text = front.ask(connection, "/panel/api/state")
    assert status == 200 and json.loads(text)["draining"] is False
    for path in ("/metrics", "/api/state", "/panel/metrics", "/panel/../metrics", "/panel/%2e%2e/metrics"):
        connection = front.connect(LET)
        assert front.ask(connection, path)[0] in (400, 404), path
        connection.close()


def test_a_second_time_nothing_changes(front):
    """And the collection still reads what it has written."""
    result = front.write()
    assert not result.get("failed") and not result["changed"], result


SURROUNDINGS = {
    "nginx": ("etc/nginx/conf.d/a.conf", "satisfy any;\nauth_basic wiki;\nauth_basic_user_file {users};\n"),
    "apache": ("etc/apache2/conf-enabled/a.conf", '<Location "/">\n    Satisfy Any\n    Allow from all\n</Location>\n'),
}


@pytest.mark.parametrize("kind", SURROUNDINGS)
def test_who_is_let_to_all_else_is_not_let_to_the_panel(kind, tmp_path, daemon, run_module, certificates):
    """Where the whole server takes an address or a password, one of them is enough."""
    front = Front(kind, tmp_path, daemon, run_module, certificates)
    try:
        name, text = SURROUNDINGS[kind]
        users = tmp_path / "users"
        users.write_text("ann:{PLAIN}secret\n")
        users.chmod(0o644)
        (front.daemon.root / name).parent.mkdir(parents=True, exist_ok=True)
        (front.daemon.root / name).write_text(text.format(users=users))
        front.daemon.stop()
        front.daemon.start()
        for authorization in (f"Bearer {TOKEN}", "Basic YW5uOnNlY3JldA=="):
            connection = front.connect(OTHER)
            headers = {"Host": f"{NAME}:{front.port}", "Authorization": authorization}
            connection.request("GET", "/panel/api/state", headers=headers)
            assert connection.getresponse().status == 403, authorization
            connection.close()
    finally:
        front.server.kill()
