# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Options and action groups of all modules that change a file.
    DOCUMENTATION = r"""
options:
  backup:
    description:
      - Keep a copy of the file as it was, beside it.
    type: bool
    default: false
  undo_dir:
    description:
      - Directory of the undo record of this run on the managed host. The file is saved there before its first change.
      - The playbooks of this collection set it, and M(collab.rtc.rtc_undo) reads it.
    type: path
  undo_keep:
    description:
      - How many undo records stay in the directory of O(undo_dir), the newest ones. V(0) sets no limit.
      - The record that is the first for one of its files always stays. Only directories named as the playbooks name
        runs are looked at.
    type: int
    default: 20
  undo_days:
    description: After how many days an undo record goes even so. V(0) sets no limit.
    type: int
    default: 400
  undo_user:
    description: Who runs this on which controller, for the undo record.
    type: str
    default: ""
attributes:
  action_group:
    description:
      - Use C(group/collab.rtc.undoable) in C(module_defaults) to set O(undo_dir) for all modules that have it, and
        C(group/collab.rtc.writing) to set O(backup).
    support: full
    membership:
      - collab.rtc.undoable
      - collab.rtc.writing
"""

    # The same for a module that records what it changes and has no copy to keep beside it.
    UNDOABLE = r"""
options:
  undo_dir:
    description:
      - Directory of the undo record of this run on the managed host. What is changed is recorded there before.
      - The playbooks of this collection set it, and M(collab.rtc.rtc_undo) reads it.
    type: path
  undo_keep:
    description:
      - How many undo records stay in the directory of O(undo_dir), the newest ones. V(0) sets no limit.
      - The record that is the first for one of its files always stays. Only directories named as the playbooks name
        runs are looked at.
    type: int
    default: 20
  undo_days:
    description: After how many days an undo record goes even so. V(0) sets no limit.
    type: int
    default: 400
  undo_user:
    description: Who runs this on which controller, for the undo record.
    type: str
    default: ""
attributes:
  action_group:
    description: Use C(group/collab.rtc.undoable) in C(module_defaults) to set O(undo_dir) for all modules that have it.
    support: full
    membership:
      - collab.rtc.undoable
"""
