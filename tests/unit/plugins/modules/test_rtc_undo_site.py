# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undoing the part of one site in a run, on a proxy that several sites share: to the byte, and nothing of the others'."""

from __future__ import annotations

import json

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._keystore.anchor_name import name_anchor
from ansible_collections.collab.rtc.plugins.module_utils._managed import lease, record
from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.tests.unit.shared_proxy import FIRST, NAMES, SECOND, THIRD, TRACKER, WIKI, Proxy


@pytest.fixture
def proxy(tmp_path, run_module):
    return Proxy(tmp_path, run_module)


def test_only_the_files_of_the_site_go(proxy):
    proxy.run(FIRST, [proxy.nginx("wiki", "w"), proxy.nginx("tracker", "t")])
    result = proxy.roll_back(WIKI)
    assert (result["changed"], result["paths"], result["removed"]) == (
        True,
        [str(proxy.vhost("wiki"))],
        [str(proxy.vhost("wiki"))],
    )
    assert not proxy.vhost("wiki").exists() and proxy.vhost("tracker").read_text() == "t"
    assert proxy.list_keys() == ["vhost rtc-tracker tracker"]
    assert proxy.list_sites() == {"wiki1/confluence": True, "jira1/jira": False}


def test_again_there_is_nothing_to_do(proxy):
    proxy.run(FIRST, [proxy.nginx("wiki", "w"), proxy.nginx("tracker", "t")])
    proxy.roll_back(WIKI)
    before = proxy.snapshot()
    again = proxy.roll_back(WIKI)
    assert (again["changed"], again["runs"], again["paths"]) == (False, [], [])
    assert proxy.snapshot() == before


def test_the_inventory_may_have_another_name_since(proxy):
    proxy.run(FIRST, [proxy.nginx("wiki", "w"), proxy.nginx("tracker", "t")])
    (entry, _files) = proxy.nginx("wiki", "w")
    proxy.run(SECOND, [({**entry, "inventory": "new/hosts.yml"}, {})])  # as its own, and nothing else of it
    result = proxy.roll_back(WIKI)
    assert (result["paths"], result["kept"]) == ([str(proxy.vhost("wiki"))], [])
    assert not proxy.vhost("wiki").exists()
    assert proxy.list_keys() == ["vhost rtc-tracker tracker"]


def test_one_after_the_other_gives_all_back_to_the_byte(proxy):
    before = proxy.snapshot()
    proxy.run(FIRST, [proxy.nginx("wiki", "w"), proxy.nginx("tracker", "t")], more={proxy.module: "load"})
    kept = proxy.roll_back(WIKI)["kept"]
    assert kept == [{"path": str(proxy.module), "sites": ["tracker.example.com:9083"]}]
    assert proxy.module.exists(), "Apache may need its module for the other site"
    last = proxy.roll_back(TRACKER)
    assert (proxy.snapshot(), last["edited"]) == (before, [])
    assert records.is_undone(str(proxy.undo / FIRST))


def test_then_the_rest_of_the_run(proxy):
    before = proxy.snapshot()
    proxy.run(FIRST, [proxy.nginx("wiki", "w"), proxy.nginx("tracker", "t")], more={proxy.module: "load"})
    proxy.roll_back(WIKI)
    result = proxy.do({"path": str(proxy.undo)}, "rtc_undo")
    assert (proxy.snapshot(), result["edited"]) == (before, [])
    assert proxy.list_sites() == {"wiki1/confluence": True, "jira1/jira": True}


def test_where_no_other_site_was_changed_the_record_is_the_same_to_the_byte(proxy):
    proxy.run(FIRST, [proxy.nginx("tracker", "t")])
    before = proxy.snapshot()
    proxy.run(SECOND, [proxy.nginx("wiki", "w")], more={proxy.module: "load"})
    proxy.roll_back(WIKI, SECOND)
    assert proxy.snapshot() == before
    assert records.is_undone(str(proxy.undo / SECOND))


def test_a_later_run_of_another_site_stays(proxy):
    proxy.run(FIRST, [proxy.nginx("wiki", "w")])
    proxy.run(SECOND, [proxy.nginx("tracker", "t")])
    proxy.roll_back(WIKI)
    assert proxy.vhost("tracker").read_text() == "t" and not proxy.vhost("wiki").exists()
    assert not records.is_undone(str(proxy.undo / SECOND))
    again = proxy.do({"path": str(proxy.undo)}, "rtc_undo")
    assert again["edited"] == [], "that the record is another is nobody's edit"


def test_a_later_run_of_the_same_site_is_undone_first(proxy):
    proxy.run(FIRST, [proxy.nginx("wiki", "1")])
    proxy.run(SECOND, [proxy.nginx("wiki", "2"), proxy.nginx("tracker", "t")])
    proxy.run(THIRD, [proxy.nginx("wiki", "3")])
    result = proxy.roll_back(WIKI, SECOND)
    assert result["runs"] == [THIRD, SECOND]
    assert (proxy.vhost("wiki").read_text(), proxy.vhost("tracker").read_text()) == ("1", "t")
    assert proxy.list_sites(FIRST) == {"wiki1/confluence": False}


def test_what_a_run_took_away_comes_back_with_its_entry(proxy):
    proxy.run(FIRST, [proxy.nginx("wiki", "w"), proxy.nginx("tracker", "t")])
    gone = (proxy.entry("tracker", "file", "x", path=str(proxy.path / "key.pem")), {proxy.path / "key.pem": "key"})
    proxy.run(SECOND, [gone], removed=["vhost rtc-wiki wiki"], more={proxy.vhost("wiki"): None})
    proxy.roll_back(WIKI, SECOND)
    assert proxy.vhost("wiki").read_text() == "w" and (proxy.path / "key.pem").exists()
    assert "vhost rtc-wiki wiki" in proxy.list_keys()


def test_an_edit_that_came_since_is_kept(proxy):
    proxy.run(FIRST, [proxy.nginx("wiki", "w"), proxy.nginx("tracker", "t")])
    proxy.vhost("wiki").write_text("edited")
    proxy.vhost("tracker").write_text("edited, too")
    ((edited),) = proxy.roll_back(WIKI)["edited"]
    assert edited["path"] == str(proxy.vhost("wiki"))
    assert proxy.vhost("tracker").read_text() == "edited, too"


def test_another_inventory_s_site_with_the_same_name_stays(proxy):
    other, _files = proxy.nginx("wiki", "other")
    other = {**other, "key": "vhost other", "inventory": "staging", "what": {"kind": "nginx", "name": "other"}}
    proxy.run(FIRST, [proxy.nginx("wiki", "w")])
    proxy.run(SECOND, [(other, {proxy.path / "other.conf": "other"})])
    proxy.roll_back(WIKI)
    assert (proxy.path / "other.conf").exists() and not proxy.vhost("wiki").exists()


def test_a_host_on_which_the_site_has_no_part(proxy):
    proxy.run(FIRST, [proxy.nginx("tracker", "t")])
    before = proxy.snapshot()
    assert proxy.roll_back(WIKI)["changed"] is False
    assert proxy.snapshot() == before


def test_the_preview_changes_nothing(proxy):
    proxy.run(FIRST, [proxy.nginx("wiki", "w"), proxy.nginx("tracker", "t")])
    before = proxy.snapshot()
    result = proxy.roll_back(WIKI, check=True)
    assert (result["changed"], result["removed"]) == (True, [str(proxy.vhost("wiki"))])
    assert proxy.snapshot() == before
    assert proxy.list_sites()["wiki1/confluence"] is False


def test_a_run_that_was_killed_before_it_noted_its_end(proxy):
    proxy.run(FIRST, [proxy.nginx("tracker", "t")])
    before = proxy.snapshot()
    proxy.run(SECOND, [proxy.nginx("wiki", "w")], finish=False)
    assert proxy.roll_back(WIKI, SECOND)["changed"]
    assert {path: data for path, data in proxy.snapshot().items() if "lease" not in path.parts} == before


def test_refused_while_another_run_changes_the_host(proxy):
    proxy.run(FIRST, [proxy.nginx("wiki", "w")])
    lease.take(lease.Lease(THIRD, "ben@two"), path=str(proxy.base / "lease"))
    assert "ben@two" in proxy.roll_back(WIKI)["msg"]
    assert proxy.vhost("wiki").exists()


def block(*names):
    lines = [f"# vhost {json.dumps({'name': name, 'port': port})}" for name, port in names]
    return "\n".join(["global", "# BEGIN collab.rtc. x", *lines, "# END collab.rtc", ""])


def haproxy(proxy, site, *names):
    entry = proxy.entry(site, "vhost", str(names), {"kind": "haproxy"}, name=f"rtc-{site}", files=[str(proxy.cfg)])
    return entry, {proxy.cfg: block(*names)}


def test_of_a_file_that_two_sites_changed_the_part_is_taken_out(proxy):
    proxy.cfg.write_text(block())
    both = [("rtc-tracker", 1), ("rtc-wiki", 2)]
    proxy.run(FIRST, [haproxy(proxy, "wiki", *both), haproxy(proxy, "tracker", *both)])
    result = proxy.roll_back(WIKI)
    assert result["parts"]["vhosts"] == [{"kind": "haproxy", "name": "rtc-wiki", "state": "absent"}]
    assert str(proxy.cfg) in result["paths"], "HAProxy has to read it"
    assert proxy.list_sites()["wiki1/confluence"] is False, "not before it is done"
    assert proxy.roll_back(WIKI)["parts"] == result["parts"], "after a kill it is still known"
    proxy.cfg.write_text(block(("rtc-tracker", 1)))  # as proxy_vhost does
    proxy.end(result, WIKI)
    assert proxy.list_sites()["wiki1/confluence"] is True
    assert proxy.roll_back(WIKI)["changed"] is False
    (entry,) = record.load(str(proxy.base / "managed.json")).entries
    assert "rtc-wiki" not in entry.written[str(proxy.cfg)], "else the next run would see an edit"
    last = proxy.roll_back(TRACKER)
    assert (proxy.cfg.read_text(), last["edited"], last["parts"]["vhosts"]) == (block(), [], [])


def test_of_such_a_file_what_the_run_had_changed_comes_back(proxy):
    proxy.run(FIRST, [haproxy(proxy, "wiki", ("rtc-wiki", 1))])
    both = [("rtc-tracker", 1), ("rtc-wiki", 2)]
    proxy.run(SECOND, [haproxy(proxy, "wiki", *both), haproxy(proxy, "tracker", *both)])
    assert proxy.roll_back(WIKI, SECOND)["parts"]["vhosts"] == [{"kind": "haproxy", "name": "rtc-wiki", "port": 1}]


def test_such_a_file_that_only_this_site_changed_is_the_same_to_the_byte(proxy):
    proxy.run(FIRST, [haproxy(proxy, "tracker", ("rtc-tracker", 1))])
    before = proxy.snapshot()
    proxy.run(SECOND, [haproxy(proxy, "wiki", ("rtc-tracker", 1), ("rtc-wiki", 2))])
    result = proxy.roll_back(WIKI, SECOND)
    assert (result["parts"]["vhosts"], proxy.snapshot()) == ([], before)


def test_an_edit_of_a_shared_file_is_still_an_edit_afterwards(proxy):
    both = [("rtc-tracker", 1), ("rtc-wiki", 2)]
    proxy.run(FIRST, [haproxy(proxy, "wiki", *both), haproxy(proxy, "tracker", *both)])
    proxy.cfg.write_text(proxy.cfg.read_text() + "# edited\n")
    result = proxy.roll_back(WIKI)
    proxy.cfg.write_text(block(("rtc-tracker", 1)) + "# edited\n")
    proxy.end(result, WIKI)
    assert [item["path"] for item in proxy.roll_back(TRACKER)["edited"]] == [str(proxy.cfg)]


def trust(proxy, site, text, wants, certificates):
    what = {"path": str(proxy.store), "jre_home": "/jre", "application": "jira", "wants": wants}
    return proxy.entry(site, "trust", text, certificates=certificates, **what), {proxy.store: text}


def test_authorities_of_a_store_that_two_sites_share(proxy):
    proxy.store.write_text("")
    parts = [trust(proxy, "wiki", "1", ["a", "b"], ["a", "b"]), trust(proxy, "tracker", "2", ["b"], ["b"])]
    proxy.run(FIRST, parts)
    (part,) = proxy.roll_back(WIKI)["parts"]["trust"]
    assert part == {
        "path": str(proxy.store),
        "jre_home": "/jre",
        "application": "jira",
        "certificates": [{"sha256": "a"}],
    }


def test_an_anchor_of_the_system_belongs_to_the_sites_that_need_the_authority(proxy):
    only, shared = (proxy.path / name_anchor(one * 64) for one in "ab")

    def part(site, prints):
        entry, _files = trust(proxy, site, "1", prints, prints)
        return entry, {one: "pem" for one in (only, shared) if any(name_anchor(item) == one.name for item in prints)}

    proxy.run(FIRST, [part("wiki", ["a" * 64, "b" * 64]), part("tracker", ["b" * 64])])
    result = proxy.roll_back(WIKI)
    taken = [item["certificates"] for item in result["parts"]["trust"]]
    assert (taken, only.exists(), shared.exists()) == ([[{"sha256": "a" * 64}]], False, True)


def test_a_store_of_which_the_other_site_needs_all(proxy):
    proxy.store.write_text("")
    proxy.run(FIRST, [trust(proxy, "wiki", "1", ["a"], ["a"]), trust(proxy, "tracker", "2", ["a"], ["a"])])
    result = proxy.roll_back(WIKI)
    assert result["parts"] == {"vhosts": [], "trust": [], "own": [str(proxy.store)]}
    assert proxy.list_sites()["wiki1/confluence"] is True
    assert proxy.store.read_text() == "2"


def test_a_certificate_that_another_site_presents_stays(proxy):
    pem = proxy.path / "fullchain.pem"
    certificate = proxy.entry("wiki", "file", "x", path=str(pem)), {pem: "certificate"}
    tracker, files = proxy.nginx("tracker", "t")
    tracker["what"]["reads"] = [str(pem)]
    proxy.run(FIRST, [certificate, (tracker, files)])
    result = proxy.roll_back(WIKI)
    assert (pem.exists(), result["kept"]) == (True, [{"path": str(pem), "sites": ["tracker.example.com:9083"]}])


def test_what_all_rtc_servers_share_stays_while_another_needs_it(proxy, monkeypatch):
    from ansible_collections.collab.rtc.plugins.module_utils._managed import site_part

    unit = proxy.path / "rtc-server@.service"
    monkeypatch.setattr(site_part, "COMMON", (str(unit),))
    servers = [(proxy.entry(site, "instance", "x", instance=site), {}) for site in NAMES]
    proxy.run(FIRST, servers, more={unit: "[Unit]"})
    assert proxy.roll_back(WIKI)["kept"] == [{"path": str(unit), "sites": ["tracker.example.com:9083"]}]
    assert unit.exists()
    proxy.roll_back(TRACKER)
    assert not unit.exists()


def test_the_socket_unit_of_an_rtc_server_goes_with_its_site(proxy, monkeypatch):
    from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit

    monkeypatch.setattr(unit, "socket_unit", lambda name: str(proxy.path / f"{name}.socket"))
    servers = [(proxy.entry(site, "instance", "x", instance=site), {}) for site in ("wiki", "tracker")]
    sockets = {proxy.path / f"{site}.socket": "[Socket]" for site in ("wiki", "tracker")}
    proxy.run(FIRST, servers, more=sockets)
    assert proxy.roll_back(WIKI)["kept"] == []
    assert [path.exists() for path in sockets] == [False, True]
