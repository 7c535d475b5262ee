# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._tomcat import server_xml, tls_source

BASE = "/opt/app"


def find(connectors, properties=None, **how):
    text = f'<Server port="8005"><Service name="Catalina">\n{connectors}\n</Service></Server>'
    model = server_xml.parse(text.encode("utf-8"), "server.xml", properties)
    return tls_source.find(model, base=BASE, **how)


TLS = 'SSLEnabled="true" scheme="https" secure="true"'


@pytest.mark.parametrize(
    ("connectors", "expected"),
    [
        (
            f'<Connector port="8443" {TLS} keystoreFile="/etc/k.jks" keystorePass="geheim"/>',
            {
                "form": "connector",
                "store": "/etc/k.jks",
                "store_password": "geheim",
                "key_password": "geheim",
                "alias": "",
            },
        ),
        (
            f'<Connector port="8443" {TLS} keystoreFile="conf/k.p12" keyAlias="tomcat" keyPass="own"/>',
            {"store": "/opt/app/conf/k.p12", "store_password": "changeit", "key_password": "own", "alias": "tomcat"},
        ),
        (
            f'<Connector port="8443" {TLS} keystoreFile="file:/etc/k.jks" keystorePass="${{pw}}"/>',
            {"store": "/etc/k.jks", "store_password": "from a property"},
        ),
        (
            f'<Connector port="8443" {TLS} keystoreFile="file:///etc/k.jks" keystorePass="a&amp;b"/>',
            {"store": "/etc/k.jks", "store_password": "a&b"},
        ),
        (f'<Connector port="8443" {TLS}/>', {"store": "/home/tomcat/.keystore", "store_password": "changeit"}),
        (
            f'<Connector port="8443" {TLS} SSLCertificateFile="c.pem" SSLCertificateKeyFile="k.pem" SSLPassword="pw"/>',
            {"certificate": "/opt/app/c.pem", "key": "/opt/app/k.pem", "chain": "", "key_password": "pw", "store": ""},
        ),
        (
            f"""<Connector port="8443" {TLS}><SSLHostConfig>
            <Certificate certificateKeystoreFile="conf/k.p12" certificateKeystorePassword="geheim" certificateKeyAlias="x"/>
            </SSLHostConfig></Connector>""",
            {
                "line": 3,
                "form": "SSLHostConfig",
                "store": "/opt/app/conf/k.p12",
                "alias": "x",
                "store_password": "geheim",
            },
        ),
        (
            f"""<Connector port="8443" {TLS}><SSLHostConfig>
            <Certificate certificateFile="/c.pem" certificateKeyFile="/k.pem" certificateChainFile="/chain.pem" type="RSA"/>
            <Certificate certificateFile="/ec.pem" certificateKeyFile="/ec.key" type="EC"/>
            </SSLHostConfig></Connector>""",
            {"certificate": "/c.pem", "key": "/k.pem", "chain": "/chain.pem"},
        ),
        (
            f"""<Connector port="8443" {TLS}><SSLHostConfig certificateFile="/both.pem"/></Connector>""",
            {"form": "SSLHostConfig", "certificate": "/both.pem", "key": "/both.pem"},
        ),
    ],
)
def test_forms(connectors, expected):
    found = find(connectors, {"pw": "from a property", "user.home": "/home/tomcat"})
    assert {name: getattr(found, name) for name in expected} == expected
    assert "geheim" not in repr(found)


def test_password_files(tmp_path):
    (tmp_path / "store").write_text("first line\nsecond\n", encoding="utf-8")
    (tmp_path / "key").write_text("the key's\r\n", encoding="utf-8")
    found = find(
        f"""<Connector port="8443" {TLS}><SSLHostConfig><Certificate certificateKeystoreFile="/k"
        certificateKeystorePasswordFile="{tmp_path}/store" certificateKeyPasswordFile="{tmp_path}/key"/>
        </SSLHostConfig></Connector>"""
    )
    assert (found.store_password, found.key_password) == ("first line", "the key's")


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('keystoreFile="/k" keystorePassFile="{0}/store"', ("first line", "first line")),
        ('keystoreFile="/k" keystorePassFile="store" keyPassFile="key"', ("first line", "the key's ")),
        ('keystoreFile="/k" keystorePass="pw" SSLPasswordFile="{0}/key"', ("pw", "the key's ")),
        ('keystoreFile="/k" keystorePass="pw" SSLPassword="own"', ("pw", "own")),
        ('SSLCertificateFile="/c" SSLPasswordFile="key"', ("", "the key's ")),
        ('SSLCertificateFile="/c" keyPassFile="{0}/key"', ("", "the key's ")),
        ('keystoreFile="/k" keystorePass="counts less" keystorePassFile="store"', ("first line", "first line")),
    ],
)
def test_password_files_of_a_connector(tmp_path, attributes, expected):
    (tmp_path / "store").write_text("first line\nsecond\n", encoding="utf-8")
    (tmp_path / "key").write_text("the key's \r\n", encoding="utf-8")
    text = f'<Connector port="8443" {TLS} {attributes.format(tmp_path)}/>'
    model = server_xml.parse(f"<Server><Service>{text}</Service></Server>".encode(), "server.xml")
    found = tls_source.find(model, base=str(tmp_path))
    assert (found.store_password, found.key_password) == expected


def test_a_password_file_that_is_not_there(tmp_path):
    line = f'<Connector port="8443" {TLS} keystoreFile="/k" keystorePassFile="{tmp_path}/gone"/>'
    with pytest.raises(tls_source.NoKey, match=f"server.xml, line 2: .*{tmp_path}/gone") as caught:
        find(line)
    assert caught.value.remedy
    (tmp_path / "gone").write_text("\nsecond\n", encoding="utf-8")
    with pytest.raises(tls_source.NoKey, match="no password in its first line"):
        find(line)


ENCRYPTED = 'protocol="com.atlassian.secrets.tomcat.protocol.Http11NioProtocolWithPasswordEncryption"'


@pytest.mark.parametrize(
    "attributes",
    [
        'keystoreFile="/k" keystorePass="/secrets/pass" productEncryptionKey="/secrets/key"',
        'SSLCertificateFile="/c" SSLPassword="/secrets/pass" bambooEncryptionKey="/secrets/key"',
    ],
)
def test_passwords_that_atlassian_encrypted(attributes):
    with pytest.raises(tls_source.NoKey, match=r"server.xml, line 2: \w+EncryptionKey says .* encrypted") as caught:
        find(f'<Connector port="8443" {TLS} {ENCRYPTED} {attributes}/>')
    assert "PEM" in caught.value.remedy
    assert "/secrets/pass" not in str(caught.value)


def test_an_encryption_key_that_nothing_needs():
    pem = '<SSLHostConfig><Certificate certificateFile="/c" certificateKeyFile="/k"/></SSLHostConfig>'
    found = find(f'<Connector port="8443" {TLS} {ENCRYPTED} productEncryptionKey="/key">{pem}</Connector>')
    assert found.key == "/k"
    assert (
        find(f'<Connector port="8443" {TLS} {ENCRYPTED} keystoreFile="/k" keystorePass="pw"/>').store_password == "pw"
    )


HOSTS = f"""<Connector port="8443" {TLS} defaultSSLHostConfigName="b.example">
<SSLHostConfig hostName="a.example"><Certificate certificateFile="/a"/></SSLHostConfig>
<SSLHostConfig hostName="B.example"><Certificate certificateFile="/b"/></SSLHostConfig>
<SSLHostConfig hostName="*.c.example"><Certificate certificateFile="/c"/></SSLHostConfig>
</Connector>"""


@pytest.mark.parametrize(
    ("name", "certificate"),
    [
        ("a.example", "/a"),
        ("A.EXAMPLE", "/a"),
        ("b.example", "/b"),
        ("x.c.example", "/c"),
        ("c.example", "/b"),
        ("", "/b"),
    ],
)
def test_the_host_that_a_client_gets(name, certificate):
    assert find(HOSTS, server_name=name).certificate == certificate


PLAIN = '<Connector port="8080"/>'


@pytest.mark.parametrize(
    ("connectors", "how", "reason"),
    [
        (PLAIN, {}, "line 2: this connector does not end TLS .*Nothing in this file has a key"),
        (
            f'{PLAIN}\n<Connector port="8443" {TLS}/>',
            {"port": 8080},
            "line 2: .*Name the port of one that does: line 3",
        ),
        (
            f'<Connector port="8443" {TLS} keystoreFile="/k" keystorePass="${{nope}}"/>',
            {},
            r"keystorePass names \$\{nope\}",
        ),
        (f'<Connector port="8443" {TLS}/>', {}, "no key store and no certificate is named"),
        (
            HOSTS.replace("b.example", "d.example", 1),
            {"server_name": "e.example"},
            "no SSLHostConfig is for e.example.*a.ex",
        ),
    ],
)
def test_refusals(connectors, how, reason):
    with pytest.raises(tls_source.NoKey, match=reason):
        find(connectors, **how)


def test_the_only_connector_with_tls_is_taken():
    found = find(f'{PLAIN}\n<Connector port="8081"/>\n<Connector port="8443" {TLS} keystoreFile="/k"/>')
    assert found.line == 4


def test_an_alias_that_is_asked_for_counts_more():
    assert find(f'<Connector port="8443" {TLS} keystoreFile="/k" keyAlias="a"/>', alias="b").alias == "b"
