# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands where a secret is not shown. A file of its own: the readers that find secrets are long, and a host
compiles all that is sent with a module."""

from __future__ import annotations

MASK = "********"
