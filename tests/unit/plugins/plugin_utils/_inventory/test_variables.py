# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the inventory's variables strictly."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import variables as inventory_variables


def read(**variables):
    return inventory_variables.parse({f"rtc_{name}": value for name, value in variables.items()}, "confluence")


def test_nothing_asked_is_all_defaults():
    assert read() == (inventory_variables.HostSettings(), [])


def test_the_table_and_the_class_are_one():
    fields = {variable.field for variable in inventory_variables.VARIABLES if variable.field}
    # which secrets are set is in no variable of its own
    assert fields | {"given"} == {item.name for item in dataclasses.fields(inventory_variables.HostSettings)}
    names = [variable.name for variable in inventory_variables.VARIABLES]
    assert len(names) == len(set(names))
    for variable in inventory_variables.VARIABLES:
        assert variable.description.endswith("."), variable.name
        assert variable.default
        assert not variable.choices or variable.type == "choice"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("server_name", "Wiki.Example.COM", "wiki.example.com"), ("port", "9090", 9090), ("port", 1025, 1025),
        ("port", 65535, 65535),
        ("proxy", "none", "none"), ("protocol", "https", "HTTPS"), ("protocol", "HTTP+SSL", "HTTP + SSL"),
        ("proxy_kind", "HAProxy", "haproxy"), ("proxy_kind", "AWS ALB", "aws_alb"),
        ("manage_application_vhost", "yes", True),
        ("manage_application_vhost", False, False), ("listen", "10.0.0.1", ["10.0.0.1"]),
        ("listen", ["[2001:db8::1]", "*"], ["2001:db8::1", "*"]),
        ("application_service", "jira@main.service", "jira@main.service"),
        ("application_restart", ["supervisorctl", "restart", 1], ["supervisorctl", "restart", "1"]),
        ("origins", "https://a, https://b", ["https://a", "https://b"]), ("install_dir", "/opt/wiki/", "/opt/wiki"),
        ("store_url", "postgresql://rtc@a,[::1]:5433/rtc", "postgresql://rtc@a,[::1]:5433/rtc"),
        ("ignore_findings", [{"id": "rtc212", "reason": "small drawings only"}],
         [inventory_variables.Mute("RTC212", "small drawings only")]),
    ],
)  # fmt: skip
def test_values_as_people_write_them(name, given, expected):
    settings, problems = read(**{name: given})
    assert problems == []
    assert getattr(settings, name) == expected


@pytest.mark.parametrize(
    ("name", "given", "number", "text"),
    [
        ("port", 1024, "RTC103", "between 1025 and 65535"), ("port", 65536, "RTC103", "65536"),
        ("port", "http", "RTC102", "'http'"),
        ("port", True, "RTC102", "number"), ("port", [9083], "RTC102", "not a port number"),
        ("connector_port", 0, "RTC102", "1 to 65535"),
        ("server_name", "https://wiki", "RTC102", "without https://"), ("server_name", ["a"], "RTC102", "text"),
        ("proxy_kind", "ngnix", "RTC102", "Did you mean nginx?"),
        ("protocol", "TLS", "RTC102", "HTTP, HTTP + SSL, HTTPS"),
        ("manage_application_vhost", "maybe", "RTC102", "neither true nor false"),
        ("listen", "wiki.example.com", "RTC102", "IP address"),
        ("install_dir", "wiki", "RTC102", "absolute path"),
        ("install_dir", "\u202a/opt/jira", "RTC102", "'<U+202A>/opt/jira' has a character that is not seen"),
        ("tls_ca", "/pki/root\u200b.pem", "RTC102", "'/pki/root<U+200B>.pem' has a character that is not seen"),
        ("plan_file", " ", "RTC102", "the path is empty"), ("from_plan", "\t", "RTC102", "the path is empty"),
        ("aws_region", "eu-central-1\u200b", "RTC102", "'eu-central-1<U+200B>' has a character that is not seen"),
        ("inventory_id", "a\0b", "RTC102", "type it anew"), ("aws_profile", "a\nb", "RTC102", "type it anew"),
        ("connector_port", "8_090", "RTC102", "not a port number"),
        ("application_port", "\u0664\u0664\u0663", "RTC102", "not a port number"),
        ("connector_port", "9" * 5000, "RTC102", "not a port number"),
        ("users", "1_000", "RTC102", "not a number of 0 or more"), ("users", 10**30, "RTC102", "2147483647 at most"),
        ("aws_deregistration_delay", 3601, "RTC102", "3600 at most"),
        ("store_url", "10.0.0.1:5432", "RTC102", "postgresql://"),
        ("ignore_findings", "RTC212", "RTC102", "{id, reason}"),
        ("ignore_findings", [{"id": "RTC212", "reason": " "}], "RTC102", "reason"),
        ("restart_application", "later", "RTC102", "when_needed, never"),
        ("origins", [["a"]], "RTC102", "list of texts"),
        ("application_service", "/etc/init.d/jira", "RTC102", "'/etc/init.d/jira'"),
        ("application_service", "jira; reboot", "RTC102", "name of a service"),
        ("application_service", "jira.socket", "RTC102", "name of a service"),
        ("application_restart", "supervisorctl restart jira", "RTC102", "list of arguments"),
        ("application_restart", [], "RTC102", "empty"),
    ],
)  # fmt: skip
def test_values_that_cannot_be(name, given, number, text):
    settings, problems = read(**{name: given})
    (problem,) = problems
    assert (problem.id, problem.variable) == (number, f"rtc_{name}")
    assert text in problem.message
    assert problem.remedy
    assert getattr(settings, name) == getattr(inventory_variables.HostSettings(), name)


def test_a_password_in_a_value_is_never_repeated():
    _settings, (problem,) = read(store_url="postgresql://rtc:hunter2@s/d")
    assert "hunter2" not in problem.message + problem.remedy


@pytest.mark.parametrize(
    ("name", "near"),
    [("rtc_sever_name", "rtc_server_name"), ("rtc_tls_cert", "rtc_tls_"), ("rtc_servername", "rtc_server_name"),
     ("rtc_proxykind", "rtc_proxy_kind"),
     ("rtc_server_pyton", "rtc_server_python"), ("rtc_server_nmae", "rtc_server_name")],
)  # fmt: skip
def test_a_typing_mistake_names_the_nearest(name, near):
    (problem,) = inventory_variables.find_unknown({name: 1})
    assert problem.id == "RTC101"
    assert near in problem.remedy


def test_a_name_that_is_near_nothing_is_told_where_to_look():
    (problem,) = inventory_variables.find_unknown({"rtc_zzz": 1})
    assert "docs/variables.md" in problem.remedy


@pytest.mark.parametrize(
    "name", ["rtc_plan", "rtc_work", "rtc_detected", "rtc_server_keys", "rtc_secret", "other", "_rtc_x"]
)
def test_names_that_are_in_order(name):
    assert inventory_variables.find_unknown({name: 1}) == []


def test_secrets_are_not_read():
    settings, problems = read(secret={"jira": object()}, truststore_password=5)
    assert (settings, problems) == (inventory_variables.HostSettings(given=["truststore_password"]), [])


def test_a_value_for_each_application():
    variables = {"rtc_port": {"confluence": 9100, "jira": 9200}, "rtc_server_name": {"jira": "jira.example.com"}}
    confluence, jira = (inventory_variables.parse(variables, kind)[0] for kind in ("confluence", "jira"))
    assert (confluence.port, jira.port) == (9100, 9200)
    assert (confluence.server_name, jira.server_name) == ("", "jira.example.com")
    assert not inventory_variables.is_common(variables, "port")
    assert inventory_variables.is_common({"rtc_port": 9100}, "port")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"connections": 2000}, {"connections": 2000}),
        ({"connections": "2000", "changes_per_second": "0.5"}, {"connections": 2000, "changes_per_second": 0.5}),
        ({"changes_per_second": 5}, {"changes_per_second": 5}),
        ({"confluence": {"connections": 5}, "jira": {"connections": 6}}, {"connections": 5}),
        ({"jira": {"connections": 6}}, {}),
        ({"reserve_bytes": 0}, {"reserve_bytes": 0}),
        ({"payload_bytes": 200_000, "change_bytes": 1000, "snapshot_bytes": 200_000},
         {"payload_bytes": 200_000, "change_bytes": 1000, "snapshot_bytes": 200_000}),
    ],
)  # fmt: skip
def test_limits(given, expected):
    settings, problems = read(limits=given)
    assert (settings.limits, problems) == (expected, [])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"conections": 5}, "'conections' is not a limit of the RTC server. Did you mean connections?"),
        ({1: 5}, "'1' is not a limit"),
        (["connections"], "a dictionary of limits is expected"), ("connections", "a dictionary"), (5, "a dictionary"),
        ({"connections": 0}, "connections has to be a whole number from 1 to 1000000, not '0'"),
        ({"connections": -1}, "not '-1'"), ({"connections": 1.5}, "whole number"), ({"connections": True}, "'True'"),
        ({"connections": None}, "'None'"), ({"connections": "many"}, "'many'"), ({"connections": [1]}, "'[1]'"),
        ({"connections": 10**400}, "whole number"), ({"connections": "1e3"}, "whole number"),
        ({"changes_per_second": float("nan")}, "from 0.01 to 1000000, not 'nan'"),
        ({"changes_per_second": "inf"}, "not 'inf'"), ({"changes_per_second": 0}, "not '0'"),
        ({"changes_per_second": False}, "not 'False'"), ({"project_bytes": 99_999}, "from 100000 to 1125899906842624"),
        ({"change_bytes": 2_000_000}, "change_bytes (2000000) is larger than payload_bytes (1000000)"),
        ({"payload_bytes": 500_000}, "snapshot_bytes (900000) is larger than payload_bytes (500000)"),
        ({"confluence": {"x": 1}, "jira": {}}, "'x' is not a limit"),
    ],
)  # fmt: skip
def test_limits_that_cannot_be(given, text):
    settings, problems = read(limits=given)
    assert settings.limits == {}
    assert [(p.id, p.variable) for p in problems] == [("RTC102", "rtc_limits")]
    assert text in problems[0].message


@pytest.mark.parametrize("name", ["RTC_PORT", "rct_port", "Rtc_Server_Name", "rtcServerName", "rtcport", "trc-proxy"])
def test_a_misspelt_prefix_is_noticed(name):
    (problem,) = inventory_variables.find_unknown({name: 1})
    assert (problem.id, problem.variable) == ("RTC101", name)
    assert problem.remedy.startswith("Did you mean rtc_")


@pytest.mark.parametrize("name", ["crt_path", "proxy", "port", "server_name", "ctr_runtime", "rtc", "my_rtc_port"])
def test_names_of_others_are_no_business_of_ours(name):
    assert inventory_variables.find_unknown({name: 1}) == []


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("undo_keep", "twenty", "not a number of 0 or more"),
        ("serial", "two", "2 or 50%"),
        ("serial", [1, True], "2 or 50%"),
        ("serial", "\u0662", "2 or 50%"),
        ("undo_days", 10**30, "2147483647 at most"),
        ("bundle", " ", "the path is empty"),
        ("confirm", "maybe", "neither true nor false"),
        ("report_file", ["a"], "a text is expected"),
        ("plan_file", False, "not a truth value (false)"),
        ("proxy", False, "not a truth value (false)"),
    ],
)
def test_what_playbooks_read_is_checked_with_the_plan(name, value, text):
    settings, (problem,) = read(**{name: value})
    assert (settings, problem.id) == (inventory_variables.HostSettings(), "RTC102")
    assert text in problem.message


def test_a_plan_that_was_forgotten_is_not_no_plan():
    """As ``-e rtc_from_plan="$PLAN"`` gives it where a script has no PLAN: the run would do what nobody looked at."""
    (problem,) = read(from_plan="")[1]
    assert problem.id == "RTC102" and "the path is empty: name the file, or leave the variable out" in problem.message
    assert read(from_plan=None)[1] == read(plan_file="")[1] == []


def test_batches_as_people_write_them():
    for value in (1, "2", "50%", [1, "100%"], 0):
        assert read(serial=value) == (inventory_variables.HostSettings(), [])


BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7HIDDEN0123456789"


@pytest.mark.parametrize(
    "text", [BODY, f"{BODY}\n{BODY}\n", f"----BEGIN PRIVATE KEY----\n{BODY}\n", f"BEGIN KEY {BODY} END KEY"]
)
def test_a_key_that_lost_its_marks_is_not_repeated(text):
    settings, (problem,) = read(tls_key=text)
    assert (settings.tls_key, problem.id) == ("", "RTC102")
    assert "HIDDEN" not in problem.message and "-----BEGIN" in problem.message


@pytest.mark.parametrize(
    "path", ["files/wiki.key.pem", f"/{'a' * 200}", f"~/{'a' * 200}.pem", "wiki", f"{'a/' * 40}b.pem"]
)
def test_paths_of_keys(path):
    assert read(tls_key=path) == (inventory_variables.HostSettings(tls_key=path), [])
