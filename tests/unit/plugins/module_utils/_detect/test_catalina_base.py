# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CATALINA_BASE apart from CATALINA_HOME: server.xml, setenv.sh and the rest are those that Tomcat reads."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import facts_of, only

HOME, SITE = "/srv/wiki/base", "/srv/wiki/site"
CONTEXT = '<Context docBase="${catalina.home}/confluence" path=""/>'
XML = f"""<Server><Service name="x"><Connector port="8191"/>
<Engine><Host name="localhost">{CONTEXT}</Host></Engine></Service></Server>"""


@pytest.fixture
def host(host):
    host.confluence(HOME).jre(HOME + "/jre").folder(SITE + "/work", SITE + "/logs", SITE + "/temp")
    return host.write(SITE + "/conf/server.xml", XML).own(
        1001, *(f"{SITE}/{name}" for name in ("work", "logs", "temp"))
    )


def by_unit(host):
    return host.unit("wiki.service", f"Environment=CATALINA_BASE={SITE}\nExecStart={HOME}/bin/catalina.sh run")


STARTERS = {
    "unit": by_unit,
    "unit, both named": lambda host: host.unit(
        "wiki.service", f"Environment=CATALINA_BASE={SITE} CATALINA_HOME={HOME}\nExecStart={HOME}/bin/startup.sh"
    ),
    "file of the environment": lambda host: host.write("/etc/default/wiki", f"CATALINA_BASE={SITE}\n").unit(
        "wiki.service", f"EnvironmentFile=/etc/default/wiki\nExecStart={HOME}/bin/start-confluence.sh -fg"
    ),
    "wrapper": lambda host: host.write(
        "/usr/local/sbin/wiki", f"#!/bin/sh\nexport CATALINA_BASE={SITE}\nexec {HOME}/bin/catalina.sh run\n", 0o755
    ).unit("wiki.service", "ExecStart=/usr/local/sbin/wiki"),
    "SysV script": lambda host: host.write(
        "/etc/init.d/wiki", f"#!/bin/sh\n# Tomcat\nCATALINA_BASE={SITE} {HOME}/bin/catalina.sh $1\n"
    ),
    "java": lambda host: host.unit(
        "wiki.service", f"ExecStart=/usr/bin/java -Dcatalina.base={SITE} -Dcatalina.home={HOME} x start"
    ),
}


@pytest.mark.parametrize("name", STARTERS)
def test_what_tomcat_reads(host, name):
    found = only(STARTERS[name](host))
    assert (found.kind, found.install_dir, found.version) == ("confluence", SITE, "8.5.3")
    assert (found.server_xml.path, found.server_xml.connectors[0].port) == (SITE + "/conf/server.xml", 8191)
    assert (found.java.home, found.tomcat_version, found.user) == (HOME + "/jre", "9.0.82", "confluence")
    assert found.properties["catalina.home"] == HOME
    assert found.service.name == "wiki"


def test_running_it_is_one_installation(host):
    by_unit(host).jvm(700, SITE, java=HOME + "/jre/bin/java", unit="wiki.service")
    line = host.path("/proc/700/cmdline")
    line.write_text(line.read_text().replace(f"-Dcatalina.home={SITE}", f"-Dcatalina.home={HOME}"))
    found = only(host)
    assert (found.install_dir, found.process.pid, found.service.name) == (SITE, 700, "wiki")


def test_running_it_without_a_unit(host):
    host.jvm(700, SITE, java=HOME + "/jre/bin/java")
    line = host.path("/proc/700/cmdline")
    line.write_text(line.read_text().replace(f"-Dcatalina.home={SITE}", f"-Dcatalina.home={HOME}"))
    found = only(host, install_dirs=[HOME])
    assert (found.install_dir, found.version) == (SITE, "8.5.3") and HOME in found.aliases


def test_setenv_of_the_base_else_of_the_home(host):
    option = 'CATALINA_OPTS="-Djavax.net.ssl.trustStore=$CATALINA_BASE/{}"\n'
    host.write(HOME + "/bin/setenv.sh", option.format("of-home"))
    java = only(by_unit(host)).java
    assert (java.truststore.path, java.option.path) == (SITE + "/of-home", HOME + "/bin/setenv.sh")
    host.write(SITE + "/bin/setenv.sh", option.format("of-base"))
    java = only(host).java
    assert (java.truststore.path, java.option.path) == (SITE + "/of-base", SITE + "/bin/setenv.sh")


def test_two_bases_of_one_home(host):
    host.write("/srv/other/conf/server.xml", XML.replace("8191", "8192")).folder("/srv/other/work")
    by_unit(host).unit("b.service", f"Environment=CATALINA_BASE=/srv/other\nExecStart={HOME}/bin/catalina.sh run")
    found = facts_of(host).applications
    assert [(item.install_dir, item.service.name) for item in found] == [("/srv/other", "b"), (SITE, "wiki")]


def test_a_home_that_is_started_by_itself_stays(host):
    by_unit(host).unit("b.service", f"ExecStart={HOME}/bin/catalina.sh run")
    assert [item.install_dir for item in facts_of(host).applications] == [HOME, SITE]
