#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: application_check
short_description: See that the application answers, or compare what it sees
version_added: 0.1.0
description:
  - Fetches an address that answers with a JSON object, and compares members of it with what is expected.
  - With a page that tells how a request looks to the application, this proves that the connector has the name, port and
    protocol that users use. With one that fetches an address by the application's own JVM, it proves the JVM's trust
    store.
  - Redirections are not followed. They are answers of their own.
requirements:
  - Python 3.8 or later on the managed host; nothing else.
extends_documentation_fragment:
  - collab.rtc.attributes
  - collab.rtc.checking
attributes:
  check_mode:
    support: full
    details: It runs as usual.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  query:
    description:
      - Parameters to add to the query of O(url).
    type: dict
    default: {}
  expect:
    description:
      - Members of the answer and their values. Others are not looked at.
      - A text may stand for a number or a boolean, such as V('443').
      - Where it is empty, any page of an application will do, or a redirection to one, such as a login. The default
        page of a web server will not, nor a redirection to the same name by another protocol or port.
    type: dict
    default: {}
seealso:
  - module: collab.rtc.rtc_probe
author:
  - collab.rtc authors (@collab-rtc)
"""

EXAMPLES = r"""
- name: See that the application answers
  collab.rtc.application_check:
    url: https://wiki.example.com/confluence/

- name: See how the application sees a request
  collab.rtc.application_check:
    url: https://wiki.example.com/confluence/request.jsp
    ca:
      - /etc/ssl/certs/company-root.pem
    expect:
      scheme: https
      serverName: wiki.example.com
      serverPort: 443
      secure: true

- name: Let the application's own JVM fetch the address of its RTC service
  collab.rtc.application_check:
    url: https://wiki.example.com/confluence/fetch.jsp
    query:
      url: https://wiki.example.com:9083/socket.io/?EIO=4&transport=polling
    expect:
      ok: true
      status: 200
    system_trust: true
    timeout: 30
"""

RETURN = r"""
ok:
  description: Whether every step succeeded.
  returned: always
  type: bool
steps:
  description:
    - What was done, in order.
    - The steps are C(resolve), C(connect), C(tls), C(request) and C(values).
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
    - Beside those of M(collab.rtc.rtc_probe) there are C(not_json), C(default_page), C(mismatch) for other values than
      expected, and C(java) for an error of the application's JVM that is of no known kind.
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
got:
  description: The whole answer; empty when there was none.
  returned: always
  type: dict
mismatches:
  description: Members that are not as expected.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the member.
      type: str
    expected:
      description: What was expected.
      type: raw
    got:
      description: What was there; null when it is missing.
      type: raw
status:
  description: Status of HTTP; 0 when there was no answer.
  returned: always
  type: int
certificate:
  description:
    - The server's certificate; empty without TLS.
    - It has the members of RV(collab.rtc.rtc_probe#module:certificate).
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils._verify import application, check_module, trust


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **check_module.CHECKING,
            "query": {"type": "dict", "default": {}},
            "expect": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    check_module.check_options(module)
    params = module.params
    with check_module.explained(module):
        options = application.ApplicationCheckOptions(
            url=params["url"],
            connect_to=params["connect_to"],
            context=trust.context_of(params["url"], params["ca"], system=params["system_trust"]),
            query=params["query"],
            expect=params["expect"],
            timeout=params["timeout"],
        )
        check_module.finish(module, application.check(options))


if __name__ == "__main__":
    main()
