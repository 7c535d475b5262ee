# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wanted of a host, and whose things a run may touch: what the plan compares with the record. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Kinds of entries of the record.
KINDS = ("vhost", "file", "textfile", "connector", "trust", "trust_option", "instance", "package", "setting")


@dataclass(frozen=True)
class Wanted:
    """One thing that a site needs on a host."""

    key: str
    kind: str
    site: str
    text: str
    what: dict[str, Any]
    spec: str
    is_there: bool  # already, as detection sees it: then it is adopted where the record does not have it


@dataclass
class Scope:
    """Whose things a run may touch."""

    inventory: str = ""
    present: frozenset[str] = frozenset()  # owners that this run looks at: "wiki1/confluence"
    known: frozenset[str] = frozenset()  # all that the inventory has
    overwrite: frozenset[str] = frozenset()  # owners whose conflicts are overwritten
    remove_orphans: frozenset[str] = frozenset()  # hosts on which orphans go
    uninstall: bool = False
    names: dict[str, str] = field(default_factory=dict)  # server name -> site
    digests: dict[str, dict[str, str]] = field(default_factory=dict)  # site -> what a file holds -> digest of its text
    releases: dict[str, str] = field(default_factory=dict)  # host -> the release of the RTC server that it is to have


def name_owner(host: str, application: str) -> str:
    """A node of a site, as records name it."""
    return f"{host}/{application}"


def name_application_vhost(application: str, server_name: str, port: int) -> str:
    """The name of the file of an application's own virtual host."""
    return f"{application}-{server_name}-{port}"
