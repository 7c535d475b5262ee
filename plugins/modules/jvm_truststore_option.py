#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: jvm_truststore_option
short_description: Name a trust store to Tomcat's JVM in bin/setenv.sh
version_added: 0.1.0
author:
  - collab.rtc authors (@collab-rtc)
description:
  - Adds C(-Djavax.net.ssl.trustStore) to E(CATALINA_OPTS) by one marked block at the end of Tomcat's C(bin/setenv.sh),
    or removes that block. Every other byte of the file stays as it was.
  - It refuses, and leaves the file untouched, when the script sets the option itself to another store, ends before its
    last line (C(exit), C(return)), or ends within a command.
  - It refuses a store of which the JVM would see nothing. Java reads a JKS store and a PKCS#12 store without a password
    as it is. Of a PKCS#12 store with a password it silently sees nothing, unless the script also sets
    C(-Djavax.net.ssl.trustStorePassword). This module never writes a password, because everyone on the host can read
    the command line of a process.
  - C(catalina.sh) reads the file when it starts. This module restarts nothing.
extends_documentation_fragment: [collab.rtc.attributes, collab.rtc.writing]
attributes:
  check_mode:
    support: full
    details: A trust store that does not exist yet is not looked into.
  diff_mode:
    support: full
    details: Shows the block alone, because other lines of the script may have secrets.
  idempotent:
    support: full
options:
  path:
    description: Path of the C(setenv.sh). It has to exist.
    type: path
    required: true
  truststore:
    description:
      - Absolute path of the trust store. It has to exist; M(collab.rtc.java_truststore) with
        O(collab.rtc.java_truststore#module:copy_from) makes it.
      - Needed with O(state=present).
    type: str
  instead_of:
    description:
      - The trust store that the JVM used until now, such as the C(cacerts) of the JRE. A warning tells when it has
        authorities that O(truststore) has not. It is passed over when it cannot be read without a password.
    type: path
  state:
    description: Whether the option is to be there.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: collab.rtc.java_truststore
"""

EXAMPLES = r"""
- name: Let Jira's Java use a trust store that no upgrade of Java replaces
  collab.rtc.jvm_truststore_option:
    path: /opt/atlassian/jira/bin/setenv.sh
    truststore: /var/atlassian/truststore
    instead_of: /opt/atlassian/jira/jre/lib/security/cacerts

- name: Use the trust store of the JRE again
  collab.rtc.jvm_truststore_option:
    path: /opt/atlassian/jira/bin/setenv.sh
    state: absent
"""

RETURN = r"""
option:
  description: The option, quoted for the shell; empty with O(state=absent).
  returned: success
  type: str
  sample: -Djavax.net.ssl.trustStore=/var/atlassian/truststore
backup_file:
  description: The copy of the file as it was.
  returned: changed and O(backup=true)
  type: str
"""

import contextlib
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _argspec, _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._java import setenv
from ansible_collections.collab.rtc.plugins.module_utils._java.options import read_setenv
from ansible_collections.collab.rtc.plugins.module_utils._keystore import reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import WrongPasswordError
from ansible_collections.collab.rtc.plugins.module_utils._undo import prune, records


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "truststore": {"type": "str"},
            "instead_of": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **_argspec.WRITING,
        },
        required_if=[("state", "present", ["truststore"])],
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except RtcError as exc:
        module.fail_json(msg=str(exc))
    prune.prune_after(module)
    module.exit_json(**result)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Read, decide, write; returns what the module returns."""
    path, store, present = module.params["path"], module.params["truststore"], module.params["state"] == "present"
    data = _files.read_bytes(path)
    old = data.decode("utf-8", "surrogateescape")  # any bytes survive, whatever the encoding
    new = setenv.with_store(old, store, path) if present else setenv.without_store(old, path)
    if present and not (module.check_mode and not os.path.exists(store)):
        check_truststore(module, store, old)
    result: dict[str, Any] = {"changed": new != old, "option": setenv.option(store) if present else ""}
    if module._diff:
        result["diff"] = {
            "before_header": path,
            "after_header": path,
            "before": setenv.block_of(old),
            "after": setenv.block_of(new),
        }
    if new != old and not module.check_mode:
        written = new.encode("utf-8", "surrogateescape")
        records.record(module.params["undo_dir"], path, written)
        if module.params["backup"]:
            result["backup_file"] = _files.backup(path)
        _files.write_atomic(path, written, expected=data)
    return result


def check_truststore(module: AnsibleModule, path: str, script: str) -> None:
    """Make sure that a JVM trusts something with this store.

    :raises RtcError: the store is missing, or the JVM would see nothing of it.
    """
    options = read_setenv(script, "", {}).properties
    try:
        store = reader.read_file(path, options.get("javax.net.ssl.trustStorePassword") or None)
    except WrongPasswordError as exc:
        raise RtcError(
            f"{path} is a PKCS#12 store with a password, of which Java sees nothing without "
            "-Djavax.net.ssl.trustStorePassword.",
            "Move it away: java_truststore with copy_from makes one that needs no password.",
        ) from exc
    if not store.trusted():
        raise RtcError(f"{path} has no certificate that is trusted.", "Fill it with java_truststore.")
    with contextlib.suppress(RtcError):
        before = reader.read_file(module.params["instead_of"], None) if module.params["instead_of"] else store
        lost = len(set(before.trusted()) - set(store.trusted()))
        if lost:
            module.warn(
                f"{lost} authorities of {module.params['instead_of']} are not in {path}: the JVM will not trust them "
                "any more."
            )


if __name__ == "__main__":
    main()
