# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the private key and the chain of a Tomcat connector are: what server.xml says about it.

Names and defaults are those of the Tomcat documentation, "The HTTP Connector", SSL support: the attributes of the
connector itself up to 9.0, ``SSLHostConfig`` and ``Certificate`` from 8.5.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import connectors, property_sources, server_xml
from ansible_collections.collab.rtc.plugins.module_utils._x509 import server_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEFAULT_HOST = "_default_"
_DEFAULT_PASSWORD = "changeit"  # noqa: S105 - Tomcat's own, documented
# What a source is made of -> the attributes on the connector, of which two may be one property of Tomcat, and the one
# on Certificate (or SSLHostConfig in 8.5).
_ATTRIBUTES = {
    "store": (("keystoreFile",), "certificateKeystoreFile"),
    "store_password": (("keystorePass",), "certificateKeystorePassword"),
    "store_password_file": (("keystorePassFile",), "certificateKeystorePasswordFile"),
    "alias": (("keyAlias",), "certificateKeyAlias"),
    "key_password": (("keyPass", "SSLPassword"), "certificateKeyPassword"),
    "key_password_file": (("keyPassFile", "SSLPasswordFile"), "certificateKeyPasswordFile"),
    "certificate": (("SSLCertificateFile",), "certificateFile"),
    "key": (("SSLCertificateKeyFile",), "certificateKeyFile"),
    "chain": (("SSLCertificateChainFile",), "certificateChainFile"),
}
# productEncryptionKey, bambooEncryptionKey: with it, Atlassian's protocol classes take each password for the path of a
# file that holds it encrypted ("Encrypting Tomcat passwords in the server.xml file").
ENCRYPTION_KEY = "encryptionkey"


class NoKey(RtcError):
    """The connector has no key, or what names it is unknown."""


@dataclass(frozen=True)
class KeySource:
    """Where a key is. Either ``store`` or ``certificate`` is set; paths are absolute.

    :param line: of the element in server.xml that says so, 1-based.
    :param form: ``connector`` (its own attributes) or ``SSLHostConfig``.
    :param alias: empty: the store's only key.
    """

    line: int
    form: str
    host_name: str = _DEFAULT_HOST
    store: str = ""
    alias: str = ""
    store_password: str = field(default="", repr=False)
    key_password: str = field(default="", repr=False)
    certificate: str = ""
    key: str = ""
    chain: str = ""


def find(
    model: server_xml.ServerXmlModel, port: int | None = None, server_name: str = "", base: str = "", alias: str = ""
) -> KeySource:
    """Where the key of a connector is.

    :param port: the connector's; without it the only one that ends TLS, or else the one that users arrive at.
    :param server_name: which ``SSLHostConfig``, as a client's SNI chooses it; empty: the default one.
    :param base: CATALINA_BASE, which relative paths start from.
    :param alias: counts more than what the file says.
    :raises NoKey: no connector with TLS, or what names its key is unknown.
    :raises ServerXmlError: no such connector, or several.
    """
    connector = _choose(model, port)
    part, form, host_name = _choose_element(model, connector, server_name)
    values = {}
    for what, (own, of_certificate) in _ATTRIBUTES.items():
        names = own if form == "connector" else (of_certificate,)
        values[what] = next(filter(None, (_read_value(model, part, name) for name in names)), "")
    if any(values[name] for name in values if "password" in name) or not values["certificate"]:
        _refuse_encrypted(model, connector)
    where = f"{model.name}, line {part.line}"
    key_password = _read_secret(values, "key_password", base, where)
    if values["certificate"]:
        return KeySource(
            part.line,
            form,
            host_name,
            certificate=server_xml.resolve_path(values["certificate"], base),
            key=server_xml.resolve_path(values["key"] or values["certificate"], base),
            chain=server_xml.resolve_path(values["chain"], base),
            key_password=key_password,
        )
    password = _read_secret(values, "store_password", base, where) or _DEFAULT_PASSWORD
    return KeySource(
        part.line,
        form,
        host_name,
        store=server_xml.resolve_path(values["store"], base) or _find_default_store(model, part),
        alias=alias or values["alias"],
        store_password=password,
        key_password=key_password or password,
    )


def _refuse_encrypted(model: server_xml.ServerXmlModel, connector: connectors.ConnectorElement) -> None:
    for name in connector.attributes:
        if name.lower().endswith(ENCRYPTION_KEY) and connector.value(name):
            raise NoKey(
                f"{model.name}, line {connector.line}: {name} says that the passwords are encrypted by Atlassian's "
                "tool, and the application alone can decrypt them.",
                "Name PEM files without a pass phrase instead (certificateFile, certificateKeyFile), or a store whose "
                "password stands in a file of its own (certificateKeystorePasswordFile) with Tomcat's own protocol "
                "class; or let a proxy end TLS.",
            )


def _choose(model: server_xml.ServerXmlModel, port: int | None) -> connectors.ConnectorElement:
    ending = [item for item in model.connectors if item.is_tls and not item.is_ajp]
    if port is None and len(ending) == 1:
        return ending[0]
    connector = connectors.choose_connector(model, port)[0]
    if not connector.is_tls:
        where = "; ".join(str(item) for item in ending)
        raise NoKey(
            f"{model.name}, line {connector.line}: this connector does not end TLS (SSLEnabled is not true).",
            f"Name the port of one that does: {where}." if where else "Nothing in this file has a key.",
        )
    return connector


def _choose_element(
    model: server_xml.ServerXmlModel, connector: connectors.ConnectorElement, server_name: str
) -> tuple[connectors.Element, str, str]:
    """The element that names the key, its form, and the host name that it is for."""
    default = connector.value("defaultSSLHostConfigName", _DEFAULT_HOST).lower()
    hosts = server_xml.list_ssl_hosts(connector)
    host = _choose_host(hosts, server_certificate.to_ascii(server_name), default)
    if host is not None:
        # Tomcat 8.5 also takes the attributes of Certificate on SSLHostConfig itself. Of several (RSA, EC) the first.
        return (host.certificates or (host,))[0], "SSLHostConfig", host.host_name
    if hosts and not connector.attributes.keys() & {
        "keystoreFile",
        "SSLCertificateFile",
    }:
        names = ", ".join(item.host_name for item in hosts)
        raise NoKey(
            f"{model.name}, line {connector.line}: no SSLHostConfig is for {server_name or 'the default host'}.",
            f"It has {names}: name one of them.",
        )
    return connector, "connector", _DEFAULT_HOST


def _choose_host(
    hosts: Sequence[server_xml.SslHostConfigElement], name: str, default: str
) -> server_xml.SslHostConfigElement | None:
    """As Tomcat chooses it (AbstractEndpoint.getSSLHostConfig): the name, its wildcard, the default."""
    by_name = {item.host_name.lower(): item for item in hosts}
    wildcard = "*." + name.partition(".")[2]
    return by_name.get(name) or by_name.get(wildcard) or by_name.get(default)


def _read_value(model: server_xml.ServerXmlModel, part: connectors.Element, name: str) -> str:
    if name in part.unresolved():
        unknown = property_sources.resolve(part.attributes[name], part.properties)[1]
        raise NoKey(
            f"{model.name}, line {part.line}: {name} names ${{{unknown[0]}}}, which is unknown.",
            "Give the option properties with the JVM's system properties.",
        )
    return part.value(name)


def _read_secret(values: dict[str, str], name: str, base: str, where: str) -> str:
    """A password: the first line of its file as Tomcat reads it, blanks included, where one is named."""
    file = values[name + "_file"]
    if not file:
        return values[name]
    path = server_xml.resolve_path(file, base)
    try:
        text = _files.read_bytes(path, 65536).decode("utf-8", "replace")
    except RtcError as exc:
        raise NoKey(f"{where}: a password is in a file. {exc.message}", exc.remedy or "Correct the path.") from exc
    line = re.split(r"\r\n|\r|\n", text, maxsplit=1)[0]
    if not line:
        raise NoKey(f"{where}: {path} has no password in its first line.", "Write the password there.")
    return line


def _find_default_store(model: server_xml.ServerXmlModel, part: connectors.Element) -> str:
    home = model.properties.get("user.home", "")
    if not home:
        raise NoKey(
            f"{model.name}, line {part.line}: no key store and no certificate is named here.",
            "Tomcat then takes .keystore in the home directory of its user: "
            "give properties with user.home, or name the store.",
        )
    return os.path.join(home, ".keystore")
