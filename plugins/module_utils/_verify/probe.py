# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The probe: one session over each transport, step by step, from this host."""

from __future__ import annotations

import contextlib
import ssl
import uuid
from dataclasses import dataclass, field
from typing import Any, Iterator, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._verify import trust
from ansible_collections.collab.rtc.plugins.module_utils._verify.client import http_errors, socketio
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.connection import Connection, parse_url
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.http1 import Dialer
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError, Checks

POLLING, WEBSOCKET, UPGRADE = TRANSPORTS = ("polling", "websocket", "upgrade")
PATH = "socket.io/"
_NO_ANSWER = ("no_answer", "closed", "reset", "upstream_timeout")  # codes of steps


@dataclass
class ProbeOptions:
    """What to probe.

    :param context: for https: what is trusted, of :func:`trust.context_of`.
    :param protocol: revision of Engine.IO, 3 or 4; 0 finds out.
    :param change: also write a change into the project and wait for it to come back.
    :param timeout: seconds for each step.
    """

    url: str
    connect_to: str = ""
    context: ssl.SSLContext | None = None
    token: str = ""
    project: str = ""
    change: bool = False
    protocol: int = 0
    transports: Sequence[str] = TRANSPORTS
    origin: str = ""
    timeout: float = 10.0


@dataclass
class ProbeResult:
    """What the probe learns beside its steps."""

    certificate: dict[str, Any] = field(default_factory=dict)
    protocol: int = 0
    ping_interval: float = 0.0  # seconds
    transports: dict[str, bool] = field(default_factory=dict)


def service_path(path: str) -> str:
    """The path of the service under a URL's path: ``/`` gives ``/socket.io/``."""
    base = path if path.endswith("/") else path + "/"
    return base if base.endswith("/" + PATH) else base + PATH


def check(options: ProbeOptions) -> dict[str, Any]:
    """Run all steps; one transport that fails does not keep the others from being tried.

    :returns: the result shape of ``steps``, with ``certificate``, ``protocol``, ``ping_interval`` and ``transports``.
    :raises RtcError: the URL is not one.
    """
    run = _Run(options)
    run.run_steps()
    found = run.found
    return {
        **run.checks.result(),
        "certificate": found.certificate,
        "protocol": found.protocol,
        "ping_interval": found.ping_interval,
        "transports": found.transports,
    }


class _Run:
    def __init__(self, options: ProbeOptions) -> None:
        endpoint = parse_url(options.url, options.connect_to)
        self.options = options
        self.checks = Checks()
        self.revision = options.protocol  # 0 until it is known
        self.found = ProbeResult(transports=dict.fromkeys(options.transports, False))
        self.path = service_path(endpoint.path)
        self.dialer = Dialer(endpoint, options.context, options.timeout)

    def run_steps(self) -> None:
        try:
            first: Connection | None = self.dialer.check(self.checks)
        except CheckError:
            return
        finally:
            self.found.certificate = trust.describe(self.dialer.certificate)
        for kind in self.options.transports:
            if kind == WEBSOCKET and first is not None:
                first.close()  # a WebSocket begins on a connection of its own
                first = None
            try:
                self._use_transport(kind, first)
                self.found.transports[kind] = True
            except CheckError:
                continue  # recorded
            finally:
                first = None

    def _use_transport(self, kind: str, connection: Connection | None) -> None:
        client: socketio.Client | None = None
        try:
            with self.checks.step(kind) as step, self._only_websocket(kind):
                client = self._open(WEBSOCKET if kind == WEBSOCKET else POLLING, connection)
                if kind == UPGRADE:
                    client.upgrade()
                step.detail = f"Engine.IO {client.revision}"
            self._exchange_messages(kind, client)
        finally:
            if client is not None:
                client.close()

    @contextlib.contextmanager
    def _only_websocket(self, kind: str) -> Iterator[None]:
        """No answer on a path where polling works: a service that gets no Upgrade may also just not answer."""
        try:
            yield
        except CheckError as exc:
            if exc.code not in _NO_ANSWER or kind == POLLING or not self.found.transports.get(POLLING):
                raise
            raise http_errors.upgrade_refused(f"{exc.message} Polling works on the same path.") from exc

    def _open(self, transport: str, connection: Connection | None) -> socketio.Client:
        """A session in the asked revision, or in the one that the server turns out to speak."""
        known = self.revision
        client = socketio.Client(self.dialer, self.path, known or 4, self.options.origin, self.options.token)
        try:
            client.open(transport, connection)
        except CheckError as exc:
            client.close()
            if known or exc.code != "unsupported_version":
                raise
            client.spoken = 3
        if client.spoken != client.revision:
            client.revision = client.spoken  # so that it takes leave in the right form
            client.close()
            self._settle_revision(client.spoken, known)
            return self._open(transport, None)
        self.found.protocol = client.revision
        self.found.ping_interval = _to_seconds(client.handshake.get("pingInterval"))
        return client

    def _settle_revision(self, spoken: int, known: int) -> None:
        """The service speaks this revision; it must be the one that was asked for, or that it spoke before."""
        if known not in (0, spoken):
            raise http_errors.unsupported(
                f"{self.dialer.endpoint.place} was asked for Engine.IO {known} and speaks {spoken}."
            )
        self.revision = spoken

    def _exchange_messages(self, kind: str, client: socketio.Client) -> None:
        """Messages both ways over the session, as far as was asked."""
        with self.checks.step(f"{kind}: connect") as step, self._only_websocket(kind):
            client.connect()
            self._settle_revision(client.revision, self.options.protocol)  # a WebSocket shows it only now
            self.found.protocol = client.revision
            step.detail = f"over {client.transport}"
        if client.revision == 3:
            with self.checks.step(f"{kind}: ping"), self._only_websocket(kind):
                client.ping()
        if not self.options.project:
            return
        body = {"project": self.options.project}
        with self.checks.step(f"{kind}: join") as step:
            answer = page = request(client, "join", body)
            while page.get("more") is True:  # what comes meanwhile is in these, too, and not in events of its own
                page = next((args for args in client.wait_for("changes") if isinstance(args, dict)), {})
            step.detail = f"revision {answer.get('revision')}, {len(answer.get('members') or [])} members"
        with self.checks.step(f"{kind}: echo") as step:
            step.detail = self._exchange_echo(client)
        request(client, "leave", body)

    def _exchange_echo(self, client: socketio.Client) -> str:
        project = self.options.project
        if not self.options.change:
            request(client, "presence", {"project": project, "state": {"probe": True}})
            return "presence"
        own = f"probe-{uuid.uuid4()}"
        revision = request(client, "change", {"project": project, "id": own, "data": {"probe": True}}).get("revision")
        (event,) = client.wait_for(
            "change", lambda args: bool(args) and isinstance(args[0], dict) and args[0].get("id") == own
        )
        if event.get("revision") != revision:
            raise change_refused(
                client.place, f"acknowledged as revision {revision}, delivered as {event.get('revision')}"
            )
        return f"change, revision {revision}"


def _to_seconds(milliseconds: Any) -> float:
    return milliseconds / 1000 if isinstance(milliseconds, (int, float)) else 0.0


def request(client: socketio.Client, event: str, body: dict[str, Any]) -> dict[str, Any]:
    """A request of the contract of this collection's service, and its answer.

    :raises CheckError: the answer is not ``{ok: true}``.
    """
    return accepted(client.place, event, client.call(event, body))


def accepted(place: str, event: str, values: Sequence[Any]) -> dict[str, Any]:
    """The answer to a request, when it says ``ok``.

    :raises CheckError: it does not.
    """
    answer = values[0] if values and isinstance(values[0], dict) else {}
    if answer.get("ok") is True:
        return answer
    words = answer.get("message") or values
    if answer.get("code") == "unavailable":
        raise CheckError(
            "unavailable",
            f"{place}: {event} was refused: {words}.",
            "The service runs, but its journal cannot be read or written: its disk, or the store of rtc_store_url.",
            "The service's log has the reason: journalctl -u 'rtc-server@*'. Where a store is away, start it; where it"
            " lets the service's user in no more, see rtc_store_password.",
        )
    refused = _join_refused if event == "join" else change_refused
    raise refused(place, f"{event} was refused: {words}")


def _join_refused(place: str, what: str) -> CheckError:
    return CheckError(
        "join_refused",
        f"{place}: {what}.",
        "The token is good, but gives no right to this project, or a limit is reached.",
        "Make a token for the project, or look at the limits in the service's configuration.",
    )


def change_refused(place: str, what: str) -> CheckError:
    """The service does not take, or not rightly deliver, what a member sends."""
    return CheckError(
        "change_refused",
        f"{place}: {what}.",
        "The right is to view only, the journal cannot be written, or a limit is reached.",
        "Look into the service's log, and at the space on the disk of its journal.",
    )
