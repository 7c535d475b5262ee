# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

from ansible_collections.collab.rtc.plugins.module_utils._detect.gather import gather
from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import fingerprint

CONFLUENCE = "/opt/atlassian/confluence"


def facts_of(host, **options):
    return gather(root=host.root, lstat=host.lstat, lookup=lambda name: ["192.0.2.7"], **options)


def only(host, **options):
    facts = facts_of(host, **options)
    assert len(facts.applications) == 1
    return facts.applications[0]


def test_confluence_by_installer_running(host):
    host.installed_confluence().jvm(
        700, CONFLUENCE, "-Dconfluence.context.path=/confluence", "-Ddb.password=geheim", unit="confluence.service"
    )
    found = only(host)
    assert (found.kind, found.install_dir, found.version) == ("confluence", CONFLUENCE, "8.5.3")
    assert found.home == "/var/atlassian/application-data/confluence"
    assert (found.user, found.tomcat_version) == ("confluence", "9.0.82")
    assert (found.service.kind, found.service.name, found.service.active) == ("sysv", "confluence", True)
    assert (found.process.pid, found.process.user, found.process.started) == (700, "confluence", 1700000500.0)
    assert found.process.properties["db.password"] == found.properties["db.password"] == "********"
    assert found.properties["confluence.context.path"] == "/confluence"
    assert found.properties["catalinaConnectorProxyName"] == "wiki.example.org"
    assert "example.commented" not in found.properties
    java = found.java
    assert (java.home, java.version, java.source) == (f"{CONFLUENCE}/jre", "11.0.21", "process")
    assert java.keytool == f"{CONFLUENCE}/jre/bin/keytool"
    store = java.truststore
    assert (store.path, store.source, store.type) == (f"{CONFLUENCE}/jre/lib/security/cacerts", "cacerts", "jks")
    assert store.fingerprints == sorted([fingerprint(b"first"), fingerprint(b"second")])
    assert (store.certificates, store.error, store.mtime > 0) == (2, "", True)
    assert any("process 700" in line for line in found.evidence)
    assert any("response.varfile" in line for line in found.evidence)
    assert found.leftover == ""


def test_server_xml_of_confluence(host):
    host.installed_confluence()
    file = only(host).server_xml
    assert (file.path, file.error, file.generated_by) == (f"{CONFLUENCE}/conf/server.xml", "", "")
    assert (file.context_path, file.context_line, file.shutdown_port) == ("/confluence", 9, 8000)
    assert file.remote_ip_valve == {"className": "org.apache.catalina.valves.RemoteIpValve"}
    assert file.mtime == os.stat(host.root + file.path).st_mtime
    (connector,) = file.connectors
    assert (connector.line, connector.port, connector.proxy_name, connector.proxy_port) == (
        4,
        8090,
        "wiki.example.org",
        443,
    )
    assert (connector.scheme, connector.secure, connector.ssl, connector.redirect_port) == ("https", True, False, 8443)
    assert connector.user and connector.reason and not connector.unresolved and not connector.tls


def test_nothing_there(host):
    facts = facts_of(host)
    assert (facts.applications, facts.rtc, facts.listeners) == ([], [], [])
    assert (facts.hostname, facts.os_id, facts.os_version, facts.os_family) == ("app1", "debian", "12", "debian")
