# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every variable of the inventory with one value, and with one for each application."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import variables

# A type -> two values that differ, as an inventory has them.
VALUES = {
    "name": ("a.example.com", "b.example.com"),
    "port": (9100, "9101"),
    "anyport": (8443, 8444),
    "path": ("/opt/a", "/opt/b"),
    "command": (["supervisorctl", "restart", "a"], ["/usr/local/sbin/restart-b"]),
    "service": ("wiki", "jira@main.service"),
    "bool": (True, "no"),
    "addresses": (["10.0.0.1"], "10.0.0.2"),
    "networks": (["10.1.2.0/24", "fd00::1"], "10.1.3.4"),
    "pem": ("files/a.pem", "-----BEGIN CERTIFICATE-----\nb\n-----END CERTIFICATE-----"),
    "store_url": ("postgresql://u@a/d", "postgresql://u@b/d"),
    "origins": (["https://a"], "https://b"),
    "limits": ({"connections": 100}, {"connections": 200}),
    "mutes": ([{"id": "RTC007", "reason": "a"}], [{"id": "RTC003", "reason": "b"}]),
    "number": (1, 2),
    "batches": (1, ["50%", 3]),
    "secret": ("a", "b"),
    "text": ("/a", "/b"),
}


def values_of(variable):
    return variable.choices[:2] if variable.choices else VALUES[variable.type]


def names(once):
    return [variable for variable in variables.VARIABLES if variable.once == once]


@pytest.mark.parametrize("variable", names(once=False), ids=lambda variable: variable.name)
def test_one_for_each_application_is_the_same_as_one_value_on_two_hosts(variable):
    both = dict(zip(variables.KINDS, values_of(variable), strict=True))
    for kind, value in both.items():
        given, problems = variables.parse({variable.name: both}, kind)
        alone, _none = variables.parse({variable.name: value}, kind)
        assert (given, problems) == (alone, [])
        assert variables.choose_setting(both, kind, "x") == variables.choose_setting(value, kind, "x") == value


@pytest.mark.parametrize("variable", names(once=False), ids=lambda variable: variable.name)
def test_an_application_without_a_value_has_the_default(variable):
    only = {variable.name: {"jira": values_of(variable)[1]}}
    assert variables.parse(only, "confluence") == (variables.HostSettings(), [])
    assert variables.choose_setting(only[variable.name], "confluence", "default") == "default"


@pytest.mark.parametrize("variable", names(once=True), ids=lambda variable: variable.name)
def test_what_is_for_the_run_has_one_value(variable):
    first = values_of(variable)[0]
    assert variables.parse({variable.name: first}, "jira")[1] == []
    (problem,) = variables.parse({variable.name: {"confluence": first, "jira": first}}, "jira")[1]
    assert (problem.id, problem.variable) == ("RTC102", variable.name)
    assert "one value is expected" in problem.message


@pytest.mark.parametrize("variable", names(once=False), ids=lambda variable: variable.name)
def test_another_key_than_an_application_is_named_and_the_value_is_not(variable):
    given = {"confluense": values_of(variable)[0], "jira": "hidden-value"}
    (problem,) = variables.parse({variable.name: given}, "jira")[1]
    assert (problem.id, "hidden-value" in problem.message) == ("RTC102", False)
    assert ("confluense" in problem.message) == (variable.type != "secret")


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"confluence": False, "jira": True}, True), ({"confluence": "no", "jira": ""}, False), ("yes", "yes"), ("", False)],
)  # fmt: skip
def test_what_belongs_to_both_gets_the_first_yes(value, expected):
    assert variables.choose_setting(value, "", False) == expected
