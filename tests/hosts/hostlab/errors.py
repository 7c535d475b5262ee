# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that the lab shows to people."""

from __future__ import annotations


class LabError(Exception):
    """Something that the person at the keyboard must know: the message names cause and remedy."""
