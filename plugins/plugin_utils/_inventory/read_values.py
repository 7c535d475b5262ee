# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Readers of the values in the inventory: the checked value of each type, or ValueError with a sentence that says why.

Secrets are never repeated in it.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import is_contained
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import host_names, store_address
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import limits as rtc_limits

# Variables of a host or of the whole run. All others may have a value for each application.
ONCE = frozenset(
    {
        *("rtc_plan_file", "rtc_report_file", "rtc_serial", "rtc_undo_keep", "rtc_undo_days", "rtc_bundle"),
        *("rtc_bundle_pythons", "rtc_bundle_machines", "rtc_server_version"),
        *("rtc_max_failures", "rtc_confirm", "rtc_fail_on_changes", "rtc_from_plan"),
        *("rtc_inventory_id", "rtc_remove_orphans"),
    }
)


@dataclass(frozen=True)
class Mute:
    """A finding that this host does not want to hear of, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Variable:
    """One variable of the inventory.

    ``field`` is the attribute of :class:`HostSettings`; "" for what only roles and playbooks read (secrets,
    batch size): the plan keeps none of these.
    """

    name: str
    type: str  # a key of READERS, for those that the plan reads
    description: str
    field: str = ""
    default: str = ""  # as text, for the documentation
    choices: tuple[str, ...] = ()

    @property
    def once(self) -> bool:
        """Whether it is about the host or the run, so that it cannot have a value for each application."""
        return self.name in ONCE


def _read_text(value: Any, _variable: Variable) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        raise ValueError("a text is expected, not a list or dictionary.")
    if isinstance(value, bool):  # YAML reads no, off and yes so
        raise ValueError(f"a text is expected, not a truth value ({str(value).lower()}).")
    if isinstance(value, float):  # 1.10 without quotes is 1.1
        raise ValueError(f"a text is expected, not a number ({value}): put it in quotes.")
    return str(value).strip()


def _read_line(value: Any, variable: Variable) -> str:
    text = _read_text(value, variable)
    _refuse_hidden(text, "it")
    return text


_NAME = re.compile(r"^[A-Za-z0-9_]([A-Za-z0-9._:-]*[A-Za-z0-9_])?$")


def _read_name(value: Any, variable: Variable) -> str:
    if value is False and variable.field == "proxy":
        raise ValueError("a text is expected, not a truth value (false): for no proxy, write none.")
    text = _read_text(value, variable)
    why = host_names.explain_name(text) if variable.field in ("server_name", "upstream_name") else ""
    if why or not _NAME.match(text):
        shown = host_names.show(text)
        what = f"'{shown}' is not a host name{': ' if why else ''}{why}"
        raise ValueError(f"{what}; give the name alone, without https:// and without a path.")
    if variable.field == "proxy" and text.lower() == "none":  # YAML takes None for a text, as it does none
        return "none"
    return text.lower() if variable.field == "server_name" else text


def explain_secret(value: Any) -> str:
    """Why the value of a secret, or one of those for each application, is no text; it is not repeated.

    Templates and what is vaulted are not looked into.
    """
    kinds = {bool: "a truth value", float: "a number with a point", list: "a list", tuple: "a list"}
    for item in value.values() if isinstance(value, Mapping) else [value]:
        wrong = "a dictionary" if isinstance(item, Mapping) else ""
        wrong = wrong or next((text for kind, text in kinds.items() if isinstance(item, kind)), "")
        if wrong:
            return f"a text is expected, not {wrong}: put it in quotes."
    return ""


_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")  # int() would take 1_000 and digits of other scripts, too
_LARGEST = 2**31 - 1  # what everything that reads a number can hold
_MOST = {"aws_deregistration_delay": 3600}  # what AWS takes, and refuses in the middle of a run


def _read_number(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError("a number is expected, not a truth value.")
    text = str(value).strip()
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"'{host_names.show(text)}' is not a port number.")
    return int(text)


def _read_port(value: Any, _variable: Variable) -> int:
    number = _read_number(value)
    if not 1024 < number <= 65535:
        raise ValueError(f"{number} cannot be the RTC port; it has to be between 1025 and 65535.")
    return number


def _read_anyport(value: Any, _variable: Variable) -> int:
    number = _read_number(value)
    if not 0 < number <= 65535:
        raise ValueError(f"{number} is not a port; ports are 1 to 65535.")
    return number


def _read_count(value: Any, variable: Variable) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not _WHOLE.fullmatch(text) or int(text) < 0:
        raise ValueError(f"'{host_names.show(text)}' is not a number of 0 or more.")
    most = _MOST.get(variable.field, _LARGEST)
    if int(text) > most:
        raise ValueError(f"{host_names.show(text)} is too large; it is {most} at most.")
    return int(text)


def _read_bool(value: Any, _variable: Variable) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise ValueError(f"'{host_names.show(str(value))}' is neither true nor false.")


_ALSO = {"httpd": "apache", "bigip": "f5", "k8s": "kubernetes", "ingress": "kubernetes", "ssl": "HTTP + SSL"}


def _squeeze(text: str) -> str:
    return re.sub(r"[\s_-]+", "", text).lower()


def _read_choice(value: Any, variable: Variable) -> str:
    text = _read_text(value, variable)
    for choice in variable.choices:
        if _squeeze(choice) == _squeeze(text):
            return choice
    allowed = ", ".join(variable.choices)
    text = _ALSO.get(_squeeze(text), text)
    near = difflib.get_close_matches(text, variable.choices, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(f"'{host_names.show(str(value).strip())}' is not one of: {allowed}.{hint}")


def _read_path(value: Any, variable: Variable) -> str:
    text = _read_text(value, variable)
    if not text:
        raise ValueError("the path is empty: name the file, or leave the variable out.")
    _refuse_hidden(text)
    absolute = text.startswith("/") or (variable.field == "install_dir" and is_contained(text))
    on_host = ("install_dir", "server_python", "truststore_path", "textfile_directory")
    if variable.field in on_host and not absolute:
        raise ValueError(f"'{host_names.show(text)}' has to be an absolute path on the host.")
    return text.rstrip("/") or "/"


_ENCODED = re.compile(r"-*[A-Za-z0-9+= -][A-Za-z0-9+/= -]{59,}")  # Base64, in one line


def _read_pem(value: Any, variable: Variable) -> str:
    text = _read_text(value, variable)
    if "-----BEGIN" in text:
        return text
    # A key that lost its marks on the way would be taken for a path, and messages repeat paths.
    if "\n" in text or (_ENCODED.fullmatch(text) and max(map(len, text.split("/"))) >= 40):
        raise ValueError("the text is neither the path of a file nor PEM: -----BEGIN ...----- and its end are missing.")
    _refuse_hidden(text)
    return text


def _refuse_hidden(text: str, what: str = "the path") -> None:
    """Marks that no terminal shows, such as U+202A, come along when something is copied from a page."""
    if not text.isprintable():
        raise ValueError(f"'{host_names.show(text)}' has a character that is not seen: type {what} anew.")


_SERVICE = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]*$")  # systemd.unit(5)


def _read_service(value: Any, variable: Variable) -> str:
    text = _read_text(value, variable)
    if not _SERVICE.match(text) or (
        text.rpartition(".")[2] in ("socket", "target", "timer", "mount", "scope", "slice")
    ):
        raise ValueError(
            f"'{text}' is not the name of a service; give a unit or a SysV script by its name, as in jira."
        )
    return text


def _read_command(value: Any, _variable: Variable) -> list[str]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, (str, int)) for item in value):
        raise ValueError("a list of arguments is expected, such as [supervisorctl, restart, jira]; no shell reads it.")
    words = [str(item) for item in value]
    if not words or not words[0].strip() or any("\0" in word for word in words):
        raise ValueError("the command is empty.")
    return words


def _read_store_url(value: Any, variable: Variable) -> str:
    return store_address.check(_read_text(value, variable))


def _read_list(value: Any, _variable: Variable) -> list[str]:
    items = value if isinstance(value, (list, tuple)) else str(value).split(",")
    if any(isinstance(item, (Mapping, list)) for item in items):
        raise ValueError("a list of texts is expected.")
    return [str(item).strip() for item in items if str(item).strip()]


def _read_origins(value: Any, variable: Variable) -> list[str]:
    origins = _read_list(value, variable)
    for origin in origins:
        why = host_names.explain_origin(origin)
        if why:
            shown = host_names.show(origin)
            raise ValueError(f"'{shown}' is not an origin: {why}; write it as in https://wiki.example.com.")
    return origins


def _read_addresses(value: Any, variable: Variable) -> list[str]:
    addresses = _read_list(value, variable)
    wrong = [address for address in addresses if address != "*" and host_names.parse_address(address) is None]
    if wrong:
        raise ValueError(f"'{wrong[0]}' is not an IP address; give addresses of the proxy host, or * for all.")
    return [address.strip("[]") for address in addresses]


def _read_networks(value: Any, variable: Variable) -> list[str]:
    networks = []
    for text in _read_list(value, variable):
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(f"{error}; write a network as in 10.1.2.0/24.") from error
        if network.prefixlen == 0:
            raise ValueError(f"'{text}' is everybody.")
        if "%" in text:
            raise ValueError(f"'{text}' names an interface; write a network as in 10.1.2.0/24.")
        networks.append(str(network))
    return networks


def _read_limits(value: Any, _variable: Variable) -> dict[str, float]:
    return rtc_limits.check(value)


_SHARE = re.compile(r"[1-9][0-9]{0,2}%|[0-9]+", re.ASCII)


def _read_batches(value: Any, _variable: Variable) -> list[str]:
    """What the keyword ``serial`` of a play takes."""
    items = value if isinstance(value, (list, tuple)) else [value]
    texts = [str(item).strip() for item in items]
    if not texts or any(isinstance(item, bool) for item in items) or not all(map(_SHARE.fullmatch, texts)):
        shown = host_names.show(str(value))
        raise ValueError(f"'{shown}' is not a number of hosts, such as 2 or 50%, or a list of these.")
    return texts


def _read_mutes(value: Any, _variable: Variable) -> list[Mute]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of {id, reason} is expected.")
    mutes = []
    for item in value:
        if not isinstance(item, Mapping) or set(item) != {"id", "reason"} or not str(item["reason"] or "").strip():
            raise ValueError("each entry needs exactly an id and a reason, and the reason may not be empty.")
        mutes.append(Mute(str(item["id"]).strip().upper(), str(item["reason"]).strip()))
    return mutes


READERS: dict[str, Callable[[Any, Variable], Any]] = {
    "text": _read_line,
    "name": _read_name,
    "port": _read_port,
    "anyport": _read_anyport,
    "number": _read_count,
    "bool": _read_bool,
    "choice": _read_choice,
    "path": _read_path,
    "pem": _read_pem,
    "service": _read_service,
    "command": _read_command,
    "store_url": _read_store_url,
    "origins": _read_origins,
    "addresses": _read_addresses,
    "networks": _read_networks,
    "limits": _read_limits,
    "mutes": _read_mutes,
    "batches": _read_batches,
}
