# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RTC server: durable, ordered collaboration over Socket.IO.

Layers, from the bottom; none imports a higher one, and tests/rtc_server/test_layers.py holds that: ``strict_json``,
``auth``, ``limits``; ``engine`` (bytes and rooms, nothing else of the server) and ``journal`` (order and durability);
``project``, ``projects`` (members, delivery); ``connection``, ``handlers`` (the events of the contract); ``service``
(who is let in); ``app`` (wiring); ``cli``. CONTRIBUTING.md says what each file is responsible for.
"""

__version__ = "0.1.0"
