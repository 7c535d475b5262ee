# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The error of a change of several sites that says which of them are in its way."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError


class BlockedError(ProxyError):
    """Some of the sites of a change are in its way; without them it may succeed.

    :param reasons: site -> why.
    """

    def __init__(self, reasons: dict[str, RtcError]) -> None:
        messages = dict.fromkeys(one.message for one in reasons.values())
        remedies = dict.fromkeys(one.remedy for one in reasons.values())
        super().__init__(" ".join(messages), " ".join(remedies))
        self.reasons = reasons


def add_words(exc: RtcError, words: str) -> ProxyError:
    """The same error with something more to say, for each of its sites."""
    if isinstance(exc, BlockedError):
        return BlockedError({site: add_words(one, words) for site, one in exc.reasons.items()})
    return ProxyError(f"{exc.message} {words}".strip(), exc.remedy)
