# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Naming a trust store in bin/setenv.sh by one marked block at its end; pure.

Everything outside of the block stays byte for byte. What is written is read back with the reader of ``options`` before
it is handed out, so that the plan of the next run sees what a JVM will see.
"""

from __future__ import annotations

import re
import shlex

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._java import options
from ansible_collections.collab.rtc.plugins.module_utils._shell import syntax

PROPERTY = "javax.net.ssl.trustStore"
BEGIN = "# BEGIN collab.rtc: the trust store of its own (rtc_truststore_path)"
END = "# END collab.rtc"

_BLOCK = re.compile(
    r"^# BEGIN collab\.rtc\b[^\n]*\n(?:(?!# (?:BEGIN|END) collab\.rtc\b)[^\n]*\n)*"
    r"# END collab\.rtc\b[^\n]*(?P<last>\n|\Z)",
    re.MULTILINE,
)
_MARKER = re.compile(r"^# (?:BEGIN|END) collab\.rtc\b", re.MULTILINE)
_OPTION = re.compile(r"^[^#\n]*-D" + re.escape(PROPERTY) + r"=", re.MULTILINE)
_UNFIT = re.compile(r"[\x00-\x1f\x7f]")


class SetenvError(RtcError):
    """The script cannot be changed without risk; it is untouched."""


def block_of(text: str) -> str:
    """The marked block with its line ends, "" when there is none."""
    found = _BLOCK.search(text)
    return found.group() if found else ""


def without_block(text: str) -> str:
    """The script as it was before the block came.

    The block of a script that has no final newline has none either: the newline before it came with it.
    """
    found = _BLOCK.search(text)
    if not found:
        return text
    before = text[: found.start()]
    if not found.group("last") and before.endswith("\n"):
        before = before[:-1]
    return before + text[found.end() :]


def named(text: str, environment: dict[str, str] | None = None) -> str:
    """The trust store that a script names to the JVM, "" for none.

    :param environment: of the service that runs it.
    """
    return options.read_setenv(text, "", environment or {}).properties.get(PROPERTY, "")


def obstacle(text: str, name: str) -> SetenvError | None:
    """Why nothing can be added at the end of a script.

    :param name: how the error calls the script, usually its path.
    """
    damage = _find_damage(text, name)
    if damage:
        return damage
    rest = without_block(text)
    stop = syntax.stops(rest)
    if stop:
        return SetenvError(
            f"{name} ends with '{stop}' in any case, so that nothing after it is read.",
            f"Remove '{stop}' and run again.",
        )
    if rest.rstrip("\r\n").endswith("\\") or syntax.open_at_end(rest):
        return SetenvError(
            f"{name} ends within a command, a quotation or a here-document.",
            "Correct the script; bash -n shows where it is wrong.",
        )
    return None


def with_store(text: str, store: str, name: str) -> str:
    """The script with the block that names a trust store; unchanged where it is named already.

    :param store: absolute path of the trust store.
    :param name: how errors call the script, usually its path.
    :raises SetenvError: the script cannot be added to, names another store itself, or the path is not fit for a shell.
    """
    if not store.startswith("/") or _UNFIT.search(store):
        raise SetenvError(f"'{store}' cannot be named to the JVM.", "Give an absolute path without control characters.")
    problem = obstacle(text, name)
    if problem:
        raise problem
    rest = without_block(text)
    elsewhere = named(rest)
    if elsewhere == store and rest == text:
        return text
    if elsewhere != store:
        _refuse_other(_BLOCK.sub(_blank_out, text), elsewhere, store, name)
    found = _BLOCK.search(text)
    new = (
        text[: found.start()] + _format_block(store) + found.group("last") + text[found.end() :]
        if found
        else _append(text, store)
    )
    if named(new) != store:
        raise SetenvError(
            f"{name}: what would be added to it does not reach the JVM.",
            f"Add {option(store)} to CATALINA_OPTS by hand.",
        )
    return new


def without_store(text: str, name: str) -> str:
    """The script without the block.

    :raises SetenvError: the block is damaged.
    """
    problem = _find_damage(text, name)
    if problem:
        raise problem
    return without_block(text)


def _find_damage(text: str, name: str) -> SetenvError | None:
    markers = list(_MARKER.finditer(text))
    if len(markers) == (2 if block_of(text) else 0):
        return None
    return SetenvError(
        f"{name}, line {_count_line(text, markers[0])}: the block of collab.rtc is not whole, or is there more than "
        "once.",
        "Remove its lines, from '# BEGIN collab.rtc' to '# END collab.rtc', and run again.",
    )


def _count_line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1


def _blank_out(block: re.Match[str]) -> str:
    return "\n" * block.group().count("\n")  # the lines after it keep their numbers


def _refuse_other(rest: str, elsewhere: str, store: str, name: str) -> None:
    """Raise when a script names a trust store itself, if only under some condition; ``rest`` is without the block."""
    found = _OPTION.search(rest)
    if not elsewhere and not found:
        return
    line = f", line {_count_line(rest, found)}" if found else ""
    raise SetenvError(
        f"{name}{line}: -D{PROPERTY} is set already{f', to {elsewhere}' if elsewhere else ''}.",
        f"Remove that option, or set rtc_truststore_path to the path that it names; {store} was asked for.",
    )


def option(store: str) -> str:
    """The option of the JVM, quoted for the shell."""
    return shlex.quote(f"-D{PROPERTY}={store}")


def _format_block(store: str) -> str:
    # catalina.sh hands the value to eval, so it is quoted once for that, and once more for the assignment.
    quoted = re.sub(r'([\\"$`])', r"\\\1", option(store))
    # No carriage returns even in a script that has them: the shell would take them for a part of the path.
    return f'{BEGIN}\nCATALINA_OPTS="$CATALINA_OPTS {quoted}"\nexport CATALINA_OPTS\n{END}'


def _append(text: str, store: str) -> str:
    if not text or text.endswith("\n"):
        return text + _format_block(store) + "\n"
    return text + "\n" + _format_block(store)
