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
  - Unpacks a release of the RTC server beside the running one, tries it, and switches to it in one step.
  - Before the switch, the release is started once, on loopback and with a journal of its own, as a user who owns
    nothing. It also has to be able to read the journal of each instance on the host. So a downgrade is refused where a
    newer release has changed the journal's schema.
  - What M(collab.rtc.rtc_instance) cannot get ready with the new release, it takes back.
  - The release is built on the controller, or taken from a bundle, and holds everything. The managed host contacts no
    package index.
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
    description: Version of that interpreter, such as V(3.11). The action that sends the release needs it.
    type: str
    required: true
  machine:
    description: Machine of the managed host as C(uname -m) says it.
    type: str
    default: x86_64
  bundle:
    description:
      - A bundle on the controller that M(collab.rtc.rtc_bundle) built, for controllers which reach no package index.
    type: path
  cache:
    description: Where the controller keeps the releases that it built.
    type: path
    default: ~/.cache/collab-rtc
  base:
    description: Directory of the releases.
    type: path
    default: /opt/rtc-server
  keep:
    description:
      - How many releases stay on the host, the running one included.
      - Those that an instance was last ready with, or that undoing a run would make current again, stay besides; see
        O(undo_keep).
    type: int
    default: 2
  version:
    description:
      - Which release is wanted, where it is not the one that the controller has; a version, or the whole name of one.
      - It is chosen among those that the host keeps; of several, the one that was installed last.
    type: str
  name:
    description: Name of the release. Set by the action of this module.
    type: str
  src:
    description: The archive of the release on the managed host. Set by the action of this module.
    type: path
  digest:
    description: SHA-256 of that archive. Set by the action of this module.
    type: str
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
import hashlib
import os
import subprocess
import tarfile
import zlib
from typing import IO

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _argspec, _files, _files_tree, _ownership
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._java import confined
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import release, switching, trial, unit
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import store as rtc_server_store
from ansible_collections.collab.rtc.plugins.module_utils._undo import prune as undo_prune
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

_MOST_BUNDLE = 1 << 30  # bytes
_CHECKS = "/run"
_HALF = ".unpack"  # what a killed run left half unpacked begins so


def choose_name(base: str, name: str, wanted: str, tag: str) -> str:
    """The release that is to be current.

    :param name: of the release that the controller has.
    :param wanted: the option ``version``; "" for that one.
    :raises RtcError: the host does not keep what is wanted.
    """
    if not wanted or release.is_meant(name, wanted, tag):
        return name
    folder = os.path.join(base, "releases")
    kept = [one for one in _files_tree.list_directory(folder) if not one.startswith(".")]
    meant = release.list_meant(kept, wanted, tag)
    if not meant:
        raise RtcError(
            f"There is no release {wanted} of the RTC server for {tag}: {folder} has {', '.join(kept) or 'none'}, and"
            f" the controller has {name}.",
            "Name one of these in rtc_server_version, or a bundle of that version in rtc_bundle.",
        )
    return max(meant, key=lambda one: os.stat(os.path.join(folder, one)).st_mtime)


def unpack(archive: str, digest: str, target: str, python: str, undo_dir: str | None) -> None:
    """Unpack a release beside its place, try and compile it, and rename it into place.

    :param undo_dir: of the run: one that was given up meanwhile must not take the place before the next one does.
    """
    parent = os.path.dirname(target)
    _files_tree.make_directory(parent)
    _files_tree.require_own(parent, "A release")  # so nobody else changes what is unpacked, and run, below
    for name in _files_tree.list_directory(parent):
        if name.startswith(_HALF):
            _files_tree.remove_tree(os.path.join(parent, name))
    folder = _files_tree.make_hidden_directory(parent, _HALF[1:], 0o755)  # programs are for everyone to read
    try:
        with _files.open_file(archive, _MOST_BUNDLE) as file:
            if digest and _hash(file) != digest:
                raise RtcError(f"{archive} did not arrive as it was sent.", "Run again.")
        with _files.open_file(archive, _MOST_BUNDLE) as file, tarfile.open(fileobj=file) as tar:
            for member in tar.getmembers():
                if (
                    member.name.startswith(("/", ".."))
                    or "/../" in member.name
                    or not (member.isfile() or member.isdir())
                ):
                    raise RtcError(f"{archive} is no release: it holds {member.name}.", "Build it again.")
            try:
                tar.extractall(folder)  # noqa: S202 - every member was checked above
            except OSError as exc:
                raise RtcError(
                    f"{parent} cannot take the release {os.path.basename(target)}: {exc.strerror}.",
                    "Nothing was switched. Where the disk is full, free some space, and run again.",
                ) from exc
        said = _files.read_existing(os.path.join(folder, "RELEASE")) or b""
        if said.decode("utf-8", "replace").strip() != os.path.basename(target):
            raise RtcError(f"{archive} holds another release than {os.path.basename(target)}.", "Build it again.")
        check(folder, os.path.basename(target), python)
        # The service runs in a read-only file system: compiled once here, not at each start.
        subprocess.run([python, "-m", "compileall", "-q", "-j", "0", folder], check=False, capture_output=True)
        _files_tree.label_tree(folder, target)
        switching.sync(folder)
        records.require_going(undo_dir)
        _files_tree.rename(folder, os.path.basename(target))
    except BaseException:
        _files_tree.remove_tree(folder)
        raise


def _hash(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in iter(lambda: file.read(1 << 20), b""):
        digest.update(piece)
    return digest.hexdigest()


def check(folder: str, name: str, python: str) -> None:
    """Whether a release can take the place of the running one.

    :param folder: where it is, with its name or before it has one.
    :raises RtcError: it cannot; nothing was switched.
    """
    check_journals(folder, name, python)
    check_runs(folder, name, python)


def check_runs(folder: str, name: str, python: str) -> None:
    """Start a release and ask whether it is ready, before anything is switched.

    :raises RtcError: with the server's, or the interpreter's, last words.
    """
    program = os.path.join(folder, "rtc-server")
    command = [python, "-I", "-c", trial.PROGRAM, program, str(trial.SECONDS)]
    try:
        result = confined.run(command, confined.make_account(), (), trial.SECONDS + 10)
    except OSError as exc:
        raise RtcError(
            f"{python} cannot be started: {exc.strerror}.", "Name an interpreter in rtc_server_python."
        ) from exc
    if result.status != 0:
        words = result.output.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
        raise RtcError(
            f"The RTC server of {name} does not start on {python}: {words}",
            "Nothing was switched. Check rtc_server_python, and that all users may read the directory of the releases.",
        )


def check_journals(folder: str, name: str, python: str) -> None:
    """Whether a release can go on with the journal of each instance on the host.

    :raises RtcError: a newer release has changed its schema, or it is damaged.
    """
    for file in _files_tree.list_directory(unit.CONFIG_DIR):
        instance, ending = os.path.splitext(file)
        journal = f"{unit.STATE_DIR}/{instance}/journal.db"
        if ending != ".toml" or not unit.INSTANCE.match(instance) or not os.path.lexists(journal):
            continue
        config = _files.read_existing(f"{unit.CONFIG_DIR}/{file}") or b""
        if rtc_server_store.find_url(config.decode("utf-8", "replace")):
            continue  # what was its journal once; check-config asks the store
        why = _ask_journal(folder, python, journal)
        if why:
            raise RtcError(
                f"The release {name} cannot go on with the journal of {instance}: {why}",
                "Nothing was switched. Leave rtc_server_version out, or see docs/journal-format.md.",
            )


def _ask_journal(folder: str, python: str, journal: str) -> str:
    """What the release says against a journal, by the command that only reads it; "" for nothing."""
    checks = _files_tree.make_hidden_directory(_CHECKS, "rtc-server")
    try:
        secret, config = os.path.join(checks, "secret"), os.path.join(checks, "config.toml")
        _files.write_atomic(secret, os.urandom(32).hex().encode(), mode=0o600)
        values = {"server": {"address": "127.0.0.1", "port": 1}, "token": {"keys": [secret]},
                  "journal": {"path": journal}}  # fmt: skip
        _files.write_atomic(config, unit.render_toml(values).encode())
        command = [python, "-I", os.path.join(folder, "rtc-server"), "list-projects", "--config", config]
        env = {**os.environ, "LC_ALL": "C"}  # in which Python speaks UTF-8: in another one it cannot print all names
        result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False, env=env)
        return "" if result.returncode == 0 else result.stderr.strip().rsplit("\n", 1)[-1]
    finally:
        _files_tree.remove_tree(checks)


def note_way_back(base: str, name: str) -> None:
    """Note for instances that nobody has noted it for yet, that they run with this release."""
    known = switching.read_ready(base)
    for file in _files_tree.list_directory(unit.CONFIG_DIR) if name else ():
        instance, ending = os.path.splitext(file)
        if ending == ".toml" and unit.INSTANCE.match(instance) and instance not in known:
            switching.note_ready(base, instance, name)


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
    undoing = undo_prune.find_releases(entries, switching.path_of_current(base))
    prune(base, module.params["keep"], wanted.union(undoing, switching.read_ready(base).values()))


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
            "version": {"type": "str"},
            "name": {"type": "str"},
            "src": {"type": "path"},
            "digest": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    base, python = params["base"], params["python"]
    tag = release.make_tag(params["python_version"], params["machine"])
    try:
        name = choose_name(base, params["name"], params["version"] or "", tag)
    except (RtcError, OSError) as exc:
        module.fail_json(msg=str(exc))
    target = os.path.join(base, switching.link_to(name))
    before = switching.read_current(base)
    missing = not os.path.isdir(target)
    result = {
        "changed": before != name,
        "release": name,
        "previous": before if before != name else "",
        "missing": missing,
        "diff": {"before": f"{base}/current -> {before}\n" if before else "", "after": f"{base}/current -> {name}\n"},
    }
    if module.check_mode or not result["changed"] or (missing and not params["src"]):
        module.exit_json(**result)
    try:
        _ownership.check_program(python)
        if missing:
            unpack(params["src"], params["digest"] or "", target, python, params["undo_dir"])
        else:
            check(target, name, python)
        records.require_going(params["undo_dir"])
        note_way_back(base, before)
        records.record(params["undo_dir"], switching.path_of_current(base), switching.link_to(name))
        switching.switch(base, name)
        undo_prune.prune_after(module)
        prune_unneeded(module, base, {name, before} - {""})
    except (RtcError, OSError, tarfile.TarError, EOFError, zlib.error) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
