# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Printing text for people, where the run's output is for people."""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.plugins.callback.default import CallbackModule as DefaultCallback
from ansible.plugins.loader import callback_loader


def show(display: Any, text: str) -> bool:
    """Print a text, unless the output is for programs: then it has to be in the result of the task.

    :param display: the ``Display`` of a plugin.
    :return: whether it was printed.
    """
    shown = is_for_people(str(constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK")))
    if shown:
        display.display(text)
    return shown


def is_for_people(callback: str) -> bool:
    """Whether a callback prints lines for people, among which a text may stand.

    Those that do derive from Ansible's default: ``yaml``, ``debug``, ``unixy``. The output of ``json``, ``oneline`` or
    ``minimal`` would not be what it has to be.
    """
    found = callback_loader.get(callback.removeprefix("ansible.builtin."), class_only=True)
    return isinstance(found, type) and issubclass(found, DefaultCallback)
