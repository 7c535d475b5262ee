# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service of one RTC server instance: configuration and paths."""

from __future__ import annotations

import json
import re
from typing import Any, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

BASE = "/opt/rtc-server"
CONFIG_DIR = "/etc/rtc-server"
UNIT = "/etc/systemd/system/rtc-server@.service"
STATE_DIR = "/var/lib/rtc-server"
# It becomes a part of paths and, after "rtc-", of the name of a user, which has 31 characters (systemd's
# USER_NAMES.md, "strict mode").
INSTANCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,26}\Z")
RUN_DIR = "/run/rtc-server"
RELOADED = "reload.json"  # in RUN_DIR/INSTANCE: what the process runs with (reload.py of the RTC server)
SECRET = "secret"  # in CONFIG_DIR/INSTANCE, as are these  # noqa: S105
TLS_CERTIFICATE, TLS_KEY = "tls.crt", "tls.key"


_PROGRAM = re.compile(r"^ExecStart=(\S+) -I (\S+) serve ", re.MULTILINE)


def find_program(text: str) -> tuple[str, str]:
    """The Python and the program that a unit's text starts.

    :raises RtcError: it does not say.
    """
    match = _PROGRAM.search(text)
    if match is None:
        raise RtcError(f"{UNIT} does not say where the RTC server is.")
    return match[1], match[2]


def tls_drop_in(instance: str) -> str:
    """Path of what the unit of an instance has besides, when it ends TLS itself."""
    return f"/etc/systemd/system/rtc-server@{instance}.service.d/tls.conf"


def socket_unit(instance: str) -> str:
    """Path of the unit whose listening sockets outlive the process of an instance."""
    return UNIT.replace("@.service", f"@{instance}.socket")


def beside(tls: str, name: str) -> str:
    """Path of another drop-in of the same unit, beside the file for TLS."""
    return tls[: tls.rindex("/")] + f"/{name}.conf"


def socket_drop_in(tls: str) -> str:
    """Path of what the service has besides where sockets are handed over to it."""
    return beside(tls, "socket")


def render_credentials(config: str, names: Sequence[str]) -> str:
    """A drop-in that hands files of the instance's directory over as credentials (systemd.exec(5)): they are on no
    command line and in no environment, and nobody but root reads them.

    :param config: directory of the configurations.
    """
    lines = [f"LoadCredential={name}:{config}/%i/{name}" for name in names]
    return "\n".join(["# Written by collab.rtc; changes are overwritten by its next run.", "[Service]", *lines, ""])


def render_toml(values: dict[str, Any]) -> str:
    """A configuration as TOML: plain values first, then one table for each nested mapping.

    Only what the server's configuration has: text, numbers, booleans, lists of those, and tables of them. ``None`` is
    left out, so that the server's own default counts.

    :raises TypeError: a value of another kind.
    """
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in values.items() if isinstance(value, dict) and value}
    lines = ["# Written by collab.rtc; changes are overwritten by its next run."]
    lines += _format_assignments(plain)
    for name, table in tables.items():
        lines += ["", f"[{name}]", *_format_assignments(table)]
    return "\n".join(lines) + "\n"


def _format_assignments(values: dict[str, Any]) -> list[str]:
    return [f"{key} = {_format_value(value)}" for key, value in values.items() if value is not None]


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        # JSON's text form is TOML's basic string, except for DEL, which TOML wants escaped.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_format_value(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} has no place in a configuration file.")


def server_config(
    instance: str,
    address: str,
    port: int,
    server_name: str,
    origins: list[str],
    trusted_proxies: list[str],
    tls: bool = False,
    limits: dict[str, float] | None = None,
    label: str = "",
) -> dict[str, Any]:
    """The configuration of one instance, as ``rtc_instance`` takes it.

    :param address: where it listens; loopback behind a proxy on the same machine.
    :param origins: of the pages whose scripts may connect, such as ``https://wiki.example.com``.
    :param trusted_proxies: addresses whose ``X-Forwarded-For`` counts.
    :param tls: whether it ends TLS itself.
    :param limits: those that are not the server's own defaults.
    :param label: what its session ids end in, where several servers are active; "" for nothing.
    """
    files = {"certificate": f"$RUNTIME_DIRECTORY/{TLS_CERTIFICATE}", "key": f"$RUNTIME_DIRECTORY/{TLS_KEY}"}
    return {
        "server": {
            "address": address,
            "port": port,
            "name": server_name,
            "origins": origins,
            "trusted_proxies": trusted_proxies,
            **({"label": label} if label else {}),
        },
        "tls": files if tls else {},
        "token": {"keys": [f"$RUNTIME_DIRECTORY/{SECRET}"]},
        "journal": {"path": f"{STATE_DIR}/{instance}/journal.db"},
        **({"limits": limits} if limits else {}),
    }
