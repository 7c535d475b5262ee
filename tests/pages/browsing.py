# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check page as a user's browser has it: opened by a link, from the server or from a disk."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import rtc_support
from playwright.sync_api import expect
from proxies.bench import NAME

from rtc_server import checking

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / ".build/artefacts/pages"
FILE = ROOT / "files/rtc_server/src/rtc_server/check.html"
EXTERNAL = "127.0.2.1"  # where proxies listen
DIRECT = "direct.example.com"
# Names as users have them: other than localhost, they are no secure context without TLS.
NAMES = f"--host-resolver-rules=MAP {NAME} {EXTERNAL}, MAP {DIRECT} 127.0.0.1"
STEPS = ("reach", "polling", "upgrade", "websocket", "latency", "clock", "cookies")
PATIENCE = 30_000  # milliseconds until something that should come is given up


def make_link(url, ttl=300):
    """A link as ``rtc-server check-link`` prints it."""
    return f"{url}{checking.PATH}#{rtc_support.TOKENS.make_check(url + '/socket.io/', ttl)}"


def from_disk(link):
    """The same link, for the page beside the report."""
    return f"{FILE.as_uri()}#{urlsplit(link).fragment}"


class Tab:
    """A page that checks; ``results`` once it has."""

    def __init__(self, context, address):
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)

    def finish(self):
        """Wait for the end of the check."""
        expect(self.page.locator("#report")).to_be_visible(timeout=2 * PATIENCE)
        assert self.errors == []
        return self

    @property
    def status(self):
        return self.page.locator("#status").inner_text()

    @property
    def kinds(self):
        """Step -> works, fails, note, skipped."""
        return {step: self.page.locator(f"#step-{step}").get_attribute("class") for step in STEPS}

    def text(self, step):
        return self.page.locator(f"#step-{step} .text").inner_text()

    @property
    def report(self):
        return self.page.locator("#text").input_value()

    def says(self, pattern, place="#status"):
        expect(self.page.locator(place)).to_have_text(re.compile(pattern), timeout=PATIENCE)


class Direct:
    """An RTC server without a proxy."""

    def __init__(self, directory, server=()):
        directory.mkdir(exist_ok=True)
        self.server = rtc_support.Server(directory, server={"trusted_proxies": ["127.0.0.0/8"], **dict(server)})
        self.label = dict(server).get("label", "")
        self.server.start()
        self.url = f"http://{DIRECT}:{self.server.port}"

    def stop(self):
        if self.server.process.poll() is None:
            self.server.kill()


class Proxied:
    """A proxy before RTC servers, with the virtual host that the collection writes."""

    def __init__(self, nodes, daemon, port, run_module, certificate=None):
        self.daemon = daemon
        self.url = f"http{'s' if certificate else ''}://{NAME}:{port}"
        tls = {"certificate": certificate[0], "key": certificate[1]} if certificate else {}
        upstreams = [
            {"scheme": "http", "host": "127.0.0.1", "port": node.server.port, "label": node.label} for node in nodes
        ]
        vhost = {
            **{"kind": daemon.kind, "name": "rtc-confluence", "role": "rtc", "server_name": NAME, "port": port},
            **{"listen": [EXTERNAL], "upstreams": upstreams, **tls},
        }
        result = run_module("proxy_vhost", {"vhosts": [vhost], "config_root": str(daemon.root)})
        assert not result.get("failed"), result
        daemon.start()

    def rewrite(self, before, after):
        """Somebody changes the virtual host."""
        found = [path for path in self.daemon.root.joinpath("etc").rglob("*.c*") if path.is_file()]
        found = [path for path in found if not path.is_symlink() and before in path.read_text(errors="replace")]
        assert found, f"{before} is not in what was written"
        for path in found:
            path.write_text(path.read_text().replace(before, after))
        self.daemon.stop()
        self.daemon.start()
