# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module whose arguments are not written to the host's system log."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils._mask import MASK


class QuietModule(AnsibleModule):  # type: ignore[misc]  # Ansible has no types
    """For arguments with secrets in lists and dictionaries.

    Ansible logs them as the text of the list, in which a secret of several lines does not look like itself, so that
    ``no_log`` of a suboption does not hide it. ``no_log`` of the module is overruled by that of the task.

    :param hidden: dictionaries of which any value may be a secret. Ansible shows a module's parameters with its result,
        and those it refuses, too: ``module.params`` has masks instead, and ``given`` is what was given.
    """

    def __init__(self, *args: Any, hidden: tuple[str, ...] = (), **kwargs: Any) -> None:
        self._hidden = hidden
        super().__init__(*args, **kwargs)
        self.given = dict(self.params)
        self._hide()

    def fail_json(self, msg: str, **kwargs: Any) -> None:
        """As Ansible's, which calls it for arguments that it refuses before anybody else has seen them."""
        self._hide()
        super().fail_json(msg, **kwargs)

    def _hide(self) -> None:
        for name in self._hidden:
            value = self.params.get(name)
            self.params[name] = dict.fromkeys(map(str, value), MASK) if isinstance(value, dict) else value and MASK

    def _log_invocation(self) -> None:
        """Log nothing."""
