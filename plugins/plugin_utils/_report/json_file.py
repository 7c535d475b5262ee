# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing plan and report as JSON on the controller, and settings of containers beside them."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.controller_files import explain_no_file
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan

_PAGE = Path(__file__).resolve().parents[3] / "files/rtc_server/src/rtc_server/check.html"


def write_settings(path: str, plan: Plan, what: str, variable: str) -> list[str]:
    """Write what containers have to have beside a file: ``HOST-APPLICATION.compose.override.yml``, and the options of
    ``docker run``. Those of a container whose settings are in force go.

    :param path: of the file that they are written beside, on the controller.
    :returns: the paths that were written.
    :raises RtcError: as for :func:`write_json`.
    """
    folder, written = os.path.dirname(os.path.expanduser(path)) or ".", []
    for host, host_plan in plan.hosts.items():
        for item in host_plan.containers:
            for name, text in (("compose.override.yml", item.compose), ("run-options.txt", item.options)):
                place = os.path.join(folder, f"{host}-{item.application}.{name}")
                if item.missing:
                    _replace(place, text, what, variable)
                    written.append(place)
                else:
                    with contextlib.suppress(OSError):
                        os.unlink(place)
    return written


def write_page(path: str, what: str, variable: str) -> None:
    """Write the check page beside a file: it can be opened there where RTC does not load. It is the same for all sites.

    :param path: of the file that it is written beside, on the controller.
    :raises RtcError: as for :func:`write_json`.
    """
    folder = os.path.dirname(os.path.expanduser(path)) or "."
    _replace(os.path.join(folder, "rtc-check.html"), _PAGE.read_text(encoding="utf-8"), what, variable)


def write_json(path: str, data: Any, what: str, variable: str) -> None:
    """Replace a file as a whole, readable by its owner only: names and addresses of a network are in it, no secrets.

    :param path: on the controller; ``~`` is the home directory.
    :param what: what is written, for the message of an error: "plan".
    :param variable: the variable of the inventory that names the file, for its remedy.
    :raises RtcError: the file cannot be written; one that was there is as it was.
    """
    _replace(os.path.expanduser(path), json.dumps(data, indent=2, sort_keys=True) + "\n", what, variable)


def _replace(path: str, text: str, what: str, variable: str) -> None:
    directory = os.path.dirname(path) or "."
    why = explain_no_file(path)
    if why:
        raise RtcError(f"The {what} cannot be written to {path}: {why}.", f"Correct {variable}.")
    temporary = ""
    try:
        # mkstemp makes the file with mode 0600, whatever the umask is.
        handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", suffix=".new", dir=directory)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        text = f"The {what} cannot be written to {path}: {_explain(error, directory)}."
        raise RtcError(text, f"Correct {variable}.") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # gone already where it has become the file


def _explain(error: OSError, directory: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no directory {directory}"
    if isinstance(error, NotADirectoryError):
        return f"{directory} is not a directory"
    if isinstance(error, PermissionError):
        return f"the user who runs Ansible may not write to {directory}"
    return error.strerror or str(error)
