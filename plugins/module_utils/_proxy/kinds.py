# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx, Apache httpd and HAProxy: the kinds of proxy servers that the collection reads and writes."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache.backend import Apache
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Backend
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.backend import Haproxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx.backend import Nginx

# A fourth kind is one more subclass of Backend, a line here and one in ``writers``.
BACKENDS: dict[str, type[Backend]] = {"nginx": Nginx, "apache": Apache, "haproxy": Haproxy}


def make_backend(kind: str, root: str = "/") -> Backend:
    """The interface to one kind of proxy server.

    :param kind: ``nginx``, ``apache`` or ``haproxy``.
    :param root: the directory that stands for ``/``.
    :raises ProxyError: there is no such kind.
    """
    if kind not in BACKENDS:
        raise ProxyError(f"There is no proxy kind {kind}.", f"Choose one of {', '.join(BACKENDS)}.")
    return BACKENDS[kind](root)
