# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real Tomcats accept what we write, and agree with us about what they no longer have."""

from __future__ import annotations

import codecs
import re
import socket

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._tomcat import attributes, connectors, server_xml
from ansible_collections.collab.rtc.plugins.module_utils._tomcat.edit import edit_connector
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "server_xml"
NOT_SET = re.compile(r"failed to set property \[(\w+)\]")
FORMS = {
    "as it is": lambda text: text.encode(),
    "crlf, no final newline": lambda text: text.rstrip("\n").replace("\n", "\r\n").encode(),
    "utf-8 with mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "latin-1": lambda text: declared(text, "ISO-8859-1").encode("latin-1"),
}


def declared(text, encoding):
    return f'<?xml version="1.0" encoding="{encoding}"?>' + text + "<!-- \xe9 -->"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def edited(data, attributes, version="", port=None):
    """Edit, and move the connector to a free port of the loopback: configtest binds it."""
    model = server_xml.parse(data)
    connector, _reason = connectors.choose_connector(model, port)
    asked = {"port": str(free_port()), "address": "127.0.0.1", **attributes}
    return edit_connector(model, connector, asked, version).data


PROXY = {"scheme": "https", "secure": "true", "proxyName": "wiki.example.com", "proxyPort": "443"}


@pytest.mark.parametrize("form", FORMS)
def test_what_we_write_is_accepted(tomcat, form):
    text = (DATA / "confluence.xml").read_text(encoding="utf-8")
    data = edited(FORMS[form](text), {**PROXY, "server": "a \"b\" 'c' <d> & \u20ac"}, tomcat.version)
    code, said = tomcat.configtest(data)
    assert code == 0, said
    assert NOT_SET.findall(said) == []


def test_its_own_file_is_accepted_after_an_edit(tomcat_on_each_java):
    tomcat = tomcat_on_each_java
    data = edited(tomcat.server_xml.read_bytes(), PROXY, tomcat.version)
    code, said = tomcat.configtest(data)
    assert code == 0, said
    assert NOT_SET.findall(said) == []


def test_doctype_cdata_and_references_are_accepted(tomcat):
    data = edited((DATA / "oddities.xml").read_bytes(), {"scheme": "https"}, tomcat.version)
    code, said = tomcat.configtest(data)
    assert code == 0, said
    assert NOT_SET.findall(said) == []


def test_configtest_can_refuse(tomcat):
    code, said = tomcat.configtest((DATA / "uncommented.xml").read_bytes())
    assert code != 0 or "SAXParseException" in said


def test_the_version_is_detected(tomcat):
    (tomcat.base / "lib").symlink_to(tomcat.home / "lib")
    assert attributes.detect_version(str(tomcat.server_xml)).startswith(tomcat.version)
    assert attributes.detect_version(str(tomcat.home / "conf" / "server.xml")).startswith(tomcat.version)


# Attributes that the NIO connector had, each with a value it takes; those of APR are not settable here.
ONCE_THERE = {
    "keystoreFile": "conf/none.p12",
    "keystorePass": "changeit",
    "keystoreType": "PKCS12",
    "keyAlias": "a",
    "keyPass": "x",
    "keystoreProvider": "SUN",
    "clientAuth": "false",
    "sslProtocol": "TLS",
    "sslEnabledProtocols": "TLSv1.2",
    "ciphers": "HIGH",
    "truststoreFile": "conf/none.jks",
    "truststorePass": "x",
    "truststoreType": "JKS",
    "truststoreProvider": "SUN",
    "truststoreAlgorithm": "PKIX",
    "trustMaxCertLength": "5",
    "crlFile": "conf/none.crl",
    "algorithm": "SunX509",
    "sessionCacheSize": "1",
    "sessionTimeout": "1",
    "useServerCipherSuitesOrder": "true",
    "acceptorThreadCount": "1",
    "pollerThreadCount": "1",
    "noCompressionStrongETag": "true",
    "rejectIllegalHeaderName": "true",
    "rejectIllegalHeader": "true",
    "allowHostHeaderMismatch": "false",
    "compressableMimeType": "text/html",
    "soTimeout": "20000",
    "soLinger": "-1",
    "backlog": "100",
}
STILL_THERE = {
    "scheme": "https",
    "secure": "true",
    "proxyName": "a.example",
    "proxyPort": "443",
    "connectionTimeout": "1000",
}


def test_tomcat_agrees_about_what_is_gone(tomcat):
    service = b"<Service name='S'><Connector port='1'/><Engine name='E' defaultHost='h'/></Service>"
    text = b"<Server port='-1'>" + service + b"</Server>"
    data = edited(text, {**ONCE_THERE, **STILL_THERE})  # no version: nothing is refused
    _code, said = tomcat.configtest(data)
    ours = {name for name, _instead in attributes.find_removed([*ONCE_THERE, *STILL_THERE], tomcat.version)}
    assert set(NOT_SET.findall(said)) == ours
