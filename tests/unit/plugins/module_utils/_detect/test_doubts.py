# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What does not count: as an attacker sets it up. What counts: ``test_honest_layouts.py``."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._detect import doubts
from ansible_collections.collab.rtc.plugins.module_utils._detect.gather import gather
from ansible_collections.collab.rtc.plugins.module_utils._host import processes
from ansible_collections.collab.rtc.tests.unit.data.installation import hosts
from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import (
    CONFLUENCE,
    EVE,
    JIRA,
    JIRA_USER,
    RUN_USER,
    STAFF,
    facts_of,
)

START = "User=confluence\nExecStart={}/bin/start-confluence.sh\n"


@pytest.fixture
def host(host):
    return host.with_eve()


def doubted(facts):
    return [(item.what, item.path, item.user) for item in facts.doubted]


def fake(host, path="/home/eve/confluence", pid=4711):
    """An installation of Eve's, with a Java of hers, that runs as her."""
    host.confluence(path).own(EVE, path, *(f"{path}/{name}" for name in ("work", "logs", "temp"))).jre(path + "/jre")
    return host.jvm(pid, path, age=900) if pid else host


def test_an_installation_in_a_home_directory(host):
    host.installed_confluence()
    before = facts_of(host)
    facts = facts_of(fake(host))
    assert [item.install_dir for item in facts.applications] == [CONFLUENCE]
    assert facts.applications == before.applications
    assert doubted(facts) == [("installation", "/home/eve/confluence", "eve")]
    (item,) = facts.doubted
    assert (item.pid, item.kind) == (4711, "confluence")
    assert "(/home/eve) can exchange it" in item.reason
    assert "process 4711 of user eve: /home/eve/confluence/jre/bin/java" in item.evidence


FAKES = {
    "in a directory where everybody may make one": ("/tmp/confluence", lambda host: host.chmod(0o1777, "/tmp")),
    "in a usual place that a group may write": (
        "/srv/confluence-new",
        lambda host: host.own(0, "/srv", gid=STAFF).chmod(0o2775, "/srv"),
    ),
    "in a usual place that everybody may write": ("/data/confluence", lambda host: host.chmod(0o777, "/data")),
    "in a usual place of another user": ("/var/www/confluence", lambda host: host.own(33, "/var/www")),
    "in a home directory with a telling name": ("/home/jira/confluence", lambda host: host.own(EVE, "/home/jira")),
    "in a directory of hers below root's": ("/srv/eve/confluence", lambda host: host.own(EVE, "/srv/eve")),
}


@pytest.mark.parametrize("name", FAKES)
def test_a_fake_installation(host, name):
    path, prepare = FAKES[name]
    prepare(fake(host, path))
    facts = facts_of(host)
    assert facts.applications == []
    assert doubted(facts) == [("installation", path, "eve")]


EVIL = "/home/eve/evil/bin/java"


def impostor(host, base=CONFLUENCE, *options, pid=4711, **more):
    values = {"java": EVIL, "uid": EVE, "age": 900, **more}
    return host.jvm(pid, base, *options, **values)


PROCESSES = {
    "her own Java": impostor,
    "root's Java": lambda host: impostor(host, java=CONFLUENCE + "/jre/bin/java"),
    "by another path": lambda host: impostor(host, CONFLUENCE + "/../confluence/"),
    "by a link of hers": lambda host: impostor(host.link("/home/eve/link", CONFLUENCE), "/home/eve/link"),
    "another trust store and home": lambda host: impostor(
        host, CONFLUENCE, "-Djavax.net.ssl.trustStore=/home/eve/ts", "-Dconfluence.home=/etc"
    ),
    "another Java in its environment": lambda host: impostor(host, environment={"JAVA_HOME": "/home/eve/evil"}),
    "in a unit of her own manager, named as the real one": lambda host: impostor(
        host, unit="../user.slice/user-4000.slice/user@4000.service/app.slice/confluence.service"
    ),
    "a program with the set-user-ID bit": lambda host: impostor(host).write(
        "/proc/4711/status", f"Uid:\t{EVE}\t0\t0\t0\n"
    ),
    "a deleted program": lambda host: impostor(host, java=EVIL + " (deleted)"),
    "in namespaces of her own": lambda host: (
        impostor(host)
        .link("/proc/self/ns/user", "user:[1]")
        .link("/proc/4711/ns/user", "user:[2]")
        .contain(4711, CONFLUENCE + "/conf/x")
    ),
}


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("running", [False, True])
def test_an_impostor_decides_nothing(host, name, running):
    host.installed_confluence().jre("/home/eve/evil").unit("confluence.service", START.format(CONFLUENCE))
    if running:
        host.jvm(700, CONFLUENCE, unit="confluence.service")
    before = facts_of(host)
    PROCESSES[name](host)
    facts = facts_of(host)
    assert facts.applications == before.applications
    assert [(item.what, item.path, item.pid) for item in facts.doubted] == [("process", CONFLUENCE, 4711)]
    assert facts.doubted[0].reason


def test_a_plain_tomcat_that_another_user_calls_confluence(host):
    """That it is one is only what her process says, so there is nothing there."""
    host.tomcat("/var/lib/tomcat").own(0, *(f"/var/lib/tomcat/{name}" for name in ("work", "logs", "temp")))
    facts = facts_of(impostor(host, "/var/lib/tomcat", "-Dconfluence.home=/etc"))
    assert facts.applications == []
    assert [(item.what, item.path) for item in facts.doubted] == [("process", "/var/lib/tomcat")]


def test_a_thousand_processes_are_a_few_lines(host):
    host.installed_confluence()
    for number in range(70):
        impostor(host, pid=5000 + number)
        fake(host, f"/home/eve/x{number}", pid=6000 + number)
    facts = facts_of(host)
    assert len(facts.doubted) == 50
    assert len(facts.doubted[0].evidence) <= 5
    assert [item.reason for item in facts.unreadable if item.what == "what does not count"] == [
        "21 more are not listed"
    ]


def test_control_characters_do_not_reach_a_terminal(host):
    path = "/home/eve/\x1b]0;x\x07confluence\n"
    facts = facts_of(fake(host, path))
    (item,) = facts.doubted
    assert item.path == "/home/eve/\\x1b]0;x\\x07confluence\\n"
    assert all(line.isprintable() for line in [item.reason, item.user, *item.evidence])
    assert len(doubts.printable("x" * 100_000)) < 400


def test_a_link_that_another_user_made_on_the_way_of_a_unit(host):
    """The unit starts what Eve's link leads to; so it says nothing about Jira, which her link names."""
    host.jira().link("/home/eve/wiki", JIRA).own(EVE, "/home/eve/wiki")
    host.unit("wiki.service", "User=eve\nExecStart=/home/eve/wiki/bin/start-jira.sh")
    impostor(host, JIRA)
    facts = facts_of(host)
    (found,) = facts.applications
    assert (found.install_dir, found.service.kind, found.user, found.process) == (JIRA, "none", "jira", None)
    assert [item.what for item in facts.doubted] == ["starter", "process"]
    assert "the link /home/eve/wiki of user eve" in facts.doubted[0].reason


def test_a_link_that_another_user_made_on_the_way_of_the_inventory(host):
    host.jira("/apps/jira").own(JIRA_USER, "/apps").link("/home/eve/wiki", "/apps/jira").own(EVE, "/home/eve/wiki")
    facts = facts_of(host, install_dirs=["/home/eve/wiki"])
    assert facts.applications == []
    assert [(item.what, "/home/eve/wiki of user eve" in item.reason) for item in facts.doubted] == [
        ("installation", True)
    ]


STARTERS = {
    "a unit of another user's": lambda host: host.own(EVE, "/etc/systemd/system/confluence.service"),
    "a unit that everybody may write": lambda host: host.chmod(0o666, "/etc/systemd/system/confluence.service"),
    "a drop-in file": lambda host: host.write(
        "/etc/systemd/system/confluence.service.d/x.conf", "[Service]\nUser=eve\n"
    ).own(EVE, "/etc/systemd/system/confluence.service.d/x.conf"),
    "a directory of drop-in files": lambda host: host.folder("/etc/systemd/system/confluence.service.d").own(
        EVE, "/etc/systemd/system/confluence.service.d"
    ),
    "a directory of units": lambda host: host.chmod(0o777, "/etc/systemd/system"),
    "a linked unit": lambda host: (
        host.write("/home/eve/confluence.service", host.path("/etc/systemd/system/confluence.service").read_text())
        .remove("/etc/systemd/system/confluence.service")
        .link("/etc/systemd/system/confluence.service", "/home/eve/confluence.service")
    ),
    "a wrapper": lambda host: host.write(
        "/home/eve/run", f"#!/bin/sh\nexec {CONFLUENCE}/bin/start-confluence.sh -fg\n", 0o755
    ).unit("confluence.service", "User=eve\nExecStart=/home/eve/run"),
    "a file of its environment, which names the directory": lambda host: host.write(
        "/home/eve/env", f"WIKI={CONFLUENCE}\n"
    ).unit("confluence.service", "User=eve\nEnvironmentFile=/home/eve/env\nExecStart=${WIKI}/bin/start-confluence.sh"),
}


@pytest.mark.parametrize("name", STARTERS)
def test_a_unit_that_others_may_write(host, name):
    """It says neither which directory counts, nor who runs it."""
    host.confluence().unit("confluence.service", START.format(CONFLUENCE) + 'Environment="JAVA_HOME=/home/eve/evil"')
    host.jre("/home/eve/evil")
    STARTERS[name](host)
    impostor(host)
    facts = facts_of(host)
    (found,) = facts.applications
    assert (found.service.kind, found.user, found.java, found.process) == ("none", "confluence", None, None)
    assert [(item.what, item.path) for item in facts.doubted] == [
        ("starter", "/etc/systemd/system/confluence.service"),
        ("process", CONFLUENCE),
    ]


UNREAD = {
    "of a user": "/home/eve/.config/systemd/user",
    "of all users' managers": "/etc/systemd/user",
    "transient": "/run/systemd/transient",
    "made by a generator": "/run/systemd/generator",
    "made by a generator, late": "/run/systemd/generator.late",
}


@pytest.mark.parametrize("name", UNREAD)
def test_units_that_say_nothing(host, name):
    fake(host, pid=0).unit("confluence.service", START.format("/home/eve/confluence"), UNREAD[name])
    facts = facts_of(host)
    assert (facts.applications, facts.doubted) == ([], [])  # nothing that is looked at leads there


def test_a_user_script_of_another_user(host):
    host.confluence().write(CONFLUENCE + "/bin/user.sh", 'CONF_USER="eve"\n').own(RUN_USER, CONFLUENCE + "/bin/user.sh")
    facts = facts_of(impostor(host))
    (found,) = facts.applications
    assert (found.user, found.process) == ("confluence", None)


def test_where_everybody_may_write_the_owner_of_its_files_says_nothing(host):
    host.confluence().chmod(0o777, CONFLUENCE).own(EVE, CONFLUENCE + "/work")
    facts = facts_of(impostor(host))
    (found,) = facts.applications
    assert (found.user, found.process) == ("", None)
    assert found.writers == [f"everybody ({CONFLUENCE})"]


def test_a_link_in_place_of_its_files(host):
    """The run user's own link to what is another's makes the other no run user."""
    host.confluence().remove(CONFLUENCE + "/work").link(CONFLUENCE + "/work", "/home/eve").own(
        RUN_USER, CONFLUENCE + "/work"
    )
    facts = facts_of(impostor(host))
    assert facts.applications[0].process is None
    assert "run by user confluence" in facts.doubted[0].reason


def test_a_listener_that_calls_itself_nginx(host):
    host.process(40, ["nginx"], uid=EVE, inodes=[6]).listen("00000000", 9083, 6, uid=EVE)
    assert [(item.kind, item.pid) for item in facts_of(host).rtc] == [("foreign", 40)]


def test_a_unit_of_a_user_that_calls_itself_the_rtc_server(host):
    host.write("/etc/rtc-server/confluence.toml", "port = 9083\n")
    host.process(
        40,
        ["python3"],
        uid=EVE,
        group="/user.slice/user-4000.slice/user@4000.service/app.slice/rtc-server@confluence.service",
        inodes=[6],
    ).listen("00000000", 9083, 6, uid=EVE)
    assert [(item.kind, item.active, item.pid) for item in facts_of(host).rtc] == [
        ("deployed", False, 0),
        ("foreign", True, 40),
    ]


@pytest.mark.parametrize("text", ["<!--" * 300_000, "<!-- x" * 300_000 + "-->" + "<!--" * 300_000])
def test_a_file_that_takes_a_reader_for_ever(host, text):
    host.tomcat("/opt/wiki-confluence").write("/opt/wiki-confluence/conf/server.xml", text)
    assert facts_of(host).applications == []


# Races


def test_a_number_that_another_process_has_by_now(host, monkeypatch):
    """Eve's process ends after its command line was read, and one of the run user gets its number."""
    host.installed_confluence()
    impostor(host, CONFLUENCE, "-Djavax.net.ssl.trustStore=/home/eve/ts")
    really = processes.processes

    def read_and_replace(rootfs):
        found = really(rootfs)
        found[4711].args
        host.remove("/proc/4711/exe").process(4711, ["/bin/sh", "-c", "work"], uid=RUN_USER, age=901)
        return found

    monkeypatch.setattr(processes, "processes", read_and_replace)
    facts = facts_of(host)
    assert (facts.applications[0].process, facts.doubted) == (None, [])


def test_a_process_that_becomes_another_while_it_is_read(host, monkeypatch):
    """Its command line is read while it is Eve's; then it becomes a program that root runs."""
    host.installed_confluence()
    impostor(host)
    really = processes.Proc._read_uids
    monkeypatch.setattr(
        processes.Proc, "_read_uids", lambda self: (EVE,) * 4 if self.args and counted() % 2 else really(self)
    )
    numbers = iter(range(1, 10**6))

    def counted():
        return next(numbers)

    host.write("/proc/4711/status", "Uid:\t0\t0\t0\t0\n")
    facts = facts_of(host)
    assert facts.applications[0].process is None
    assert [(item.what, "changes" in item.reason) for item in facts.doubted] == [("process", True)]


def test_a_process_that_ends_while_it_is_read(host, monkeypatch):
    host.installed_confluence().jvm(700, CONFLUENCE)
    really = processes.Proc.settle

    def end_and_settle(self):
        for name in ("stat", "status", "cmdline"):
            host.remove(f"/proc/700/{name}") if host.path(f"/proc/700/{name}").exists() else None
        return really(self)

    monkeypatch.setattr(processes.Proc, "settle", end_and_settle)
    facts = facts_of(host)
    assert (facts.applications[0].process, facts.doubted) == (None, [])


# With real owners: where the rules about links of ``RootFs`` are at work as well


@pytest.fixture
def place():
    """A directory below one that only root can write; pytest's own is below /tmp."""
    if os.geteuid() != 0:
        pytest.skip("giving files away needs root")
    path = tempfile.mkdtemp(dir="/var/lib")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def test_real_links_of_others(place):
    made = hosts.Host(place).jira("/theirs/jira").folder("/eve")
    os.chown(f"{place}/theirs", JIRA_USER, JIRA_USER)
    os.chown(f"{place}/eve", EVE, EVE)
    os.symlink(f"{place}/theirs/jira", f"{place}/eve/link")
    os.lchown(f"{place}/eve/link", EVE, EVE)
    os.symlink(f"{place}/theirs/jira", f"{place}/of-root")
    facts = gather(lookup=lambda name: [], install_dirs=[f"{place}/eve/link"])
    assert [item.path for item in facts.doubted if item.path.startswith(place)] == [f"{place}/eve/link"]
    assert f"the link {place}/eve/link of user" in facts.doubted[0].reason
    assert [item for item in facts.applications if item.install_dir.startswith(place)] == []
    facts = gather(lookup=lambda name: [], install_dirs=[f"{place}/of-root"])
    found = [item for item in facts.applications if item.container is None]  # the lab may run on this machine
    assert [item.install_dir for item in found] == [f"{made.root}/theirs/jira"]
    assert found[0].aliases == [f"{place}/of-root"]
