# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan and results as text for people."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import HostPlan, Plan, Work
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text
from ansible_collections.collab.rtc.plugins.plugin_utils._run.outcome import Outcome

GOOD = {
    "name": "two clients work on one project",
    "ok": True,
    "detail": "12 ms",
    "cause": "",
    "remedy": "",
    "where": "controller",
}
BAD = {
    "name": "hairpin",
    "ok": False,
    "detail": "wiki.example.com:9083: certificate verify failed",
    "cause": "The authority is missing.",
    "remedy": "Run the role truststore.",
    "where": "wiki1",
}
SKIPPED = {"name": "request page", "ok": None, "detail": "there is no such page"}


def test_the_plan_of_t6(base):
    text = report_text.render_plan(make_plan(base("pristine")))
    for part in (
        "Confluence wiki.example.com:9083",
        "HTTP + SSL",
        "T6, same host",
        "client → nginx on wiki1 → wiki1",
        'address="127.0.0.1" proxyName="wiki.example.com"',
        "nginx rtc-confluence-9083: 10.0.0.11 port 9083 → http://127.0.0.1:9083",
        "install nginx",
        "Findings: 0 errors, 3 warnings, 1 note",
        "! RTC205 wiki1:",
        "remedy: A run sets",
    ):
        assert part in " ".join(text.split()) or part in text, part
    assert all(len(line) <= report_text.WIDTH for line in text.splitlines())


def test_what_was_detected_host_by_host(base):
    plan_input = base("remote", set={"facts.proxy1.proxies.0.hosts.1.routes.0.upgrade": False})
    plan = make_plan(plan_input)
    text = report_text.render_detected(plan, plan_input.facts)
    jira, proxy, total = text.split("\n\n")[:3]
    assert "Jira       9.12.2 in /opt/atlassian/jira" in jira
    assert "topology   T5: HTTP + SSL, proxy on another host" in jira
    assert "because    RTC port" in jira
    assert "no findings" in jira
    assert "jira.example.com:9093 (this host is its proxy)" in proxy
    assert "because" not in proxy
    assert "  ! RTC405 " in proxy
    assert total.startswith("2 hosts: 0 errors, 1 warning")
    assert all(len(line) <= report_text.WIDTH for line in text.splitlines())


def test_hosts_that_told_nothing_and_muted_findings_are_shown():
    findings = [
        Finding("RTC001", "error", "gone", "Nothing is known about gone: timed out"),
        Finding("RTC603", "warning", "gone", "firewalld runs.", remedy="Open it.", muted="managed elsewhere"),
        Finding("RTC212", "info", "gone", "maxPostSize is not set.", remedy="Set it."),
    ]
    text = report_text.render_detected(Plan(findings=findings), {})
    assert "✗ RTC001 Nothing is known" in text
    assert "– RTC603 muted: managed elsewhere (firewalld runs.)" in text
    assert "Set it." not in text
    assert text.endswith("1 host: 1 error, 0 warnings, 1 note\nNot seen: gone\n")


def test_the_remedy_of_several_lines_keeps_them(base):
    text = report_text.render_plan(make_plan(base("unlisted")))
    lines = [line.strip() for line in text.splitlines()]
    assert "listen 9083 ssl;" in lines
    assert "proxy_set_header Upgrade $http_upgrade;" in lines


def test_what_is_to_be_copied_is_not_broken_where_prose_is():
    """A line end within quotes would be part of the value: each line of nginx's log would be two."""
    copied = [
        "log_format rtc '" + "$remote_addr " * 10 + "end';",
        '  send "GET /rtc-health HTTP/1.1' + " Host: wiki.example.com" * 5 + '" \\',
    ]
    prose = "Listen: " + "port 9083 of wiki.example.com " * 5
    remedy = "\n".join(["Configure it by hand. " * 6, *copied, prose])
    text = report_text.render_errors([Finding("RTC410", "error", "wiki1", "It is not configured.", remedy=remedy)])
    lines = text.splitlines()
    assert [line.strip() for line in lines if len(line) > report_text.WIDTH] == [line.strip() for line in copied]


def test_checks_with_their_marks(base):
    plan = make_plan(base("same_host"))
    text = report_text.render_report(plan, Outcome(checks={"wiki.example.com:9083": [GOOD, BAD, SKIPPED]}))
    assert "  ✓ two clients work on one project (controller)" in text
    assert "  ✗ hairpin (wiki1)" in text
    assert "      cause:  The authority is missing." in text
    assert "      remedy: Run the role truststore." in text
    assert "  – request page" in text


def test_a_site_that_was_not_checked_does_not_look_checked(base):
    text = report_text.render_report(make_plan(base("same_host")), Outcome())
    assert "nothing was checked" in text
    assert "✓" not in text


def test_how_to_get_a_link_to_the_check_page_or_the_link(base):
    plan = make_plan(base("pristine"))
    (site,) = plan.sites
    text = " ".join(report_text.render_report(plan, Outcome()).split())
    command = "rtc-server check-link --config /etc/rtc-server/confluence.toml"
    assert f"check page {site.rtc_url}/check; for a link, on wiki1: {command}" in text
    link = f"{site.rtc_url}/check#{'x' * 400}"
    lines = report_text.render_report(plan, Outcome(links={site.name: link})).splitlines()
    assert f"  check page {link}" in lines  # whole, to be copied
    assert command not in "\n".join(lines)
    plan.hosts["wiki1"].rtc[0].service = "builtin"
    assert "check page" not in report_text.render_report(plan, Outcome())


def test_restarts_that_are_left(base):
    plan = make_plan(base("same_host"))
    left = {"wiki1": [{"service": "confluence", "reasons": ["server.xml is newer than the process 700"]}]}
    text = report_text.render_report(plan, Outcome(restarts_left=left))
    assert "Restarts that are left to you\n  wiki1: confluence: server.xml is newer than the process 700" in text


def test_muted_findings_stay_visible():
    plan = Plan(
        findings=[
            Finding("RTC603", "warning", "proxy1", "firewalld runs.", remedy="Open it.", muted="managed elsewhere")
        ]
    )
    text = report_text.render_plan(plan)
    assert "– RTC603 proxy1: muted: managed elsewhere" in text
    assert "0 warnings" in text


def test_nothing_to_say():
    text = report_text.render_plan(Plan())
    assert "No application is among the hosts of this run" in text
    assert "No findings." in text


def test_the_message_of_a_stopped_run():
    finding = Finding(
        "RTC501", "error", "wiki1", "Port 9083 is in use by node (pid 77).", ["seen here"], "Stop that process."
    )
    text = report_text.render_errors([finding])
    assert text.splitlines() == [
        "1 error; nothing was changed.",
        "  ✗ RTC501 wiki1: Port 9083 is in use by node (pid 77).",
        "      seen:   seen here",
        "      remedy: Stop that process.",
    ]


def test_a_run_that_takes_all_away_says_what_came_of_it():
    plan = Plan(
        absent=True, hosts={"wiki1": HostPlan("wiki1", work=[Work("wiki:9083", "remove", "vhost x", "vhost x")])}
    )
    changed = Outcome(changes={"wiki1": ["Take away the virtual hosts"]})
    assert "What there was to take away is taken away." in report_text.render_report(plan, changed)
    assert "There is 1 thing of this collection to take away." in report_text.render_report(plan, changed, True)
    stopped = Outcome(stopped={"wiki:9083": "its proxy px was not seen"})
    told = report_text.render_report(plan, stopped)
    assert "There is 1 thing of this collection to take away." in told
    assert "wiki:9083: its proxy px was not seen" in told


def test_what_the_limit_leaves_out_is_told_where_all_is_taken_away_too():
    plan = Plan(absent=True, left_out=["px"], hosts={"wiki1": HostPlan("wiki1")})
    assert "There is nothing to take away. The limit leaves out px: what is there stays." in report_text.render_plan(
        plan
    )
    assert "Left out by the limit: px" in report_text.render_report(plan, Outcome(changes={"wiki1": ["x"]}))
