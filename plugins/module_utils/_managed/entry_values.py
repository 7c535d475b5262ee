# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the values of an entry have to be. Root reads, writes and removes by them, so nothing else is taken for one."""

from __future__ import annotations

import os
import re
from typing import Any, Mapping

# kind -> what it cannot be without
_NEEDED: dict[str, tuple[str, ...]] = {
    "connector": ("path", "port"),
    "instance": ("instance",),
    "vhost": ("kind", "name"),
    **dict.fromkeys(("file", "textfile", "trust", "trust_option"), ("path",)),
}
_TYPES: dict[str, Any] = {
    "application": str, "attributes": list, "certificates": list, "files": list, "instance": str, "jre_home": str,
    "kind": str, "name": str, "path": str, "port": int, "properties": dict, "reads": list, "site": dict, "wants": list,
}  # fmt: skip
_PATHS = ("path", "files", "reads")  # not jre_home: one in a container begins with its name
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]*")  # it becomes part of a path


def require_what(kind: str, what: Mapping[str, Any]) -> None:
    """Make sure that ``what`` of an entry can be used.

    :raises ValueError: it cannot.
    """
    for name in _NEEDED.get(kind, ()):
        if not what.get(name):
            raise ValueError(f"no {name}")
    for name, value in what.items():
        wanted = _TYPES.get(name, object)
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise ValueError(f"no usable {name}")
        if isinstance(value, list) and not all(isinstance(one, str) for one in value):
            raise ValueError(f"no usable {name}")
        if name in _PATHS:
            for path in value if isinstance(value, list) else filter(None, [value]):
                require_path(path)
    for name in {"instance": ("instance",), "vhost": ("name",)}.get(kind, ()):
        if not _NAME.fullmatch(what[name]):
            raise ValueError(f"no usable {name}")


def require_path(path: str) -> None:
    """Make sure that a path is absolute.

    :raises ValueError: it is not.
    """
    if not os.path.isabs(path) or "\0" in path:
        raise ValueError(f"no usable path: {path!r:.80}")
    os.fsencode(path)  # UnicodeEncodeError is a ValueError
