# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Java of an application and its trust stores, as detection finds them."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._java.setenv import with_store
from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import (
    CONFLUENCE,
    JIRA,
    facts_of,
    fingerprint,
    jks,
    only,
)


def test_java_of_the_process_by_its_environment(host):
    host.confluence().jre("/opt/jdk17", "17.0.9")
    host.jvm(700, CONFLUENCE, java="/usr/bin/jsvc", environment={"JAVA_HOME": "/opt/jdk17"})
    found = only(host)
    assert (found.java.home, found.java.source) == ("/opt/jdk17", "process")


def test_no_java_is_a_fact_and_not_what_could_not_be_seen(host):
    facts = facts_of(host.confluence())
    assert facts.applications[0].java is None
    assert not [item for item in facts.unreadable if "Java" in item.what]


def test_process_wins_over_setenv_that_was_not_changed_since(host):
    host.jira().jre(JIRA + "/jre").jvm(700, JIRA, "-Djavax.net.ssl.trustStore=/etc/other.jks", "-Djira.home=/elsewhere")
    found = only(host.backdate())
    assert found.properties["javax.net.ssl.trustStore"] == "/etc/other.jks"
    assert found.properties["javax.net.ssl.trustStorePassword"] == "********"
    assert "javax.net.ssl.trustStorePassword" not in found.process.properties
    assert found.home == "/elsewhere"
    assert found.java.truststore.path == "/etc/other.jks"
    assert "missing" in found.java.truststore.error


def test_trust_option_of_setenv(host):
    home, setenv = JIRA + "/jre", JIRA + "/bin/setenv.sh"
    host.jira().jre(home)
    option = only(host).java.option
    assert (
        option.path,
        option.managed_store,
        option.store_without_block,
        option.effective_store_without_block,
        option.obstacle,
    ) == (
        setenv,
        "",
        "/etc/ssl/wiki.jks",
        "/etc/ssl/wiki.jks",
        "",
    )
    host.write(setenv, with_store("A=1\n", "/var/own store", setenv))
    found = only(host)
    assert found.java.truststore.path == "/var/own store"
    option = found.java.option
    assert (option.managed_store, option.store_without_block, option.effective_store_without_block) == (
        "/var/own store",
        "",
        home + "/lib/security/cacerts",
    )
    host.write(setenv, "exit 0\n")
    assert "ends with 'exit 0'" in only(host).java.option.obstacle


def test_trust_store_by_property_with_its_own_password(host):
    host.jira().jre(JIRA + "/jre").write("/etc/ssl/wiki.jks", jks(b"only", password="s3cret"))
    store = only(host).java.truststore
    assert (store.source, store.path, store.certificates, store.error) == (
        "property",
        "/etc/ssl/wiki.jks",
        1,
        "",
    )
    assert store.fingerprints == [fingerprint(b"only")]


# Password of the JRE's own store, or of one that a property names; that of the property; whether it is locked, and read.
@pytest.mark.parametrize(
    ("named", "password", "given", "locked", "certificates"),
    [
        (False, "changeit", "", False, 1),
        (False, "another", "", True, 1),  # Java does not ask for it either
        (False, "another", "another", True, 1),
        (False, "another", "changeit", True, 0),  # Java trusts nothing then
        (True, "changeit", "", False, 1),
        (True, "another", "", True, 1),
        (True, "another", "another", True, 1),
        (True, "changeit", "another", False, 0),
    ],
)
def test_whether_a_trust_store_has_a_password_of_its_own(host, named, password, given, locked, certificates):
    home = CONFLUENCE + "/jre"
    path = "/etc/ssl/wiki.jks" if named else home + "/lib/security/cacerts"
    host.installed_confluence().write(path, jks(b"only", password=password))
    options = [f"-Djavax.net.ssl.trustStore={path}"] if named else []
    options += [f"-Djavax.net.ssl.trustStorePassword={given}"] if given else []
    host.write(CONFLUENCE + "/bin/setenv.sh", f'CATALINA_OPTS="{" ".join(options)}"\n')
    store = only(host).java.truststore
    assert (store.path, store.locked, store.certificates, bool(store.error)) == (
        path,
        locked,
        certificates,
        not certificates,
    )


def test_trust_store_with_another_password(host):
    host.jira().jre(JIRA + "/jre").write("/etc/ssl/wiki.jks", jks(b"only", password="other"))
    store = only(host).java.truststore
    assert "password" in store.error and "s3cret" not in store.error and store.certificates == 0


# Files of the JRE -> (source, path below the JRE's home, certificates)
STORES = {
    "cacerts": ({"lib/security/cacerts": jks(b"a")}, ("cacerts", "/jdk/lib/security/cacerts", 1)),
    "jssecacerts": (
        {"lib/security/cacerts": jks(b"a"), "lib/security/jssecacerts": jks(b"b", b"c")},
        ("jssecacerts", "/jdk/lib/security/jssecacerts", 2),
    ),
    "JDK 8": ({"jre/lib/security/cacerts": jks(b"a")}, ("cacerts", "/jdk/jre/lib/security/cacerts", 1)),
    "empty": ({"lib/security/cacerts": jks()}, ("cacerts", "/jdk/lib/security/cacerts", 0)),
}


@pytest.mark.parametrize("name", STORES)
def test_trust_store_of_the_jre(host, name):
    files, expected = STORES[name]
    host.confluence().write("/jdk/bin/java", "", 0o755).write("/jdk/bin/keytool").write(
        "/jdk/release", 'JAVA_VERSION="1.8.0_392"'
    )
    for path, content in files.items():
        host.write(f"/jdk/{path}", content)
    host.jvm(700, CONFLUENCE, java="/jdk/bin/java")
    java = only(host).java
    store = java.truststore
    assert (store.source, store.path, store.certificates) == expected
    assert (java.version, java.keytool, store.error) == ("1.8.0_392", "/jdk/bin/keytool", "")


def test_trust_store_of_the_distribution_is_a_link(host):
    host.confluence().jre("/usr/lib/jvm/java-17").write("/etc/ssl/certs/java/cacerts", jks(b"one"))
    host.path("/usr/lib/jvm/java-17/lib/security/cacerts").unlink()
    host.link("/usr/lib/jvm/java-17/lib/security/cacerts", "/etc/ssl/certs/java/cacerts")
    host.jvm(700, CONFLUENCE, java="/usr/lib/jvm/java-17/bin/java")
    store = only(host).java.truststore
    assert (store.real_path, store.certificates) == ("/etc/ssl/certs/java/cacerts", 1)


def test_damaged_trust_store(host):
    host.installed_confluence().write(CONFLUENCE + "/jre/lib/security/cacerts", jks(b"a")[:-30])
    store = only(host).java.truststore
    assert store.error and store.certificates == 0
