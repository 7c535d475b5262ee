# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxy servers of a host, as it is asked for them."""

from __future__ import annotations

from typing import Callable

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.discover import describe_servers
from ansible_collections.collab.rtc.plugins.module_utils._proxy.kinds import BACKENDS, make_backend


def discover(root: str, note: Callable[[str, str], None]) -> list[Proxy]:
    """Every proxy server that is installed on the host, and what it serves. Never raises, changes nothing.

    As root it also lets each server check its configuration. Below another root nothing is run.

    :param note: is given what could not be seen, and the reason.
    """
    return describe_servers((make_backend(kind, root) for kind in BACKENDS), note)
