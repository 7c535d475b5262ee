# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in the text of configuration files, as administrators write them."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._secret_text import MASK, mask_text


@pytest.mark.parametrize(
    "text",
    [
        '<Connector keystorePass="hunter2" port="1"/>',
        "<Connector keyPass='hunter2 and more' port='1'/>",
        '<Certificate certificateKeystorePassword = "hunter2"/>',
        '<Resource url="jdbc:postgresql://db/jira" username="jira" password="hunter2"/>',
        "<Resource url='jdbc:postgresql://jira:hunter2@db/jira'/>",
        "-Djavax.net.ssl.trustStorePassword=hunter2 -Dfile.encoding=UTF-8",
        "CATALINA_OPTS='-Ddb.password=hunter2'",
        "export JIRA_DB_PASSWORD='hunter2 hunter2'",
        "keytool -list -storepass hunter2 -keystore x",
        "keytool -storepass 'hunter2' -keypass hunter2",
        "curl --token hunter2 https://example.com",
        'rtc_token = "hunter2"',
        "token: hunter2",
        '{"password": "hunter2", "user": "joe"}',
        '{"client_secret":"hunter2"}',
        "aws_api_key=hunter2",
        # HAProxy
        "    stats auth admin:hunter2",
        "    user joe insecure-password hunter2",
        "    user joe password $5$hunter2$abc",
        "    http-request set-header Authorization Basic\\ hunter2",
        # Apache
        "AuthLDAPBindPassword hunter2",
        'AuthLDAPBindPassword "hunter2 hunter2"',
        "SessionCryptoPassphrase hunter2",
        "ProxyPass / ajp://127.0.0.1:8009/ secret=hunter2",
        "BalancerMember ajp://10.0.0.1:8009 secret=hunter2 route=a",
        'RequestHeader set Authorization "Basic hunter2"',
        'DBDParams "host=db user=joe password=hunter2"',
        # nginx
        "proxy_set_header Authorization 'Bearer hunter2';",
        'proxy_set_header Authorization "Basic hunter2";',
        "secure_link_secret hunter2;",
        "auth_password hunter2;",
        'if ($http_x_token = "hunter2") { return 403; }',
        # in comments too
        '# keystorePass="hunter2"',
        "#AuthLDAPBindPassword hunter2",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\nhunter2\n-----END RSA PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n",
    ],
)
def test_what_is_secret_is_masked(text):
    shown = mask_text(text)
    assert "hunter2" not in shown
    assert MASK in shown
    assert mask_text(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "proxy_pass http://127.0.0.1:8090;",
        "    proxy_pass_header Authorization;",
        "ProxyPass /socket.io/ http://127.0.0.1:9080/socket.io/ upgrade=websocket",
        "ProxyPassReverse / http://127.0.0.1:8090/",
        "ProxyPassMatch ^/x http://127.0.0.1:8090/",
        "fastcgi_pass unix:/run/php.sock;",
        "ssl_password_file /etc/nginx/keys/pass;",
        "auth_basic_user_file /etc/nginx/htpasswd;",
        'password_file = "/run/secrets/db"',
        "auth_basic 'Members only';",
        "proxy_set_header Authorization '';",
        "RequestHeader unset Authorization",
        "server 127.0.0.1:9080;",
        "bind 192.0.2.1:443 ssl crt /etc/haproxy/certs/",
        "LoadCredential=secret:/etc/collab-rtc/secret",
        '<Connector port="8443" scheme="https" secure="true"/>',
        "Rest with the passengers: https://example.com/x",
    ],
)
def test_the_rest_stays_to_the_letter(text):
    assert mask_text(text) == text


def test_lines_stay_apart():
    text = 'password=\nport=8080\nkeystorePass="hunter2"\nport="9"\n'
    assert mask_text(text) == f'password=\nport=8080\nkeystorePass={MASK}\nport="9"\n'


def test_a_long_text_takes_no_longer_than_its_length():
    """Nested repetitions would never end here."""
    for piece in ("pass", "a ", "-", "secret ", '"', "x=", "authorization "):
        assert mask_text(piece * 20_000) is not None
