# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an RTC server instance has besides when administrators have a panel: its token, and whom to trust at the address
of users. As those of a store, both are credentials (systemd.exec(5))."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server.unit import beside, render_credentials

TOKEN, CA = "admin-token", "admin-ca.pem"  # in the directory of the instance's secrets
SOCKET = "$RUNTIME_DIRECTORY/admin.sock"


def drop_in(tls_drop_in: str) -> str:
    """Path of :func:`render_drop_in`, beside the file for TLS."""
    return beside(tls_drop_in, "panel")


def render_drop_in(config: str, ca: bool) -> str:
    """The part of the unit that hands over token and authority.

    :param config: directory of the configurations.
    :param ca: whether an authority is given.
    """
    return render_credentials(config, [TOKEN, *([CA] if ca else [])])


def make_admin(port: int, url: str, ca: bool, front: bool = False) -> dict[str, str]:
    """Section ``admin`` of the configuration.

    :param port: on loopback; 0: a socket for root.
    :param url: that users come by.
    :param front: whether the proxy leads administrators here, too.
    """
    listen = f"127.0.0.1:{port}" if port else SOCKET
    admin = {"listen": listen, "token": f"$CREDENTIALS_DIRECTORY/{TOKEN}", "url": url}
    if front:
        admin["front"] = url
    return {**admin, "ca": f"$CREDENTIALS_DIRECTORY/{CA}"} if ca else admin
