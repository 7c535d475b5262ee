# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules write to the host's system log: Ansible puts their arguments there, as it does by default."""

from __future__ import annotations

import pytest
from ansible.module_utils.basic import AnsibleModule

PEM = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("tomcat_connector", {"path": "/no/server.xml", "attributes": {"keystorePass": "hunter2"}}),
        ("tomcat_connector", {"path": "/no/server.xml", "attributes": {}, "properties": {"any.name": "hunter2"}}),
        ("keystore_pem", {"server_xml": "/no", "key_dest": "/no", "chain_dest": "/no", "properties": {"x": "hunter2"}}),
        ("java_truststore", {"path": "/no/cacerts", "certificates": [{"pem": PEM}]}),
        ("java_truststore", {"path": "/no/cacerts", "certificates": [], "password": "hunter2\"'\\"}),
        ("managed_file", {"files": [{"path": "/no/key", "content": PEM, "holds": "certificate"}]}),
        ("rtc_probe", {"url": "https://127.0.0.1:1", "truststore": {"path": "/no", "password": "hunter2\"'\\"}}),
        ("rtc_session", {"url": "https://127.0.0.1:1", "project": "p", "token": "hunter2\"'\\", "ca": ["/no"]}),
    ],
)
def test_no_secret_comes_into_the_system_log(run_module, monkeypatch, name, args):
    logged = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, text, log_args=None: logged.append(f"{text} {log_args}"))
    run_module(name, {**args, "_ansible_no_log": False})
    assert "hunter2" not in "".join(logged)
