# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxy servers of a host, as facts."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._proxy import discover, registry

NAME = "wiki.example.com"


def note(what, reason):
    raise AssertionError(f"{what}: {reason}")


def test_discover_reads_certificates(issue, tmp_path):
    certificate, _key = issue(end=60)
    (tmp_path / "etc/nginx").mkdir(parents=True)
    with open(certificate, "rb") as file:
        (tmp_path / "etc/nginx/x.pem").write_bytes(file.read())
    (tmp_path / "etc/nginx/nginx.conf").write_text(
        "events {}\nhttp { ssl_certificate x.pem; server { listen 443 ssl; } server { listen 444 ssl; }\n"
        "server { listen 445 ssl; ssl_certificate gone.pem; } }\n"
    )
    (proxy,) = discover.describe_servers(
        (registry.make_backend(kind, str(tmp_path)) for kind in registry.BACKENDS), note
    )
    assert [host.certificate_names for host in proxy.hosts] == [[NAME], [NAME], []]
    assert proxy.hosts[0].certificate_expires == proxy.hosts[1].certificate_expires > 0
    assert any("gone.pem" in note for note in proxy.notes)
    assert (proxy.kind, proxy.running, proxy.version, proxy.error) == ("nginx", False, "", "")


def test_discover_survives_a_reader_that_fails(tmp_path, monkeypatch):
    (tmp_path / "etc/nginx").mkdir(parents=True)
    (tmp_path / "etc/nginx/nginx.conf").write_text("events {}\n")
    server = registry.make_backend("nginx", str(tmp_path))
    monkeypatch.setattr(type(server), "read", lambda self: 1 / 0)
    (proxy,) = discover.describe_servers([server], note)
    assert any("ZeroDivisionError" in note for note in proxy.notes)
