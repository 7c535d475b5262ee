# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The advice for proxies that are not managed: the renderers' own text, for the kind that the site's proxy is."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils._proxy import registry
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import MARK
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import renderer as nginx
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import manual_proxy
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import decide, topology

# What stands around the text in the server's main file, and where that file is.
AROUND = {
    "nginx": ("/etc/nginx/nginx.conf", "events {}\nhttp {\n%s\n}\n"),
    "apache": ("/etc/apache2/apache2.conf", "%s\n"),
    "haproxy": ("/etc/haproxy/haproxy.cfg", "%s\n"),
}


def remedy_of(plan_input):
    (finding,) = [item for item in make_plan(plan_input).findings if item.id == "RTC410"]
    return finding.remedy


def vhost_of(plan_input):
    (wanted,) = decide.decide(topology.classify(plan_input)).sites
    return wanted.proxy.rtc.plan


def test_it_is_what_the_role_would_write(base):
    vhost = vhost_of(base("unlisted"))
    written = nginx.render(vhost, ["*"], "", [[nginx.ACCESS_LOG]])
    text = remedy_of(base("unlisted")).partition("http block:\n")[2]
    assert text
    assert text in written
    for line in ("listen 9083 ssl;", "ssl_certificate /path/to/fullchain.pem;", "server 10.0.0.11:9083;"):
        assert line in text


@pytest.mark.parametrize("kind", ["nginx", "apache", "haproxy"])
def test_the_reader_of_each_kind_understands_it(base, tmp_path, kind):
    plan_input = base("unlisted", set={"vars.wiki1.rtc_proxy_kind": kind})
    remedy = remedy_of(plan_input)
    assert remedy.startswith(
        "Add the proxy's host to the group rtc_proxies and set rtc_proxy. Or configure it by hand; for "
    )
    text = manual_proxy.render(vhost_of(plan_input))
    assert text in remedy
    path, around = AROUND[kind]
    (tmp_path / path.lstrip("/")).parent.mkdir(parents=True)
    (tmp_path / path.lstrip("/")).write_text(around % text, encoding="utf-8")
    (host,) = registry.make_backend(kind, str(tmp_path)).read().hosts
    assert [(listen.port, listen.tls) for listen in host.listens] == [(9083, True)]
    (route,) = [item for item in host.routes if item.path in ("", "/")]
    assert [(item.host, item.port) for item in route.upstreams] == [("10.0.0.11", 9083)]
    assert (route.upgrade, route.http11, route.read_timeout) == (True, True, 3600)
    assert host.managed is False


@pytest.mark.parametrize("kind", ["nginx", "apache", "haproxy"])
def test_it_does_not_claim_the_file_for_this_collection(base, kind):
    assert MARK not in remedy_of(base("unlisted", set={"vars.wiki1.rtc_proxy_kind": kind}))


@pytest.mark.parametrize("kind", ["other", None])
def test_nginx_is_shown_where_the_kind_has_no_renderer(base, kind):
    changes = {"set": {"vars.wiki1.rtc_proxy_kind": kind}} if kind else {}
    assert "for nginx, in its http block:\n" in remedy_of(base("unlisted", **changes))


def test_apache_names_the_modules_that_it_needs(base):
    remedy = remedy_of(base("unlisted", set={"vars.wiki1.rtc_proxy_kind": "apache"}))
    assert "with the modules proxy, proxy_http, headers, ssl:\n" in remedy


def test_a_virtual_host_that_the_server_cannot_have_is_explained(base):
    changes = {
        "vars.wiki1.rtc_proxy_kind": "apache",
        "vars.wiki1.rtc_upstream_name": "tomcat.internal",
        "facts.wiki1.applications.0.server_xml.connectors.0.ssl": True,
    }
    assert "not against tomcat.internal" in remedy_of(base("unlisted", set=changes))


def test_nodes_that_stand_by_are_backups(base):
    plan_input = base("cluster")
    plan_input.facts.pop("proxy1")
    plan_input.groups["rtc_proxies"] = []
    text = remedy_of(plan_input)
    assert "server 10.0.0.11:9083;" in text
    assert "server 10.0.0.12:9083 backup;" in text
