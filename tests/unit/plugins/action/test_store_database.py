# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action ``store_database``: which arguments are files of the controller."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.action.store_database import _find_files

PEM = "-----BEGIN CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("certificate", "key", "files"),
    [("a.pem", "a.key", ["certificate", "key"]), (PEM, "a.key", ["key"]), (PEM, PEM, []), (None, "", [])],
)
def test_names_and_texts(certificate, key, files):
    args = {"certificate": certificate, "key": key, "state": "present"}
    assert _find_files(args) == files and args["certificate"] == certificate


def test_what_is_taken_away_need_not_be_there():
    args = {"certificate": "gone.pem", "key": "gone.key", "state": "absent", "port": 5432}
    assert _find_files(args) == [] and args == {"state": "absent", "port": 5432}
