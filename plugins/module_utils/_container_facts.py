# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host reports about the container that an application runs in; part of :mod:`_facts`, and as that."""
# ruff: noqa: UP006

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, List


@dataclass
class PublishedPort:
    """A port of the host that leads to one of a container."""

    address: str  # of the host; "0.0.0.0" or "::" for all
    port: int
    container_port: int


@dataclass
class Mount:
    """A directory or file of the host that a container sees."""

    source: str  # on the host; "" where it is not one of its files
    target: str  # in the container
    read_only: bool = False


@dataclass
class Container:
    """The container that an application runs in. Paths of the application begin with its name: "wiki:/opt/..."."""

    name: str = ""  # "wiki"; begins with the user for one that is not root's: "bob/wiki"
    id: str = ""  # 64 digits; "" for unknown
    engine: str = ""  # "docker" | "podman" | "containerd" | "kubernetes" | ...; "" for unknown
    image: str = ""
    compose_project: str = ""
    compose_service: str = ""
    compose_directory: str = ""
    compose_files: List[str] = field(default_factory=list)
    environment: Dict[str, str] = field(default_factory=dict)  # what concerns Tomcat and Java; secrets replaced
    network: str = ""  # "host" | "own"; "" for unknown
    addresses: List[str] = field(default_factory=list)  # in a network of its own
    ports: List[PublishedPort] = field(default_factory=list)
    ports_unknown: str = ""  # why it is unknown which ports are published
    listens: List[int] = field(default_factory=list)  # ports, in a network of its own
    mounts: List[Mount] = field(default_factory=list)
    source: str = ""  # who told name, image and ports: "docker inspect", "config.v2.json", "the kernel"
    resolves: Dict[str, str] = field(default_factory=dict)  # what its own /etc/hosts has


def is_contained(path: str) -> bool:
    """Whether a path is one in a container: "wiki:/opt/atlassian/confluence", "bob/wiki:/opt/atlassian/confluence"."""
    return bool(re.match(r"(?:[\w.-]+/)?[\w.-]+:/", path))
