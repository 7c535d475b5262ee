# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be a server name, an address, a port or a context path, and what cannot, with the reason."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import host_names, variables

WRONG_NAMES = {
    "https://wiki.example.com": "https://", "HTTP://wiki.example.com/": "HTTP://",
    "wiki.example.com:443": ":443", "wiki.example.com:": ":",
    "wiki.example.com/confluence": "path", "wiki.example.com/": "path", "wiki\\x": "path", "wiki.example.com?a": "path",
    "a.example.com, b.example.com": "several", "a.example.com b.example.com": "several", "a.example.com;": "several",
    "${proxy.name}": "${proxy.name}", "wiki.${domain}": "${domain}", "$DOMAIN": "$DOMAIN", "${x": "${x",
    "{{ server_name }}": "{{ server_name }}", "%NAME%": "%NAME%", "<subdomain>.<domain>.com": "<subdomain>",
    "@NAME@": "@NAME@", "[your host]": "[your host]", "%(name)s": "%(name)s",
    "your-domain.com": "example", "yourserver.example.com": "example", "CHANGEME": "example",
    "subdomain.domain.com": "example", "admin@wiki.example.com": "@",
    "wiki.example.com\u202a": "U+202A", "wiki\u200b.example.com": "U+200B", "wiki.example.com\n": "U+000A",
    "wiki..example.com": "two dots", ".example.com": "beginning", "wiki.example.com.": "end",
    "*.example.com": "'*'", "-wiki.example.com": "'-wiki'", "wiki!.example.com": "'wiki!'",
    "wiki.bücher.example": "wiki.xn--bcher-kva.example", "a" * 64 + ".example.com": "too long",
    "10.0.0.256": "address", "1.2.3": "address", "0.0.0.0": "type", "2001:db8::1": "IPv6", "[2001:db8::1]": "IPv6",
    "": "empty",
}  # fmt: skip


@pytest.mark.parametrize(("text", "why"), WRONG_NAMES.items())
def test_no_server_name_on_a_host_is_none_in_the_inventory(text, why):
    assert why in host_names.explain_name(text)
    if text.strip() == text and text:
        settings, problems = variables.parse({"rtc_server_name": text}, "jira")
        assert settings.server_name == ""
        assert [problem.id for problem in problems] == ["RTC102"]
        assert why in problems[0].message


@pytest.mark.parametrize(
    "text",
    ["wiki", "wiki.example.com", "Wiki.Example.COM", "my_wiki.example.com", "10.0.0.5", "3com.example", "yours.example",
     "xn--bcher-kva.example", "a--b.example.com", "localhost", "host.example.com"],
)  # fmt: skip
def test_names_as_people_have_them(text):
    assert host_names.explain_name(text) == ""
    assert variables.parse({"rtc_server_name": text}, "jira")[0].server_name == text.lower()


@pytest.mark.parametrize(
    ("text", "meant"),
    [("https://Wiki.example.com:8443/confluence", "wiki.example.com"), ("wiki.example.com:443", "wiki.example.com"),
     ("user@wiki.example.com", "wiki.example.com"), ("wiki.example.com.", "wiki.example.com"),
     ("a.example.com, b.example.com", ""), ("${name}", ""), ("https://<domain>/", ""),
     ("http://bücher.example", "xn--bcher-kva.example")],
)  # fmt: skip
def test_the_name_that_was_meant(text, meant):
    assert host_names.guess_name(text) == meant


def test_what_cannot_be_seen_is_shown_and_a_password_is_not():
    assert host_names.show("wiki\u202a") == "wiki<U+202A>"
    assert "geheim" not in host_names.show("https://me:geheim@wiki.example.com")
    assert len(host_names.show("x" * 500)) < 130


@pytest.mark.parametrize(
    ("text", "why"),
    [("443", ""), ("1", ""), ("65535", ""), ("0", "1 to"), ("65536", "1 to"), ("9" * 5000, "1 to"), ("-1", "number"),
     ("443/https", "number"), ("４４３", "number"), ("${port}", "${port}"), ("", "empty")],
)  # fmt: skip
def test_ports(text, why):
    assert bool(host_names.explain_port(text)) == bool(why)
    assert why in host_names.explain_port(text)


@pytest.mark.parametrize(
    ("text", "usable"),
    [("", True), ("*", True), ("localhost", True), ("127.0.0.1", True), ("::1", True), ("[::1]", True),
     ("fe80::1%eth0", True), ("${bind.address}", False), ("wiki.example.com", False), ("10.0.0.5:8090", False)],
)  # fmt: skip
def test_addresses(text, usable):
    assert (not host_names.explain_address(text)) == usable


@pytest.mark.parametrize(
    ("text", "usable"),
    [("", True), ("/", True), ("/confluence", True), ("/a/b", True), ("/wiki%20x", True), ("/a+b~c", True),
     ("/${path}", False), ("/my wiki", False), ("https://wiki.example.com/x", False), ("/a//b", False),
     ("/a?b", False), ("/a#b", False), ("/../x", False), ("/x\u200b", False), ("/<context>", False)],
)  # fmt: skip
def test_context_paths(text, usable):
    assert (not host_names.explain_context_path(text)) == usable


@pytest.mark.parametrize(
    ("text", "why"),
    [("https://wiki.example.com", ""), ("http://wiki:8090", ""), ("HTTPS://wiki.example.com", ""),
     ("https://10.0.0.5:8443", ""), ("https://[2001:db8::1]:8443", ""), ("wiki.example.com", "https://"),
     ("https://wiki.example.com/", "path"), ("https://wiki.example.com/confluence", "path"), ("*", "https://"),
     ("https://wiki.example.com:0", "ports are"), ("https://wiki.example.com:", "empty"), ("https://", "no name"),
     ("https://${name}", "${name}"), ("https://*.example.com", "'*'"), ("https://a:1:2", "no number"), ("ftp://a", "http")],
)  # fmt: skip
def test_origins(text, why):
    assert bool(host_names.explain_origin(text)) == bool(why)
    assert why in host_names.explain_origin(text)
    settings, problems = variables.parse({"rtc_origins": [text]}, "jira")
    assert ([problem.id for problem in problems], settings.origins) == ((["RTC102"], []) if why else ([], [text]))


def test_the_name_in_tomcats_certificate_is_a_name():
    assert variables.parse({"rtc_upstream_name": "tomcat.example.com:8443"}, "jira")[1][0].id == "RTC102"


@pytest.mark.parametrize("text", ["999.1.1.1", "1.2.3", "10.0.0.5:443", "eth0"])
def test_addresses_to_listen_on_are_addresses(text):
    assert variables.parse({"rtc_listen": [text]}, "jira")[1][0].id == "RTC102"
