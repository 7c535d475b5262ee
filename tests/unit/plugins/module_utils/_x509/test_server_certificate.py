# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import dataclasses
import datetime
import socket
import ssl
import threading

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._x509 import served_chain, server_certificate, tls12_hello
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import parse_certificates
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "truststore"
UTC = datetime.timezone.utc


def one(name):
    return parse_certificates((DATA / name).read_bytes(), name)[0]


@contextlib.contextmanager
def listening(serve):
    """A server on loopback whose connections each get ``serve(connection)``; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run():
            with contextlib.suppress(OSError):
                while True:
                    connection, _peer = listener.accept()
                    with connection, contextlib.suppress(OSError, ssl.SSLError):
                        serve(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@contextlib.contextmanager
def tls_server(change=lambda context: None):
    """A server with the chain of the test data; yields its port and the list of names that clients asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(DATA / "chain.pem"), str(DATA / "leaf.key"))
    change(context)
    asked = []
    context.sni_callback = lambda _connection, name, _context: asked.append(name)

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1)

    with contextlib.ExitStack() as stack:
        yield stack.enter_context(listening(serve)), asked


def only_13(context):
    context.minimum_version = ssl.TLSVersion.TLSv1_3


def only_12(context):
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def wants_client(context):
    context.load_verify_locations(str(DATA / "root.pem"))
    context.verify_mode = ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "change", [lambda context: None, only_12, wants_client, lambda c: (only_12(c), wants_client(c))]
)
def test_fetches_the_whole_chain(change):
    with tls_server(change) as (port, asked):
        chain = served_chain.fetch_chain("127.0.0.1", port, "RTC.example.", timeout=10)
    assert [c.common_name for c in chain] == ["rtc.example", "Example Issuing CA"]
    assert set(asked) == {"rtc.example"}


@pytest.mark.parametrize("change", [lambda context: None, only_12, wants_client])
def test_fetches_without_the_help_of_ssl_or_openssl(change, monkeypatch):
    """What Python 3.8 and 3.9 do."""
    monkeypatch.setattr(served_chain, "fetch_by_ssl", lambda *_: [])
    monkeypatch.setattr(served_chain, "fetch_by_openssl", lambda *_: pytest.fail("openssl was not needed"))
    with tls_server(change) as (port, asked):
        chain = served_chain.fetch_chain("127.0.0.1", port, "bücher.example")
    assert len(chain) == 2
    assert asked == ["xn--bcher-kva.example"]


def test_tls_13_by_openssl(monkeypatch):
    if served_chain.shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    monkeypatch.setattr(served_chain, "fetch_by_ssl", lambda *_: [])
    with tls_server(only_13) as (port, _names):
        assert len(served_chain.fetch_chain("127.0.0.1", port, "rtc.example")) == 2


def test_says_that_it_cannot_see_the_chain(monkeypatch):
    monkeypatch.setattr(served_chain, "fetch_by_ssl", lambda *_: [])
    monkeypatch.setattr(served_chain.shutil, "which", lambda _name, path: None)
    words = r"alert protocol_version.*Python 3\.10 or openssl"
    with tls_server(only_13) as (port, _names), pytest.raises(served_chain.FetchError, match=words):
        served_chain.fetch_chain("127.0.0.1", port)


def test_an_address_is_not_asked_for():
    with tls_server() as (port, asked):
        served_chain.fetch_chain("127.0.0.1", port)
    assert asked == [None]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        b"\x16\x03\x03\x00\x08\x0e\x00\x00\x00\x0e\x00\x00\x00",
        b"\x16\x03\x03\x00\x07\x0b\x00\x00\x03\x00\x00\x09",
    ],
)
def test_what_is_not_tls(answer, monkeypatch):
    monkeypatch.setattr(served_chain, "fetch_by_openssl", lambda *_: [])

    def serve(connection):
        connection.recv(1)
        connection.sendall(answer)

    with listening(serve) as port, pytest.raises(served_chain.FetchError, match=f"127.0.0.1:{port} could not be read"):
        served_chain.fetch_chain("127.0.0.1", port)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(served_chain.FetchError, match=f"Nothing listens on 127.0.0.1:{port}"):
        served_chain.fetch_chain("127.0.0.1", port)


def test_a_silent_server():
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(
        served_chain.FetchError, match=r"within 0\.2 s"
    ):
        served_chain.fetch_chain("127.0.0.1", listener.getsockname()[1], timeout=0.2)


def test_a_name_that_does_not_resolve():
    with pytest.raises(served_chain.FetchError, match=r"nowhere\.invalid does not resolve"):
        served_chain.fetch_chain("nowhere.invalid", 443)


def test_the_hello_is_read_by_a_real_server_in_small_pieces():
    """Records may come in any pieces: the server's answer is passed on byte by byte."""
    with tls_server(only_12) as (port, _names):
        near, far = socket.socketpair()

        def relay():
            with far, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
                server.sendall(far.recv(4096))
                while True:
                    piece = server.recv(1)
                    if not piece:
                        return
                    far.sendall(piece)

        thread = threading.Thread(target=relay, daemon=True)
        thread.start()
        with near:
            near.settimeout(10)
            assert len(tls12_hello.read_chain(near, "rtc.example")) == 2
        thread.join(10)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rtc.example", True),
        ("RTC.Example", True),
        ("rtc.example.", True),
        ("a.wild.example", True),
        ("A.WILD.example", True),
        ("wild.example", False),
        ("a.b.wild.example", False),
        (".wild.example", False),
        ("bücher.example", True),
        ("xn--bcher-kva.example", True),
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("::1", True),
        ("[::1]", True),
        ("0:0:0:0:0:0:0:1", True),
        ("evil-rtc.example", False),
        ("rtc.example.evil", False),
        ("", False),
        ("a" * 70 + "ü.example", False),
    ],
)
def test_names(name, expected):
    assert server_certificate.match_name(one("leaf.pem"), name) is expected


def test_the_common_name_counts_only_when_asked():
    root = one("plain.pem")
    assert not server_certificate.match_name(root, "Plain Root")
    assert server_certificate.match_name(root, "plain root", common_name=True)
    assert not server_certificate.match_name(one("leaf.pem"), "other", common_name=True)


@pytest.mark.parametrize(
    ("pattern", "name"), [("*", "example"), ("*.example", "a.example"), ("a*.b.example", "ab.b.example")]
)
def test_wildcards_that_are_too_wide(pattern, name):
    leaf = dataclasses.replace(one("leaf.pem"), dns_names=(pattern,))
    assert not server_certificate.match_name(leaf, name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("root.pem", []),
        ("expired.pem", ["expired on 2021-01-01 00:00 UTC"]),
        ("future.pem", ["not yet valid: it begins on 2110-01-01 00:00 UTC"]),
        ("small.pem", ["too small for clients of today: RSA 1024 bits"]),
    ],
)
def test_problems(name, expected):
    now = datetime.datetime(2030, 1, 1, tzinfo=UTC)
    found = server_certificate.problems(one(name), now)
    assert len(found) == len(expected)
    assert all(text in sentence for text, sentence in zip(expected, found))


def test_expires_soon():
    end = one("root.pem").not_after
    assert server_certificate.validity(one("root.pem"), end - datetime.timedelta(days=29)) == "expires soon"
    assert server_certificate.validity(one("root.pem"), end - datetime.timedelta(days=31)) == ""
    assert server_certificate.validity(one("root.pem"), end) == "expires soon"
    assert server_certificate.validity(one("root.pem"), end + datetime.timedelta(seconds=1)) == "expired"
