# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module whose arguments are not written to the host's system log."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule


class QuietModule(AnsibleModule):  # type: ignore[misc]  # Ansible has no types
    """For arguments with secrets in lists and dictionaries.

    Ansible logs them as the text of the list, in which a secret of several lines does not look like itself, so that
    ``no_log`` of a suboption does not hide it. ``no_log`` of the module is overruled by that of the task.
    """

    def _log_invocation(self) -> None:
        """Log nothing."""
