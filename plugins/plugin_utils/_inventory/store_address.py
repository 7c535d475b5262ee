# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of stores in the inventory, checked before a server is there to be asked."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import store


def check(url: str) -> str:
    """The address itself.

    :raises ValueError: it is none, or has a password in it; the sentence repeats nothing of what could be one.
    """
    store.parse(url)
    return url
