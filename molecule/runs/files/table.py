"""Run the playbooks while something fails, and print what came of it: failure × (exit status, report, other sites).

    table.py [--rows WORDS]        the rows whose name has one of the words; RTC_RUNS=short: the short form
    table.py --list

Each row breaks hosts of the scenario, runs a playbook as an administrator would, looks at exit status, report and
hosts, and mends what it broke. A ✗ is a row that did not end as it has to; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = ROOT / "molecule/runs"
OUT = ROOT / ".build/molecule/runs/table"
NAMES = {"wiki": "wiki.lab.test:9083", "alone": "alone.lab.test:9083", "tracker": "tracker.lab.test:9093"}
HOSTS = {"wiki": ["node1", "node2"], "alone": ["alone"], "tracker": ["tracker"]}
SERVICE = {"wiki": "confluence", "alone": "confluence", "tracker": "jira"}

TOML = "/etc/rtc-server/confluence.toml"
# A step that writes this file fails, and all before it are done.
BLOCK = f"rm -f {TOML}; mkdir -p {TOML}"
UNBLOCK = f"rmdir {TOML} 2>/dev/null; true"
# An RTC server that is written, and does not start.
DROP_IN = "/etc/systemd/system/rtc-server@confluence.service.d/99-broken.conf"
FALSE = (
    f"mkdir -p $(dirname {DROP_IN}); (echo '[Service]'; echo ExecStartPre=/bin/false) >{DROP_IN};"
    " systemctl daemon-reload"
)
TRUE = f"rm -f {DROP_IN}; systemctl daemon-reload"
# A connector that does not announce the proxy: whether it does afterwards shows if it was touched.
SERVER_XML = "/opt/atlassian/confluence/conf/server.xml"
SILENT = f"cp -p {SERVER_XML} /root/server.xml; sed -i 's/ proxyName=.wiki.lab.test.//' {SERVER_XML}"
SPEAKING = f"cp -p /root/server.xml {SERVER_XML}"
OVERWRITE = ["-e", "rtc_conflicts=overwrite"]
FREE = "! test -e /var/lib/collab-rtc/lease"
IS_SILENT = f"! grep 'proxyName=.wiki' {SERVER_XML} && {FREE}"
# A virtual host that is to be written, and is not there.
NO_VHOST = (
    "rm -f /etc/nginx/sites-*/rtc-confluence-*; systemctl reload nginx;"
    " while (echo >/dev/tcp/127.0.0.1/9083) 2>/dev/null; do sleep 0.1; done"
)
HAS_NO_VHOST = f"! ls /etc/nginx/sites-*/rtc-confluence-* 2>/dev/null && {FREE}"
# What the proxy has for all its virtual hosts, and no browser accepts beside RTC's own header.
SHARING = "/etc/nginx/conf.d/00-sharing.conf"
IN_THE_WAY = f"echo 'add_header Access-Control-Allow-Origin *;' >{SHARING}; {NO_VHOST}"
AWAY = f"rm -f {SHARING}; systemctl reload nginx"
# A site with something to do: a service that does not run, and has no configuration.
UNDO = (
    "systemctl stop rtc-server@{service}; cd /etc/systemd/system; rm -f /etc/rtc-server/{service}.toml"
    " rtc-server@{service}.socket rtc-server@{service}.service.d/socket.conf; systemctl daemon-reload"
)
# The host is lost as soon as the file is written, in the middle of a run.
CUT = (
    "mkdir -p /run/systemd/system; printf '[Path]\\nPathChanged=/etc/rtc-server\\n' >/run/systemd/system/cut.path;"
    " printf '[Service]\\nType=oneshot\\nExecStart=/bin/systemctl stop ssh\\nExecStart=-/usr/bin/pkill -KILL sshd\\n'"
    " >/run/systemd/system/cut.service; systemctl daemon-reload; systemctl start cut.path"
)
MEND = "systemctl stop cut.path 2>/dev/null; systemctl start ssh"
# A restart that is due, of an application that does not start: a handler fails.
START = "/opt/atlassian/confluence/bin/start-confluence.sh"
STUCK = f"touch /opt/atlassian/confluence/conf/server.xml; chmod a-x {START}"
UNSTUCK = (
    f"chmod a+x {START}; systemctl restart confluence;"
    " for i in $(seq 100); do (echo >/dev/tcp/127.0.0.1/8090) 2>/dev/null && break; sleep 0.5; done"
)
ASKER = (
    "id asker >/dev/null 2>&1 || useradd -m -s /bin/bash -G sudo asker; echo asker:secret | chpasswd;"
    " install -d -o asker -m 0700 ~asker/.ssh; install -o asker -m 0600 ~admin/.ssh/authorized_keys ~asker/.ssh/"
)


@dataclass
class Row:
    """One failure, and how a run has to end with it."""

    name: str
    status: int
    setup: dict[str, str] = field(default_factory=dict)  # host -> commands of its shell
    cleanup: dict[str, str] = field(default_factory=dict)
    playbook: str = "site"
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)  # host -> variables of one more inventory
    shared: dict[str, Any] = field(default_factory=dict)  # variables of its group all
    failed: set[str] = field(default_factory=set)  # hosts that the report names as failed
    words: str = ""  # a pattern of the output
    served: set[str] = field(default_factory=set)  # sites whose work is done and whose checks pass
    untouched: set[str] = field(default_factory=set)  # sites that nothing was done for
    holds: dict[str, str] = field(default_factory=dict)  # host -> commands that succeed there afterwards
    short: bool = False


# What becomes root on the controller fails where that has no sudo; also where root runs this.
PLAIN_FACTS = {"ANSIBLE_INJECT_FACT_VARS": "false", "ANSIBLE_BECOME_ALLOW_SAME_USER": "true"}

ROWS = [
    Row("strategy free, nothing fails", 0, environment={"ANSIBLE_STRATEGY": "free"},
        served={"wiki", "alone", "tracker"}),
    Row("half of the hosts unreachable", 2, variables={"alone": {"ansible_port": 1}, "front": {"ansible_port": 1}},
        failed={"alone", "front"}, words="its proxy front was not seen", served={"tracker"}, untouched={"wiki"},
        short=True),
    Row("one host without Python", 2, variables={"alone": {"ansible_python_interpreter": "/usr/bin/python3.0"}},
        failed={"alone"}, words="Install Python 3.8", served={"wiki", "tracker"}),
    Row("one host whose sudo asks", 2, setup={"alone": ASKER}, variables={"alone": {"ansible_user": "asker"}},
        failed={"alone"}, words="-K", served={"wiki", "tracker"}, untouched={"alone"}),
    Row("one host fails in the middle", 2, setup={"alone": BLOCK}, cleanup={"alone": UNBLOCK}, failed={"alone"},
        words="Run the RTC server", served={"wiki", "tracker"}),
    Row("the first node of a site fails", 2, setup={"node1": BLOCK}, cleanup={"node1": UNBLOCK}, failed={"node1"},
        words="its host node1 failed", served={"alone", "tracker"}, untouched={"node2"}),
    Row("an RTC server behind a proxy does not start", 2,
        setup={"node1": f"{FALSE}; {SILENT}", "node2": SILENT, "front": NO_VHOST},
        cleanup={"node1": f"{TRUE}; {SPEAKING}", "node2": SPEAKING}, failed={"node1"},
        words="its host node1 failed: Run the RTC server", arguments=OVERWRITE, served={"alone", "tracker"},
        untouched={"node2"},
        holds={"node1": IS_SILENT, "node2": IS_SILENT, "front": HAS_NO_VHOST}, short=True),
    Row("RTC does not pass the proxy of a site", 2, setup={"front": IN_THE_WAY, "node1": SILENT, "node2": SILENT},
        cleanup={"front": AWAY, "node1": SPEAKING, "node2": SPEAKING}, failed={"front"}, arguments=OVERWRITE,
        words="its proxy front failed: Write the virtual hosts.*RTC does not pass it", served={"alone", "tracker"},
        holds={"node1": IS_SILENT, "node2": IS_SILENT, "front": HAS_NO_VHOST}),
    Row("a proxy is written when RTC runs behind it", 0, setup={"front": NO_VHOST},
        words="applied: polling and WebSocket pass nginx on front", served={"wiki", "alone", "tracker"}),
    Row("an application does not start again", 2, setup={"alone": STUCK}, cleanup={"alone": UNSTUCK}, failed={"alone"},
        arguments=["-e", "restart_timeout=6"], words="Restart the application|Wait until the application answers",
        served={"wiki", "tracker"}),
    Row("one host is lost in the middle", 2, setup={"alone": CUT}, cleanup={"alone": MEND}, failed={"alone"},
        words="Run the RTC server", served={"wiki", "tracker"}, short=True),
    Row("one failure is the most (rtc_max_failures)", 2, setup={"alone": BLOCK}, cleanup={"alone": UNBLOCK},
        arguments=["-e", "rtc_max_failures=1"], failed={"alone"}, words="rtc_max_failures is 1", served={"wiki"},
        untouched={"tracker"}),
    Row("an unreachable host is accepted (muted)", 0, served={"wiki", "tracker"},
        variables={"alone": {"ansible_port": 1, "rtc_ignore_findings": [{"id": "RTC001", "reason": "in repair"}]}}),
    Row("a limit without a host of ours", 2, arguments=["--limit", "printer"],
        words="None of the hosts of this run is in the groups", untouched={"tracker"}, short=True),
    Row("a limit with the proxy alone", 2, arguments=["--limit", "front"],
        words="The limit leaves out node1, node2, alone, tracker", untouched={"tracker"}, short=True),
    Row("verify of one host, its service stopped", 2, playbook="verify", arguments=["--limit", "alone"],
        words="cause:", untouched={"alone"}, short=True),
    Row("--start-at-task", 2, arguments=["--start-at-task", "Report"], words="choose what follows the plan with --tags",
        untouched={"tracker"}),
    Row("become for all, facts not as variables", 0, environment=PLAIN_FACTS,
        shared={"ansible_become": True}, served={"wiki", "alone", "tracker"}),
    Row("another callback (minimal)", 0, environment={"ANSIBLE_STDOUT_CALLBACK": "minimal"},
        served={"wiki", "alone", "tracker"}),
]  # fmt: skip


def execute(host: str, commands: str, check: bool = True) -> str:
    """Run commands in a host's shell as root, without SSH."""
    command = ["podman", "exec", f"rtc-runs-{host}", "bash", "-c", commands]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise SystemExit(f"{host}: {commands}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def give_work() -> None:
    """Every site has something to do again."""
    for site, hosts in HOSTS.items():
        for host in hosts:
            execute(host, UNDO.format(service=SERVICE[site]))


def run(row: Row) -> tuple[int, str, dict[str, Any]]:
    """Exit status, output and report of the row's playbook."""
    report, more = OUT / "report.json", OUT / "more.yml"
    report.unlink(missing_ok=True)
    hosts = {"printer": {"ansible_host": "127.0.0.1", "ansible_port": 1}, **row.variables}
    more.write_text(json.dumps({"all": {"hosts": hosts, "vars": row.shared}}))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", SCENARIO / "inventory/hosts.yml", "-i", more]
    command += [f"collab.rtc.{row.playbook}", "-e", f"rtc_report_file={report}", *row.arguments]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", **row.environment}
    done = subprocess.run(
        list(map(str, command)), cwd=SCENARIO, env=environment, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    (OUT / f"{re.sub('[^a-z]+', '-', row.name.lower())}.log").write_text(output)
    return done.returncode, output, json.loads(report.read_text()) if report.exists() else {}


def is_served(site: str, report: dict[str, Any]) -> bool:
    """Whether the site's work is done: its service runs on each node, and the run's own checks passed."""
    running = [execute(host, f"systemctl is-active rtc-server@{SERVICE[site]}", False) for host in HOSTS[site]]
    checks = report.get("checks", {}).get(NAMES[site], [])
    return set(running) == {"active"} and bool(checks) and all(check["ok"] is not False for check in checks)


def is_untouched(name: str) -> bool:
    """Whether nothing was done on the hosts of a site, or on a host: the service is still without configuration."""
    hosts = HOSTS.get(name, [name])
    service = SERVICE.get(name, "confluence")
    return all(execute(host, f"test -e /etc/rtc-server/{service}.toml; echo $?") == "1" for host in hosts)


def judge(row: Row, status: int, output: str, report: dict[str, Any]) -> list[tuple[bool, str]]:
    """Three verdicts with what was seen: exit status, report, other sites."""
    named = set(report.get("failures", {}))
    said = bool(re.search(row.words, " ".join(output.split())))
    served = {site for site in row.served if is_served(site, report)}
    touched = {name for name in row.untouched if not is_untouched(name)}
    others = [f"{site} served" for site in sorted(served)] + [f"{site} NOT served" for site in row.served - served]
    states = {host: execute(host, f"({commands}) >/dev/null; echo $?") for host, commands in row.holds.items()}
    changed = [host for host, state in states.items() if state != "0"]
    others += [f"{host} {'CHANGED' if host in changed else 'as it was'}" for host in row.holds]
    others += [f"{name} untouched" for name in sorted(row.untouched - touched)] + [
        f"{name} TOUCHED" for name in touched
    ]
    told = f"failed: {', '.join(sorted(named)) or 'none'}" + ("" if said else f"; NOT SAID: {row.words}")
    return [
        (status == row.status, str(status)),
        (named == row.failed and said, told),
        (served == row.served and not touched and not changed, ", ".join(others)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", default=[], metavar="WORD")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    short = os.environ.get("RTC_RUNS") == "short"
    rows = [row for row in ROWS if not options.rows or any(word in row.name for word in options.rows)]
    rows = [row for row in rows if row.short or not short]
    if options.list:
        print("\n".join(row.name for row in rows))
        return 0
    OUT.mkdir(parents=True, exist_ok=True)
    lines, wrong = [], 0
    for row in rows:
        started = time.monotonic()
        give_work()
        for host, commands in row.setup.items():
            execute(host, commands)
        try:
            verdicts = judge(row, *run(row))
        finally:
            for host, commands in row.cleanup.items():
                execute(host, commands)
        wrong += not all(right for right, _seen in verdicts)
        cells = [f"{'✓' if right else '✗'} {seen}" for right, seen in verdicts]
        lines.append(f"{row.name:<44}{cells[0]:<6}{cells[1]:<28}{cells[2]}")
        print(f"{lines[-1]}  ({time.monotonic() - started:.0f} s)", flush=True)
    print(f"\n{'failure':<44}{'exit':<6}{'report':<28}other sites\n" + "\n".join(lines))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
