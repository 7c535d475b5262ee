# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where httpd reads files of virtual hosts from."""

from __future__ import annotations

import fnmatch
import os

from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache.backend import Apache
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError


def find_directories(server: Apache) -> tuple[str, str]:
    """Debian's pair of directories, where they are included; else one that is: ``conf.d``, or another."""
    available, enabled = f"{server.directory()}/sites-available", f"{server.directory()}/sites-enabled"
    if not os.path.exists(server.main()):  # not installed yet
        return (available, enabled) if server.debian() else (f"{server.directory()}/conf.d", "")
    patterns = [os.path.normpath(item) for item in server.parse_config().includes]
    serving = [os.path.dirname(item) for item in patterns if fnmatch.fnmatch("rtc.conf", os.path.basename(item))]
    serving += [item for item in patterns if os.path.isdir(item)]
    if enabled in serving and os.path.isdir(available) and not os.path.samefile(available, enabled):
        return available, enabled
    usual = [f"{server.directory()}/{name}" for name in ("conf.d", "vhosts.d")]
    found = [item for item in [*usual, *serving] if item in serving and os.path.isdir(item)]
    found = [item for item in found if os.path.basename(item) not in ("mods-enabled", "conf.modules.d")]
    if not found:
        raise ProxyError(
            f"{server.main()} includes neither sites-enabled/*.conf nor conf.d/*.conf, nor another directory.",
            f'Add "IncludeOptional {server.directory()}/conf.d/*.conf" to it.',
        )
    return found[0], ""
