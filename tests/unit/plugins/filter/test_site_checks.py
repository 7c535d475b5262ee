# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.filter.site_checks import FilterModule, list_site_checks

GOOD = {
    "ok": True,
    "steps": [{"name": "tcp", "ok": True, "seconds": 0.25}, {"name": "tls", "ok": True, "seconds": None}],
}
BAD = {
    "ok": False,
    "cause": "The certificate is for another name.",
    "remedy": "Correct rtc_tls_certificate.",
    "steps": [{"ok": True, "seconds": 0.1}, {"ok": False, "seconds": 0.2, "detail": "other.example.com"}, {"ok": None}],
}
SKIPPED = {"skipped": True, "changed": False}
SKIPPED_LOOP = {"skipped": True, "results": [SKIPPED, SKIPPED]}


def checks(**results: dict) -> list[dict]:
    return list_site_checks(results, "wiki1")


def test_all_checks_in_the_order_of_the_report():
    found = checks(
        fetch={"results": [GOOD, BAD]}, session=GOOD, answer=GOOD, from_controller=GOOD, request=GOOD, from_host=GOOD
    )  # fmt: skip
    assert [(check["name"], check["where"], check["ok"]) for check in found] == [
        ("RTC answers the application host, trusted by the JRE", "wiki1", True),
        ("RTC answers outside: polling, WebSocket, upgrade", "controller", True),
        ("Two clients share one project, before and after a reconnect", "controller", True),
        ("The application answers at its address", "controller", True),
        ("The application sees the address that users see", "controller", True),
        ("The application's JVM trusts its own address", "wiki1", True),
        ("The application's JVM trusts the RTC address", "wiki1", False),
    ]


def test_what_was_skipped_is_left_out():
    found = checks(from_host=GOOD, from_controller=GOOD, session=SKIPPED, request=SKIPPED, fetch=SKIPPED_LOOP)
    assert len(found) == 2
    assert checks(session=SKIPPED) == []


def test_a_check_that_passed():
    (found,) = checks(from_controller=GOOD)
    assert found == {
        "name": "RTC answers outside: polling, WebSocket, upgrade",
        "where": "controller", "ok": True, "seconds": 0.25, "detail": "", "cause": "", "remedy": "",
    }  # fmt: skip


def test_a_check_that_failed_has_detail_cause_and_remedy():
    (found,) = checks(session=BAD)
    assert (found["ok"], found["seconds"], found["detail"]) == (False, 0.3, "other.example.com")
    assert (found["cause"], found["remedy"]) == (BAD["cause"], BAD["remedy"])


def test_a_module_that_failed():
    (found,) = checks(session={"failed": True, "msg": "python-socketio is missing."})
    assert (found["ok"], found["cause"]) == (False, "python-socketio is missing.")
    (found,) = checks(session={"failed": True})
    assert (found["ok"], found["cause"]) == (False, "The check could not be made.")


def test_a_failure_without_a_failed_step():
    (found,) = checks(request={"ok": False})
    assert (found["ok"], found["detail"], found["cause"], found["seconds"]) == (False, "", "", 0)


def test_filter_name():
    assert set(FilterModule().filters()) == {"site_checks"}


UNKNOWN_NAME = {**BAD, "code": "name_unresolved"}


def test_a_check_that_could_not_be_made_says_nothing_about_the_site():
    """A name that the controller does not know is its own trouble; on the application's host it is the site's."""
    found = checks(
        from_host=UNKNOWN_NAME,
        from_controller=UNKNOWN_NAME,
        session={"failed": True, "msg": "The module needs aiohttp."},
        answer=BAD,
        request={"unreachable": True},
        fetch={"results": [UNKNOWN_NAME]},
    )
    assert [(check["ok"], check.get("made")) for check in found] == [
        (False, True),
        (False, False),
        (False, False),
        (False, True),
        (False, False),
        (False, True),
    ]
