#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: managed_absent
short_description: Take away files, directories and settings that this collection made
version_added: 0.2.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Removes files, and directories where nothing is left in them. Each file is recorded in the undo record before.
  - Nothing is followed or touched where another user could have put something in the way.
extends_documentation_fragment: [collab.rtc.attributes, collab.rtc.writing.undoable]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  files:
    description: Paths of files.
    type: list
    elements: path
    default: []
  directories:
    description: Paths of directories, the inner ones first. One that is not empty stays.
    type: list
    elements: path
    default: []
  settings:
    description:
      - Ports of firewalld, and ports and booleans of SELinux, that M(collab.rtc.proxy_vhost) opened, as the record of
        what is managed has them. One that somebody has closed since is left so.
    type: list
    elements: dict
    default: []
  trees:
    description: Paths of directories that go with all that is in them. They are not recorded.
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Take away a certificate of the proxy
  collab.rtc.managed_absent:
    files: [/etc/rtc-proxy/wiki.example.com/fullchain.pem]
    directories: [/etc/rtc-proxy/wiki.example.com, /etc/rtc-proxy]
"""

RETURN = r"""
removed:
  description: What was removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/rtc-proxy/wiki.example.com/fullchain.pem]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _argspec, _facts, _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._proxy import selinux_firewalld
from ansible_collections.collab.rtc.plugins.module_utils._undo import prune, records


def find_removable(files: list[str], directories: list[str], trees: list[str]) -> list[str]:
    """What there is of it, in the order in which it goes; a directory counts where all that is in it goes, too.

    :raises RtcError: a path must not be touched.
    """
    found = [path for path in files if _files.look(path, follow=False) is not None]
    for path in directories:
        if _files_tree.is_directory(path) and all(
            os.path.join(path, name) in found for name in _files_tree.list_directory(path)
        ):
            found.append(path)
    return found + [path for path in trees if _files_tree.is_directory(path)]


def main() -> None:
    """Entry point."""
    paths = {"type": "list", "elements": "path", "default": []}
    module = AnsibleModule(
        argument_spec={
            "files": paths,
            "directories": paths,
            "trees": paths,
            "settings": {"type": "list", "elements": "dict", "default": []},
            **_argspec.UNDOABLE,
        },
        supports_check_mode=True,
    )
    files, directories, trees = (module.params[name] for name in ("files", "directories", "trees"))
    try:
        # With site and so on, which are not read.
        settings = [_facts.from_dict(selinux_firewalld.Setting, item) for item in module.params["settings"]]
        settings = selinux_firewalld.list_open(settings)
        found = find_removable(files, directories, trees)
        for path in () if module.check_mode else found:
            records.require_going(module.params["undo_dir"])
            if path in trees:
                _files_tree.remove_tree(path)
            elif path in directories:
                _files_tree.remove(path)
            else:
                records.record(module.params["undo_dir"], path, None)
                _files_tree.remove(path)
        if settings and not module.check_mode:
            records.require_going(module.params["undo_dir"])
            selinux_firewalld.close(settings)
    except (RtcError, OSError) as exc:
        module.fail_json(msg=str(exc))
    found += [item.key for item in settings]
    prune.prune_after(module)
    diff = [{"before_header": path, "after_header": path, "before": "(there)\n", "after": ""} for path in found]
    module.exit_json(changed=bool(found), removed=found, diff=diff)


if __name__ == "__main__":
    main()
