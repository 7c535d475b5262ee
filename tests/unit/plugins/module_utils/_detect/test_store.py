# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host's RTC server says of its store."""

from __future__ import annotations

import json

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._detect import store
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import asking
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit as rtc_server_unit

URL = "postgresql://rtc@db/rtc"


def test_an_answer_is_carried_on():
    found = {"fault": "", "kind": "", "needs": 0, "risks": {"fsync": "fsync is off: so"}, "projects": 4, "ahead": 1.5}
    state = store.read_answer(URL, json.dumps({"complaints": [], "store": found}), "")
    assert (state.url, state.unknown, state.risks, state.projects, state.ahead) == (URL, "", found["risks"], 4, 1.5)


@pytest.mark.parametrize(
    ("output", "errors", "why"),
    [
        ("", "usage: x\nrtc-server: error: unrecognized arguments: --json\n", "too old"),
        ("", "Traceback\nImportError: no aiohttp\n", "ImportError: no aiohttp"),
        ("", "", "no answer"),
        ("[]", "", "no answer"),
        ('{"complaints": ["f:1: port: is missing"], "store": null}', "", "f:1: port: is missing"),
    ],
)
def test_no_answer_is_unknown_with_its_reason(output, errors, why):
    assert why in store.read_answer(URL, output, errors).unknown


def test_an_instance_without_a_store_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(rtc_server_unit, "CONFIG_DIR", "/etc/rtc-server")
    path = tmp_path / "etc/rtc-server/confluence.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[journal]\npath = "/x"\n')
    assert store.look(RootFs(str(tmp_path)), "confluence") is None
    path.write_text(f'[journal]\nstore_url = "{URL}"\n')
    found = store.look(RootFs(str(tmp_path)), "confluence")
    assert found is not None and found.url == URL and found.unknown


def test_the_host_s_own_server_is_asked(tmp_path, monkeypatch):
    """With the program that the unit starts, and the credentials of the service."""
    program = tmp_path / "python3"
    answer = {
        "complaints": [],
        "store": {"fault": "", "kind": "", "needs": 0, "risks": {}, "projects": 1, "ahead": 0.0},
    }
    program.write_text(f"""#!/bin/sh
echo "$@ $CREDENTIALS_DIRECTORY" > {tmp_path}/asked
echo '{json.dumps(answer)}'
""")
    program.chmod(0o755)
    monkeypatch.setattr(asking._ownership, "check_program", lambda path: None)
    monkeypatch.setattr(rtc_server_unit, "CONFIG_DIR", "/etc/x")
    unit = f"[Service]\nExecStart={program} -I /opt/x/current/rtc-server serve --config /etc/x/%i.toml\n"
    arguments = ("check-config", "--json", "/etc/x/confluence.toml")
    done = asking.ask_server("confluence", unit, *arguments, seconds=60)
    assert json.loads(done.stdout) == answer
    asked = (tmp_path / "asked").read_text().split()
    assert asked == [
        "-I",
        "/opt/x/current/rtc-server",
        "check-config",
        "--json",
        "/etc/x/confluence.toml",
        "/etc/x/confluence",
    ]
