# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to the administrators' panel: what leads there is guarded in the same place. Real daemons: tests/pages."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import renderer as apache
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import renderer as haproxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import renderer as nginx

PANEL = {"certificate": "/c.pem", "key": "/k.pem", "panel_port": 9990, "panel_from": ["10.1.2.0/24", "fd00::/64"]}
RENDER = {
    "nginx": lambda vhost: nginx.render(vhost, ["*"], ""),
    "apache": lambda vhost: apache.render(vhost, ["*"], ["*"], "", "2.4.62"),
    "old apache": lambda vhost: apache.render(vhost, ["*"], ["*"], "", "2.4.37"),
    "haproxy": lambda vhost: haproxy.render([vhost], {vhost.name: "/p.pem"}, {}, logs=False),
}
GUARDED = {
    "nginx": "location /panel/ {\n        allow 10.1.2.0/24;\n        allow fd00::/64;\n        deny all;\n        satisfy all;\n",
    "apache": '<Location "/panel/">\n        Require ip 10.1.2.0/24 fd00::/64\n        AuthMerging Off\n',
    "haproxy": "    http-request deny unless { src 10.1.2.0/24 fd00::/64 }\n    server",
}
GUARDED["old apache"] = GUARDED["apache"]


@pytest.mark.parametrize("kind", RENDER)
def test_what_leads_to_the_panel_is_guarded_where_it_does(plan, kind):
    text = RENDER[kind](plan(**PANEL))
    assert GUARDED[kind] in text
    assert text.count("127.0.0.1:9990") == 1, "and nothing else does"


@pytest.mark.parametrize("kind", RENDER)
def test_without_networks_nothing_leads_there(plan, kind):
    text = RENDER[kind](plan(**{**PANEL, "panel_port": 0, "panel_from": []}))
    assert "panel" not in text and "9990" not in text


@pytest.mark.parametrize("kind", RENDER)
def test_an_application_has_no_panel(plan, kind):
    assert "9990" not in RENDER[kind](plan(**PANEL, role="application"))
