# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``pg_hba.conf``: which line decides on a connection, and where a block of ours takes effect. Pure.

The rules are those of PostgreSQL's ``hba.c`` and of its manual, "The pg_hba.conf File". Where a line cannot be judged
without asking others, such as one with a host's name, it counts as one that might decide.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from dataclasses import dataclass, field
from typing import Callable, Iterable, Iterator, NamedTuple, Union

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

BEGIN = "# BEGIN collab.rtc: written by the role rtc_store, which overwrites changes"
END = "# END collab.rtc"
CONTINUED = 14  # the first version in which a backslash at the end of a line continues it
INCLUDES = 16  # the first version with include, and with regular expressions for databases and users
_DEPTH = 10  # of includes, as CONF_FILE_MAX_DEPTH
# Kinds of lines that a connection with TLS can match.
_KINDS = ("host", "hostssl", "hostnogssenc")
_ALL_KINDS = ("local", "hostnossl", "hostgssenc", *_KINDS)
_BLANK = " \t\r"  # pg_isblank
_CLASS = re.compile(r"\[[:.=]")  # such as [:alnum:], inside of brackets ("POSIX Regular Expressions")

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Read = Callable[[str], "str | None"]  # the text of a file; None where there is none
ListDirectory = Callable[[str], Iterable[str]]


class Token(NamedTuple):
    """A word of a line. What is quoted is no keyword."""

    text: str
    quoted: bool


@dataclass(frozen=True)
class Grant:
    """Whom a line of ours lets in: one user, from one network or host, into one database."""

    database: str
    owner: str
    client: str  # a network such as 10.0.0.0/24, or a name
    groups: frozenset[str] = frozenset()  # roles that the owner is a member of

    def render(self) -> str:
        """Our line."""
        return f"hostssl {quote(self.database)} {quote(self.owner)} {self.client} scram-sha-256"


@dataclass(frozen=True)
class Rule:
    """A line that PostgreSQL reads, in the main file or in one that it includes."""

    where: str  # "path:line"
    top: int  # index of the main file's line that it comes from
    kind: str
    databases: tuple[Token, ...] = ()
    users: tuple[Token, ...] = ()
    address: str = ""
    mask: str = ""
    method: str = ""
    text: str = ""

    @property
    def is_default(self) -> bool:
        """Whether it refuses whoever was not let in before: the usual last line."""
        everybody = Token("all", False)
        network = find_network(self.address, self.mask)
        wide = self.address == "all" or (network is not None and network.prefixlen == 0)
        return self.method == "reject" and wide and everybody in self.databases and everybody in self.users


@dataclass
class Placing:
    """The file with our block in it, and what is worth saying about the lines around it."""

    text: str
    notes: list[str] = field(default_factory=list)


def quote(name: str) -> str:
    """A name that is no keyword to PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'


def check_client(text: str) -> str:
    """A network, or name of a host, as a line has it.

    :raises RtcError: it is neither.
    """
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        pass
    if re.fullmatch(r"(?!\d+(\.\d+)*$)\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", text) and text.lower() not in (
        *("all", "samehost", "samenet"),
    ):
        return text.lower()
    raise RtcError(
        f"rtc_store_databases: clients: '{text}' is no address, network or name of a host.",
        "Give addresses of the RTC nodes, such as 10.0.0.11 or 10.0.0.0/24.",
    )


def find_network(address: str, mask: str = "") -> Network | None:
    """The network of a line's address; ``None`` for a name or keyword."""
    try:
        return ipaddress.ip_network(f"{address}/{mask}" if mask else address, strict=False)
    except ValueError:
        return None


# --- reading ------------------------------------------------------------------------------------


def split_lines(text: str, version: int) -> Iterator[tuple[int, int, str]]:
    """First and last index of each logical line, and its text with continuations joined."""
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    first, joined = 0, ""
    for number, line in enumerate(lines):
        stripped = line[:-1] if line.endswith("\r") else line
        if version >= CONTINUED and stripped.endswith("\\"):
            joined += stripped[:-1]
            continue
        yield first, number, joined + stripped
        first, joined = number + 1, ""
    if first < len(lines):  # the last line is continued by nothing
        yield first, len(lines) - 1, joined


def split_fields(text: str) -> list[list[Token]]:
    """The fields of a line, each a list of words, as ``next_field_expand`` of hba.c splits them."""
    fields: list[list[Token]] = []
    position, size = 0, len(text)
    while True:
        found: list[Token] = []
        more = True
        while more:
            while position < size and (text[position] in _BLANK or text[position] == ","):
                position += 1
            word, position, quoted, more, any_word = _read_token(text, position)
            if not any_word:
                break
            found.append(Token(word, quoted))
        if not found:
            return fields
        fields.append(found)


def _read_token(text: str, position: int) -> tuple[str, int, bool, bool, bool]:
    """Word, where it ends, whether it begins with a quote, whether a comma follows, and whether there is one."""
    start, word = position, ""
    inside = was_quote = quoted = saw = False
    while position < len(text) and (inside or text[position] not in _BLANK):
        char = text[position]
        if char == "#" and not inside:
            return word, len(text), quoted, False, bool(word) or saw
        position += 1
        if char == "," and not inside:
            return word, position, quoted, True, True
        if char != '"' or was_quote:
            word += char
        was_quote = (not was_quote) if inside and char == '"' else False
        if char == '"':
            inside, saw = not inside, True
            quoted = quoted or position == start + 1
    return word, position, quoted, False, bool(word) or saw


def parse(
    path: str,
    text: str,
    version: int,
    read: Read,
    list_directory: ListDirectory,
    depth: int = 0,
    top: int | None = None,
) -> list[Rule]:
    """All lines that PostgreSQL reads, in its order, those of included files too.

    :param path: of the file, which relative includes are relative to.
    :param version: PostgreSQL's major one.
    :param read: the text of an included file.
    :raises RtcError: a line cannot be read, or a file that it includes is missing.
    """
    if depth > _DEPTH:
        raise RtcError(f"{path}: it includes itself, or too many others.", "Correct pg_hba.conf.")
    rules: list[Rule] = []
    for first, _last, line in split_lines(text, version):
        fields = split_fields(line)
        if not fields:
            continue
        where, anchor = f"{path}:{first + 1}", first if top is None else top
        kind = fields[0][0].text
        if kind.startswith("include") and version >= INCLUDES:
            for name in _list_included(where, path, fields, list_directory):
                content = read(name)
                if content is not None:
                    rules += parse(name, content, version, read, list_directory, depth + 1, anchor)
                elif kind == "include":
                    raise RtcError(f"{where}: {name} cannot be read.", "Correct pg_hba.conf.")
        else:
            shown = line.strip().encode("utf-8", "replace").decode()  # comments may be in any encoding
            rules.append(_make_rule(where, anchor, fields, shown, path, read))
    return rules


def _list_included(where: str, path: str, fields: list[list[Token]], list_directory: ListDirectory) -> list[str]:
    kind = fields[0][0].text
    if kind not in ("include", "include_if_exists", "include_dir") or len(fields) < 2:
        raise RtcError(f"{where}: '{kind}' cannot be read.", "Correct pg_hba.conf.")
    name = posixpath.join(posixpath.dirname(path), fields[1][0].text)
    if kind != "include_dir":
        return [name]
    names = sorted(one for one in list_directory(name) if one.endswith(".conf") and not one.startswith("."))
    return [posixpath.join(name, one) for one in names]


def _make_rule(where: str, top: int, fields: list[list[Token]], text: str, path: str, read: Read) -> Rule:
    kind = fields[0][0].text
    least = 4 if kind == "local" else 5
    if kind not in _ALL_KINDS or len(fields) < least:
        raise RtcError(f"{where}: '{text}' cannot be read.", "Correct pg_hba.conf: PostgreSQL refuses it, too.")
    databases, users = (tuple(_expand(item, path, where, read)) for item in fields[1:3])
    if kind == "local":
        return Rule(where, top, kind, databases, users, method=fields[3][0].text, text=text)
    address, mask, rest = fields[3][0].text, "", fields[4:]
    single = "/" not in address and find_network(address) is not None
    if single and len(rest) > 1:
        mask, rest = rest[0][0].text, rest[1:]
    return Rule(where, top, kind, databases, users, address, mask, rest[0][0].text, text)


def _expand(tokens: list[Token], path: str, where: str, read: Read, depth: int = 0) -> Iterator[Token]:
    """Words, with those of files that ``@name`` stands for."""
    for token in tokens:
        if token.quoted or not token.text.startswith("@") or len(token.text) < 2:
            yield token
            continue
        name = posixpath.join(posixpath.dirname(path), token.text[1:])
        content = read(name) if depth < _DEPTH else None
        if content is None:
            raise RtcError(f"{where}: {name} cannot be read.", "Correct pg_hba.conf.")
        for line in content.split("\n"):
            for words in split_fields(line):
                yield from _expand(words, name, where, read, depth + 1)


# --- who decides --------------------------------------------------------------------------------


def decides(rule: Rule, grant: Grant, version: int) -> bool:
    """Whether a line decides on connections of a grant, on some of them at least."""
    return (
        rule.kind in _KINDS
        and any(_fits_database(token, grant, version) for token in rule.databases)
        and any(_fits_user(token, grant, version) for token in rule.users)
        and _meets(rule, grant.client)
    )


def _fits_database(token: Token, grant: Grant, version: int) -> bool:
    roles = {grant.owner, *grant.groups}
    if not token.quoted:
        if token.text == "all":
            return True
        if token.text == "sameuser":
            return grant.database == grant.owner
        if token.text in ("samerole", "samegroup"):
            return grant.database in roles
        if token.text == "replication":
            return False
    return _fits_name(token.text, grant.database, version)


def _fits_user(token: Token, grant: Grant, version: int) -> bool:
    if not token.quoted:
        if token.text == "all":
            return True
        if token.text.startswith("+"):
            return token.text[1:] in {grant.owner, *grant.groups}
    return _fits_name(token.text, grant.owner, version)


def _fits_name(text: str, name: str, version: int) -> bool:
    if version >= INCLUDES and text.startswith("/"):
        if _CLASS.search(text):  # Python reads these as other sets of characters
            return True
        try:
            return re.search(text[1:], name) is not None
        except re.error:  # PostgreSQL's expressions are not all Python's
            return True
    return text == name


def _meets(rule: Rule, client: str) -> bool:
    if rule.address == "all":
        return True
    theirs, ours = find_network(rule.address, rule.mask), find_network(client)
    if theirs is None or ours is None:  # a name: who it is, is known when somebody comes
        return theirs is not None or ours is not None or _share_names(rule.address.lower(), client)
    return theirs.version == ours.version and theirs.overlaps(ours)


def _share_names(one: str, other: str) -> bool:
    if one in ("samehost", "samenet"):
        return True
    inside = (other.startswith(".") and one.endswith(other)) or (one.startswith(".") and other.endswith(one))
    return one == other or inside


# --- our block ----------------------------------------------------------------------------------


def take_out(text: str) -> tuple[str, int | None]:
    """The file without our block, and the index of the line where that was; ``None`` where there was none.

    :raises RtcError: one of the block's ends is missing.
    """
    lines = text.split("\n")
    begins = [number for number, line in enumerate(lines) if line.rstrip("\r") == BEGIN]
    ends = [number for number, line in enumerate(lines) if line.rstrip("\r") == END]
    if not begins and not ends:
        return text, None
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        number = min(begins + ends) + 1
        raise RtcError(
            f"line {number}: the marks of this collection's block do not belong together.",
            f"Remove the lines '{BEGIN}' and '{END}' and what is between them.",
        )
    return "\n".join(lines[: begins[0]] + lines[ends[0] + 1 :]), begins[0]


def place(
    path: str, text: str, grants: list[Grant], version: int, read: Read, list_directory: ListDirectory
) -> Placing:
    """Put our lines where they take effect: before the first line that would decide instead, else at the end.

    :param grants: none takes the block out.
    :raises RtcError: the file cannot be read, or a line refuses on purpose whom a grant lets in.
    """
    bare, was = take_out(text)
    if not grants:
        return Placing(bare)
    rules = parse(path, bare, version, read, list_directory)
    size = len(bare.split("\n")) - (1 if bare.endswith("\n") or not bare else 0)
    at = size if was is None else was
    notes = []
    for grant in grants:
        first = next((rule for rule in rules if decides(rule, grant, version)), None)
        if first is None or first.top >= (size if was is None else was):
            continue
        if first.method == "reject" and not first.is_default:
            raise RtcError(
                f"{first.where} refuses {grant.owner} from {grant.client}: {first.text}",
                "Take that line away, or the address from clients of rtc_store_databases.",
            )
        at = min(at, first.top)
        note = f"{first.where} would decide first ('{first.text}'): our lines are before it."
        notes += [] if note in notes else [note]
    lines = bare.split("\n")
    if bare.endswith("\n") or not bare:
        lines.pop()
    block = [BEGIN, *dict.fromkeys(grant.render() for grant in grants), END]
    if at and version >= CONTINUED and lines[at - 1].rstrip("\r").endswith("\\"):
        block.insert(0, "")  # else it would continue that line
    placed = "\n".join([*lines[:at], *block, *lines[at:]]) + "\n"
    _require_effect(path, placed, grants, version, read, list_directory)
    return Placing(placed, notes)


def _require_effect(
    path: str, text: str, grants: list[Grant], version: int, read: Read, list_directory: ListDirectory
) -> None:
    lines = text.split("\n")
    begin, end = lines.index(BEGIN), lines.index(END)
    rules = parse(path, text, version, read, list_directory)
    for grant in grants:
        first = next((rule for rule in rules if decides(rule, grant, version)), None)
        if first is None or not begin < first.top < end:
            other = first.where if first else "no line"
            raise RtcError(f"{path}: {other} decides on {grant.owner} from {grant.client}, not our line.")
