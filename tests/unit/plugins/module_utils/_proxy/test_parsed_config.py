# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsing and reading of all kinds: nonsense, files that include themselves, real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import parser as apache_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import reader as apache_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser as haproxy_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import reader as haproxy_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser as nginx_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import reader as nginx_reader

ODD = [
    "",
    "}",
    "server {",
    "server { location / { proxy_pass",
    "{{{{{{",
    "<VirtualHost",
    "</VirtualHost>",
    "<VirtualHost *:80>\n<Location /x>\nProxyPass http://a/\n",
    "<IfModule>\nListen\n</IfModule>",
    "Listen\nProxyPass\nRewriteRule x\nBalancerMember\nServerName\n<Proxy>\n</Proxy>",
    "ProxyPass / http://[::1\nProxyPass / balancer://none/",
    "frontend\n bind\n acl\n use_backend\n default_backend\nbackend\n server\n balance\n cookie\n timeout server",
    "listen x :::::\n server a :::\n server b unix@/x",
    "server { listen; server_name; location; upstream; proxy_pass; set; proxy_set_header; include; }",
    "\ufeffserver { listen \ud800; }",
    "\x00\x01\x02",
    "include *;",
    "Include *",
    "a\\\nb\\",
]


PIECES = (
    "server location { } ; \n < > </ VirtualHost IfModule \" ' \\ $ ${ # proxy_pass http:// : [ ] listen bind frontend "
    "backend server acl use_backend if { } default_backend RewriteRule [P] ProxyPass balancer:// / . * 80"
)


@pytest.mark.parametrize("text", ODD)
def test_nonsense_never_raises(tmp_path, text):
    everything(tmp_path / "x.conf", text.encode("utf-8", "surrogatepass"))


def test_any_bytes_never_raise(tmp_path):
    hypothesis = pytest.importorskip("hypothesis")
    strategies = hypothesis.strategies
    pieces = strategies.sampled_from(PIECES.split(" "))

    @hypothesis.settings(deadline=None)
    @hypothesis.given(strategies.lists(strategies.one_of(pieces, strategies.text(max_size=3)), max_size=40))
    def check(parts):
        everything(tmp_path / "x.conf", " ".join(parts).encode("utf-8", "surrogatepass"))

    check()


def test_a_file_that_includes_itself(tmp_path):
    (tmp_path / "x.conf").write_text("include x.conf;\nInclude x.conf\n")
    everything(tmp_path / "x.conf", None)


def everything(path, data):
    """Read a file as each of the kinds."""
    if data is not None:
        path.write_bytes(data)
    tree = nginx_parser.parse(str(path))
    nginx_reader.read_virtual_hosts(tree)
    tree = apache_parser.parse(str(path), apache_parser.ParserOptions(server_root=str(path.parent), every_module=True))
    apache_reader.read_virtual_hosts(tree)
    haproxy_reader.read_virtual_hosts(haproxy_parser.parse([str(path)]))


def test_corpus(tmp_path):
    """Real files from public repositories: every one is read, and those that forward something are understood."""
    corpus = os.environ.get("RTC_CORPUS")
    if not corpus:
        pytest.skip("RTC_CORPUS is not set")
    forwarding = understood = 0
    for kind, directive in (("nginx", "proxy_pass"), ("apache", "ProxyPass "), ("haproxy", "server ")):
        for path in sorted(Path(corpus, kind).iterdir()):
            everything(path, None)
            found = corpus_hosts(kind, str(path))
            active = [line.strip() for line in path.read_text(errors="replace").splitlines()]
            if any(line.startswith(directive) for line in active):
                forwarding += 1
                understood += any(route.upstreams for host in found for route in host.routes)
    assert forwarding > 20
    assert understood >= forwarding * 0.9, (understood, forwarding)


def corpus_hosts(kind, path):
    if kind == "nginx":
        return nginx_reader.read_virtual_hosts(nginx_parser.parse(path))
    if kind == "apache":
        return apache_reader.read_virtual_hosts(
            apache_parser.parse(path, apache_parser.ParserOptions(every_module=True))
        )
    return haproxy_reader.read_virtual_hosts(haproxy_parser.parse([path]))
