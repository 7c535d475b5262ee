# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several sites on one real server, one of which is blocked: its part alone is taken back, the others are served."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from proxies.bench import Client, free_port
from proxies.served import EXTERNAL, Served, hold

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._proxy import preflight, seen
from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.plugins.modules import proxy_vhost

WIKI, TRACKER, THIRD = "wiki.example.com:9083", "tracker.example.com:9093", "third.example.com:9103"


class Sites(Served):
    """A server with an application of its own, and the RTC of several sites beside it."""

    def __init__(self, server, upstream, run_module, tmp_path):
        super().__init__(server, upstream, run_module)
        self.ports = {site: free_port() for site in (WIKI, TRACKER, THIRD)}
        self.names = {site: site.partition(":")[0] for site in self.ports}  # that users type
        self.undo = tmp_path / "state/undo/20260101T000000Z-aaaa"

    def make(self, site, **changes):
        name = site.partition(":")[0]
        return {
            **{
                "kind": self.daemon.kind,
                "name": f"rtc-{name}",
                "site": site,
                "role": "rtc",
                "server_name": self.names[site],
            },
            **{"listen": [EXTERNAL], "port": self.ports[site], "upstreams": [self.rtc.entry()], **changes},
        }

    def apply(self, *vhosts, check=False):
        args = {"vhosts": list(vhosts), "config_root": str(self.daemon.root), "undo_dir": str(self.undo)}
        return self.run_module("proxy_vhost", args, check=check)

    def is_served(self, site):
        with contextlib.suppress(OSError, AssertionError):
            return Client(EXTERNAL, self.ports[site], name=self.names[site]).json("/socket.io/")["name"] == "rtc"
        return False

    def read_theirs(self, site):
        """The files of a site, and its lines in HAProxy's only file."""
        name = site.partition(":")[0]
        return {
            str(path): text if name in path.name else [line for line in text.splitlines() if name in line.decode()]
            for path, text in self.read_files().items()
            if name in path.name or (path.name == "haproxy.cfg" and name.encode() in text)
        }


def make_passage(vhost, address, outcome):
    ways = dict.fromkeys(("polling", "websocket", "upgrade"), outcome)
    return _facts.Passage(vhost.server_name, vhost.port, address, **ways, words="a password is wanted")


def states(result):
    return {item["site"]: item["state"] for item in result["sites"]}


def reason(result, site):
    return next(item["reason"] for item in result["sites"] if item["site"] == site)


@pytest.fixture(params=["nginx", "apache", "haproxy"])
def sites(request, daemon, upstream, run_module, tmp_path, monkeypatch):
    """RTC is seen to pass all sites but those whose names are in ``stopped``."""
    found = Sites(daemon(request.param), upstream, run_module, tmp_path)
    found.daemon.start()
    found.stopped = set()
    monkeypatch.setattr(seen, "_OLD_SECONDS", 0.3)

    def see(vhost, address, _pages):
        outcome = "stopped" if vhost.site in found.stopped else "passed" if found.is_served(vhost.site) else "down"
        return make_passage(vhost, address, outcome)

    monkeypatch.setattr(proxy_vhost, "_see", see)
    return found


def test_all_are_applied_together(sites):
    result = sites.apply(sites.make(WIKI), sites.make(TRACKER))
    assert states(result) == {WIKI: "applied", TRACKER: "applied"}
    assert sites.is_served(WIKI) and sites.is_served(TRACKER)


def test_the_probe_fails_for_one(sites):
    sites.apply(sites.make(WIKI))
    before = sites.read_theirs(WIKI)
    sites.stopped = {WIKI}
    sites.ports[WIKI] = free_port()
    result = sites.apply(sites.make(WIKI), sites.make(TRACKER))
    assert result["failed"] and result["changed"], result
    assert states(result) == {TRACKER: "applied", WIKI: "blocked"}
    assert "RTC does not pass it" in reason(result, WIKI) and "a password is wanted" in reason(result, WIKI)
    assert sites.read_theirs(WIKI) == before
    assert sites.is_served(TRACKER)
    assert not sites.is_served(WIKI)
    assert sites.ask() == "tomcat"


def test_one_whose_service_does_not_run_is_written(sites, upstream):
    dead = {"scheme": "http", "host": "127.0.0.1", "port": free_port()}
    sites.stopped = {THIRD}
    result = sites.apply(sites.make(WIKI, upstreams=[dead]), sites.make(TRACKER), sites.make(THIRD))
    assert states(result) == {WIKI: "written", TRACKER: "applied", THIRD: "blocked"}


def test_the_only_site_leaves_every_file_as_it_was(sites):
    before = sites.read_files()
    sites.stopped = {WIKI, TRACKER}
    result = sites.apply(sites.make(WIKI), sites.make(TRACKER))
    assert states(result) == {WIKI: "blocked", TRACKER: "blocked"}
    assert result["changed"] is False
    assert sites.read_files() == before


def test_the_port_of_one_is_taken(sites):
    with hold(EXTERNAL, sites.ports[WIKI]):
        check = sites.apply(sites.make(WIKI), sites.make(TRACKER), check=True)
        result = sites.apply(sites.make(WIKI), sites.make(TRACKER))
        assert states(result) == {WIKI: "blocked", TRACKER: "applied"}
        assert "is in use by" in reason(result, WIKI)
        assert sites.read_theirs(WIKI) == {}
        assert sites.is_served(TRACKER)
    assert check["changed"] is True
    result = sites.apply(sites.make(WIKI), sites.make(TRACKER))
    assert states(result) == {WIKI: "applied", TRACKER: "applied"}


def test_the_reload_fails_for_one(sites, monkeypatch):
    """The port was free when it was looked at, and is not when the server binds it."""
    monkeypatch.setattr(preflight, "check_ports", lambda *args: None)
    with hold(EXTERNAL, sites.ports[WIKI]):
        result = sites.apply(sites.make(WIKI), sites.make(TRACKER))
        assert states(result) == {WIKI: "blocked", TRACKER: "applied"}, result
        assert "did not take the new configuration" in reason(result, WIKI)
        assert "It runs as before" in reason(result, WIKI)
        assert sites.read_theirs(WIKI) == {}
        assert sites.is_served(TRACKER)
        assert sites.ask() == "tomcat"


def test_a_socket_of_both_is_taken_and_both_go_back(sites):
    before = sites.read_files()
    port = sites.ports[TRACKER] = sites.ports[WIKI]
    with hold(EXTERNAL, port):
        result = sites.apply(sites.make(WIKI), sites.make(TRACKER))
        assert states(result) == {WIKI: "blocked", TRACKER: "blocked"}
        assert all(str(port) in reason(result, site) for site in (WIKI, TRACKER))
        assert sites.read_files() == before
        assert sites.ask() == "tomcat"


def test_the_server_refuses_the_files_of_one(sites):
    """Nothing that is looked at before says so; only the server's own check does."""
    host = "[x" if sites.daemon.kind == "apache" else "no-such-host.invalid"  # httpd looks up names with each request
    wrong = [{"scheme": "http", "host": host, "port": 1}]
    result = sites.apply(sites.make(WIKI, upstreams=wrong), sites.make(TRACKER))
    assert states(result) == {WIKI: "blocked", TRACKER: "applied"}, result
    assert "refuses the new configuration" in reason(result, WIKI)
    assert sites.read_theirs(WIKI) == {}
    assert sites.is_served(TRACKER)


def test_a_port_that_another_site_gives_up(sites):
    """Each alone: the one that needs the room comes first, and is tried once more."""
    old = sites.ports[TRACKER]
    sites.apply(sites.make(TRACKER))
    sites.ports[TRACKER], sites.ports[WIKI] = free_port(), old
    sites.names[WIKI] = sites.names[TRACKER]
    with hold(EXTERNAL, sites.ports[THIRD]):
        result = sites.apply(sites.make(WIKI), sites.make(TRACKER), sites.make(THIRD))
    assert states(result) == {TRACKER: "applied", WIKI: "applied", THIRD: "blocked"}, result
    assert sites.is_served(WIKI) and sites.is_served(TRACKER)


class TestCertificates:
    @pytest.fixture
    def install(self, sites, certificates, tmp_path):
        """A function: a site, and the name that its certificate is for -> paths, as a run installs them."""

        def call(site, name=None):
            name = name or site.partition(":")[0]
            paths = [tmp_path / "tls" / site.partition(":")[0] / part for part in ("fullchain.pem", "privkey.pem")]
            for source, path in zip(certificates.issue(name), paths):
                records.record(str(sites.undo), str(path), Path(source).read_bytes())
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(Path(source).read_bytes())
            return dict(zip(("certificate", "key"), map(str, paths)))

        return call

    @pytest.fixture
    def plain(self, sites, monkeypatch):
        """Nobody asks for RTC in the clear."""
        monkeypatch.setattr(
            proxy_vhost, "_see", lambda vhost, address, _pages: make_passage(
                vhost, address, "stopped" if vhost.site in sites.stopped else "passed"
            ),
        )  # fmt: skip

    def test_those_of_a_blocked_site_go_back(self, sites, install, plain, tmp_path):
        wiki, tracker = install(WIKI), install(TRACKER)
        sites.stopped = {WIKI}
        result = sites.apply(sites.make(WIKI, **wiki), sites.make(TRACKER, **tracker))
        assert states(result) == {TRACKER: "applied", WIKI: "blocked"}, result
        assert sorted(path.name for path in tmp_path.joinpath("tls").iterdir()) == ["tracker.example.com"]

    def test_one_that_is_not_for_the_site_goes_back_to_the_one_before(self, sites, install, plain):
        old, tracker = install(WIKI), install(TRACKER)
        assert states(sites.apply(sites.make(WIKI, **old))) == {WIKI: "applied"}
        before, files = Path(old["certificate"]).read_bytes(), sites.read_theirs(WIKI)
        sites.undo = sites.undo.with_name("20260102T000000Z-bbbb")
        wiki, tracker = install(WIKI, "elsewhere.example.com"), install(TRACKER)
        assert Path(wiki["certificate"]).read_bytes() != before
        result = sites.apply(sites.make(WIKI, **wiki), sites.make(TRACKER, **tracker))
        assert states(result) == {TRACKER: "applied", WIKI: "blocked"}, result
        assert "is not for wiki.example.com" in reason(result, WIKI)
        assert Path(wiki["certificate"]).read_bytes() == before
        assert sites.read_theirs(WIKI) == files

    def test_one_that_others_read_stays(self, sites, install, plain):
        shared = install(WIKI)
        sites.stopped = {WIKI}
        result = sites.apply(sites.make(WIKI, **shared), sites.make(TRACKER, **shared, server_name="wiki.example.com"))
        assert states(result) == {TRACKER: "applied", WIKI: "blocked"}, result
        assert Path(shared["key"]).read_bytes()

    def test_a_site_that_is_tried_again_has_its_own(self, sites, install, plain, monkeypatch):
        """It is blocked by what another one still has, and its certificate comes back with the second attempt."""
        old = sites.ports[TRACKER]
        sites.apply(sites.make(TRACKER))
        sites.ports[TRACKER], sites.ports[WIKI] = free_port(), old
        wiki = install(WIKI, "tracker.example.com")
        with hold(EXTERNAL, sites.ports[THIRD]):
            result = sites.apply(
                sites.make(WIKI, **wiki, server_name="tracker.example.com"), sites.make(TRACKER), sites.make(THIRD)
            )
        assert states(result) == {TRACKER: "applied", WIKI: "applied", THIRD: "blocked"}, result
        assert Path(wiki["certificate"]).read_bytes()
