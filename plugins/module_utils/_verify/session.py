# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two clients written by others, python-socketio's, work on one project through the real path.

One speaks over WebSocket only, one over polling only. This runs on the controller, with the controller's Python.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import traceback
import uuid
from dataclasses import dataclass
from typing import Any, Callable, Coroutine

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._verify import probe, trust
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.connection import parse_url
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.http1 import Dialer
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError, Checks

IMPORT_ERRORS: dict[str, str] = {}
try:
    import aiohttp
except ImportError:
    IMPORT_ERRORS["aiohttp"] = traceback.format_exc()
try:
    import socketio
except ImportError:
    IMPORT_ERRORS["python-socketio"] = traceback.format_exc()

# Changes that each client sends at once. Events and acknowledgements together stay below 16: python-engineio's client
# takes no more packets in one poll.
BURST = 3
_GOODBYE = 1.0  # seconds


@dataclass
class SessionOptions:
    """What to check; see the options of ``rtc_session``. ``timeout``: seconds for each step."""

    url: str
    token: str
    project: str
    connect_to: str = ""
    context: ssl.SSLContext | None = None
    origin: str = ""
    timeout: float = 10.0
    write: bool = True  # False: only connect and join


def check(options: SessionOptions) -> dict[str, Any]:
    """Run all steps; the first that fails ends the check.

    :returns: the result shape of ``steps``, with ``certificate`` and ``revision``.
    :raises RtcError: the URL is not one, or names an address while ``connect_to`` names another.
    """
    run = _Run(options)
    with contextlib.suppress(CheckError):  # recorded
        run.dialer.check(run.checks).close()
        asyncio.run(run.run_steps())
    return {
        **run.checks.result(),
        "certificate": trust.describe(run.dialer.certificate),
        "revision": run.revision,
    }


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Run:
    def __init__(self, options: SessionOptions) -> None:
        endpoint = parse_url(options.url, options.connect_to)
        if endpoint.connect_host and _is_address(endpoint.host):
            raise RtcError(
                f"connect_to is of no use with an address in the URL ({endpoint.host}).",
                "Name the server, or leave connect_to out.",
            )
        self.options = options
        self.place = endpoint.place
        self.checks = Checks()
        self.dialer = Dialer(endpoint, options.context, options.timeout)
        self.path = probe.service_path(endpoint.path)
        self.revision = 0

    async def run_steps(self) -> None:
        one, other = _Client(self, "websocket"), _Client(self, "polling")
        try:
            await self._enter(one, other)
            if self.options.write:
                await self._work(one, other)
        finally:
            await asyncio.gather(one.drop(), other.drop())

    async def _enter(self, one: _Client, other: _Client) -> None:
        for client in (one, other):
            with self.checks.step(f"{client.kind}: connect") as step:
                await client.connect()
                step.detail = f"over {client.transport}"
        for client in (one, other):
            with self.checks.step(f"{client.kind}: join") as step:
                await client.join()
                step.detail = f"revision {client.revision}, {len(client.members)} members"
        # Servers that share a store tell each other who is there: the answer to join may be earlier.
        if not await other.meets(one.member):
            with self.checks.step("members"):
                raise self.make_divergence_error(
                    f"the {other.kind} client does not learn that the {one.kind} client is there"
                )
        self.revision = other.revision

    async def _work(self, one: _Client, other: _Client) -> None:
        start = other.revision
        await self._check_both_directions(one, other, "")
        with self.checks.step("changes at once") as step:
            await asyncio.gather(*(client.change(number) for number in range(BURST) for client in (one, other)))
            await self._settle(one, other)
            step.detail = f"{2 * BURST} changes, revision {self.revision}"
        for gone, stays in ((one, other), (other, one)):
            with self.checks.step(f"{gone.kind}: reconnect") as step:
                step.detail = await self._check_reconnect(gone, stays)
        await self._check_both_directions(one, other, " after reconnecting")
        with self.checks.step("order") as step:
            self._compare(start, one, other)
            step.detail = f"revisions {start + 1} to {self.revision}, the same for both"
        # Each check leaves changes in the project, and whoever joins without a snapshot gets all that there ever were.
        with self.checks.step("snapshot") as step:
            step.detail = await one.keep_snapshot(self.revision)

    async def _check_both_directions(self, one: _Client, other: _Client, when: str) -> None:
        for sender, receiver in ((one, other), (other, one)):
            with self.checks.step(f"{sender.kind} to {receiver.kind}{when}") as step:
                revision = await sender.change("one")
                await self._settle(one, other)
                step.detail = f"revision {revision}"

    async def _settle(self, *clients: _Client) -> None:
        """All that was acknowledged has arrived everywhere."""
        self.revision = max(client.acknowledged for client in clients)
        for client in clients:
            await client.reach(self.revision)

    async def _check_reconnect(self, gone: _Client, stays: _Client) -> str:
        """One goes, the other changes something, the one comes back and gets just what it missed."""
        since = gone.revision
        await gone.drop()
        self.revision = await stays.change("meanwhile")
        await stays.reach(self.revision)
        await gone.connect()
        await gone.join()
        if gone.reset:
            raise self.make_divergence_error(
                f"the {gone.kind} client has to begin anew instead of getting what it missed"
            )
        await gone.reach(self.revision)
        return f"missed revisions {since + 1} to {self.revision}"

    def _compare(self, start: int, one: _Client, other: _Client) -> None:
        start = max(start, one.compacted, other.compacted)  # of a check that runs at the same time
        wanted = list(range(start + 1, self.revision + 1))
        for client in (one, other):
            client.seen = [change for change in client.seen if start < change[0] <= self.revision]
            got = [revision for revision, _id in client.seen]
            if got != wanted:
                raise self.make_divergence_error(
                    f"the {client.kind} client got the revisions {_shorten(got)} instead of {_shorten(wanted)}"
                )
        if one.seen != other.seen:
            raise self.make_divergence_error("the two clients got different changes under the same revisions")
        known = dict(one.seen)
        for client in (one, other):
            for own, revision in client.acks.items():
                if revision > start and known.get(revision) != own:
                    raise self.make_divergence_error(
                        f"a change of the {client.kind} client was acknowledged as {revision} and delivered as another"
                    )

    def make_divergence_error(self, what: str) -> CheckError:
        """The two clients do not see the same."""
        return CheckError(
            "not_shared",
            f"{self.place}: {what}.",
            "The clients are on two servers that share no store, or the service lost its order.",
            "Look which upstreams the proxy has for this port: without a shared store one is active, others are "
            "backup.",
        )

    def make_timeout_error(self, kind: str, what: str) -> CheckError:
        """Something did not come in time."""
        return CheckError(
            "no_event",
            f"{self.place}: the {kind} client waited {self.options.timeout:g} s for {what}.",
            "The connection stands, but messages are held back (a proxy that buffers), or the clients are on two "
            "servers.",
            "Switch buffering off for the RTC port, and look which upstreams the proxy has for it.",
        )


def _shorten(revisions: list[int]) -> str:
    return str(revisions if len(revisions) <= 20 else [*revisions[:10], "…", *revisions[-9:]])


class _Client:
    """A member of the project, over one transport."""

    def __init__(self, run: _Run, kind: str) -> None:
        self._run = run
        self.kind = kind
        self.member = ""
        self.members: set[str] = set()
        self.revision = 0  # the last one seen
        self.compacted = 0  # up to there a snapshot came in place of changes
        self.reset = False
        self.acknowledged = 0
        self.acks: dict[str, int] = {}  # own ids
        self.seen: list[tuple[int, str]] = []  # revision and id, in the order of arrival
        self._epoch: str | None = None
        self._early: list[Any] | None = None
        self._refusal: Any = None
        self._arrived = asyncio.Event()
        self._sio: Any = None
        self._session: Any = None

    @property
    def transport(self) -> str:
        """What is really used."""
        return str(self._sio.transport())

    # --- the connection ---------------------------------------------------------------------

    async def connect(self) -> None:
        run, options = self._run, self._run.options
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=options.context or True, resolver=_make_resolver(run.dialer)),
            cookie_jar=aiohttp.DummyCookieJar(),  # as a page on another port: no cookies
        )
        self._sio = socketio.AsyncClient(
            reconnection=False, handle_sigint=False, http_session=self._session, request_timeout=options.timeout
        )
        self._sio.on("change", self._change)
        self._sio.on("changes", self._take_page)  # what did not fit into the answer to join
        self._sio.on("members", self._note_members)
        self._sio.on("connect_error", self._refused)
        endpoint = run.dialer.endpoint
        try:
            await self._sio.connect(
                endpoint.origin,
                headers={"Origin": options.origin} if options.origin else {},
                auth={"token": options.token},
                transports=[self.kind],
                socketio_path=run.path.strip("/"),
                wait_timeout=options.timeout,
            )
        except (socketio.exceptions.ConnectionError, aiohttp.ClientError, OSError, ValueError) as exc:
            raise await self._explain(exc) from exc

    def _refused(self, data: Any) -> None:
        self._refusal = data

    async def _explain(self, exc: Exception) -> CheckError:
        """The library says little about why it could not connect: look again with the client of this package."""
        options = self._run.options
        again = probe.ProbeOptions(
            options.url,
            options.connect_to,
            options.context,
            options.token,
            protocol=4,
            transports=[self.kind],
            origin=options.origin,
            timeout=options.timeout,
        )
        found = await asyncio.get_running_loop().run_in_executor(None, probe.check, again)
        if not found["ok"]:
            detail = next(step["detail"] for step in found["steps"] if not step["ok"])
            return CheckError(found["code"], detail, found["cause"], found["remedy"])
        words = self._refusal.get("message") if isinstance(self._refusal, dict) else self._refusal
        return CheckError(
            "unexpected",
            f"{self._run.place}: python-socketio could not connect over {self.kind}: {words or exc}.",
            "It worked when it was tried again: the service restarted, or is reached only at times.",
            "Run the check again, and look into the log of proxy and service.",
        )

    async def drop(self) -> None:
        """Be gone, without leaving the project first; never fails.

        The library waits for the end of its pending poll. A server may let that hang on, so not for long: what counts
        is that nothing is read any more.
        """
        for ending in (self._sio.disconnect if self._sio else None, self._session.close if self._session else None):
            if ending is not None:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(ending(), _GOODBYE)
        self._sio = self._session = None

    # --- the project ------------------------------------------------------------------------

    async def join(self) -> None:
        """Join, with what is already known."""
        body: dict[str, Any] = {"project": self._run.options.project}
        if self._epoch is not None:
            body.update(since=self.revision, epoch=self._epoch)
        self._early = []  # what is delivered after the answer may be handled before it
        self.members = set()
        answer = await self._call("join", body)
        self.member = str(answer.get("member", ""))
        self._note_members({"joined": answer.get("members")})
        self.reset = bool(answer.get("reset"))
        first = self._epoch is None
        self._epoch = answer.get("epoch")
        early, self._early = self._early, None
        self._take_page(answer)
        for change in early:
            self._change(change)
        if first:
            self.revision = max(self.revision, int(answer.get("revision") or 0))

    async def change(self, what: Any) -> int:
        """Send a change; its revision."""
        own = f"verify-{uuid.uuid4()}"
        body = {"project": self._run.options.project, "id": own, "data": {"from": self.kind, "what": what}}
        revision = (await self._call("change", body)).get("revision")
        if not isinstance(revision, int) or revision < 1:
            raise probe.change_refused(self._run.place, f"a change was acknowledged without a revision: {revision!r}")
        self.acks[own] = revision
        self.acknowledged = max(self.acknowledged, revision)
        return revision

    async def keep_snapshot(self, revision: int) -> str:
        """Keep one of that revision; what became of it."""
        kept = {"project": self._run.options.project, "revision": revision, "data": {"verified": revision}}
        answer = await self._ask("snapshot", kept)
        if isinstance(answer, dict) and answer.get("code") == "stale":
            return "another check has kept a later one"
        probe.accepted(self._run.place, "snapshot", [answer])
        return f"revision {revision}"

    def _take_page(self, page: Any) -> None:
        """What was there before: a snapshot, if it saves changes, and the changes after it."""
        if not isinstance(page, dict):
            return
        snapshot = page.get("snapshot")
        if isinstance(snapshot, dict) and isinstance(snapshot.get("revision"), int):
            self.compacted = max(self.compacted, snapshot["revision"])
            self.revision = max(self.revision, snapshot["revision"])
        for change in page.get("changes") or []:
            self._change(change)
        self._arrived.set()

    def _change(self, change: Any) -> None:
        if self._early is not None:
            self._early.append(change)
        elif isinstance(change, dict) and isinstance(change.get("revision"), int):
            self.seen.append((change["revision"], str(change.get("id"))))
            self.revision = max(self.revision, change["revision"])
        self._arrived.set()

    def _note_members(self, told: Any) -> None:
        if isinstance(told, dict):
            self.members -= {str(item) for item in told.get("left") or []}
            found = told.get("joined") or told.get("members") or []
            self.members |= {str(item.get("member", "")) for item in found if isinstance(item, dict)}
        self._arrived.set()

    async def meets(self, member: str) -> bool:
        """Whether it learns in time that somebody is there, by the answer to ``join`` or afterwards."""
        try:
            await asyncio.wait_for(self._until(lambda: member in self.members), self._run.options.timeout)
        except asyncio.TimeoutError:
            return False
        return True

    async def reach(self, revision: int) -> None:
        """Wait until that revision has arrived."""
        await self._timed(self._until(lambda: self.revision >= revision), f"revision {revision}")

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._arrived.clear()
            await self._arrived.wait()

    async def _call(self, event: str, body: dict[str, Any]) -> dict[str, Any]:
        return probe.accepted(self._run.place, event, [await self._ask(event, body)])

    async def _ask(self, event: str, body: dict[str, Any]) -> Any:
        try:
            return await self._sio.call(event, body, timeout=self._run.options.timeout)
        except socketio.exceptions.TimeoutError as exc:
            raise self._run.make_timeout_error(self.kind, f"the answer to {event}") from exc
        except socketio.exceptions.SocketIOError as exc:
            raise CheckError(
                "closed",
                f"{self._run.place}: the {self.kind} client lost its connection before {event}: {exc}.",
                "The proxy or the service ended it: a time limit, or a restart.",
                "Look into the log of both; raise the proxy's time limits for this port.",
            ) from exc

    async def _timed(self, waiting: Coroutine[Any, Any, Any], what: str) -> None:
        try:
            await asyncio.wait_for(waiting, self._run.options.timeout)
        except asyncio.TimeoutError as exc:
            raise self._run.make_timeout_error(self.kind, what) from exc


def _make_resolver(dialer: Dialer) -> Any:
    """Names lead to the address that took the connection in the first steps, as ``connect_to`` wants it."""

    class Fixed(aiohttp.abc.AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
            found = await asyncio.get_running_loop().getaddrinfo(dialer.peer, dialer.endpoint.connect_port or port)
            kind, _type, proto, _name, address = found[0]
            return [
                {
                    "hostname": host,
                    "host": address[0],
                    "port": address[1],
                    "family": kind,
                    "proto": proto,
                    "flags": 0,
                }
            ]

        async def close(self) -> None:
            """Nothing is held."""

    return Fixed()
