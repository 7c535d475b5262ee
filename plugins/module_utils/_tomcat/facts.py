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
from ansible_collections.collab.rtc.plugins.module_utils._facts import Connector, ServerXml, TlsHost
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._java import secrets
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import server_xml

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_MANAGED = re.compile(
    r"(?:managed|generated|controlled|written|rendered|maintained)\s+(?:\w+\s+){0,3}by\s+[^\n]{2,60}"
    r"|ansible managed|\b(?:puppet|chef|saltstack|cfengine)\b|do not edit|will be overwritten",
    re.IGNORECASE,
)
# What the images of the products have: templates that an entry point renders over the file when the container starts.
_TEMPLATES = ("/opt/atlassian/etc/server.xml.j2", "/opt/atlassian/support/server.xml.j2")
_ENTRY_POINTS = ("/entrypoint.py", "/entrypoint.sh", "/docker-entrypoint.sh", "/usr/local/bin/docker-entrypoint.sh")
_ENVIRONMENT_SOURCE = "org.apache.tomcat.util.digester.EnvironmentPropertySource"
_MOST_JAR, _MOST_INFO = 32 * 1024 * 1024, 64 * 1024  # bytes read of the jar, and of this file in it
_SERVER_INFO = "org/apache/catalina/util/ServerInfo.properties"


def describe(
    rootfs: RootFs, base: str, kind: str, properties: dict[str, str], environment: dict[str, str] | None = None
) -> ServerXml:
    """The facts of ``conf/server.xml``; a file that cannot be read or parsed has its reason in ``error``.

    :param base: the CATALINA_BASE.
    :param properties: of the JVM, unmasked.
    :param environment: of the process; used where Tomcat is configured to take values from it.
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
    try:
        model = server_xml.parse(content, path, known_properties(rootfs, base, properties, environment or {}))
    except RtcError as exc:
        facts.error = str(exc)
        return facts
    context = model.application_context(kind)
    if context is not None:
        facts.context_path = context.path.rstrip("/")
        facts.context_line = context.line
    if model.remote_ip_valves:
        facts.remote_ip_valve = model.remote_ip_valves[0].resolved()
    facts.shutdown_port = model.shutdown_port or 0
    facts.connectors = [_describe_connector(item, base) for item in model.connectors]
    _choose(facts, model, kind)
    return facts


def _choose(facts: ServerXml, model: server_xml.ServerXmlModel, kind: str) -> None:
    try:
        chosen, reason = server_xml.choose_connector(model, kind=kind)
    except RtcError as exc:
        for item in facts.connectors:
            item.reason = str(exc)
        return
    for item, connector in zip(facts.connectors, model.connectors):
        item.user = connector is chosen
        item.reason = reason if item.user else f"users arrive at the connector in line {chosen.line}: {reason}"


def _describe_connector(model: server_xml.ConnectorElement, base: str) -> Connector:
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
        proxy_name=model.value("proxyName").strip(),
        proxy_port=model.number("proxyPort") or 0,
        redirect_port=model.number("redirectPort") or 0,
        attributes=secrets.mask(model.resolved()),
        unresolved=model.unresolved(),
        tls=_describe_tls_hosts(model, base) if tls else [],
    )


def _describe_tls_hosts(model: server_xml.ConnectorElement, base: str) -> list[TlsHost]:
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
        )
        for host in model.ssl_hosts
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


def known_properties(
    rootfs: RootFs, base: str, properties: dict[str, str], environment: dict[str, str]
) -> dict[str, str]:
    """What ``${...}`` in server.xml may name: properties of the JVM, then catalina.properties, which wins."""
    own = _parse_properties(rootfs.text(base + "/conf/catalina.properties") or "")
    known = {"catalina.base": base, "catalina.home": base, **properties, **own}
    source = known.get("org.apache.tomcat.util.digester.PROPERTY_SOURCE", "")
    return {**environment, **known} if _ENVIRONMENT_SOURCE in source else known


def _parse_properties(text: str) -> dict[str, str]:
    found = {}
    for line in re.sub(r"\\\r?\n[ \t]*", "", text).splitlines():
        match = re.match(r"\s*([^#!\s=:][^\s=:]*)\s*[=:\s]\s*(.*)", line)
        if match:
            found[match.group(1)] = match.group(2).strip()
    return found


def read_properties_file(rootfs: RootFs, path: str) -> dict[str, str]:
    """A Java properties file; escapes other than continued lines are left as they are."""
    return _parse_properties(rootfs.text(path) or "")


def generated_by(rootfs: RootFs, text: str) -> str:
    """Evidence that a program writes the file anew, so that a change would be lost; "" for none."""
    # Up to the last end of one: without a search to the end of the file for each comment that is not closed.
    for comment in _COMMENT.findall(text[: text.rfind("-->") + 3]):
        found = _MANAGED.search(comment)
        if found:
            words = " ".join(found.group().split())
            return f'a comment in the file says "{words}"'
    for template in _TEMPLATES:
        if rootfs.is_file(template):
            return f"{template}: the container renders the file when it starts"
    for path in _ENTRY_POINTS:
        script = rootfs.text(path, 256 * 1024) or ""
        if "server.xml" in script:
            return f"{path} writes the file when the container starts"
    return ""


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
