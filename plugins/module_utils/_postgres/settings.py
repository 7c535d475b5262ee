# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A block of ours at the end of ``postgresql.conf``: only what is not so without it. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._postgres import hba

BEGIN = "# BEGIN collab.rtc: written by the role rtc_store, which overwrites changes"
END = hba.END
NAMES = ("ssl", "ssl_cert_file", "ssl_key_file", "listen_addresses")
LOOPBACKS = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = "*"
# What looks like an IPv4 address and is none is no name either.
_NAME = re.compile(r"(?!\d+(\.\d+)*$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


@dataclass
class Settings:
    """What the server has, and what it reads."""

    config_file: str
    now: Mapping[str, Mapping[str, Any]]  # name -> row of pg_settings
    lines: list[Mapping[str, Any]] = field(default_factory=list)  # rows of pg_file_settings, in their order

    def find_bare(self, name: str, block: range) -> str:
        """What a setting is without our block.

        :param block: the lines of our block in the main file, from 1.
        """
        row = self.now[name]
        if row["source"] not in ("default", "configuration file"):
            return str(row["setting"])
        others = [
            line
            for line in self.lines
            if line["name"] == name and not (line["sourcefile"] == self.config_file and line["sourceline"] in block)
        ]
        return str(others[-1]["setting"]) if others else str(row["boot_val"])

    def find_fault(self, block: range = range(0)) -> str:
        """The first line that PostgreSQL refuses, but for those of our block; "" for none.

        A setting that needs a restart "could not be applied" as long as it differs from what is in force; where its
        line was taken away, the complaint has no file.
        """
        for line in self.lines:
            ours = line["sourcefile"] == self.config_file and line["sourceline"] in block
            if line["error"] and line["sourcefile"] and line["context"] != "postmaster" and not ours:
                return f"{line['sourcefile']}:{line['sourceline']}: {line['error']}."
        return ""

    def require_unused(self, paths: Iterable[str], block: range) -> None:
        """Refuse to take files away that somebody's own lines name: PostgreSQL would not start again.

        :raises RtcError: a line outside of our block names one.
        """
        gone = set(paths)
        for line in self.lines:
            ours = line["sourcefile"] == self.config_file and line["sourceline"] in block
            if line["name"] in NAMES and line["setting"] in gone and not ours:
                raise RtcError(
                    f"{line['sourcefile']}:{line['sourceline']}: {line['name']} is {line['setting']}, which would be"
                    " removed.",
                    "Take that line away, or name another file there.",
                )

    def find_above(self, name: str, block: range) -> str:
        """What a later line than any of ``postgresql.conf`` sets; "" for nothing."""
        row = self.now[name]
        if row["source"] not in ("default", "configuration file"):
            return f"the {row['source']} of the server"
        after = [line for line in self.lines if line["name"] == name and str(line["sourcefile"]).endswith(".auto.conf")]
        return f"{after[-1]['sourcefile']}:{after[-1]['sourceline']} (ALTER SYSTEM)" if after else ""


def is_on(value: str) -> bool:
    """Whether a boolean of PostgreSQL is true."""
    text = value.strip().lower()
    return text == "1" or (len(text) > 1 and "on".startswith(text)) or (text != "" and text in _TRUE)


_TRUE = ("t", "tr", "tru", "true", "y", "ye", "yes")


def check_listen(addresses: Iterable[str]) -> list[str]:
    """The addresses of the inventory: PostgreSQL passes over one that cannot be, or does not start again.

    :raises RtcError: one is no address and no name.
    """
    found = list(addresses)
    for text in found:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            if text != EVERYWHERE and not _NAME.fullmatch(text):
                raise RtcError(
                    f"rtc_store_listen: '{text}' is no address of a host, without port and mask.",
                    "Give addresses of the PostgreSQL host, such as 10.0.0.5, or * for all.",
                ) from None
    return found


def split_addresses(value: str) -> list[str]:
    """The addresses of ``listen_addresses``."""
    return [item.strip().strip('"') for item in value.split(",") if item.strip()]


def covers(value: str, wanted: Iterable[str]) -> bool:
    """Whether a server that listens there is reached at all these addresses."""
    own = [item.lower() for item in split_addresses(value)]
    return all(_listens(own, item.lower()) for item in wanted)


def _listens(own: list[str], address: str) -> bool:
    if EVERYWHERE in own or address in own:
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return ("0.0.0.0" if parsed.version == 4 else "::") in own  # noqa: S104 - what is compared


def choose_addresses(bare: str, asked: list[str], clients: Iterable[str]) -> str:
    """What ``listen_addresses`` has to be: nobody who reaches the server now stops doing so.

    :param bare: what it is without us.
    :param asked: the inventory's addresses; none: all, where clients come from other machines.
    """
    beyond = [client for client in clients if not _is_loopback(client)]
    local = all(item.lower() in LOOPBACKS for item in split_addresses(bare))
    wanted = asked or ([EVERYWHERE] if beyond and local else [])
    if covers(bare, wanted):
        return bare
    if EVERYWHERE in wanted:
        return EVERYWHERE
    return ",".join(dict.fromkeys([*split_addresses(bare), *wanted]))


def _is_loopback(client: str) -> bool:
    network = hba.find_network(client)
    return network.is_loopback if network is not None else client == "localhost"


def choose(
    settings: Settings, block: range, certificate: str, key: str, asked: list[str], clients: list[str]
) -> dict[str, str]:
    """The settings of our block.

    :param certificate: path of our certificate; "" leaves what is there.
    :raises RtcError: something else decides on one, after any line of the file.
    """
    listen = settings.find_bare("listen_addresses", block)
    wanted = {"ssl": "on", "listen_addresses": choose_addresses(listen, asked, clients)}
    if certificate:
        wanted.update(ssl_cert_file=certificate, ssl_key_file=key)
    found = {}
    for name, value in wanted.items():
        bare = settings.find_bare(name, block)
        if bare == value or (name == "ssl" and is_on(bare)):
            continue
        above = settings.find_above(name, block)
        if above:
            raise RtcError(
                f"{name} is {bare!r} by {above}, which a line in {settings.config_file} does not change; it has to be"
                f" {value!r}.",
                f"Set it there, or take it away there{f': ALTER SYSTEM RESET {name};' if 'ALTER' in above else ''}.",
            )
        found[name] = value
    return found


def take_out(text: str) -> tuple[str, range]:
    """The file without our block, and the lines that it had, from 1.

    :raises RtcError: one of its ends is missing.
    """
    bare, was = hba.take_out(text)
    if was is None:
        return bare, range(0)
    return bare, range(was + 1, was + 1 + text.count("\n") - bare.count("\n"))


def render(bare: str, values: Mapping[str, str]) -> str:
    """The file with our block at its end, where it decides."""
    if not values:
        return bare
    lines = [f"{name} = '{value}'" for name, value in values.items()]
    start = bare if not bare or bare.endswith("\n") else bare + "\n"
    return start + "\n".join([BEGIN, *lines, END]) + "\n"
