# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the certificates that a ``bind`` line of HAProxy names: Configuration Manual, 5.1, "crt", "crt-list"."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ServedCertificate
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.backend import Haproxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.parser import HaproxyConfig, Line
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.reader import find_file

_BESIDE = (".issuer", ".key", ".ocsp", ".sctl")  # files of a directory that belong to a certificate
_MOST = 200  # certificates of one directory or list; what is beyond is not offered


def add_files(server: Haproxy, proxy: Proxy) -> None:
    """Give each virtual host all certificates that its ``bind`` lines name, in order."""
    config = server.parse_config()
    for section in config.sections:
        lines = [line for line in section.all("bind", inherit=False) if section.kind in ("frontend", "listen")]
        found = [item for line in lines for item in _list_files(config, line, server.path, proxy.notes)][:_MOST]
        for host in proxy.hosts:
            if (host.file, host.line) == (section.file, section.line):
                host.certificates = [ServedCertificate(item.certificate, item.key) for item in found]


def _list_files(
    config: HaproxyConfig, line: Line, locate: Callable[[str], str], notes: list[str]
) -> Iterator[ServedCertificate]:
    for keyword, name in zip(line.words, line.words[1:]):
        names = [find_file(config, "crt-base", name, line.file)] if keyword == "crt" else []
        if keyword == "crt-list":
            try:
                text = _files.read_bytes(locate(find_file(config, "", name, line.file))).decode("utf-8", "replace")
            except RtcError as exc:
                notes.append(exc.message)
                continue
            entries = [entry.split()[0] for entry in text.split("\n") if entry.strip()]
            names = [find_file(config, "crt-base", item, line.file) for item in entries if not item.startswith("#")]
        for path in names:
            inside = [path]
            if path.startswith("/") and os.path.isdir(locate(path)):
                every = sorted(glob.glob(f"{glob.escape(locate(path))}/*"))
                inside = [
                    f"{path.rstrip('/')}/{os.path.basename(item)}" for item in every if not item.endswith(_BESIDE)
                ]
            for item in inside:
                yield ServedCertificate(item, _find_key(config, item, locate))


def _find_key(config: HaproxyConfig, path: str, locate: Callable[[str], str]) -> str:
    """The file of the private key: the same one, else the one beside (``ssl-load-extra-files``)."""
    try:
        if b"PRIVATE KEY" in _files.read_bytes(locate(path)):
            return path
    except RtcError:
        return path
    base = "".join(config.setting("key-base")[:1])
    beside = [f"{path}.key", os.path.splitext(path)[0] + ".key"]
    beside += [os.path.join(base, os.path.basename(item)) for item in beside if base]
    return next((item for item in beside if os.path.exists(locate(item))), path)
