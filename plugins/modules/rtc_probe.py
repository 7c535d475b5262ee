#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rtc_probe
short_description: Check step by step that an RTC service can be used from here
version_added: 0.1.0
description:
  - Resolves the name, connects, verifies TLS, and opens a session over each transport with Engine.IO and Socket.IO, as
    a browser does; with a project it also joins it and sends something there.
  - Each step is timed. For the first one that fails it says the likely cause and the remedy. A transport that
    fails does not keep the others from being tried.
  - It runs where the service is to be seen from, such as the application's own host, and can trust just what the
    application's JRE trusts.
  - It changes nothing, unless O(change) is set.
requirements:
  - Python 3.8 or later on the managed host; nothing else.
extends_documentation_fragment:
  - collab.rtc.attributes
  - collab.rtc.checking
attributes:
  check_mode:
    support: full
    details: It runs as usual, but O(change) is taken for V(false).
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  truststore:
    description:
      - A Java trust store, JKS or PKCS#12. What Java trusts by it is trusted too. It is read without a JVM.
    type: dict
    suboptions:
      path:
        description: Its path.
        type: path
        required: true
      password:
        description: Its password. Without it, what is not encrypted is read and its integrity is not checked.
        type: str
  token:
    description:
      - Token to connect with. Engine.IO 3 has no other place for it than the query of the URL, which proxies log.
    type: str
  project:
    description:
      - Project to join, for a service of this collection. Without it the check ends with the connection, which is all
        that an add-on's own service can be asked for.
    type: str
  change:
    description:
      - Write a change into O(project), wait for it to come back, and compare its revision. Else C(presence) is sent,
        which is not kept.
    type: bool
    default: false
  protocol:
    description:
      - Revision of Engine.IO. V(auto) asks for 4 and takes 3 when the service speaks that.
    type: str
    choices: [auto, '3', '4']
    default: auto
  transports:
    description:
      - Transports to try. V(upgrade) begins with polling and goes on with WebSocket, as browsers do by default.
    type: list
    elements: str
    choices: [polling, websocket, upgrade]
    default: [polling, websocket, upgrade]
  origin:
    description:
      - Origin of the page that a browser would show, such as V(https://wiki.example.com). It is sent, and the answers
        must allow it. The port makes the page's origin another than that of the RTC service.
    type: str
    default: ''
seealso:
  - module: collab.rtc.rtc_session
  - module: collab.rtc.application_check
author:
  - collab.rtc authors (@collab-rtc)
"""

EXAMPLES = r"""
- name: Reach the service from the application's host, trusting what its JRE trusts
  collab.rtc.rtc_probe:
    url: https://wiki.example.com:9083/
    truststore:
      path: /opt/atlassian/confluence/jre/lib/security/cacerts
      password: changeit
    origin: https://wiki.example.com
  register: hairpin

- name: Reach one node behind the load balancer, and fail when that does not work
  collab.rtc.rtc_probe:
    url: https://wiki.example.com:9083/
    connect_to: 192.0.2.11
    ca:
      - /etc/ssl/certs/company-root.pem
    token: "{{ rtc_token }}"
    project: check
    fail: true
"""

RETURN = r"""
ok:
  description: Whether every step succeeded.
  returned: always
  type: bool
steps:
  description:
    - What was done, in order.
    - C(resolve), C(connect) and C(tls) come first, then for each transport its handshake under the name of the
      transport, and C(<transport>:) followed by C(connect), C(ping) (Engine.IO 3), C(join) and C(echo).
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
    - One of C(name_unresolved), C(connection_refused), C(connect_timeout), C(unreachable), C(no_answer), C(closed),
      C(reset), C(tls_untrusted), C(tls_incomplete_chain),
      C(tls_self_signed), C(tls_wrong_name), C(tls_expired), C(tls_not_yet_valid), C(tls_not_spoken), C(tls_refused),
      C(tls_protocol), C(plain_on_tls_port), C(not_http), C(wrong_protocol), C(unsupported_version), C(unknown_session),
      C(origin_refused), C(origin_not_allowed), C(forbidden), C(login), C(redirected), C(not_found), C(too_large),
      C(too_many), C(upstream_down), C(upstream_timeout), C(server_error), C(not_rtc), C(upgrade_refused),
      C(websocket_closed), C(probe_refused), C(connect_refused), C(join_refused), C(change_refused), C(unavailable),
      C(no_event), C(unexpected).
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
    - It was verified unless the step C(tls) failed.
  returned: always
  type: dict
  contains:
    subject:
      description: Whose it is.
      type: str
    issuer:
      description: Who signed it.
      type: str
    names:
      description: Names and addresses that it is for.
      type: list
      elements: str
    expires:
      description: When it ends, in UTC.
      type: str
      sample: '2027-01-31T12:00:00Z'
    days_left:
      description: Whole days until then; negative when it has ended.
      type: int
protocol:
  description: Revision of Engine.IO that the service spoke; 0 when none was seen.
  returned: always
  type: int
ping_interval:
  description: Seconds between the service's pings. Time limits of proxies must be longer.
  returned: always
  type: float
transports:
  description: For each transport that was tried, whether a session over it worked.
  returned: always
  type: dict
  sample: {polling: true, websocket: false, upgrade: false}
"""

from ansible_collections.collab.rtc.plugins.module_utils._quiet_module import QuietModule
from ansible_collections.collab.rtc.plugins.module_utils._verify import check_module, probe, truststore


def main() -> None:
    """Run the module."""
    module = QuietModule(
        argument_spec={
            **check_module.CHECKING,
            "truststore": {
                "type": "dict",
                "options": {
                    "path": {"type": "path", "required": True},
                    "password": {"type": "str", "no_log": True},
                },
            },
            "token": {"type": "str", "no_log": True},
            "project": {"type": "str"},
            "change": {"type": "bool", "default": False},
            "protocol": {"type": "str", "choices": ["auto", "3", "4"], "default": "auto"},
            "transports": {
                "type": "list",
                "elements": "str",
                "choices": list(probe.TRANSPORTS),
                "default": list(probe.TRANSPORTS),
            },
            "origin": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    check_module.check_options(module)
    params = module.params
    store = params["truststore"] or {}
    with check_module.explained(module):
        options = probe.ProbeOptions(
            url=params["url"],
            connect_to=params["connect_to"],
            context=truststore.context_of(
                params["url"], params["ca"], store.get("path") or "", store.get("password"), params["system_trust"]
            ),
            token=params["token"] or "",
            project=params["project"] or "",
            change=params["change"] and not module.check_mode,
            protocol=0 if params["protocol"] == "auto" else int(params["protocol"]),
            transports=params["transports"],
            origin=params["origin"],
            timeout=params["timeout"],
        )
        check_module.finish(module, probe.check(options))


if __name__ == "__main__":
    main()
