# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lossless reading of XML: elements with the place where they start, and the exact text.

Expat (``xml.parsers.expat``) says whether it is well-formed, what it means, and where each start tag begins; what
stands in a tag is read by ``start_tag``, entities are watched by ``entities``. Rules: XML 1.0, fifth edition,
https://www.w3.org/TR/xml/.

A module is compiled on the host at each run, which costs more than its work. So the classes here are plain ones (to
make a dataclass costs as much as reading a whole server.xml), and what few files need is in modules of its own.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING
from xml.parsers import expat

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

if TYPE_CHECKING:
    from ansible_collections.collab.rtc.plugins.module_utils._xml.entities import EntityWatch, ExternalPart

# What a whole document may grow to: a real server.xml has 10 kB and 100 elements.
MAX_ELEMENTS = 100_000
MAX_DEPTH = 100
# Defaults of an ATTLIST, which each element has, among them.
MAX_ATTRIBUTES = 20_000
MAX_VALUES = 16 * 1024 * 1024  # characters of all attributes
_SPACE = "[ \t\r\n]"
_DECLARATION = (
    f"<\\?xml{_SPACE}+version{_SPACE}*={_SPACE}*[\"'][^\"']*[\"']"
    f"(?:{_SPACE}+encoding{_SPACE}*={_SPACE}*[\"']([A-Za-z][A-Za-z0-9._-]*)[\"'])?"
)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# Of Python alone, no charsets: some fail with errors of their own, or take time by the square of the text.
_NO_CHARSETS = ("idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7")
_UTF16 = {"utf-16-le": ("utf-16", "utf-16-le"), "utf-16-be": ("utf-16", "utf-16-be")}


class XmlError(RtcError):
    """A file that cannot be used for what was asked. ``line`` and ``column``: 1-based, 0 if there is none."""

    def __init__(self, message: str, remedy: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(message, remedy)
        self.line = line
        self.column = column


class IllFormed(XmlError):
    """Not well-formed XML, or not readable without loss."""


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


class XmlNode:
    """An element.

    :param attributes: decoded; defaults of an ATTLIST included.
    :param path: such as ``Server/Service/Connector``.
    :param start: where its ``<`` stands in the text; -1: the element stands in an internal entity.
    """

    __slots__ = ("attributes", "children", "line", "name", "path", "start")

    def __init__(self, name: str, attributes: dict[str, str], line: int, path: str, start: int) -> None:
        self.name = name
        self.attributes = attributes
        self.line = line
        self.path = path
        self.start = start
        self.children: list[XmlNode] = []

    def find(self, name: str) -> list[XmlNode]:
        """Children of that name."""
        return [child for child in self.children if child.name == name]


class Document:
    """A well-formed document; its nodes are in document order."""

    __slots__ = ("external", "nodes", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.nodes: list[XmlNode] = []
        self.external: list[ExternalPart] = []

    @property
    def root(self) -> XmlNode:
        return self.nodes[0]


def read(data: bytes, name: str) -> Document:
    """Read a document.

    :param name: the path, for messages.
    :raises IllFormed: not well-formed (with line and column), or an encoding that is not reversible.
    """
    return Parser(decode(data, name)).run()


def decode(data: bytes, name: str) -> Source:
    """Bytes to text by byte-order mark and XML declaration (XML 1.0, appendix F).

    :raises IllFormed: unknown encoding, bytes that are invalid in it, or that contradict the declaration.
    """
    bom, codec = _detect_family(data, name)
    declared = _find_declared_encoding(data[len(bom) : len(bom) + 400].decode(codec or "latin-1", "replace"))
    if not codec:
        codec = _find_codec(declared or "utf-8", name)
    elif declared and _find_codec(declared, name, any_width=True) not in _UTF16.get(codec, (codec,)):
        raise IllFormed(
            f"{name}: the first bytes say {codec.upper()}, but the XML declaration says {declared}.",
            "Correct the encoding in the first line.",
            1,
            1,
        )
    body = data[len(bom) :]
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as exc:
        line = body[: exc.start].decode(codec, "replace").count("\n") + 1
        raise IllFormed(
            f"{name}, line {line}: the byte at offset {len(bom) + exc.start} is no valid {codec.upper()}.",
            "Declare the right encoding in the first line of the file, or correct the text.",
            line,
        ) from exc
    source = Source(name, text, codec, bom)
    if source.encode(text) != data:
        raise IllFormed(f"{name}: its {codec} text cannot be given back.", "Convert the file to UTF-8.")
    return source


def _detect_family(data: bytes, name: str) -> tuple[bytes, str]:
    """The byte-order mark, and the encoding where the first bytes alone decide it."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise IllFormed(f"{name}: the file is UTF-32.", "Convert it to UTF-8.", 1, 1)
    for bom, codec in _MARKS:
        if data.startswith(bom):
            return bom, codec
    if data.startswith(b"<\0?\0"):
        return b"", "utf-16-le"
    if data.startswith(b"\0<\0?"):
        return b"", "utf-16-be"
    return b"", ""


def _find_declared_encoding(head: str) -> str:
    match = re.match(_DECLARATION, head) if head.startswith("<?xml") else None
    return match.group(1) or "" if match else ""


def _find_codec(declared: str, name: str, any_width: bool = False) -> str:
    """Python's name of a declared encoding; its ASCII part must be ASCII unless ``any_width``."""
    try:
        codec = codecs.lookup(declared).name
        usable = codec.replace("_", "-") not in _NO_CHARSETS and (any_width or "<?xml".encode(codec) == b"<?xml")
    except (LookupError, UnicodeError, TypeError):
        usable = False
    if not usable:
        raise IllFormed(
            f"{name}: the encoding {declared} of its XML declaration is not usable here.",
            "Convert the file to UTF-8 and declare that.",
            1,
            1,
        )
    return codec


class Parser:
    """Expat's view of a text."""

    def __init__(self, source: Source) -> None:
        self.document = Document(source)
        self.bytes = source.text.encode("utf-8")
        self.open: list[XmlNode] = []
        self._attributes = self._characters = 0
        self._watch: EntityWatch | None = None
        self._place = (0, 0)  # the same place in bytes and in characters
        # The text is given as UTF-8 whatever the file is, and that overrides the declaration.
        self.expat = expat.ParserCreate("utf-8")
        self.expat.StartElementHandler = self._open_element
        self.expat.EndElementHandler = self._close_element

    def run(self) -> Document:
        source = self.document.source
        if "<!DOCTYPE" in source.text:  # or there is no entity of its own
            from ansible_collections.collab.rtc.plugins.module_utils._xml import entities  # noqa: PLC0415 - seldom

            external = self.document.external
            self._watch = entities.EntityWatch(self.expat, source.text, external, self.path, self.too_large)
        try:
            self.expat.Parse(self.bytes, True)
        except expat.ExpatError as exc:
            line, column = exc.lineno, exc.offset + 1
            reason = expat.ErrorString(exc.code)
            raise IllFormed(
                f"{source.name}, line {line}, column {column}: not well-formed XML ({reason}).",
                _suggest_remedy(source.text, line),
                line,
                column,
            ) from exc
        return self.document

    def _open_element(self, name: str, attributes: dict[str, str]) -> None:
        self._attributes += len(attributes)
        self._characters += sum(map(len, attributes.values()))
        if len(self.document.nodes) >= MAX_ELEMENTS or len(self.open) >= MAX_DEPTH:
            raise self.too_large()
        if self._attributes > MAX_ATTRIBUTES or self._characters > MAX_VALUES:
            raise self.too_large()
        path = f"{self.path()}/{name}" if self.open else name
        node = XmlNode(name, attributes, self.expat.CurrentLineNumber, path, self._find_position())
        unread = self._watch.find_unread(self.document.source.text, node.start) if self._watch else ""
        if unread:
            raise IllFormed(
                f"{self.document.source.name}, line {node.line}: &{unread}; in <{name}> is declared by something that "
                "the DOCTYPE refers to and that is not read, so that its value is unknown.",
                "Declare it in the DOCTYPE of this file itself, or write the value in its place.",
                node.line,
            )
        if self.open:
            self.open[-1].children.append(node)
        self.document.nodes.append(node)
        self.open.append(node)

    def _find_position(self) -> int:
        """Where the start tag stands in the text; -1 in an entity: expat is at the "&" of the reference then."""
        index = self.expat.CurrentByteIndex
        if self.bytes[index : index + 1] != b"<":
            return -1
        done, characters = self._place
        self._place = (index, characters + len(self.bytes[done:index].decode("utf-8")))
        return self._place[1]

    def _close_element(self, _name: str) -> None:
        self.open.pop()

    def path(self) -> str:
        """The path of the element that is being read, "" outside of the root."""
        return self.open[-1].path if self.open else ""

    def too_large(self) -> XmlError:
        line, name = self.expat.CurrentLineNumber, self.document.source.name
        return IllFormed(
            f"{name}, line {line}: it grows beyond any real server.xml.",
            "Check its entities, and where the file comes from.",
            line,
        )


def _suggest_remedy(text: str, line: int) -> str:
    lines = re.split("\r\n|\r|\n", text)
    near = lines[line - 1] if 0 < line <= len(lines) else ""
    if re.search("=[ \t]*(\"[^\"<]*<|'[^'<]*<)", near):
        return (
            "An attribute value has a raw '<': an example such as '<subdomain>.<domain>.com' was taken out of "
            "its comment without being filled in. Write the real value."
        )
    if re.match(f"<\\?xml{_SPACE}+version{_SPACE}*={_SPACE}*[\"']1\\.1", text):
        return "It declares XML 1.1, which Tomcat reads and this does not: declare version 1.0, or correct that line."
    return "Correct the file by hand; Tomcat does not start with it either. Nothing was changed."
