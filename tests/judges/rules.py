# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table that no program can judge: the rule and its source stand in the judge's place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from judges.tomcats import make_plan_of
from judges.world import Row, World

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import JIRA, facts_of

CONNECTOR = '<Server><Service name="Catalina">{}<Engine name="Catalina"/></Service></Server>'
BEHIND = (
    '<Connector port="8080" redirectPort="8443"/><Connector port="8443" SSLEnabled="true" keystorePass="changeit"/>'
)
NGINX = """events {{ }}
http {{ server {{ listen 443 ssl; server_name jira.example.com; location / {{ proxy_pass http://127.0.0.1:{}; }} }} }}
"""


def service(world: World) -> str:
    found = facts_of(world).applications[0].service
    return f"{found.kind} {found.name}".strip()


def connector(world: World) -> str:
    facts = _facts.to_dict(facts_of(world))
    plan = make_plan_of(facts, rtc_proxy="", rtc_protocol="", rtc_server_name="")
    ports = {item.connector_port for item in plan.hosts["one"].connectors}
    return ", ".join([*(site.topology for site in plan.sites), *map(str, sorted(ports))])


def supervised(world: World) -> None:
    world.jira(JIRA).unit("supervisor.service", "ExecStart=/usr/bin/supervisord -n")
    world.jvm(700, JIRA, unit="supervisor.service")


def started(world: World) -> None:
    world.jira(JIRA).unit("jira.service", f"User=jira\nExecStart={JIRA}/bin/start-jira.sh -fg")


def behind_nginx(port: int) -> Callable[[World], None]:
    def build(world: World) -> None:
        world.jira(JIRA).write(f"{JIRA}/conf/server.xml", CONNECTOR.format(BEHIND))
        world.write("/etc/nginx/nginx.conf", NGINX.format(port)).write("/usr/sbin/nginx", "x", 0o755)
        started_unit = f"User=jira\nExecStart={JIRA}/bin/start-jira.sh -fg"
        world.unit("jira.service", started_unit)

    return build


# Kind, input, how it is built, what is asked, the right answer, the rule with its source.
RULES = [
    ("A3", "a JVM in the control group of supervisor", supervised, service, "none",
     "ExecStart= or the main process, systemd.service(5): a control group is no ownership"),
    ("A3", "a unit that leads to it", started, service, "systemd jira", "ExecStart=, systemd.service(5)"),
    ("A5", "nginx in front of 8080, beside 8443", behind_nginx(8080), connector, "T6, 8080",
     "proxy_pass, ngx_http_proxy_module: users arrive at the upstream's port"),
]  # fmt: skip


def run(rule: tuple, folder: Path) -> list[Row]:
    kind, about, build, ask, right, source = rule
    world = World(folder)
    build(world)
    return [Row(kind, about, ask(world), right, f"rule: {source}")]
