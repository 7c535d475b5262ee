# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shape of an entry in the catalogue of findings. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Entry:
    """What one id means, for good."""

    id: str  # "RTC101"
    severity: str  # the highest that a finding of this id has
    title: str
    meaning: str  # why it matters
    detected: str  # from which facts
    remedy: str  # what the administrator does
    role: str = ""  # the role of this collection that mends it; "" when only the administrator can
    seed: tuple[str, ...] = ()  # ids of ``_findings_seed.STATEMENTS`` that it covers
