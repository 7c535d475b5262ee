# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of today's journal that are known: by scenario, what kind of failure is not yet an error, and why.

Empty tables are the aim: then every failure is one.
"""

from __future__ import annotations

CRASHES: dict[str, dict[str, str]] = {}

# What tests of errors accept: patterns of "kind: text".
ERRORS: dict[str, str] = {
    r"refuses: .*is in use by process": "the lock stays taken by the process itself when its number cannot be written",
    r"died: .*-log\d'": "a stop ends in a traceback when the log cannot be deleted",
}
CRASHES_AFTER_ERRORS = {
    "lost": "what a failed sync left in the page cache is only synced again, which does not write it",
    "refuses": "the same; and SQLite without its write-ahead log after a start that could not switch to it",
}
MEMBERS: dict[str, str] = {
    r"members: .* saw \d+ of \d+ kept changes": "what was kept although its commit failed is answered as a duplicate, never delivered",
}
