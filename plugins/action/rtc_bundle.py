# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle as release_bundle
from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source
from ansible_collections.collab.rtc.plugins.plugin_utils._release.source import Target


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Builds a bundle on the controller; no remote call."""

    _VALID_ARGS = frozenset({"path", "pythons", "machines", "cache"})
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Build it, then read it as a run does that uses it."""
        super().run(tmp, task_vars)
        args = self._task.args
        if not str(args["path"] or "").strip():
            raise AnsibleActionFail("rtc_bundle is empty. Name the file to write, or leave the variable out.")
        path = os.path.abspath(os.path.expanduser(str(args["path"])))
        cache = os.path.expanduser(str(args.get("cache", "~/.cache/collab-rtc")))
        try:
            targets = combine(args.get("pythons"), args.get("machines"))
            listed = [str(target) for target in targets]
            release_bundle.require_place(path)
            if self._task.check_mode:
                return {"changed": not os.path.exists(path), "path": path, "targets": listed}
            changed = release_bundle.build(release_source.SOURCE, targets, cache, path)
            made = release_bundle.check(path)
        except RtcError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        return {"changed": changed, "path": path, "targets": listed, "version": made.version, "sha256": digest}


def combine(pythons: object, machines: object) -> list[Target]:
    """The targets that two options mean, each a list, or text with commas, as ``--extra-vars`` gives it.

    :raises BundleError: a version or a machine that the server is not made for.
    """
    found = []
    for version in _split(pythons, release_source.PYTHONS):
        for machine in _split(machines, release_source.MACHINES):
            if version not in release_source.PYTHONS or machine not in release_source.MACHINES:
                raise release_source.BundleError(
                    f"There are no bundles for Python {version} on {machine}.",
                    f"Choose among {', '.join(release_source.PYTHONS)} and {', '.join(release_source.MACHINES)}.",
                )
            found.append(Target(version, machine))
    return sorted(set(found))


def _split(value: object, default: Iterable[str]) -> list[str]:
    if value is None or value == "":
        return list(default)
    if isinstance(value, Mapping):
        raise release_source.BundleError(
            "The bundle's versions of Python, or machines, are a dictionary.", "Give a list, or text with commas."
        )
    items = value if isinstance(value, (list, tuple)) else [value]
    return [part.strip() for item in items for part in str(item).split(",") if part.strip()] or list(default)
