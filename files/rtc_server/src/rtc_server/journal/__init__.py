# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ordered, durable log of changes: one interface (``base``), one file for each store."""

from .base import (
    MAX_PROJECT,
    SENT_NOW,
    Change,
    Compact,
    Head,
    Journal,
    JournalError,
    JournalInUse,
    JournalLimits,
    Outcome,
    Snapshot,
    Submission,
    is_project_name,
    make_label,
)

__all__ = [
    "MAX_PROJECT",
    "SENT_NOW",
    "Change",
    "Compact",
    "Head",
    "Journal",
    "JournalError",
    "JournalInUse",
    "JournalLimits",
    "Outcome",
    "Snapshot",
    "Submission",
    "is_project_name",
    "make_label",
]
