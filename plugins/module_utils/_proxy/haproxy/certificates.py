# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the certificates that a ``bind`` line of HAProxy names: Configuration Manual, 5.1, "crt", "crt-list"."""

from __future__ import annotations

import glob
import os

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import ServedCertificate
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.parser import HaproxyConfig

_BESIDE = (".issuer", ".key", ".ocsp", ".sctl")  # files of a directory that belong to a certificate
_MOST = 200  # certificates of one directory or list; what is beyond is not offered


def list_files(config: HaproxyConfig, keyword: str, name: str, file: str) -> list[ServedCertificate]:
    """The certificates of ``crt`` or ``crt-list``, in order; one without a place where it is not known.

    :param file: the configuration file of the line.
    """
    if keyword == "crt":
        names = [_resolve(config, "crt-base", name, file)]
    else:
        try:
            text = _files.read_bytes(config.locate(_resolve(config, "", name, file))).decode("utf-8", "replace")
        except RtcError as exc:
            config.notes.append(exc.message)
            return []
        lines = [line.split() for line in text.splitlines()]
        names = [_resolve(config, "crt-base", line[0], file) for line in lines if line and not line[0].startswith("#")]
    found: list[ServedCertificate] = []
    for path in names:
        inside = [path]
        if os.path.isdir(config.locate(path)) and path.startswith("/"):
            every = sorted(glob.glob(f"{glob.escape(config.locate(path))}/*"))
            inside = [f"{path.rstrip('/')}/{os.path.basename(item)}" for item in every if not item.endswith(_BESIDE)]
        found += [ServedCertificate(item, _find_key(config, item)) for item in inside]
    return found[:_MOST]


def _resolve(config: HaproxyConfig, base: str, name: str, file: str) -> str:
    """An absolute path, where ``crt-base`` and ``default-path`` (global section) tell it."""
    start = "".join(config.setting(base)[:1]) if base else ""
    way = [*config.setting("default-path"), "", ""]
    directory = os.path.dirname(file)
    origin = {"config": directory, "parent": os.path.dirname(directory), "origin": way[1]}.get(way[0], "")
    return name if name.startswith("@") else os.path.join(origin, start, name)


def _find_key(config: HaproxyConfig, path: str) -> str:
    """The file of the private key: the same one, else the one beside (``ssl-load-extra-files``)."""
    try:
        if b"PRIVATE KEY" in _files.read_bytes(config.locate(path)):
            return path
    except RtcError:
        return path
    base = "".join(config.setting("key-base")[:1])
    beside = [f"{path}.key", os.path.splitext(path)[0] + ".key"]
    beside += [os.path.join(base, os.path.basename(item)) for item in beside if base]
    return next((item for item in beside if os.path.exists(config.locate(item))), path)
