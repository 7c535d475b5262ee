# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an RTC server on this host can keep changes."""

from __future__ import annotations

import http.client
import ssl


def ask_ready(address: str, port: int, tls: bool) -> str:
    """What ``/readyz`` of a server on this host says against it; "" when it can keep changes.

    :param address: that it listens on.
    """
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104
    # Its certificate is for the name that users type; who holds a port of this host is asked, and told nothing.
    context = ssl._create_unverified_context() if tls else None  # noqa: S323
    connection = (
        http.client.HTTPSConnection(host, port, timeout=5, context=context)
        if tls
        else http.client.HTTPConnection(host, port, timeout=5)
    )
    try:
        connection.request("GET", "/readyz", headers={"Connection": "close"})
        answer = connection.getresponse()
        return "" if answer.status == 200 else f"/readyz answers {answer.status} {answer.read(200).decode('latin-1')}"
    except (OSError, http.client.HTTPException) as exc:
        return f"/readyz does not answer ({exc})"
    finally:
        connection.close()
