# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which parts of a run ``--tags`` and ``--skip-tags`` choose: plan, apply, verify, report. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_chosen(tag: str, variables: Mapping[str, Any]) -> bool:
    """Whether the tasks with a tag run, as Ansible decides it for tasks without the tag ``always``.

    :param variables: those of a task, with Ansible's ``ansible_run_tags`` and ``ansible_skip_tags``.
    """
    wanted, skipped = _read(variables)
    return bool(wanted & {"all", "tagged", tag}) and not skipped & {"all", "tagged", tag}


def is_only(tag: str, variables: Mapping[str, Any]) -> bool:
    """Whether nothing but this tag was asked for."""
    return _read(variables)[0] == {tag}


def _read(variables: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    wanted = variables.get("ansible_run_tags") or ["all"]
    return set(map(str, wanted)), set(map(str, variables.get("ansible_skip_tags") or []))
