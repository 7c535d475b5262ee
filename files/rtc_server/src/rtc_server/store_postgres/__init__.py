# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal on PostgreSQL, which several servers share: each is active, and all deliver one order.

Only what is configured to use it imports the modules that need the driver (asyncpg).
"""
