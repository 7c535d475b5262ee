# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts: odd but honest set-ups of administrators. What does not: ``test_doubts.py``."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import (
    CONFLUENCE,
    EVE,
    JIRA,
    JIRA_USER,
    RUN_USER,
    STAFF,
    facts_of,
)

VERSIONED = "/opt/atlassian/jira/atlassian-jira-software-9.4.1-standalone"
START = "User=confluence\nExecStart={}/bin/start-confluence.sh\n"


@pytest.fixture
def host(host):
    return host.with_eve()


def evidence(application, words):
    return any(words in line for line in application.evidence)


def test_the_installer_s_directory_may_be_root_s_or_the_run_user_s(host):
    host.installed_confluence().jvm(700, CONFLUENCE)
    (found,) = facts_of(host).applications
    assert found.process.pid == 700 and found.writers == found.java.writers == []
    assert evidence(found, f"process 700 runs with -Dcatalina.base={CONFLUENCE}, as user confluence, the user that")
    host.own(RUN_USER, CONFLUENCE)
    (found,) = facts_of(host).applications
    assert (found.process.pid, found.user) == (700, "confluence")
    assert len(found.writers) == 1 and f"({CONFLUENCE})" in found.writers[0]
    assert found.java.writers[0] == found.writers[0]


HONEST = {
    "an archive whose directory is the run user's": (
        lambda host: host.jira(VERSIONED).own(JIRA_USER, VERSIONED),
        VERSIONED,
        "every directory above it is root's alone",
    ),
    "an image whose /opt/atlassian is the run user's": (
        lambda host: host.jira().own(JIRA_USER, "/opt/atlassian"),
        JIRA,
        "root gave /opt/atlassian to user jira",
    ),
    "an image whose /opt/atlassian is the run user's, the product root's": (
        lambda host: host.jira().own(JIRA_USER, "/opt/atlassian").own(0, JIRA),
        JIRA,
        "root gave /opt/atlassian to user jira",
    ),
    "archives in a directory of the run user's": (
        lambda host: host.jira(VERSIONED).own(JIRA_USER, JIRA),
        VERSIONED,
        f"root gave {JIRA} to user jira",
    ),
    "a second administrator's /opt, and a unit": (
        lambda host: (
            host.jira()
            .own(0, "/opt", gid=STAFF)
            .own(0, "/opt/atlassian")
            .chmod(0o2775, "/opt")
            .unit("jira.service", f"User=jira\nExecStart={JIRA}/bin/start-jira.sh")
        ),
        JIRA,
        "only root may write /etc/systemd/system/jira.service",
    ),
    "a home directory, and a script of SysV": (
        lambda host: (
            host.jira("/home/eve/jira")
            .own(EVE, "/home/eve/jira")
            .write("/etc/init.d/jira", '#!/bin/sh\nsu eve -c "/home/eve/jira/bin/start-jira.sh"\n')
        ),
        "/home/eve/jira",
        "only root may write /etc/init.d/jira",
    ),
    "a unit below /lib": (
        lambda host: (
            host.jira("/data2/x")
            .own(JIRA_USER, "/data2")
            .unit("jira.service", "User=jira\nExecStart=/data2/x/bin/start-jira.sh", "/lib/systemd/system")
        ),
        "/data2/x",
        "only root may write /lib/systemd/system/jira.service",
    ),
    "a link of the run user's between versions of his": (
        lambda host: (
            host.jira("/data2/jira-9")
            .link("/data2/current", "jira-9")
            .own(JIRA_USER, "/data2")
            .unit("jira.service", "User=jira\nExecStart=/data2/current/bin/start-jira.sh")
        ),
        "/data2/jira-9",
        "only root may write",
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_set_up(host, name):
    build, path, why = HONEST[name]
    build(host)
    uid = host.owner(path + "/work")[0]
    facts = facts_of(host.jvm(700, path, uid=uid))
    (found,) = facts.applications
    assert (found.install_dir, found.process.pid, facts.doubted) == (path, 700, [])
    assert evidence(found, why)


def test_a_second_administrator_s_opt_without_a_unit_needs_a_name(host):
    host.jira().own(0, "/opt", gid=STAFF).own(0, "/opt/atlassian").chmod(0o2775, "/opt").jvm(700, JIRA)
    facts = facts_of(host)
    assert facts.applications == []
    (item,) = facts.doubted
    assert (item.what, item.path) == ("installation", JIRA)
    assert "(/opt) can exchange it" in item.reason and "group" in item.reason
    (found,) = facts_of(host, install_dirs=[JIRA]).applications
    assert found.process.pid == 700
    assert evidence(found, f"install_dirs names {JIRA}")
    assert len(found.writers) == 1 and "(/opt)" in found.writers[0]


def test_named_directories_below_what_others_may_write(host):
    """The name is for the directory itself; for those in it only as far as root made them."""
    host.jira("/home/eve/apps/jira").own(0, "/home/eve/apps").jira("/home/eve/other/jira").own(EVE, "/home/eve/other")
    facts = facts_of(host, install_dirs=["/home/eve/apps", "/home/eve/other"])
    assert [item.install_dir for item in facts.applications] == ["/home/eve/apps/jira"]
    assert [(item.what, item.path, item.user) for item in facts.doubted] == [
        ("installation", "/home/eve/other/jira", "eve")
    ]
    facts = facts_of(host, install_dirs=["/home/eve/other/jira/"])
    assert [item.install_dir for item in facts.applications] == ["/home/eve/other/jira"]


USERS = {
    "root": (0, "as user root"),
    "the user of the unit": (4001, "as user 4001, the user of /etc/systemd/system/jira.service"),
    "the owner of work": (JIRA_USER, f"as user jira, the owner of {JIRA}/work"),
    "the owner of the installation": (4002, f"as user 4002, the owner of {JIRA}"),
}


@pytest.mark.parametrize("name", USERS)
def test_whose_process_counts(host, name):
    uid, why = USERS[name]
    host.jira().unit("jira.service", f"User=4001\nExecStart={JIRA}/bin/start-jira.sh").jvm(700, JIRA, uid=uid)
    host.own(4002, JIRA).own(0, JIRA + "/bin")
    (found,) = facts_of(host).applications
    assert found.process.pid == 700
    assert evidence(found, why)


def test_files_that_root_moved_to_another_disk(host):
    host.confluence().write(CONFLUENCE + "/bin/user.sh", "").own(RUN_USER, "/disk2")
    for name in ("work", "logs", "temp"):
        host.remove(f"{CONFLUENCE}/{name}").own(0, f"{CONFLUENCE}/{name}").link(
            f"{CONFLUENCE}/{name}", f"/disk2/{name}"
        )
        host.folder(f"/disk2/{name}")
    (found,) = facts_of(host.jvm(700, CONFLUENCE, uid=RUN_USER)).applications
    assert (found.user, found.process.pid) == ("confluence", 700)


def test_a_service_with_namespaces_of_its_own(host):
    """PrivateUsers=, PrivatePIDs=: the control group says that it is the unit's."""
    host.confluence().unit("confluence.service", START.format(CONFLUENCE))
    host.jvm(700, CONFLUENCE, unit="confluence.service").link("/proc/self/ns/user", "user:[1]")
    host.link("/proc/700/ns/user", "user:[2]")
    assert facts_of(host).applications[0].process.pid == 700


def test_the_process_of_the_unit_comes_before_a_newer_one_beside_it(host):
    host.confluence().unit("confluence.service", START.format(CONFLUENCE))
    host.jvm(700, CONFLUENCE, unit="confluence.service", age=100).jvm(701, CONFLUENCE, age=200)
    assert facts_of(host).applications[0].process.pid == 700


def test_variables_of_a_file_that_the_run_user_may_write_are_read_still(host):
    host.confluence().jre("/usr/lib/jvm/java-17").write("/opt/env", "JAVA_HOME=/usr/lib/jvm/java-17\n").own(
        RUN_USER, "/opt/env"
    )
    host.unit("confluence.service", START.format(CONFLUENCE) + "EnvironmentFile=-/opt/env\n")
    facts = facts_of(host)
    assert (facts.applications[0].java.home, facts.doubted) == ("/usr/lib/jvm/java-17", [])


def test_interpreters_that_others_may_write_are_left_out(host):
    host.write("/usr/bin/python3.11", "#!", 0o755).write("/usr/local/bin/python3.12", "#!", 0o755)
    host.own(0, "/usr/local/bin", gid=STAFF).chmod(0o2775, "/usr/local/bin")
    facts = facts_of(host)
    assert facts.pythons == {"/usr/bin/python3.11": "3.11"}
    (note,) = facts.unreadable
    assert note.what == "/usr/local/bin/python3.12" and "not used" in note.reason
