#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: java_truststore
short_description: Certificates that a Java application trusts
version_added: 0.1.0
author:
  - collab.rtc authors (@collab-rtc)
description:
  - Makes a set of certificates present in, or absent from, the trust store of a JRE or a trust store of its own.
  - Reads and writes JKS, JCEKS and PKCS#12 stores itself, those without a password too. It starts no JVM, so that it
    does not matter who may write the JRE that the store belongs to. A PKCS#12 store stays encrypted as it was.
  - Of a chain it trusts the certificate that will still be right after the next renewal, see O(trust).
  - A certificate that is there under another alias is not added again.
  - The store is replaced as a whole. Whenever the run is interrupted, the old or the new store is there. A symbolic
    link is followed and stays a link; owner, mode, ACL and SELinux context stay.
  - A store that the system generates (C(update-ca-trust), or C(update-ca-certificates) beside Debian's) is not written.
    The certificates become the system's anchors, each C(collab-rtc-<16 digits>.crt), and its command is run.
  - The password is on no command line and in no output.
options:
  path:
    description:
      - The trust store. Without it, the one that the JRE of O(jre_home) uses, C(jssecacerts) before C(cacerts).
      - When the application's JVM has the option C(-Djavax.net.ssl.trustStore), give the path that it names. Java does
        not read C(cacerts) then.
    type: path
  jre_home:
    description:
      - Home of the JRE that the application runs on (its C(java.home)). Its trust store is meant unless O(path) is set.
    type: path
  password:
    description:
      - Password of the store. A store without a password opens with any.
    type: str
    default: changeit
  certificates:
    description:
      - The certificates. Each item has exactly one of O(certificates[].pem), O(certificates[].src) and
        O(certificates[].host), except that with O(state=absent) an alias or a fingerprint is enough.
    type: list
    elements: dict
    required: true
    suboptions:
      pem:
        description: One or more certificates as PEM text, such as a whole chain. Keys and comments in it are skipped.
        type: str
      src:
        description: A file on the managed host with certificates, PEM, DER or PKCS#7 (C(.p7b)).
        type: path
      host:
        description:
          - A server to fetch the chain from, as this host reaches it. Nothing is verified, so give
            O(certificates[].sha256) where the network between is not yours.
        type: str
      port:
        description: The TLS port of O(certificates[].host).
        type: int
      server_name:
        description: The name to ask for (SNI); O(certificates[].host) when not given.
        type: str
      alias:
        description:
          - Alias of the entry. When there are several certificates to trust, all but the first get part of their
            fingerprint appended. Default C(rtc-<common name>-<16 digits of the SHA-256>).
          - Another certificate under this alias is replaced.
        type: str
      sha256:
        description:
          - SHA-256 fingerprint, with or without colons.
          - With O(state=present) one of the certificates must have it, or nothing is changed. With O(state=absent) the
            certificate to remove.
        type: str
  state:
    description:
      - Whether the certificates are to be trusted.
    type: str
    choices: [present, absent]
    default: present
  trust:
    description:
      - Which certificates of a chain are meant.
      - V(issuer) is the root, or else the highest CA there is; a server's own certificate only when it is self-signed.
        When the store has the issuer already, there is nothing to do. A server certificate whose issuer is not there is
        refused, as it would be trusted until its next renewal only.
      - V(all) is every CA of the chain, or the certificate itself when it is self-signed.
      - V(exact) is every certificate as it is given.
    type: str
    choices: [issuer, all, exact]
    default: issuer
  copy_from:
    description:
      - When O(path) does not exist, make it with the trusted certificates of this store, such as the C(cacerts) of the
        JRE.
      - Together with the option C(-Djavax.net.ssl.trustStore) of the application's JVM this keeps what was imported
        when an upgrade replaces the JRE.
      - The new store is a JKS store, or PKCS#12 without a password where this one is. Java opens both as they are; of a
        PKCS#12 store with a password it sees nothing unless the JVM also has C(-Djavax.net.ssl.trustStorePassword).
      - M(collab.rtc.jvm_truststore_option) adds that option.
    type: path
    aliases: [seed_from]
  copy_process:
    description:
      - The process in whose container O(copy_from) is, by C(pid) and C(started) as M(collab.rtc.topology_info) has
        them. The directory of O(path) is made where it is missing.
    type: dict
  copy_password:
    description:
      - Password of O(copy_from). By default V(changeit), or none where that does not open it, as Java reads it.
    type: str
    aliases: [seed_password]
  timeout:
    description: Seconds for each step of fetching from a server.
    type: float
    default: 10
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
notes:
  - A store made with O(copy_from) is the administrator's from then on. Certificates that a later JRE brings are not
    added.
  - A running JVM reads its trust store once. It must be restarted to trust what was added.
"""

EXAMPLES = r"""
- name: Trust the company's CA in the JRE that Confluence runs on
  collab.rtc.java_truststore:
    jre_home: /opt/atlassian/confluence/jre
    certificates:
      - src: /etc/pki/company/ca-chain.pem

- name: Trust whoever issued the certificate of the proxy
  collab.rtc.java_truststore:
    jre_home: /opt/atlassian/jira/jre
    certificates:
      - host: jira.example.com
        port: 9093

- name: Keep a trust store that no upgrade replaces
  collab.rtc.java_truststore:
    path: /var/atlassian/truststore
    copy_from: /opt/atlassian/jira/jre/lib/security/cacerts
    jre_home: /opt/atlassian/jira/jre
    certificates:
      - pem: "{{ lookup('ansible.builtin.file', 'ca.pem') }}"
        alias: company-ca

- name: Trust the old CA no longer
  collab.rtc.java_truststore:
    jre_home: /opt/atlassian/jira/jre
    state: absent
    certificates:
      - alias: company-ca-2016
      - sha256: 3a:5f:...
"""

RETURN = r"""
store:
  description: The trust store.
  returned: success
  type: dict
  contains:
    path:
      description: As it was named or found.
      type: str
    real_path:
      description: With symbolic links followed.
      type: str
    type:
      description: V(jks), V(jceks) or V(pkcs12).
      type: str
    entries:
      description: Number of entries, after the run.
      type: int
added:
  description: What was added (or would be, in check mode).
  returned: success
  type: list
  elements: dict
  contains: &certificate
    alias:
      description: Alias of the entry.
      type: str
    subject:
      description: Whose certificate it is.
      type: str
    issuer:
      description: Who issued it.
      type: str
    not_before:
      description: Begin of its validity, ISO 8601 in UTC.
      type: str
    not_after:
      description: End of its validity, ISO 8601 in UTC.
      type: str
    sha256:
      description: Fingerprint, lower-case hexadecimal.
      type: str
    kind:
      description: V(root), V(intermediate) or V(leaf).
      type: str
removed:
  description: What was removed, or replaced under its alias.
  returned: success
  type: list
  elements: dict
  contains: *certificate
present:
  description: What was asked for and is there already, with the alias that it has.
  returned: success
  type: list
  elements: dict
  contains: *certificate
jvm_starts:
  description: How many JVMs the run started, which is always V(0).
  returned: success
  type: int
backup_file:
  description: The copy of the store as it was.
  returned: changed and O(backup=true)
  type: str
"""

import os
import re
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _argspec, _files, _process_files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._files_tree import make_directory
from ansible_collections.collab.rtc.plugins.module_utils._keystore import anchors, editor, generated, reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import KeyStore, KeyStoreError
from ansible_collections.collab.rtc.plugins.module_utils._quiet_module import QuietModule
from ansible_collections.collab.rtc.plugins.module_utils._undo import prune, records
from ansible_collections.collab.rtc.plugins.module_utils._x509 import served_chain, server_certificate
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import (
    Certificate,
    parse_certificates,
    parse_pem,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509.chain import POLICIES, NoAnchorError, trust_anchors

# Members of a certificate that is returned.
_FIELDS = ("alias", "subject", "issuer", "not_before", "not_after", "sha256", "kind")


class Run:
    """One run of the module: read, decide, write."""

    def __init__(self, module: QuietModule) -> None:
        self.module = module
        self.options: dict[str, Any] = module.params
        self.path: str = self.options["path"] or reader.locate(self.options["jre_home"])
        self.real_path = os.path.realpath(self.path)
        self.source = anchors.find_source(self.real_path)
        self.backup_file = ""

    def __call__(self) -> dict[str, Any]:
        """Do it; returns what the module returns."""
        new_file = not os.path.exists(self.real_path)
        data, store = self._read(new_file)
        given = [(item, self._read_certificates(item)) for item in self.options["certificates"]]
        changes = self._plan_changes(store, given)
        self._warn(changes, given)
        if (changes or new_file) and not self.module.check_mode:
            self._write(data, store, changes, new_file)
        return self._make_result(store, changes, new_file)

    def _read(self, new_file: bool) -> tuple[bytes, KeyStore]:
        path, password = self.path, self.options["password"]
        if new_file:
            path, password = self.options["copy_from"], self.options["copy_password"]
            if not path or self.options["state"] == "absent":
                remedy = "Check the path; or give copy_from to make it from another trust store."
                raise reader.KeyStoreMissingError(f"{self.path} does not exist.", remedy)
        if new_file and self.options["copy_process"]:
            data = _process_files.read_bytes(self.options["copy_process"], path, reader.MAX_SIZE)
        else:
            data = _files.read_bytes(path, reader.MAX_SIZE)
        if password is None:  # of what is copied
            password = reader.choose_password(data, path)
        return data, reader.read(data, password, path)

    def _read_certificates(self, item: dict[str, Any]) -> list[Certificate]:
        """What an item of the option gives: certificates in the order in which they were found."""
        if item["pem"]:
            return parse_pem(item["pem"], "certificates[].pem")
        if item["src"]:
            return parse_certificates(_files.read_bytes(item["src"]), item["src"])
        if item["host"]:
            return served_chain.fetch_chain(item["host"], item["port"], item["server_name"], self.options["timeout"])
        return []

    def _plan_changes(self, store: KeyStore, given: list[Any]) -> editor.Changes:
        if self.options["state"] == "absent":
            return self._plan_absent(store, given)
        # Chains are completed from the store and from the CAs of the other items, whatever the order of the items.
        known = [*editor.trusted_certificates(store), *(one for one in _flatten(given) if one.is_ca)]
        wanted = []
        for item, chain in given:
            _check_pin(item, chain)
            anchors = trust_anchors(chain, known, self.options["trust"], _name_source(item))
            for number, anchor in enumerate(anchors):
                suffix = f"-{anchor.certificate.fingerprint[:16]}" if number else ""
                wanted.append((anchor.certificate, item["alias"] + suffix if item["alias"] else ""))
        changes = editor.plan_present(store, wanted)
        return generated.adjust(self.source, store, changes) if self.source else changes

    def _plan_absent(self, store: KeyStore, given: list[Any]) -> editor.Changes:
        aliases, fingerprints = [], []
        for item, chain in given:
            if chain:
                # Not completed from the store: removing a chain must not remove a public root that it happens to end
                # in.
                try:
                    anchors = trust_anchors(chain, [one for one in _flatten(given) if one.is_ca], self.options["trust"])
                except NoAnchorError:
                    anchors = trust_anchors(chain, (), "exact")
                fingerprints += [anchor.certificate.fingerprint for anchor in anchors]
            elif item["alias"] or item["sha256"]:
                aliases += [item["alias"]] if item["alias"] else []
                fingerprints += [_normalise_fingerprint(item["sha256"])] if item["sha256"] else []
            else:
                what = "An item of certificates names no certificate."
                raise RtcError(what, "Each needs pem, src, host, alias or sha256.")
        changes = editor.plan_absent(store, aliases, fingerprints)
        return generated.adjust(self.source, store, changes, fingerprints) if self.source else changes

    def _warn(self, changes: editor.Changes, given: list[Any]) -> None:
        if self.options["state"] == "absent":
            return
        certificates = [*changes.added.values(), *changes.present.values(), *_flatten(given)]
        for text in dict.fromkeys(text for one in certificates for text in server_certificate.problems(one)):
            self.module.warn(text)

    def _write(self, data: bytes, store: KeyStore, changes: editor.Changes, new_file: bool) -> None:
        password = self.options["password"]
        if self.source and not new_file:
            generated.apply(self.source, self.path, changes, self.options["undo_dir"], password)
            return
        new = data
        if new_file:
            new = editor.copy_trusted(data, store, password)
            store = reader.read(new, password, self.path)
        if changes:
            new = editor.apply_changes(new, store, changes, password, self.path)
        if not new_file and _files.read_bytes(self.path) != data:
            raise KeyStoreError(f"{self.path} was changed by something else during the run.", "Run again.")
        records.record(self.options["undo_dir"], self.path, new)
        if self.options["backup"] and not new_file:
            self.backup_file = _files.backup(self.path)
        if new_file and self.options["copy_process"]:
            make_directory(os.path.dirname(self.path))
        _files.write_atomic(self.path, new, expected=None if new_file else data)

    def _make_result(self, store: KeyStore, changes: editor.Changes, new_file: bool) -> dict[str, Any]:
        trusted = sum(1 for entry in store.entries.values() if entry.kind == "trusted" or not new_file)
        result: dict[str, Any] = {
            "changed": bool(changes) or new_file,
            "store": {
                "path": self.path,
                "real_path": self.real_path,
                "type": "jks" if new_file and (store.protected or store.encrypted) else store.type,
                "entries": trusted - len(changes.removed) + len(changes.added),
            },
            "added": [_describe(alias, one) for alias, one in changes.added.items()],
            "removed": [_describe(alias, one) for alias, one in changes.removed.items()],
            "present": [_describe(alias, one) for alias, one in changes.present.items()],
            "jvm_starts": 0,
        }
        if self.backup_file:
            result["backup_file"] = self.backup_file
        if self.module._diff:
            origin = self.options["copy_from"]
            copied = f"(a new trust store with the {trusted} certificates of {origin})\n" if new_file else ""
            result["diff"] = {
                "before_header": self.path,
                "after_header": self.path,
                "before": _format_listing(result["removed"]),
                "after": copied + _format_listing(result["added"]),
            }
        return result


def _flatten(given: list[Any]) -> list[Certificate]:
    return [one for _item, chain in given for one in chain]


def _check_pin(item: dict[str, Any], chain: list[Certificate]) -> None:
    if not chain:
        raise RtcError(
            "An item of certificates names no certificate.", "With state=present each needs one of pem, src and host."
        )
    if item["sha256"] and _normalise_fingerprint(item["sha256"]) not in [one.fingerprint for one in chain]:
        raise RtcError(
            f"{_name_source(item)}: none of its certificates has the SHA-256 fingerprint "
            f"{_normalise_fingerprint(item['sha256'])}.",
            "Find out which certificate is right before trusting it.",
        )


def _normalise_fingerprint(fingerprint: str) -> str:
    plain = fingerprint.replace(":", "").replace(" ", "").lower()
    if not re.match(r"[0-9a-f]{64}\Z", plain):
        raise RtcError(
            f"'{fingerprint}' is not a SHA-256 fingerprint.", "It has 64 hexadecimal digits, with or without colons."
        )
    return plain


def _name_source(item: dict[str, Any]) -> str:
    return item["src"] or (f"The chain of {item['host']}:{item['port']}" if item["host"] else "certificates[].pem")


def _describe(alias: str, certificate: Certificate | None) -> dict[str, str]:
    if certificate is None:
        return dict(dict.fromkeys(_FIELDS, ""), alias=alias, subject="(cannot be parsed)")
    return {
        "alias": alias,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "not_before": certificate.not_before.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": certificate.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sha256": certificate.fingerprint,
        "kind": certificate.kind,
    }


def _format_listing(items: list[dict[str, str]]) -> str:
    return "".join(
        f"{one['alias']}\n  subject: {one['subject']}\n  issuer: {one['issuer']}\n"
        f"  valid: {one['not_before']} to {one['not_after']}\n  sha256: {one['sha256']}\n"
        for one in items
    )


def main() -> None:
    """Run the module."""
    item = {
        "pem": {"type": "str", "no_log": True},  # a pasted file may have the private key beside its certificate
        "src": {"type": "path"},
        "host": {"type": "str"},
        "port": {"type": "int"},
        "server_name": {"type": "str"},
        "alias": {"type": "str"},
        "sha256": {"type": "str"},
    }
    module = QuietModule(
        argument_spec=dict(
            _argspec.WRITING,
            path={"type": "path"},
            jre_home={"type": "path"},
            password={"type": "str", "default": reader.DEFAULT_PASSWORD, "no_log": True},
            certificates={
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": item,
                "mutually_exclusive": [("pem", "src", "host")],
                "required_one_of": [("pem", "src", "host", "alias", "sha256")],
                "required_by": {"host": ("port",), "port": ("host",), "server_name": ("host",)},
            },
            state={"type": "str", "choices": ["present", "absent"], "default": "present"},
            trust={"type": "str", "choices": list(POLICIES), "default": "issuer"},
            copy_from={"type": "path", "aliases": ["seed_from"]},
            copy_process={"type": "dict"},
            copy_password={
                "type": "str",
                "no_log": True,
                "aliases": ["seed_password"],
            },
            timeout={"type": "float", "default": 10},
        ),
        required_one_of=[("path", "jre_home")],
        supports_check_mode=True,
    )
    try:
        result = Run(module)()
    except OSError as exc:  # looked at while somebody else exchanges it
        module.fail_json(msg=f"{exc.filename}: {exc.strerror}. Run with become, or look who changes it.")
    except RtcError as exc:
        module.fail_json(msg=str(exc))
    prune.prune_after(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
