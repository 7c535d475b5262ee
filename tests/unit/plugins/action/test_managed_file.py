# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.collab.rtc.plugins.action.managed_file import _pick_text


def test_the_text_of_the_application_is_taken():
    assert _pick_text({"confluence": "C", "jira": "J"}, "jira", "rtc_tls_key") == "J"
    assert _pick_text("both", "jira", "rtc_tls_key") == "both"


@pytest.mark.parametrize("value", [{"confluence": "C"}, ["C"], None])
def test_what_is_no_text_never_replaces_a_file(value):
    with pytest.raises(AnsibleActionFail, match="rtc_tls_key: a text is expected for jira"):
        _pick_text(value, "jira", "rtc_tls_key")
