# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check trusts. Whether TLS then works is in the tests of the probe."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._verify import trust, truststore
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "truststore"
URL = "https://wiki.example.com/"


@pytest.mark.parametrize("context_of", [trust.context_of, truststore.context_of])
def test_https_without_anything_to_trust(context_of):
    with pytest.raises(RtcError, match="nothing to trust"):
        context_of(URL, [])


def test_http_needs_no_trust():
    assert trust.context_of("http://wiki.example.com/", []) is None
    assert truststore.context_of("http://wiki.example.com/", [], "/no/such/store") is None


def test_certificates_by_text_and_by_path():
    path = DATA / "root.pem"
    for source in (str(path), path.read_text(encoding="ascii")):
        (subject,) = (item["subject"] for item in trust.context_of(URL, [source]).get_ca_certs())
        assert subject[-1] == (("commonName", "Example Root"),)


def test_a_java_trust_store():
    context = truststore.context_of(URL, [], str(DATA / "trust.jks"), "changeit")
    assert len(context.get_ca_certs()) > 0
    with pytest.raises(RtcError, match="password does not open"):
        truststore.context_of(URL, [], str(DATA / "trust.jks"), "wrong")


def test_no_certificate_to_describe():
    assert trust.describe(b"") == {}
    assert trust.describe(b"\x30\x00") == {}
