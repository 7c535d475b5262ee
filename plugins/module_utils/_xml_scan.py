# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lossless reading of XML: start tags with their exact place and text. PRIVATE to the collection.

Two readers look at the same text. Expat (``xml.parsers.expat``) says whether it is well-formed and what the
attributes mean; a scanner of our own says where each character of a start tag stands. They must agree, or the
file is refused. External entities are never fetched: they are reported. Rules: XML 1.0, fifth edition,
https://www.w3.org/TR/xml/.

A module is compiled on the host at each run, which costs more than its work. So the classes here are plain ones (to make a
dataclass costs as much as reading a whole server.xml), and an expression that few files need is compiled when one does.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Callable
from xml.parsers import expat

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

# What an internal entity may grow to, in characters, with all that it refers to. Real ones are a few lines.
MAX_ENTITY_SIZE = 1024 * 1024
MAX_ENTITIES = 200
# What a whole document may grow to: a real server.xml has 10 kB and 100 elements.
MAX_ELEMENTS = 100_000
MAX_DEPTH = 100
MAX_CHARACTERS = 16 * 1024 * 1024

_SPACE = "[ \t\r\n]"
_NAME = "[^ \t\r\n/<>=\"'&]+"
_MARKUP = re.compile(r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>|<!DOCTYPE|</[^>]*>|<", re.S)
_DOCTYPE_PART = r"<!--.*?-->|<\?.*?\?>|\"[^\"]*\"|'[^']*'|[\[\]>]"
_TAG_HEAD = re.compile("<" + _NAME)
_ATTRIBUTE = re.compile(f"({_SPACE}+)({_NAME})({_SPACE}*={_SPACE}*)(?:(\")([^\"]*)\"|(')([^']*)')")
_TAG_TAIL = re.compile(f"{_SPACE}*/?>")
_DECLARATION = (
    f"<\\?xml{_SPACE}+version{_SPACE}*={_SPACE}*[\"'][^\"']*[\"']"
    f"(?:{_SPACE}+encoding{_SPACE}*={_SPACE}*[\"']([A-Za-z][A-Za-z0-9._-]*)[\"'])?"
)
_NORMALISED = frozenset("&\t\r\n")  # a value without these means what it says
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UTF16 = {"utf-16-le": ("utf-16", "utf-16-le"), "utf-16-be": ("utf-16", "utf-16-be")}


class XmlError(RtcError):
    """Not well-formed XML, or not readable without loss. ``line`` and ``column``: 1-based, 0 if unknown."""

    def __init__(self, message: str, remedy: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(message, remedy)
        self.line = line
        self.column = column


class Source:
    """A file as text that gives back exactly the bytes it came from.

    :param codec: Python's name of the encoding.
    """

    __slots__ = ("bom", "codec", "name", "text")

    def __init__(self, name: str, text: str, codec: str, bom: bytes = b"") -> None:
        self.name = name
        self.text = text
        self.codec = codec
        self.bom = bom

    def encode(self, text: str) -> bytes:
        """The bytes of another text in this file's encoding, with its byte-order mark.

        :raises UnicodeEncodeError: a character does not exist in that encoding.
        """
        return self.bom + text.encode(self.codec)


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


class Node:
    """An element: what it means (expat) and where it stands (scanner).

    :param attributes: decoded; defaults of an ATTLIST included.
    :param path: such as ``Server/Service/Connector``.
    :param entity_line: of the reference, when it stands in an internal entity; else 0.
    """

    __slots__ = ("attributes", "children", "entity_line", "line", "name", "parent", "path", "tag")

    def __init__(
        self, name: str, attributes: dict[str, str], line: int, path: str, parent: Node | None, entity_line: int
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.line = line
        self.path = path
        self.parent = parent
        self.entity_line = entity_line
        self.children: list[Node] = []
        self.tag: Tag | None = None  # None: it stands in an internal entity

    def find(self, name: str) -> list[Node]:
        """Children of that name."""
        return [child for child in self.children if child.name == name]


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


class Document:
    """A well-formed document; its nodes are in document order."""

    __slots__ = ("external", "nodes", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.nodes: list[Node] = []
        self.external: list[ExternalPart] = []

    @property
    def root(self) -> Node:
        return self.nodes[0]


def read(data: bytes, name: str) -> Document:
    """Read a document.

    :param name: the path, for messages.
    :raises XmlError: not well-formed (with line and column), or an encoding that is not reversible.
    """
    source = decode(data, name)
    document = _Parser(source).run()
    tags = scan(source.text)
    placed = [node for node in document.nodes if not node.entity_line]
    if len(tags) != len(placed) or not all(map(_agree, placed, tags)):
        raise XmlError(f"{name}: the two XML readers disagree about this file.", "Report this with the file.")
    for node, tag in zip(placed, tags):
        node.tag = tag
    return document


def decode(data: bytes, name: str) -> Source:
    """Bytes to text by byte-order mark and XML declaration (XML 1.0, appendix F).

    :raises XmlError: unknown encoding, bytes that are invalid in it, or that contradict the declaration.
    """
    bom, codec = _family(data, name)
    declared = _declared(data[len(bom) : len(bom) + 400].decode(codec or "latin-1", "replace"))
    if not codec:
        codec = _codec(declared or "utf-8", name)
    elif declared and _codec(declared, name, any_width=True) not in _UTF16.get(codec, (codec,)):
        raise XmlError(
            f"{name}: the first bytes say {codec.upper()}, but the XML declaration says {declared}.",
            "Correct the encoding in the first line.", 1, 1,
        )  # fmt: skip
    body = data[len(bom) :]
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as exc:
        line = body[: exc.start].decode(codec, "replace").count("\n") + 1
        raise XmlError(
            f"{name}, line {line}: the byte at offset {len(bom) + exc.start} is no valid {codec.upper()}.",
            "Declare the right encoding in the first line of the file, or correct the text.", line,
        ) from exc  # fmt: skip
    source = Source(name, text, codec, bom)
    if source.encode(text) != data:
        raise XmlError(f"{name}: its {codec} text cannot be given back.", "Convert the file to UTF-8.")
    return source


def scan(text: str) -> list[Tag]:
    """The start tags of a well-formed text, in order; comments, CDATA, PIs, DOCTYPE are passed over."""
    tags: list[Tag] = []
    position = 0
    while True:
        match = _MARKUP.search(text, position)
        if match is None:
            return tags
        position = match.end()
        if match.group() == "<!DOCTYPE":
            position = _skip_doctype(text, position)
        elif match.group() == "<":
            tag = _tag(text, match.start())
            if tag is None:
                return tags  # the readers will not agree: the caller says so
            tags.append(tag)
            position = tag.end


def _tag(text: str, start: int) -> Tag | None:
    head = _TAG_HEAD.match(text, start)
    if head is None:
        return None
    pieces = []
    position = head.end()
    while True:
        match = _ATTRIBUTE.match(text, position)
        if match is None:
            break
        space, name, equals, double, raw2, _single, raw1 = match.groups()
        pieces.append(Piece(space, name, equals, '"' if double else "'", raw2 if double else raw1))
        position = match.end()
    tail = _TAG_TAIL.match(text, position)
    return Tag(start, tail.end(), head.group(), tuple(pieces), tail.group()) if tail else None


def _skip_doctype(text: str, position: int) -> int:
    depth = 0
    for match in re.compile(_DOCTYPE_PART, re.S).finditer(text, position):
        depth += {"[": 1, "]": -1}.get(match.group(), 0)
        if match.group() == ">" and depth == 0:
            return match.end()
    return len(text)


def _agree(node: Node, tag: Tag) -> bool:
    plain = {piece.name: piece.raw for piece in tag.pieces if _NORMALISED.isdisjoint(piece.raw)}
    return (
        tag.head == "<" + node.name
        and all(piece.name in node.attributes for piece in tag.pieces)
        and all(node.attributes[name] == raw for name, raw in plain.items())
    )


def _family(data: bytes, name: str) -> tuple[bytes, str]:
    """The byte-order mark, and the encoding where the first bytes alone decide it."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise XmlError(f"{name}: the file is UTF-32.", "Convert it to UTF-8.", 1, 1)
    for bom, codec in _MARKS:
        if data.startswith(bom):
            return bom, codec
    if data.startswith(b"<\0?\0"):
        return b"", "utf-16-le"
    if data.startswith(b"\0<\0?"):
        return b"", "utf-16-be"
    return b"", ""


def _declared(head: str) -> str:
    match = re.match(_DECLARATION, head) if head.startswith("<?xml") else None
    return match.group(1) or "" if match else ""


def _codec(declared: str, name: str, any_width: bool = False) -> str:
    """Python's name of a declared encoding; its ASCII part must be ASCII unless ``any_width``."""
    try:
        codec = codecs.lookup(declared).name
        usable = any_width or "<?xml".encode(codec) == b"<?xml"
    except (LookupError, UnicodeError, TypeError):
        usable = False
    if not usable:
        raise XmlError(f"{name}: the encoding {declared} of its XML declaration is not usable here.",
                       "Convert the file to UTF-8 and declare that.", 1, 1)  # fmt: skip
    return codec


class _Parser:
    """Expat's view of a text, with bounds on what entities may grow to."""

    def __init__(self, source: Source) -> None:
        self.document = Document(source)
        self.bytes = source.text.encode("utf-8")
        self.open: list[Node] = []
        self.internal: dict[str, str] = {}
        self.system_ids: dict[str, str] = {}
        self.characters = 0
        # The text is given as UTF-8 whatever the file is, and that overrides the declaration.
        self.expat = expat.ParserCreate("utf-8")
        self.expat.buffer_text = True
        handlers: dict[str, Callable[..., Any]] = {
            "StartElementHandler": self._start,
            "EndElementHandler": self._end,
            "CharacterDataHandler": self._text,
            "EntityDeclHandler": self._entity,
            "ExternalEntityRefHandler": self._external,
            "SkippedEntityHandler": self._skipped,
        }
        for name, handler in handlers.items():
            setattr(self.expat, name, handler)

    def run(self) -> Document:
        source = self.document.source
        try:
            self.expat.Parse(self.bytes, True)
        except expat.ExpatError as exc:
            line, column = exc.lineno, exc.offset + 1
            reason = expat.ErrorString(exc.code)
            raise XmlError(
                f"{source.name}, line {line}, column {column}: not well-formed XML ({reason}).",
                _remedy(source.text, line), line, column,
            ) from exc  # fmt: skip
        return self.document

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.document.nodes) >= MAX_ELEMENTS or len(self.open) >= MAX_DEPTH:
            raise self._too_large()
        parent = self.open[-1] if self.open else None
        path = f"{parent.path}/{name}" if parent else name
        index = self.expat.CurrentByteIndex
        in_entity = self.bytes[index : index + 1] != b"<"  # then it is the "&" of the reference
        line = self.expat.CurrentLineNumber
        node = Node(name, attributes, line, path, parent, line if in_entity else 0)
        if parent:
            parent.children.append(node)
        self.document.nodes.append(node)
        self.open.append(node)

    def _end(self, _name: str) -> None:
        self.open.pop()

    def _text(self, text: str) -> None:
        self.characters += len(text)
        if self.characters > MAX_CHARACTERS:
            raise self._too_large()

    def _entity(
        self, name: str, parameter: int, value: str | None, _base: Any, system_id: str | None, *_: Any
    ) -> None:
        if parameter:
            return
        if value is None:
            self.system_ids.setdefault(system_id or "", name)
            return
        self.internal.setdefault(name, value)  # the first declaration binds (XML 1.0, 4.2)
        if len(self.internal) > MAX_ENTITIES:
            raise self._too_large()
        sizes: dict[str, int] = {}
        if max(self._size(entity, sizes, ()) for entity in self.internal) > MAX_ENTITY_SIZE:
            raise self._too_large()

    def _size(self, name: str, sizes: dict[str, int], above: tuple[str, ...]) -> int:
        """Characters of an entity fully expanded. A cycle counts nothing: expat refuses it."""
        if name in above or name not in self.internal:
            return 0
        if name not in sizes:
            value = self.internal[name]
            parts = (self._size(part, sizes, (*above, name)) for part in re.findall("&([^#;&][^;&]*);", value))
            sizes[name] = len(value) + sum(parts)
        return sizes[name]

    def _external(self, _context: str, _base: Any, system_id: str | None, _public_id: Any) -> int:
        self._note(self.system_ids.get(system_id or "", ""), system_id or "")
        return 1  # go on without it: nothing is fetched

    def _skipped(self, name: str, parameter: int) -> None:
        if not parameter:
            self._note(name, "")

    def _note(self, name: str, system_id: str) -> None:
        path = self.open[-1].path if self.open else ""
        self.document.external.append(ExternalPart(name, system_id, self.expat.CurrentLineNumber, path))

    def _too_large(self) -> XmlError:
        line, name = self.expat.CurrentLineNumber, self.document.source.name
        return XmlError(f"{name}, line {line}: it grows beyond any real server.xml.",
                        "Check its entities, and where the file comes from.", line)  # fmt: skip


def _remedy(text: str, line: int) -> str:
    lines = re.split("\r\n|\r|\n", text)
    near = lines[line - 1] if 0 < line <= len(lines) else ""
    if re.search("=[ \t]*(\"[^\"<]*<|'[^'<]*<)", near):
        return (
            "An attribute value has a raw '<': an example such as '<subdomain>.<domain>.com' was taken out of "
            "its comment without being filled in. Write the real value."
        )
    return "Correct the file by hand; Tomcat does not start with it either. Nothing was changed."
