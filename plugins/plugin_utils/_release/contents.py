# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a bundle holds, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/). Pure."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from email.message import Message
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source
from ansible_collections.collab.rtc.plugins.plugin_utils._release import wheels

_NAMESPACE = uuid.UUID("7d2c0f0e-5f62-5d7c-9a35-0f4be7a3c9d1")
_SERVER = "rtc-server"


def render(version: str, digests: Mapping[str, str], metadata: Mapping[str, Message]) -> dict[str, Any]:
    """The list of contents. It has no time and no random number, so that a bundle is the same when built twice.

    :param version: of the server.
    :param digests: SHA-256 of each wheel by its file name.
    :param metadata: of each wheel, by its file name.
    """
    packages: dict[tuple[str, str], list[str]] = {}
    for name in sorted(digests):
        packages.setdefault(wheels.split_name(name), []).append(name)
    references = {name: _make_reference(name, number) for name, number in packages}
    components = [
        _make_component(name, number, files, digests, metadata[files[0]])
        for (name, number), files in packages.items()
        if name != _SERVER
    ]
    server = packages.get((_SERVER, version), [])
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, ' '.join(sorted(digests.values())))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": _make_reference(_SERVER, version),
                "name": _SERVER,
                "version": version,
                "purl": _make_reference(_SERVER, version),
                "licenses": [{"license": {"id": "GPL-3.0-or-later"}}],
                "components": [_make_file(name, digests[name]) for name in server],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": references[name], "dependsOn": _find_needed([metadata[one] for one in files], references)}
            for (name, _number), files in packages.items()
        ],
    }


def _make_reference(name: str, version: str) -> str:
    """A package URL (https://github.com/package-url/purl-spec)."""
    return f"pkg:pypi/{name}@{version}"


def _make_component(
    name: str, version: str, files: list[str], digests: Mapping[str, str], metadata: Message
) -> dict[str, Any]:
    licenses = _read_license(metadata)
    return {
        "type": "library",
        "bom-ref": _make_reference(name, version),
        "name": name,
        "version": version,
        "purl": _make_reference(name, version),
        **({"licenses": licenses} if licenses else {}),
        "components": [_make_file(one, digests[one]) for one in files],
    }


def _make_file(name: str, digest: str) -> dict[str, Any]:
    return {"type": "file", "bom-ref": name, "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}


def _read_license(metadata: Message) -> list[dict[str, Any]]:
    expression = metadata.get("License-Expression")
    if expression:
        return [{"expression": str(expression)}]
    text = str(metadata.get("License") or "").strip().split("\n", 1)[0]
    if text:
        return [{"license": {"name": text}}]
    named = [str(one).rpartition(" :: ")[2] for one in metadata.get_all("Classifier", []) if one.startswith("License ")]
    return [{"license": {"name": one}} for one in named]


def _find_needed(metadata: list[Message], references: Mapping[str, str]) -> list[str]:
    """References of the packages that one needs on some target; extras are nobody's need."""
    lines = [str(line) for one in metadata for line in one.get_all("Requires-Dist", [])]
    names = [re.match(r"[\w.-]+", line) for line in lines if not re.search(r";.*\bextra\b", line)]
    found = {release_source.fold_name(match[0]) for match in names if match}
    return sorted(references[name] for name in found if name in references)
