# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors that name the cause and the remedy.

PRIVATE to the collection, as all of ``module_utils`` and ``plugin_utils``: it changes without notice.
"""

from __future__ import annotations


class RtcError(Exception):
    """Something that stops a run before it changes anything.

    :param message: what is wrong, with file and line, or host and port.
    :param remedy: what the administrator does about it; one or more sentences.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Both, as one text: modules hand this to ``fail_json``."""
        return f"{self.message} {self.remedy}".strip()
