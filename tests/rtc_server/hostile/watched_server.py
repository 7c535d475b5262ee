# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rtc-server serve`` that can be looked into: ``python -m hostile.watched_server SOCKET serve --config FILE``.

The product runs as it is. A thread answers on a socket what nobody sees from outside: sessions, tasks, and the counters
of the loop's turns.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from typing import Any

from rtc_server import app, cli

_services: list[app.Service] = []


class _Watched(app.Service):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _services.append(self)


def _look() -> dict[str, int]:
    service = _services[0]
    loop = service.loop
    return {"sessions": len(service.sessions), "tasks": len(asyncio.all_tasks(loop)) if loop else 0}


def _answer(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(json.dumps(_look()).encode())


def main() -> int:
    """The command line of the product, after the socket's path."""
    app.Service = _Watched  # type: ignore[misc]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    threading.Thread(target=_answer, args=(listener,), daemon=True).start()
    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
