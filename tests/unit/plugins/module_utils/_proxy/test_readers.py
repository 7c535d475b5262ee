# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading nginx, Apache and HAProxy: whole installations with includes, the languages' oddities, and nonsense."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import registry
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import parser as apache_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import reader as apache_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser as haproxy_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import reader as haproxy_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser as nginx_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import reader as nginx_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "proxies"


@pytest.fixture
def read(tmp_path):
    """The installation of a kind among the test data, below a directory of its own."""

    def run(kind):
        shutil.copytree(DATA / kind, tmp_path / kind)
        return registry.make_backend(kind, str(tmp_path / kind)).read()

    return run


def hosts(proxy):
    """What matters of each virtual host, as plain data."""
    return [
        {
            "at": f"{os.path.basename(host.file)}:{host.line}",
            "names": host.names,
            "listens": [f"{item.address} {item.port}{' tls' if item.tls else ''}" for item in host.listens],
            "routes": [route(item) for item in host.routes],
        }
        for host in proxy.hosts
    ]


def route(item):
    ends = [f"{end.scheme}://{end.host} {end.port}{' backup' if end.backup else ''}" for end in item.upstreams]
    words = [item.path, " ".join(ends), f"{item.read_timeout:g}s"]
    words += [
        word for word, on in (("upgrade", item.upgrade), ("http11", item.http11), ("buffered", item.buffering)) if on
    ]
    words += [f"proto={item.forwarded_proto}"] if item.forwarded_proto else []
    words += [f"as={item.upstream_path}"] if item.upstream_path else []
    words += [f"sticky={item.sticky}"] if item.sticky else []
    return ", ".join(words)


def test_nginx(read):
    proxy = read("nginx")
    assert hosts(proxy) == [
        {
            "at": "confluence:2",
            "names": ["wiki.example.com", "www.wiki.example.com"],
            "listens": ["* 80", ":: 80"],
            "routes": [
                "/confluence, http://127.0.0.1 8090, 90s, buffered, proto=$scheme, as=/confluence",
                # Own proxy_set_header: nothing is inherited, X-Forwarded-Proto is gone.
                "/synchrony, http://127.0.0.1 8091, 90s, upgrade, http11, buffered, as=/synchrony",
                "/, http://127.0.0.1 8099, 90s, proto=$scheme",
                "/computed, , 90s, buffered, proto=$scheme",
            ],
        },
        {
            "at": "confluence:19",
            "names": ["wiki.example.com"],
            "listens": ["192.0.2.10 9083 tls"],
            "routes": ["/, http://127.0.0.1 9083 http://2001:db8::7 9083, 5400s, upgrade, http11, sticky=ip_hash"],
        },
        {
            "at": "nginx.conf:14",
            "names": [],
            "listens": ["* 9093"],
            "routes": ["/, tcp://192.0.2.5 9093 tcp://192.0.2.6 9093 backup, 7200s, upgrade, http11"],
        },
    ]
    assert (proxy.hosts[1].certificate, proxy.hosts[1].key) == ("/etc/ssl/wiki.pem", "/etc/ssl/wiki.key")
    assert any("gone.conf" in note for note in proxy.notes)
    assert any("confluence:17" in note and "$arg_host" in note for note in proxy.notes)


def test_apache(read):
    proxy = read("apache")
    assert hosts(proxy) == [
        {
            "at": "wiki.conf:1",
            "names": ["wiki.example.com", "www.wiki.example.com", "wiki"],
            "listens": ["* 80"],
            "routes": [
                "/synchrony, http://127.0.0.1 8091, 300s, upgrade, http11",
                "/synchrony, ws://127.0.0.1 8091, 300s, upgrade, http11",
                "/confluence/, http://127.0.0.1 8090, 600s, http11",
            ],
        },
        {
            "at": "wiki.conf:20",
            "names": ["wiki.example.com"],
            "listens": ["192.0.2.10 9083 tls", "2001:db8::10 9083 tls"],
            "routes": ["/, http://127.0.0.1 9083, 3600s, upgrade, http11, proto=https"],
        },
        {
            "at": "wiki.conf:30",
            "names": ["jira.example.com"],
            "listens": ["* 443 tls"],
            "routes": [
                "/jira, http://192.0.2.7 8080 http://192.0.2.8 8080 backup, 120s, http11, sticky=cookie ROUTE",
            ],
        },
    ]
    assert any("wiki.conf:36" in note for note in proxy.notes)


def test_listen_of_apache_depends_on_modules(tmp_path):
    shutil.copytree(DATA / "apache", tmp_path / "apache")
    (tmp_path / "apache/etc/apache2/mods-enabled/ssl.load").unlink()
    server = registry.BACKENDS["apache"](str(tmp_path / "apache"))
    ports = [item.port for item in apache_reader.listens(server.parse_config())]
    with_ssl = [item.port for item in apache_reader.listens(server.parse_config({"ssl_module", "mod_ssl.c"}))]
    assert (ports, with_ssl) == ([80], [80, 443])
    assert server.pid_file() == f"{tmp_path}/apache/var/run/apache2/apache2.pid"
    assert server.error_log() == f"{tmp_path}/apache/var/log/apache2/error.log"


def test_haproxy(read):
    proxy = read("haproxy")
    listens = ["* 80", "192.0.2.10 443 tls", "2001:db8::10 443 tls"]
    assert hosts(proxy) == [
        {
            "at": "haproxy.cfg:11",
            "names": ["wiki.example.com", "www.wiki.example.com"],
            "listens": listens,
            "routes": [
                "/synchrony, http://127.0.0.1 8091, 3600s, upgrade, http11, proto=https",
                "/, http://127.0.0.1 8090, 50s, upgrade, http11, proto=https",
            ],
        },
        {
            "at": "haproxy.cfg:11",
            "names": ["jira.example.com", "jira"],
            "listens": listens,
            "routes": [
                "/, https://192.0.2.7 8443 https://192.0.2.8 8443 backup, 50s, upgrade, http11, proto=https, "
                "sticky=cookie JSESSIONID",
            ],
        },
        {
            "at": "haproxy.cfg:11",
            "names": [],
            "listens": listens,
            "routes": ["/, http://127.0.0.1 8090, 50s, upgrade, http11, proto=https"],
        },
        {
            "at": "more.cfg:18",
            "names": [],
            "listens": ["* 9083"],
            # The second defaults hold from where they stand; a server without a port gets the one of the client.
            "routes": ["/, tcp://192.0.2.5 9083 tcp://2001:db8::5 9083, 7200s, upgrade, http11, sticky=source"],
        },
    ]
    assert any("haproxy.cfg:21" in note and "computed" in note for note in proxy.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b;", ["a", "b", ";"]),
        ("a 'b;c' \"d e\";", ["a", "b;c", "d e", ";"]),
        (r"a b\;c \"d;", ["a", "b;c", '"d', ";"]),
        ("a b#c; # d\ne;", ["a", "b#c", ";", "e", ";"]),
        ("a ${b}c {d;}", ["a", "${b}c", "{", "d", ";", "}"]),
        ('location ~ "^/x{2}$" {}', ["location", "~", "^/x{2}$", "{", "}"]),
        (r"rewrite ^/(\w+)\.html$ /$1;", ["rewrite", r"^/(\w+)\.html$", "/$1", ";"]),
        ("content_by_lua_block { if x then { ; } } y;", ["content_by_lua_block", ";", "y", ";"]),
        ("a 'unfinished", ["a", "'unfinished"]),
    ],
)
def test_tokens_of_nginx(text, words):
    assert [token.text for token in nginx_parser.tokens(text)] == words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("86400s", 86400), ("500ms", 0.5), ("1h30m", 5400), ("1d", 86400), ("1M", 2592000), ("off", 7)],
)
def test_times_of_nginx(text, seconds):
    assert nginx_parser.seconds(text, 7) == seconds


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("80", ("*", 80, False)),
        ("*:80 default_server", ("*", 80, False)),
        ("192.0.2.1", ("192.0.2.1", 80, False)),
        ("wiki.example.com:443 ssl", ("wiki.example.com", 443, True)),
        ("[::]:443 ssl http2 ipv6only=on", ("::", 443, True)),
        ("[2001:db8::1]", ("2001:db8::1", 80, False)),
        ("unix:/run/x.sock", None),
    ],
)
def test_listen_of_nginx(text, listen):
    found = nginx_reader.listen_of(Directive("listen", text.split(), "f", 1))
    assert (found and (found.address, found.port, found.tls)) == listen


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("server a 1:2 # x", ["server", "a", "1:2"]),
        (r"acl x path_beg /a\ b", ["acl", "x", "path_beg", "/a b"]),
        ('log "${NAME}:514" local0', ["log", "loghost:514", "local0"]),
        ("a '${NAME} #' b", ["a", "${NAME} #", "b"]),
        ('a "b\\"c" ""', ["a", 'b"c', ""]),
    ],
)
def test_words_of_haproxy(line, words):
    assert haproxy_parser.words(line, {"NAME": "loghost"}) == words


@pytest.mark.parametrize(("text", "seconds"), [("50000", 50), ("1h", 3600), ("30s", 30), ("2m", 120), ("x", 0)])
def test_times_of_haproxy(text, seconds):
    assert haproxy_parser.seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("9083", ("*", 9083)),
        ("*:443", ("*", 443)),
        ("192.0.2.1:80", ("192.0.2.1", 80)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
        ("_default_:443", ("_default_", 443)),
        ("*:*", ("*", 80)),
    ],
)
def test_listen_of_apache(text, listen):
    assert apache_reader.split_listen(text) == listen


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (">= 2.4", True),
        ("< 2.4.7", False),
        ("2.4.62", True),
        ("!2.4.62", False),
        ("> 2.4.62", False),
        ("<= 2.4.62", True),
    ],
)
def test_versions_of_apache(tmp_path, condition, holds):
    path = tmp_path / "x.conf"
    path.write_text(f"<IfVersion {condition}>\nListen 80\n</IfVersion>\n")
    tree = apache_parser.parse(str(path), apache_parser.ParserOptions(version="2.4.62"))
    assert bool(tree.directives) is holds


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
    nginx_reader.virtual_hosts(tree)
    tree = apache_parser.parse(str(path), apache_parser.ParserOptions(server_root=str(path.parent), every_module=True))
    apache_reader.virtual_hosts(tree)
    haproxy_reader.virtual_hosts(haproxy_parser.parse([str(path)]))


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
        return nginx_reader.virtual_hosts(nginx_parser.parse(path))
    if kind == "apache":
        return apache_reader.virtual_hosts(apache_parser.parse(path, apache_parser.ParserOptions(every_module=True)))
    return haproxy_reader.virtual_hosts(haproxy_parser.parse([path]))
