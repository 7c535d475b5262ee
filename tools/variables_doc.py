# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/variables.md from the table of inventory variables. ``tools/generate_docs.py`` writes and checks it."""

from __future__ import annotations

import re
import textwrap

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import VARIABLES

HEAD = """\
<!-- Written by tools/generate_docs.py from plugins/plugin_utils/_inventory/variables.py. Do not edit. -->
# Variables of the inventory

Put the hosts of the applications into the groups `confluence` and `jira`, and the hosts of proxies into `rtc_proxies`.
All variables are optional: without one, what is detected counts. A variable that begins with `rtc_` and is not in this
table is an error.

Set them in the inventory (`group_vars` and `host_vars` included, values of Ansible Vault, too) or on the command line
with `-e`. The plan does not see what a playbook sets (`vars` of a play or of `import_playbook`), and refuses it
(RTC113).

They belong to the host of the application. Only `rtc_listen`, `rtc_proxy_kind`, `rtc_ignore_findings`, `rtc_backup`,
`rtc_undo_keep` and `rtc_undo_days` mean something for the host of a proxy too. On a host with both applications a value
may be given for each, secrets and text of certificates included:

```yaml
rtc_server_name: {confluence: wiki.example.com, jira: jira.example.com}
```

A file on the controller is looked for beside the inventory, beside the playbook, and where the run was started.

| variable | type | default | meaning |
|---|---|---|---|
"""
TAIL = "These are about the host or the whole run, so they have one value and not one for each application: {once}."

TYPES = {
    "number": "number",
    "name": "host name",
    "port": "port",
    "anyport": "port",
    "choice": "choice",
    "service": "name of a unit or SysV script",
    "command": "list of arguments",
    "path": "path",
    "bool": "true or false",
    "addresses": "list of addresses",
    "networks": "list of networks",
    "pem": "file or PEM text",
    "store_url": "PostgreSQL address",
    "origins": "list of origins",
    "limits": "dictionary of numbers",
    "mutes": "list of {id, reason}",
    "batches": "number or share of hosts",
    "secret": "secret",
    "text": "text",
}


def render() -> str:
    """The whole document."""
    lines = []
    for variable in VARIABLES:
        kind = ", ".join(f"`{item}`" for item in variable.choices) or TYPES[variable.type]
        lines.append(f"| `{variable.name}` | {kind} | {_plain(variable.default)} | {_plain(variable.description)} |")
    once = ", ".join(f"`{variable.name}`" for variable in VARIABLES if variable.once)
    tail = "\n".join(textwrap.wrap(TAIL.format(once=once), 120))
    return HEAD + "\n".join(lines) + f"\n\n{tail}\n"


def _plain(text: str) -> str:
    """Ansible's markup as Markdown: V(x), O(x) and C(x) are code."""
    return re.sub(r"\b[VOC]\(([^)]*)\)", r"`\1`", text)
