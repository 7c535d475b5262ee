# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the module with the options on standard input, and die by SIGKILL after a number of writes (the argument)."""

from __future__ import annotations

import json
import os
import signal
import sys

from ansible.module_utils.testing import patch_module_args

from ansible_collections.collab.rtc.plugins.module_utils._proxy import apply, control
from ansible_collections.collab.rtc.plugins.modules import proxy_vhost

left = iter(range(int(sys.argv[1]) - 1))
apply_step = apply.Step.apply


def die(*_args):
    os.kill(os.getpid(), signal.SIGKILL)


def apply_and_count(step):
    apply_step(step)
    if next(left, None) is None:
        die()


apply.Step.apply = apply_and_count
control.Control.take_effect = die
with patch_module_args(json.load(sys.stdin)):
    proxy_vhost.main()
