# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in the text of configuration files, as administrators write them."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._mask import MASK
from ansible_collections.collab.rtc.plugins.module_utils._secret_text import mask_text
from ansible_collections.collab.rtc.tests.unit import growth


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
        # names that a directive gives a value to
        "proxy_set_header X-Api-Key hunter2;",
        'proxy_set_header X-Auth-Token "hunter2";',
        'auth_http_header X-Auth-Key "hunter2";',
        "set $token hunter2;",
        "set $api_key 'hunter2';",
        'if ($http_x_token != "hunter2") { return 403; }',
        'if ($http_x_token ~ "^hunter2$") { return 403; }',
        'secure_link_md5 "$secure_link_expires$uri hunter2";',
        'map $http_x_api_key $known {\n    default 0;\n    "hunter2" 1;\n    hunter22 1;\n}',
        'RequestHeader set X-Api-Key "hunter2"',
        "RequestHeader setifempty X-Auth-Token hunter2",
        "SetEnv DB_PASS hunter2",
        'SetEnv API_KEY "hunter2"',
        "    SetEnv AWS_SECRET_ACCESS_KEY hunter2",
        "Define DBPASS hunter2",
        "http-request set-header X-Token hunter2",
        "    http-response add-header X-Api-Key hunter2 if { ssl_fc }",
        "http-request set-var(txn.secret) str(hunter2)",
        "acl known hdr(x-api-key) hunter2",
        "http-request deny unless { req.hdr(X-Token) -m str hunter2 }",
        "setenv TOKEN hunter2",
        'presetenv DB_PASS "hunter2"',
        "dynamic-cookie-key hunter2",
        # XML
        '<Connector keystorePass\n    ="hunter2"/>',
        '<Connector keystorePass=\n    "hunter2"/>',
        '<Connector keystorePass="one\nhunter2"/>',
        '<Parameter name="db.password" value="hunter2"/>',
        '<Environment value="hunter2" type="java.lang.String" name="db.password"/>',
        '<property name="hibernate.connection.password">hunter2</property>',
        "<password>hunter2</password>",
        '<Resource url="jdbc:oracle:thin:joe/hunter2@//db:1521/x"/>',
        # units and shells
        "PASS=$'a hunter2'",
        'PASS="a"hunter2',
        "PASS='a'\"hunter2\"",
        "PASS=a\\ hunter2",
        "PASS+=hunter2",
        'PASSWORD="one\nhunter2"',
        "PASS=${X:-hunter2}",
        ": ${DB_PASSWORD:=hunter2}",
        '[ "$TOKEN" == hunter2 ] || SECRETKEY=hunter2',
        'Environment="PASSWORD=a hunter2" "TOKEN=hunter2"',
        "SetCredential=db:hunter2 hunter2",
        'O="-Dx.keyStorePassword=\\"a hunter2\\" -Dy=z"',
        'O="-Dx.keyStorePassword=a;hunter2 -Dy=z"',
        "O='-Dx.keyStorePassword=a,hunter2 -Dy=z'",
        "O='-Dx.keyStorePassword=a&hunter2 -Dy=z'",
        "O='-Dx.keyStorePassword=a>hunter2 -Dy=z'",
        "curl -u joe:hunter2 https://example.com",
        "curl --user joe:hunter2 https://example.com",
        "sshpass -p hunter2 ssh host",
        "https_proxy=http://joe:hun/hunter2@proxy:3128",
        "signing-key: hunter2",
        "encryption_key=hunter2",
        "jwt_key = 'hunter2'",
        "password_profile=hunter2",
        "DB_PASS=$(echo hunter2)",
        "export TOKEN=`printf %s hunter2`; X=1",
        "mysql -u root -phunter2 db",
        "/usr/bin/mysqldump --opt -h db -p'hunter2' wiki",
        'mariadb -p"a hunter2"',
        "curl -ujoe:hunter2 https://example.com",
        "JAVA_OPTS='-Dpw=hunter2 -Dldap.bind.pw=hunter2 -Ddb.Pw=hunter2'",
        "-Dnewrelic.config.license_key=hunter2",
        "<password><![CDATA[hunter2]]></password>",
        "<password>\n  <![CDATA[a ]] hunter2]]>\n</password>",
        '<property name="connection.password"><![CDATA[hunter2]]></property>',
        '<!ENTITY keypass "hunter2">',
        '<!ENTITY half "hunter2"><!ENTITY db.password "a&half;">',
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
        "location /secret { return 403; }",
        "location ~ ^/token: {}",
        '<Connector port="8090" secretRequired="false"/>',
        'passwordProvider="org.example.Vault"',
        "PASSWORD_FILE=/run/secrets/db",
        "KEYSTORE_PASSWORD_PATH=/run/secrets/ks",
        "token_endpoint=https://sso.example.com/token",
        "proxy_cache_bypass $http_upgrade;",
        "bypass=north",
        "compass=north",
        "credentials: 'same-origin'",
        "add_header Access-Control-Allow-Credentials true;",
        'Header set Access-Control-Allow-Credentials "true"',
        "proxy_set_header X-Token $http_x_token;",
        'proxy_set_header X-Token "$http_x_token";',
        "http-request set-header X-Token %[req.hdr(x-token)]",
        "http-request set-var(txn.token) req.hdr(x-token)",
        "http-request deny unless { req.hdr(x-token) -m found }",
        'if ($http_x_token = "") { return 403; }',
        "# The password of the store is in the vault.",
        'auth_basic "Password required";',
        "proxy_pass http://127.0.0.1:9083/a@b;",
        "docker run -u 1000:1000 image",
        "docker run -u1000:1000 image",
        "mysql -h db -P 3306 wiki -p",
        "JAVA_HOME=$(readlink -f /usr/bin/java)",
        "<token><name>x</name></token>",
        "<credentials>\n  <user>x</user>\n</credentials>",
        "license_key_file=/etc/agent.key",
        "pwdx=1 hpwm=2 lpw=3",
    ],
)
def test_the_rest_stays_to_the_letter(text):
    assert mask_text(text) == text


def test_what_an_entity_stands_for():
    """XML: the value of a secret may stand in the DOCTYPE, and be made of others there."""
    text = (
        '<!DOCTYPE Server [<!ENTITY port "8090"><!ENTITY half "hunter2"> <!ENTITY pass \'&half;hunter2\'>]>\n'
        '<Server><Connector keystorePass="&pass;" port="&port;"/></Server>\n'
    )
    masked = mask_text(text)
    assert "hunter2" not in masked
    assert '<!ENTITY port "8090">' in masked
    assert mask_text(masked) == masked


def test_lines_stay_apart():
    text = 'password=\nport=8080\nkeystorePass="hunter2"\nport="9"\n'
    assert mask_text(text) == f'password=\nport=8080\nkeystorePass={MASK}\nport="9"\n'


def test_a_long_text_takes_no_longer_than_its_length():
    """Nested repetitions would never end here."""
    for piece in ("pass", "a ", "-", "secret ", '"', "x=", "authorization "):
        assert mask_text(piece * 20_000) is not None


def test_a_large_file_takes_seconds():
    """Each rule looks at each place once: twice the text is twice the time, and not four times."""

    for piece in ("token-", "://a:", "a", 'password="x', "<a name='token'", 'value="x" ', "map $token $a {", "x\\"):
        growth.require_linear(mask_text, lambda size, piece=piece: piece * (size // len(piece)), 400_000)
