#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rtc_aws_listener
short_description: The listener for RTC at an AWS Application Load Balancer
version_added: 0.2.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Makes what RTC needs at an existing Application Load Balancer - target groups with their targets, a listener on the
    RTC port, rules that send each session to its node, rules of security groups, an idle timeout that is long enough -
    and takes away what the site does not need any more.
  - All that it makes has tags (C(collab-rtc:site), C(collab-rtc:inventory), C(collab-rtc:application),
    C(collab-rtc:nodes)). By these it knows its own; listeners, rules and groups of others are left alone.
  - Asks AWS from the controller, with boto3, and connects to no host. About a dozen calls where nothing is to be done.
  - Everything that prevents the listener is said before anything is changed. Where a step fails all the same, what was
    made is left, and the next run completes it.
extends_documentation_fragment: [collab.rtc.attributes]
requirements: [boto3 on the controller]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  load_balancer:
    description: Name or ARN of the load balancer. It is never made or removed.
    type: str
    required: true
  site:
    description: Name of the site, such as V(wiki.example.com:9083).
    type: str
    required: true
  application:
    description: What runs there.
    type: str
    choices: [confluence, jira]
    required: true
  inventory:
    description: Id of the inventory. What another one has made is left alone.
    type: str
    required: true
  nodes:
    description: Names of the site's nodes. By them it is known again after its name or port was changed.
    type: list
    elements: str
    required: true
  server_name:
    description: The name that users type. It is needed with O(state=present).
    type: str
    default: ''
  port:
    description: The RTC port, of listener and targets. It is needed with O(state=present).
    type: int
    default: 0
  protocol:
    description: What users speak.
    type: str
    choices: [HTTP, HTTPS]
    default: HTTP
  target_protocol:
    description: What the RTC service speaks.
    type: str
    choices: [HTTP, HTTPS]
    default: HTTP
  like_port:
    description: Port of the application's listener. Certificate, TLS policy, and who may come, are as there.
    type: int
    default: 443
  targets:
    description: The nodes that serve. With several, a rule for each sends its sessions to it.
    type: list
    elements: dict
    default: []
    suboptions:
      node:
        description: Name of the node.
        type: str
        required: true
      id:
        description: Its EC2 instance, or its IP address.
        type: str
        required: true
      label:
        description: What the ids of its sessions end in, after a dot. With several targets it is needed.
        type: str
        default: ''
  certificate:
    description:
      - ARN of a certificate of ACM or IAM. Otherwise the first one of the listener on O(like_port) that is good for
        O(server_name).
    type: str
    default: ''
  tls_policy:
    description: Name of the TLS policy, otherwise that of the listener on O(like_port).
    type: str
    default: ''
  health_path:
    description: What the health check asks for.
    type: str
    default: /readyz
  health_codes:
    description: Codes of good answers to it.
    type: str
    default: '200'
  deregistration_delay:
    description: Seconds that a target which leaves has for its open requests.
    type: int
    default: 30
  idle_timeout:
    description:
      - Seconds that the load balancer has to keep a silent connection. A lower one is raised, a higher one never
        lowered. What it was comes back with the last listener of this collection.
    type: int
    default: 60
  peered:
    description:
      - Whether addresses of targets may be outside of the load balancer's VPC, which reaches them by peering or VPN.
    type: bool
    default: false
  kept:
    description: With O(state=absent), names of nodes that keep what has their name in its tags.
    type: list
    elements: str
    default: []
  unseen:
    description: Names of nodes that the run does not look at. Where one has a part in the listener, the module fails.
    type: list
    elements: str
    default: []
  neighbours:
    description:
      - Names of other sites. What has one of them in its tags is left to that site, also where it names a node of this
        one, which was part of that site before.
    type: list
    elements: str
    default: []
  state:
    description: V(absent) takes away all that was made for the site.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description: For how many seconds at most to wait until targets that are new are healthy. V(0) does not wait.
    type: int
    default: 120
  region:
    description: The region, otherwise what C(AWS_REGION), C(AWS_DEFAULT_REGION) or C(~/.aws/config) say.
    type: str
    default: ''
  profile:
    description: Name of a profile in C(~/.aws).
    type: str
    default: ''
  access_key:
    description: Id of an access key. Without it and O(profile), what boto3 finds.
    type: str
    default: ''
  secret_key:
    description: Its secret.
    type: str
    default: ''
  session_token:
    description: Its session token, where it is a temporary one.
    type: str
    default: ''
  role_arn:
    description: ARN of a role to assume with these credentials.
    type: str
    default: ''
  endpoint_url:
    description: Address to use instead of AWS's own.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Give RTC of Confluence its listener
  collab.rtc.rtc_aws_listener:
    region: eu-central-1
    load_balancer: confluence
    site: wiki.example.com:9083
    application: confluence
    inventory: production/hosts.yml
    nodes: [wiki1]
    server_name: wiki.example.com
    port: 9083
    protocol: HTTPS
    targets:
      - {node: wiki1, id: i-0123456789abcdef0}
"""

RETURN = r"""
steps:
  description: What was done, or in check mode would be.
  returned: always
  type: list
  elements: str
region:
  description: The region.
  returned: success
  type: str
unhealthy:
  description: New targets that the load balancer did not find healthy in time, with the reason.
  returned: when it waited
  type: list
  elements: str
calls:
  description: How many calls of AWS it took.
  returned: success
  type: int
"""
