# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the data of the tests is."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"
