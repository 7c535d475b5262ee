# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the RTC server of the host says of the store that it uses: nobody else here can speak to PostgreSQL.

Its command ``check-config`` changes nothing. It is run as the module ``rtc_instance`` runs it, with the credentials
that the service has.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import StoreState
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import asking
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import store as rtc_server_store
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit as rtc_server_unit

_SECONDS = 30  # five for each host of the store, and Python's start


def look(rootfs: RootFs, instance: str) -> StoreState | None:
    """The store of an instance; ``None`` where its configuration names none."""
    config = f"{rtc_server_unit.CONFIG_DIR}/{instance}.toml"
    url = rtc_server_store.find_url(rootfs.text(config) or "")
    if not url:
        return None
    if rootfs.root != "/":
        return StoreState(url, unknown="a directory stands for the host.")
    if os.geteuid() != 0:
        return StoreState(url, unknown="its password is root's: run with become.")
    try:
        text = rootfs.text(rtc_server_unit.UNIT) or ""
        done = asking.ask_server(instance, text, "check-config", "--json", config, seconds=_SECONDS)
        return read_answer(url, done.stdout, done.stderr)
    except (RtcError, OSError) as exc:
        return StoreState(url, unknown=str(exc))
    except subprocess.TimeoutExpired:
        return StoreState(url, unknown=f"rtc-server check-config gave no answer within {_SECONDS} seconds.")


def read_answer(url: str, output: str, errors: str) -> StoreState:
    """What an answer says.

    :param url: of the store that was asked about.
    :param output: of ``check-config --json``; a release that does not know that option prints none.
    """
    try:
        answer: Any = json.loads(output)
        found = answer["store"]
        if found is None:
            return StoreState(url, unknown="; ".join(map(str, answer["complaints"])) or "its release names no store.")
        return _facts.from_dict(StoreState, {**found, "url": url, "unknown": ""})
    except (ValueError, TypeError, KeyError, RecursionError):
        if "unrecognized arguments" in errors:
            return StoreState(url, unknown="the release on the host is too old to tell.")
        last = (errors.strip().splitlines() or ["no answer"])[-1]
        return StoreState(url, unknown=f"rtc-server check-config: {last[:200]}")
