# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates, and configuration files of the three servers."""

from __future__ import annotations

import datetime
import os
import shutil

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import registry
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.tests.unit import paths

NAME = "wiki.example.com"


@pytest.fixture(scope="module")
def issue(tmp_path_factory):
    """Certificates: ``issue(name, begin, end)`` in days from now, returns two paths."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    directory = tmp_path_factory.mktemp("certificates")

    def make(name=NAME, begin=-1, end=90, passphrase=None):
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=begin))
            .not_valid_after(now + datetime.timedelta(days=end))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        stem = str(directory / f"{len(list(directory.iterdir()))}")
        locked = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        with open(stem + ".pem", "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        with open(stem + ".key", "wb") as file:
            file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
        return stem + ".pem", stem + ".key"

    return make


@pytest.fixture
def plan():
    """A function: changes -> a virtual host of RTC with them."""

    def make(**changes):
        values = {
            "site": "",
            "kind": "nginx",
            "role": "rtc",
            "name": "x",
            "server_name": NAME,
            "listen": ["*"],
            "port": 9083,
            "upstreams": [{"host": "127.0.0.1", "port": 9083}],
        }
        return VhostPlan(**{**values, **changes})

    return make


@pytest.fixture
def read(tmp_path):
    """The installation of a kind among the test data, below a directory of its own."""

    def run(kind):
        shutil.copytree(paths.DATA / "proxies" / kind, tmp_path / kind)
        return registry.make_backend(kind, str(tmp_path / kind)).read()

    return run


@pytest.fixture
def hosts():
    """A function: a proxy -> what matters of each virtual host, as plain data."""
    return _summarize_hosts


def _summarize_hosts(proxy):
    """What matters of each virtual host, as plain data."""
    return [
        {
            "at": f"{os.path.basename(host.file)}:{host.line}",
            "names": host.names,
            "listens": [f"{item.address} {item.port}{' tls' if item.tls else ''}" for item in host.listens],
            "routes": [_summarize_route(item) for item in host.routes],
        }
        for host in proxy.hosts
    ]


def _summarize_route(item):
    ends = [f"{end.scheme}://{end.host} {end.port}{' backup' if end.backup else ''}" for end in item.upstreams]
    words = [item.path, " ".join(ends), f"{item.read_timeout:g}s"]
    words += [
        word for word, on in (("upgrade", item.upgrade), ("http11", item.http11), ("buffered", item.buffering)) if on
    ]
    words += [f"proto={item.forwarded_proto}"] if item.forwarded_proto else []
    words += [f"as={item.upstream_path}"] if item.upstream_path else []
    words += [f"sticky={item.sticky}"] if item.sticky else []
    return ", ".join(words)
