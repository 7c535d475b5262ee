"""Change one's mind about hosts, and print what came of it: change × (planned, applied, verified, left, undone).

    table.py [--rows WORDS]        the rows whose name has one of the words, "kills" and "uninstall" among them;
                                   RTC_OPERATE=short: the short form; RTC_OPERATE_KILLS: how many
    table.py --list

Each row changes the inventory or a host, looks at the plan, applies it, looks at what is left on the hosts, and rolls
the run back: every file below /etc, server.xml, setenv.sh and trust stores have to be what they were, to the byte. A ✗
is a cell that is not as it has to be; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable

import kills
from playing import (
    CREATED,
    HOSTS,
    OUT,
    PLAYBOOK,
    RECORD,
    SCENARIO,
    SITES,
    TRACKER,
    WIKI,
    Cells,
    Row,
    Snapshot,
    compare,
    execute,
    is_served,
    no_port,
    play,
    take_snapshot,
)

IS_SHORT = os.environ.get("RTC_OPERATE") == "short"
RTC_VHOST = f"{SITES}/rtc-confluence-wiki.lab.test-9083.conf"
XML = "/opt/atlassian/confluence/conf/server.xml"


OLD_VHOST_GONE = f"! test -e {RTC_VHOST} && ! ls /etc/nginx/sites-available | grep -q rtc-confluence"
EDIT = f"sed -i 's/^ *server_name.*/&  # edited/' {RTC_VHOST}"
LEASE = 'mkdir -p /var/lib/collab-rtc/lease && echo \'{"run": "other", "user": "ben@elsewhere", "since": %d}\''
LEASE = (LEASE % time.time()) + " >/var/lib/collab-rtc/lease/lease.json"

DIRECT = {
    **{"rtc_server_name": "direct.lab.test", "rtc_proxy": "none", "rtc_proxy_kind": ""},
    **{"rtc_manage_application_vhost": False, "rtc_tls_certificate": "", "rtc_tls_key": "", "rtc_tls_ca": ""},
}
RELOAD = "systemctl reload nginx"
# What a site has on the hosts of two; the others' has to stay as the run left it.
PARTS = {WIKI: {"wiki": "", "front": r"wiki\.|other\.|confluence"}}
BOTH = {"wiki": {"rtc_server_name": "other.lab.test"}, "tracker": {"rtc_port": 9095}}
# nginx answers 503 to one name after a dozen requests: enough for the module that writes the virtual host, too few for
# the checks of that site.
LIMIT = "/etc/nginx/conf.d/limit.conf"
BREAK = f"""printf '%s\n' 'map $host $slow {{ other.lab.test x; }}' 'limit_req_zone $slow zone=slow:1m rate=1r/m;' \
    'limit_req zone=slow burst=12 nodelay;' >{LIMIT}; {RELOAD}"""
# And to that name not even the first one passes.
BLOCK = BREAK.replace(" burst=12 nodelay", "")
# The switch in the page of the add-on.
SWITCH = "/opt/atlassian/jira/atlassian-jira/rtc-lab/off"
ON, OFF = f"rm -f {SWITCH}", f"touch {SWITCH} && systemctl restart jira"
OFF += " && timeout 200 sh -c 'until ss -ltn | grep -q :8080; do sleep 1; done'"
BUILTIN = {"tracker": {"rtc_service": "builtin"}}
IS_BUILTIN = "! test -e /etc/rtc-server/jira.toml && ss -ltnp | grep ':9093 ' | grep -q java"
IS_DEPLOYED = "test -e /etc/rtc-server/jira.toml && ss -ltnp | grep ':9093 ' | grep -vq java"
NO_NAME = f"! grep -q 'proxyName=\"wiki' {XML}"

ROWS = [
    Row("nothing (converged)", planned=("on front: nothing to do", "on wiki: nothing to do"), undo=False),
    Row("another RTC port", {"wiki": {"rtc_port": 9085}}, served=("wiki.lab.test:9085", TRACKER),
        planned=(r"\+ nginx rtc-confluence-wiki.lab.test-9085", "- vhost nginx rtc-confluence-wiki.lab.test-9083"),
        gone={"front": f"{no_port(9083)} && ! ls /etc/nginx/* | grep -q 9083", "wiki": no_port(9083)}),
    Row("another server name", {"wiki": {"rtc_server_name": "other.lab.test"}}, served=("other.lab.test:9083", TRACKER),
        planned=("- file /etc/rtc-proxy/wiki.lab.test/privkey.pem", r"\+ nginx confluence-other.lab.test-443"),
        gone={"front": "! test -e /etc/rtc-proxy/wiki.lab.test && ! grep -rl wiki.lab.test /etc/nginx"}),
    Row("another application port", {"wiki": {"rtc_application_port": 8443}},
        planned=(r"\+ nginx confluence-wiki.lab.test-8443", "- vhost nginx confluence-wiki.lab.test-443"),
        gone={"wiki": f"grep -q 'proxyPort=\"8443\"' {XML}",
              "front": "ss -ltn | grep -q ':8443 ' && ! grep -rl 'confluence-wiki.lab.test-443' /etc/nginx"}),
    Row("deployed to builtin", BUILTIN, add_on=True, setup={"tracker": ON}, planned=("RTC710", "- .*instance jira"),
        gone={"tracker": IS_BUILTIN}, before_undo={"tracker": OFF}),
    Row("builtin to deployed", base=BUILTIN, add_on=True, setup={"tracker": ON}, edit={"tracker": OFF},
        planned=(r"\+ RTC server: jira",), gone={"tracker": IS_DEPLOYED}, before_undo={"tracker": ON},
        cleanup={"tracker": OFF}),
    Row("another kind of proxy", {"wiki": {"rtc_proxy_kind": "apache"}, "tracker": {"rtc_proxy_kind": "apache"}},
        setup={"front": f"rm -f {SITES}/default; systemctl reload nginx"},  # whose port 80 Apache would want
        planned=(r"\+ apache rtc-confluence", "- vhost nginx rtc-confluence"),
        gone={"front": f"! ls {SITES} | grep -q lab.test && ss -ltnp | grep ':9083 ' | grep -q apache2"}),
    Row("no proxy any more", {"wiki": DIRECT}, served=("direct.lab.test:9083", TRACKER),
        planned=("- vhost nginx rtc-confluence", "- file /etc/rtc-proxy/wiki.lab.test/fullchain.pem", "- trust"),
        gone={"front": f"{no_port(9083)} && {OLD_VHOST_GONE} && ! test -e /etc/rtc-proxy/wiki.lab.test",
              "wiki": NO_NAME},
        # The lab has no names on the controller: it connects where they point to, and they point to the proxy again.
        undo_arguments=("-e", "rtc_verify_address=10.147.90.13")),
    Row("one of two sites is to have nothing", {"wiki": {"rtc_state": "absent"}}, served=(TRACKER,), short=True,
        planned=("- front: vhost nginx rtc-confluence", "- wiki: instance confluence", "- wiki: connector"),
        gone={"front": f"{no_port(9083)} && {OLD_VHOST_GONE} && test -e {SITES}/rtc-jira-tracker.lab.test-9093.conf",
              "wiki": f"{no_port(9083)} && ! test -e /etc/rtc-server/confluence.toml && {NO_NAME}"}),
    Row("two sites on one proxy, one rolled back", BOTH, served=("other.lab.test:9083", "tracker.lab.test:9095"),
        planned=(r"\+ nginx rtc-confluence-other.lab.test-9083", r"\+ nginx rtc-jira-tracker.lab.test-9095"),
        undo_site="other.lab.test"),
    Row("a site that fails its checks, rolled back by itself", BOTH, edit={"front": BREAK}, status=2, words="RTC706",
        planned=(r"\+ nginx rtc-confluence-other.lab.test-9083",),
        served=("other.lab.test:9083", "tracker.lab.test:9095"),  # after the rollback, by what it had before
        gone={"front": f"test -e {RTC_VHOST} && ls {SITES} | grep -q 9095", "wiki": "systemctl is-active confluence"},
        undo_site="self", cleanup={"front": f"rm -f {LIMIT}; {RELOAD}"}),
    Row("two sites on one proxy, one is blocked", BOTH, edit={"front": BLOCK}, status=2, words="does not take it",
        planned=(r"\+ nginx rtc-confluence-other.lab.test-9083",), served=("tracker.lab.test:9095",),
        gone={"front": f"test -e {RTC_VHOST} && ls {SITES} | grep -q 9095 && ! test -e /etc/rtc-proxy/other.lab.test"
              f" && ! grep -q other.lab.test {RECORD} && grep -q 9095 {RECORD}",
              "wiki": "systemctl is-active confluence"},
        undo_site="self", cleanup={"front": f"rm -f {LIMIT}; {RELOAD}"}),
    Row("an edit by hand", edit={"front": EDIT}, planned=("✗ nginx rtc-confluence", "edited"), status=2,
        words="RTC702", served=(TRACKER,), undo=False, short=True,
        gone={"front": f"grep -q '# edited' {RTC_VHOST}"}, cleanup={"front": f"sed -i 's/  # edited$//' {RTC_VHOST}"}),
    Row("an edit by hand, overwritten", {"wiki": {"rtc_conflicts": "overwrite"}}, edit={"front": EDIT},
        planned=("~ nginx rtc-confluence",),
        gone={"front": f"! grep -q '# edited' {RTC_VHOST} && grep -rq '# edited' /var/lib/collab-rtc/undo"},
        cleanup={"front": f"sed -i 's/  # edited$//' {RTC_VHOST}"}),
    Row("an attribute by hand", edit={"wiki": f"sed -i 's/proxyPort=\"443\"/proxyPort=\"8443\"/' {XML}"}, status=2,
        planned=('✗ .*proxyPort="443"',), words="RTC702", served=(TRACKER,), undo=False,
        gone={"wiki": f"grep -q 'proxyPort=\"8443\"' {XML}"},
        cleanup={"wiki": f"sed -i 's/proxyPort=\"8443\"/proxyPort=\"443\"/' {XML}"}),
    Row("another run holds the lease", edit={"front": LEASE}, status=2, words="run other of ben@elsewhere", served=(),
        undo=False, cleanup={"front": "rm -r /var/lib/collab-rtc/lease"}),
    Row("the record is damaged", edit={"front": f"cp {RECORD} /root/kept; echo '{{' >{RECORD}"}, status=2,
        words="RTC701", served=(), undo=False, cleanup={"front": f"cat /root/kept >{RECORD}"}),
    Row("the host is a clone", {"wiki": {"rtc_port": 9085}}, served=("wiki.lab.test:9085", TRACKER), undo=False,
        edit={"front": "cp /etc/machine-id /root/id; echo 0123456789abcdef0123456789abcdef >/etc/machine-id"},
        words="RTC704|No findings", planned=("RTC704",), gone={"front": f"test -e {RTC_VHOST}"},
        cleanup={"front": f"cat /root/id >/etc/machine-id; rm -f /etc/nginx/*/*9085.conf; {RELOAD}"}),
]  # fmt: skip


def judge_plan(row: Row) -> tuple[bool, str]:
    _status, output, _report = play("plan", row)
    text = " ".join(output.split())
    missing = [pattern for pattern in row.planned if not re.search(pattern, text)]
    return not missing, f"not in the plan: {', '.join(missing)}" if missing else ""


def compare_part(before: Snapshot, after: Snapshot, site: str) -> list[str]:
    """What is not as it has to be when one site is undone: its files as before the run, all others as after it."""
    now, found = take_snapshot(), []
    for host in HOSTS:
        pattern = PARTS[site].get(host)
        for line in sorted((before[host] | after[host]) - (before[host] & after[host])):
            path = line.split(" ", 1)[1]
            wanted = before if pattern is not None and re.search(pattern, path) else after
            if (line in wanted[host]) != (line in now[host]):
                found.append(f"{host} {path}")
        known = {line.split(" ", 1)[1] for line in before[host] ^ after[host]}
        found += [f"{host} {path}" for path in {one.split(" ", 1)[1] for one in now[host] ^ after[host]} - known]
    return sorted(set(found))


def compare_self(before: Snapshot, site: str) -> list[str]:
    """What a site that was rolled back has not as it was."""
    now, found = take_snapshot(), []
    for host, pattern in PARTS[site].items():
        other = before[host] ^ now[host]
        found += sorted({f"{host} {line.split(' ', 1)[1]}" for line in other if re.search(pattern, line)})
    return found


def judge_run(row: Row, before: Snapshot) -> Cells:
    """Applied, verified, nothing left."""
    status, output, report = play(row.playbook, row, *row.arguments)
    said = bool(re.search(row.words, " ".join(output.split())))
    why = f"exit status {status}" * (status != row.status) + f" not said: {row.words}" * (not said)
    not_served = [site for site in row.served if not is_served(site, report)]
    left = [f"{host}: {command}" for host, command in row.gone.items() if execute(host, command, False)[0] != 0]
    left += compare_self(before, WIKI) if row.undo_site == "self" else []
    return [
        (not why, why),
        (not not_served, f"not served: {', '.join(not_served)}" if not_served else ""),
        (not left, "; ".join(left)),
    ]


def judge_part(row: Row, before: Snapshot) -> list[str]:
    """Undo one site of the run alone: to the byte, and again there is nothing to do."""
    after = take_snapshot()
    site = ["-e", f"rtc_undo_site={row.undo_site}"]
    status, output, _report = play("rollback", row, *site)
    problems = [f"the rollback of the site ended with {status}"] * (status != 0)
    problems += [f"not checked: {WIKI}"] * (f"{WIKI}: 7 checks passed" not in output)
    problems += compare_part(before, after, WIKI)[:6]
    again, words, _report = play("rollback", row, *site)
    problems += [f"a second rollback of the site ended with {again}"] * (again != 0 or "undone already" not in words)
    return problems


def judge_undo(row: Row, before: Snapshot) -> tuple[bool, str]:
    """Roll the run back: everything is as it was, the sites are served, and a second rollback has nothing to do."""
    for host, commands in row.before_undo.items():
        execute(host, commands)
    part = judge_part(row, before) if row.undo_site not in ("", "self") else []
    status, output, _report = play("rollback", row, *row.undo_arguments)
    other = part + compare(before)
    base = Row(row.name, row.base)
    verified, report = 0, {"checks": "the rollback's own"}
    if not IS_SHORT or "checks passed" not in output:
        verified, _text, report = play("verify", base)
    again, words, _report = play("rollback", row, *row.undo_arguments)
    nothing = "undone already" in words or "nothing" in words.lower()
    problems = [f"rollback ended with {status}"] * (status != 0) + other[:6]
    problems += [f"verify ended with {verified}"] * (verified != 0 and not row.edit)
    problems += [f"a second rollback ended with {again}"] * (again != 0 or not nothing)
    return not problems and bool(report), "; ".join(problems)


def try_row(row: Row) -> Cells:
    if row.add_on:
        subprocess.run([*PLAYBOOK, SCENARIO / "addon.yml"], cwd=SCENARIO, check=True, capture_output=True)
    for host, commands in row.setup.items():
        execute(host, commands)
    if row.base:
        play("site", Row("base", row.base))
    before = take_snapshot()
    for host, commands in row.edit.items():
        execute(host, commands)
    edited = take_snapshot() if row.edit else before
    try:
        cells = [judge_plan(row), *judge_run(row, edited)]
        if row.undo:
            cells.append(judge_undo(row, edited))
        else:
            cells.append((True, "not undone: nothing was made"))
    finally:
        for host, commands in row.cleanup.items():
            execute(host, commands)
        if not row.undo or row.edit or row.base:
            play("site", Row("back"))
    return cells


def try_uninstall(fresh: Snapshot) -> Cells:
    """Take everything away: what is left is what uninstall.yml says."""
    row = Row("uninstall")
    status, output, _report = play("uninstall", row)
    kinds = ("front: vhost nginx", "tracker: instance jira", "wiki: trust", "wiki: connector", "front: file")
    planned = all(f"- {kind}" in output for kind in kinds)
    other = [line for line in compare(fresh) if "lab.test" in line or "/etc/nginx/" not in line]  # links of its package
    ours = [("wiki", "/opt/rtc-server"), ("wiki", "/etc/rtc-server"), ("front", "/etc/rtc-proxy")]
    ours += [(host, RECORD) for host in HOSTS]
    left = [f"{host}: {path}" for host, path in ours if execute(host, f"test -e {path}", False)[0] == 0]
    served = []
    for host, port in (("wiki", 8090), ("tracker", 8080)):
        ask = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:{port}/').status)"
        code = execute(host, f'python3 -c "{ask}"', False)[1]
        served += [f"{host}: {code or 'no answer'}"] * (code != "200")
    if IS_SHORT:
        back, again = 0, True
    else:
        back, _output, report = play("site", Row("back"))
        again = back == 0 and all(is_served(site, report) for site in (WIKI, TRACKER))
    return [
        (planned, "" if planned else "not all is in the plan"),
        (status == 0, "" if status == 0 else f"exit status {status}"),
        (not served, ", ".join(served)),
        (not other and not left, "; ".join([*other[:8], *left])),
        (again, "" if again else f"a new run ended with {back}"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", default=[], metavar="WORD")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    short = IS_SHORT
    rows = [row for row in ROWS if not options.rows or any(word in row.name for word in options.rows)]
    rows = [row for row in rows if row.short or not short]
    if options.list:
        print("\n".join([*(row.name for row in rows), "uninstall"]))
        return 0
    OUT.mkdir(parents=True, exist_ok=True)
    fresh_file = OUT / "fresh.json"
    if not fresh_file.exists() or fresh_file.stat().st_mtime < CREATED.stat().st_mtime:
        fresh_file.write_text(json.dumps({host: sorted(lines) for host, lines in take_snapshot().items()}))
    fresh = {host: set(lines) for host, lines in json.loads(fresh_file.read_text()).items()}
    status, output, _report = play("site", Row("first run"))
    if status != 0:
        print(output)
        return 1
    wrong = 0
    results: list[tuple[str, Cells, float]] = []
    work: list[tuple[str, Callable[[], Cells]]] = [(row.name, lambda row=row: try_row(row)) for row in rows]
    number = int(os.environ.get("RTC_OPERATE_KILLS", "0" if short else "30"))
    more = [(f"kills of {name} ({points})", function) for name, points, function in kills.list_tries(number)]
    more.append(("uninstall", lambda: try_uninstall(fresh)))
    work += [one for one in more if not options.rows or any(word in one[0] for word in options.rows)]
    for name, function in work:
        began = time.monotonic()
        cells = function()
        results.append((name, cells, time.monotonic() - began))
        wrong += not all(good for good, _why in cells)
        print(name, *("✓" if good else f"✗ {why}" for good, why in cells), file=sys.stderr, flush=True)
    width = max(len(name) for name, _cells, _took in results)
    print(f"{'':{width}}  planned  applied  verified  nothing left  undone")
    for name, cells, took in results:
        marks = ["✓" if good else "✗" for good, _why in cells]
        planned, applied, verified, left, undone = marks
        print(f"{name:{width}}  {planned:^7}  {applied:^7}  {verified:^8}  {left:^12}  {undone:^6}  {took:5.0f} s")
        for good, why in cells:
            if not good:
                print(f"    {why}")
    print(f"{len(results)} rows, {wrong} with ✗")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
