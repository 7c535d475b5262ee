# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Options and action group of all modules that check something over the network.
    DOCUMENTATION = r"""
options:
  url:
    description:
      - The address, as users have it. Its name is what the certificate must be for, and what is asked for by SNI and
        C(Host).
    type: str
    required: true
  connect_to:
    description:
      - Where to connect instead of where the name resolves to, as V(address), V(address:port) or V([IPv6]:port).
        The name stays what it is.
    type: str
    default: ''
  ca:
    description:
      - Certificates to trust, each a PEM text or the path of a file in PEM, DER or PKCS#7 where the module runs.
      - Each is trusted as it stands, an issuing CA or a server's own certificate too. The system's CAs do not count
        unless O(system_trust) says so.
    type: list
    elements: str
    default: []
  system_trust:
    description:
      - Also trust the CAs of the system.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that each step may take.
    type: float
    default: 10.0
  fail:
    description:
      - Fail the task when a step fails, rather than return RV(ignore:ok=false).
      - Bad options always fail it.
    type: bool
    default: false
attributes:
  action_group:
    description: Use C(group/collab.rtc.checking) in C(module_defaults) to set the options that all checks have.
    support: full
    membership:
      - collab.rtc.checking
"""
