# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undoing what a run opened in the firewall, or closed there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._commands import Command
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import opened
from ansible_collections.collab.rtc.plugins.module_utils._proxy import selinux_firewalld
from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.tests.unit.shared_proxy import FIRST, SECOND, TRACKER, WIKI, Proxy


@pytest.fixture
def proxy(tmp_path, run_module):
    return Proxy(tmp_path, run_module)


HTTP = {"tool": "firewalld", "name": "public", "port": 9083, "permanent": True, "before": ""}


@pytest.fixture
def firewall(monkeypatch):
    """Ports that are open; the commands of firewalld change it."""
    open_ports = set()

    def run(argv):
        action, _equals, port = argv[-1].partition("=")
        if action == "--add-port":
            open_ports.add(port)
        elif action == "--remove-port":
            open_ports.discard(port)
        if argv[-1] == "--state":
            return Command(0, "running")
        return Command(0 if action != "--query-port" or port in open_ports else 1, "")

    monkeypatch.setattr(selinux_firewalld, "run", run)
    return open_ports


def open_port(proxy, run, port, *vhosts):
    """What proxy_vhost does before it writes: it records what it is about to open, and opens it."""
    setting = selinux_firewalld.Setting("firewalld", "public", port, permanent=True)
    found = [SimpleNamespace(name=name, port=port) for name in vhosts]
    path = str(proxy.base / "managed.json")
    opened.note(path, str(proxy.undo / run), run, found, "nginx", [setting])
    selinux_firewalld.run(setting.make_opening())


def named(proxy, site, port):
    entry, files = proxy.nginx(site, "x")
    name = f"rtc-{site}-{port}"
    return {**entry, "key": f"vhost nginx {name}", "what": {**entry["what"], "name": name, "port": port}}, files


def provision(proxy, run, ports, finish=True):
    """A run that makes virtual hosts, and opens their ports where they are closed."""
    parts = [named(proxy, site, port) for site, port in ports]
    common = {"path": str(proxy.base), "run": run, "undo_dir": str(proxy.undo / run)}
    entries = [entry for entry, _files in parts]
    proxy.do({**common, "state": "begun", "entries": entries, "identity": {"host": "px"}})
    for port in dict.fromkeys(port for _site, port in ports):
        names = [f"rtc-{site}-{one}" for site, one in ports if one == port]
        if selinux_firewalld.run([f"--query-port={port}/tcp"]).code:
            open_port(proxy, run, port, *names)
    for path, text in (item for _entry, files in parts for item in files.items()):
        records.record(str(proxy.undo / run), str(path), text.encode())
        path.write_text(text)
    if finish:
        proxy.do({**common, "state": "finished"})


def test_the_ports_that_a_run_opened_are_closed_with_it_and_no_others(proxy, firewall):
    firewall.add("22/tcp")
    provision(proxy, FIRST, [("wiki", 9083)])
    assert firewall == {"22/tcp", "9083/tcp"}
    proxy.do({"path": str(proxy.undo)}, "rtc_undo")
    assert firewall == {"22/tcp"}


def test_a_port_that_was_open_before_stays_open(proxy, firewall):
    firewall.add("9083/tcp")
    provision(proxy, FIRST, [("wiki", 9083)])
    proxy.do({"path": str(proxy.undo)}, "rtc_undo")
    assert firewall == {"9083/tcp"}


def test_a_port_that_was_recorded_and_not_used_because_of_a_kill_is_closed(proxy, firewall):
    provision(proxy, FIRST, [("wiki", 9083)], finish=False)
    proxy.do({"path": str(proxy.undo)}, "rtc_undo")
    assert firewall == set()


def test_the_port_of_one_site_is_closed_with_it(proxy, firewall):
    provision(proxy, FIRST, [("wiki", 9083), ("tracker", 9093)])
    assert proxy.list_sites() == {"wiki1/confluence": False, "jira1/jira": False}
    proxy.roll_back(WIKI)
    assert firewall == {"9093/tcp"}
    proxy.roll_back(TRACKER)
    assert firewall == set()


@pytest.mark.parametrize("runs", [[[("wiki", 443), ("tracker", 443)]], [[("wiki", 443)], [("tracker", 443)]]])
def test_a_port_of_two_sites_is_closed_with_the_last(proxy, firewall, runs):
    """Also where the run of the first opened it, and the second found it open."""
    names = [FIRST, SECOND][: len(runs)]
    for run, ports in zip(names, runs):
        provision(proxy, run, ports)
    proxy.roll_back(WIKI, FIRST)
    assert firewall == {"443/tcp"}
    proxy.roll_back(TRACKER, names[-1])
    assert firewall == set()


@pytest.mark.parametrize("owners", [[], WIKI])
def test_a_port_that_could_not_be_closed_is_closed_by_a_repetition(proxy, firewall, monkeypatch, owners):
    provision(proxy, FIRST, [("wiki", 9083)])
    works = selinux_firewalld.run
    fails = Command(1, "Error: COMMAND_FAILED")
    undoing = {"path": str(proxy.undo), **({"run": FIRST, "owners": owners, "site": "the site"} if owners else {})}
    with monkeypatch.context() as patch:
        patch.setattr(selinux_firewalld, "run", lambda argv: fails if "--remove-port" in argv[-1] else works(argv))
        assert "COMMAND_FAILED" in proxy.run_module("rtc_undo", undoing)["msg"]
    assert firewall == {"9083/tcp"}
    assert "setting firewalld public 9083/tcp permanent" in proxy.list_keys()
    proxy.do(undoing, "rtc_undo")
    assert firewall == set() and proxy.list_keys() == []


def test_the_preview_closes_nothing(proxy, firewall):
    provision(proxy, FIRST, [("wiki", 9083)])
    proxy.roll_back(WIKI, check=True)
    proxy.run_module("rtc_undo", {"path": str(proxy.undo)}, True)
    assert firewall == {"9083/tcp"}


def test_a_port_that_a_run_closed_is_opened_again(proxy, firewall):
    provision(proxy, FIRST, [("wiki", 9083)])
    setting = "setting firewalld public 9083/tcp permanent"
    proxy.do({"path": str(proxy.base), "state": "begun", "run": SECOND, "undo_dir": str(proxy.undo / SECOND),
              "identity": {"host": "px"}})  # fmt: skip
    proxy.do({"settings": [{**HTTP, "site": "wiki"}]}, "managed_absent")
    assert firewall == set()
    removed = {"state": "finished", "removed": [setting, "vhost nginx rtc-wiki-9083"]}
    proxy.do({"path": str(proxy.base), "run": SECOND, "undo_dir": str(proxy.undo / SECOND), **removed})
    proxy.do({"path": str(proxy.undo)}, "rtc_undo")
    assert firewall == {"9083/tcp"}
    assert setting in proxy.list_keys()


def test_without_a_record_of_the_virtual_host_nothing_is_recorded(proxy, firewall):
    open_port(proxy, FIRST, 9083, "rtc-wiki-9083")
    assert proxy.list_keys() == []


def test_a_run_that_was_given_up_opens_nothing(proxy, firewall):
    provision(proxy, FIRST, [("wiki", 9083)])
    firewall.clear()
    records.end_run(str(proxy.undo / FIRST), for_good=True)
    with pytest.raises(RtcError, match="was given up on this host"):
        open_port(proxy, FIRST, 9083, "rtc-wiki-9083")
    assert firewall == set()


def test_a_run_that_failed_after_it_had_opened_a_port_keeps_its_record(proxy, firewall):
    entry, _files = named(proxy, "wiki", 9083)
    common = {"path": str(proxy.base), "run": FIRST, "undo_dir": str(proxy.undo / FIRST)}
    proxy.do({**common, "state": "begun", "entries": [entry], "identity": {"host": "px"}})
    open_port(proxy, FIRST, 9083, "rtc-wiki-9083")
    proxy.do({**common, "state": "failed"})
    assert "setting firewalld public 9083/tcp permanent" in proxy.list_keys()
    proxy.do({"path": str(proxy.undo)}, "rtc_undo")
    assert firewall == set()
