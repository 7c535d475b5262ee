# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where nginx reads files of virtual hosts from."""

from __future__ import annotations

import fnmatch
import os

from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx.backend import Nginx


def find_directories(server: Nginx) -> tuple[str, str]:
    """The directory that files go to, and that of the links that switch them on; "" where one does both.

    :raises ProxyError: nothing that is written would be read.
    """
    # Debian's pair of directories, where nginx.conf still includes it; elsewhere conf.d (RHEL, nginx.org), or another
    available, enabled = server.path("/etc/nginx/sites-available"), server.path("/etc/nginx/sites-enabled")
    if not os.path.exists(server.main()):  # not installed yet: as Debian will have it
        return available, enabled
    https = parser.walk(server.parse_config().directives, "http")
    named = [item.args[0] for http in https for item in http.all("include") if item.args]
    patterns = [server.path(os.path.join(os.path.dirname(server.main()), item)) for item in named]
    serving = [os.path.dirname(item) for item in patterns if fnmatch.fnmatch("rtc.conf", os.path.basename(item))]
    if enabled in serving and os.path.isdir(available) and not os.path.samefile(available, enabled):
        return available, enabled
    found = [item for item in (server.path("/etc/nginx/conf.d"), *serving) if item in serving and os.path.isdir(item)]
    if not found:
        raise ProxyError(
            f"{server.main()} includes neither sites-enabled/* nor conf.d/*.conf, nor another directory, in http.",
            'Add "include /etc/nginx/conf.d/*.conf;" to its http block.',
        )
    return found[0], ""
