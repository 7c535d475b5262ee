# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who builds the managed files of each kind of proxy server."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._proxy import backend
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import writer as apache
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import writer as haproxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import writer as nginx


def register() -> None:
    """Let ``Backend.build_layout`` find them."""
    backend.WRITERS["nginx"] = nginx.build_layout
    backend.WRITERS["apache"] = apache.build_layout
    backend.WRITERS["haproxy"] = haproxy.build_layout
