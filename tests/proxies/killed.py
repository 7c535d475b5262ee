# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the module with the options on standard input, and die by SIGKILL after a number of writes (the argument)."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / ".build" / "src"))

from ansible.module_utils.testing import patch_module_args

from ansible_collections.collab.rtc.plugins.module_utils._proxy import apply as apply_module
from ansible_collections.collab.rtc.plugins.module_utils._proxy import control
from ansible_collections.collab.rtc.plugins.modules import proxy_vhost

left = iter(range(int(sys.argv[1]) - 1))
apply = apply_module._Step.apply


def die(*_args):
    os.kill(os.getpid(), signal.SIGKILL)


def apply_and_count(step):
    apply(step)
    if next(left, None) is None:
        die()


apply_module._Step.apply = apply_and_count
control.Control.take_effect = die
with patch_module_args(json.load(sys.stdin)):
    proxy_vhost.main()
