# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trying the address that users come by, step by step, as a client does: so DOWN is said of the path, with the step
that fails, also where the process itself is well."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from ..given_files import read_given

logger = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds for each step
_MOST_BYTES = 10_000  # of an answer
STEPS = ("name", "connection", "TLS", "service", "polling", "WebSocket")
OK, FAILED, SKIPPED = "ok", "failed", "skipped"


class StepFailed(Exception):
    """A step has failed: what is wrong, and what to do."""

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy


@dataclass
class Step:
    """One thing that a client needs. ``took`` is in seconds."""

    name: str
    state: str
    text: str
    remedy: str = ""
    took: float = 0.0


@dataclass
class Path:
    """What came of a try. ``ends`` is the end of the certificate that the address presents (seconds since 1970); 0:
    there is none."""

    at: float = 0.0
    steps: list[Step] = field(default_factory=list)
    ends: float = 0.0
    subject: str = ""

    def find_failed(self) -> Step | None:
        """The step that explains the others."""
        return next((step for step in self.steps if step.state == FAILED), None)


class _Try:
    """One try. Steps that need one that failed are skipped."""

    def __init__(self, url: str, ca: str, socket_path: str) -> None:
        parts = urlsplit(url)
        self.secure = parts.scheme == "https"
        self.name = parts.hostname or ""
        self.port = parts.port or (443 if self.secure else 80)
        self.url = url
        self.ca = ca
        self.socket_url = url + socket_path
        self.addresses: list[str] = []
        self.address = ""  # the first that can be reached
        self.context: ssl.SSLContext | None = None
        self.path = Path(time.time())
        self.http: aiohttp.ClientSession | None = None

    async def run(self) -> Path:
        """Do all steps up to the first that fails; the last two do not need one another."""
        reached = await self._do("name", self._resolve) and await self._do("connection", self._connect)
        if reached and self.secure:
            reached = await self._do("TLS", self._agree)
        if reached:
            connector = aiohttp.TCPConnector(ssl=self.context or True, force_close=True)
            timeout = aiohttp.ClientTimeout(total=PATIENCE)
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self.http:
                if await self._do("service", self._ask_ready):
                    await self._do("polling", self._poll)
                    await self._do("WebSocket", self._open_websocket)
        done = {step.name for step in self.path.steps}
        names = [name for name in STEPS if name not in done and (self.secure or name != "TLS")]
        self.path.steps += [Step(name, SKIPPED, "not tried, as a step before it failed") for name in names]
        return self.path

    async def _do(self, name: str, step: Callable[[], Awaitable[str]]) -> bool:
        began = time.perf_counter()
        found = Step(name, OK, "")
        try:
            found.text = await asyncio.wait_for(step(), PATIENCE)
        except StepFailed as exc:
            found.state, found.text, found.remedy = FAILED, exc.text, exc.remedy
        except (asyncio.TimeoutError, TimeoutError):
            found.state, found.text = FAILED, f"nothing came within {PATIENCE:g} s"
            found.remedy = "Look for a firewall on the way, and whether the proxy and what it forwards to answer."
        except (OSError, aiohttp.ClientError, ValueError) as exc:
            found.state, found.text = FAILED, _explain(exc)
            found.remedy = "See the log of the proxy, and of the RTC server."
        found.took = round(time.perf_counter() - began, 4)
        self.path.steps.append(found)
        return found.state == OK

    # --- the steps ------------------------------------------------------------------------------

    async def _resolve(self) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(self.name, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as exc:
            raise StepFailed(
                f"{self.name} has no address here: {exc.strerror or exc}",
                "Enter the name in DNS, or in /etc/hosts of this machine if it knows no DNS.",
            ) from exc
        self.addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        return f"{self.name} is {', '.join(self.addresses)}"

    async def _connect(self) -> str:
        faults = []
        for address in self.addresses:
            try:
                _, writer = await asyncio.wait_for(
                    asyncio.open_connection(address, self.port), PATIENCE / len(self.addresses)
                )
            except (OSError, asyncio.TimeoutError) as exc:
                faults.append(f"{address}: {_explain(exc)}")
            else:
                writer.close()
                self.address = self.address or address
        if not self.address:
            raise StepFailed(
                f"port {self.port} cannot be reached: {'; '.join(faults)}",
                "See whether the proxy runs and listens on that address and port, and whether a firewall is between.",
            )
        return f"port {self.port} is open" + "".join(f", but not at {fault}" for fault in faults)

    async def _agree(self) -> str:
        try:  # reading hundreds of authorities takes a while, in which the loop serves users
            self.context = await asyncio.get_running_loop().run_in_executor(None, make_context, self.ca)
        except (OSError, ssl.SSLError) as exc:
            raise StepFailed(
                f"{self.ca} cannot be used: {_explain(exc)}", "Put the authority's PEM file there."
            ) from exc
        try:
            _, writer = await asyncio.open_connection(
                self.address, self.port, ssl=self.context, server_hostname=self.name
            )
        except ssl.SSLCertVerificationError as exc:
            raise StepFailed(f"the certificate is refused: {exc.verify_message}", _advise_on(exc)) from exc
        except (ssl.SSLError, ConnectionError) as exc:
            raise StepFailed(
                f"TLS is not agreed on: {_explain(exc)}",
                "See whether the port speaks TLS at all: the virtual host may lack it, or the address may be http.",
            ) from exc
        certificate: dict[str, Any] = writer.get_extra_info("peercert") or {}
        writer.close()
        self.path.ends = float(ssl.cert_time_to_seconds(certificate["notAfter"]))
        self.path.subject = dict(part[0] for part in certificate.get("subject", ())).get("commonName", "")
        return f"the certificate is valid until {time.strftime('%Y-%m-%d', time.gmtime(self.path.ends))}"

    async def _ask_ready(self) -> str:
        assert self.http is not None
        async with self.http.get(self.url + "/readyz", allow_redirects=False) as answer:
            text, status = await _read(answer), answer.status
        body = _parse(text)
        if body.get("status") == "ready":
            return "an RTC server answers, and takes changes"
        if body.get("status") == "not ready":
            reason = str(body.get("reason", ""))[:20]
            raise StepFailed(f"the RTC server takes no changes: {reason}", _NOT_READY.get(reason, "See its log."))
        if status in (502, 503, 504):
            raise StepFailed(
                f"the proxy answers {status}: it does not reach the RTC server",
                "See where the proxy forwards to, and whether the RTC server listens there.",
            )
        if status == 400 and not self.secure:
            raise StepFailed("the answer is 400: the port may want TLS", "Compare the protocol with the proxy's.")
        raise StepFailed(
            f"what answers is no RTC server: /readyz is answered {status}",
            "See which virtual host has the name and port: it does not forward all paths to the RTC server.",
        )

    async def _poll(self) -> str:
        assert self.http is not None
        where = self.socket_url + "?EIO=4&transport=polling"
        async with self.http.get(where, allow_redirects=False) as answer:
            text = await _read(answer)
            if answer.status != 200 or not text.startswith("0{"):
                raise StepFailed(
                    f"the handshake over polling is answered {answer.status}",
                    "The proxy has to forward the path with its query unchanged.",
                )
        sid = _parse(text[1:]).get("sid")
        if not isinstance(sid, str):
            raise StepFailed("the handshake over polling names no session", "See what answers at that path.")
        # It is not to wait for its end.
        async with self.http.post(where, params={"sid": sid}, data=b"1", allow_redirects=False) as answer:
            await _read(answer)
        return "a session opens"

    async def _open_websocket(self) -> str:
        assert self.http is not None
        where = self.socket_url + "?EIO=4&transport=websocket"
        try:
            async with self.http.ws_connect(where, max_msg_size=_MOST_BYTES) as ws:
                message = await ws.receive(PATIENCE)
        except aiohttp.WSServerHandshakeError as exc:
            raise StepFailed(
                f"the upgrade to WebSocket is answered {exc.status}",
                "The proxy has to speak HTTP/1.1 to the RTC server and to pass Upgrade and Connection on. Until then"
                " clients poll.",
            ) from exc
        if message.type is not aiohttp.WSMsgType.TEXT or not message.data.startswith("0{"):
            raise StepFailed(
                "the WebSocket ends before the session opens", "See what is between the proxy and the RTC server."
            )
        return "a session opens"


_NOT_READY = {
    "draining": "It is being stopped, or drained: wait, resume or restart it.",
    "disk": "The disk is nearly full: free some space.",
    "journal": "The journal or store cannot be written: its log has the cause.",
}


async def _read(answer: aiohttp.ClientResponse) -> str:
    """All of an answer, which may come in pieces, or its beginning."""
    try:
        body = await answer.content.readexactly(_MOST_BYTES)
    except asyncio.IncompleteReadError as exc:
        body = exc.partial
    return body.decode(errors="replace")


def _parse(text: str) -> dict[str, Any]:
    """The JSON object that somebody answers; empty for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def make_context(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca:  # an authority may be one below another, as Java takes it
        read_given(ca)  # OpenSSL would wait for a pipe
        context.load_verify_locations(ca)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _advise_on(error: ssl.SSLCertVerificationError) -> str:
    """By the codes of X509_verify_cert(3)."""
    return {
        9: "It is not valid yet: is the clock of this machine right?",
        10: "Renew it.",
        18: "Nobody vouches for it: get one of an authority, or name it in admin.ca.",
        19: "Its authority is not trusted here: name it in admin.ca, or add it to the system's.",
        20: "Its authority is not trusted here, or the proxy does not send the intermediate certificates: name the"
        " authority in admin.ca, or complete the chain.",
        62: "Get one with the name that users type.",
        64: "Get one with the address that users type.",
    }.get(error.verify_code, "See openssl s_client -connect.")


def _explain(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "no answer"
    words = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(words)[:200]


async def try_path(url: str, ca: str, socket_path: str) -> Path:
    """Try an address as a client would.

    :param ca: PEM file with authorities to trust besides those of the system; "": none.
    :param socket_path: where Socket.IO lives.
    """
    return await _Try(url, ca, socket_path).run()


class PathWatch:
    """Keeps the latest try, and makes another when somebody looks and it is older than ``fresh`` seconds; so nothing is
    tried where nobody looks."""

    fresh = 30.0
    patience = 3.0  # seconds for who looks when the latest try is twice as old, and so says nothing of now

    def __init__(self, make_try: Callable[[], Awaitable[Path]], clock: Callable[[], float] = time.monotonic) -> None:
        self._make_try = make_try
        self._clock = clock
        self.latest: Path | None = None
        self._ended = 0.0  # when it was over, by a clock that nobody sets
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether a try is under way."""
        return self._task is not None and not self._task.done()

    async def look(self) -> Path | None:
        """The latest try; None where there is none of these minutes, and another takes a while."""
        if self._is_older(self.fresh):
            self.begin()
        if self._task is not None and self._is_older(2 * self.fresh):
            await asyncio.wait([self._task], timeout=self.patience)
        return None if self._is_older(2 * self.fresh) else self.latest

    def _is_older(self, seconds: float) -> bool:
        return self.latest is None or self._clock() - self._ended > seconds

    def begin(self) -> None:
        """Try now, unless a try is under way."""
        if not self.running:
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            self.latest = await self._make_try()
            self._ended = self._clock()
        except Exception:
            logger.exception("the address of users could not be tried")

    def end(self) -> None:
        """Try nothing more."""
        if self._task is not None:
            self._task.cancel()
