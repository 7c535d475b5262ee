# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a finding is, and what a type of findings is: an entry of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass, field

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class FindingType:
    """What one id means, for good."""

    id: str  # "RTC101"
    severity: str  # the highest that a finding of this id has
    title: str
    meaning: str  # why it matters
    detected: str  # from which facts
    remedy: str  # what the administrator does
    role: str = ""  # the role of this collection that fixes it; "" when only the administrator can
    vendor_requirements: tuple[str, ...] = ()  # ids in tools/vendor_requirements.py that it covers


@dataclass
class Finding:
    """Something to know or to fix; the catalogue (``_findings``) says what an id means."""

    id: str  # "RTC101"
    severity: str  # "error" | "warning" | "info"
    host: str
    message: str
    evidence: list[str] = field(default_factory=list)  # "server.xml:42: proxyName=..."
    remedy: str = ""
    site: str = ""
    muted: str = ""  # the reason, when the inventory mutes it
