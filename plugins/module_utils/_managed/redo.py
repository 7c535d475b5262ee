# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What undoing a run replaced, for a proxy that does not take its files from before the run.

It is kept as an undo record is (``_undo``), of the undoing: with the record of what is managed, and the marks by which
runs count as undone.
"""

from __future__ import annotations

import os
from typing import Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import record, site_part
from ansible_collections.collab.rtc.plugins.module_utils._managed.record import Entry
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore

PATH = "/run/collab-rtc/redo"


def keep(directory: str, paths: Sequence[str], runs: Sequence[str], managed: str, goes_on: bool) -> None:
    """Save what is about to be replaced; what an earlier undoing kept goes.

    :param directory: where it is kept.
    :param paths: that are given back.
    :param runs: directories of the records that are undone.
    :param managed: path of the record of what is managed.
    :param goes_on: with what was begun before a kill: what that kept is what it replaced first, and stays.
    """
    if not goes_on:
        _files_tree.remove_tree(directory)
    for path in [*paths, managed, *(os.path.join(one, name) for one in runs for name in site_part.MARKS)]:
        records.record(directory, path, None)


def put_forward(directory: str, kind: str, folders: Sequence[str]) -> None:
    """Give the files of a proxy the content again that undoing replaced; the runs count as not undone.

    :param kind: of the proxy.
    :param folders: where its files are.
    :raises RtcError: something cannot be written, or what was replaced is not kept.
    """
    if not _files_tree.is_directory(directory):
        raise RtcError(f"{directory} is missing, in which undoing keeps what it replaces.", "Run site once more.")
    entries = records.entries(directory)
    mine = [item["path"] for item in entries if item["path"].startswith(tuple(f"{one}/" for one in folders))]
    marks = [item["path"] for item in entries if os.path.basename(item["path"]) in site_part.MARKS]
    restore.restore(directory, None, [*mine, *marks])
    managed = next((item for item in entries if os.path.basename(item["path"]) == os.path.basename(record.PATH)), None)
    if managed is None or "copy" not in managed:
        return

    def is_concerned(entry: Entry) -> bool:
        if entry.kind == "vhost":
            return bool(entry.what.get("kind") == kind)
        return entry.kind == "file" and entry.what.get("path") in mine

    path = managed["path"]
    now, old = record.load(path), record.parse(_files.read_bytes(os.path.join(directory, managed["copy"])), path)
    now.machine, now.host, now.hosts = old.machine, old.host, old.hosts
    now.entries = [entry for entry in now.entries if not is_concerned(entry)]
    now.entries += [entry for entry in old.entries if is_concerned(entry)]
    now.entries.sort(key=lambda entry: entry.key)
    for run in dict.fromkeys(map(os.path.dirname, marks)):  # that no rollback takes it for somebody's edit
        restore.note_intended(run, path, record.dump(now))
    record.save(now, None, path)
