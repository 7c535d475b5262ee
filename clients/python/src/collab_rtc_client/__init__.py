# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the RTC server. What the server promises is in docs/protocol.md, how to use this in docs/clients.md."""

from .client import Client, Status
from .project import Listener, Project
from .wire import Change, Member, Pending, Refused, Saved, Snapshot

__all__ = ["Change", "Client", "Listener", "Member", "Pending", "Project", "Refused", "Saved", "Snapshot", "Status"]
