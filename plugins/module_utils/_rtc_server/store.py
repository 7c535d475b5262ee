# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an RTC server instance has besides when its journal is on a store that several share."""

from __future__ import annotations

# In the directory of the instance's secrets, and handed to the service as credentials (systemd.exec(5)): the password
# is on no command line and in no environment, and nobody but root reads the file.
CA, PASSWORD = "store-ca.pem", "store-password"
_UNIT = """\
# Written by collab.rtc; changes are overwritten by its next run.
[Service]
"""


def drop_in(tls_drop_in: str) -> str:
    """Path of :func:`render_drop_in`, beside the file for TLS."""
    return tls_drop_in[: tls_drop_in.rindex("/")] + "/store.conf"


def render_drop_in(config: str, ca: bool) -> str:
    """The part of the unit that hands over password and authority.

    :param config: directory of the configurations.
    :param ca: whether the store's authority is given.
    """
    names = [PASSWORD, *([CA] if ca else [])]
    return _UNIT + "".join(f"LoadCredential={name}:{config}/%i/{name}\n" for name in names)


def make_journal(url: str, ca: bool) -> dict[str, str]:
    """Section ``journal`` of the configuration.

    :param url: of the database, without a password.
    """
    journal = {"store_url": url, "store_password": f"$CREDENTIALS_DIRECTORY/{PASSWORD}"}
    return {**journal, "store_ca": f"$CREDENTIALS_DIRECTORY/{CA}"} if ca else journal
