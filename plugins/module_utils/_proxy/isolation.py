# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sites of one proxy server, each by itself: the part of one that cannot be had is taken back, the others go on.

All are changed together first, which is one validation and one reload. Where that fails, whoever is seen to be in the
way is left out, and the rest is tried again. Where nobody is seen to be, each site is changed alone: what sites share,
such as a socket that somebody else has, then fails for each of them, and all of them are taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apply import ChangeResult
from ansible_collections.collab.rtc.plugins.module_utils._proxy.blocked import BlockedError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

APPLIED, WRITTEN, BLOCKED = "applied", "written", "blocked"

# Changes these sites, or leaves everything as it was and raises RtcError.
Change = Callable[[Sequence[str]], ChangeResult]


@dataclass
class Isolated:
    """What came of the sites of a proxy."""

    results: list[ChangeResult] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)  # site that went on -> APPLIED | WRITTEN
    blocked: dict[str, RtcError] = field(default_factory=dict)  # site -> why; its part is as it was


def change_sites(sites: Sequence[str], vhosts: Sequence[VhostPlan], change: Change) -> Isolated:
    """Change all sites that can be changed.

    :param vhosts: of all of them.
    """
    done = Isolated()
    left = _change_together(list(sites), vhosts, change, done)
    while left:
        failed: dict[str, RtcError] = {}
        again: list[str] = []  # failed before a change that may have made room for them
        for site in left:
            try:
                result = change([site])
            except RtcError as exc:
                failed[site] = exc
            else:
                _add(done, result, [site], vhosts)
                again = list(failed) if result.changed else again
        done.blocked.update({site: exc for site, exc in failed.items() if site not in again})
        left = again
    return done


def _change_together(sites: list[str], vhosts: Sequence[VhostPlan], change: Change, done: Isolated) -> list[str]:
    """Change them at once, without those that are seen to be in the way; returns those to be tried one by one."""
    while sites:
        try:
            _add(done, change(sites), sites, vhosts)
            return []
        except BlockedError as exc:
            done.blocked.update(exc.reasons)
            sites = [site for site in sites if site not in exc.reasons]
        except RtcError as exc:
            if len(sites) > 1:
                return sites
            done.blocked[sites[0]] = exc
            return []
    return []


def _add(done: Isolated, result: ChangeResult, sites: Sequence[str], vhosts: Sequence[VhostPlan]) -> None:
    done.results.append(result)
    for site in sites:
        unseen = any(vhost.site == site and vhost.name in result.unseen for vhost in vhosts)
        done.states[site] = APPLIED if result.loaded and not unseen else WRITTEN


def find_blamed(exc: RtcError, sites: Sequence[str]) -> list[str]:
    """The sites of a change that are known to be the cause of its failure."""
    if isinstance(exc, BlockedError):
        return list(exc.reasons)
    return list(sites) if len(sites) == 1 else []


def explain(blocked: dict[str, RtcError], states: dict[str, str]) -> str:
    """The error message: of one site alone its reason, else what came of each."""
    if not states and len(set(map(str, blocked.values()))) == 1:
        return str(next(iter(blocked.values())))
    parts = [f"{site} is blocked, and its part is as it was: {exc}" for site, exc in blocked.items()]
    parts += [f"{site} is {state}." for site, state in states.items()]
    return "\n".join(parts)
