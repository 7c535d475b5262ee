# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A start tag as it stands in a file: read, and changed in its own style."""

from __future__ import annotations

import re
from typing import Iterable

from ansible_collections.collab.rtc.plugins.module_utils._xml.scanner import Document, IllFormed, Source, XmlNode

# A line is not made longer than this; one that is longer already is left as it is.
MAX_LINE = 120

# Attributes that people write beside each other, in their usual order.
_FAMILIES = (
    ("port", "address", "protocol"),
    ("scheme", "secure", "proxyName", "proxyPort"),
    ("relaxedPathChars", "relaxedQueryChars"),
    ("connectionTimeout", "redirectPort"),
    ("maxThreads", "minSpareThreads", "acceptCount", "maxConnections"),
    ("SSLEnabled", "sslProtocol", "clientAuth", "keystoreFile", "keystorePass", "keystoreType", "keyAlias",
     "keyPass"),
)  # fmt: skip
_SPACE = "[ \t\r\n]"
_ATTRIBUTE = re.compile(f"({_SPACE}+)([^ \t\r\n/<>=\"'&]+)({_SPACE}*={_SPACE}*)([\"'])(.*?)\\4", re.S)
_NORMALISED = frozenset("&\t\r\n")  # a value without these means what it says


class Piece:
    """One attribute as it stands: ``space name equals quote raw quote``."""

    __slots__ = ("equals", "name", "quote", "raw", "space")

    def __init__(self, space: str, name: str, equals: str, quote: str, raw: str) -> None:
        self.space = space
        self.name = name
        self.equals = equals
        self.quote = quote
        self.raw = raw

    def render(self) -> str:
        return f"{self.space}{self.name}{self.equals}{self.quote}{self.raw}{self.quote}"

    def moved(self, space: str) -> Piece:
        """The same after other white space."""
        return Piece(space, self.name, self.equals, self.quote, self.raw)

    def valued(self, raw: str) -> Piece:
        """The same with another value."""
        return Piece(self.space, self.name, self.equals, self.quote, raw)


class Tag:
    """A start tag as it stands at ``text[start:end]``: ``<Connector``, attributes, `` />``."""

    __slots__ = ("end", "head", "pieces", "start", "tail")

    def __init__(self, start: int, end: int, head: str, pieces: tuple[Piece, ...], tail: str) -> None:
        self.start = start
        self.end = end
        self.head = head
        self.pieces = pieces
        self.tail = tail

    def render(self) -> str:
        return self.head + "".join(piece.render() for piece in self.pieces) + self.tail

    def placed(self, text: str) -> str:
        """A text with this tag in the place of the one that was read from there."""
        return text[: self.start] + self.render() + text[self.end :]


def read(document: Document, node: XmlNode) -> Tag:
    """The tag of a node that stands in the text itself (``node.start`` is not negative).

    :raises IllFormed: what stands there is not what expat found.
    """
    text, head = document.source.text, "<" + node.name
    position = node.start + len(head)
    pieces = []
    match = _ATTRIBUTE.match(text, position)
    while match:
        pieces.append(Piece(*match.groups()))
        position = match.end()
        match = _ATTRIBUTE.match(text, position)
    end = text.find(">", position) + 1
    tail = text[position:end]
    framed = text.startswith(head, node.start) and tail.lstrip(" \t\r\n") in (">", "/>")
    if not framed or not all(_agrees(node, piece) for piece in pieces):
        raise IllFormed(
            f"{document.source.name}, line {node.line}: the two XML readers disagree about this tag.",
            "Report this with the file.",
            node.line,
        )
    return Tag(node.start, end, head, tuple(pieces), tail)


def _agrees(node: XmlNode, piece: Piece) -> bool:
    meant = node.attributes.get(piece.name)
    return meant is not None and (meant == piece.raw or not _NORMALISED.isdisjoint(piece.raw))


def order(names: Iterable[str]) -> list[str]:
    """Families in their usual order, so that new members find each other; the others as they were given."""
    usual = [name for family in _FAMILIES for name in family]
    return sorted(names, key=lambda name: usual.index(name) if name in usual else len(usual))


def change(source: Source, tag: Tag, name: str, value: str | None) -> Tag:
    """The tag with an attribute set (beside its family where it is new) or, by None, removed. It must be there then."""
    index = next((index for index, piece in enumerate(tag.pieces) if piece.name == name), -1)
    if value is None:
        return _remove(tag, index)
    if index < 0:
        return _insert(source, tag, name, value)
    piece = tag.pieces[index]
    return _splice(tag, index, index + 1, piece.valued(_escape(value, piece.quote, source)))


def mask(tag: Tag, names: Iterable[str], mask: str) -> Tag:
    """The tag with a mask for the values of some attributes."""
    pieces = [piece.valued(mask) if piece.name in names else piece for piece in tag.pieces]
    return _splice(tag, 0, len(pieces), *pieces)


def _splice(tag: Tag, start: int, end: int, *pieces: Piece) -> Tag:
    """The tag with other pieces in the place of ``tag.pieces[start:end]``."""
    return Tag(tag.start, tag.end, tag.head, (*tag.pieces[:start], *pieces, *tag.pieces[end:]), tag.tail)


def _escape(value: str, quote: str, source: Source) -> str:
    """A value as it stands between its quotes (XML 1.0, 2.3 and 3.3.3: line breaks by reference)."""
    special = {"&": "&amp;", "<": "&lt;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
    special[quote] = "&quot;" if quote == '"' else "&apos;"
    return "".join(special.get(char) or _represent(char, source) for char in value)


def _represent(char: str, source: Source) -> str:
    try:
        char.encode(source.codec)
    except UnicodeEncodeError:
        return f"&#x{ord(char):x};"
    return char


def _remove(tag: Tag, index: int) -> Tag:
    """Take an attribute out with the white space on the side that has fewer line breaks: lines stay lines."""
    piece, last = tag.pieces[index], index == len(tag.pieces) - 1
    if last:
        return _splice(tag, index, index + 1)
    following = tag.pieces[index + 1]
    first_of_wrapped = index == 0 and not _count_breaks(piece.space)
    if first_of_wrapped or _count_breaks(piece.space) > _count_breaks(following.space):
        return _splice(tag, index, index + 2, following.moved(piece.space))
    return _splice(tag, index, index + 1)


def _count_breaks(space: str) -> int:
    return len(_split_lines(space)) - 1


def _split_lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _insert(source: Source, tag: Tag, name: str, value: str) -> Tag:
    """Put a new attribute beside its family, else last, in the style of its neighbour."""
    if not tag.pieces:
        return _splice(tag, 0, 0, Piece(" ", name, "=", '"', _escape(value, '"', source)))
    index, before = _find_place(tag, name)
    neighbour = tag.pieces[index - 1 if not before else index]
    equals = neighbour.equals if not _count_breaks(neighbour.equals) else "="
    raw = _escape(value, neighbour.quote, source)
    if before:
        # The newcomer takes the neighbour's place in its line, and the neighbour follows.
        gap = _find_separator(tag, index) if _is_one_per_line(tag) else " "
        new = Piece(neighbour.space, name, equals, neighbour.quote, raw)
        result = _splice(tag, index, index + 1, new, neighbour.moved(gap))
        return result if gap != " " else _wrap(source, tag, result, index + 1)
    inside_a_line = index < len(tag.pieces) and not _count_breaks(tag.pieces[index].space)
    gap = _find_separator(tag, index) if _is_one_per_line(tag) and not inside_a_line else " "
    result = _splice(tag, index, index, Piece(gap, name, equals, neighbour.quote, raw))
    return result if gap != " " or inside_a_line else _wrap(source, tag, result, index)


def _find_place(tag: Tag, name: str) -> tuple[int, bool]:
    """Where a new attribute goes: an index among the pieces, and whether its neighbour is the piece there."""
    names = [piece.name for piece in tag.pieces]
    family = next((family for family in _FAMILIES if name in family), (name,))
    at = family.index(name)
    for member in reversed(family[:at]):
        if member in names:
            return names.index(member) + 1, False
    for member in family[at + 1 :]:
        # Not before the first attribute: people read a connector by its port.
        if member in names and names.index(member) > 0:
            return names.index(member), True
        if member in names:
            return 1, False
    return len(names), False


def _is_one_per_line(tag: Tag) -> bool:
    gaps = [_count_breaks(piece.space) > 0 for piece in tag.pieces[1:]]
    return sum(gaps) * 2 > len(gaps)


def _find_separator(tag: Tag, index: int) -> str:
    """The line break and indentation before attributes near ``index``; "" in a tag of one line."""
    near = [*reversed(tag.pieces[: index + 1]), *tag.pieces[index + 1 :]]
    for piece in near:
        match = re.search("(?:\r\n|\r|\n)[ \t]*\\Z", piece.space)
        if match:
            return match.group()
    return ""


def _wrap(source: Source, old: Tag, new: Tag, index: int) -> Tag:
    """Break the line before the piece at ``index`` when the insertion made the line too long."""
    lead = _split_lines(source.text[: new.start])[-1]
    up_to = lead + new.head + "".join(piece.render() for piece in new.pieces[: index + 1])
    after = "".join(piece.render() for piece in new.pieces[index + 1 :]) + new.tail
    line = _split_lines(up_to)[-1] + _split_lines(after)[0]
    gap = _find_separator(old, index)
    one_long_line = not gap and len(lead + old.render()) > MAX_LINE
    if len(line) <= MAX_LINE or one_long_line:
        return new
    gap = gap or _align(source, lead + new.head + new.pieces[0].space)
    return _splice(new, index, index + 1, new.pieces[index].moved(gap))


def _align(source: Source, lead: str) -> str:
    """A line break of this file, and white space up to where the first attribute starts."""
    found = re.search("\r\n|\r|\n", source.text)
    return (found.group() if found else "\n") + re.sub("[^\t]", " ", lead)
