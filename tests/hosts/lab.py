#!/usr/bin/env python3
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab: real test hosts in Podman containers. See README.md beside this file."""

from __future__ import annotations

import sys

from hostlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
