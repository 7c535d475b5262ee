# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entities of an XML document: bounds on what they grow to, and what they bring from elsewhere.

External entities are never fetched: they are reported. The bounds stand here because old versions of expat have none.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Callable, Iterable

# What an internal entity may grow to, in characters, with all that it refers to. Real ones are a few lines.
MAX_ENTITY_SIZE = 1024 * 1024
MAX_ENTITIES = 200
# What the text of a whole document may grow to, and all that its references stand for: a real server.xml has 10 kB.
MAX_CHARACTERS = 16 * 1024 * 1024

_REFERENCE = re.compile("&([^#;&][^;&]*);")
_OWN_OF_XML = frozenset(("lt", "gt", "amp", "quot", "apos"))
_ATTRIBUTES = re.compile(
    "<[^ \\t\\r\\n/>]+((?:[ \\t\\r\\n]+[^ \\t\\r\\n=]+[ \\t\\r\\n]*=[ \\t\\r\\n]*(?:\"[^\"]*\"|'[^']*'))*)"
)


class ExternalPart:
    """A reference to something that is not in this file.

    :param name: of the entity; "" if unknown.
    :param path: of the element that it stands in.
    """

    __slots__ = ("line", "name", "path", "system_id")

    def __init__(self, name: str, system_id: str, line: int, path: str) -> None:
        self.name = name
        self.system_id = system_id
        self.line = line
        self.path = path


class EntityWatch:
    """Bounds the entities of a document that an expat parser is about to read, and notes its external ones.

    What stands for too much is refused where it is declared: within an attribute, or a default of an ATTLIST, expat
    has made all of it before anybody is asked.

    :param text: the document.
    :param external: where the external ones are noted.
    :param path: gives the path of the element that is being read.
    :param too_large: makes the error for a document that grows beyond the bounds.
    """

    def __init__(
        self,
        parser: Any,
        text: str,
        external: list[ExternalPart],
        path: Callable[[], str],
        too_large: Callable[[], Exception],
    ) -> None:
        self._parser, self._external, self._path, self._too_large = parser, external, path, too_large
        self._uses = Counter(_REFERENCE.findall(text))
        self._internal: dict[str, tuple[int, Counter[str]]] = {}  # own characters, and what it refers to how often
        # Names that need no declaration, external ones (they are in no attribute), those that were followed already.
        self._sound = set(_OWN_OF_XML)
        self._further: set[str] = set()  # what internal entities refer to
        self._unread: str | None = None  # what find_unread says of them, once it was asked
        self._system_ids: dict[str, str] = {}
        self._characters = 0
        parser.buffer_text = True
        parser.CharacterDataHandler = self.text
        parser.EntityDeclHandler = self.declared
        parser.ExternalEntityRefHandler = self.external
        parser.SkippedEntityHandler = self.skipped

    def text(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS:
            raise self._too_large()

    def declared(
        self, name: str, parameter: int, value: str | None, _base: Any, system_id: str | None, *_: Any
    ) -> None:
        if parameter:
            return
        if value is None:
            self._sound.add(name)
            self._system_ids.setdefault(system_id or "", name)
            return
        if name in self._internal:  # the first declaration binds (XML 1.0, 4.2)
            return
        self._internal[name] = len(value), Counter(_REFERENCE.findall(value))
        self._further.update(self._internal[name][1])
        if len(self._internal) > MAX_ENTITIES:
            raise self._too_large()
        sizes: dict[str, int] = {}
        total = sum(self._measure(entity, sizes, ()) * self._uses[entity] for entity in self._internal)
        if max(sizes.values()) > MAX_ENTITY_SIZE or total > MAX_CHARACTERS:
            raise self._too_large()

    def find_unread(self, text: str, start: int) -> str:
        """An entity in the attributes of a tag that nothing in this document declares, "" for none.

        Where the DOCTYPE refers to more than is read, a file or a parameter entity, expat takes such a one for empty
        and tells nobody.

        :param start: of the tag; -1: it stands in an entity.
        """
        if start < 0:
            if self._unread is None:
                self._unread = self._find_undeclared(self._further)
            return self._unread
        tag = _ATTRIBUTES.match(text, start)
        return self._find_undeclared(_REFERENCE.findall(tag[1])) if tag else ""

    def _find_undeclared(self, used: Iterable[str]) -> str:
        todo, seen = list(used), set(self._sound)
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            if name not in self._internal:
                return name
            seen.add(name)
            todo += self._internal[name][1]
        self._sound |= seen  # declarations come before all elements
        return ""

    def _measure(self, name: str, sizes: dict[str, int], above: tuple[str, ...]) -> int:
        """Characters of an entity fully expanded. A cycle counts nothing: expat refuses it."""
        if name in above or name not in self._internal:
            return 0
        if name not in sizes:
            own, parts = self._internal[name]
            further = (self._measure(part, sizes, (*above, name)) * often for part, often in parts.items())
            sizes[name] = own + sum(further)
        return sizes[name]

    def external(self, _context: str, _base: Any, system_id: str | None, _public_id: Any) -> int:
        self._note(self._system_ids.get(system_id or "", ""), system_id or "")
        return 1  # go on without it: nothing is fetched

    def skipped(self, name: str, parameter: int) -> None:
        if not parameter:
            self._note(name, "")

    def _note(self, name: str, system_id: str) -> None:
        self._external.append(ExternalPart(name, system_id, self._parser.CurrentLineNumber, self._path()))
