# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that say in their answer's headers which they are and what they were asked, with TLS or without."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from dataclasses import dataclass

from proxies.bench import accept_key, free_port


class Stub:
    """One service on a loopback port; whether a connection speaks TLS, its first byte says."""

    def __init__(self, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.socket = socket.create_server(("127.0.0.1", free_port()), backlog=128)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _accept(self):
        while True:
            try:
                sock, _peer = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with contextlib.suppress(OSError, ValueError), contextlib.closing(sock):
            sock.settimeout(30)
            if sock.recv(1, socket.MSG_PEEK) == b"\x16":
                sock = self.context.wrap_socket(sock, server_side=True)
            while self._answer(sock):
                pass

    def _answer(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            part = sock.recv(65536)
            if not part:
                return False
            head += part
        line, _end, rest = head.decode("latin-1").partition("\r\n")
        upgrade = re.search(r"^upgrade:\s*websocket", rest, re.IGNORECASE | re.MULTILINE)
        told = f"X-Stub-Port: {self.port}\r\nX-Stub-Path: {line.split(' ')[1]}\r\n"
        if upgrade:
            key = re.search(r"^sec-websocket-key:\s*(\S+)", rest, re.IGNORECASE | re.MULTILINE)
            told += f"Sec-WebSocket-Accept: {accept_key(key[1]).decode()}\r\n"  # HAProxy looks at it
            sock.sendall(
                f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{told}\r\n".encode()
            )
            return False
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{told}\r\n".encode())
        return True


@dataclass
class Answer:
    """What came back from a server."""

    status: int
    port: int = 0  # of the stub that answered; 0: the server itself did
    path: str = ""

    @property
    def upgraded(self):
        return self.status == 101


def ask(request, tls=None):
    """Send a request to a server.

    :param tls: the context for a socket with TLS.
    """
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.create_connection((request.connect, request.port), 20))
        if tls:
            sock = stack.enter_context(tls.wrap_socket(sock, server_hostname=request.name))
        more = "Connection: close\r\n"
        if request.upgrade:
            more = (
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            )
        sock.sendall(f"GET {request.path} HTTP/1.1\r\nHost: {request.name}\r\n{more}\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = sock.recv(65536)
            if not part:
                break
            head += part
    text = head.decode("latin-1").partition("\r\n\r\n")[0]
    status = re.match(r"HTTP/1\.[01] (\d+)", text)
    port = re.search(r"^x-stub-port: (\d+)", text, re.IGNORECASE | re.MULTILINE)
    path = re.search(r"^x-stub-path: (\S*)", text, re.IGNORECASE | re.MULTILINE)
    return Answer(int(status[1]) if status else 0, int(port[1]) if port else 0, path[1] if path else "")
