# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Options of all modules that change a file.
    DOCUMENTATION = r"""
options:
  backup:
    description:
      - Keep a copy of the file as it was, beside it.
    type: bool
    default: false
  undo_dir:
    description:
      - Directory of the undo record of this run on the managed host. It gets the file before its first change.
      - The playbooks of this collection set it, and C(playbooks/rollback.yml) reads it.
    type: path
"""
