# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd is told of an RTC server: the unit, and what an instance that ends TLS itself has besides."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server.unit import (
    BASE,
    CONFIG_DIR,
    RUN_DIR,
    SECRET,
    TLS_CERTIFICATE,
    TLS_KEY,
)

# systemd.exec(5). The server needs the network, its state directory and nothing else of the host. What "systemd-analyze
# security" (1.2; a test holds it) still counts, and why it is so:
# RestrictAddressFamilies=, PrivateNetwork=, IPAddressDeny=: a store is reached over the network, a panel tries the
# address of users, and a release that is not given its sockets opens them. An instance with socket.conf and neither
# has 0.5.
# AF_UNIX leads to systemd.
# PrivateUsers=: hardened kernels have no user namespaces, and the unit would not start there.
# RootDirectory=: it runs on the host's own Python.
# DeviceAllow=: ProtectClock= itself allows to read the hardware clock; PrivateDevices= hides it.
# Each instance has a user of its own, or one could read the other's key and journal. systemd makes the users, and at
# each start gives them what is in their directories: an instance that had another user before needs nothing but the
# restart.
# Where each start fails, the start limit closes the port (below). Starts that hang count, too, so its interval is
# longer than ten of them take: 10 * (90 + 30 + 1) seconds. In such a time somebody may well restart it ten times by
# hand, or it may crash ten times and serve in between. So a good end forgets the starts before it, and so does any end
# a minute after it was ready: then it wrote reload.json, in a directory that each start gets anew.
_UNIT = """\
# Written by collab.rtc; changes are overwritten by its next run.
[Unit]
Description=Real-time collaboration service for %i
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=1250
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
{hand_over}ExecStart={python} -I {base}/current/rtc-server serve --config {config}/%i.toml
ExecStopPost=+-/bin/sh -c 'test "$$SERVICE_RESULT" = success || \\
    test -n "$$(find "$$RUNTIME_DIRECTORY/reload.json" -mmin +1)" && systemctl reset-failed %n'
Restart=always
RestartSec=1
WatchdogSec=30
TimeoutStartSec=90
TimeoutStopSec=30
# These two are for the default limits (limits.py).
MemoryMax=1513M
LimitNOFILE=20512
TasksMax=64
# A core would have the secret of tokens, and what people work on.
LimitCORE=0

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


def _render_hand_over(python: str, base: str, config: str, *names: str) -> str:
    copy = _COPY.format(run=RUN_DIR, files=" ".join(f"{config}/%i/{name}" for name in names))
    return _HAND_OVER.format(copy=copy, python=python, base=base)


def render_tls(python: str, base: str = BASE, config: str = CONFIG_DIR) -> str:
    """The text of :func:`unit.tls_drop_in`; parameters as for :func:`render_unit`."""
    return _TLS.format(hand_over=_render_hand_over(python, base, config, SECRET, TLS_CERTIFICATE, TLS_KEY))


def render_unit(python: str, base: str = BASE, config: str = CONFIG_DIR) -> str:
    """The text of ``rtc-server@.service``; one template serves every instance on the host.

    :param python: the interpreter that the releases were built for, such as ``/usr/bin/python3``.
    """
    hand_over = _render_hand_over(python, base, config, SECRET)
    return _UNIT.format(python=python, base=base, config=config, hand_over=hand_over)


# The sockets live as long as somebody wants them: the service while it runs, and while it waits for its restart. So a
# restart, a crash or a hang refuses nobody: newcomers wait in the kernel for the next process. Where the service was
# stopped, or has reached its start limit, systemd stops the sockets, too, and proxies see at once that nobody serves.
# That needs no [Install]: the service pulls them in, after the network as it is itself, hence DefaultDependencies=no.
_SOCKET = """\
# Written by collab.rtc; changes are overwritten by its next run.
[Unit]
Description=Port of the real-time collaboration service for %i
DefaultDependencies=no
After=sysinit.target network-online.target
Conflicts=shutdown.target
Before=shutdown.target
StopWhenUnneeded=yes
RefuseManualStart=yes

[Socket]
{listen}BindIPv6Only=ipv6-only
Backlog=4096
"""
_WITH_SOCKET = """\
# Written by collab.rtc; changes are overwritten by its next run.
[Unit]
Wants=rtc-server@%i.socket

[Service]
Environment=RTC_SOCKET_UNIT=rtc-server@%i.socket
"""
# All that comes in comes through sockets that are handed over; nothing goes out.
_CONFINED = """\
IPAddressDeny=any
PrivateNetwork=yes
RestrictAddressFamilies=
RestrictAddressFamilies=AF_UNIX
"""


def list_places(address: str, port: int) -> list[str]:
    """Where an instance listens, as ``ListenStream=`` has it; ``::`` is all of both families, a socket for each."""
    names = ("0.0.0.0", "::") if address == "::" else (address,)  # noqa: S104 - where the configuration says so
    return [f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names]


def render_socket(places: list[str]) -> str:
    """The text of :func:`unit.socket_unit`."""
    return _SOCKET.format(listen="".join(f"ListenStream={place}\n" for place in places))


def render_with_socket(needs_network: bool) -> str:
    """The text of :func:`unit.socket_drop_in`.

    :param needs_network: whether it has a store to reach, or a panel, which tries the address of users.
    """
    return _WITH_SOCKET + ("" if needs_network else _CONFINED)
