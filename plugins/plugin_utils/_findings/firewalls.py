# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a firewall lets connections to a port in, and which rules keep them out. Pure.

Of firewalld the zones of interfaces count; in a zone, rich rules by priority, of one priority those that deny first,
then its ports, services and target (firewalld.richlanguage(5)). Of ufw the first rule that matches counts.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts
from ansible_collections.collab.rtc.plugins.module_utils._obstacle_facts import (
    FIREWALL_RULES,
    Firewall,
    FirewallRule,
    FirewallZone,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make

# What a rich rule can be about beside all that comes from its source, and is not a port of the host.
_OTHER_ELEMENTS = {"icmp-block", "icmp-type", "masquerade", "forward-port", "source-port", "tcp-mss-clamp"}
_OPEN_NFTABLES = "A rule that accepts tcp dport {port}."
_ASK_ZONES = "firewall-cmd --get-active-zones"


@dataclass(frozen=True)
class _Rule:
    """A rule about the port, whatever the firewall."""

    lets_in: bool
    everyone: bool  # whoever connects, as far as it is known
    text: str
    removal: str  # the command


@dataclass
class _Verdict:
    """What becomes of a connection to the port."""

    lets_in: bool
    by: _Rule | None = None  # the rule that decides
    kept_out: list[_Rule] = field(default_factory=list)  # rules before that one that keep some clients out
    let_in: list[_Rule] = field(default_factory=list)  # where the rest is kept out: rules that let some in


def check(
    host: str, facts: HostFacts, port: int, clients: Sequence[str] = (), by_role: bool = False
) -> Iterator[Finding]:
    """Findings about a port that others connect to.

    :param clients: addresses of which one connects; without any, everybody does.
    :param by_role: where firewalld runs, each run sees to it that the port is open.
    """
    kind, state = facts.firewall, facts.firewall_state
    unknown = next((one.reason for one in facts.unreadable if one.what == FIREWALL_RULES), "")
    if kind == "firewalld":
        yield from _check_firewalld(host, facts, port, clients, by_role, unknown)
    elif kind == "ufw" and not unknown and state.incoming:
        yield from _check_ufw(host, state, port, clients)
    elif kind == "ufw":
        yield _make_closed(host, f"ufw runs on {host}; port {port} has to be open.", f"ufw allow {port}/tcp.")
    elif kind:
        yield _make_closed(
            host, f"{kind} runs on {host}; port {port} has to be open.", _OPEN_NFTABLES.format(port=port)
        )
    elif state.state == "enabled":
        remedy = "systemctl start firewalld, and run again; or systemctl disable firewalld."
        text = f"firewalld does not run on {host}, but starts at the next boot: port {port} may be closed then."
        yield make("RTC640", host, text, remedy=remedy)
    elif state.state == "masked":
        yield make("RTC641", host, f"firewalld is masked on {host}: nothing is opened in it.")


def _make_closed(host: str, text: str, remedy: str, id_: str = "RTC603", let_in: Sequence[_Rule] = ()) -> Finding:
    """:param let_in: rules for some; whether those are all who need RTC, nobody here can know."""
    return make(id_, host, text, [rule.text for rule in let_in], remedy, severity="info" if let_in else "")


# firewalld


def _check_firewalld(
    host: str, facts: HostFacts, port: int, clients: Sequence[str], by_role: bool, unknown: str
) -> Iterator[Finding]:
    state = facts.firewall_state
    if state.masked:
        text = f"firewalld runs on {host}, but is masked: it does not start at the next boot."
        yield make("RTC641", host, text)
    if unknown and by_role:
        yield make("RTC642", host, f"firewalld runs on {host}, and its rules are not known: {unknown}.")
    if unknown or not state.zones:
        if not by_role:
            remedy = f"{_open_zone('ZONE', port)}, where ZONE is that of the interface ({_ASK_ZONES})."
            yield _make_closed(host, f"firewalld runs on {host}; port {port} has to be open.", remedy)
        return
    held = [zone for zone in state.zones if any(_covers(one, client) for one in zone.sources for client in clients)]
    held = held or [zone for zone in state.zones if zone.interfaces or zone.default]  # a source goes first
    verdicts = [(zone, judge_zone(zone, state.services, port, clients)) for zone in held]
    rejected = [zone for zone, verdict in verdicts if not verdict.lets_in and verdict.by]
    for zone, verdict in verdicts:
        where = f"zone {zone.name} of {host}"
        if verdict.by and not verdict.lets_in:
            severity = "" if len(rejected) == len(held) else "warning"
            yield _make_rejected(
                f"A rich rule of {where} keeps connections to port {port} out", host, verdict.by, severity
            )
        elif not verdict.lets_in and not by_role:
            text = f"firewalld runs on {host}; port {port} is closed in the zone {zone.name}."
            yield _make_closed(host, text, f"{_open_zone(zone.name, port)}.", let_in=verdict.let_in)
        for rule in verdict.kept_out:
            yield _make_rejected(
                f"A rich rule of {where} keeps some connections to port {port} out", host, rule, "warning"
            )
    # Zones that refuse everything on purpose hold whom somebody wants away.
    for zone in state.zones if not clients else []:
        refuses = zone.target not in ("", "default", "{chain}")
        if zone not in held and not refuses and not judge_zone(zone, state.services, port).lets_in:
            whose = ", ".join(zone.sources)
            text = (
                f"On {host} the zone {zone.name} decides about connections from {whose}; port {port} is closed in it."
            )
            yield make("RTC644", host, text, remedy=f"If they need RTC: {_open_zone(zone.name, port)}.")


def _open_zone(zone: str, port: int) -> str:
    return f"firewall-cmd --permanent --zone={zone} --add-port={port}/tcp && firewall-cmd --reload"


def _make_rejected(text: str, host: str, rule: _Rule, severity: str = "") -> Finding:
    return make("RTC643", host, f"{text}.", [rule.text], f"{rule.removal}.", severity=severity)


def judge_zone(zone: FirewallZone, services: dict[str, list[str]], port: int, clients: Sequence[str] = ()) -> _Verdict:
    """What a zone does with connections to a TCP port."""
    ports = [*zone.ports, *(item for name in zone.services for item in services.get(name, []))]
    rules = sorted(_list_rich_rules(zone, services, port, clients), key=lambda item: (item[0], item[1].lets_in))
    before = [rule for priority, rule in rules if priority <= 0]
    after = [rule for priority, rule in rules if priority > 0]
    opened = any(_has_port(item, port) for item in ports)
    verdict = _walk(before, opened)
    if verdict.by is None and not opened:  # those of a later priority come after the zone's ports
        return _walk([*before, *after], zone.target == "ACCEPT")
    return verdict


def _list_rich_rules(
    zone: FirewallZone, services: dict[str, list[str]], port: int, clients: Sequence[str]
) -> Iterator[tuple[int, _Rule]]:
    for text in zone.rich_rules:
        try:
            words = shlex.split(text)
        except ValueError:
            continue
        part, values, parts = "rule", {}, {"rule"}
        for word in words[1:]:
            name, equals, value = word.partition("=")
            if equals:
                values[part, name] = value
            elif name.lower() == "not":
                values[part, "not"] = "yes"
            else:
                part = name
                parts.add(part)
        action = next((name for name in ("accept", "reject", "drop") if name in parts), "")
        if not action or not _is_about(parts, values, services, port):
            continue
        removal = f"firewall-cmd --permanent --zone={zone.name} --remove-rich-rule='{text}' && firewall-cmd --reload"
        priority = values.get(("rule", "priority"), "0")
        rule = _Rule(action == "accept", _is_for_everyone(parts, values, clients), text, removal)
        yield int(priority) if priority.lstrip("-").isdigit() else 0, rule


def _is_about(parts: set[str], values: dict[tuple[str, str], str], services: dict[str, list[str]], port: int) -> bool:
    if "port" in parts:
        return _has_port(f"{values.get(('port', 'port'), '')}/{values.get(('port', 'protocol'), '')}", port)
    if "service" in parts:
        return any(_has_port(item, port) for item in services.get(values.get(("service", "name"), ""), []))
    if "protocol" in parts:
        return values.get(("protocol", "value")) == "tcp"
    return not parts & _OTHER_ELEMENTS


def _is_for_everyone(parts: set[str], values: dict[tuple[str, str], str], clients: Sequence[str]) -> bool:
    if "destination" in parts or values.get(("rule", "family")) == "ipv6":
        return False
    if "source" not in parts:
        return True
    source, negated = values.get(("source", "address"), ""), ("source", "not") in values
    if not clients or not source:
        return _covers(source, "") and not negated
    # One of them connects, nobody knows which: a rule that lets in may be for that one.
    meet = any if "accept" in parts else all
    return meet(_covers(source, client) != negated for client in clients)


# ufw


def _check_ufw(host: str, state: Firewall, port: int, clients: Sequence[str]) -> Iterator[Finding]:
    verdict = judge_ufw(state, port, clients)
    rule = verdict.by
    if rule and not verdict.lets_in:
        yield _make_rejected(f"A rule of ufw on {host} keeps connections to port {port} out", host, rule)
    elif rule and rule.text.startswith("limit"):
        text = f"ufw on {host} lets an address connect to port {port} 5 times in 30 seconds: {rule.text}."
        remedy = f"{rule.removal} && ufw allow {port}/tcp."
        yield make("RTC649", host, text, remedy=remedy)
    elif not verdict.lets_in:
        text = f"ufw runs on {host}, and does not let connections to port {port} in."
        source = f"from {clients[0]} to any port {port} proto tcp" if len(clients) == 1 else f"{port}/tcp"
        yield _make_closed(host, text, f"ufw allow {source}.", "RTC648", verdict.let_in)
    for item in verdict.kept_out:
        yield _make_rejected(
            f"A rule of ufw on {host} keeps some connections to port {port} out", host, item, "warning"
        )


def judge_ufw(state: Firewall, port: int, clients: Sequence[str] = ()) -> _Verdict:
    """What ufw does with connections to a TCP port."""
    rules = []
    for item in state.rules:
        if item.protocol in ("tcp", "any") and any(_has_port(f"{one}/tcp", port) for one in item.ports.split(",")):
            lets_in = item.action in ("allow", "limit")
            meet = any if lets_in else all  # one of them connects, nobody knows which
            met = item.source == "any" or (bool(clients) and meet(_covers(item.source, one) for one in clients))
            everyone = met and not item.interface and item.destination == "any" and item.source_ports == "any"
            text = _word_ufw(item)
            rules.append(_Rule(lets_in, everyone, text, f"ufw delete {text}"))
    return _walk(rules, state.incoming == "allow")


def _word_ufw(item: FirewallRule) -> str:
    """The rule as ufw takes it on its command line."""
    simple = (item.source, item.destination, item.source_ports, item.interface) == ("any", "any", "any", "")
    if simple and item.ports != "any":
        return f"{item.action} {item.ports}{'' if item.protocol == 'any' else '/' + item.protocol}"
    words = [item.action, *(["in on", item.interface] if item.interface else []), "from", item.source]
    words += ["port", item.source_ports] if item.source_ports != "any" else []
    words += ["to", item.destination]
    words += ["port", item.ports] if item.ports != "any" else []
    words += ["proto", item.protocol] if item.protocol != "any" else []
    return " ".join(words)


# Both


def _walk(rules: Sequence[_Rule], rest: bool) -> _Verdict:
    """The first rule that is for everyone decides, else what is done with the rest."""
    decides = next((rule for rule in rules if rule.everyone), None)
    before = rules[: rules.index(decides)] if decides else rules
    if decides.lets_in if decides else rest:
        return _Verdict(True, decides, kept_out=[rule for rule in before if not rule.lets_in])
    return _Verdict(False, decides, let_in=[rule for rule in before if rule.lets_in])


def _has_port(item: str, port: int) -> bool:
    """Whether "9083/tcp", "9000-9100/tcp", "9000:9100/tcp" or "any/tcp" has a TCP port."""
    numbers, _slash, protocol = item.partition("/")
    if protocol != "tcp":
        return False
    first, _dash, last = numbers.replace(":", "-").partition("-")
    if numbers == "any":
        return True
    return first.isdigit() and (last or first).isdigit() and int(first) <= port <= int(last or first)


def _covers(source: str, client: str) -> bool:
    """Whether an address or network has a client; "" is everybody."""
    try:
        network = ipaddress.ip_network(source, strict=False)
        return network.prefixlen == 0 if not client else ipaddress.ip_address(client) in network
    except ValueError:  # an ipset, a MAC address
        return False
