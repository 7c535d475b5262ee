#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: proxy_reload
short_description: Have proxy servers load files that were given back
version_added: 0.2.0
description:
  - For M(collab.rtc.rtc_undo), after it has given back files of a proxy. What M(collab.rtc.proxy_vhost) does for a
    change is done here for its undoing.
  - Before a reload the server itself checks its files, and what they make it listen on is tried. After it the server
    has to have loaded them, and to answer wherever it did.
  - Where one of these fails, its files are those of the run again, from O(redo_dir), and the server that ran before
    runs with them. The record of what is managed then names them, and the runs count as not undone.
  - One that failed is started, and so is one that a run stopped because it had nothing left to serve. One that somebody
    else stopped is left so.
  - Of several servers one may need a port that another one gives up. They are reloaded in an order that allows it.
requirements:
  - Python 3.8 or later on the managed host; nothing else.
extends_documentation_fragment: [collab.rtc.attributes]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
  idempotent: {support: none}
options:
  services:
    description: Names of the services, such as V(nginx), V(apache2), V(httpd) and V(haproxy).
    type: list
    elements: str
    required: true
  redo_dir:
    description: Directory in which M(collab.rtc.rtc_undo) kept what it replaced. It is removed once all have reloaded.
    type: path
    default: /run/collab-rtc/redo
  config_root:
    description: Directory that stands for C(/). For tests.
    type: path
    default: /
author:
  - collab.rtc authors (@collab-rtc)
"""

EXAMPLES = r"""
- name: Have nginx load the files from before the run
  collab.rtc.proxy_reload:
    services: [nginx]
"""

RETURN = r"""
reloaded:
  description: The services that were reloaded or started, or would be.
  returned: always
  type: list
  elements: str
  sample: [nginx]
"""

import functools
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import redo
from ansible_collections.collab.rtc.plugins.module_utils._proxy.kinds import BACKENDS, make_backend
from ansible_collections.collab.rtc.plugins.module_utils._proxy.reloading import Reload

CERTIFICATES = "/etc/rtc-proxy"  # of all kinds


def find_due(services: list[str], root: str, redo_dir: str) -> dict[str, Reload]:
    """The servers that are to load their files, by the names of their services."""
    found = {}
    for name in services:
        kind = next((kind for kind, backend in BACKENDS.items() if name in backend.services), "")
        if not kind:
            raise RtcError(f"{name} is no service of a proxy server that is known.", "Name nginx, apache2 or haproxy.")
        backend = make_backend(kind, root)
        folders = [os.path.dirname(backend.main()), backend.path(CERTIFICATES)]
        reload = Reload(backend, functools.partial(redo.put_forward, redo_dir, kind, folders))
        if reload.is_due:
            found[name] = reload
    return found


def reload_all(due: dict[str, Reload], failed: dict[str, str]) -> list[str]:
    """Reload them: first those that nothing stands in the way of, which may make room for the others.

    :param failed: gets why one was not reloaded.
    :returns: the names of those that were.
    """
    done: list[str] = []
    while due:
        obstacles = {}
        for name, reload in due.items():
            obstacles[name] = reload.find_obstacle()
            if obstacles[name]:
                continue
            try:
                reload.run()
                done.append(name)
            except RtcError as exc:
                failed[name] = str(exc)
        left = {name: reload for name, reload in due.items() if obstacles[name]}
        if len(left) == len(due):
            failed.update({name: str(reload.refuse(obstacles[name])) for name, reload in left.items()})
            break
        due = left
    return done


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "str", "required": True},
            "redo_dir": {"type": "path", "default": redo.PATH},
            "config_root": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )
    redo_dir = module.params["redo_dir"]
    failed: dict[str, str] = {}
    try:
        due = find_due(module.params["services"], module.params["config_root"], redo_dir)
        done = list(due) if module.check_mode else reload_all(due, failed)
        if not failed and not module.check_mode:
            _files_tree.remove_tree(redo_dir)
    except (RtcError, OSError) as exc:
        module.fail_json(msg=str(exc), reloaded=[])
    if failed:
        words = "\n".join(f"{name}: {why}" for name, why in failed.items())
        module.fail_json(msg=words, changed=bool(done), reloaded=done)
    module.exit_json(changed=bool(done), reloaded=done)


if __name__ == "__main__":
    main()
