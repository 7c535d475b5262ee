# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/topologies.md from the table of topologies. ``tools/generate_docs.py`` writes and checks it."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import TOPOLOGIES

HEAD = """\
<!-- Written by tools/generate_docs.py from TOPOLOGIES in plugins/plugin_utils/_plan/topology.py. Do not edit. -->
# Topologies

A topology is the protocol of a site and the placement of its proxy. The plan and the report name it, T1 to T9, with
the evidence for both.

"""
PLACEMENTS = {
    "direct": "`direct`: no proxy, users reach Tomcat and the RTC service themselves",
    "same_host": "`same_host`: the proxy is on the application's host",
    "remote": "`remote`: the proxy is on another host",
    "data_center": "`data_center`: several nodes behind one name, wherever the proxy or load balancer is",
}
PROTOCOLS = {
    "HTTP": "`HTTP`: no TLS",
    "HTTP + SSL": "`HTTP + SSL`: TLS ends at the proxy; there is none without a proxy",
    "HTTPS": "`HTTPS`: TLS ends at Tomcat; a proxy in front of it encrypts again",
}
# Proxies, as rtc_proxy_kind names them, and what of them is tested.
PROXIES = {
    ("`nginx`, `apache`, `haproxy`", "T2 to T7, T9"): "written by a run; tested with the real daemons",
    ("`aws_alb`", "T2, T4, T5, T7, T9"): (
        "written by a run where `rtc_aws_load_balancer` is set; tested against AWS's API only, without traffic"
        " ([aws.md](aws.md))"
    ),
    ("`aws_alb` otherwise, `f5`, `azure_gateway`, `kubernetes`, `traefik`", "T2, T4, T5, T7, T9"): (
        "set by hand, from the text that the plan prints ([aws.md](aws.md#other-load-balancers)); not tried on the"
        " products"
    ),
    ("`other`", "T2 to T7, T9"): "set by hand, after the text for nginx",
}


# What of a proxy's own settings holds for the virtual hosts that a run writes.
AROUND = """\
What a proxy has for all of its virtual hosts holds for those that a run writes only where it must: certificates of
clients, passwords and addresses that are let in do, and a run that RTC does not pass says which line stands in the
way. Limits for pages do not, as each user of RTC holds a connection and a company has one address: nginx's
`limit_conn`, `limit_req` and `limit_rate` (the RTC server has [limits](protocol.md#limits) of its own); neither do
nginx's `mirror`, `expires` and caches, Apache's `CacheEnable`, `ExpiresActive`, `ProxyAddHeaders` and
`LimitRequest...`, and HAProxy's `defaults`."""


def render() -> str:
    """The whole document."""
    lines = [
        f"| | {' | '.join(f'`{name}`' for name in PROTOCOLS)} |",
        "|---|" + "---|" * len(PROTOCOLS),
    ]
    for placement in PLACEMENTS:
        cells = [TOPOLOGIES.get((protocol, placement), "–") for protocol in PROTOCOLS]
        lines.append(f"| `{placement}` | {' | '.join(cells)} |")
    lines += ["", "Protocol, as the RTC panel of the add-on shows it:", ""]
    lines += [f"- {text}" for text in PROTOCOLS.values()]
    lines += ["", "Placement:", ""]
    lines += [f"- {text}" for text in PLACEMENTS.values()]
    lines += ["", "| proxy | topologies | |", "|---|---|---|"]
    lines += [f"| {proxy} | {topologies} | {text} |" for (proxy, topologies), text in PROXIES.items()]
    return HEAD + "\n".join([*lines, "", AROUND]) + "\n"
