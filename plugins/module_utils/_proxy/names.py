# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How well the names of a virtual host fit the name that a client asks for. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from ansible_collections.collab.rtc.plugins.module_utils._proxy import patterns

NOT = 1000  # the rank of one that does not fit


def rank(kind: str, names: Iterable[str], server_name: str) -> int:
    """The rank of a virtual host for a name: the lowest is the one that answers.

    nginx takes the whole name, then the longest wildcard at the beginning, at the end, then a regular expression
    (``ngx_http_find_virtual_server``). httpd knows no ranks: it takes the first that fits. One for whatever comes ("*")
    is nobody's own: whether it answers before another is for ``apache/order``.
    """
    wanted = server_name.lower()
    if kind != "nginx":
        return 0 if any(_is_of_site(name) and fnmatch.fnmatchcase(wanted, name.lower()) for name in names) else NOT
    return min((_rank_nginx(name.lower(), wanted) for name in names), default=NOT)


def _is_of_site(name: str) -> bool:
    return bool(name.strip("*?."))


def _rank_nginx(name: str, wanted: str) -> int:
    if name.startswith("~"):
        return 900 if patterns.fits(name[1:], wanted, nocase=True) else NOT
    if name in (wanted, f".{wanted}"):
        return 0
    if name.startswith(("*.", ".")):
        return 300 - len(name) if wanted.endswith(name.lstrip("*")) else NOT
    if name.endswith(".*"):
        return 600 - len(name) if wanted.startswith(name[:-1]) else NOT
    return NOT
