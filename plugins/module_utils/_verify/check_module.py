# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options and endings of the modules that check; documented by the fragment of the same name."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

# Documented in plugins/doc_fragments/checking.py.
CHECKING: dict[str, dict[str, Any]] = {
    "url": {"type": "str", "required": True},
    "connect_to": {"type": "str", "default": ""},
    "ca": {"type": "list", "elements": "str", "default": []},
    "system_trust": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 10.0},
    "fail": {"type": "bool", "default": False},
}


def check_options(module: Any) -> None:
    """Refuse what the argument spec cannot: a time limit of nothing, or of hours."""
    if not 0 < module.params["timeout"] <= 600:
        module.fail_json(msg=f"timeout is {module.params['timeout']:g}. Give seconds, more than 0 and 600 at most.")


@contextlib.contextmanager
def explained(module: Any) -> Iterator[None]:
    """Bad input ends the module with its cause and remedy."""
    try:
        yield
    except RtcError as exc:
        module.fail_json(msg=str(exc))


def finish(module: Any, result: dict[str, Any]) -> None:
    """Return the result; a check that did not succeed fails the task only where that is asked."""
    if result["ok"] or not module.params["fail"]:
        module.exit_json(changed=False, **result)
    detail = next((step["detail"] for step in result["steps"] if not step["ok"]), "")
    parts = [f"{result['failed_step']}: {detail}", result["cause"], result["remedy"]]
    module.fail_json(msg=" ".join(part for part in parts if part), changed=False, **result)
