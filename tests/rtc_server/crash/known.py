# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of today's journal that are known: by scenario, what kind of failure is not yet an error, and why.

Empty tables are the aim: then every failure is one.
"""

from __future__ import annotations

CRASHES: dict[str, dict[str, str]] = {}

# What tests of errors accept: patterns of "kind: text".
ERRORS: dict[str, str] = {}
CRASHES_AFTER_ERRORS: dict[str, str] = {}
MEMBERS: dict[str, str] = {}
