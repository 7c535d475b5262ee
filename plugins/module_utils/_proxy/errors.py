# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the helpers of proxies raise."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError


class ProxyError(RtcError):
    """The proxy server refuses something, or must not be changed as asked."""
