#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rtc_bundle
short_description: Build a bundle of the RTC server for use offline
version_added: 0.1.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Writes one file with the RTC server and all packages that it needs, for several versions of Python and machines.
    A controller without internet installs from it, by the variable C(rtc_bundle).
  - Runs on the controller, which needs C(pip) and a package index. It makes no remote call.
  - The packages are those of the lock file, and their hashes are checked. The same input gives the same bytes.
  - The file is a tar archive. C(contents.cdx.json) in it lists what it holds, as CycloneDX 1.6.
extends_documentation_fragment: [collab.rtc.attributes]
attributes:
  check_mode:
    support: partial
    details: Only says whether the file is there.
  diff_mode: {support: none}
  idempotent: {support: full}
options:
  path:
    description: The file on the controller. A relative path is relative to where Ansible was started.
    type: path
    required: true
  pythons:
    description: Versions of Python on the managed hosts, such as V(3.11). The default is 3.10 to 3.14.
    type: list
    elements: str
  machines:
    description: Machines of the managed hosts as C(uname -m) says them. The default is both that there are.
    type: list
    elements: str
  cache:
    description: Where the controller keeps the packages that it fetched.
    type: path
    default: ~/.cache/collab-rtc
"""

EXAMPLES = r"""
- name: Build a bundle
  collab.rtc.rtc_bundle:
    path: rtc-server.tar
    pythons: ["3.11", "3.13"]
    machines: [x86_64]
"""

RETURN = r"""
path:
  description: Absolute path of the bundle.
  returned: success
  type: str
sha256:
  description: SHA-256 of the file, to be compared where it is used.
  returned: success, not in check mode
  type: str
targets:
  description: What it is for.
  returned: success
  type: list
  elements: str
version:
  description: Version of the RTC server.
  returned: success, not in check mode
  type: str
"""
