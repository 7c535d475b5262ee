# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text within an element."""

from __future__ import annotations

from xml.parsers import expat

from ansible_collections.collab.rtc.plugins.module_utils._xml.scanner import Document, XmlNode


def read_text(document: Document, node: XmlNode) -> str:
    """The text at the begin of an element, up to the first element in it: with CDATA, and what references and entities
    of the document itself stand for. Empty where a part of it is elsewhere, as an external entity: that is not read.

    :param document: as ``scanner.read`` took it, so that its entities are bounded.
    """
    wanted = document.nodes.index(node)
    pieces: list[str] = []
    at, done, whole = -1, False, True

    def begin(_name: str, _attributes: object) -> None:
        nonlocal at
        at += 1

    def end(_name: str) -> None:
        nonlocal done
        done = done or at == wanted

    def keep(text: str) -> None:
        if at == wanted and not done:
            pieces.append(text)

    def skip(*_what: object) -> int:
        nonlocal whole
        whole = whole and not (at == wanted and not done)
        return 1

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = begin, end, keep
    parser.ExternalEntityRefHandler = parser.SkippedEntityHandler = skip
    parser.Parse(document.source.text.encode("utf-8"), True)
    return "".join(pieces) if whole else ""
