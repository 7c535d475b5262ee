# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and ports that are refused."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy import backend, control, preflight, registry
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError

NAME = "wiki.example.com"


def test_good_certificate(plan, issue):
    certificate, key = issue()
    assert preflight.check_certificate(plan(certificate=certificate, key=key)) == []
    wildcard, key = issue("*.example.com")
    assert preflight.check_certificate(plan(certificate=wildcard, key=key)) == []
    assert preflight.check_certificate(plan()) == []


def test_certificate_that_ends_soon(plan, issue):
    certificate, key = issue(end=5)
    (warning,) = preflight.check_certificate(plan(certificate=certificate, key=key))
    assert certificate in warning


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("one", "only one of"), ("name", "is not for wiki.example.com; it holds other.example.com"),
        ("expired", "expired"),
        ("early", "not yet valid"), ("mismatch", "is not that of the certificate"), ("text", "holds no certificate"),
        ("missing", "No such file"), ("no key", "cannot be used"), ("locked", "pass phrase"),
    ],
)  # fmt: skip
def test_bad_certificates(plan, issue, tmp_path, kind, words):
    certificate, key = issue()
    text = tmp_path / "text"
    text.write_text("hello\n")
    if kind == "name":
        certificate, key = issue("other.example.com")
    elif kind == "expired":
        certificate, key = issue(begin=-9, end=-1)
    elif kind == "early":
        certificate, key = issue(begin=2)
    elif kind == "locked":
        certificate, key = issue(passphrase=b"secret")
    changes = {
        "one": {"key": ""}, "mismatch": {"key": issue()[1]}, "text": {"certificate": str(text)},
        "missing": {"certificate": str(tmp_path / "gone")}, "no key": {"key": str(text)},
    }.get(kind, {})  # fmt: skip
    with pytest.raises(RtcError, match=words):
        preflight.check_certificate(plan(**{"certificate": certificate, "key": key, **changes}))


def test_upstream_ca(plan, issue, tmp_path):
    preflight.check_authorities(plan(upstream_ca=issue()[0]))
    (tmp_path / "x").write_text("hello")
    with pytest.raises(RtcError, match="holds no certificate"):
        preflight.check_authorities(plan(upstream_ca=str(tmp_path / "x")))


@pytest.fixture
def taken():
    """A port that this process holds on 127.0.0.1 alone."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1", "in use by"), ("*", "in use by"), ("127.0.0.2", ""),
        ("192.0.2.77", "is not an address of this host"),
        ("no-such-name.invalid", "is not an address of this host"),
    ],
)  # fmt: skip
def test_ports(taken, address, words):
    desired = backend.DesiredLayout(listens=[(address, taken)])
    with pytest.raises(ProxyError, match=words) if words else contextlib.nullcontext():
        preflight.check_ports(registry.make_backend("nginx"), desired, Proxy("nginx"), 0)


def test_ports_of_the_server_itself(taken, monkeypatch):
    server = registry.make_backend("nginx")
    (item,) = [item for item in control.listening() if item.port == taken]
    monkeypatch.setattr(type(server), "programs", (item.process,))
    me = os.getpid()
    preflight.check_ports(server, backend.DesiredLayout(listens=[("127.0.0.1", taken)]), Proxy("nginx"), me)
    with pytest.raises(ProxyError, match="without a restart"):
        preflight.check_ports(server, backend.DesiredLayout(listens=[("*", taken)]), Proxy("nginx"), me)
    with pytest.raises(ProxyError, match="in use by"):  # another server of the same program
        preflight.check_ports(server, backend.DesiredLayout(listens=[("127.0.0.1", taken)]), Proxy("nginx"), 0)


def test_who_tells_the_server_to_listen_there(taken):
    desired = backend.DesiredLayout(
        listens=[("127.0.0.1", taken)], origins={("127.0.0.1", taken): "/etc/apache2/ports.conf:5"}
    )
    with pytest.raises(ProxyError, match=r"ports\.conf:5"):
        preflight.check_ports(registry.make_backend("apache"), desired, Proxy("apache"), 0)
