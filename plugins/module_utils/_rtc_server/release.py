# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of releases: ``0.1.0-cp311-x86_64-<12 hex digits>``, which say what they are for. Pure."""

from __future__ import annotations

from typing import Iterable


def make_tag(python_version: str, machine: str) -> str:
    """What a release is for: ``cp311-x86_64``.

    :param python_version: such as ``3.11`` or ``3.11.2``.
    :param machine: as ``uname -m`` says it.
    """
    return "cp" + "".join(python_version.split(".")[:2]) + "-" + machine


def name_release(version: str, tag: str, digest: str) -> str:
    """The name of a release: the same input is never built or sent twice.

    :param digest: of all that it was made from.
    """
    return f"{version}-{tag}-{digest}"


def is_meant(name: str, wanted: str, tag: str) -> bool:
    """Whether ``rtc_server_version`` means a release.

    :param wanted: a version or the whole name of a release.
    :param tag: of the host.
    """
    return name == wanted if wanted.count("-") > 1 else name.startswith(f"{wanted}-{tag}-")


def list_meant(names: Iterable[str], wanted: str, tag: str) -> list[str]:
    """Those of the releases that ``rtc_server_version`` means and that run on the host."""
    return [name for name in names if is_meant(name, wanted, tag) and f"-{tag}-" in name]
