# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that several modules share; documented by the fragments of the same names."""

from __future__ import annotations

from typing import Any

# Documented in plugins/doc_fragments/writing.py.
UNDOABLE: dict[str, dict[str, Any]] = {
    "undo_dir": {"type": "path"},
    "undo_keep": {"type": "int", "default": 20},
    "undo_days": {"type": "int", "default": 400},
    "undo_user": {"type": "str", "default": ""},
}
WRITING: dict[str, dict[str, Any]] = {"backup": {"type": "bool", "default": False}, **UNDOABLE}
