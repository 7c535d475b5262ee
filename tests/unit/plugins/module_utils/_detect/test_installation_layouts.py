# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layouts of installations in the field: what is found of each, and what starts it."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import CONFLUENCE, JIRA, facts_of, only

VERSIONED = "/opt/atlassian/jira/atlassian-jira-software-9.4.1-standalone"
FORKING = 'Type=forking\nUser=jira\nEnvironment="JAVA_HOME=/usr/lib/jvm/java-11"\nExecStart={}/bin/start-jira.sh\n'


# Name -> (builds the host, expected attributes of the only application)
LAYOUTS = {
    "installer": (
        lambda host: host.installed_confluence(),
        {
            "kind": "confluence",
            "install_dir": CONFLUENCE,
            "version": "8.5.3",
            "user": "confluence",
            "home": "/var/atlassian/application-data/confluence",
            "service": ("sysv", "confluence", False),
            "java": (CONFLUENCE + "/jre", "setenv"),
        },
    ),
    "installer, the script named after another user": (
        lambda host: (
            host.installed_confluence()
            .write("/etc/init.d/confluence", "#!/bin/sh\n")
            .write("/etc/init.d/confluence1", "#!/bin/bash\n" + host.data("sysv-confluence.txt"))
        ),
        {"install_dir": CONFLUENCE, "service": ("sysv", "confluence1", False)},
    ),
    "versioned archive, link, unit by the link": (
        lambda host: (
            host.jira(VERSIONED)
            .link(JIRA + "/current", VERSIONED)
            .jre("/usr/lib/jvm/java-11")
            .unit("jira.service", FORKING.format(JIRA + "/current"))
        ),
        {
            "kind": "jira",
            "install_dir": VERSIONED,
            "aliases": [JIRA + "/current"],
            "version": "9.4.1",
            "user": "jira",
            "home": "/var/atlassian/application-data/jira",
            "service": ("systemd", "jira", False),
            "java": ("/usr/lib/jvm/java-11", "unit"),
        },
    ),
    "archive elsewhere, known from its unit only": (
        lambda host: host.jira("/apps/tracker").unit(
            "tracker.service", "User=jira\nExecStart=/apps/tracker/bin/start-jira.sh -fg"
        ),
        {"install_dir": "/apps/tracker", "service": ("systemd", "tracker", False)},
    ),
    "unit with a working directory": (
        lambda host: host.jira("/apps/t").unit(
            "t.service", "WorkingDirectory=/apps/t/bin\nExecStart=/bin/bash ./catalina.sh run"
        ),
        {"install_dir": "/apps/t", "service": ("systemd", "t", False)},
    ),
    "unit with a variable": (
        lambda host: host.jira("/apps/t").unit(
            "t.service", "Environment=T=/apps/t\nExecStart=/bin/sh ${T}/bin/catalina.sh run"
        ),
        {"install_dir": "/apps/t", "service": ("systemd", "t", False)},
    ),
    "unit that runs java itself": (
        lambda host: host.jira("/apps/t").unit(
            "t.service",
            "ExecStart=/usr/bin/java -Dcatalina.home=/apps/t -Dcatalina.base=/apps/t \\\n"
            "  org.apache.catalina.startup.Bootstrap start",
        ),
        {"install_dir": "/apps/t", "service": ("systemd", "t", False)},
    ),
    "unit with a wrapper script": (
        lambda host: (
            host.jira("/apps/t")
            .write("/usr/local/bin/tracker", "#!/bin/bash\nBASE=/apps/t\nexec $BASE/bin/start-jira.sh -fg\n", 0o755)
            .unit("t.service", "ExecStart=/usr/local/bin/tracker")
        ),
        {"install_dir": "/apps/t", "service": ("systemd", "t", False)},
    ),
    "unit changed by a drop-in file": (
        lambda host: (
            host.jira("/apps/new")
            .unit("jira.service", "ExecStart=/apps/old/bin/start-jira.sh", "/usr/lib/systemd/system")
            .write(
                "/etc/systemd/system/jira.service.d/here.conf",
                "[Service]\nExecStart=\nExecStart=/apps/new/bin/start-jira.sh\nUser=tracker\n",
            )
        ),
        {"install_dir": "/apps/new", "service": ("systemd", "jira", False), "user": "tracker"},
    ),
    "masked unit does not count": (
        lambda host: (
            host.jira()
            .unit("jira.service", FORKING.format(JIRA), "/usr/lib/systemd/system")
            .link("/etc/systemd/system/jira.service", "/dev/null")
            .write("/dev/null")
        ),
        {"install_dir": JIRA, "service": ("none", "", False)},
    ),
    "instance of a template": (
        lambda host: (
            host.jira("/apps/one")
            .unit("jira@.service", "ExecStart=/apps/%i/bin/start-jira.sh")
            .link(
                "/etc/systemd/system/multi-user.target.wants/jira@one.service",
                "/etc/systemd/system/jira@.service",
            )
        ),
        {"install_dir": "/apps/one", "service": ("systemd", "jira@one", False)},
    ),
    "a unit that only backs it up": (
        lambda host: host.jira().unit("backup.service", f"ExecStart=/usr/bin/rsync -a {JIRA} /backup"),
        {"install_dir": JIRA, "service": ("none", "", False)},
    ),
    "script and unit of the same name: the unit": (
        lambda host: host.installed_confluence().unit(
            "confluence.service", f"ExecStart={CONFLUENCE}/bin/start-confluence.sh"
        ),
        {"service": ("systemd", "confluence", False)},
    ),
    "two units: the enabled one": (
        lambda host: (
            host.jira()
            .unit("a-jira.service", f"ExecStart={JIRA}/bin/start-jira.sh")
            .unit("jira.service", f"ExecStart={JIRA}/bin/start-jira.sh", enabled=True)
        ),
        {"service": ("systemd", "jira", False)},
    ),
    "SysV script with variables": (
        lambda host: host.jira("/srv/jira").write(
            "/etc/init.d/jira",
            '#!/bin/sh\n# not /opt/x/bin/start-jira.sh\nD="/srv/jira"\nsu jira -c "$D/bin/start-jira.sh"\n',
        ),
        {"install_dir": "/srv/jira", "service": ("sysv", "jira", False)},
    ),
    "container image, right in /opt/atlassian/jira": (
        lambda host: host.jira().write("/opt/atlassian/etc/server.xml.j2").jre("/opt/java/openjdk", "17.0.9"),
        {"install_dir": JIRA, "service": ("none", "", False), "java": ("/opt/java/openjdk", "system")},
    ),
    "usual place, a link to it in another usual place": (
        lambda host: host.confluence("/opt/atlassian-confluence-8.5.3").link(
            "/opt/confluence", "atlassian-confluence-8.5.3"
        ),
        {"install_dir": "/opt/atlassian-confluence-8.5.3", "version": "8.5.3"},
    ),
    "running, known from its process only": (
        lambda host: (
            host.confluence("/somewhere/wiki")
            .jvm(700, "/somewhere/wiki", "-Dconfluence.home=/data/wiki", java="/usr/lib/jvm/java-17/bin/java")
            .jre("/usr/lib/jvm/java-17", "17.0.9")
        ),
        {
            "install_dir": "/somewhere/wiki",
            "home": "/data/wiki",
            "java": ("/usr/lib/jvm/java-17", "process"),
            "service": ("none", "", False),
            "user": "confluence",
        },
    ),
    "running in a unit that does not lead to it": (
        lambda host: host.confluence().jvm(700, CONFLUENCE, unit="wiki.service").jre(CONFLUENCE + "/jre"),
        {"install_dir": CONFLUENCE, "service": ("none", "", False)},
    ),
    "a unit that only has it in its environment": (
        lambda host: host.jira().unit(
            "monitor.service", f"Environment=CATALINA_HOME={JIRA}\nExecStart=/usr/bin/monitor --all", enabled=True
        ),
        {"service": ("none", "", False)},
    ),
    "a unit that only stops it, or asks for its version": (
        lambda host: (
            host.jira()
            .unit("stop.service", f"ExecStart={JIRA}/bin/catalina.sh stop -force", enabled=True)
            .unit("version.service", f"ExecStart=/bin/sh -c 'cd {JIRA}/bin; ./catalina.sh version'", enabled=True)
        ),
        {"service": ("none", "", False)},
    ),
    "running, started by hand by way of SSH": (
        lambda host: (
            host.installed_confluence().jvm(700, CONFLUENCE, unit="sshd.service").write("/etc/init.d/confluence")
        ),
        {"install_dir": CONFLUENCE, "service": ("none", "", False)},
    ),
    "no Java to be found": (lambda host: host.jira(), {"java": None}),
    "version from the installer's answers": (
        lambda host: host.installed_confluence().write(
            CONFLUENCE + "/confluence/META-INF/maven/com.atlassian.confluence/confluence-webapp/pom.properties",
            "",
        ),
        {"version": "8.5.3"},
    ),
    "version from a library": (
        lambda host: host.jira(version="").write(JIRA + "/atlassian-jira/WEB-INF/lib/jira-core-9.12.2.jar"),
        {"version": "9.12.2"},
    ),
    "version from the directory": (lambda host: host.jira(VERSIONED, version=""), {"version": "9.4.1"}),
    "user from the owner of work": (
        lambda host: host.jira().write(JIRA + "/bin/user.sh", 'JIRA_USER=""\n'),
        {"user": "jira"},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout(host, name):
    build, expected = LAYOUTS[name]
    build(host)
    found = only(host)
    seen = {
        "java": found.java and (found.java.home, found.java.source),
        "service": (found.service.kind, found.service.name, found.service.active),
    }
    assert {key: seen[key] if key in seen else getattr(found, key) for key in expected} == expected
    assert found.evidence and not found.leftover


NOT_INSTALLATIONS = {
    "Tomcat without a product": lambda host: host.tomcat("/opt/atlassian/tomcat").jvm(700, "/opt/atlassian/tomcat"),
    "what an uninstalled one leaves": lambda host: host.folder(
        CONFLUENCE + "/logs", CONFLUENCE + "/confluence/WEB-INF"
    ),
    "home directory": lambda host: host.folder("/opt/atlassian/jira-home/log", "/opt/atlassian/jira-home/plugins"),
    "unit of something removed": lambda host: host.unit("jira.service", FORKING.format("/gone")),
    "other product": lambda host: host.tomcat("/opt/atlassian/crowd").write(
        "/opt/atlassian/crowd/conf/server.xml", "<Server/>"
    ),
    "Tomcat that is being stopped": lambda host: host.process(
        9, ["java", "-Dcatalina.base=/gone", "org.apache.catalina.startup.Bootstrap", "stop"]
    ),
}


@pytest.mark.parametrize("name", NOT_INSTALLATIONS)
def test_not_an_installation(host, name):
    NOT_INSTALLATIONS[name](host)
    assert facts_of(host).applications == []


def test_kind_by_the_document_base_alone(host):
    host.tomcat("/opt/jira").write("/opt/jira/conf/server.xml", host.data("jira-server.xml"))
    assert only(host).kind == "jira"


def test_kind_is_not_taken_from_a_comment(host):
    text = '<Server><!-- <Context docBase="../confluence"/> --></Server>'
    host.tomcat("/opt/jira").write("/opt/jira/conf/server.xml", text)
    assert facts_of(host).applications == []


def test_both_products_on_one_host(host):
    host.installed_confluence().jira().jre(JIRA + "/jre")
    assert [item.kind for item in facts_of(host).applications] == ["confluence", "jira"]


SUPERVISOR = "ExecStart=/usr/bin/supervisord -n -c /etc/supervisor/supervisord.conf"


def show(*lines):
    """A runner that answers as systemctl does: "unit state pid"."""
    blocks = ["Id={}\nActiveState={}\nMainPID={}\n".format(*line.split()) for line in lines]
    return lambda command, timeout: "\n".join(blocks) if command[:2] == ["systemctl", "show"] else None


def service_of(host, **options):
    service = only(host, **options).service
    return service.kind, service.name, service.active


@pytest.mark.parametrize("unit", ["supervisor", "monit", "cron", "runsvdir", "nomad", "my-own-watchdog"])
def test_a_service_that_only_has_the_process_in_its_control_group_is_not_restarted(host, unit):
    host.jira().jvm(700, JIRA, unit=f"{unit}.service").unit(f"{unit}.service", SUPERVISOR, enabled=True)
    runner = show(f"{unit}.service active 650")
    assert service_of(host, runner=runner) == ("none", "", False)
    reason = only(host, runner=runner).service.reason
    assert f"{unit}.service" in reason and "700" in reason and JIRA in reason


def test_a_service_whose_main_process_it_is_is_restarted(host):
    host.jira().jvm(700, JIRA, unit="wiki.service").unit("wiki.service", "ExecStart=/usr/bin/run-it")
    assert service_of(host, runner=show("wiki.service active 700")) == ("systemd", "wiki", True)
    assert any(
        "main process of wiki.service" in line for line in only(host, runner=show("wiki.service active 700")).evidence
    )


def test_what_leads_to_it_is_known_beside_a_process_outside_of_it(host):
    host.jira().jvm(700, JIRA, unit="supervisor.service").unit("jira.service", FORKING.format(JIRA))
    runner = show("supervisor.service active 650", "jira.service inactive 0")
    assert service_of(host, runner=runner) == ("systemd", "jira", False)


NAMED = {
    "unit": ("tracker", lambda host: host.unit("tracker.service", SUPERVISOR), ("systemd", "tracker", True)),
    "unit, in full": (
        "tracker.service",
        lambda host: host.unit("tracker.service", SUPERVISOR),
        ("systemd", "tracker", True),
    ),
    "instance": (
        "app@jira",
        lambda host: host.unit("app@.service", "ExecStart=/usr/bin/run %i"),
        ("systemd", "app@jira", True),
    ),
    "script": (
        "tracker",
        lambda host: host.write("/etc/init.d/tracker", "#!/bin/sh\n/srv/run\n"),
        ("sysv", "tracker", True),
    ),
    "beside another that leads to it": (
        "tracker",
        lambda host: host.unit("tracker.service", SUPERVISOR).unit("jira.service", FORKING.format(JIRA), enabled=True),
        ("systemd", "tracker", True),
    ),
    "another name of a unit": (
        "tracker",
        lambda host: (
            host.unit("app@.service", "ExecStart=/x")
            .unit("own.service", "ExecStart=/x")
            .link("/etc/systemd/system/tracker.service", "/etc/systemd/system/own.service")
        ),
        ("systemd", "own", True),
    ),
    "one that is made while the host runs": ("app@jira", lambda host: host, ("systemd", "app@jira", True)),
    "nothing": ("trakcer", lambda host: host.unit("jira.service", FORKING.format(JIRA)), ("none", "", False)),
    "a path": ("../jira", lambda host: host.write("/etc/init.d/jira", "#!/bin/sh\n"), ("none", "", False)),
}


@pytest.mark.parametrize("name", NAMED)
def test_the_service_that_the_inventory_names(host, name):
    service, build, expected = NAMED[name]
    build(host.jira().installed_confluence())
    runner = show("tracker.service active 9", "app@jira.service active 9", "own.service active 9")
    facts = facts_of(host, runner=runner, services={"jira": service, "confluence": ""})
    wiki, jira = (item.service for item in facts.applications)
    assert (jira.kind, jira.name, jira.active) == expected and (wiki.kind, wiki.name) == ("sysv", "confluence")
    assert bool(jira.reason) == (expected[0] == "none") and (expected[0] != "none" or service in jira.reason)


def test_versions_left_behind(host):
    old = VERSIONED.replace("9.4.1", "8.20.1")
    host.jira(VERSIONED).jira(old, "8.20.1").unit("jira.service", FORKING.format(VERSIONED))
    used, left = facts_of(host).applications
    assert (used.install_dir, used.leftover) == (VERSIONED, "")
    assert left.install_dir == old and VERSIONED in left.leftover


def test_two_versions_of_which_none_is_started(host):
    host.jira(VERSIONED).jira(VERSIONED.replace("9.4.1", "8.20.1"))
    assert [item.leftover for item in facts_of(host).applications] == ["", ""]


def test_two_that_run(host):
    host.confluence("/apps/one").confluence("/apps/two").jvm(700, "/apps/one").jvm(701, "/apps/two")
    assert [(item.install_dir, item.process.pid) for item in facts_of(host).applications] == [
        ("/apps/one", 700),
        ("/apps/two", 701),
    ]


def test_one_that_hangs_since_before_a_restart(host):
    host.installed_confluence().jvm(8, CONFLUENCE, age=300).jvm(9, CONFLUENCE, age=400).jvm(10, CONFLUENCE, age=200)
    assert only(host).process.pid == 9


def test_named_directories(host):
    host.jira("/apps/tracker").confluence("/apps/wikis/red").confluence("/apps/wikis/blue")
    assert facts_of(host).applications == []
    found = facts_of(host, install_dirs=["/apps/tracker", "/apps/wikis"]).applications
    assert [item.install_dir for item in found] == ["/apps/wikis/blue", "/apps/wikis/red", "/apps/tracker"]


def test_application_of_a_container_is_not_taken_for_ours(host):
    host.installed_confluence().jvm(700, CONFLUENCE)
    host.contain(700, f"{CONFLUENCE}/conf/server.xml")
    facts = facts_of(host)
    assert [item.process for item in facts.applications] == [None]
    assert [(item.what, item.pid, "container" in item.reason) for item in facts.doubted] == [("process", 700, True)]
