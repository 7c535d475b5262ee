# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON of others that is nested deeper than Python reads: it is no JSON, and ends no detection and no check."""

from __future__ import annotations

import types
from email.message import Message

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.collab.rtc.plugins.module_utils._detect import passage, store
from ansible_collections.collab.rtc.plugins.module_utils._instance import service
from ansible_collections.collab.rtc.plugins.module_utils._verify import application
from ansible_collections.collab.rtc.plugins.module_utils._verify.client import http_errors, packets
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError
from ansible_collections.collab.rtc.tests.unit import plan_action

NESTED = "[" * 200_000


def test_whoever_listens_on_the_rtc_port():
    assert passage._read_engine_error(NESTED) == (False, "")
    assert passage._describe(400, Message(), NESTED)


def test_what_is_checked():
    assert http_errors.engine_error(NESTED) == (-1, "")
    with pytest.raises(packets.PacketError, match="without proper JSON"):
        packets.decode("42" + NESTED)
    answer = types.SimpleNamespace(status=200, headers={}, body=NESTED.encode())
    with pytest.raises(CheckError) as caught:
        application._read_json("https://wiki.example.com/", answer)
    assert caught.value.code == "not_json"


def test_what_the_service_s_user_writes(tmp_path):
    """Root reads it, to know what the running process runs with."""
    (tmp_path / "reload.json").write_text(NESTED)
    one = types.SimpleNamespace(handed_over=str(tmp_path))
    assert service.Instance._read_loaded(one) == {}


def test_the_server_s_own_words():
    assert store.read_answer("postgresql://rtc@db/rtc", NESTED, "").unknown


def test_a_kept_plan(tmp_path):
    kept = tmp_path / "plan.json"
    kept.write_text('{"basis": ' + NESTED)
    data = plan_action.base("same_host")
    data["all"] = {"rtc_from_plan": str(kept)}
    with pytest.raises(AnsibleActionFail, match="is no plan that can be read"):
        plan_action.Run(tmp_path, data)()
