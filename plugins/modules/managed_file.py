#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: managed_file
short_description: Write small files as a whole, with an undo record
version_added: 0.1.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Writes several small files in one remote call, such as a certificate and its key, from text or from files of the
    controller.
  - Unlike M(ansible.builtin.copy) it records what was there in the undo record of the run, and shows no secret in a
    diff.
extends_documentation_fragment: [collab.rtc.attributes, collab.rtc.writing]
attributes:
  check_mode: {support: full}
  diff_mode:
    support: full
    details: The content of a file that others may not read (mode 0600 or 0400) is not shown.
  idempotent: {support: full}
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where the file is on the managed host. Missing directories are made with mode 0755.
        type: path
        required: true
        aliases: [dest]
      content:
        description: The text of the file. Exactly one of this, O(files[].src) and O(files[].variable) is needed.
        type: str
      src:
        description: A file of the controller that has the text; it may be vaulted.
        type: str
      variable:
        description: A variable of the host O(files[].from) that has the text.
        type: str
      from:
        description: The inventory name of the host whose O(files[].variable) is meant.
        type: str
      kind:
        description:
          - The application, V(confluence) or V(jira), whose value is taken where O(files[].variable) has one for each.
        type: str
      holds:
        description:
          - What the text has to hold. Nothing is written where it does not, or where a certificate and a private key
            for one directory do not belong together, so that good files are never replaced by bad ones.
        type: str
        choices: [anything, certificate, authority, private_key]
        default: anything
      mode:
        description: Permission bits of the file, such as V("0600").
        type: str
        default: "0644"
"""

EXAMPLES = r"""
- name: Install the certificate of the proxy
  collab.rtc.managed_file:
    files:
      - {path: /etc/rtc-proxy/wiki.example.com/fullchain.pem, src: files/wiki.fullchain.pem}
      - {path: /etc/rtc-proxy/wiki.example.com/privkey.pem, src: files/wiki.key.pem, mode: "0600"}
"""

RETURN = r"""
paths:
  description: The files that were written, or would be.
  returned: success
  type: list
  elements: str
"""

import os
import re
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._argspec import WRITING
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._quiet_module import QuietModule
from ansible_collections.collab.rtc.plugins.module_utils._undo import prune, records
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate, pair

KEY = re.compile(r"^-----BEGIN (\w+ )?PRIVATE KEY-----\s[\s\S]+^-----END (\w+ )?PRIVATE KEY-----", re.MULTILINE)


def check_all(items: list[dict[str, Any]]) -> None:
    """Look into certificates and keys before any file is written.

    :raises RtcError: one is something else, or a certificate and a key of one directory do not belong together.
    """
    keys = {os.path.dirname(item["path"]): item for item in items if item["holds"] == "private_key"}
    for item in items:
        text, path = item["content"], item["path"]
        if item["holds"] in ("certificate", "authority"):
            certificate.parse_pem(text, f"The text for {path}")
            key = keys.get(os.path.dirname(path)) if item["holds"] == "certificate" else None
            fault = key and KEY.search(key["content"]) and pair.find_fault(text.encode(), key["content"].encode(), True)
            if key and fault:  # whether a key is too weak is for the proxy to say
                words = "do not belong together" if fault == pair.MISMATCH else f"cannot be used: OpenSSL says {fault}"
                raise RtcError(f"The texts for {path} and {key['path']} {words}.", "Nothing was written.")
        elif item["holds"] == "private_key" and not KEY.search(text):
            raise RtcError(f"The text for {path} is no private key in PEM form.", "Give it without a pass phrase.")


def differs(item: dict[str, Any]) -> bool:
    """Whether a file is not yet what it is to be, its mode included."""
    old = _files.read_state(item["path"])
    return old is None or old[0] != item["content"].encode() or old[1].st_mode & 0o7777 != int(item["mode"], 8)


def make_diff(item: dict[str, Any]) -> dict[str, str]:
    """The diff of one file: certificates by what they say, secrets not at all."""
    found = _files.read_state(item["path"])
    old = found[0].decode(errors="replace") if found else ""
    # What others could not read until now is not shown either.
    if int(item["mode"], 8) & 0o077 == 0 or (found and found[1].st_mode & 0o077 == 0):
        before, after = ("(old content, not shown)\n" if old else ""), "(new content, not shown)\n"
    else:
        before, after = summarize(old), summarize(item["content"])
    return {"before_header": item["path"], "after_header": item["path"], "before": before, "after": after}


def summarize(text: str) -> str:
    """A PEM file as a list of its certificates; any other text as it is."""
    try:
        found = certificate.parse_pem(text, "") if "-----BEGIN CERTIFICATE-----" in text else []
    except RtcError:
        found = []
    return "".join(map(describe, found)) or text


def describe(one: certificate.Certificate) -> str:
    """A certificate in four lines."""
    return (
        f"{one.kind}: {one.subject}\n  issuer: {one.issuer}\n"
        f"  valid until: {one.not_after:%Y-%m-%d}\n  sha256: {one.fingerprint}\n"
    )


def write(item: dict[str, Any], backup: bool, undo_dir: str | None) -> None:
    """Record, then write one file."""
    path = item["path"]
    content = item["content"].encode()
    records.record(undo_dir, path, content)
    if backup and _files.look(path) is not None:
        _files.backup(path)
    _files_tree.make_directory(os.path.dirname(path))
    _files.write_atomic(path, content, mode=int(item["mode"], 8), exact=True)


def main() -> None:
    """Entry point."""
    file_spec = {
        "path": {"type": "path", "required": True, "aliases": ["dest"]},
        "content": {"type": "str", "no_log": True},  # keys among them; the diff shows what may be shown
        "src": {"type": "str"},
        "variable": {"type": "str"},
        "from": {"type": "str"},
        "kind": {"type": "str"},
        "holds": {
            "type": "str",
            "choices": ["anything", "certificate", "authority", "private_key"],
            "default": "anything",
        },
        "mode": {"type": "str", "default": "0644"},
    }
    module = QuietModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": file_spec},
            **WRITING,
        },
        supports_check_mode=True,
    )
    try:
        check_all(module.params["files"])
        changes = [item for item in module.params["files"] if differs(item)]
        diff = [make_diff(item) for item in changes]
        if not module.check_mode:
            for item in changes:
                write(item, module.params["backup"], module.params["undo_dir"])
    except (RtcError, OSError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    prune.prune_after(module)
    module.exit_json(changed=bool(changes), paths=[item["path"] for item in changes], diff=diff)


if __name__ == "__main__":
    main()
