# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the next start will use, where that is not what the running process has; and what is not known of it."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import JIRA, jks, only

SETENV = JIRA + "/bin/setenv.sh"
CACERTS = JIRA + "/jre/lib/security/cacerts"
UNIT = f"User=jira\nExecStart={JIRA}/bin/start-jira.sh\n"


def option(store):
    return f"-Djavax.net.ssl.trustStore={store}"


@pytest.fixture
def host(host):
    return host.jira().jre(JIRA + "/jre").unit("jira.service", UNIT).write(SETENV, "").write("/etc/a.jks", jks(b"a"))


def run(host, *options, **more):
    return host.backdate().jvm(700, JIRA, *options, unit="jira.service", **more)


def differences(application):
    return {item.what: (item.running, item.following) for item in application.process.differences}


def test_an_option_that_was_removed_since(host):
    run(host, option("/etc/a.jks"), "-Djavax.net.ssl.trustStorePassword=geheim").write(SETENV, "JAVA_OPTS=-Da=b")
    found = only(host)
    assert found.java.truststore.path == CACERTS and not found.java.truststore.error
    assert differences(found) == {
        "trust store": ("/etc/a.jks", CACERTS),
        "-Da": ("no value", "b"),
        "-Djavax.net.ssl.trustStorePassword": ("********", "no value"),
    }


def test_an_option_that_came_since_by_a_drop_in_file(host):
    run(host).write(
        "/etc/systemd/system/jira.service.d/a.conf", f"[Service]\nEnvironment=JAVA_OPTS={option('/etc/a.jks')}"
    )
    found = only(host)
    assert found.java.truststore.path == "/etc/a.jks"
    assert differences(found) == {"trust store": (CACERTS, "/etc/a.jks")}


def test_a_drop_in_file_of_another_name_of_the_unit(host):
    run(host).link("/etc/systemd/system/tracker.service", "jira.service").write(
        "/etc/systemd/system/tracker.service.d/a.conf", f"[Service]\nEnvironment=JAVA_OPTS={option('/etc/a.jks')}"
    )
    assert only(host).java.truststore.path == "/etc/a.jks"


def test_an_option_in_a_file_that_setenv_reads(host):
    host.write(SETENV, ". $CATALINA_BASE/bin/local.sh").write(JIRA + "/bin/local.sh", "")
    run(host).write(JIRA + "/bin/local.sh", f"CATALINA_OPTS={option('/etc/a.jks')}")
    assert only(host).java.truststore.path == "/etc/a.jks"


def test_another_value_since(host):
    host.write(SETENV, f"JAVA_OPTS='{option('/etc/a.jks')} -Da=1 -Ddb.password=old'")
    run(host, option("/etc/a.jks"), "-Da=1", "-Ddb.password=old")
    host.write(SETENV, f"JAVA_OPTS='{option('/etc/b.jks')} -Da=2 -Ddb.password=new'")
    assert differences(only(host)) == {
        "trust store": ("/etc/a.jks", "/etc/b.jks"),
        "-Da": ("1", "2"),
        "-Ddb.password": ("********", "********"),
    }


def test_nothing_differs_where_no_file_was_changed(host):
    host.write(SETENV, "JAVA_OPTS=-Da=1")
    run(host, option("/etc/a.jks"), "-Da=2")
    found = only(host)
    assert found.java.truststore.path == "/etc/a.jks" and found.properties["a"] == "2"
    assert differences(found) == {}


def test_another_java_since(host):
    host.jre("/opt/jdk11").jre("/opt/jdk17", "17.0.9").write(SETENV, "JAVA_HOME=/opt/jdk11")
    run(host, java="/opt/jdk11/bin/java").write(SETENV, "JAVA_HOME=/opt/jdk17")
    found = only(host)
    assert (found.java.home, found.java.version) == ("/opt/jdk17", "17.0.9")
    assert found.java.truststore.path == "/opt/jdk17/lib/security/cacerts"
    assert differences(found) == {
        "Java": ("/opt/jdk11", "/opt/jdk17"),
        "trust store": ("/opt/jdk11/lib/security/cacerts", "/opt/jdk17/lib/security/cacerts"),
    }


def test_a_link_to_java_that_leads_elsewhere_since(host):
    host.jre("/opt/jdk11").jre("/opt/jdk17", "17.0.9").link("/opt/java", "/opt/jdk17")
    host.write(SETENV, "JAVA_HOME=/opt/java")
    run(host, java="/opt/jdk11/bin/java")
    host.write(
        "/proc/700/cmdline", host.path("/proc/700/cmdline").read_text().replace("/opt/jdk11/bin", "/opt/java/bin")
    )
    host.backdate()
    found = only(host)
    assert found.java.home == "/opt/jdk17"
    assert differences(found)["Java"] == ("/opt/jdk11", "/opt/jdk17")


def test_a_java_that_is_gone_since(host):
    host.jre("/opt/jdk11").jre("/opt/jdk17", "17.0.9").link("/opt/java", "/opt/jdk17")
    host.write(SETENV, "JAVA_HOME=/opt/java")
    run(host, java="/opt/jdk11/bin/java")
    host.path("/opt/jdk11/bin/java").unlink()
    assert only(host).java.home == "/opt/jdk17"


def test_the_store_is_unknown_where_it_is_stopped(host):
    host.write(SETENV, "A=1\nJAVA_OPTS=-Djavax.net.ssl.trustStore=$(find-it)")
    store = only(host).java.truststore
    assert (store.path, store.unknown) == (CACERTS, f"{SETENV}:2")


def test_the_process_shows_what_files_do_not_tell(host):
    host.write(SETENV, "JAVA_OPTS=-Djavax.net.ssl.trustStore=$(find-it)\nJAVA_HOME=$(find-java)")
    run(host, option("/etc/a.jks"))
    java = only(host).java
    assert (java.truststore.path, java.truststore.unknown, java.unknown) == ("/etc/a.jks", "", "")


def test_java_is_unknown_where_it_is_stopped(host):
    host.write(SETENV, "A=1\nexport JAVA_HOME=$(dirname $(dirname $(readlink -f $(which java))))")
    assert only(host).java.unknown == f"{SETENV}:2"
    host.write(SETENV, f"export JRE_HOME={JIRA}/jre JAVA_HOME=$(find-java)")
    assert only(host).java.unknown == ""


def test_home_of_the_user_that_the_unit_names(host):
    host.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\njira:x:1002:1002::/srv/jira:/bin/sh\n").write(
        SETENV, 'JAVA_OPTS="-Djavax.net.ssl.trustStore=$HOME/a.jks"'
    )
    assert only(host).java.truststore.path == "/srv/jira/a.jks"
    host.write(SETENV, "T=~/b.jks\nJAVA_OPTS=-Djavax.net.ssl.trustStore=$T")
    assert only(host).java.truststore.path == "/srv/jira/b.jks"


def test_directory_of_settings_and_links(host):
    host.write(SETENV, 'for f in "$CATALINA_BASE"/bin/setenv.d/*.sh; do [ -r "$f" ] && . "$f"; done')
    host.write(
        JIRA + "/bin/setenv.d/10.sh",
        'T=$(readlink -f /etc/store)\nCATALINA_OPTS="$CATALINA_OPTS -Djavax.net.ssl.trustStore=${T%/}"',
    )
    host.link("/etc/store", "/etc/a.jks")
    assert only(host).java.truststore.path == "/etc/a.jks"


def test_what_only_root_may_read_is_not_printed(host):
    host.write(SETENV, "JAVA_OPTS=-Da=$(cat /etc/shadow)\nB=$(cat /etc/motd)\nCATALINA_OPTS=-Db=$B").own(1002, SETENV)
    host.write("/etc/shadow", "root:secret", 0o600).write("/etc/motd", "hello").own(1002, JIRA + "/own")
    found = only(host)
    assert found.properties == {"b": "hello"}
    host.write(SETENV, f"JAVA_OPTS=-Da=$(cat {JIRA}/own)").write(JIRA + "/own", "mine", 0o600)
    assert only(host).properties == {"a": "mine"}


CLASSPATH = """if [ -z "$JAVA_HOME" ] && [ -z "$JRE_HOME" ]; then
  JAVA_PATH=`which java 2>/dev/null`
  if [ "x$JAVA_PATH" != "x" ]; then
    JAVA_PATH=`dirname $JAVA_PATH 2>/dev/null`
    JRE_HOME=`dirname $JAVA_PATH 2>/dev/null`
  fi
fi
"""


def test_java_by_path_as_setclasspath_finds_it(host):
    host.jre("/usr/lib/jvm/java-17", "17.0.9").link("/usr/bin/java", "/usr/lib/jvm/java-17/bin/java")
    host.write(JIRA + "/bin/setclasspath.sh", CLASSPATH).write(SETENV, '. "$CATALINA_HOME"/bin/setclasspath.sh')
    java = only(host).java
    assert (java.home, java.unknown) == ("/usr/lib/jvm/java-17", "")
    host.write(SETENV, "JAVA_HOME=$(dirname $(dirname $(readlink -f $(command -v java))))")
    java = only(host).java
    assert (java.home, java.source, java.unknown) == ("/usr/lib/jvm/java-17", "setenv", "")


def test_what_catalina_sets_itself_is_no_difference(host):
    host.write(SETENV, "JAVA_OPTS='-Djava.io.tmpdir=/x -Da=$CATALINA_TMPDIR'")
    run(host, f"-Da={JIRA}/temp").write(SETENV, host.path(SETENV).read_text())
    assert differences(only(host)) == {}
