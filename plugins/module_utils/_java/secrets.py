# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets among properties, attributes and variables, which are shown nowhere."""

from __future__ import annotations

import re

from ansible_collections.collab.rtc.plugins.module_utils import _secret_text
from ansible_collections.collab.rtc.plugins.module_utils._mask import MASK

_SECRET = re.compile(
    r"pass(word|wd|phrase)?$|password|passwd|passphrase|(store|key|trust|bind)_?pass|secret|token$|credential"
    r"|api[._-]?key|private[._-]?key",
    re.IGNORECASE,
)
_PATH = re.compile(r"/[^=:?@]*\Z")
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^@/\s]+@")


def is_secret(name: str) -> bool:
    """Whether a property, attribute or variable of this name holds a secret: by what is common in Java, and by what a
    diff takes for one."""
    return bool(_SECRET.search(name)) or _secret_text.is_secret(name)


def mask(values: dict[str, str]) -> dict[str, str]:
    """The values with secrets replaced, those within a value too: passwords of URLs, ``?password=x``.

    Paths stay, whatever words are in them: stores and homes are found by them.
    """
    return {name: MASK if is_secret(name) and value else _mask_within(value) for name, value in values.items()}


def _mask_within(value: str) -> str:
    return value if _PATH.match(value) else _secret_text.mask_text(_URL_PASSWORD.sub(rf"\g<1>{MASK}@", value))
