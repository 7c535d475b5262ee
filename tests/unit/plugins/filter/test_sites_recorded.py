# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sites that are checked after a rollback: by the record, not by the inventory."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.filter.sites_recorded import list_sites_recorded

SITE = {"base_url": "https://old.example.com:8443/wiki", "rtc_url": "https://old.example.com:9083", "ca": ["PEM"]}


def entry(kind="confluence", owners=("wiki1/confluence",), **what):
    known = {"instance": kind, "python": "/usr/bin/python3", "site": SITE, **what}
    return {"kind": "instance", "site": "old.example.com:9083", "owners": list(owners), "what": known}


def list_sites(*entries, owners=(), sites=()):
    topology = {"managed": {"entries": list(entries)}, "applications": []}
    return list_sites_recorded(topology, "wiki1", list(owners), {"confluence": "secret"}, list(sites))


def test_the_old_name_and_port_are_checked():
    (site,) = list_sites(entry(site={**SITE, "truststore": "/opt/cacerts"}))
    assert (site["name"], site["rtc_url"], site["origin"]) == (
        "old.example.com:9083",
        "https://old.example.com:9083",
        "https://old.example.com:8443",
    )
    assert site["truststore"] == {"path": "/opt/cacerts", "password": "secret"}
    assert site["expected_request"] == {
        "scheme": "https",
        "serverName": "old.example.com",
        "serverPort": 8443,
        "secure": True,
    }


def test_in_a_run_the_site_keeps_its_name_of_the_plan():
    planned = [{"name": "new.example.com:9083", "nodes": ["wiki1"], "application": "confluence"}]
    assert [site["name"] for site in list_sites(entry(), sites=planned)] == ["new.example.com:9083"]


@pytest.mark.parametrize(
    "other",
    [
        {**entry(), "kind": "vhost"},
        entry(owners=["wiki2/confluence"]),
        entry(site={}),
        entry("jira", owners=["wiki1/jira"]),
    ],
)
def test_nothing_else_is_checked(other):
    assert list_sites(other, owners=["wiki1/confluence"]) == []


def test_without_a_record_there_is_nothing():
    assert list_sites_recorded({}, "wiki1", [], "changeit") == []
