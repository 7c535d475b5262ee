# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: read_files
short_description: Read files of the controller for C(collab.rtc.managed_file)
version_added: 0.1.0
author: collab.rtc authors (@collab-rtc)
description:
  - Turns the plan's list of files (C(src), C(dest), C(mode)) into the option O(collab.rtc.managed_file#module:files).
  - Several files then travel in one remote call. A file that only its owner may read is secret.
options:
  _input:
    description: The list, as C(certificates) of a host's plan.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- collab.rtc.managed_file:
    files: "{{ rtc_plan.hosts[inventory_hostname].certificates | collab.rtc.read_files }}"
"""

RETURN = r"""
_value:
  description: The files with their content.
  type: list
  elements: dict
"""


def read_files(items):
    """Read each ``src``; raises an error that names the file when it cannot be read."""
    found = []
    for item in items:
        path = os.path.expanduser(item["src"])
        try:
            with open(path, encoding="utf-8") as file:
                content = file.read()
        except (OSError, UnicodeDecodeError) as exc:
            raise AnsibleFilterError(f"{path} on the controller cannot be read: {exc}. Check rtc_tls_*.") from exc
        mode = item.get("mode", "0644")
        found.append({"path": item["dest"], "content": content, "mode": mode, "secret": mode == "0600"})
    return found


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Names and functions."""
        return {"read_files": read_files}
