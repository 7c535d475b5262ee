# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module tomcat_connector on real files in a temporary directory."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import zipfile

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "server_xml"
MODULE = "tomcat_connector"
PROXY = {"scheme": "https", "secure": True, "proxyName": "wiki.example.com", "proxyPort": 443}


@pytest.fixture
def server_xml(tmp_path):
    """A copy of a data file at ``conf/server.xml`` of an installation."""
    (tmp_path / "conf").mkdir()
    target = tmp_path / "conf" / "server.xml"

    def copy(name):
        target.write_bytes((DATA / name).read_bytes())
        return target

    return copy


def test_set_attributes(run_module, server_xml):
    path = server_xml("confluence.xml")
    old = path.read_bytes()
    result = run_module(MODULE, {"path": str(path), "attributes": PROXY}, diff=True)
    assert result["changed"] is True
    assert result["reason"] == "the only HTTP connector"
    new = path.read_bytes()
    tag_end = b'protocol="org.apache.coyote.http11.Http11NioProtocol"/>'
    added = b' scheme="https" secure="true"\n                   proxyName="wiki.example.com" proxyPort="443"/>'
    assert new == old.replace(tag_end, tag_end[:-2] + added, 1)
    before, after = result["connector"]["before"], result["connector"]["after"]
    assert before["line"] == after["line"] == 6
    assert after["attributes"] == {
        **before["attributes"],
        "scheme": "https",
        "secure": "true",
        "proxyName": "wiki.example.com",
        "proxyPort": "443",
    }
    assert result["diff"]["before_header"] == str(path)
    assert "secure" not in result["diff"]["before"].split("-->")[1].split("/>")[0]
    assert 'proxyName="wiki.example.com"' in result["diff"]["after"]
    assert not run_module(MODULE, {"path": str(path), "attributes": PROXY})["changed"]
    assert path.read_bytes() == new


def test_check_mode_says_the_same_and_writes_nothing(run_module, server_xml, tmp_path):
    path = server_xml("confluence.xml")
    old = path.read_bytes()
    args = {"path": str(path), "attributes": PROXY, "backup": True, "undo_dir": str(tmp_path / "undo")}
    preview = run_module(MODULE, args, check=True, diff=True)
    assert path.read_bytes() == old
    assert sorted(os.listdir(tmp_path)) == ["conf"]
    assert os.listdir(tmp_path / "conf") == ["server.xml"]
    real = run_module(MODULE, args, diff=True)
    backup_file = real.pop("backup_file")
    assert real == preview
    assert pathlib.Path(backup_file).read_bytes() == old


def test_the_port_is_in_catalina_properties(run_module, server_xml):
    path = server_xml("confluence.xml")
    path.write_bytes(path.read_bytes().replace(b'port="8090"', b'port="${confluence.http.port}"'))
    path.with_name("catalina.properties").write_text("confluence.http.port=8090\n")
    path.with_name("other.properties").write_text("confluence.http.port=8091\n")
    args = {"path": str(path), "attributes": PROXY, "properties": {"confluence.http.port": 1}}
    assert run_module(MODULE, {**args, "connector_port": 8090}, check=True)["changed"]
    args["properties"]["catalina.config"] = "other.properties"
    assert run_module(MODULE, {**args, "connector_port": 8091})["changed"]


def test_null_removes_and_an_empty_string_stays(run_module, server_xml):
    path = server_xml("jira.xml")
    args = {"path": str(path), "connector_port": 8081, "attributes": {"scheme": None, "proxyName": ""}}
    result = run_module(MODULE, args)
    assert result["connector"]["after"]["attributes"] == {
        "port": "8081",
        "protocol": "HTTP/1.1",
        "secure": "true",
        "proxyName": "",
        "proxyPort": "443",
    }
    assert result["reason"] == "the connector on port 8081"


def test_an_unchanged_file_is_not_written(run_module, server_xml):
    path = server_xml("oddities.xml")
    before = path.stat()
    asked = {"port": 8080, "proxyName": "intern.example.com"}
    args = {"path": str(path), "attributes": asked, "properties": {"proxy.name": "intern.example.com"}, "backup": True}
    result = run_module(MODULE, args)
    assert result["changed"] is False
    assert "backup_file" not in result
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_link_mode_and_owner_stay(run_module, server_xml, tmp_path):
    path = server_xml("confluence.xml")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 5678)
    info = path.stat()
    link = tmp_path / "link.xml"
    link.symlink_to(path)
    assert run_module(MODULE, {"path": str(link), "attributes": PROXY})["changed"]
    assert link.is_symlink()
    now = path.stat()
    assert stat.S_IMODE(now.st_mode) == 0o640
    assert (now.st_uid, now.st_gid) == (info.st_uid, info.st_gid)
    assert b"wiki.example.com" in path.read_bytes()


def test_the_undo_record_has_the_file_as_it_was(run_module, server_xml, tmp_path):
    path = server_xml("confluence.xml")
    old = path.read_bytes()
    run_module(MODULE, {"path": str(path), "attributes": PROXY, "undo_dir": str(tmp_path / "undo")})
    (entry,) = records.entries(str(tmp_path / "undo"))
    assert (entry["path"], entry["intended"]) == (str(path), [records.digest(path.read_bytes())])
    assert (tmp_path / "undo" / entry["copy"]).read_bytes() == old


@pytest.mark.parametrize("how", ["set", "unchanged", "removed", "refused"])
def test_no_secret_is_shown(run_module, server_xml, how):
    path = server_xml("jira.xml")
    text = path.read_text().replace('bindOnInit="false"', 'bindOnInit="false" keystorePass="old-secret"')
    path.write_text(text)
    value = {"set": "new-secret", "unchanged": "old-secret", "removed": None, "refused": "new-secret"}[how]
    args = {
        "path": str(path),
        "connector_port": 8080,
        "attributes": {"keystorePass": value, "keyPass": "second-secret"},
        "tomcat_version": "10.1" if how == "refused" else "9.0",
        "properties": {"store.password": "third-secret"},
    }
    result = run_module(MODULE, args, diff=True)
    assert bool(result.get("failed")) == (how == "refused")
    assert "-secret" not in json.dumps(result)
    assert ("ajp-secret" in path.read_text()) and (("new-secret" in path.read_text()) == (how == "set"))
    if how == "set":
        assert result["diff"]["before"] != result["diff"]["after"]


def test_the_version_is_found_beside_the_file(run_module, server_xml, tmp_path):
    path = server_xml("confluence.xml")
    (tmp_path / "lib").mkdir()
    with zipfile.ZipFile(tmp_path / "lib" / "catalina.jar", "w") as jar:
        jar.writestr("org/apache/catalina/util/ServerInfo.properties", "server.number=10.1.34.0\n")
    old = path.read_bytes()
    result = run_module(MODULE, {"path": str(path), "attributes": {"keystoreFile": "x", "scheme": "https"}})
    assert result["failed"]
    assert "Tomcat 10.1.34.0 has no attribute keystoreFile" in result["msg"]
    assert result["line"] == 6
    assert path.read_bytes() == old


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("uncommented.xml", {}, "line 4, column 31: not well-formed"),
        ("mmonit.xml", {}, "M/Monit"),
        ("external.xml", {}, "external entity"),
        ("jira.xml", {"connector_port": 9999}, "no live HTTP connector on port 9999"),
        ("jira.xml", {"connector_port": 8009}, "no live HTTP connector on port 8009"),
        ("jira.xml", {"attributes": {"port": [1]}}, "The value of port is a list"),
        ("jira.xml", {"attributes": {"a b": "1"}}, "not the name of an attribute"),
    ],
)
def test_a_refusal_leaves_the_file(run_module, server_xml, name, args, message):
    path = server_xml(name)
    old, info = path.read_bytes(), path.stat()
    result = run_module(MODULE, {"path": str(path), "attributes": PROXY, "backup": True, **args})
    assert result["failed"]
    assert message in result["msg"]
    assert path.read_bytes() == old
    assert path.stat().st_mtime_ns == info.st_mtime_ns
    assert os.listdir(path.parent) == ["server.xml"]


def test_a_missing_file(run_module, tmp_path):
    result = run_module(MODULE, {"path": str(tmp_path / "server.xml"), "attributes": PROXY})
    assert result["failed"]
    assert "server.xml" in result["msg"]


SECRETS = {"keystorePass": "hunter2", "proxyName": "wiki.example.com"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"connector_port": "eighty"},
        {"nosuch": 1},
        {"attributes": "keystorePass hunter2"},
        {"properties": "hunter2"},
        {"properties": ["hunter2"]},
        {"path": None},
    ],
)
def test_arguments_that_are_refused_show_no_secret(run_module, server_xml, wrong):
    """Ansible refuses them before the module has seen them, and shows all of them."""
    path = server_xml("jira.xml")
    args = {"path": str(path), "attributes": SECRETS, "properties": {"any.name": "hunter2"}, **wrong}
    result = run_module(MODULE, args)
    assert result["failed"]
    assert "hunter2" not in json.dumps(result)


def test_what_was_asked_is_shown_without_secrets_and_done_with_them(run_module, server_xml):
    path = server_xml("jira.xml")
    attributes = {**SECRETS, "vaultToken": "hunter2", "dbPwd": "hunter2"}
    args = {"path": str(path), "connector_port": 8080, "attributes": attributes, "properties": {"any.name": "hunter2"}}
    result = run_module(MODULE, args, diff=True)
    shown = result["invocation"]["module_args"]
    assert shown["attributes"] == {
        **dict.fromkeys(attributes, "********"),
        "proxyName": "wiki.example.com",
    }
    assert shown["properties"] == {"any.name": "********"}
    assert "hunter2" not in json.dumps(result)
    assert b'dbPwd="hunter2"' in path.read_bytes()
