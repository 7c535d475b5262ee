"""Write through each proxy while nodes, proxy and store come and go, and print how long the clients waited.

    table.py [--rounds WORDS] [--steps WORDS]    those whose name has one of the words
    table.py --list

RTC_CLUSTER=short is the short form: two nodes, no standby, one round, no runs while clients write.

A round gives the sites a kind of proxy and its protocols. Then clients write through it over every transport, the
browsers' own library among them, while one thing after another happens. At the end of the round each acknowledged
change has to be in the store once, in the order in which all saw it. A ✗ is a row that is not so, or where somebody
waited too long; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path[1:1] = [
    str(ROOT / path) for path in (".build/src", "files/rtc_server/src", "tests", "tests/hosts", "tests/rtc_server")
]

import hosts  # noqa: E402
import listener  # noqa: E402
import moving  # noqa: E402
import people  # noqa: E402
import rtc_support  # noqa: E402
import scenario  # noqa: E402
import sites_table  # noqa: E402
import yaml  # noqa: E402
from hosts import FRONT, NODES, OUT, PORTS, STATE, Store, execute, find_changed, wait_for  # noqa: E402
from proxies import cluster  # noqa: E402

from ansible_collections.collab.rtc.plugins.plugin_utils._plan.labels import label_nodes  # noqa: E402
from rtc_server.auth import Tokens  # noqa: E402

IS_SHORT = os.environ.get("RTC_CLUSTER") == "short"
SCENARIO = yaml.safe_load((hosts.SCENARIO / "inventory/group_vars/all/20-scenario.yml").read_text())
NAMES = {"confluence": "wiki.lab.test", "jira": "tracker.lab.test"}
DATABASES = {"confluence": "wiki", "jira": "tracker"}
PACKAGES = {"nginx": "nginx", "apache": "apache2", "haproxy": "haproxy"}
LABELS = label_nodes(NODES)
Rows = tuple[list[str], list[str], int]  # of the table of sites; of what happened; how many of them are bad
WRITERS = 6  # of each site, beside those with the browsers' library
EACH = 8  # acknowledgements that each gets after whatever happened
MOST = 30.0  # seconds that one may wait


@dataclass
class Site:
    """One of the two, as a round has it."""

    product: str
    kind: str
    protocol: str

    @property
    def name(self) -> str:
        return NAMES[self.product]

    @property
    def origin(self) -> str:
        return f"http{'' if self.protocol == 'HTTP' else 's'}://{self.name}"

    @property
    def url(self) -> str:
        return f"{self.origin}:{PORTS[self.product]}"


@dataclass
class Round:
    """A kind of proxy, and the protocol of each site behind it."""

    kind: str
    protocols: dict[str, str]
    short: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind}, Confluence {self.protocols['confluence']}, Jira {self.protocols['jira']}"

    @property
    def sites(self) -> list[Site]:
        return [Site(product, self.kind, protocol) for product, protocol in self.protocols.items()]

    def variables(self, **more: dict[str, Any]) -> dict[str, Any]:
        """A further inventory: what the round sets on all hosts, and more of some."""
        certificates = {site.product: STATE / "pki" / site.name for site in self.sites if site.protocol != "HTTP"}

        def of(file: str) -> dict[str, str]:
            return {p: str(certificates[p] / file) if p in certificates else "" for p in self.protocols}

        common = {
            **{"rtc_proxy_kind": self.kind, "rtc_protocol": self.protocols},
            **{"rtc_tls_certificate": of("fullchain.pem"), "rtc_tls_key": of("privkey.pem")},
            "rtc_tls_ca": {p: str(STATE / "pki/root.pem") if p in certificates else "" for p in self.protocols},
        }
        return {"hosts": {host: {**common, **more.get(host, {})} for host in (*NODES, "front")}}


@dataclass
class Step:
    """Something that happens while everybody writes."""

    what: str
    act: Callable[[], Any]
    reaches: str = ""  # a node to which new clients have to come afterwards
    short: bool = False


@dataclass
class Done:
    """What came of a step."""

    what: str
    longest: float  # seconds that one waited for an acknowledgement
    who: str
    refused: dict[str, int]  # new sessions, by the words of the refusal
    problem: str = ""


@dataclass
class Account:
    """What came of a round on one site."""

    site: Site
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    came_back: int = 0
    problem: str = ""
    ways: dict[str, bool | None] = field(default_factory=dict)  # of the browsers' library: whether it wrote


ROUNDS = [
    Round("nginx", {"confluence": "HTTP + SSL", "jira": "HTTP"}, short=True),
    Round("apache", {"confluence": "HTTP + SSL", "jira": "HTTP"}),
    Round("haproxy", {"confluence": "HTTP + SSL", "jira": "HTTP"}),
    Round("haproxy", {"confluence": "HTTP", "jira": "HTTP + SSL"}),
    Round("apache", {"confluence": "HTTP", "jira": "HTTP + SSL"}),
    Round("nginx", {"confluence": "HTTP", "jira": "HTTP + SSL"}),
]


def command(node: str, verb: str) -> None:
    """``systemctl`` for both RTC servers of a node at a time."""
    execute(node, f"systemctl {verb} {' '.join(f'rtc-server@{product}' for product in PORTS)}")


def steps(current: Round, store: Store, nodes: list[str]) -> Iterator[Step]:
    """What happens in a round, in this order."""
    first, second = nodes[:2]
    daemon = PACKAGES[current.kind]
    yield Step("at rest", lambda: None, short=True)
    yield Step("a node's servers are killed, and start again", lambda: command(first, "kill -s KILL"), first, True)
    yield Step("a node drains and stops", lambda: command(second, "stop"), short=True)
    yield Step("it is back", lambda: command(second, "start"), second, True)
    yield Step("a node's machine is lost", lambda: hosts.lose(first))
    yield Step("it is back", lambda: hosts.power_on(first), first)
    yield Step("the proxy is reloaded", lambda: execute("front", f"systemctl reload {daemon}"))
    yield Step("the proxy is restarted", lambda: execute("front", f"systemctl restart {daemon}"), short=True)
    yield Step("the store's primary is restarted", store.restart, short=True)
    if store.has_standby:
        yield Step("the store's machine is lost, its standby takes over", store.fail_over)
        yield Step("the lost one is back as its standby", store.mend)
    if not IS_SHORT:
        gone, limits = {"rtc_state": "absent"}, {**SCENARIO["rtc_limits"], "connections": 9000}
        rolling = {node: {"rtc_limits": limits} for node in nodes}
        yield Step("a run removes a node", lambda: hosts.play("site", current.variables(node3=gone)))
        yield Step("a run adds it again", lambda: hosts.play("site", current.variables()), "node3")
        yield Step("a run changes one node after another", lambda: hosts.play("site", current.variables(**rolling)))


async def until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    give_up = time.monotonic() + hosts.PATIENCE
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(what())
        await asyncio.sleep(0.05)


async def take_step(step: Step, writers: list[Any], newcomers: list[Any]) -> Done:
    """Let it happen while everybody writes; each gets something acknowledged afterwards."""
    for newcomer in newcomers:
        newcomer.refused.clear()
    for writer in writers:
        writer.longest, writer.last = 0.0, time.monotonic()
    problem = ""
    try:
        await asyncio.to_thread(step.act)
        wanted = {writer: len(writer.acknowledged) + EACH for writer in writers}

        def behind() -> list[Any]:
            late = [writer for writer, count in wanted.items() if len(writer.acknowledged) < count]
            dead = [str(writer) for writer in late if writer.state.startswith("died")]
            if dead:
                raise TimeoutError("; ".join(dead))
            return late

        await until(lambda: not behind(), lambda: "not back: " + "; ".join(map(str, behind())))
        for newcomer in newcomers if step.reaches else ():
            newcomer.opened.clear()
            await until(
                lambda it=newcomer: it.opened[LABELS[step.reaches]] >= 3,  # type: ignore[misc]
                lambda it=newcomer: f"nobody comes to {step.reaches}: {it}",  # type: ignore[misc]
            )
    except (TimeoutError, hosts.Failed, subprocess.CalledProcessError) as exc:
        problem = str(exc)
    slowest = max(writers, key=lambda writer: writer.longest)
    if not problem and slowest.longest > MOST:
        problem = f"{slowest} waited for {slowest.longest:.1f} s"
    refused: dict[str, int] = {}
    for newcomer in newcomers:
        for words, count in newcomer.refused.items():
            why = " ".join(words.split("(")[0].split())[:40]  # of an exception its class
            refused[why] = refused.get(why, 0) + count
    who = f"{getattr(slowest, 'transport', slowest.user)} {slowest.project}"
    return Done(step.what, slowest.longest, who, refused, problem)


async def write(current: Round, project: str, store: Store, all_steps: list[Step]) -> tuple[list[Done], list[Account]]:
    """Everybody writes while the steps are taken; the account of each site."""
    done: list[Done] = []
    by_site: dict[str, list[Any]] = {}
    newcomers: list[Any] = []
    async with contextlib.AsyncExitStack() as stack:
        for site in current.sites:
            front = SimpleNamespace(url=site.url)
            visitors, newcomer = await stack.enter_async_context(cluster.visiting(front, WRITERS, project))
            for visitor in visitors:
                visitor.pause = 0.1  # two cores for all hosts and all clients
            by_site[site.product] = list(visitors)
            newcomers.append(newcomer)
            if people.has_node:
                bearer = rtc_support.token("js", ttl=7200)
                some = people.People(site.url, FRONT, site.origin, bearer, project, STATE / "pki/root.pem")
                by_site[site.product] += (await stack.enter_async_context(some)).all
        writers = [writer for group in by_site.values() for writer in group]
        for step in all_steps:
            done.append(await take_step(step, writers, newcomers))
            print(f"{current.name}: {render(done[-1])}", file=sys.stderr, flush=True)
            if done[-1].problem:
                break
    return done, [make_account(site, by_site[site.product], store) for site in current.sites]


def make_account(site: Site, writers: list[Any], store: Store) -> Account:
    found = Account(site)
    found.acknowledged = sum(len(writer.acknowledged) for writer in writers)
    found.came_back = sum(writer.connections - 1 for writer in writers)
    try:
        found.lost, found.doubled = cluster.account(store, writers, DATABASES[site.product])
    except AssertionError as exc:
        found.problem = str(exc)
    by_way = {writer.user: bool(writer.acknowledged) for writer in writers if isinstance(writer, people.Person)}
    found.ways = {way: by_way.get(f"js-{way}") for way in people.WAYS}
    return found


def render(done: Done) -> str:
    refused = ", ".join(f"{count} x {why}" for why, count in done.refused.items())
    figures = f"{done.what:52} {done.longest:5.1f} s  {sum(done.refused.values()):4}"
    return "  ".join(filter(None, [f"{'✗' if done.problem else '✓'} {figures}", done.who, refused, done.problem]))


def site_row(report: dict[str, Any], account: Account, nodes: list[str], idempotent: bool | None) -> str:
    """The site's row in the table of sites, as the scenario ``fleet`` prints it."""
    site = account.site
    planned = sites_table.find_site(report, site.product)
    checks = report["checks"].get(planned["name"], [])

    def passed(*words: str) -> bool | None:
        found = [check["ok"] for check in checks if any(word in check["name"] for word in words)]
        return all(ok is True for ok in found) if found else None

    version = execute("front", f"dpkg-query -Wf '${{Version}}' {PACKAGES[site.kind]} | sed 's/[-+].*//'")
    marks = [account.ways[way] for way in people.WAYS]
    marks += [passed("RTC answers outside", "Two clients"), passed("sees the address"), passed("application host")]
    marks += [passed("JVM trusts"), idempotent]
    return sites_table.render_row(planned, f"{site.kind} {version}", len(nodes), marks)


def share_homes() -> None:
    """Make the nodes a cluster, as the products' own configuration says it."""
    for node in NODES:
        execute(node, """
            cd /var/atlassian/application-data
            grep -q cluster.home confluence/confluence.cfg.xml || sed -i \
                's|</properties>|<property name="confluence.cluster.home">/srv/shared</property></properties>|' \
                confluence/confluence.cfg.xml
            echo 'jira.shared.home = /srv/shared' >jira/cluster.properties
            chown jira:jira jira/cluster.properties""")  # fmt: skip


def play_round(current: Round, project: str, store: Store, nodes: list[str], chosen: list[Step]) -> Rows:
    """The runs that the round needs, what happens in it, and its account."""
    limit = ["--limit", ":".join([*nodes, "front"])] if IS_SHORT else []
    began = time.monotonic()
    report = hosts.play("site", current.variables(), *limit)
    took = time.monotonic() - began
    idempotent = None if IS_SHORT else not find_changed(hosts.play("site", current.variables(), *limit)["output"])
    for node in nodes:
        for product in PORTS:
            wait_for(lambda a=node, b=product: hosts.is_ready(a, b), f"{product} on {node} is ready")
    print(f"{current.name}: the run took {took:.0f} s", file=sys.stderr, flush=True)
    done, accounts = asyncio.run(write(current, project, store, chosen))
    sites = [site_row(report, account, nodes, idempotent) for account in accounts]
    rows = [f"{current.kind:8} {render(one)}" for one in done]
    wrong = sum(bool(one.problem) for one in done) + ("✗" in "".join(sites))
    for account in accounts:
        bad = account.problem or account.lost or account.doubled
        wrong += bool(bad)
        rows.append(
            f"{current.kind:8} {'✗' if bad else '✓'} {account.site.url}: {account.acknowledged} acknowledged,"
            f" lost = {account.lost}, doubled = {account.doubled}, {account.problem or 'one order'};"
            f" {account.came_back} times somebody came back"
        )
    return sites, rows, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", nargs="*", default=[], metavar="WORD")
    parser.add_argument("--steps", nargs="*", default=[], metavar="WORD")
    parser.add_argument("--standby", action="store_true", help="in the short form, too")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()

    def is_chosen(name: str, short: bool) -> bool:
        return any(word in name for word in options.rounds) if options.rounds else short or not IS_SHORT

    rounds = [one for one in ROUNDS if is_chosen(one.name, one.short)]
    further = [kind for kind in (listener.KIND, moving.KIND) if is_chosen(kind, False)]
    if options.list:
        print("\n".join([*(one.name for one in rounds), *further]))
        return 0
    OUT.mkdir(parents=True, exist_ok=True)
    scenario.resolve(set(NAMES.values()), FRONT)
    rtc_support.TOKENS = Tokens([SCENARIO["rtc_secret"].encode()])
    nodes = list(NODES)[: 2 if IS_SHORT else 3]
    store = Store()
    if people.has_node:
        people.install()
    else:
        print("SKIPPED: node and npm are not on this machine, so that the browsers' library was not tried")
    share_homes()
    began = time.monotonic()
    store.make(with_standby=options.standby or not IS_SHORT)
    print(f"store made in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    sites, rows, wrong = [], [], 0

    def add(found: Rows) -> None:
        nonlocal wrong
        sites.extend(found[0])
        rows.extend(found[1])
        wrong += found[2]
        (OUT / "rows.txt").write_text("\n".join([*sites, *rows, ""]))  # what there is, where the rest does not come

    for number, current in enumerate(rounds):
        before = rounds[number - 1] if number else current
        if before.protocols != current.protocols:  # what Tomcat says of TLS holds until the sites are gone
            hosts.play("site", before.variables(**{node: {"rtc_state": "absent"} for node in NODES}))
        if number or options.rounds:
            hosts.renew("front")  # RTC426: another kind is not installed beside the one of before
        chosen = [one for one in steps(current, store, nodes) if one.short or options.steps or not IS_SHORT]
        chosen = [one for one in chosen if not options.steps or any(word in one.what for word in options.steps)]
        add(play_round(current, f"round{number}", store, nodes, chosen))
    if listener.KIND in further:
        add(listener.try_listener(NAMES))
    if moving.KIND in further:
        add(moving.try_move(Round("nginx", dict.fromkeys(NAMES, "HTTP")), DATABASES, store))
    print("\n".join([sites_table.heading(), *sites]))
    print(f"\n{'proxy':8}   {'what happens':52} longest  sessions refused")
    print("\n".join(rows))
    print(f"{len(rows)} rows, {wrong} with ✗")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
