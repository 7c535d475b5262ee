# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses: what URL and ``connect_to`` mean together."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.connection import parse_url


@pytest.mark.parametrize(
    ("url", "connect_to", "authority", "origin", "place"),
    [
        ("https://a/", "", "a", "https://a", "a:443"),
        ("http://a:80", "", "a", "http://a", "a:80"),
        ("https://a:9083/x", "", "a:9083", "https://a:9083", "a:9083"),
        ("https://a:9083/", "192.0.2.1", "a:9083", "https://a:9083", "a:9083 (at 192.0.2.1:9083)"),
        ("https://a:9083/", "192.0.2.1:443", "a:9083", "https://a:9083", "a:9083 (at 192.0.2.1:443)"),
        (
            "http://[2001:db8::1]:90/",
            "[::1]:1",
            "[2001:db8::1]:90",
            "http://[2001:db8::1]:90",
            "2001:db8::1:90 (at ::1:1)",
        ),
        ("http://a:9083/", "::1", "a:9083", "http://a:9083", "a:9083 (at ::1:9083)"),
    ],
)
def test_endpoint(url, connect_to, authority, origin, place):
    endpoint = parse_url(url, connect_to)
    assert (endpoint.authority, endpoint.origin, endpoint.place) == (authority, origin, place)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("", "", 0),
        ("wiki.example.com", "wiki.example.com", 0),
        ("wiki.example.com:9083", "wiki.example.com", 9083),
        ("192.0.2.1:1", "192.0.2.1", 1),
        ("2001:db8::1", "2001:db8::1", 0),
        ("[2001:db8::1]", "2001:db8::1", 0),
        ("[2001:db8::1]:9083", "2001:db8::1", 9083),
        ("[fe80::1%eth0]:9083", "fe80::1%eth0", 9083),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1", 0),
    ],
)
def test_where_to_connect(text, host, port):
    endpoint = parse_url("http://a/", text)
    assert (endpoint.connect_host, endpoint.connect_port) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["[::1", "::1]", "[]", "[wiki]:1", ":9083", "a:", "a:b", "a:123456", "a:b:1", "a b", "[::1]x", "[::1]:", "[::1]:x"],
)
def test_what_is_not_an_address(text):
    with pytest.raises(RtcError, match="is not an address"):
        parse_url("http://a/", text)
