# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which modules httpd has: those that it loads, and on Debian those that can be switched on."""

from __future__ import annotations

import os

from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache.backend import Apache

SEVERAL_NODES = ("proxy_balancer", "lbmethod_bybusyness", "lbmethod_byrequests", "slotmem_shm")
HEALTH = "proxy_hcheck"


def has_module(server: Apache, name: str) -> bool:
    """Whether a module is loaded, or can be."""
    if os.path.exists(f"{server.directory()}/mods-available/{name}.load"):
        return True
    return os.path.exists(server.main()) and f"{name}_module" in server.parse_config().modules


def find_lacking(server: Apache) -> list[str]:
    """Of the modules for several nodes behind this proxy those that a run could not use."""
    return [name for name in (*SEVERAL_NODES, HEALTH) if not has_module(server, name)]
