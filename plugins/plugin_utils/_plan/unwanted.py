# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the record of a host names and nothing wants any more: which of it goes. Pure.

It goes with its site, is an orphan, or is none of this run's business. What something needs that stays, stays too:
a certificate that another site's virtual host reads, an authority that another application trusts, a port.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts, ManagedEntry
from ansible_collections.collab.rtc.plugins.module_utils._proxy.selinux_firewalld import BOOLEANS
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import HostPlan, Removal, Work
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.wanted import KINDS, Scope, Wanted

_OF_HOSTS = ("package", "setting")  # kinds that others may need by now, whoever made them
LOOPBACKS = ("127.0.0.1", "::1", "localhost")


def take_away(
    plan: HostPlan,
    facts: HostFacts,
    unwanted: Sequence[ManagedEntry],
    scope: Scope,
    site_of: Mapping[str, str],
    wanted: Sequence[Wanted],
) -> None:
    """Add what becomes of each entry to ``work`` and ``removals`` of a host.

    :param unwanted: entries of the record that are not among ``wanted``.
    :param site_of: owner -> site of this run.
    """
    fates = {entry.key: _decide_fate(plan, entry, scope) for entry in unwanted}
    stays = [entry for entry in unwanted if fates[entry.key] != "remove"]
    for entry in unwanted:
        fate = fates[entry.key]
        if fate == "forget":
            plan.removals.append(Removal(entry.site, entry.key, entry.kind))
        if fate in ("leave", "forget") or (entry.kind == "setting" and _is_opened_for(entry, plan, stays)):
            continue
        site = next((site_of[owner] for owner in entry.owners if owner in site_of), entry.site)
        text = f"{entry.kind.replace('_', ' ')} {entry.key.partition(' ')[2]}"
        reader = _find_reader(entry, facts, wanted, stays) if fate == "remove" and entry.kind == "file" else ""
        if reader:
            plan.work.append(Work(site, "stay", entry.key, f"{text} stays: {reader} reads it"))
        elif fate == "remove":
            plan.work.append(Work(site, "remove", entry.key, text))
            plan.removals.append(_make_removal(plan, facts, entry, site, scope, wanted, stays))
        else:
            named = site if fate == "conflict" else entry.site
            plan.work.append(Work(named, fate, entry.key, text, entry.diff if fate == "conflict" else ""))


def _decide_fate(plan: HostPlan, entry: ManagedEntry, scope: Scope) -> str:
    """What ``Work.action`` says; "leave" is silence, and "forget" for the record alone."""
    if entry.inventory != scope.inventory and entry.kind in KINDS:
        # Of hosts of the same name: perhaps of this inventory, before it had another name or place.
        return "foreign" if set(entry.owners) & scope.present and entry.kind not in _OF_HOSTS else "leave"
    if entry.kind not in KINDS:
        return "leave"  # a newer version made it; rules_managed says so
    mine = set(entry.owners)
    if not mine & scope.known <= scope.present:
        return "leave"  # some of its nodes are not in this run
    if entry.kind == "package":  # it stays, as others may need it by now; in the end the record forgets it
        return "forget" if scope.uninstall else "leave"
    if not mine & scope.known and plan.host not in scope.remove_orphans and not scope.uninstall:
        return "orphan"
    if entry.state == "edited" and not scope.overwrite & mine and not scope.uninstall:
        return "conflict"
    return "remove"


def _make_removal(
    plan: HostPlan,
    facts: HostFacts,
    entry: ManagedEntry,
    site: str,
    scope: Scope,
    wanted: Sequence[Wanted],
    stays: Sequence[ManagedEntry],
) -> Removal:
    what = dict(entry.what)
    if entry.kind == "trust":
        others = [item.what for item in wanted if item.kind == "trust"]
        others += [one.what for one in stays if one.kind == "trust"]
        kept = {print_ for one in others if one.get("path") == what["path"] for print_ in one.get("wants", [])}
        what["certificates"] = [one for one in what.get("certificates", []) if one not in kept]
    before = {} if entry.state == "replaced" else dict(entry.before)  # of an upgraded file it is not known
    if entry.kind == "instance":
        what.update(_list_leftovers(entry, _has_other_servers(facts, wanted, stays), scope))
    kinds = {item.what["kind"] for item in wanted if item.kind == "vhost"}
    here = any(owner.startswith(f"{plan.host}/") for owner in entry.owners)
    early = entry.kind == "instance" or (
        entry.kind == "vhost" and (here or (bool(kinds) and entry.what.get("kind") not in kinds))
    )
    return Removal(site, entry.key, entry.kind, what, before, early)


def _find_reader(entry: ManagedEntry, facts: HostFacts, wanted: Iterable[Wanted], stays: Iterable[ManagedEntry]) -> str:
    """What reads a file that nothing wants any more, and would fail without it; "" for nothing."""
    path = entry.what.get("path")
    readers = [(item.key, item.what) for item in wanted] + [(one.key, one.what) for one in stays]
    ours = next((key for key, what in readers if path in what.get("reads", ())), "")
    hosts = [host for proxy in facts.proxies for host in proxy.hosts if not host.managed]
    theirs = next((host for host in hosts if path in (host.certificate, host.key)), None)
    return ours or (f"{theirs.file}:{theirs.line}" if theirs else "")


def _is_opened_for(setting: ManagedEntry, plan: HostPlan, stays: Iterable[ManagedEntry]) -> bool:
    """Whether something on the host needs what was opened.

    :param stays: entries of the record that are neither wanted nor taken away by this run.
    """
    port = setting.what.get("port", 0)
    vhosts = [(item.kind, item.port) for item in plan.vhosts]
    vhosts += [(one.what.get("kind", ""), one.what.get("port", port)) for one in stays if one.kind == "vhost"]
    if not port:
        return any(BOOLEANS.get(kind) == setting.what.get("name") for kind, _port in vhosts)
    direct = any(item.port == port and item.address not in LOOPBACKS for item in plan.rtc)
    return direct or any(used == port for _kind, used in vhosts)


def _has_other_servers(facts: HostFacts, wanted: Iterable[Wanted], stays: Iterable[ManagedEntry]) -> bool:
    """Whether an RTC server stays on the host; one that the record does not name is none of those that go."""
    named = {one.what.get("instance") for one in facts.managed.entries if one.kind == "instance"}
    kept = [*(item.kind for item in wanted), *(one.kind for one in stays)]
    return "instance" in kept or any(one.kind == "deployed" and one.instance not in named for one in facts.rtc)


def _list_leftovers(entry: ManagedEntry, others: bool, scope: Scope) -> dict[str, Any]:
    """What belongs to an RTC server and is left when its unit is stopped. The journal stays: it is the users' work.

    :param others: whether another RTC server of the host stays; it runs from the same releases.
    """
    instance = entry.what["instance"]
    kept = f"{unit.CONFIG_DIR}/{instance}"
    files = [f"{kept}/{name}" for name in (unit.TLS_CERTIFICATE, unit.TLS_KEY, "secret")]
    directories = [kept, posixpath.dirname(unit.tls_drop_in(instance))]
    trees: list[str] = []
    if scope.uninstall and not others:
        files.append(unit.UNIT)
        directories.append(unit.CONFIG_DIR)
        trees.append(unit.BASE)
    return {"left_files": files, "left_directories": directories, "left_trees": trees}
