# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and keys that a run installed for virtual hosts, and that go back with those."""

from __future__ import annotations

import os
from typing import Collection, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore


class Certificates:
    """The files that virtual hosts read, as this run has written them, and as they were before it.

    :param undo_dir: the undo record of the run; without one nobody knows what was before.
    :param vhosts: of all sites: a file stays while one of them that goes on reads it.
    """

    def __init__(self, undo_dir: str | None, vhosts: Sequence[VhostPlan]) -> None:
        self.undo_dir, self.vhosts = undo_dir or "", vhosts
        self.taken: set[str] = set()  # sites
        self.kept: dict[str, _files.Whole] = {}  # path -> what was taken back

    def take_back(self, sites: Collection[str]) -> None:
        """Give the files of these sites the content from before the run.

        :raises RtcError: one must not be touched any more, or the run was given up.
        """
        records.require_going(self.undo_dir)
        self.taken |= set(sites)
        recorded = {entry["path"] for entry in records.entries(self.undo_dir)} if self.undo_dir else set()
        mine = self._list_read(self.taken) & recorded
        paths = mine - self._list_read({vhost.site for vhost in self.vhosts} - self.taken) - set(self.kept)
        for path in paths:
            found = _files.read_copy(path)
            if found:
                self.kept[path] = found
        if paths:
            restore.restore(self.undo_dir, None, sorted(paths))

    def bring(self, sites: Collection[str]) -> None:
        """Write what was taken back once more, where one of these sites reads it: they are tried again.

        :raises RtcError: it cannot be written, or the run was given up.
        """
        records.require_going(self.undo_dir)
        self.taken -= set(sites)
        for path in self._list_read(sites) & set(self.kept):
            _files_tree.make_directory(os.path.dirname(path))  # it went with the last file in it
            _files.put_back(path, self.kept.pop(path))

    def _list_read(self, sites: Collection[str]) -> set[str]:
        every = [vhost for vhost in self.vhosts if vhost.site in sites]
        return {
            os.path.realpath(path)
            for vhost in every
            for path in (vhost.certificate, vhost.key, vhost.upstream_ca)
            if path
        }
