# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A ``server.xml`` as facts: values resolved, secrets replaced, the users' connector chosen."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Connector, SecretSource, ServerXml, TlsHost
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._java import secrets
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import connectors, property_sources, server_xml
from ansible_collections.collab.rtc.plugins.module_utils._xml import scanner

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_MANAGED = re.compile(
    r"(?:managed|generated|controlled|written|rendered|maintained)\s+(?:\w+\s+){0,3}by\s+[^\n]{2,60}"
    r"|ansible managed|\b(?:puppet|chef|saltstack|cfengine)\b|do not edit|will be overwritten",
    re.IGNORECASE,
)
# What the images of the products have: templates that an entry point renders over the file when the container starts.
_TEMPLATES = ("/opt/atlassian/etc/server.xml.j2", "/opt/atlassian/support/server.xml.j2")
_ENTRY_POINTS = ("/entrypoint.py", "/entrypoint.sh", "/docker-entrypoint.sh", "/usr/local/bin/docker-entrypoint.sh")
_MOST_NAMES = 100  # properties that a value is made of
# Of all hosts: the run user can fill their directories, and name ten thousand hosts that have the same one.
_MOST_DESCRIPTORS, _MOST_FOLDERS, _MOST_DESCRIPTOR = 100, 20, 256 * 1024
# Without one of them, Tomcat takes no key store by itself (SSLHostConfigCertificate.setStoreType; tried with 9 to 11).
_STORE_ATTRIBUTE = re.compile("(?:certificateKeystore|keystore)[A-Z]")
_NO_STORE = "without an attribute about a key store Tomcat takes none"
_KEY = re.compile(r"key(?:store)?Pass|SSLPassword|certificateKey(?:store)?Password")
_MOST_JAR, _MOST_INFO = 32 * 1024 * 1024, 64 * 1024  # bytes read of the jar, and of this file in it
_MOST_MOUNTS = 4 * 1024 * 1024
_SERVER_INFO = "org/apache/catalina/util/ServerInfo.properties"


def describe(rootfs: RootFs, base: str, kind: str, known: dict[str, str]) -> ServerXml:
    """The facts of ``conf/server.xml``; a file that cannot be read or parsed has its reason in ``error``.

    :param base: the CATALINA_BASE.
    :param known: what ``${...}`` may name (:func:`property_sources.read_known`), unmasked.
    """
    path = base + "/conf/server.xml"
    facts = ServerXml(path=path)
    content = rootfs.data(path)
    info = rootfs.stat(path)
    if content is None or info is None:
        facts.error = f"{path} cannot be read: {rootfs.unreadable.get(path, 'there is no such file')}."
        return facts
    facts.mtime = info.st_mtime
    facts.sha256 = hashlib.sha256(content).hexdigest()
    facts.generated_by = generated_by(rootfs, content.decode("utf-8", "replace"))
    facts.mounted = is_mount_point(rootfs, rootfs.real(path))
    try:
        model = server_xml.parse(content, path, known)
    except RtcError as exc:
        facts.error = str(exc)
        return facts
    _describe_context(rootfs, facts, model, base, kind)
    if model.remote_ip_valves:
        facts.remote_ip_valve = secrets.mask(_resolve_all(model.remote_ip_valves[0]))
    facts.shutdown_port = model.shutdown_port or 0
    facts.connectors = [_describe_connector(item, base) for item in model.connectors]
    _find_default_stores(rootfs, facts, known.get("user.home", ""))
    _choose(facts, model, kind)
    _describe_properties(facts, model, known)
    return facts


def _describe_context(rootfs: RootFs, facts: ServerXml, model: server_xml.ServerXmlModel, base: str, kind: str) -> None:
    descriptors = {}
    names = dict.fromkeys(model.list_descriptor_folders())
    folders = [f"{base}/{name}" if name[:1] != "/" else name for name in names][:_MOST_FOLDERS]
    paths = [f"{folder}/{name}" for folder in folders for name in rootfs.names(folder) if name.lower().endswith(".xml")]
    if len(names) > _MOST_FOLDERS or len(paths) > _MOST_DESCRIPTORS:
        rootfs.note(f"{base}/conf", f"descriptors of contexts: only the first {_MOST_DESCRIPTORS} are looked at")
    for path in paths[:_MOST_DESCRIPTORS]:
        content = rootfs.data(path, _MOST_DESCRIPTOR)
        try:
            if content is not None:
                descriptors[path] = server_xml.DescriptorElement(scanner.read(content, path), model.properties)
        except RtcError as exc:
            rootfs.note(path, str(exc))
    context = model.application_context(kind, list(descriptors.values()))
    if context is not None:
        facts.context_file = next((path for path, item in descriptors.items() if item is context), facts.path)
        facts.context_path, facts.context_line = context.path, context.line
        facts.context_parameters = secrets.mask(context.parameters)


def _find_default_stores(rootfs: RootFs, facts: ServerXml, home: str) -> None:
    """Fill in the store that Tomcat takes where server.xml names none, if it is there.

    :param home: of the user that Tomcat runs as; "" for unknown.
    """
    path = f"{home.rstrip('/')}/.keystore"
    for connector in facts.connectors:
        configured = any(map(_STORE_ATTRIBUTE.match, connector.attributes))
        for host in connector.tls:
            if host.keystore or host.certificate:
                host.missing = ""
            if host.keystore or host.certificate or host.missing or not (configured or host.form == "sslhostconfig"):
                continue
            if not home:
                host.missing = "Tomcat takes .keystore in the home of its user then, and that is unknown"
            elif rootfs.is_file(path) or path in rootfs.unreadable:
                host.keystore = path
            else:
                host.missing = f"Tomcat takes {path} then, and there is no such file"


def _list_names(value: str, known: dict[str, str], within: dict[str, list[str]]) -> set[str]:
    """The properties that a value is made of, those that are not known too.

    :param within: value -> what it names, of all that were looked at.
    """
    names: set[str] = set()
    todo = [value]
    while todo and len(names) <= _MOST_NAMES:
        text = todo.pop()
        if text not in within:
            within[text] = list(dict.fromkeys(property_sources.find_references(text)))[:_MOST_NAMES]
        for found in within[text]:
            plain, default, _value = found.partition(":-")
            name = found if found in known else plain
            if name not in names and (name in known or not default):
                names.add(name)
                todo.append(known.get(name, ""))
    return names


def _describe_properties(facts: ServerXml, model: server_xml.ServerXmlModel, known: dict[str, str]) -> None:
    """Fill in what the file takes from properties. What a secret is for is one, whatever the name of the property."""
    shown: set[str] = set()
    hidden: set[str] = set()
    of_key: set[str] = set()
    within: dict[str, list[str]] = {}
    again = {name: value for name, value in known.items() if name != property_sources.ONCE}
    for node in model.document.nodes:
        for name, value in node.attributes.items():
            if property_sources.resolve(value, known) != property_sources.resolve(value, again):
                shown.add(property_sources.ONCE)
            secret = secrets.is_secret(name) and not name.endswith("File")
            names = _list_names(value, known, within)
            (hidden if secret else shown).update(names)
            if _KEY.fullmatch(connectors.spell(name)) and node.path.startswith("Server/Service/Connector"):
                of_key |= names
    hidden |= {name for name in shown if secrets.mask({"": known.get(name, "")})[""] != known.get(name, "")}
    names = {*shown, *property_sources.CONTROLS}
    if any(item.ssl for item in facts.connectors):
        names.add("user.home")  # of the key store that Tomcat takes where none is named
    facts.properties = {name: known[name] for name in sorted(names - hidden) if name in known}
    facts.secrets = [SecretSource(name, key=name in of_key) for name in sorted(hidden)]


def _choose(facts: ServerXml, model: server_xml.ServerXmlModel, kind: str) -> None:
    try:
        chosen, reason = connectors.choose_connector(model, kind=kind)
    except RtcError as exc:
        for item in facts.connectors:
            item.reason = str(exc)
        return
    for item, connector in zip(facts.connectors, model.connectors):
        item.user = connector is chosen
        item.reason = reason if item.user else f"users arrive at the connector in line {chosen.line}: {reason}"


def _resolve_all(element: connectors.Element) -> dict[str, str]:
    return {name: property_sources.resolve(value, element.properties)[0] for name, value in element.attributes.items()}


def _describe_connector(model: connectors.ConnectorElement, base: str) -> Connector:
    tls = model.is_tls
    return Connector(
        line=model.line,
        port=model.port or 0,
        protocol=model.protocol,
        address=model.value("address"),
        # Tomcat's http.xml: both attributes count for nothing where the connector itself ends TLS.
        scheme="https" if tls else model.value("scheme", "http").strip().lower(),
        secure=tls or model.true("secure"),
        ssl=tls,
        proxy_name=_read_name(model.value("proxyName")),
        proxy_port=model.number("proxyPort") or 0,
        redirect_port=model.redirect_port or 0,
        attributes=secrets.mask(_resolve_all(model)),
        unresolved=model.unresolved(),
        tls=_describe_tls_hosts(model, base) if tls else [],
    )


def _read_name(text: str) -> str:
    """A name as Tomcat has it: with its blanks, which make every address wrong; nothing but blanks is none."""
    return text if text.strip() else ""


def _describe_tls_hosts(model: connectors.ConnectorElement, base: str) -> list[TlsHost]:
    hosts = [
        TlsHost(
            line=certificate.line,
            form="sslhostconfig",
            hostname=host.host_name,
            keystore=server_xml.resolve_path(certificate.value("certificateKeystoreFile"), base),
            keystore_type=certificate.value("certificateKeystoreType"),
            alias=certificate.value("certificateKeyAlias"),
            certificate=server_xml.resolve_path(certificate.value("certificateFile"), base),
            key=server_xml.resolve_path(certificate.value("certificateKeyFile"), base),
            chain=server_xml.resolve_path(certificate.value("certificateChainFile"), base),
            missing="" if any(map(_STORE_ATTRIBUTE.match, certificate.attributes)) else _NO_STORE,
        )
        for host in server_xml.list_ssl_hosts(model)
        # Tomcat 8.5 also takes the certificate* attributes on SSLHostConfig itself.
        for certificate in (host.certificates or (host,))
    ]
    own = TlsHost(
        line=model.line,
        form="attributes",
        keystore=server_xml.resolve_path(model.value("keystoreFile"), base),
        keystore_type=model.value("keystoreType"),
        alias=model.value("keyAlias"),
        certificate=server_xml.resolve_path(model.value("SSLCertificateFile"), base),
        key=server_xml.resolve_path(model.value("SSLCertificateKeyFile"), base),
        chain=server_xml.resolve_path(model.value("SSLCertificateChainFile"), base),
    )
    return [own, *hosts] if own.keystore or own.certificate or not hosts else hosts


def read_properties_file(rootfs: RootFs, path: str) -> dict[str, str]:
    """A Java properties file, without blanks at the end of values: programs that read one cut them."""
    return {name: value.strip() for _line, name, value in property_sources.read_lines(rootfs.text(path) or "")}


def generated_by(rootfs: RootFs, text: str) -> str:
    """Evidence that a program writes the file anew, so that a change would be lost; "" for none."""
    # Up to the last end of one: without a search to the end of the file for each comment that is not closed.
    for comment in _COMMENT.findall(text[: text.rfind("-->") + 3]):
        found = _MANAGED.search(comment)
        if found:
            words = secrets.mask({"": " ".join(found.group().split())})[""]
            return f'a comment in the file says "{words}"'
    for template in _TEMPLATES:
        if rootfs.is_file(template):
            return f"{template}: the container renders the file when it starts"
    for path in _ENTRY_POINTS:
        script = rootfs.text(path, 256 * 1024) or ""
        if "server.xml" in script:
            return f"{path} writes the file when the container starts"
    return ""


def is_mount_point(rootfs: RootFs, path: str) -> bool:
    """Whether something is mounted on a file (proc(5), mountinfo: the fifth field, with octal escapes)."""
    fields = [line.split(" ") for line in (rootfs.text("/proc/self/mountinfo", _MOST_MOUNTS) or "").splitlines()]
    places = (
        re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), each[4]) for each in fields if each[5:]
    )
    return path in places


def tomcat_version(rootfs: RootFs, home: str) -> str:
    """The version of the Tomcat in a directory: of lib/catalina.jar, else of RELEASE-NOTES; "" when unknown."""
    jar = home + "/lib/catalina.jar"
    content = rootfs.data(jar, _MOST_JAR)
    if content is not None:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(_SERVER_INFO) as member:
                text = member.read(_MOST_INFO).decode("utf-8", "replace")
            found = re.search(r"server\.info=Apache Tomcat/(\S+)", text)
            if found:
                return found.group(1)
        except (OSError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as exc:
            rootfs.note(jar, f"the version of Tomcat cannot be read: {exc}")
    found = re.search(r"Apache Tomcat Version (\d\S*)", rootfs.text(home + "/RELEASE-NOTES") or "")
    return found.group(1) if found else ""
