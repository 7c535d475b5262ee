# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether RTC's clients get through a proxy: it is asked on its own host, by name and port, as a browser asks.

A session of Engine.IO is opened over polling, upgraded, and ended; another one is opened over a WebSocket. What comes
back is RTC's own answer, that of something else, or none because the upstream does not run yet. The service is the
collection's or the add-on's own. It is asked for revision 4 of the protocol: there it waits for a token, where
revision 3 would have one at once. One that speaks revision 3 only says so, or answers in its form.

Not the checks of ``_verify``: these trust, explain and exchange messages. Here it is looked whether the way is open.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from ansible_collections.collab.rtc.plugins.module_utils._facts import Passage, Proxy, ProxyListen, Upstream

PASSED, STOPPED, DOWN, UNKNOWN = "passed", "stopped", "down", "unknown"
STEP_SECONDS = 4.0  # for each answer; HAProxy says 503 after 3: it asks a server that refuses once a second
ALL_SECONDS = 8.0  # for all questions of a host, however many
MOST = 40  # questions of a proxy; names beyond are left to reading
_AT_ONCE = 10
_BODY = 65536  # bytes of an answer that are looked at
_OPEN = re.compile(r"(\d+:|\x00[\x00-\x09]+\S)?0(\{.*?\})", re.DOTALL)  # a payload; with its length it is revision 3
_REFUSED_ORIGIN = re.compile("forbidden|origin", re.IGNORECASE)
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_SHARING = "Access-Control-Allow-Origin"
_TLS = ("https", "wss")
_WILDCARDS = {"*": "127.0.0.1", "::": "::1"}


@dataclass
class Question:
    """What is asked through which socket."""

    name: str  # in Host and SNI
    address: str  # that is connected to
    port: int
    tls: bool = False
    asked_port: int = 0  # in Host; 0: the same
    kind: str = ""  # of the proxy
    pages: str = ""  # what answers in place of an upstream that does not
    held: bool = False  # httpd's mod_proxy keeps it: "Max-Forwards: 0" is for it to answer (RFC 9110, 7.6.2)


class _Wrong(Exception):
    """Not RTC's answer; ``args`` are the outcome and what came instead."""


def look_through(
    proxy: Proxy, names: Iterable[str], ports: Iterable[int], addresses: Iterable[str], main_address: str = ""
) -> list[Passage]:
    """What comes back through the sockets of a proxy on these ports. Never raises, and ends within its time.

    :param names: that users may type, beside those of the virtual hosts on the ports.
    :param addresses: of the host.
    :param main_address: where users arrive who come to a socket for all addresses.
    """
    targets = _list_targets(proxy, list(names), set(ports), list(addresses), main_address)
    found: list[Passage] = []
    waiting = iter(targets)
    lock = threading.Lock()
    deadline = time.monotonic() + ALL_SECONDS

    def work() -> None:
        while time.monotonic() < deadline:
            with lock:
                target = next(waiting, None)
            if target is None:
                return
            listen, question, upstreams = target
            passage = ask(question, upstreams)
            passage.address = listen.address
            found.append(passage)

    threads = [threading.Thread(target=work, daemon=True) for _number in range(min(_AT_ONCE, len(targets)))]
    for thread in threads:
        thread.start()
    for thread in threads:  # those that still wait then are left behind: what they would say is not known
        thread.join(max(0.0, deadline - time.monotonic()))
    return sorted(found, key=lambda item: (item.port, item.address, item.name))


def _list_targets(
    proxy: Proxy, names: list[str], ports: set[int], addresses: list[str], main_address: str
) -> list[tuple[ProxyListen, Question, list[Upstream]]]:
    found: dict[tuple[str, int, str], tuple[ProxyListen, Question, list[Upstream]]] = {}
    for port in sorted(ports):
        there = [(host, item) for host in proxy.hosts for item in host.listens if item.takes(port)]
        # Addresses of certificates are for no name; who has one is asked for the names of all.
        known = [name for host, _item in there for name in host.names]
        known += [name for host, _item in there for name in host.certificate_names if _is_no_address(name)]
        others = [] if names or any(map(_is_plain, known)) else [name for host in proxy.hosts for name in host.names]
        wanted = [name.lower().rstrip(".") for name in [*names, *known, *others] if _is_plain(name)]
        for _host, listen in there:
            beside = [host for host, item in there if item.address == listen.address]
            pages = next((host.pages for host in beside if host.pages), "")
            upstreams = [item for host in beside for route in host.routes for item in route.upstreams]
            place = _place(listen, addresses, main_address)
            for name in dict.fromkeys(wanted):
                question = Question(name, place, port, listen.tls, kind=proxy.kind, pages=pages)
                found.setdefault((listen.address, port, name), (listen, question, upstreams))
    return list(found.values())[:MOST]


def _is_plain(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\.?", name))


def _is_no_address(name: str) -> bool:
    return not re.fullmatch(r"[0-9.]+", name)


def _place(listen: ProxyListen, addresses: list[str], main_address: str) -> str:
    """Where to connect to: for a socket of all addresses the one that users come to, of the same family."""
    if listen.address not in _WILDCARDS:
        return listen.address
    version6 = listen.address == "::" and not listen.dual
    same = [item for item in [main_address, *addresses] if item and (":" in item) == version6]
    return same[0] if same else _WILDCARDS[listen.address]


def ask(question: Question, upstreams: Sequence[Upstream] = ()) -> Passage:
    """What comes back to one question.

    :param upstreams: where the proxy may forward to: they are asked directly where that tells more.
    """
    if question.kind == "apache" and upstreams and ask_directly(upstreams, question) == DOWN:
        # After one refused connection httpd answers 503 by itself for a minute: RTC may be up long before that.
        question = dataclasses.replace(question, held=True)
    passage, visit = _visit(question)
    other = dataclasses.replace(question, tls=not question.tls)
    if passage.polling in (STOPPED, UNKNOWN) and visit.status in (0, 400) and _speaks(other):
        question = other
        passage, visit = _visit(question)
    status = visit.status
    # What passes bytes on has no words for an upstream that is down: it closes the connection.
    closed = passage.polling == STOPPED and not status and {item.scheme for item in upstreams} == {"tcp"}
    if closed and ask_directly(upstreams, question) != PASSED:
        passage.polling = passage.upgrade = passage.websocket = DOWN
    if passage.polling == STOPPED and visit.stranger and visit.stranger in _list_strangers(upstreams, question):
        # Something else has RTC's place behind the proxy, which lets the request through.
        passage.polling = passage.upgrade = passage.websocket = DOWN
        passage.words += ", as from its upstream itself"
    if passage.polling == STOPPED and question.pages and ask_directly(upstreams, question) == DOWN:
        passage.polling = passage.upgrade = passage.websocket = DOWN
        passage.words += f", as {question.pages} says for an upstream that does not answer"
    httpd_waits = question.kind == "apache" and status == 503
    if passage.outcome == DOWN and not (question.held or httpd_waits) and ask_directly(upstreams, question) == PASSED:
        # The service is there and answers: what says that it is not, is in its way.
        for step in ("polling", "websocket", "upgrade"):
            setattr(passage, step, STOPPED if getattr(passage, step) == DOWN else getattr(passage, step))
        passage.words += ", and RTC answers when it is asked directly"
    return passage


def ask_directly(upstreams: Iterable[Upstream], question: Question) -> str:
    """Whether RTC answers at an upstream, something else does, or nothing."""
    outcome = DOWN
    for passage, _found in _visit_directly(upstreams, question):
        if passage.polling == PASSED:
            return PASSED
        outcome = STOPPED if passage.polling == STOPPED else outcome
    return outcome


def _list_strangers(upstreams: Iterable[Upstream], question: Question) -> list[str]:
    """What answers at the upstreams and is not RTC, see :attr:`_Visit.stranger`."""
    return [visit.stranger for _passage, visit in _visit_directly(upstreams, question)]


def _visit_directly(upstreams: Iterable[Upstream], question: Question) -> Iterator[tuple[Passage, _Visit]]:
    for host, port in sorted({(item.host, item.port) for item in upstreams})[:_AT_ONCE]:
        # Over TLS or not: a proxy that speaks the wrong one reaches nothing.
        for tls in (False, True) if host and (host, port) != (question.address, question.port) else ():
            yield _visit(Question(question.name, host, port, tls, question.asked_port or question.port), short=True)


def _visit(question: Question, short: bool = False) -> tuple[Passage, _Visit]:
    """What came, and the visit."""
    for _number in range(2):  # a service that is full may end a session between two steps
        passage, visit = Passage(question.name, question.port, question.address, question.tls), _Visit(question)
        visit.run(passage, short)
        if "unknown" not in passage.words.lower():
            break
    return passage, visit


def _speaks(question: Question) -> bool:
    """Whether a socket speaks what was not read of it: TLS, or plain HTTP other than by asking for TLS."""
    try:
        with contextlib.closing(_connect(question)) as connection:
            if question.tls:
                return True
            answer = _exchange(connection, question, "GET", "/socket.io/", {})
            return not (answer.status == 400 and re.search(b"https|ssl", answer.read(_BODY), re.IGNORECASE))
    except (OSError, ValueError, http.client.HTTPException):
        return False


class _Visit:
    """One client's visit."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.revision = 4
        self.sid = ""
        self.status = 0  # of the first answer
        self.stranger = ""  # status and text of a first answer that is not RTC's
        scheme, usual = ("https", 443) if question.tls else ("http", 80)
        port = question.asked_port or question.port
        self.origin = f"{scheme}://{question.name}"  # the page's: another port, so another origin than RTC's
        self.host = question.name if port == usual else f"{question.name}:{port}"

    def run(self, passage: Passage, short: bool = False) -> None:
        """Try all ways and note what came.

        :param short: only whether polling begins.
        """
        steps = [("polling", self._poll)]
        if not short:
            steps += [("upgrade", self._upgrade), ("polling", self._post), ("websocket", self._open_websocket)]
        for name, step in steps:
            if getattr(passage, name) not in ("", PASSED) or (step == self._upgrade and not self.sid):
                continue
            if passage.polling in (STOPPED, UNKNOWN):  # with which every client begins
                passage.upgrade, passage.websocket = passage.polling, passage.websocket or passage.polling
                break
            try:
                step()
                setattr(passage, name, PASSED)
            except _Wrong as exc:
                outcome, words = exc.args
                if name != "polling" and passage.polling == PASSED and outcome in (DOWN, UNKNOWN):
                    outcome = STOPPED  # the service is there: what it gets over this way is no handshake
                setattr(passage, name, outcome)
                passage.words = passage.words or f"{'' if name == 'polling' else 'the WebSocket: '}{words}"
        if short and self.sid:
            with contextlib.suppress(_Wrong):
                self._end()
        if passage.polling == DOWN and not short:
            self._try_post(passage)
        if not short and not passage.upgrade:  # without a session there is none
            passage.upgrade = passage.websocket if passage.polling == PASSED else passage.polling

    def _target(self, transport: str) -> str:
        session = f"&sid={self.sid}" if self.sid else ""
        return f"/socket.io/?EIO={self.revision}&transport={transport}{session}"

    def _poll(self) -> None:
        status, headers, body = self._request("GET", self._target("polling"))
        self.status = self.status or status
        match = _OPEN.match(body) if status == 200 else None
        own, message = _read_engine_error(body)
        if own and "version" in message.lower() and self.revision == 4:
            self.revision = 3
            self._poll()
        elif own and self.origin and _REFUSED_ORIGIN.search(message):
            self.origin = ""  # it admits other pages than the one that was made up here
            self._poll()
        elif match is None:
            self.stranger = "" if own else f"{status} {body}"
            outcome = UNKNOWN if status == 429 or (own and status >= 500) else self._judge(status)
            raise _Wrong(outcome, _describe(status, headers, body))
        else:
            try:
                self.sid = str(json.loads(match[2])["sid"])
                self.revision = 3 if match[1] else self.revision
            except (ValueError, KeyError, TypeError, RecursionError):
                raise _Wrong(STOPPED, _describe(status, headers, body)) from None
            self._check_sharing(headers)

    def _judge(self, status: int) -> str:
        """What an answer that is not RTC's means: 502 to 504 is what a proxy says that cannot reach its upstream."""
        return DOWN if status in (502, 503, 504) or (self.question.held and status == 400) else STOPPED

    def _check_sharing(self, headers: http.client.HTTPMessage) -> None:
        """A browser takes one ``Access-Control-Allow-Origin``, for its page (Fetch, "CORS check"). RTC sends one."""
        values = [part.strip() for text in headers.get_all(_SHARING, []) for part in text.split(",")]
        wrong = ""
        if len(values) > 1:
            wrong = f"comes {len(values)} times"
        elif self.origin and not values:
            wrong = "is taken out"
        elif self.origin and values[0] != "*" and urlsplit(values[0]).hostname != self.question.name:
            wrong = f"is {values[0][:80]}"
        if wrong:
            with contextlib.suppress(_Wrong):
                self._end()
            raise _Wrong(STOPPED, f"the header {_SHARING} of the answer {wrong}")

    def _post(self) -> None:
        """What clients that poll send goes by POST; a proxy may know only GET."""
        if not self.sid:
            self._poll()
        self._end()

    def _end(self) -> None:
        status, headers, body = self._request("POST", self._target("polling"), "1:1" if self.revision == 3 else "1")
        self.sid = ""
        if status != 200:
            raise _Wrong(self._judge(status), "to a POST: " + _describe(status, headers, body))

    def _try_post(self, passage: Passage) -> None:
        """Clients that poll need it; what refuses it does so without an upstream too."""
        try:
            self._end()
        except _Wrong as exc:
            if exc.args[0] == STOPPED:
                passage.polling, passage.words = exc.args

    def _request(self, method: str, target: str, body: str = "") -> tuple[int, http.client.HTTPMessage, str]:
        headers = {"Content-Type": "text/plain;charset=UTF-8"} if method == "POST" else {}
        with self._explaining(), contextlib.closing(_connect(self.question)) as connection:
            answer = _exchange(connection, self.question, method, target, self._headers(headers), body)
            return answer.status, answer.headers, answer.read(_BODY).decode("utf-8", "replace")

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        found = {"Host": self.host, **({"Origin": self.origin} if self.origin else {}), **more}
        return {**found, "Max-Forwards": "0"} if self.question.held else found

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """What a connection that fails says about the way."""
        try:
            yield
        except ConnectionRefusedError:
            raise _Wrong(UNKNOWN, f"nothing listens on {self.question.address} port {self.question.port}") from None
        except socket.timeout:
            raise _Wrong(UNKNOWN, f"no answer came within {STEP_SECONDS:g} seconds") from None
        except ssl.SSLError as exc:
            refused = "ALERT" in str(exc).upper() or isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
            raise _Wrong(STOPPED if refused else UNKNOWN, f"TLS was refused: {exc.reason or exc}") from None
        except (ConnectionError, http.client.RemoteDisconnected):
            raise _Wrong(STOPPED, "the connection was closed without an answer") from None
        except http.client.HTTPException as exc:
            raise _Wrong(STOPPED, f"what came is no HTTP ({type(exc).__name__})") from None
        except (OSError, ValueError) as exc:
            raise _Wrong(UNKNOWN, f"{self.question.address} port {self.question.port}: {exc}") from None

    def _upgrade(self) -> None:
        with self._websocket() as stream:
            stream.send("2probe")
            self._expect(stream, "3probe")
            for packet in (
                "5",
                "1",
            ):  # it is upgraded, and ended: the add-on's service ends it with the WebSocket anyway
                stream.send(packet)
        self.sid = ""

    def _open_websocket(self) -> None:
        with self._websocket() as stream:
            self._expect(stream, "0{")
            stream.send("1")

    @contextlib.contextmanager
    def _websocket(self) -> Iterator[_Stream]:
        key = base64.b64encode(os.urandom(16)).decode()
        headers = self._headers({
            "Connection": "keep-alive, Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
        })  # fmt: skip
        with self._explaining(), contextlib.closing(_connect(self.question)) as connection:
            answer = _exchange(connection, self.question, "GET", self._target("websocket"), headers)
            if answer.status != 101:
                body = answer.read(_BODY).decode("utf-8", "replace")
                raise _Wrong(self._judge(answer.status), _describe(answer.status, answer.headers, body))
            wanted = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324 - RFC 6455
            # RFC 6455, 4.1: a client gives up where one of them is missing.
            upgraded = answer.headers.get("Upgrade", "").lower() == "websocket"
            upgraded = upgraded and "upgrade" in ",".join(answer.headers.get_all("Connection", [])).lower()
            if not upgraded or answer.headers.get("Sec-WebSocket-Accept", "") != wanted:
                raise _Wrong(STOPPED, "the answer to the handshake is that of no WebSocket")
            yield _Stream(connection, answer)

    def _expect(self, stream: _Stream, beginning: str) -> None:
        for _number in range(4):  # a service may send other packets before
            text = stream.receive()
            if text.startswith(beginning):
                return
        raise _Wrong(STOPPED, f"it opens, and {text[:40]!r} comes instead of {beginning!r}")


class _Stream:
    """The frames of an open WebSocket (RFC 6455, 5.2), short ones."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self.sock, self.file = connection.sock, answer.fp

    def send(self, text: str) -> None:
        data, key = text.encode(), os.urandom(4)
        masked = bytes(char ^ key[number % 4] for number, char in enumerate(data))
        self.sock.sendall(bytes((0x81, 0x80 | len(data))) + key + masked)

    def receive(self) -> str:
        head = self._read(2)
        size = head[1] & 0x7F
        if size > 125:
            size = int.from_bytes(self._read(2 if size == 126 else 8), "big")
        if head[0] & 0x0F == 8 or size > _BODY:
            raise _Wrong(STOPPED, "it opens, and is closed at once")
        return self._read(size).decode("utf-8", "replace")

    def _read(self, size: int) -> bytes:
        data: bytes = self.file.read(size) or b""
        if len(data) < size:
            raise _Wrong(STOPPED, "it opens, and is cut")
        return data


def _connect(question: Question) -> http.client.HTTPConnection:
    """An open connection; the certificate is not what is asked about here."""
    connection = http.client.HTTPConnection(question.address, question.port, timeout=STEP_SECONDS)
    connection.connect()
    if question.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # nothing is believed, and nothing of worth is sent
        context.verify_mode = ssl.CERT_NONE
        with contextlib.suppress(NotImplementedError):
            context.set_alpn_protocols(["http/1.1"])
        connection.sock = context.wrap_socket(connection.sock, server_hostname=question.name)
    return connection


def _exchange(
    connection: http.client.HTTPConnection, question: Question, method: str, target: str, headers: dict[str, str],
    body: str = "",
) -> http.client.HTTPResponse:  # fmt: skip
    common = {"Host": f"{question.name}:{question.asked_port or question.port}", "User-Agent": "collab.rtc-check"}
    common.update({"Accept": "*/*", "Accept-Encoding": "identity"})
    connection.request(method, target, body.encode() or None, {**common, **headers})
    return connection.getresponse()


def _read_engine_error(body: str) -> tuple[bool, str]:
    """Whether it is an error of Engine.IO (``{"code": 1, "message": "Session ID unknown"}``), and its message."""
    try:
        found: Any = json.loads(body)
        return isinstance(found["code"], int), str(found["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return False, ""


def _describe(status: int, headers: http.client.HTTPMessage, body: str) -> str:
    """An answer in a few words: whose it is, as far as it shows."""
    own, message = _read_engine_error(body)
    if own:
        return f"RTC answered {status}: {message}"[:200]
    title = re.search(r"<title>\s*(.*?)\s*</title>", body, re.IGNORECASE | re.DOTALL)
    parts = [f"{status}"]
    if headers.get("Location"):
        parts.append(f"a redirect to {headers['Location'].split('?')[0][:100]}")
    elif title:
        parts.append(re.sub(r"\s+", " ", title[1])[:80])
    if headers.get("Server"):
        parts.append(f"Server: {headers['Server'][:40]}")
    return f"{parts[0]} came back" + (f" ({', '.join(parts[1:])})" if parts[1:] else "")
