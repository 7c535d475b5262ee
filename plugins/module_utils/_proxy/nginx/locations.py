# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which location nginx serves a path by (``ngx_http_core_find_location``). Pure."""

from __future__ import annotations

import re

from ansible_collections.collab.rtc.plugins.module_utils._proxy import patterns
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive


def split(item: Directive) -> tuple[str, str]:
    """The sign of a location and what stands behind it, between which no blank is needed."""
    match = re.match(r"(=|\^~|~\*|~)?\s*(.*)", " ".join(item.args), re.DOTALL)
    return (match[1] or "", match[2]) if match else ("", "")


def read_location(item: Directive) -> tuple[str, str]:
    """The path of a location, and how it is compared. A pattern keeps its sign: nobody takes it for a path."""
    sign, rest = split(item)
    if sign in ("~", "~*"):
        return f"{sign} {rest}", "regex"
    return rest or "/", {"=": "exact", "^~": "final"}.get(sign, "prefix")


def choose(scope: Directive, path: str, doubts: list[Directive]) -> list[Directive]:
    """The locations that a path is served by, the outer first.

    :param doubts: gets those of which nobody can tell whether they take the path before the ones that are returned.
    """
    return _choose(scope, path, doubts)[0]


def _choose(scope: Directive, path: str, doubts: list[Directive]) -> tuple[list[Directive], bool]:
    """The locations, and whether they are final: an exact one or a regular expression, within or without."""
    best: Directive | None = None
    size = -1
    for item in scope.all("location"):
        sign, text = split(item)
        if item.block is None or text.startswith("@"):
            continue
        if sign == "=" and text == path:
            return [item], True
        if sign in ("", "^~") and path.startswith(text) and len(text) > size:
            best, size = item, len(text)
    within: list[Directive] = []
    if best is not None:
        inner, final = _choose(best, path, doubts)
        within = [best, *inner]
        # "^~" counts on the level on which it stands: what is nested in it is looked for before.
        if final or split(best)[0] == "^~":
            return within, final
    for item in scope.all("location"):
        sign, text = split(item)
        if sign not in ("~", "~*") or item.block is None:
            continue
        fits = patterns.fits(text, path, sign == "~*")
        if fits:
            return [item, *_choose(item, path, doubts)[0]], True
        if fits is None:
            doubts.append(item)
    return within, False


def find_named(server: Directive, name: str) -> Directive | None:
    """A location to which requests are led by its name (``@rtc``)."""
    return next((item for item in server.all("location") if item.args == [name] and item.block is not None), None)


def capture(chain: list[Directive], path: str) -> dict[str, str]:
    """What the pattern of the innermost location found, by number and name."""
    sign, text = split(chain[-1]) if chain else ("", "")
    pattern = patterns.compile_pattern(text, sign == "~*") if sign in ("~", "~*") else None
    match = pattern.search(path) if pattern else None
    if match is None:
        return {}
    found = {str(number): value or "" for number, value in enumerate(match.groups(), 1)}
    return {**found, **{name: value or "" for name, value in match.groupdict().items()}}
