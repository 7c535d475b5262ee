# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are on the host of the scenario."""

from __future__ import annotations

import pwd
from pathlib import Path

STATE = Path("/var/lib/hostile")
DROP = STATE / "ran"
COUNTS = STATE / "counts.jsonl"
PIDS = STATE / "pids"  # of a round's attackers; those that stay for all rounds are in another file beside it
BASE = STATE / "canaries.json"
SAMPLES = STATE / "samples.jsonl"
HOME = Path("/home/mallory")
CONFLUENCE, JIRA = Path("/opt/atlassian/confluence"), Path("/opt/atlassian/jira")
JIRA_HOME = Path("/var/atlassian/application-data/jira")
# Files of root that the attacks aim at, and directories in which nothing may come or go.
CANARIES = {
    "/root/canary": 0o600,
    "/etc/hostile-shadow": 0o640,
    "/etc/profile.d/setenv.sh": 0o600,
    "/etc/profile.d/server.xml": 0o600,
    "/etc/cron.d/cacerts": 0o600,
    "/etc/cron.d/truststore": 0o600,
}
FOLDERS = ("/root", "/etc/profile.d", "/etc/cron.d", "/etc/sudoers.d")


def owner(user: str) -> tuple[int, int]:
    info = pwd.getpwnam(user)
    return info.pw_uid, info.pw_gid
