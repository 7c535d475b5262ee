# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Setting and removing attributes of one connector; every other byte stays. PRIVATE to the collection."""

from __future__ import annotations

import re
from typing import Mapping

from ansible_collections.collab.rtc.plugins.module_utils import _connector_attributes, _server_xml, _xml_scan
from ansible_collections.collab.rtc.plugins.module_utils._server_xml import (
    Connector,
    ServerXml,
    ServerXmlError,
)
from ansible_collections.collab.rtc.plugins.module_utils._xml_scan import Piece, Tag

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
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_LINE_BREAK = re.compile("\r\n|\r|\n")
_LAST_BREAK = re.compile("(?:\r\n|\r|\n)[ \t]*\\Z")


class EditRefused(ServerXmlError):  # noqa: N818 - the name says what happened
    """The edit cannot be made, or would not be exactly what was asked. The file is as it was."""


class Edit:
    """The outcome of an edit; nothing is written yet.

    :param data: the whole new file; equal to the old one when nothing changed.
    :param before: the connector's attributes, decoded, ``${...}`` as written; ``after`` likewise.
    :param old: the whole file as text; in ``new`` the secrets that were set are masked already.
    """

    def __init__(self, data: bytes, before: dict[str, str], after: dict[str, str], old: str, new: str) -> None:
        self.data = data
        self.before = before
        self.after = after
        self._old = old
        self._new = new

    @property
    def changed(self) -> bool:
        return self.before != self.after

    @property
    def text_before(self) -> str:
        """For a diff: the whole file, secrets masked."""
        return _connector_attributes.mask_text(self._old)

    @property
    def text_after(self) -> str:
        return _connector_attributes.mask_text(self._new)


def edit(
    model: ServerXml, connector: Connector, attributes: Mapping[str, str | None], tomcat_version: str = ""
) -> Edit:
    """Set attributes of one connector, or remove them (value None).

    A value that already says the same, references and ``${...}`` resolved, stays byte for byte.

    :param connector: one of ``model.connectors``.
    :param tomcat_version: as ``9.0.98``; attributes that it no longer has are refused; "": unknown.
    :raises EditRefused: a bad name or value, an attribute that is gone, or a result that differs elsewhere too.
    :raises ConnectorElsewhere: the connector stands in an entity.
    """
    source = model.document.source
    tag = connector.node.tag
    if tag is None:
        raise _server_xml.ConnectorElsewhere(
            f"{model.name}, line {connector.line}: this connector comes from an entity of the DOCTYPE.",
            "Edit the entity by hand.", connector.line,
        )  # fmt: skip
    _check(model, connector, attributes, tomcat_version)
    wanted = {name: value for name, value in attributes.items() if not _same(connector, name, value)}
    new = tag
    for name in _ordered(wanted):
        new = _apply(model, connector, new, name, wanted[name])
    data = source.encode(_with_tag(source.text, tag, new))
    after = _verify(model, connector, wanted, data)
    shown = _with_tag(source.text, tag, _masked(new, wanted))
    return Edit(data, connector.attributes, after, source.text, shown)


def _with_tag(text: str, old: Tag, new: Tag) -> str:
    return text[: old.start] + new.render() + text[old.end :]


def _check(
    model: ServerXml, connector: Connector, attributes: Mapping[str, str | None], tomcat_version: str
) -> None:
    where = f"{model.name}, line {connector.line}"
    for name, value in attributes.items():
        if not _ATTRIBUTE_NAME.match(name):
            raise EditRefused(f"{where}: '{name}' is not the name of an attribute.", "Correct the name.")
        if value is not None and not all(map(_is_xml, value)):
            raise EditRefused(f"{where}: the value of {name} has a character that XML has not.", "Remove it.")
    if not _is_tomcats_own(connector):
        return
    set_names = [name for name, value in attributes.items() if value is not None]
    for name, instead in _connector_attributes.gone(set_names, tomcat_version):
        raise EditRefused(
            f"{where}: Tomcat {tomcat_version} has no attribute {name} any more and would ignore it.",
            f"Remove {name} from what is asked; {instead}.", connector.line,
        )  # fmt: skip


def _is_xml(char: str) -> bool:
    """XML 1.0, production 2: no reference can stand for any other character."""
    return char in "\t\n\r" or " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char >= "\U00010000"


def _is_tomcats_own(connector: Connector) -> bool:
    return connector.protocol.startswith(("HTTP/", "AJP/", "org.apache.coyote."))


def _same(connector: Connector, name: str, value: str | None) -> bool:
    if value is None or name not in connector.node.attributes:
        return value is None and name not in connector.node.attributes
    return value in (connector.node.attributes[name], connector.value(name))


def _ordered(names: Mapping[str, str | None]) -> list[str]:
    """Families in their usual order, so that new members find each other; the others as they were given."""
    usual = [name for family in _FAMILIES for name in family]
    return sorted(names, key=lambda name: usual.index(name) if name in usual else len(usual))


def _apply(model: ServerXml, connector: Connector, tag: Tag, name: str, value: str | None) -> Tag:
    index = next((index for index, piece in enumerate(tag.pieces) if piece.name == name), -1)
    if value is None:
        if index < 0:
            raise EditRefused(
                f"{model.name}, line {connector.line}: {name} is a default that the DOCTYPE declares.",
                "Edit the DOCTYPE by hand.", connector.line,
            )  # fmt: skip
        return _remove(tag, index)
    if index >= 0:
        piece = tag.pieces[index]
        raw = _escape(value, piece.quote, model.document.source)
        return _spliced(tag, index, index + 1, piece.valued(raw))
    return _insert(model.document.source, tag, name, value)


def _spliced(tag: Tag, start: int, end: int, *pieces: Piece) -> Tag:
    """The tag with other pieces in the place of ``tag.pieces[start:end]``."""
    return Tag(tag.start, tag.end, tag.head, (*tag.pieces[:start], *pieces, *tag.pieces[end:]), tag.tail)


def _escape(value: str, quote: str, source: _xml_scan.Source) -> str:
    """A value as it stands between its quotes (XML 1.0, 2.3 and 3.3.3: line breaks by reference)."""
    special = {"&": "&amp;", "<": "&lt;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
    special[quote] = "&quot;" if quote == '"' else "&apos;"
    return "".join(special.get(char) or _representable(char, source) for char in value)


def _representable(char: str, source: _xml_scan.Source) -> str:
    try:
        char.encode(source.codec)
    except UnicodeEncodeError:
        return f"&#x{ord(char):x};"
    return char


def _remove(tag: Tag, index: int) -> Tag:
    """Take an attribute out with the white space on the side that has fewer line breaks: lines stay lines."""
    piece, last = tag.pieces[index], index == len(tag.pieces) - 1
    if last:
        return _spliced(tag, index, index + 1)
    following = tag.pieces[index + 1]
    first_of_wrapped = index == 0 and not _breaks(piece.space)
    if first_of_wrapped or _breaks(piece.space) > _breaks(following.space):
        return _spliced(tag, index, index + 2, following.moved(piece.space))
    return _spliced(tag, index, index + 1)


def _breaks(space: str) -> int:
    return len(_LINE_BREAK.findall(space))


def _insert(source: _xml_scan.Source, tag: Tag, name: str, value: str) -> Tag:
    """Put a new attribute beside its family, else last, in the style of its neighbour."""
    if not tag.pieces:
        return _spliced(tag, 0, 0, Piece(" ", name, "=", '"', _escape(value, '"', source)))
    index, before = _place(tag, name)
    neighbour = tag.pieces[index - 1 if not before else index]
    equals = neighbour.equals if not _breaks(neighbour.equals) else "="
    raw = _escape(value, neighbour.quote, source)
    if before:
        # The newcomer takes the neighbour's place in its line, and the neighbour follows.
        gap = _separator(tag, index) if _one_per_line(tag) else " "
        new = Piece(neighbour.space, name, equals, neighbour.quote, raw)
        result = _spliced(tag, index, index + 1, new, neighbour.moved(gap))
        return result if gap != " " else _wrapped(source, tag, result, index + 1)
    inside_a_line = index < len(tag.pieces) and not _breaks(tag.pieces[index].space)
    gap = _separator(tag, index) if _one_per_line(tag) and not inside_a_line else " "
    result = _spliced(tag, index, index, Piece(gap, name, equals, neighbour.quote, raw))
    return result if gap != " " or inside_a_line else _wrapped(source, tag, result, index)


def _place(tag: Tag, name: str) -> tuple[int, bool]:
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


def _one_per_line(tag: Tag) -> bool:
    gaps = [_breaks(piece.space) > 0 for piece in tag.pieces[1:]]
    return sum(gaps) * 2 > len(gaps)


def _separator(tag: Tag, index: int) -> str:
    """The line break and indentation before attributes near ``index``; "" in a tag of one line."""
    near = [*reversed(tag.pieces[: index + 1]), *tag.pieces[index + 1 :]]
    for piece in near:
        match = _LAST_BREAK.search(piece.space)
        if match:
            return match.group()
    return ""


def _wrapped(source: _xml_scan.Source, old: Tag, new: Tag, index: int) -> Tag:
    """Break the line before the piece at ``index`` when the insertion made the line too long."""
    lead = _LINE_BREAK.split(source.text[: new.start])[-1]
    up_to = lead + new.head + "".join(piece.render() for piece in new.pieces[: index + 1])
    after = "".join(piece.render() for piece in new.pieces[index + 1 :]) + new.tail
    line = _LINE_BREAK.split(up_to)[-1] + _LINE_BREAK.split(after)[0]
    gap = _separator(old, index)
    one_long_line = not gap and len(lead + old.render()) > MAX_LINE
    if len(line) <= MAX_LINE or one_long_line:
        return new
    gap = gap or _aligned(source, lead + new.head + new.pieces[0].space)
    return _spliced(new, index, index + 1, new.pieces[index].moved(gap))


def _aligned(source: _xml_scan.Source, lead: str) -> str:
    """A line break of this file, and white space up to where the first attribute starts."""
    found = _LINE_BREAK.search(source.text)
    return (found.group() if found else "\n") + re.sub("[^\t]", " ", lead)


def _verify(
    model: ServerXml, connector: Connector, wanted: Mapping[str, str | None], data: bytes
) -> dict[str, str]:
    """Read the result back: it must differ from what was in the asked attributes only.

    :returns: the connector's attributes now.
    """
    try:
        new = _server_xml.parse(data, model.name, model.properties)
    except ServerXmlError as exc:
        raise _unexpected(model, connector) from exc
    old_nodes, new_nodes = model.document.nodes, new.document.nodes
    index = old_nodes.index(connector.node)
    expected = dict(connector.node.attributes)
    for name, value in wanted.items():
        if value is None:
            expected.pop(name, None)
        else:
            expected[name] = value
    shapes = [[(node.path, node.attributes) for node in nodes] for nodes in (old_nodes, new_nodes)]
    shapes[0][index] = (connector.node.path, expected)
    if shapes[0] != shapes[1]:
        raise _unexpected(model, connector)
    return dict(new_nodes[index].attributes)


def _unexpected(model: ServerXml, connector: Connector) -> EditRefused:
    return EditRefused(
        f"{model.name}, line {connector.line}: the edited file would differ in more than what was asked.",
        "Edit it by hand, and report this with the file.", connector.line,
    )  # fmt: skip


def _masked(tag: Tag, wanted: Mapping[str, str | None]) -> Tag:
    """The new tag for a diff: a secret that changed is masked differently, so that the change shows."""
    mask = _connector_attributes.MASK + " (new)"
    secret = [name for name in wanted if _connector_attributes.is_secret(name)]
    pieces = [piece.valued(mask) if piece.name in secret else piece for piece in tag.pieces]
    return _spliced(tag, 0, len(pieces), *pieces)
