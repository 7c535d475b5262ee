# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plan: how it evaluates variables, and reads the files that they name."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible.parsing.dataloader import DataLoader

from ansible_collections.collab.rtc.plugins.action import plan as action
from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle as release_bundle
from ansible_collections.collab.rtc.plugins.plugin_utils._release import wheels
from ansible_collections.collab.rtc.plugins.plugin_utils._release.source import Target
from ansible_collections.collab.rtc.tests.unit.plan_action import Run, base
from ansible_collections.collab.rtc.tests.unit.small_index import Index


def test_templates_that_use_other_hosts_and_secrets_that_are_not_read(tmp_path):
    data = base("plain_remote")
    data["vars"]["proxy1"] = {"address_of_mine": "10.0.0.9"}
    data["all"] = {
        "rtc_listen": ["{{ hostvars['proxy1'].address_of_mine }}"],
        "rtc_secret": "{{ lookup('ansible.builtin.file', '/nowhere') }}",
    }
    result = Run(tmp_path, data)()
    assert result["hosts"]["proxy1"]["vhosts"][0]["listen"] == ["10.0.0.9"]


@pytest.mark.parametrize("same", [True, False])
def test_nodes_with_a_store_have_one_secret_and_it_is_shown_nowhere(tmp_path, same):
    data = base("cluster")
    data["all"] = {
        "rtc_store_url": "postgresql://rtc@10.0.0.30/rtc",
        "rtc_store_password": "x",
        "of_both": "s3cret" * 8,
    }
    data["vars"]["wiki1"]["rtc_secret"] = "{{ of_both }}"
    data["vars"]["wiki2"]["rtc_secret"] = {"confluence": "s3cret" * 8 if same else "another" * 8}
    run = Run(tmp_path, data, fail_on_errors=False)
    result = run()
    told = [item["message"] for item in result["findings"] if item["id"] == "RTC450"]
    assert told == ([] if same else ["wiki.example.com:9083: rtc_secret of wiki2 is not that of wiki1."])
    assert "s3cret" not in json.dumps(result) and "another" not in json.dumps(result)


def test_a_variable_that_cannot_be_evaluated_matters_on_application_hosts_only(tmp_path):
    data = base("plain_remote")
    data["vars"]["wiki1"]["name_of_site"] = "wiki"
    data["all"] = {"rtc_origins": ["https://{{ name_of_site }}.example.com"]}
    result = Run(tmp_path, data)()
    assert result["hosts"]["wiki1"]["rtc"][0]["origins"] == ["https://wiki.example.com"]

    del data["vars"]["wiki1"]["name_of_site"]
    run = Run(tmp_path, data)
    assert run()["errors"] == 1
    assert "rtc_origins cannot be evaluated" in run.text


def test_an_omitted_secret_is_none_and_nothing_else_is_omitted(tmp_path):
    data = base("plain_remote")
    store = {"rtc_store_url": "postgresql://rtc@10.0.0.30/rtc", "rtc_service": "deployed"}
    data["vars"]["wiki1"] = {**store, "rtc_store_password": "{{ of_nobody | default(omit) }}"}
    run = Run(tmp_path, data)
    assert run()["errors"] == 1
    assert "rtc_store_url is given without rtc_store_password" in run.text

    data["vars"]["wiki1"] = {"rtc_users": "{{ of_nobody | default(omit) }}"}
    run = Run(tmp_path, data)
    assert run()["errors"] == 1
    assert (
        "rtc_users cannot be evaluated: it is omit, which only arguments of tasks may be: write default('')" in run.text
    )


def test_a_filter_that_fails_is_an_error_of_the_variable(tmp_path):
    """Until ansible-core 2.18 what a filter raises comes as it is, and would end the plan without a finding."""
    data = base("plain_remote")
    data["all"] = {"rtc_origins": "{{ 'no json' | from_json }}"}
    run = Run(tmp_path, data)
    assert run()["errors"] == 1
    assert "RTC102 wiki1: rtc_origins cannot be evaluated: " in run.text


@pytest.mark.parametrize("name", ["rtc_verify_address", "rtc_verify_request_url", "rtc_verify_fetch_url"])
def test_what_is_evaluated_for_each_checked_site_may_use_the_site(tmp_path, name):
    data = base("plain_remote")
    data["all"] = {name: "{{ hostvars[verify_site.proxy_host or inventory_hostname].ansible_host }}"}
    assert Run(tmp_path, data)()["errors"] == 0

    data["all"] = {name: "{{ of_nobody ~ verify_site.proxy_host }}"}
    run = Run(tmp_path, data)
    assert run()["errors"] == 1
    assert f"{name} cannot be evaluated: 'of_nobody' is undefined" in run.text


@pytest.mark.parametrize("name", ["rtc_listen", "rtc_ignore_findings", "rtc_remove_orphans", "rtc_undo_keep"])
def test_what_means_something_for_a_proxy_has_to_be_evaluated_there(tmp_path, name):
    data = base("plain_remote")
    data["vars"]["proxy1"] = {name: "{{ of_nobody }}"}
    run = Run(tmp_path, data)
    assert run()["errors"] == 1
    assert f"proxy1: {name} cannot be evaluated: 'of_nobody' is undefined" in run.text


@pytest.mark.parametrize("password", ["", None, {"confluence": ""}])
def test_an_empty_secret_is_none(tmp_path, password):
    data = base("plain_remote")
    store = {"rtc_store_url": "postgresql://rtc@10.0.0.30/rtc", "rtc_service": "deployed"}
    data["vars"]["wiki1"] = {**store, "rtc_store_password": password}
    run = Run(tmp_path, data)
    run()
    assert "rtc_store_url is given without rtc_store_password" in run.text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "certs/wiki.pem: there is no such file on the controller"),
        ("hello", "no certificate"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key"),
    ],
)
def test_a_certificate_file_that_is_not_one_stops_the_run(tmp_path, content, text):
    data = base("pristine")
    data["vars"]["wiki1"].update(rtc_tls_certificate="certs/wiki.pem", rtc_tls_key="certs/wiki.key")
    del data["vars"]["wiki1"]["rtc_tls_ca"]
    (tmp_path / "certs").mkdir()
    if content:
        (tmp_path / "certs" / "wiki.pem").write_text(content, encoding="utf-8")
        (tmp_path / "certs" / "wiki.key").write_text("", encoding="utf-8")
    run = Run(tmp_path, data)
    assert run()["failed"] is True
    assert "RTC309" in run.text
    assert text in run.text


def test_a_path_beside_the_playbook_becomes_absolute(tmp_path):
    data = base("pristine")
    data["vars"]["wiki1"].update(rtc_tls_certificate="certs/wiki.pem", rtc_tls_key="certs/wiki.key")
    (tmp_path / "certs").mkdir()
    for name in ("wiki.pem", "wiki.key"):
        (tmp_path / "certs" / name).write_text("hello", encoding="utf-8")
    result = Run(tmp_path, data, fail_on_errors=False)()
    sources = [item["src"] for item in result["hosts"]["wiki1"]["certificates"]]
    assert sources == [str(tmp_path / "certs" / "wiki.pem"), str(tmp_path / "certs" / "wiki.key")]


def test_a_path_beside_the_inventory_is_found_from_the_playbooks_of_the_collection(tmp_path, monkeypatch):
    """As ``ansible-playbook collab.rtc.site`` does it: the base directory is that of the collection's playbooks."""
    data = base("pristine")
    data["vars"]["wiki1"].update(rtc_tls_certificate="files/wiki.pem", rtc_tls_key="files/none.key")
    (tmp_path / "inventory" / "files").mkdir(parents=True)
    (tmp_path / "inventory" / "files" / "wiki.pem").write_text("hello", encoding="utf-8")
    playbooks = pathlib.Path(action.__file__).parents[2] / "playbooks"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(DataLoader, "get_basedir", lambda _self: str(playbooks))
    run = Run(tmp_path / "inventory", data)
    assert run()["failed"] is True
    assert "rtc_tls_key: files/none.key: there is no such file" in run.text
    assert f"Looked for {tmp_path}/inventory/files/none.key, {tmp_path}/files/none.key." in run.text
    assert str(playbooks) not in run.text
    assert "rtc_tls_certificate: " not in run.text


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A bundle for the host of the bases."""
    index = Index(tmp_path / "index")
    monkeypatch.setattr(wheels, "_download", index.download)
    path = tmp_path / "rtc.tar"
    release_bundle.build(index.source, [Target("3.11", "x86_64")], str(tmp_path / "cache"), str(path))
    return path


@pytest.mark.parametrize(("name", "errors"), [("rtc.tar", 0), ("none.tar", 1), ("", 0)])
def test_a_bundle_that_is_missing_is_an_error_of_the_plan(tmp_path, bundle, name, errors):
    data = base("direct")
    data["vars"]["wiki1"]["rtc_bundle"] = name
    run = Run(tmp_path, data)
    assert run()["errors"] == errors
    assert ("rtc_bundle: there is no such file" in run.text) == bool(errors)


@pytest.mark.parametrize("content", [b"", b"bundle", None])
def test_a_bundle_that_cannot_be_used_stops_its_site(tmp_path, bundle, content):
    data = base("direct")
    data["vars"]["wiki1"]["rtc_bundle"] = "rtc.tar"
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-20000] + b"x" + whole[-19999:] if content is None else content)
    run = Run(tmp_path, data)
    assert run()["failed"] is True
    assert "RTC550" in run.text and str(bundle) in run.text and "collab.rtc.bundle" in run.text


def test_a_bundle_for_other_hosts_stops_the_site(tmp_path, bundle):
    data = base("direct")
    data["vars"]["wiki1"]["rtc_bundle"] = "rtc.tar"
    data["facts"]["wiki1"]["machine"] = "aarch64"
    run = Run(tmp_path, data)
    assert run()["failed"] is True
    assert "RTC551" in run.text and "Python 3.11 (aarch64)" in run.text


@pytest.mark.parametrize("name", ["rtc_secret", "rtc_truststore_password", "rtc_panel_token", "rtc_aws_access_key"])
@pytest.mark.parametrize(
    ("value", "what"),
    [
        (["s3cret"], "a list"),
        (True, "a truth value"),
        (1.5, "a number with a point"),
        ({"confluence": ["s3cret"]}, "a list"),
        ({"confluence": {"password": "s3cret"}}, "a dictionary"),
    ],
)
def test_a_secret_that_is_no_text_stops_the_run_and_is_not_repeated(tmp_path, name, value, what):
    data = base("plain_remote")
    data["all"] = {name: value}
    run = Run(tmp_path, data)
    assert run()["failed"] is True
    assert f"RTC102 wiki1: {name}: a text is expected, not {what}: put it in quotes." in run.text
    assert "s3cret" not in run.text


@pytest.mark.parametrize("value", ["{{ ['s3cret'] | first }}", "s3cret", 12345678, {"confluence": "s3cret"}])
def test_a_secret_that_is_a_text_template_or_number_is_taken(tmp_path, value):
    data = base("plain_remote")
    data["all"] = {"rtc_truststore_password": value}
    assert Run(tmp_path, data)()["errors"] == 0


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{{ vault_rtc_secert }}", "rtc_secret cannot be evaluated: 'vault_rtc_secert' is undefined."),
        ("{{ of_others }}", "rtc_secret cannot be evaluated: 'of_nobody' is undefined."),
        ({"confluence": "{{ of_nobody }}"}, "rtc_secret cannot be evaluated: 'of_nobody' is undefined."),
        ("{{ vault_rtc_secret | from_json }}", "rtc_secret cannot be evaluated: its template fails."),
        ("{{ [vault_rtc_secret] }}", "rtc_secret: a text is expected, not a list: put it in quotes."),
    ],
)
def test_a_secret_whose_variable_is_misspelt_stops_the_run(tmp_path, value, told):
    """Roles would take it for one that is not given, and make another."""
    data = base("plain_remote")
    data["all"] = {"vault_rtc_secret": "s3cret" * 8, "of_others": "{{ of_nobody }}", "rtc_secret": value}
    run = Run(tmp_path, data)
    assert run()["errors"] == 1
    assert f"RTC102 wiki1: {told}" in run.text and "s3cret" not in run.text


@pytest.mark.parametrize(
    "value",
    [
        "{{ vault_rtc_secret }}",
        "{{ of_nobody | default(vault_rtc_secret) }}",
        "{{ hostvars['nobody'].secret }}",  # what is not of this host alone is not looked at
        "{{ of_a_lookup }}",
    ],
)
def test_a_secret_that_another_variable_has_is_taken(tmp_path, value):
    data = base("plain_remote")
    of_a_lookup = "{{ lookup('ansible.builtin.file', '/nowhere') }}"
    data["all"] = {"vault_rtc_secret": "s3cret" * 8, "of_a_lookup": of_a_lookup, "rtc_secret": value}
    assert Run(tmp_path, data)()["errors"] == 0


def test_a_secret_that_another_variable_has_and_that_is_empty_is_none(tmp_path):
    data = base("plain_remote")
    store = {"rtc_store_url": "postgresql://rtc@10.0.0.30/rtc", "rtc_service": "deployed"}
    data["vars"]["wiki1"] = {**store, "rtc_store_password": "{{ of_nobody | default('') }}"}
    run = Run(tmp_path, data)
    run()
    assert "rtc_store_url is given without rtc_store_password" in run.text


def test_a_wrong_variable_is_named_with_its_place(tmp_path):
    data = base("plain_remote")
    data["vars"]["wiki1"]["rtc_prot"] = 9085
    data["all"] = {"rtc_port": "{{ of_nobody }}", "rtc_listen": ["10.0.0.300"]}
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "wiki1.yml").write_text("# ours\nrtc_listen: [here]\n", encoding="utf-8")
    run = Run(tmp_path, data, fail_on_errors=False)
    seen = [item["evidence"][0] for item in run()["findings"] if item["id"] < "RTC110"]
    places = {line.partition(" (")[0]: line for line in seen}
    lines = (tmp_path / "hosts.yml").read_text(encoding="utf-8").splitlines()
    where = {name: next(i for i, line in enumerate(lines, 1) if name in line) for name in ("rtc_port", "rtc_prot")}
    assert places["wiki1: rtc_listen"] == f"wiki1: rtc_listen ({tmp_path}/host_vars/wiki1.yml:2)"
    assert places["wiki1: rtc_prot"] == f"wiki1: rtc_prot ({tmp_path}/hosts.yml:{where['rtc_prot']})"
    assert places["wiki1: rtc_port"] == f"wiki1: rtc_port ({tmp_path}/hosts.yml:{where['rtc_port']})"


def test_a_place_that_ansible_does_not_tell_is_left_out(tmp_path):
    data = base("plain_remote")
    data["vars"]["wiki1"]["rtc_port"] = True  # a truth value has no place
    run = Run(tmp_path, data, fail_on_errors=False)
    assert [item["evidence"] for item in run()["findings"] if item["id"] == "RTC102"] == [["wiki1: rtc_port"]]


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"rtc_port": 9085}, ["RTC113"]),  # another value than that of the inventory
        ({"rtc_backup": True}, ["RTC113"]),  # the inventory has none
        ({"rtc_server_nmae": "x"}, ["RTC101"]),
        ({"rtc_port": 9084, "rtc_plan": {}, "plan_show": "plan", "artc_port": 1}, []),
    ],
)
def test_what_only_the_playbook_sets_stops_the_run(tmp_path, given, ids):
    """The plan takes the variables of each host: it would keep to 9084 without a word, and roles would not."""
    data = base("plain_remote")
    data["all"] = {"rtc_port": 9084}
    run = Run(tmp_path, data, fail_on_errors=False)
    result = run(seen={"inventory_hostname": "wiki1", **given})
    told = [item for item in result["findings"] if item["id"] < "RTC200" and item["severity"] == "error"]
    assert [item["id"] for item in told] == ids
    assert all(name in item["message"] for item, name in zip(told, given))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nowhere/report.json", "there is no directory"),
        (".", "it is a directory"),
        ("/dev/null", "it is a pipe or device"),
    ],
)
def test_a_report_that_could_not_be_written_stops_the_run_before_it_changes_anything(tmp_path, path, why):
    data = base("plain_remote")
    data["all"] = {"rtc_report_file": str(tmp_path / path)}
    run = Run(tmp_path, data)
    assert run()["failed"] is True
    assert f"RTC102 wiki1: rtc_report_file: the report cannot be written to {tmp_path / path}: {why}" in run.text
    assert run(check=True)["errors"] == 0  # which writes none


@pytest.mark.parametrize("path", ["report.json", "", None])
def test_a_report_that_can_be_written(tmp_path, path):
    data = base("plain_remote")
    data["all"] = {"rtc_report_file": path and str(tmp_path / path)}
    assert Run(tmp_path, data)()["errors"] == 0
    assert not (tmp_path / "report.json").exists()
