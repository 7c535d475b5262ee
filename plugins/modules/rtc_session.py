#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rtc_session
short_description: Check that two users can work on one project through the real address
version_added: 0.1.0
description:
  - Two clients of the library python-socketio, one over WebSocket only and one over polling only, join a project of an
    RTC service of this collection. What one changes must reach the other, both ways, with the revision of its
    acknowledgement and in the same order for both.
  - Then each of them goes, misses a change, comes back with the revision it knows, and must get just what it missed.
  - For the first step that fails it says the likely cause and the remedy.
  - Run it on the controller, with O(ignore:delegate_to=localhost) and C(ansible_python_interpreter) set to
    C(ansible_playbook_python), because it needs Python packages that managed hosts do not have.
  - It writes a dozen small changes into the project, and keeps a snapshot after them, so that nobody who joins later
    has to read all that there ever were.
requirements:
  - python-socketio 5
  - aiohttp 3
extends_documentation_fragment:
  - collab.rtc.attributes
  - collab.rtc.checking
attributes:
  check_mode:
    support: partial
    details: In check mode the clients connect and join, and change nothing.
  diff_mode:
    support: none
  idempotent:
    support: none
    details: Each run adds its changes to the project, and replaces its snapshot.
options:
  token:
    description:
      - Token to connect with. It must allow to edit O(project).
    type: str
    required: true
  project:
    description:
      - Project to work on. Take one that nobody else uses.
    type: str
    required: true
  origin:
    description:
      - Origin of the page that a browser would show, such as V(https://wiki.example.com).
    type: str
    default: ''
seealso:
  - module: collab.rtc.rtc_probe
author:
  - collab.rtc authors (@collab-rtc)
"""

EXAMPLES = r"""
- name: Let two clients work on one project
  collab.rtc.rtc_session:
    url: https://wiki.example.com:9083/
    ca:
      - /etc/ssl/certs/company-root.pem
    token: "{{ rtc_token }}"
    project: check
    origin: https://wiki.example.com
  delegate_to: localhost
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""

RETURN = r"""
ok:
  description: Whether every step succeeded.
  returned: always
  type: bool
steps:
  description: What was done, in order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the step.
      type: str
    ok:
      description: Whether it succeeded.
      type: bool
    seconds:
      description: How long it took.
      type: float
    detail:
      description: What was seen.
      type: str
failed_step:
  description: Name of the first step that failed; empty when none did.
  returned: always
  type: str
code:
  description:
    - Kind of the first failure, for programs; empty when there is none.
    - Beside those of M(collab.rtc.rtc_probe) there is C(not_shared), which means that the two clients do not see the
      same.
  returned: always
  type: str
cause:
  description: The likely cause of the first failure.
  returned: always
  type: str
remedy:
  description: What to do about it.
  returned: always
  type: str
certificate:
  description:
    - The server's certificate; empty without TLS.
    - It has the members of RV(collab.rtc.rtc_probe#module:certificate).
  returned: always
  type: dict
revision:
  description: The project's revision at the end.
  returned: always
  type: int
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.collab.rtc.plugins.module_utils._verify import check_module, session, trust


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **check_module.CHECKING,
            "token": {"type": "str", "required": True, "no_log": True},
            "project": {"type": "str", "required": True},
            "origin": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    for library, error in session.IMPORT_ERRORS.items():
        module.fail_json(msg=missing_required_lib(library), exception=error)
    check_module.check_options(module)
    params = module.params
    with check_module.explained(module):
        options = session.SessionOptions(
            url=params["url"],
            token=params["token"],
            project=params["project"],
            connect_to=params["connect_to"],
            context=trust.context_of(params["url"], params["ca"], system=params["system_trust"]),
            origin=params["origin"],
            timeout=params["timeout"],
            write=not module.check_mode,
        )
        check_module.finish(module, session.check(options))


if __name__ == "__main__":
    main()
