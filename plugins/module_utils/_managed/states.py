# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the things that are managed are now, and whether somebody changed them since they were written."""

from __future__ import annotations

import difflib
import os
import re
from typing import Callable

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._java import setenv
from ansible_collections.collab.rtc.plugins.module_utils._managed.record import Entry, Parts
from ansible_collections.collab.rtc.plugins.module_utils._secret_text import mask_text
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import connectors
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

# What an entry can be.
BEGUN = "begun"  # a run was about to make it, and did not come to its end
AS_WRITTEN = "as_written"
MISSING = "missing"
REPLACED = "replaced"  # nothing of what was written is there: an upgrade brought another file
EDITED = "edited"
UNKNOWN = "unknown"  # it cannot be read

_BLOCK = re.compile(r"# BEGIN collab\.rtc\..*?# END collab\.rtc[^\n]*", re.DOTALL)
_TEXT_LIMIT = 64 * 1024

Reader = Callable[[Entry], Parts]


def read_parts(entry: Entry) -> Parts:
    """The present state of all that an entry is about.

    :raises RtcError: it cannot be read.
    """
    return _READERS.get(entry.kind, _read_nothing)(entry)


def judge(entry: Entry, parts: Parts) -> str:
    """What an entry is, by its present state."""
    if entry.intended or not entry.written:
        return BEGUN if entry.intended else AS_WRITTEN
    changed = [name for name, value in entry.written.items() if parts.get(name) != value]
    if not changed:
        return AS_WRITTEN
    made = {name: value for name, value in entry.written.items() if value is not None}
    if made and all(parts.get(name) is None for name in made):
        return REPLACED if entry.kind == "connector" else MISSING
    if entry.kind == "connector" and not any(parts.get(name) == value for name, value in made.items()):
        return REPLACED
    return EDITED


def make_diff(entry: Entry, parts: Parts) -> str:
    """What somebody changed, as a unified diff without secrets."""
    lines: list[str] = []
    for name, written in entry.written.items():
        now = parts.get(name)
        if now != written:
            where = f"{entry.what.get('path', '')} {name}".strip() if entry.kind == "connector" else name
            lines += difflib.unified_diff(
                _to_lines(written), _to_lines(now), f"{where} as it was written", f"{where} as it is", lineterm=""
            )
    return mask_text("\n".join(lines))


def _to_lines(text: str | None) -> list[str]:
    return [] if text is None else text.splitlines()


def _read_nothing(_entry: Entry) -> Parts:
    return {}


def _read_text(path: str) -> str | None:
    """A file as text; of one that only its owner may read, or that is no text, a digest."""
    found = _files.read_state(path)
    if found is None:
        return None
    data, info = found
    if info.st_mode & 0o077 == 0 or len(data) > _TEXT_LIMIT or b"PRIVATE KEY-----" in data:
        return records.digest(data)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return records.digest(data)


def _read_vhost(entry: Entry) -> Parts:
    parts: Parts = {}
    for path in entry.what.get("files", []):
        text = _read_text(path)
        if entry.what.get("kind") == "haproxy" and text is not None:
            found = _BLOCK.search(text)  # of the only configuration file, our block alone is ours
            text = found.group() if found else None
        parts[path] = text
    return parts


def _read_file(entry: Entry) -> Parts:
    path = str(entry.what["path"])
    found = _files.read_state(path)
    return {path: records.digest(found[0]) if found else None}


def _read_connector(entry: Entry) -> Parts:
    path = str(entry.what["path"])
    data = _files.read_existing(path)
    names = list(entry.what.get("attributes", []))
    if data is None:
        return dict.fromkeys(names)
    try:
        return read_attributes(data, path, int(entry.what["port"]), entry.what.get("properties") or {}, names)
    except connectors.NoConnector:
        return dict.fromkeys(names)


def read_attributes(data: bytes, path: str, port: int, properties: dict[str, str], names: list[str]) -> Parts:
    """Attributes of a connector as they are written in a server.xml.

    :raises RtcError: there is no such connector, or the file cannot be understood.
    """
    model = connectors.read(data, path, properties)
    connector, _reason = connectors.choose_connector(model, port)
    return {name: connector.attributes.get(name) for name in names}


def _read_trust_option(entry: Entry) -> Parts:
    path = str(entry.what["path"])
    text = (_files.read_existing(path) or b"").decode("utf-8", "surrogateescape")
    return {path: setenv.block_of(text).encode("utf-8", "replace").decode() or None}


def _read_instance(entry: Entry) -> Parts:
    return {path: _read_text(path) for path in entry.what.get("files", [])}


_READERS: dict[str, Reader] = {
    "vhost": _read_vhost,
    "file": _read_file,
    "connector": _read_connector,
    "trust_option": _read_trust_option,
    "instance": _read_instance,
}


def find_files(kind: str, name: str, files: list[str]) -> list[str]:
    """The files of one virtual host among those of a proxy.

    :param kind: of the proxy.
    :param files: that ``proxy_vhost`` returned, for all virtual hosts.
    """
    if kind == "haproxy":
        return [path for path in files if path.endswith(".cfg")]
    return [path for path in files if os.path.basename(path).partition(".conf")[0] == name]
