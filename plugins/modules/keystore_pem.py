#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: keystore_pem
short_description: The private key and certificate chain of a Tomcat connector, as PEM files
version_added: 0.1.0
author:
  - collab.rtc authors (@collab-rtc)
description:
  - Finds in C(server.xml) which key a TLS connector uses, and writes the key and its chain as PEM files for another
    service on the same host, such as the RTC server when it ends TLS itself.
  - Understands the attributes of the connector (Tomcat up to 9.0) and C(SSLHostConfig) with C(Certificate) (from 8.5);
    JKS, JCEKS and PKCS#12 stores with an alias and a separate key password, PEM files, encrypted ones too, password
    files, and C(${...}) as described at O(properties).
  - Reads the stores itself, without a JVM. A store that only Java can read, such as JCEKS with a secret key, is
    converted by one run of C(keytool), and again only when the store has changed. Root does not run C(keytool) as root,
    but as a user id that nobody has, on a copy of the store in memory, with bounds on time, memory and output.
  - The pair is loaded as a TLS server would load it before it is written. Files are changed only when their content
    does.
  - The key file is readable by O(owner) alone. Keys and passwords are in no output, diff or command line.
options:
  server_xml:
    description: Path of Tomcat's C(server.xml).
    type: path
    required: true
  connector_port:
    description:
      - Port of the connector. Without it, the only one that ends TLS, or else the one that users' requests arrive at.
    type: int
  server_name:
    description:
      - The name that clients ask for; it chooses among several C(SSLHostConfig). Without it the default one is taken.
      - A warning is given when the certificate is not for this name.
    type: str
  alias:
    description: Alias of the key. Without it, the one that C(server.xml) names, or the store's only key.
    type: str
  properties:
    description:
      - For C(${...}) in the file, system properties of the application's JVM, and variables of its environment where
        Tomcat is told to use those. The file C(conf/catalina.properties), or the one that C(catalina.config) names,
        wins, as in Tomcat.
      - Where the connector names no key store, Tomcat takes C(.keystore) in the directory C(user.home).
    type: dict
    default: {}
  property_sources:
    description:
      - Where on this host the values of properties are that are secret, and so not in O(properties).
      - They win over all other values of these properties.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the property.
        type: str
        required: true
      file:
        description: Path of the file.
        type: path
        required: true
      line:
        description:
          - Line, counted from 1. In C(/proc/<pid>/cmdline) and C(environ), number of the argument or variable.
        type: int
        required: true
      before:
        description:
          - What the value is behind in this line, such as V(-Dkeystore.pass=). It ends where its quotation ends if this
            text has a quotation mark, else at a blank, quotation mark, semicolon or backslash.
          - Empty for a Java properties file.
        type: str
        default: ""
  jre_home:
    description:
      - Home directory of the JRE whose C(keytool) converts a store that only Java can read.
      - Beside root only the owner of the key store may be able to change this JRE, as whoever can would learn the key.
    type: path
  key_dest:
    description: Where the private key is written, not encrypted.
    type: path
    required: true
  chain_dest:
    description:
      - Where the certificate chain is written, the server's own certificate first.
      - When it is the same as O(key_dest), the file has the key first and then the chain.
    type: path
    required: true
  owner:
    description: User (name or id) who owns the key file and can read it. By default the user that the module runs as.
    type: str
  group:
    description: Group (name or id) of the files.
    type: str
extends_documentation_fragment:
  - collab.rtc.attributes
  - collab.rtc.writing
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Give the RTC server the key that Confluence uses
  collab.rtc.keystore_pem:
    server_xml: /opt/atlassian/confluence/conf/server.xml
    server_name: wiki.example.com
    key_dest: /etc/rtc-server/confluence/tls.key
    chain_dest: /etc/rtc-server/confluence/tls.crt
    owner: rtc-server
"""

RETURN = r"""
source:
  description: Where the key is.
  returned: success
  type: dict
  contains:
    line:
      description: Line of the element in C(server.xml) that names it.
      type: int
    form:
      description: V(connector) or V(SSLHostConfig).
      type: str
    host_name:
      description: C(hostName) of the C(SSLHostConfig).
      type: str
    path:
      description: The key store, or the file with the private key.
      type: str
    alias:
      description: Alias in the store; empty for PEM files.
      type: str
chain:
  description: The certificates, that of the server first.
  returned: success
  type: list
  elements: dict
  contains:
    subject:
      description: Whose certificate it is.
      type: str
    issuer:
      description: Who issued it.
      type: str
    not_after:
      description: End of its validity, ISO 8601 in UTC.
      type: str
    sha256:
      description: Fingerprint, lower-case hexadecimal.
      type: str
key_dest:
  description: The key file.
  returned: success
  type: str
chain_dest:
  description: The chain file.
  returned: success
  type: str
jvm_starts:
  description: How many JVMs the run started.
  returned: success
  type: int
backup_files:
  description: The copies of the files as they were.
  returned: changed and O(backup=true)
  type: list
  elements: str
"""

import grp
import hashlib
import os
import pwd
import re
import stat
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _argspec, _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._java.keytool import Keytool, find_keytool
from ansible_collections.collab.rtc.plugins.module_utils._keystore import private_key
from ansible_collections.collab.rtc.plugins.module_utils._quiet_module import QuietModule
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import (
    property_sources,
    secret_source,
    server_xml,
    tls_source,
)
from ansible_collections.collab.rtc.plugins.module_utils._undo import prune, records
from ansible_collections.collab.rtc.plugins.module_utils._x509 import server_certificate
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import Certificate, parse_pem

# First line of a chain that keytool converted: what it was made of, so that an unchanged store needs no JVM.
_STAMP = re.compile(r"\A# made of ([0-9a-f]{64})\n")


@dataclass
class OutputFile:
    """A file to be written."""

    path: str
    content: str
    secret: bool
    owner: int
    group: int

    @property
    def mode(self) -> int:
        return 0o600 if self.secret else 0o644

    def __post_init__(self) -> None:
        found = _files.read_state(self.path)
        self.old = found[0].decode("utf-8", "replace") if found else ""
        self.info = found[1] if found else None

    def wrong_access(self) -> bool:
        """Whether an existing file has another owner, group or mode than it must have."""
        return self.info is not None and (
            stat.S_IMODE(self.info.st_mode) != self.mode
            or (self.owner >= 0 and self.info.st_uid != self.owner)
            or (self.group >= 0 and self.info.st_gid != self.group)
        )

    @property
    def data(self) -> bytes:
        return self.content.encode("ascii")

    def write(self) -> None:
        """Write the file with its owner and mode, so that a key is never in a file that others can read."""
        _files.write_atomic(self.path, self.data, self.mode, self.owner, self.group, exact=True)


def main() -> None:
    """Run the module."""
    module = QuietModule(
        argument_spec=dict(
            _argspec.WRITING,
            server_xml={"type": "path", "required": True},
            connector_port={"type": "int"},
            server_name={"type": "str"},
            alias={"type": "str"},
            properties={"type": "dict", "default": {}},
            property_sources={
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "file": {"type": "path", "required": True},
                    "line": {"type": "int", "required": True},
                    "before": {"type": "str", "default": ""},
                },
            },
            jre_home={"type": "path"},
            key_dest={"type": "path", "required": True, "no_log": False},  # a path, not a key
            chain_dest={"type": "path", "required": True},
            owner={"type": "str"},
            group={"type": "str"},
        ),
        supports_check_mode=True,
        hidden=("properties",),  # any may be what a password refers to
    )
    try:
        result = _run(module, module.given)
    except RtcError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename}: {exc.strerror}. Run with become.")
    prune.prune_after(module)
    module.exit_json(**result)


def _run(module: AnsibleModule, options: dict[str, Any]) -> dict[str, Any]:
    source = _find_source(options)
    owner, group = (
        _look_up_id(options["owner"], pwd.getpwnam, "user"),
        _look_up_id(options["group"], grp.getgrnam, "group"),
    )
    keytool: Keytool | None = None
    try:
        material, stamp = private_key.read_key_material(source), ""
    except private_key.NeedsJavaError:
        stamp = _hash_source(source)
        known = _find_converted(stamp, source, options)
        if known is None:
            keytool = Keytool(find_keytool(options["jre_home"]))
        material = known or private_key.read_key_material(source, keytool)
    targets = _make_files(material, f"# made of {stamp}\n" if stamp else "", options, owner, group)
    changing = [one for one in targets if one.old != one.content or one.wrong_access()]
    _warn(module, material, options["server_name"])
    result: dict[str, Any] = {
        "changed": bool(changing),
        "source": {
            "line": source.line,
            "form": source.form,
            "host_name": source.host_name,
            "path": source.store or source.key,
            "alias": material.alias,
        },
        "chain": [_describe(one) for one in material.chain],
        "key_dest": options["key_dest"],
        "chain_dest": options["chain_dest"],
        "jvm_starts": keytool.starts if keytool else 0,
    }
    if module._diff:
        result["diff"] = [_make_diff(one) for one in changing]
    if changing and not module.check_mode:
        _record(changing, options["undo_dir"])
        backups = [_replace(one, options) for one in changing]
        if options["backup"]:
            result["backup_files"] = [path for path in backups if path]
    return result


def _find_source(options: dict[str, Any]) -> tls_source.KeySource:
    path = options["server_xml"]
    base = os.path.dirname(os.path.dirname(os.path.abspath(path)))
    content = _files.read_bytes(path)
    properties = property_sources.read_on_host(path, _to_texts(options["properties"]), content)
    for source in options["property_sources"]:
        properties[source["name"]] = secret_source.read_secret(**source)
    model = server_xml.parse(content, path, properties)
    return tls_source.find(
        model,
        options["connector_port"],
        options["server_name"] or "",
        properties.get("catalina.base", base),
        options["alias"] or "",
    )


def _to_texts(properties: dict[str, Any]) -> dict[str, str]:
    return {str(name): "" if value is None else str(value) for name, value in properties.items()}


def _look_up_id(name: str | None, look_up: Any, what: str) -> int:
    """The number of a user or group; -1 for none."""
    if not name:
        return -1
    if name.isdigit():
        return int(name)
    try:
        return int(look_up(name)[2])
    except KeyError as exc:
        raise RtcError(f"There is no {what} {name} on this host.", "Create it first, or give another.") from exc


def _hash_source(source: tls_source.KeySource) -> str:
    return hashlib.sha256(_files.read_bytes(source.store) + b"\0" + source.alias.encode("utf-8")).hexdigest()


def _find_converted(
    stamp: str, source: tls_source.KeySource, options: dict[str, Any]
) -> private_key.KeyMaterial | None:
    """What the files have, when they were made of just this store and are still a pair; else ``None``."""
    paths = (options["chain_dest"], options["key_dest"])
    chain, key = ((_files.read_existing(path) or b"").decode("utf-8", "replace") for path in paths)
    found = _STAMP.match(chain)
    if found is None or found.group(1) != stamp:
        return None
    try:
        certificates = tuple(parse_pem(chain, options["chain_dest"]))
        material = private_key.KeyMaterial(
            private_key.decrypt_pem_key(key, "", options["key_dest"]), certificates, source.alias
        )
        private_key.check_pair(material, options["key_dest"])
    except RtcError:
        return None
    return material


def _make_files(
    material: private_key.KeyMaterial, stamp: str, options: dict[str, Any], owner: int, group: int
) -> list[OutputFile]:
    """The files, the chain first: a service that starts in between had better lack the key than have a wrong one."""
    chain = stamp + material.chain_pem()
    if options["chain_dest"] == options["key_dest"]:
        return [OutputFile(options["key_dest"], stamp + material.key + material.chain_pem(), True, owner, group)]
    return [
        OutputFile(options["chain_dest"], chain, False, owner, group),
        OutputFile(options["key_dest"], material.key, True, owner, group),
    ]


def _record(changing: list[OutputFile], undo_dir: str | None) -> None:
    """Save what the files are, unless a run of this collection made them all.

    Then they are copies of what is in the key store, which no run changes: undoing has no use for an older pair, and an
    old private key had better not lie about.
    """
    entries = prune.read_entries(undo_dir)
    if all(prune.was_made(entries, os.path.realpath(one.path)) for one in changing):
        return
    for one in changing:
        records.record(undo_dir, one.path, one.data)


def _replace(target: OutputFile, options: dict[str, Any]) -> str:
    kept = _files.backup(target.path) if options["backup"] and target.info is not None else ""
    target.write()
    return kept


def _warn(module: AnsibleModule, material: private_key.KeyMaterial, server_name: str | None) -> None:
    for text in dict.fromkeys(text for one in material.chain for text in server_certificate.problems(one)):
        module.warn(text)
    if server_name and not server_certificate.match_name(material.chain[0], server_name):
        module.warn(f"The certificate '{material.chain[0].subject}' is not for {server_name}: browsers will refuse it.")


def _describe(certificate: Certificate) -> dict[str, str]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "not_after": certificate.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sha256": certificate.fingerprint,
    }


def _make_diff(target: OutputFile) -> dict[str, str]:
    """Certificates by their names; of the key only which public key it belongs to."""
    before, after = _summarise(target.old, target), _summarise(target.content, target)
    if target.info is not None and target.wrong_access():
        before = f"mode: {stat.S_IMODE(target.info.st_mode):04o}\n{before}"
        after = f"mode: {target.mode:04o}\n{after}"
    return {"before_header": target.path, "after_header": target.path, "before": before, "after": after}


def _summarise(text: str, target: OutputFile) -> str:
    lines = []
    if "PRIVATE KEY-----" in text:
        # A digest of a random key reveals nothing of it, but whether it is another one.
        found = re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END", text, re.DOTALL)
        lines.append(
            "private key: " + hashlib.sha256((found.group(0) if found else text).encode("utf-8")).hexdigest()[:16]
        )
    if "BEGIN CERTIFICATE" in text:
        try:
            for one in parse_pem(text, target.path):
                shown = _describe(one)
                lines.append(f"certificate: {shown['subject']}, until {shown['not_after']}, sha256 {shown['sha256']}")
        except RtcError as exc:
            lines.append(exc.message)
    return "".join(line + "\n" for line in lines)


if __name__ == "__main__":
    main()
