# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text within an element."""

from __future__ import annotations

import re
from xml.sax.saxutils import unescape

from ansible_collections.collab.rtc.plugins.module_utils._xml.scanner import Document, XmlNode


def read_text(document: Document, node: XmlNode) -> str:
    """The text at the begin of an element, up to the first element in it; what an entity of the DOCTYPE brings stays as
    it is written."""
    text = document.source.text
    at = text.find(">", node.start) + 1
    if node.start < 0 or text[at - 2 : at] == "/>":
        return ""
    pieces = []
    for match in re.compile("<!\\[CDATA\\[(.*?)]]>|<!--.*?-->|([^<]+)|<", re.DOTALL).finditer(text, at):
        if match[0] == "<":
            break
        pieces.append(match[1] or unescape(match[2] or "", {"&quot;": '"', "&apos;": "'"}))
    return "".join(pieces)
