# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service of one RTC server instance: unit, configuration, paths."""

from __future__ import annotations

import json
import re
from typing import Any

BASE = "/opt/rtc-server"
CONFIG_DIR = "/etc/rtc-server"
UNIT = "/etc/systemd/system/rtc-server@.service"
STATE_DIR = "/var/lib/rtc-server"
# It becomes a part of paths and, after "rtc-", of the name of a user, which has 31 characters (systemd's
# USER_NAMES.md, "strict mode").
INSTANCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,26}\Z")

# systemd.exec(5). The server needs the network, its state directory and nothing else of the host. What "systemd-analyze
# security" (1.2; a test holds it) still counts, and why it is so:
# RestrictAddressFamilies=, PrivateNetwork=: it is a network server, AF_UNIX leads to systemd and a local store.
# IPAddressDeny=: users come from anywhere, where no proxy is on this host.
# PrivateUsers=: hardened kernels have no user namespaces, and the unit would not start there.
# RootDirectory=: it runs on the host's own Python.
# DeviceAllow=: ProtectClock= itself allows to read the hardware clock; PrivateDevices= hides it.
# Each instance has a user of its
# own, or one could read the other's key and journal. systemd makes the users, and at each start gives them what is in
# their directories: an instance that had another user before needs nothing but the restart.
_UNIT = """\
# Written by collab.rtc; changes are overwritten by its next run.
[Unit]
Description=Real-time collaboration service for %i
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=60
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
{hand_over}ExecStart={python} -I {base}/current/rtc-server serve --config {config}/%i.toml
Restart=always
RestartSec=1
WatchdogSec=30
TimeoutStopSec=30
# These two are for the default limits (limits.py).
MemoryMax=1513M
LimitNOFILE=20512
TasksMax=64

DynamicUser=yes
User=rtc-%i
StateDirectory=rtc-server/%i
StateDirectoryMode=0700
RuntimeDirectory=rtc-server/%i
RuntimeDirectoryMode=0700
LoadCredential=secret:{config}/%i/secret
UMask=0077

AmbientCapabilities=
CapabilityBoundingSet=
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateMounts=yes
PrivateTmp=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
"""


# Credentials are given once, at the start (an older configuration names the secret there). A renewed secret or key has
# to reach a process that runs, so that nobody is cut off: root copies it to the service's own directory in memory,
# outside of the sandbox ("+"), and the release, inside of it, signals the process and waits for what comes of that. So
# "systemctl reload" fails when the server has refused.
_HAND_OVER = """\
ExecStartPre=+/bin/sh -c '{copy}'
ExecReload=+/bin/sh -c '{copy}'
ExecReload={python} -I {base}/current/rtc-server reload --pid $MAINPID
"""
_TLS = """\
# Written by collab.rtc; changes are overwritten by its next run.
[Service]
ExecStartPre=
ExecReload=
{hand_over}"""
_COPY = 'install -m 0400 -o "$$(stat -Lc %%u {run}/%i)" -t {run}/%i {files}'
RUN_DIR = "/run/rtc-server"
RELOADED = "reload.json"  # in RUN_DIR/INSTANCE: what the process runs with (reload.py of the RTC server)
SECRET = "secret"  # in CONFIG_DIR/INSTANCE, as are these  # noqa: S105
TLS_CERTIFICATE, TLS_KEY = "tls.crt", "tls.key"


def _render_hand_over(python: str, base: str, config: str, *names: str) -> str:
    copy = _COPY.format(run=RUN_DIR, files=" ".join(f"{config}/%i/{name}" for name in names))
    return _HAND_OVER.format(copy=copy, python=python, base=base)


def tls_drop_in(instance: str) -> str:
    """Path of what the unit of an instance has besides, when it ends TLS itself."""
    return f"/etc/systemd/system/rtc-server@{instance}.service.d/tls.conf"


def render_tls(python: str, base: str = BASE, config: str = CONFIG_DIR) -> str:
    """The text of :func:`tls_drop_in`; parameters as for :func:`render_unit`."""
    return _TLS.format(hand_over=_render_hand_over(python, base, config, SECRET, TLS_CERTIFICATE, TLS_KEY))


def render_unit(python: str, base: str = BASE, config: str = CONFIG_DIR) -> str:
    """The text of ``rtc-server@.service``; one template serves every instance on the host.

    :param python: the interpreter that the releases were built for, such as ``/usr/bin/python3``.
    """
    hand_over = _render_hand_over(python, base, config, SECRET)
    return _UNIT.format(python=python, base=base, config=config, hand_over=hand_over)


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
