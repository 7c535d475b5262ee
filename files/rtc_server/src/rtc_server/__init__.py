# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RTC server: durable, ordered collaboration over Socket.IO.

Layers, no import upwards: ``engine`` (bytes and rooms) <- ``project`` and ``journal`` (order and
durability) <- ``service`` (the events of the contract) <- ``app`` (wiring) <- ``cli``.
"""

__version__ = "0.1.0"
