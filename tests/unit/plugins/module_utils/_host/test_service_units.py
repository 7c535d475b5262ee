# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd says of units, and what their files say; starters are in ``_detect/test_installation_layouts``."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._host import service_units

STATES = [
    ("Id=a.service\nActiveState=activating\nMainPID=7\n", {"a.service": (True, 7)}),
    (
        "Id=a.service\nActiveState=inactive\n\nId=b.service\nActiveState=reloading\n",
        {"a.service": (False, 0), "b.service": (True, 0)},
    ),
    (None, {}),
    ("System has not been booted with systemd", {}),
]


@pytest.mark.parametrize(("text", "expected"), STATES)
def test_states(text, expected):
    assert service_units.states(["a.service"], lambda command, timeout: text) == expected


def test_states_of_none_asks_nobody():
    assert service_units.states([], lambda command, timeout: pytest.fail("asked")) == {}


SETTINGS = "/etc/systemd/system"
# A unit, and the directories of its drop-in files, the one first that wins.
DROPINS = {
    "app@prod.service": ["app@prod.service.d", "app@.service.d", "service.d"],
    "my-app-x.service": ["my-app-x.service.d", "my-app-.service.d", "my-.service.d", "service.d"],
}


@pytest.mark.parametrize("name", DROPINS)
def test_directories_of_dropin_files(host, rootfs, name):
    file = "app@.service" if "@" in name else name
    host.write(f"{SETTINGS}/{file}", "[Service]\nExecStart=/opt/jira/bin/start-jira.sh -fg\n")
    for number, folder in enumerate(reversed(DROPINS[name])):
        host.write(f"{SETTINGS}/{folder}/same.conf", f"[Service]\nEnvironment=SAME={folder}\n")
        host.write(f"{SETTINGS}/{folder}/{number}.conf", f"[Service]\nEnvironment=D{number}=1\n")
    for other in ("app@dev.service.d", "my-app.service.d", "my.service.d", "app-.service.d"):
        host.write(f"{SETTINGS}/{other}/other.conf", "[Service]\nEnvironment=OTHER=1\n")
    starter = service_units.find(rootfs, name)
    every = {f"D{number}": "1" for number in range(len(DROPINS[name]))}
    assert starter.environment == {"SAME": DROPINS[name][0], **every}


def test_a_value_of_several_lines_in_a_file_of_the_environment(host, rootfs):
    host.write("/etc/jira.env", 'CATALINA_OPTS="-Da=1\n  -Djavax.net.ssl.trustStore=/etc/a.jks"\n')
    unit = "[Service]\nEnvironmentFile=/etc/jira.env\nExecStart=/opt/jira/bin/start-jira.sh \\\n# a comment\n  -fg\n"
    starter = service_units.find(host.write(f"{SETTINGS}/jira.service", unit) and rootfs, "jira")
    assert starter.environment["CATALINA_OPTS"].split() == ["-Da=1", "-Djavax.net.ssl.trustStore=/etc/a.jks"]
    assert starter.command == "run"


MENTIONED = {
    "os.system('/opt/a/bin/start-jira.sh')": ["/opt/a"],
    'call(["/opt/a/bin/startup.sh", "x=/srv/b/bin/start-confluence.sh"])': ["/opt/a", "/srv/b"],
    "/opt/a/bin/startup.sh/bin/startup.sh": ["/opt/a/bin/startup.sh"],
    "/bin/startup.sh bin/startup.sh": [],
    "/a" * 120_000: [],
}


@pytest.mark.parametrize("text", MENTIONED, ids=[str(number) for number in range(len(MENTIONED))])
def test_what_a_script_of_another_language_mentions(host, rootfs, text):
    host.write("/opt/run.py", "#!/usr/bin/python3\n" + text).write(
        f"{SETTINGS}/a.service", "[Service]\nExecStart=/opt/run.py\n"
    )
    assert service_units.find(rootfs, "a").directories == MENTIONED[text]


@pytest.mark.timeout(120)
def test_what_cannot_be_followed_to_its_end_is_said(host, rootfs):
    loops = "".join(f"for {name} in 1 2 3 4 5 6 7 8 9; do " for name in "abcd")
    host.write("/opt/run.sh", f"#!/bin/bash\n{loops}/opt/run.sh $1$a $b $c $d; done; done; done; done\n")
    host.write(f"{SETTINGS}/a.service", "[Service]\nExecStart=/opt/run.sh\n")
    assert service_units.find(rootfs, "a").directories == []
    assert "run each other too often" in rootfs.unreadable[f"{SETTINGS}/a.service"]


UNIT = "[Service]\nEnvironment=A=1 B=2\nEnvironmentFile=/etc/old.env\n{}\nExecStart=/opt/jira/bin/start-jira.sh -fg\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"A": "1", "B": "2", "OLD": "1"}),
        ("EnvironmentFile=", {"A": "1", "B": "2"}),
        ("EnvironmentFile=\nEnvironmentFile=/etc/new.env", {"A": "1", "B": "2", "NEW": "1"}),
        ("EnvironmentFile=%E/new.env", {"A": "1", "B": "2", "OLD": "1", "NEW": "1"}),
        ("UnsetEnvironment=A OLD", {"B": "2"}),
        ("UnsetEnvironment=A=1 B=1", {"B": "2", "OLD": "1"}),
        ("UnsetEnvironment=A\nUnsetEnvironment=", {"A": "1", "B": "2", "OLD": "1"}),
        ("Environment=D=%S/jira", {"A": "1", "B": "2", "OLD": "1", "D": "/var/lib/jira"}),
    ],
)
def test_what_is_left_of_the_environment(host, rootfs, line, expected):
    """In a drop-in file, as administrators change the units of others (systemd.exec(5))."""
    for name in ("old", "new"):
        host.write(f"/etc/{name}.env", f"{name.upper()}=1\n")
    host.write(f"{SETTINGS}/jira.service", UNIT.format(""))
    host.write(f"{SETTINGS}/jira.service.d/local.conf", f"[Service]\n{line}\n")
    assert service_units.find(rootfs, "jira").environment == expected


@pytest.mark.parametrize("command", ["/opt/jira/bin/start-jira.sh -fg", "@/opt/jira/bin/start-jira.sh 'a name' -fg"])
def test_the_name_that_a_program_gets(host, rootfs, command):
    """systemd.service(5): after "@" the second word is no argument."""
    host.write(f"{SETTINGS}/jira.service", f"[Service]\nExecStart=-{command}\n")
    assert service_units.find(rootfs, "jira").command == "run"
