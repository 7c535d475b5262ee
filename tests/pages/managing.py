# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An RTC server with its panel, people who are connected, and an administrator at a browser."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import rtc_support
from playwright.sync_api import expect

SHOTS = Path(__file__).resolve().parents[2] / ".build/artefacts/pages"
TOKEN = "a token of administrators, long enough 0123"
PATIENCE = 30_000  # milliseconds until something that should come is given up


class Managed(rtc_support.Server):
    """A server in a process of its own, whose panel is on a port of loopback."""

    def __init__(self, directory, url="", ca="", front="", **sections):
        (directory / "admin-token").write_text(TOKEN + "\n")
        self.admin_port = rtc_support.free_port()
        admin = {"listen": f"127.0.0.1:{self.admin_port}", "token": str(directory / "admin-token"), "ca": ca or None}
        admin.update(url=url or None, front=front or None)
        server = {"name": "wiki.example.com", "trusted_proxies": ["127.0.0.0/8"], **sections.pop("server", {})}
        super().__init__(directory, admin=admin, server=server, **sections)
        self.panel = f"http://localhost:{self.admin_port}"

    def start(self, status=200):
        """As systemd does, which starts it again when it ends."""
        os.environ["INVOCATION_ID"] = "0" * 32
        try:
            super().start(status)
        finally:
            del os.environ["INVOCATION_ID"]


class Crowd:
    """Clients on an event loop of their own."""

    def __init__(self, url):
        self.url = url
        self.clients = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work):
        """Wait for a coroutine."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    async def _come(self, user, project, name, transport):
        client = await rtc_support.Client.open(self.url, transport)
        client.check_contract = False  # other tests do, and it takes long with so many
        await client.connect(rtc_support.token(user, name=name))
        assert (await client.ask("join", {"project": project}))["ok"]
        self.clients.append(client)
        return client

    def come(self, user, project, name="", transport="websocket"):
        """Somebody connects and joins a project."""
        return self.do(self._come(user, project, name, transport))

    def come_all(self, people):
        """``(user, project)`` of each, some at a time."""

        async def come():
            turn = asyncio.Semaphore(20)

            async def one(user, project):
                async with turn:
                    await self._come(user, project, "", "websocket")

            await asyncio.gather(*(one(*each) for each in people))

        self.do(come())

    def leave(self):
        """All hang up."""

        async def hang_up():
            await asyncio.gather(*(client.close() for client in self.clients), return_exceptions=True)

        self.do(hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


class Administrator:
    """A browser with the panel."""

    def __init__(self, context, server):
        self.server = server
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: line.type == "error" and self.errors.append(line.text))

    def log_in(self, token=TOKEN):
        """As a person does."""
        self.page.goto(self.server.panel)
        self.page.get_by_label("Token of the panel").fill(token)
        self.page.get_by_role("button", name="Log in").click()
        return self

    def see(self, place, text):
        """Wait until an element has a text."""
        expect(self.page.locator(place)).to_contain_text(text, timeout=PATIENCE)

    def confirm(self, button, yes):
        """Press a button and say yes to what it asks."""
        self.page.get_by_role("button", name=button, exact=True).first.click()
        self.page.get_by_role("dialog").get_by_role("button", name=yes).click()

    def shoot(self, name, whole=True):
        """A picture of the page, or of all down to the steps, once nothing is said any more."""
        self.page.wait_for_function("() => !document.getElementById('said')?.textContent", timeout=PATIENCE)
        SHOTS.mkdir(parents=True, exist_ok=True)
        options = {}
        if not whole:
            end = self.page.locator("section", has=self.page.locator("#steps")).bounding_box()
            options["clip"] = {
                "x": 0,
                "y": 0,
                "width": end["width"] + 2 * end["x"],
                "height": end["y"] + end["height"] + 16,
            }
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True, **options)
