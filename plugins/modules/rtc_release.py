#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rtc_release
short_description: Install a release of the RTC server
version_added: 0.1.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Unpacks a release of the RTC server beside the running one and switches to it in one step.
  - The bundle is built on the controller and holds everything. The managed host contacts no package index.
  - When the release is there already, nothing is sent.
extends_documentation_fragment: [collab.rtc.attributes, collab.rtc.writing.undoable]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  python:
    description: The interpreter on the managed host that the server runs on.
    type: path
    default: /usr/bin/python3
  python_version:
    description: Version of that interpreter, such as V(3.11). The action that sends the bundle needs it.
    type: str
    required: true
  machine:
    description: Machine of the managed host as C(uname -m) says it.
    type: str
    default: x86_64
  bundle:
    description: A bundle on the controller that was built before, for controllers which reach no package index.
    type: path
  cache:
    description: Where the controller keeps the bundles that it built.
    type: path
    default: ~/.cache/collab-rtc
  base:
    description: Directory of the releases.
    type: path
    default: /opt/rtc-server
  keep:
    description:
      - How many releases stay on the host, the running one included.
      - Those that undoing a run would make current again stay besides; see O(undo_keep).
    type: int
    default: 2
  name:
    description: Name of the release. Set by the action of this module.
    type: str
  src:
    description: The bundle on the managed host. Set by the action of this module.
    type: path
"""

EXAMPLES = r"""
- name: Install the RTC server
  collab.rtc.rtc_release:
    python_version: "3.11"
"""

RETURN = r"""
release:
  description: Name of the release that is current now, or would be.
  returned: success
  type: str
previous:
  description: Name of the release that was current before; empty when there was none.
  returned: success
  type: str
missing:
  description: Whether the release is not on the host yet.
  returned: success
  type: bool
"""

import contextlib
import os
import subprocess
import tarfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _argspec, _files, _files_tree, _ownership
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit
from ansible_collections.collab.rtc.plugins.module_utils._undo import prune as undo_prune
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

_MOST_BUNDLE = 1 << 30  # bytes


def current_release(base: str) -> str:
    """The name of the release that ``current`` names, or an empty string."""
    return os.path.basename(_files_tree.read_link(os.path.join(base, "current")))


def unpack(archive: str, target: str, python: str) -> None:
    """Unpack a bundle beside its place, compile it, and rename it into place."""
    _ownership.check_program(python)
    parent = os.path.dirname(target)
    _files_tree.make_directory(parent)
    _files_tree.require_own(parent, "A release")  # so nobody else changes what is unpacked, and run, below
    folder = _files_tree.make_hidden_directory(parent, "unpack", 0o755)  # programs are for everyone to read
    try:
        with _files.open_file(archive, _MOST_BUNDLE) as file, tarfile.open(fileobj=file) as tar:
            for member in tar.getmembers():
                if (
                    member.name.startswith(("/", ".."))
                    or "/../" in member.name
                    or not (member.isfile() or member.isdir())
                ):
                    raise RtcError(f"{archive} is not a bundle: it holds {member.name}.", "Build the bundle again.")
            tar.extractall(folder)  # noqa: S202 - every member was checked above
        check_runs(folder, python)
        # The service runs in a read-only file system: compiled once here, not at each start.
        subprocess.run([python, "-m", "compileall", "-q", "-j", "0", folder], check=False, capture_output=True)
        _files_tree.label_tree(folder, target)
        _files_tree.rename(folder, os.path.basename(target))
    except BaseException:
        _files_tree.remove_tree(folder)
        raise


def check_runs(folder: str, python: str) -> None:
    """Start the unpacked server once: a bundle for another interpreter is refused before anything is switched.

    :raises RtcError: with the interpreter's error message.
    """
    try:
        result = subprocess.run(
            [python, "-I", os.path.join(folder, "rtc-server"), "--version"], capture_output=True, text=True, check=False
        )
    except OSError as exc:
        raise RtcError(
            f"{python} cannot be started: {exc.strerror}.", "Name an interpreter in rtc_server_python."
        ) from exc
    if result.returncode != 0:
        words = result.stderr.strip().split("\n")[-1]
        raise RtcError(f"The RTC server does not start on {python}: {words}", "Check rtc_server_python.")


def switch(base: str, name: str) -> None:
    """Point ``current`` at a release, in one step."""
    _files_tree.replace_link(os.path.join(base, "current"), link_to(name))


def link_to(name: str) -> str:
    """Where ``current`` leads for a release."""
    return os.path.join("releases", name)


def prune(base: str, keep: int, wanted: set[str]) -> None:
    """Remove the oldest releases; those in ``wanted`` stay whatever their age."""
    folder = os.path.join(base, "releases")
    names = [name for name in _files_tree.list_directory(folder) if not name.startswith(".")]
    names.sort(key=lambda name: os.stat(os.path.join(folder, name)).st_mtime, reverse=True)
    spare = [name for name in names if name not in wanted]
    for name in spare[max(0, keep - len(wanted)) :]:
        with contextlib.suppress(RtcError):
            _files_tree.remove_tree(os.path.join(folder, name))


def prune_unneeded(module: AnsibleModule, base: str, wanted: set[str]) -> None:
    """Remove old releases; none where a damaged undo record may need one."""
    try:
        entries = undo_prune.read_entries(module.params["undo_dir"])
    except RtcError as exc:
        module.warn(f"Old releases were not removed: {exc}")
        return
    prune(base, module.params["keep"], wanted.union(undo_prune.find_releases(entries, os.path.join(base, "current"))))


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "python": {"type": "path", "default": "/usr/bin/python3"},
            "python_version": {"type": "str", "required": True},
            "machine": {"type": "str", "default": "x86_64"},
            "bundle": {"type": "path"},
            "cache": {"type": "path", "default": "~/.cache/collab-rtc"},
            "base": {"type": "path", "default": unit.BASE},
            "keep": {"type": "int", "default": 2},
            **_argspec.UNDOABLE,
            "name": {"type": "str"},
            "src": {"type": "path"},
        },
        supports_check_mode=True,
    )
    base, name = module.params["base"], module.params["name"]
    target = os.path.join(base, "releases", name)
    before = current_release(base)
    missing = not os.path.isdir(target)
    result = {
        "changed": before != name,
        "release": name,
        "previous": before if before != name else "",
        "missing": missing,
        "diff": {"before": f"{base}/current -> {before}\n" if before else "", "after": f"{base}/current -> {name}\n"},
    }
    if module.check_mode or not result["changed"] or (missing and not module.params["src"]):
        module.exit_json(**result)
    try:
        if missing:
            unpack(module.params["src"], target, module.params["python"])
        records.record(module.params["undo_dir"], os.path.join(base, "current"), link_to(name))
        switch(base, name)
        undo_prune.prune_after(module)
        prune_unneeded(module, base, {name, before} - {""})
    except (RtcError, OSError, tarfile.TarError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
