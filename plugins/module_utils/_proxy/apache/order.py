# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of several virtual hosts httpd takes: of those of an address the first that fits the name. Pure."""

from __future__ import annotations

import fnmatch
import os

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy.listens import meets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan


def find_directory(main: str) -> str:
    """Where httpd reads managed files, by its main file: as Debian has it, or the RHEL family."""
    directory = os.path.dirname(main)
    if os.path.basename(main) == "apache2.conf":
        return f"{directory}/sites-enabled"
    return f"{os.path.dirname(directory)}/conf.d"


def find_fitting(host: VirtualHost, server_name: str) -> str:
    """The name of a virtual host that a name fits (``*`` and ``?`` are wildcards), "" for none."""
    return next((name for name in host.names if fnmatch.fnmatchcase(server_name.lower(), name.lower())), "")


def find_hiding(vhost: VhostPlan, current: Proxy, path: str) -> VirtualHost | None:
    """The virtual host of somebody else that would answer in place of a managed one.

    :param path: where httpd reads the managed file; files of a directory are read by their names.
    """
    order = [item.file for item in current.hosts]
    directory = os.path.dirname(path)
    for number, host in enumerate(current.hosts):
        if path in order:
            after = number > order.index(path)
        elif os.path.dirname(host.file) == directory:
            after = host.file > path
        else:
            after = any(os.path.dirname(file) == directory for file in order[:number])
        before = not after and not host.managed
        if before and find_fitting(host, vhost.server_name) and any(meets(vhost, item) for item in host.listens):
            return host
    return None
