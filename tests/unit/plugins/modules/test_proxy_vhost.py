# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module without a proxy server: options, check mode before installation, files, undo; see tests/proxies."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import backend, registry
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.module_utils._undo import restore
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "proxies"
KINDS = ("nginx", "apache", "haproxy")


def vhost(kind="nginx", **changes):
    return {
        "kind": kind,
        "name": "rtc-confluence-9083",
        "role": "rtc",
        "server_name": "rtc.example.com",
        "listen": ["127.0.7.1"],
        "port": 19083,
        "upstreams": [{"host": "127.0.0.1", "port": 9083}],
        **changes,
    }


@pytest.fixture
def run(run_module, tmp_path, monkeypatch):
    """Run on an installation below a directory, with no program to validate or reload it."""
    monkeypatch.setattr(backend.shutil, "which", lambda *args, **options: None)

    def call(*vhosts, check=False, diff=False, **options):
        args = {"vhosts": list(vhosts), "config_root": str(tmp_path), "validate": False, "reload": False, **options}
        return run_module("proxy_vhost", args, check=check, diff=diff)

    return call


@pytest.fixture
def installed(tmp_path):
    """The test data's nginx, below the root of the test."""
    shutil.copytree(DATA / "nginx", tmp_path, dirs_exist_ok=True)
    (tmp_path / "etc/nginx/sites-available").mkdir()
    return tmp_path / "etc/nginx"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "../x"}, "no name for a file"),
        ({"name": "-x"}, "no name for a file"),
        ({"server_name": ""}, "lacks one of"),
        ({"server_name": "a; return 200"}, "neither a host name nor an address"),
        ({"server_name": "a\nb"}, "neither a host name nor an address"),
        ({"port": None}, "lacks one of"),
        ({"port": 70000}, "not a port"),
        ({"upstreams": []}, "lacks one of"),
        ({"upstreams": [{"host": "a b", "port": 1}]}, "neither a host name"),
        ({"upstreams": [{"host": "a", "port": 0}]}, "not a port"),
        ({"listen": ["1.2.3.4;"]}, "neither a host name"),
        ({"context_path": "/a b"}, "no context path"),
        ({"context_path": "/a;}"}, "no context path"),
        ({"synchrony": "a b:1"}, "neither a host name"),
        ({"panel_from": ["10.0.0.0/8", "fe80::1%a;allow all"]}, "no network"),
        ({"panel_from": ["10.0.0.0/255.0.0.0"]}, "no network"),
        ({"panel_from": ["10.0.0.1/8"]}, "no network"),
        ({"panel_port": 70000}, "not a port"),
        ({"certificate": "relative.pem", "key": "/k"}, "not an absolute path"),
        ({"certificate": '/a"b', "key": "/k"}, "not an absolute path"),
        ({"certificate": "/no/such/file"}, "only one of certificate and key"),
        ({"kind": "lighttpd"}, "must be one of"),
        ({"role": "other"}, "must be one of"),
    ],
)
def test_bad_options(run, installed, changes, words):
    before = files(installed)
    result = run(vhost(**changes))
    assert result["failed"] is True
    assert words in result["msg"]
    assert files(installed) == before


def test_two_of_one_name(run, installed):
    assert "twice" in run(vhost(), vhost())["msg"]


@pytest.mark.parametrize("kind", KINDS)
def test_not_installed(run, tmp_path, kind):
    result = run(vhost(kind))
    assert "not installed" in result["msg"]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_check_mode_before_the_package_is_there(run, tmp_path, kind):
    """The preview of a first run: the texts are shown, certificates and program may still be missing."""
    result = run(vhost(kind, certificate="/gone.pem", key="/gone.key"), check=True, diff=True)
    assert result["changed"] is True, result
    assert "127.0.7.1:19083" in "".join(part["after"] for part in result["diff"])
    assert os.listdir(tmp_path) == []


def test_absent_where_nothing_is_installed(run):
    result = run({"kind": "nginx", "name": "x", "state": "absent"})
    assert result["changed"] is False


def test_write_again_and_remove(run, installed, tmp_path):
    before = files(installed)
    first = run(vhost(), diff=True, undo_dir=str(tmp_path / "undo"))
    assert first["changed"] is True
    path = installed / "sites-available/rtc-confluence-9083.conf"
    assert first["files"][0] == str(path)
    assert [os.path.realpath(link) for link in first["files"][1:]] == [str(path)]
    assert first["diff"][0]["after"] == path.read_text()
    assert os.path.realpath(installed / "sites-enabled/rtc-confluence-9083.conf") == str(path)
    assert run(vhost())["changed"] is False
    second = run(vhost(port=19084), backup=True, undo_dir=str(tmp_path / "undo"))
    assert "19083" in Path(second["backup_files"][0]).read_text()
    os.unlink(second["backup_files"][0])
    assert run({"kind": "nginx", "name": "rtc-confluence-9083", "state": "absent"})["changed"] is True
    assert files(installed) == before


def test_undo_record(run, installed, tmp_path):
    before = files(installed)
    run(vhost(), undo_dir=str(tmp_path / "undo"))
    assert files(installed) != before
    restore.restore(str(tmp_path / "undo"))
    assert files(installed) == before


def test_a_plan_is_taken_as_it_is(run, installed):
    """What the action ``plan`` makes has no option that the module does not know."""
    from ansible_collections.collab.rtc.plugins.module_utils import _facts

    planned = _facts.to_dict(
        VhostPlan(
            "site",
            "nginx",
            "rtc",
            "x",
            "rtc.example.com",
            ["127.0.7.1"],
            19083,
            [{"scheme": "http", "host": "127.0.0.1", "port": 9083, "backup": False}],
        )
    )
    assert run(json.loads(json.dumps(planned)))["changed"] is True


def test_several_kinds_in_one_call(run, installed, tmp_path):
    shutil.copytree(DATA / "haproxy", tmp_path, dirs_exist_ok=True)
    result = run(vhost(), vhost("haproxy", port=19085))
    assert result["changed"] is True
    assert len({os.path.realpath(path) for path in result["files"]}) == 2  # each with the link that switches it on


def test_kinds_are_those_that_exist():
    assert tuple(registry.BACKENDS) == KINDS
    with pytest.raises(ProxyError, match="no proxy kind"):
        registry.make_backend("lighttpd")


def files(directory):
    found = {}
    for folder, _names, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            found[path] = os.readlink(path) if os.path.islink(path) else Path(path).read_bytes()
    return found


def test_one_site_of_haproxy_s_only_file_is_undone_and_the_other_stays(run, run_module, tmp_path):
    """What rtc_undo returns is what this module takes: two sites of one run, and one after the other goes."""
    shutil.copytree(DATA / "haproxy", tmp_path, dirs_exist_ok=True)
    config, base, name = tmp_path / "etc/haproxy/haproxy.cfg", tmp_path / "collab-rtc", "20260101T000000Z-aaaa"
    before = config.read_bytes()
    alone = run(vhost("haproxy", name="rtc-jira", port=19093)) and config.read_bytes()
    config.write_bytes(before)
    both = {"wiki1/confluence": "rtc-wiki", "jira1/jira": "rtc-jira"}
    common = {"path": str(base), "run": name, "undo_dir": str(base / "undo" / name)}
    entries = [
        {"key": f"vhost haproxy {one}", "kind": "vhost", "site": one, "owners": [owner], "spec": "x",
         "what": {"kind": "haproxy", "name": one}}
        for owner, one in both.items()
    ]  # fmt: skip
    run_module("managed_record", {**common, "state": "begun", "entries": entries, "identity": {"host": "px"}})
    vhosts = [vhost("haproxy", name="rtc-wiki"), vhost("haproxy", name="rtc-jira", port=19093)]
    files = run(*vhosts, undo_dir=common["undo_dir"])["files"]
    run_module("managed_record", {**common, "state": "finished", "files": files})

    def undo(owner):
        owners = {"owners": [owner], "site": both[owner]}
        result = run_module("rtc_undo", {"path": str(base / "undo"), "run": name, **owners})
        if result["parts"]["vhosts"]:
            run(*result["parts"]["vhosts"])
            own = result["parts"]["own"]
            run_module("managed_record", {"path": str(base), "run": name, "state": "undone", "files": own, **owners})
        return result

    assert undo("wiki1/confluence")["parts"]["vhosts"]
    assert config.read_bytes() == alone
    assert undo("jira1/jira")["edited"] == []
    assert config.read_bytes() == before


def test_a_changed_site_of_haproxy_gets_its_old_virtual_host_back(run, run_module, tmp_path):
    shutil.copytree(DATA / "haproxy", tmp_path, dirs_exist_ok=True)
    config, base = tmp_path / "etc/haproxy/haproxy.cfg", tmp_path / "collab-rtc"

    def provision(name, wiki, jira):
        common = {"path": str(base), "run": name, "undo_dir": str(base / "undo" / name)}
        entries = [
            {"key": f"vhost haproxy rtc-{one}", "kind": "vhost", "site": one, "owners": [one], "spec": str(port),
             "what": {"kind": "haproxy", "name": f"rtc-{one}"}}
            for one, port in (("wiki", wiki), ("jira", jira))
        ]  # fmt: skip
        run_module("managed_record", {**common, "state": "begun", "entries": entries, "identity": {"host": "px"}})
        vhosts = [vhost("haproxy", name="rtc-wiki", port=wiki), vhost("haproxy", name="rtc-jira", port=jira)]
        files = run(*vhosts, undo_dir=common["undo_dir"])["files"]
        run_module("managed_record", {**common, "state": "finished", "files": files})

    provision("20260101T000000Z-aaaa", 19083, 19093)
    provision("20260102T000000Z-bbbb", 19085, 19095)
    arguments = {"path": str(base / "undo"), "run": "20260102T000000Z-bbbb", "owners": ["wiki"]}
    (item,) = run_module("rtc_undo", arguments)["parts"]["vhosts"]
    run(item)
    text = config.read_text()
    assert "19083" in text and "19085" not in text and "19095" in text
