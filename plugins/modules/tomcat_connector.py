#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tomcat_connector
short_description: Set attributes of one connector in Tomcat's server.xml, and change nothing else
version_added: 0.1.0
description:
  - Sets and removes attributes of one live C(<Connector>) in a C(server.xml). Every other byte of the file stays as it
    was, comments, attribute order, quotes, line breaks, character references, encoding and byte-order mark included.
  - Connectors in comments do not count. AJP connectors are never chosen.
  - New attributes are placed beside related ones, in the style of the file.
  - What is written is read back first. The file is replaced as a whole; its owner, mode, SELinux context and a
    symbolic link to it stay.
  - It refuses, and leaves the file untouched, when the file is not well-formed or is not Tomcat's, when no connector
    or several fit, when the connector stands in an entity, and when this Tomcat no longer has an attribute.
  - Tomcat reads the file when it starts. This module restarts nothing.
requirements:
  - Python 3.8 or later on the managed host; nothing else.
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
options:
  path:
    description:
      - Path of the C(server.xml).
    type: path
    required: true
  connector_port:
    description:
      - Port of the connector. Each C(${...}) in the file is replaced before it is compared, as O(properties) says.
      - Without it the connector that users' requests arrive at is taken, by the first rule that finds exactly one. The
        rules are the only HTTP connector; the only one with a C(proxyName), because unproxied ones are for application
        links; the only TLS connector that a plain one redirects to; the only one on the default port of Confluence or
        Jira. If no rule does, the module fails and lists the candidates with their lines.
    type: int
  attributes:
    description:
      - The attributes and their values. A null value removes the attribute; an empty string sets it to be empty.
      - Booleans and numbers are written as C(true), C(false) and digits.
      - A value that the file already has, references and C(${...}) resolved, is left as it is written there.
    type: dict
    required: true
  tomcat_version:
    description:
      - Version of Tomcat, such as V(9.0.98), to refuse attributes that it no longer has.
      - Read from C(lib/catalina.jar) or C(RELEASE-NOTES) above the C(conf) directory where it is not given. If it is
        unknown, all attributes are taken.
    type: str
  properties:
    description:
      - For C(${...}) in the file, system properties of the JVM, and variables of its environment where Tomcat is told
        to use those. C(conf/catalina.properties), or the file that C(catalina.config) names, wins, as in Tomcat.
    type: dict
    default: {}
seealso:
  - name: Tomcat's HTTP connector
    description: The attributes.
    link: https://tomcat.apache.org/tomcat-9.0-doc/config/http.html
author:
  - collab.rtc authors (@collab-rtc)
"""

EXAMPLES = r"""
- name: Tell Tomcat which name, port and protocol users see
  collab.rtc.tomcat_connector:
    path: /opt/atlassian/confluence/conf/server.xml
    attributes:
      scheme: https
      secure: true
      proxyName: wiki.example.com
      proxyPort: 443
    backup: true

- name: Let the connector on port 8080 listen on loopback only
  collab.rtc.tomcat_connector:
    path: /opt/atlassian/jira/conf/server.xml
    connector_port: 8080
    attributes:
      address: 127.0.0.1

- name: Stop being proxied
  collab.rtc.tomcat_connector:
    path: /opt/atlassian/jira/conf/server.xml
    attributes:
      proxyName:
      proxyPort:
"""

RETURN = r"""
connector:
  description: The connector. Values of secret attributes are masked.
  returned: success
  type: dict
  contains:
    before:
      description: What it was.
      type: dict
      returned: success
      contains:
        line:
          description: Line of the connector, counted from 1.
          type: int
          returned: success
        attributes:
          description: Its attributes, C(${...}) as written.
          type: dict
          returned: success
    after:
      description: What it is now, or would be in check mode; the same keys.
      type: dict
      returned: success
  sample:
    before:
      line: 10
      attributes: {port: "8090", protocol: HTTP/1.1}
    after:
      line: 10
      attributes: {port: "8090", protocol: HTTP/1.1, proxyName: wiki.example.com}
reason:
  description: Why this connector was chosen.
  returned: success
  type: str
  sample: the only connector with a proxyName
tomcat_version:
  description: The version that counted; empty if it is unknown.
  returned: success
  type: str
  sample: 9.0.98
backup_file:
  description: The copy of the file as it was.
  returned: O(backup) is true and the file changed
  type: str
"""

from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _argspec, _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._mask import MASK
from ansible_collections.collab.rtc.plugins.module_utils._quiet_module import QuietModule
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import connectors, property_sources
from ansible_collections.collab.rtc.plugins.module_utils._tomcat.attributes import detect_version, is_secret, mask
from ansible_collections.collab.rtc.plugins.module_utils._tomcat.edit import edit_connector


def main() -> None:
    module = QuietModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "connector_port": {"type": "int"},
            "attributes": {"type": "dict", "required": True},
            "tomcat_version": {"type": "str"},
            "properties": {"type": "dict", "default": {}},
            **_argspec.WRITING,
        },
        supports_check_mode=True,
        hidden=("attributes", "properties"),  # keystorePass, and what it refers to
    )
    # What was asked is shown, but for the secrets.
    module.params["attributes"] = {
        name: MASK if value and is_secret(str(name)) else value for name, value in module.given["attributes"].items()
    }
    try:
        module.exit_json(**_run(module, module.given))
    except RtcError as exc:
        module.fail_json(msg=str(exc), line=getattr(exc, "line", 0))


def _run(module: QuietModule, params: dict[str, Any]) -> dict[str, Any]:
    path = params["path"]
    attributes = {str(name): _text(name, value) for name, value in params["attributes"].items()}
    properties = {str(name): _text(name, value) or "" for name, value in params["properties"].items()}
    version = params["tomcat_version"] or detect_version(path)
    old = _files.read_bytes(path)
    model = connectors.read(old, path, property_sources.read_on_host(path, properties, old))
    connector, reason = connectors.choose_connector(model, params["connector_port"])
    edit = edit_connector(model, connector, attributes, version)
    result: dict[str, Any] = {
        "changed": edit.changed,
        "reason": reason,
        "tomcat_version": version,
        "connector": {
            "before": {"line": connector.line, "attributes": mask(edit.before)},
            "after": {"line": connector.line, "attributes": mask(edit.after)},
        },
    }
    if module._diff:
        result["diff"] = {
            "before_header": path,
            "after_header": path,
            "before": edit.text_before,
            "after": edit.text_after,
        }
    if edit.changed and not module.check_mode:
        if params["undo_dir"]:
            # Imported here: compiled only for those who want it.
            from ansible_collections.collab.rtc.plugins.module_utils._undo import prune, records  # noqa: PLC0415

            records.record(params["undo_dir"], path, edit.data)
            prune.prune_after(module)
        if params["backup"]:
            result["backup_file"] = _files.backup(path)
        _files.write_atomic(path, edit.data, expected=old)
    return result


def _text(name: Any, value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    raise RtcError(f"The value of {name} is a {type(value).__name__}.", "Give text, a number, a boolean or null.")


if __name__ == "__main__":
    main()
