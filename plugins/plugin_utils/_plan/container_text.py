# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of a container as text for its administrator: a file for Compose, options of ``docker run``. Pure."""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Iterable, Mapping

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import Container

OVERRIDE = "compose.override.yml"
_STEMS = ("compose", "docker-compose")
_USUAL = {f"{stem}{middle}.{end}" for stem in _STEMS for middle in ("", ".override") for end in ("yml", "yaml")}


def render_compose(
    container: Container,
    kind: str,
    variables: Mapping[str, str],
    ports: Iterable[str],
    mounts: Iterable[str],
    hosts: Iterable[str],
) -> str:
    """A ``compose.override.yml``, which Compose lays over the file that it has."""
    service = container.compose_service or kind
    lines = [
        f"# For the container {container.name}: {_explain_place(container)}, and run",
        f"#   {name_command(container)}",
        "services:",
        f"  {service}:",
    ]
    if variables:
        lines += ["    environment:", *(f"      {name}: {_quote(value)}" for name, value in variables.items())]
    ports, mounts, hosts = list(ports), list(mounts), list(hosts)
    if ports:
        lines += [
            "    # All its ports; without !override (Compose 2.24 or later) Compose would add them to those it has.",
            "    ports: !override",
            *(f"      - {_quote(item)}" for item in ports),
        ]
    if mounts:
        lines += ["    volumes:", *(f"      - {_quote(item)}" for item in mounts)]
    if hosts:
        lines += ["    extra_hosts:", *(f"      - {_quote(item)}" for item in hosts)]
    if len(lines) == 4:
        lines[-1] += " {}"
    return "\n".join(lines) + "\n"


def render_options(
    variables: Mapping[str, str], ports: Iterable[str], mounts: Iterable[str], hosts: Iterable[str]
) -> str:
    """Options of ``docker run``, ``docker create``, and those of Podman, one a line as a shell takes them."""
    options = [("--env", f"{name}={value}") for name, value in variables.items()]
    options += [("--publish", item) for item in ports]
    options += [("--volume", item) for item in mounts]
    options += [("--add-host", item) for item in hosts]
    return " \\\n".join(f"{name} {shlex.quote(value)}" for name, value in options) + ("\n" if options else "")


def name_command(container: Container) -> str:
    """What makes the container anew with other settings, as words for people."""
    if container.compose_project or container.compose_service:
        client = "podman-compose" if container.engine == "podman" else "docker compose"
        folder = f"cd {shlex.quote(container.compose_directory)} && " if container.compose_directory else ""
        files = ""
        if any(posixpath.basename(item) not in _USUAL for item in container.compose_files):
            # Compose takes an override by itself only where it finds its file by itself.
            names = list(dict.fromkeys([*container.compose_files, _find_override(container) or OVERRIDE]))
            files = "".join(f" -f {shlex.quote(item)}" for item in names)
        return f"{folder}{client}{files} up -d"
    client = container.engine if container.engine in ("docker", "podman") else "docker"
    name = container.name.rpartition("/")[2]
    return f"{client} stop {name} && {client} rm {name}, then {client} run with its options and these"


def _explain_place(container: Container) -> str:
    there = _find_override(container)
    if there:
        return f"put this into {there}, which it has already"
    first = container.compose_files[0] if container.compose_files else "its compose.yml"
    return f"put this beside {first}, as {OVERRIDE}"


def _find_override(container: Container) -> str:
    return next((item for item in container.compose_files if ".override." in posixpath.basename(item)), "")


def _quote(value: str) -> str:
    """A scalar of YAML, which JSON's are, too; Compose replaces what a dollar begins."""
    return json.dumps(value.replace("$", "$$"), ensure_ascii=False)
