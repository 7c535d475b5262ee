# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the proxies carry the people who use RTC beside the application: RTC440, RTC441. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ProxyCapacity
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Classification, ClassifiedSite, PlanInput

# Threads of a connector where server.xml does not say (Tomcat's manual, maxThreads).
_THREADS = 200
_SPARE = 64  # descriptors that a process has besides, with room
_THREADS_PER_CHILD = 25


def check_capacity(plan_input: PlanInput, classification: Classification) -> Iterator[Finding]:
    """Findings about each proxy that sites use, for all of its sites together."""
    sites: dict[tuple[str, str], list[ClassifiedSite]] = {}
    for item in classification.sites:
        if item.proxy:
            sites.setdefault((item.proxy.host, item.proxy.kind), []).append(item)
    for host, facts in plan_input.facts.items():
        for proxy in facts.proxies:
            used = sites.get((host, proxy.kind), [])
            if used and proxy.capacity and proxy.capacity.connections:
                yield _check_proxy(host, proxy, proxy.capacity, used)


def _check_proxy(host: str, proxy: Proxy, capacity: ProxyCapacity, used: list[ClassifiedSite]) -> Finding:
    users, application = sum(item.settings.users for item in used), sum(map(_count_threads, used))
    needed = users + application
    name = f"{proxy.kind} on {host}"
    carries = f"passes on {capacity.connections} connections at the same time"
    unsaid = [item.site.name for item in used if not item.settings.users]
    if needed > capacity.connections:
        if users:
            message = (
                f"{name} {carries}; {users} people with a WebSocket each, and {application} requests that the"
                f" application handles at the same time, need {needed}."
            )
            return make("RTC440", host, message, capacity.limits, advise(proxy.kind, capacity, needed))
        room = max(capacity.connections - application, 0)
        message = (
            f"{name} {carries}: beside {application} requests of the application, room for {room} people with RTC."
        )
    else:
        message = f"{name} {carries}: room for {capacity.connections - application} people with RTC"
        message += f"; {users} are asked for." if users else f", beside {application} requests of the application."
    if users and not unsaid:
        return make("RTC441", host, message, capacity.limits, "Nothing to do.")
    return make("RTC441", host, message, capacity.limits)


def _count_threads(item: ClassifiedSite) -> int:
    """How many requests the nodes of a site handle at the same time: more never wait at the proxy."""
    found = 0
    for node in item.nodes:
        server_xml = node.application.server_xml
        values = [
            int(value)
            for connector in (server_xml.connectors if server_xml else [])
            for value in [connector.attributes.get("maxThreads", str(_THREADS))]
            if value.isdigit()
        ]
        found += max(values, default=_THREADS)
    return found


def advise(kind: str, capacity: ProxyCapacity, needed: int) -> str:
    """The directives with which a proxy carries so many connections, and where they belong."""
    file = capacity.file
    if kind == "nginx":
        workers = max(capacity.settings.get("worker_processes", 1), 1)
        each = _round_up(2 * -(-needed // workers) + _SPARE)
        return (
            f"In {file}: 'worker_rlimit_nofile {_round_up(each + _SPARE)};' at the top, and in events"
            f" 'worker_connections {each};' ({workers} worker processes; a proxied connection takes two). Then reload"
            " nginx."
        )
    if kind == "apache":
        threads = capacity.settings.get("ThreadsPerChild")
        if threads is None:
            return (
                f"In {file}: 'ServerLimit {needed}' and 'MaxRequestWorkers {needed}', a process of some 10 MB each;"
                " better use mpm_event. Then restart Apache: a reload does not change ServerLimit."
            )
        threads = min(threads, capacity.settings.get("ThreadLimit", threads)) or _THREADS_PER_CHILD
        processes = -(-needed // threads)
        return (
            f"In {file}: 'ServerLimit {processes}', 'ThreadsPerChild {threads}' and 'MaxRequestWorkers"
            f" {processes * threads}'. Then restart Apache: a reload does not change ServerLimit."
        )
    return (
        f"In {file}: 'maxconn {_round_up(needed)}' in global; its unit needs LimitNOFILE={_round_up(2 * needed + 100)}"
        " (systemctl edit haproxy) where it is lower. Then restart HAProxy."
    )


def _round_up(number: int) -> int:
    """To a full hundred: nobody needs to count."""
    return -(-number // 100) * 100
