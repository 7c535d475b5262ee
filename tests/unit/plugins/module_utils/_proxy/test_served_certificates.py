# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the certificates of virtual hosts are, as each server resolves their paths."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.collab.rtc.plugins.module_utils._proxy import discover, registry
from ansible_collections.collab.rtc.tests.unit import servers

NAME, OTHER = "wiki.example.com", "other.example.com"


@pytest.fixture
def root(tmp_path, issue):
    """A root directory; ``put(path, name)`` writes a certificate of a name with its key, or both apart."""

    class Root:
        def write(self, path, text):
            target = tmp_path / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)

        def put(self, path, key="", name=NAME, **options):
            certificate, private = issue(name, **options)
            texts = [Path(item).read_text() for item in (certificate, private)]
            self.write(path, texts[0] + ("" if key else texts[1]))
            if key:
                self.write(key, texts[1])

        def find(self, kind):
            """The certificates of the first virtual host with TLS, without the root, and the notes."""
            (proxy,) = discover.describe_servers([registry.make_backend(kind, str(tmp_path))], print)
            host = next(host for host in proxy.hosts if any(item.tls for item in host.listens))
            return [
                (
                    item.certificate.replace(str(tmp_path), ""),
                    item.key.replace(str(tmp_path), ""),
                    item.names,
                    item.problem,
                )
                for item in host.certificates
            ]

    return Root()


def test_addresses_are_names_of_a_certificate_too(root):
    leaf, key = servers.Authority("x").leaf("192.0.2.7")
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    text = leaf.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *form)
    root.write("/etc/nginx/site.pem", text.decode())
    lines = "ssl_certificate site.pem; ssl_certificate_key site.pem;"
    root.write("/etc/nginx/nginx.conf", f"events {{}}\nhttp {{ server {{ listen 443 ssl; {lines} }} }}\n")
    ((_path, _key, names, problem),) = root.find("nginx")
    assert (names, problem) == (["192.0.2.7"], "")


@pytest.mark.parametrize("given", ["ssl/site", "./ssl/site", "/etc/nginx/ssl/site", "../nginx/ssl/site"])
@pytest.mark.parametrize("level", ["http", "server"])
def test_nginx_begins_at_the_directory_of_its_main_file(root, given, level):
    root.put("/etc/nginx/ssl/site.pem", "/etc/nginx/ssl/site.key")
    lines = f"ssl_certificate {given}.pem; ssl_certificate_key {given}.key;"
    http, server = (lines, "") if level == "http" else ("", lines)
    root.write("/etc/nginx/conf.d/x.conf", f"server {{ listen 443 ssl; {server} }}")
    root.write("/etc/nginx/nginx.conf", f"events {{}}\nhttp {{ {http} include conf.d/*.conf; }}\n")
    ((certificate, key, names, problem),) = root.find("nginx")
    assert [os.path.normpath(path) for path in (certificate, key)] == [
        "/etc/nginx/ssl/site.pem",
        "/etc/nginx/ssl/site.key",
    ]
    assert (names, problem) == ([NAME], "")


@pytest.mark.parametrize(
    "given", ["$ssl_server_name.pem", "/etc/ssl/$ssl_server_name.pem", "data:$pem", "data:-----BEGIN"]
)
def test_nginx_with_what_is_no_file(root, given):
    text = f"events {{}}\nhttp {{ server {{ listen 443 ssl; ssl_certificate {given}; ssl_certificate_key x; }} }}\n"
    root.write("/etc/nginx/nginx.conf", text)
    ((certificate, _key, _names, problem),) = root.find("nginx")
    assert problem == f"{certificate} names no file of which the place is known"


@pytest.mark.parametrize(
    ("setting", "given"),
    [
        ("", "tls/site"),
        ("ServerRoot ROOT/srv/www", "tls/site"),
        ("", "/srv/www/tls/site"),
        ("Define D tls", "${D}/site"),
    ],
)
def test_apache_begins_at_server_root(root, tmp_path, setting, given):
    top = "/srv/www" if "srv" in setting + given else "/etc/apache2"
    root.put(f"{top}/tls/site.pem", f"{top}/tls/site.key")
    root.write(
        "/etc/apache2/apache2.conf",
        f"{setting.replace('ROOT', str(tmp_path))}\n<VirtualHost *:443>\nSSLEngine on\nSSLCertificateFile {given}.pem\n"
        f"SSLCertificateKeyFile {given}.key\n</VirtualHost>\n",
    )
    assert root.find("apache") == [(f"{top}/tls/site.pem", f"{top}/tls/site.key", [NAME], "")]


@pytest.mark.parametrize(
    ("settings", "crt", "path"),
    [
        ("crt-base /etc/ssl/private", "site.pem", "/etc/ssl/private/site.pem"),
        ("crt-base /etc/ssl", "private/site.pem", "/etc/ssl/private/site.pem"),
        ("crt-base /etc/ssl/private", "/etc/ssl/site.pem", "/etc/ssl/site.pem"),
        ("default-path config", "certs/site.pem", "/etc/haproxy/certs/site.pem"),
        ("default-path parent", "ssl/site.pem", "/etc/ssl/site.pem"),
        ("default-path origin /srv", "site.pem", "/srv/site.pem"),
    ],
)
def test_haproxy_with_crt_base_and_default_path(root, settings, crt, path):
    root.put(path)
    root.write("/etc/haproxy/haproxy.cfg", f"global\n {settings}\nfrontend f\n bind :443 ssl crt {crt} alpn h2\n")
    assert root.find("haproxy") == [(path, path, [NAME], "")]


@pytest.mark.parametrize("key", ["/certs/site.pem.key", "/certs/site.key", "/keys/site.pem.key"])
def test_haproxy_with_the_key_beside(root, key):
    root.put("/certs/site.pem", key)
    root.write("/etc/haproxy/haproxy.cfg", "global\n key-base /keys\nfrontend f\n bind :443 ssl crt /certs/site.pem\n")
    assert root.find("haproxy") == [("/certs/site.pem", key, [NAME], "")]


def test_haproxy_with_a_directory(root):
    root.put("/certs/b.pem", "/certs/b.pem.key")
    root.put("/certs/a.pem", name=OTHER)
    root.write("/certs/b.pem.ocsp", "")
    root.write("/etc/haproxy/haproxy.cfg", "frontend f\n bind :443 ssl crt /certs/\n")
    assert root.find("haproxy") == [
        ("/certs/a.pem", "/certs/a.pem", [OTHER], ""),
        ("/certs/b.pem", "/certs/b.pem.key", [NAME], ""),
    ]


def test_haproxy_with_a_list_and_several_crt(root):
    root.put("/certs/a.pem", name=OTHER)
    root.put("/certs/b.pem")
    root.write("/etc/haproxy/list", "# a comment\n\nb.pem [alpn h2] wiki.example.com !x.example.com\n")
    text = "global\n crt-base /certs\nfrontend f\n bind :443 ssl crt a.pem crt-list /etc/haproxy/list\n"
    root.write("/etc/haproxy/haproxy.cfg", text)
    assert [item[0] for item in root.find("haproxy")] == ["/certs/a.pem", "/certs/b.pem"]


@pytest.mark.parametrize("crt", ["site.pem", "@store/site.pem"])
def test_haproxy_with_what_cannot_be_resolved(root, crt):
    root.write("/etc/haproxy/haproxy.cfg", f"frontend f\n bind :443 ssl crt {crt}\n")
    assert root.find("haproxy") == [(crt, crt, [], f"{crt} names no file of which the place is known")]


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root may not say what is missing")
def test_what_cannot_be_presented_by_another(root, tmp_path):
    root.write("/etc/haproxy/haproxy.cfg", "frontend f\n bind :443 ssl crt /gone.pem\n")
    assert "gone.pem" in root.find("haproxy")[0][3]
    shutil.rmtree(tmp_path / "etc")
    root.put("/a.pem", "/a.key", passphrase=b"secret")
    text = "events {}\nhttp { server { listen 443 ssl; ssl_certificate /a.pem; ssl_certificate_key /a.key; } }\n"
    root.write("/etc/nginx/nginx.conf", text)
    assert root.find("nginx")[0][3] == "its key /a.key has a pass phrase"
