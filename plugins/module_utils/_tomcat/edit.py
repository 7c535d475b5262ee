# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Setting and removing attributes of one connector; every other byte stays."""

from __future__ import annotations

import re
from typing import Mapping, Optional

from ansible_collections.collab.rtc.plugins.module_utils._mask import MASK
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import attributes, connectors
from ansible_collections.collab.rtc.plugins.module_utils._tomcat.connectors import ConnectorElement, ConnectorModel

Wanted = Mapping[str, Optional[str]]  # attribute -> value; None removes it
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")


class EditRefused(connectors.ServerXmlError):
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
        return _mask(self._old)

    @property
    def text_after(self) -> str:
        return _mask(self._new)


def _mask(text: str) -> str:
    """A diff shows what stands around the connector too: resources, realms, clusters, comments."""
    # Imported here: compiled only for those who want a diff.
    from ansible_collections.collab.rtc.plugins.module_utils import _secret_text  # noqa: PLC0415

    return _secret_text.mask_text(attributes.mask_text(_secret_text.mask_entities(text)))


def edit_connector(model: ConnectorModel, connector: ConnectorElement, asked: Wanted, tomcat_version: str = "") -> Edit:
    """Set attributes of one connector, or remove them (value None).

    A value that already says the same, references and ``${...}`` resolved, stays byte for byte.

    :param connector: one of ``model.connectors``.
    :param tomcat_version: as ``9.0.98``; attributes that it no longer has are refused; "": unknown.
    :raises EditRefused: a bad name or value, an attribute that is gone, or a result that differs elsewhere too.
    :raises ConnectorElsewhere: the connector stands in an entity.
    """
    source = model.document.source
    if connector.node.start < 0:
        raise connectors.ConnectorElsewhere(
            f"{model.name}, line {connector.line}: this connector comes from an entity of the DOCTYPE.",
            "Edit the entity by hand.",
            connector.line,
        )
    _check(model, connector, asked, tomcat_version)
    before = connector.attributes
    written = _find_written(connector, asked)
    wanted = {name: value for name, value in written.items() if not _is_same(connector, name, value)}
    if not wanted:
        return Edit(source.encode(source.text), before, before, source.text, source.text)

    from ansible_collections.collab.rtc.plugins.module_utils._xml import start_tag  # noqa: PLC0415 - only for a change

    tag = start_tag.read(model.document, connector.node)
    there = {piece.name for piece in tag.pieces}
    for name in start_tag.order(wanted):
        if wanted[name] is None and name not in there:
            raise EditRefused(
                f"{model.name}, line {connector.line}: {name} is a default that the DOCTYPE declares.",
                "Edit the DOCTYPE by hand.",
                connector.line,
            )
        tag = start_tag.change(source, tag, name, wanted[name])
    data = source.encode(tag.placed(source.text))
    after = _verify(model, connector, wanted, data)
    # For the diff, a secret that changed is masked differently, so that the change shows.
    secret = [name for name in wanted if attributes.is_secret(name)]
    shown = start_tag.mask(tag, secret, MASK + " (new)").placed(source.text)
    return Edit(data, before, after, source.text, shown)


def _check(model: ConnectorModel, connector: ConnectorElement, asked: Wanted, tomcat_version: str) -> None:
    where = f"{model.name}, line {connector.line}"
    for name, value in asked.items():
        if not _ATTRIBUTE_NAME.match(name):
            raise EditRefused(f"{where}: '{name}' is not the name of an attribute.", "Correct the name.")
        if value is not None and not all(map(_is_xml, value)):
            raise EditRefused(f"{where}: the value of {name} has a character that XML has not.", "Remove it.")
    if not _is_tomcats_own(connector):
        return
    set_names = [name for name, value in asked.items() if value is not None]
    for name, instead in attributes.find_removed(set_names, tomcat_version):
        raise EditRefused(
            f"{where}: Tomcat {tomcat_version} has no attribute {name} any more and would ignore it.",
            f"Remove {name} from what is asked; {instead}.",
            connector.line,
        )


def _find_written(connector: ConnectorElement, asked: Wanted) -> dict[str, str | None]:
    """What is asked, by the spelling of the file: the last one of a name counts for Tomcat, and removed are all."""
    found: dict[str, str | None] = {}
    for name, value in asked.items():
        names = connectors.list_written(connector.node.attributes, name) or [name]
        found.update(dict.fromkeys(names if value is None else names[-1:], value))
    return found


def _is_xml(char: str) -> bool:
    """XML 1.0, production 2: no reference can stand for any other character."""
    return char in "\t\n\r" or " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char >= "\U00010000"


def _is_tomcats_own(connector: ConnectorElement) -> bool:
    return connector.protocol.startswith(("HTTP/", "AJP/", "org.apache.coyote."))


def _is_same(connector: ConnectorElement, name: str, value: str | None) -> bool:
    if value is None or name not in connector.node.attributes:
        return value is None and name not in connector.node.attributes
    return value in (connector.node.attributes[name], connector.value(name))  # of several spellings this is the last


def _verify(model: ConnectorModel, connector: ConnectorElement, wanted: Wanted, data: bytes) -> dict[str, str]:
    """Read the result back: it must differ from what was in the asked attributes only.

    :returns: the connector's attributes now.
    """
    try:
        new = connectors.read(data, model.name, model.properties)
    except connectors.ServerXmlError as exc:
        raise _explain_unexpected(model, connector) from exc
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
        raise _explain_unexpected(model, connector)
    return connectors.spell_all(new_nodes[index].attributes)


def _explain_unexpected(model: ConnectorModel, connector: ConnectorElement) -> EditRefused:
    return EditRefused(
        f"{model.name}, line {connector.line}: the edited file would differ in more than what was asked.",
        "Edit it by hand, and report this with the file.",
        connector.line,
    )
