# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses that meet, certificates and ports that are refused, and what SELinux and firewalld are asked for."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import subprocess
import time

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ProxyListen, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import (
    backend,
    control,
    daemon,
    discover,
    listens,
    preflight,
    registry,
    rendering,
    selinux_firewalld,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

NAME = "wiki.example.com"


def plan(**changes):
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


@pytest.mark.parametrize(
    ("one", "two", "meet"),
    [
        ("*", "0.0.0.0", True), ("*", "192.0.2.1", True), ("192.0.2.1", "192.0.2.1", True), ("192.0.2.1", "192.0.2.2", False),
        ("*", "::", True), ("192.0.2.1", "::", False), ("::", "2001:db8::1", True), ("[::]", "::", True),
        ("*", "2001:db8::1", False), ("127.0.0.1", "192.0.2.1", False),
    ],
)  # fmt: skip
def test_overlap(one, two, meet):
    assert daemon.overlap(one, two) is meet
    assert daemon.overlap(two, one) is meet


@pytest.mark.parametrize(
    ("mine", "theirs", "joined"),
    [
        (["192.0.2.1"], [], ["192.0.2.1"]),
        (["192.0.2.1"], ["*"], ["*"]),
        (["192.0.2.1"], ["_default_"], ["*"]),
        (["192.0.2.1"], ["*", "192.0.2.1"], ["192.0.2.1"]),
        (["192.0.2.1"], ["192.0.2.2"], ["192.0.2.1"]),
        (["*"], ["192.0.2.2"], ["*", "192.0.2.2"]),
        (["*"], ["2001:db8::1"], ["*"]),
        (["::"], ["2001:db8::1"], ["::", "2001:db8::1"]),
        (["2001:db8::5"], ["*"], ["2001:db8::5"]),
        (["2001:db8::5"], ["::"], ["::"]),
        ([], [], ["*"]),
    ],
)
def test_join_listens(mine, theirs, joined):
    foreign = [ProxyListen(address, 9083) for address in theirs] + [ProxyListen("*", 80)]
    assert listens.join_listens(plan(listen=mine), foreign) == joined


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        (VirtualHost([NAME], [ProxyListen("*", 9083)]), True),
        (VirtualHost([NAME.upper() + "."], [ProxyListen("192.0.2.1", 9083)]), True),
        (VirtualHost([NAME], [ProxyListen("*", 9084)]), False),
        (VirtualHost([NAME], [ProxyListen("*", 9083)], managed=True), False),
        (VirtualHost(["other.example.com"], [ProxyListen("*", 9083)]), False),
        (VirtualHost(["other.example.com"], [ProxyListen("*", 9083, tls=True)]), True),
        (VirtualHost(["*.example.com"], [ProxyListen("*", 9083)]), False),
    ],
)
def test_refuse_foreign(host, refused):
    host.file, host.line = "/etc/x.conf", 7
    current = Proxy("nginx", hosts=[host])
    with pytest.raises(ProxyError, match=r"/etc/x\.conf:7") if refused else contextlib.nullcontext():
        listens.refuse_foreign(plan(listen=["192.0.2.1"]), current)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"upstreams": []}, "no upstream"),
        ({"upstreams": [{"host": "a", "port": 1, "backup": True}]}, "no upstream"),
        ({"upstreams": [{"host": "a", "port": 1}, {"host": "b", "port": 1, "scheme": "https"}]}, "mixes"),
        ({"role": "application", "synchrony": "nonsense"}, "synchrony"),
    ],
)
def test_bad_targets(changes, words):
    with pytest.raises(ProxyError, match=words):
        rendering.forwarded_paths(plan(**changes))


def test_names_never_meet():
    names = ["rtc-a", "rtc_a", "a", "rtc.a", "rtc-confluence", "confluence"]
    found = [rendering.identifier(name) for name in names]
    assert len(set(found)) == len(names)


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


def test_good_certificate(issue):
    certificate, key = issue()
    assert preflight.check_certificate(plan(certificate=certificate, key=key)) == []
    wildcard, key = issue("*.example.com")
    assert preflight.check_certificate(plan(certificate=wildcard, key=key)) == []
    assert preflight.check_certificate(plan()) == []


def test_certificate_that_ends_soon(issue):
    certificate, key = issue(end=5)
    (warning,) = preflight.check_certificate(plan(certificate=certificate, key=key))
    assert certificate in warning


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("one", "only one of"), ("name", "is not for wiki.example.com; it holds other.example.com"), ("expired", "expired"),
        ("early", "not yet valid"), ("mismatch", "is not that of the certificate"), ("text", "holds no certificate"),
        ("missing", "No such file"), ("no key", "cannot be used"), ("locked", "pass phrase"),
    ],
)  # fmt: skip
def test_bad_certificates(issue, tmp_path, kind, words):
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


def test_upstream_ca(issue, tmp_path):
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
        ("127.0.0.1", "in use by"), ("*", "in use by"), ("127.0.0.2", ""), ("192.0.2.77", "is not an address of this host"),
        ("no-such-name.invalid", "is not an address of this host"),
    ],
)  # fmt: skip
def test_ports(taken, address, words):
    desired = backend.DesiredState(listens=[(address, taken)])
    with pytest.raises(ProxyError, match=words) if words else contextlib.nullcontext():
        preflight.check_ports(registry.make_backend("nginx"), desired, Proxy("nginx"), 0)


def test_ports_of_the_server_itself(taken, monkeypatch):
    server = registry.make_backend("nginx")
    (item,) = [item for item in control.listening() if item.port == taken]
    monkeypatch.setattr(type(server), "programs", (item.process,))
    preflight.check_ports(server, backend.DesiredState(listens=[("127.0.0.1", taken)]), Proxy("nginx"), 0)
    with pytest.raises(ProxyError, match="without a restart"):
        preflight.check_ports(server, backend.DesiredState(listens=[("*", taken)]), Proxy("nginx"), 0)


def test_who_tells_the_server_to_listen_there(taken):
    desired = backend.DesiredState(
        listens=[("127.0.0.1", taken)], origins={("127.0.0.1", taken): "/etc/apache2/ports.conf:5"}
    )
    with pytest.raises(ProxyError, match=r"ports\.conf:5"):
        preflight.check_ports(registry.make_backend("apache"), desired, Proxy("apache"), 0)


PORTS = """SELinux Port Type              Proto    Port Number

http_cache_port_t              tcp      8080, 8118, 8123, 10001-10010
http_port_t                    tcp      80, 81, 443, 488, 8008, 8009, 8443, 9000
websm_port_t                   tcp      9090
websm_port_t                   udp      9083
"""


def answers(**others):
    """Commands of a host: what they print, or a number that they end with."""
    known = {
        "semanage port -l": PORTS,
        "getsebool httpd_can_network_connect": "httpd_can_network_connect --> off",
        **others,
    }

    def run(argv):
        answer = known.get(" ".join(argv), 0)
        return backend.Command(answer, "") if isinstance(answer, int) else backend.Command(0, answer)

    return run


def commands(needs):
    return [" ".join(command) for need in needs for command in need.commands]


def test_selinux():
    assert commands(selinux_firewalld.find_selinux_needs("nginx", [443, 9083, 9090], answers())) == [
        "semanage port -a -t http_port_t -p tcp 9083",
        "semanage port -m -t http_port_t -p tcp 9090",
        "setsebool -P httpd_can_network_connect on",
    ]


def test_selinux_that_is_ready():
    run = answers(**{"getsebool haproxy_connect_any": "haproxy_connect_any --> on"})
    assert selinux_firewalld.find_selinux_needs("haproxy", [443], run) == []


def test_selinux_without_its_tools():
    with pytest.raises(ProxyError, match="policycoreutils"):
        selinux_firewalld.find_selinux_needs("nginx", [443], answers(**{"semanage port -l": 127}))


def test_firewalld():
    run = answers(
        **{
            "firewall-cmd --state": "running",
            "firewall-cmd --query-port=9083/tcp": 1,
            "firewall-cmd --permanent --query-port=9083/tcp": 1,
        }
    )
    assert commands(selinux_firewalld.find_firewalld_needs([443, 9083], run)) == [
        "firewall-cmd --add-port=9083/tcp",
        "firewall-cmd --permanent --add-port=9083/tcp",
    ]
    assert selinux_firewalld.find_firewalld_needs([9083], answers(**{"firewall-cmd --state": "not running"})) == []


def test_a_setting_that_fails():
    need = selinux_firewalld.Need("SELinux: x", [["setsebool", "-P", "x", "on"]])
    with pytest.raises(ProxyError, match="SELinux: x could not be set"):
        selinux_firewalld.apply_needs([need], lambda argv: backend.Command(1, "no policy"))


def test_a_command_that_is_not_there():
    assert backend.run(["/no/such/program"]).code == 127


def test_discover_reads_certificates(issue, tmp_path):
    certificate, _key = issue(end=60)
    (tmp_path / "etc/nginx").mkdir(parents=True)
    with open(certificate, "rb") as file:
        (tmp_path / "etc/nginx/x.pem").write_bytes(file.read())
    (tmp_path / "etc/nginx/nginx.conf").write_text(
        "events {}\nhttp { ssl_certificate x.pem; server { listen 443 ssl; } server { listen 444 ssl; }\n"
        "server { listen 445 ssl; ssl_certificate gone.pem; } }\n"
    )
    (proxy,) = discover.describe_servers([registry.make_backend(kind, str(tmp_path)) for kind in registry.BACKENDS])
    assert [host.certificate_names for host in proxy.hosts] == [[NAME], [NAME], []]
    assert proxy.hosts[0].certificate_expires == proxy.hosts[1].certificate_expires > 0
    assert any("gone.pem" in note for note in proxy.notes)
    assert (proxy.kind, proxy.running, proxy.version, proxy.error) == ("nginx", False, "", "")


def test_discover_survives_a_reader_that_fails(tmp_path, monkeypatch):
    (tmp_path / "etc/nginx").mkdir(parents=True)
    (tmp_path / "etc/nginx/nginx.conf").write_text("events {}\n")
    server = registry.make_backend("nginx", str(tmp_path))
    monkeypatch.setattr(type(server), "read", lambda self: 1 / 0)
    (proxy,) = discover.describe_servers([server])
    assert any("ZeroDivisionError" in note for note in proxy.notes)


def test_children_and_their_start():
    with subprocess.Popen(["sleep", "600"]) as child:
        found = {pid: start for pid, start, _command in daemon.children(os.getpid())}
        assert abs(found[child.pid] - time.time()) < 60
        assert daemon.name_of(child.pid)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert daemon.name_of(child.pid) == "", "only its exit code is left"
