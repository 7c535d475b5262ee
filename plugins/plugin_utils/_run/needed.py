# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several sites of a host share, where only some of them are gone on with. Pure.

The plan knows what is needed once all of it is done. A site that is stopped keeps what it has, and so what that needs.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._proxy.selinux_firewalld import BOOLEANS
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit

Item = Mapping[str, Any]


def keep(removals: Iterable[Item], stay: Sequence[Item]) -> list[Any]:
    """The removals without what those that do not take place need.

    :param stay: removals of sites that are stopped.
    """
    vhosts = [item["what"] for item in stay if item["kind"] == "vhost"]
    reads = {path for what in vhosts for path in what.get("reads") or ()}
    ports = {what.get("port", 0) for what in vhosts}
    booleans = {BOOLEANS.get(what.get("kind", "")) for what in vhosts}
    found: list[Any] = []
    for item in removals:
        what = item["what"]
        if item["kind"] == "file" and what.get("path") in reads:
            continue
        if item["kind"] == "setting" and (what["port"] in ports if what.get("port") else what.get("name") in booleans):
            continue
        found.append({**item, "what": _trim(item, stay)})
    return found


def _trim(item: Item, stay: Iterable[Item]) -> Item:
    """What is taken away of one, without what the others need of it."""
    what: Item = item["what"]
    same = [one["what"] for one in stay if one["kind"] == item["kind"]]
    if item["kind"] == "trust":
        trusted = {print_ for one in same if one.get("path") == what["path"] for print_ in one.get("wants") or ()}
        return {**what, "certificates": [one for one in what["certificates"] if one not in trusted]}
    if item["kind"] == "instance" and same and what.get("left_trees"):  # the others run from it
        common = (unit.UNIT, unit.CONFIG_DIR)
        lists = {name: [one for one in what[name] if one not in common] for name in ("left_files", "left_directories")}
        return {**what, **lists, "left_trees": []}
    return what


def take_over(records: Iterable[Item], work: Item, sites: Sequence[Item]) -> list[Any]:
    """The entries of stopped sites for what is made all the same, for another site: as that one's.

    :param records: of the stopped sites.
    :param sites: that the proxy on the host serves, and that go on.
    """
    made = {item["dest"] for item in work["certificates"]}
    found = []
    for item in records:
        path = str(item["what"].get("path", ""))
        name = posixpath.basename(posixpath.dirname(path))
        users = [site for site in sites if site["server_name"] == name] if item["kind"] == "file" else list(sites)
        if users and (path in made if item["kind"] == "file" else item["kind"] == "package" and work["packages"]):
            owners = [f"{host}/{users[0]['application']}" for host in users[0]["nodes"]]
            found.append({**item, "site": users[0]["name"], "owners": owners})
    return found
