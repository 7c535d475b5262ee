# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words of a shell script: what they become, as far as that can be known without running it."""

from __future__ import annotations

import posixpath
import re
from typing import Callable, List, Optional, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._shell import arithmetic, patterns, printing
from ansible_collections.collab.rtc.plugins.module_utils._shell.braces import expand_braces
from ansible_collections.collab.rtc.plugins.module_utils._shell.syntax import ASSIGNMENT, find_end, parse, unescape

UNKNOWN = "\x00"  # stands for what only running could tell
# Within words that are being expanded: the border of two fields, an active pattern character, a quote, and a list
# without items, which is no field even in quotes.
_BORDER, _ACTIVE, _QUOTES, _NOTHING = "\x01", "\x02", "\x03", "\x04"
_HOME = re.compile(r"~([\w-]*)(?=[/:]|\Z)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_LONGEST = 1 << 14  # characters of a value; none of use is longer
# Characters that are gone through in reading a script; a real one has ten thousand, and loops.
MOST_WORK = 2_000_000
_LONGEST_SUM = 1000  # characters of an arithmetic expression
# Set by whatever starts a script: not known to be absent because no file says so.
_GIVEN = frozenset(
    [
        *(
            "HOME",
            "USER",
            "LOGNAME",
            "HOSTNAME",
            "HOSTTYPE",
            "OSTYPE",
            "PATH",
            "PWD",
            "OLDPWD",
            "RANDOM",
            "UID",
            "EUID",
        ),
        *("PPID", "SHELL", "SECONDS", "LINENO"),
    ]
)

Reader = Callable[[str], Optional[str]]
Exists = Callable[[str], bool]
Names = Callable[[str], List[str]]
Real = Callable[[str], str]


class Exhausted(Exception):
    """Reading a script on would take too long: whoever wrote it can make it take for ever."""


class Words:
    """Variables, and words expanded with them."""

    def __init__(
        self,
        environment: dict[str, str],
        read: Reader | None,
        exists: Exists | None,
        real: Real | None,
        names: Names | None,
    ) -> None:
        self.variables = dict(environment)
        self.arrays: dict[str, list[str]] = {}
        self.arguments: list[str] = []
        while str(len(self.arguments) + 1) in environment:
            self.arguments.append(self.variables.pop(str(len(self.arguments) + 1)))
        self.exported = {name for name in environment if name[:1].isalpha() or name[:1] == "_"}
        self.exports_all = False
        self.fixed: set[str] = set()  # by readonly: a later assignment changes nothing
        self.plain = False  # dash reads it
        self.given: dict[str, str] = {}  # what the present command alone has in its environment
        self.anything = ""  # the place after which any variable may have any value
        self.read, self.exists, self.real, self.names = read, exists, real, names
        self.cat = read  # what cat prints, which the values of variables may show
        self.input: str | None = None  # what a pipe or a here-document gives
        self.causes: dict[str, str] = {}  # variable -> the place that makes its value unknown
        self.cause = ""  # of the last unknown value
        self.status: bool | None = True  # of the last command; None for unknown
        self.previous: bool | None = True  # of the command before the present one
        self.path, self.line = "", 1
        self.work = 0  # characters that were gone through

    @property
    def here(self) -> str:
        """The place of the present command."""
        return f"{self.path}:{self.line}" if self.path else f"line {self.line}"

    def unknown(self, cause: str = "") -> str:
        """An unknown value, which this place is the cause of."""
        self.cause = cause or self.here
        return UNKNOWN

    def spend(self, work: int) -> None:
        """Note that so many characters are gone through.

        :raises Exhausted: they are too many.
        """
        self.work += work
        if self.work > MOST_WORK:
            raise Exhausted

    def read_output(self, body: str) -> str:
        """What the commands of a substitution print."""
        return self.unknown()

    # Variables and words

    def set(self, name: str, value: str) -> None:
        if len(value) > _LONGEST:
            value = self.unknown()
        if name in self.fixed:
            return
        self.arrays.pop(name, None)
        self.variables[name] = value
        self.exported.update([name] if self.exports_all else [])
        if UNKNOWN in value:
            self.causes[name] = self.cause or self.here
        else:
            self.causes.pop(name, None)

    def assign(self, word: str) -> None:
        match = ASSIGNMENT.match(word)
        if match is None:
            return
        name, index, more = match.group(1), match.group(2), match.group(3)
        if name in self.fixed:
            return
        raw = word[match.end() :]
        if raw.startswith("(") and not index:
            known = [self.variables[name]] if name in self.variables else []
            before = self.arrays.get(name, known) if more else []
            words = [word for line in parse("x " + raw[1:-1])[0] for part in line.parts for word in part.words][1:]
            items = [item for one in words for item in self.expand_fields(one)]
            if any(re.match(r"\[[^]]*\]\+?=", one) for one in words):  # by their keys
                items = [self.unknown()]
            self.arrays[name] = [*before, *items]
            self.variables[name] = (self.arrays[name] or [""])[0]
            if any(UNKNOWN in item for item in items):
                self.causes[name] = self.cause or self.here
            return
        value = self.expand(raw, assigns=True)
        if index and index[1:-1].isdecimal():
            items = self.arrays.setdefault(name, [self.variables[name]] if name in self.variables else [])
            items += [""] * (int(index[1:-1][:3]) + 1 - len(items))
            items[int(index[1:-1][:3])] = value
        elif index:
            self.arrays[name] = [self.unknown()]
        else:
            self.set(name, self.variables.get(name, "") + value if more else value)

    def get(self, name: str) -> str | None:
        """The value of a variable or parameter; ``None`` when it is not set."""
        if name.isdecimal() and name != "0":
            return self.arguments[int(name) - 1] if int(name[:4]) <= len(self.arguments) else None
        if name in ("@", "*"):
            return " ".join(self.arguments)
        if name == "#":
            return str(len(self.arguments))
        value = self.variables.get(name)
        if name == "?" and self.previous is not None:
            return "0" if self.previous else "1"
        if value is None and (name in _GIVEN or name in ("0", "?", "$", "!", "-")):
            return self.unknown()
        if value is not None and UNKNOWN in value:
            self.cause = self.causes.get(name) or self.here
        return value

    def expand(self, word: str, assigns: bool = False) -> str:
        """The value of a raw word: quotes removed, parameters replaced, no splitting."""
        return _unmark(self._mark(word, "assign" if assigns else "word"))

    def expand_quoted(self, text: str) -> str:
        return _unmark(self._mark(text.replace('"', '\\"'), "word", True).replace('\\"', '"'))

    def expand_fields(self, word: str) -> list[str]:
        """What a raw word becomes as arguments of a command: split, patterns replaced by the names of files."""
        found = []
        words = [word] if self.plain else expand_braces(word)
        for item in (item for one in words for item in self._mark(one, "fields").split(_BORDER)):
            if _ACTIVE in item:
                found += self._find_files(item)
            elif item and (_NOTHING not in item or _unmark(item)):
                found.append(_unmark(item))
        return found

    def _find_files(self, marked: str) -> list[str]:
        plain = _unmark(marked)
        if not re.search(r"[*?]|\[.+\]", plain):  # as the command [ is none
            return [plain]
        if UNKNOWN in plain or self.names is None:
            return [self.unknown() if "/" in plain else plain]
        folder, _slash, last = _to_pattern(marked).rpartition("/")
        if _ACTIVE in marked.rpartition("/")[0] or not plain.startswith("/"):
            return [self.unknown()]
        folder = plain.rpartition("/")[0]
        names = self.names(folder)
        self.spend(10 * len(names))
        names = [name for name in names if patterns.matches(name, last) and not name.startswith(".")]
        return [f"{folder}/{name}" for name in sorted(names)] or [plain]

    def pattern(self, word: str) -> str:
        return _to_pattern(self._mark(word, "pattern"))

    def _mark(self, word: str, mode: str, quoted: bool = False) -> str:
        """A word expanded, with marks. ``mode``: "word", "assign" (tildes after colons), "fields" or "pattern"."""
        self.spend(len(word))
        out: list[str] = []
        index = 0
        while index < len(word):
            char = word[index]
            if char == "\\":
                following = word[index + 1 : index + 2]
                if following != "\n":
                    out.append("\\" + following if quoted and following not in ("$", "`", '"', "\\") else following)
                index += 2
            elif char == '"':
                quoted = not quoted
                out.append(_QUOTES)
                index += 1
            elif not quoted and (char == "'" or word.startswith("$'", index)):
                end = find_end(word, index)
                text = word[index + 1 + (char == "$") : end - 1]
                out.append(_QUOTES + (unescape(text) if char == "$" else text))
                index = end
            elif not quoted and word.startswith('$"', index):  # translated: as in double quotes
                index += 1
            elif char in "`$" or (char in "<>" and word.startswith("(", index + 1)):
                text, index = self._substitute(word, index, mode, quoted)
                out.append(text)
            elif (
                char == "~"
                and not quoted
                and _HOME.match(word, index)
                and (index == 0 or (mode == "assign" and word[index - 1] == ":"))
            ):
                user = _HOME.match(word, index)[1]  # type: ignore[index] # it matches
                out.append(self.unknown() if user else self.get("HOME") or "")
                index += 1 + len(user)
            else:
                out.append(_ACTIVE + char if char in "*?[" and not quoted and mode in ("fields", "pattern") else char)
                index += 1
        return "".join(out)

    def _substitute(self, word: str, index: int, mode: str, quoted: bool) -> tuple[str, int]:
        """The value of what begins with ``$`` or a backtick, and where it ends."""
        if word[index] in "<>":
            return self.unknown(), len(word)
        if word.startswith("$[", index):  # arithmetic of old
            return self.unknown(), len(word)
        end = find_end(word, index, quoted) if word[index] == "`" or word[index + 1 : index + 2] in ("(", "{") else 0
        if word.startswith("${", index):
            return self._expand_braced(word[index + 2 : end - 1], mode, quoted), end
        if word.startswith("$((", index) and word[end - 2 : end] == "))":
            number = self.calculate(word[index + 3 : end - 2])
            return self.unknown() if number is None else str(number), end
        if end:
            body = word[index + 2 : end - 1]
            if word[index] == "`":
                body = re.sub(r'\\([$`\\"])' if quoted else r"\\([$`\\])", r"\1", word[index + 1 : end - 1])
            return self._insert(self.read_output(body), mode, quoted), end
        match = _NAME.match(word, index + 1)
        if match is None:
            return "$", index + 1
        name = match.group()[:1] if match.group()[0].isdecimal() else match.group()
        if name in ("@", "*"):
            return self._insert_list(self.arguments, name, mode, quoted), index + 2
        return self._insert(self.get(name) or "", mode, quoted), index + 1 + len(name)

    def calculate(self, text: str) -> int | None:
        """The value of an arithmetic expression, with its assignments; ``None`` for unknown."""
        if len(text) > _LONGEST_SUM:
            self.anything = self.anything or self.here
            return None
        self.spend(10 * len(text))
        return arithmetic.calculate(self.expand_quoted(text), self.get, self._set_number)

    def _set_number(self, name: str, number: int | None) -> None:
        self.set(name, self.unknown() if number is None else str(number))

    def _insert(self, value: str, mode: str, quoted: bool) -> str:
        self.spend(len(value))
        if quoted or mode in ("word", "assign"):
            return value
        if mode == "fields":
            separators = self.variables.get("IFS", " \t\n")
            value = re.sub(f"[{re.escape(separators)}]+", _BORDER, value) if separators else value
        return re.sub(r"[*?\[]", lambda match: _ACTIVE + match.group(), value)

    def _insert_list(self, items: Sequence[str], sign: str, mode: str, quoted: bool) -> str:
        if quoted and sign == "@" and mode == "fields":
            self.spend(sum(map(len, items)) + len(items))
            return _BORDER.join(_QUOTES + item for item in items) if items else _NOTHING
        separators = self.given.get("IFS", self.variables.get("IFS", " "))
        joined = (separators[:1] if sign == "*" else " ").join(items)
        self.spend(len(joined))
        return joined if quoted else self._insert(joined, mode, quoted)

    def _expand_braced(self, body: str, mode: str, quoted: bool) -> str:
        counts = body.startswith("#") and len(body) > 1
        if re.fullmatch(r"![A-Za-z_]\w*", body):
            body = self._get_name(body[1:])
        match = _NAME.match(body, 1 if counts else 0)
        if match is None:
            return self.unknown()
        name, rest = match.group(), body[match.end() :]
        index = re.match(r"\[([^]]*)\]", rest)
        value, items = self.get(name), self.arrays.get(name)
        if index:
            rest = rest[index.end() :]
            items = items if items is not None else [value] if value is not None else []
            whole = index.group(1) in ("@", "*")
            at = 0 if whole else self.calculate(index.group(1))
            if at is None or at < 0 or UNKNOWN in items:
                return self.unknown()
            value = items[at] if at < len(items) else None
            if (
                whole
                and not counts
                and rest[:2] not in (":-", ":=", ":+", ":?")
                and rest[:1] not in ("-", "=", "+", "?")
            ):
                items = self._edit_all(items, rest)
                return self._insert_list(items, index.group(1), mode, quoted)
            value = " ".join(items) if whole and items else value
        if counts:
            number = len(items) if index and items is not None and index.group(1) in ("@", "*") else len(value or "")
            return self.unknown() if rest or UNKNOWN in (value or "") else str(number)
        missing = value is None or (value == "" and rest.startswith(":"))
        operator = rest[1:2] if rest.startswith(":") and rest[1:2] in ("-", "=", "+", "?") else rest[:1]
        other = rest[2:] if rest.startswith(":") and rest[1:2] == operator else rest[1:]
        if operator in ("-", "="):
            if not missing:
                return self._insert(value or "", mode, quoted)
            if operator == "=":
                self.set(name, self.expand(other))
            return self._mark(other, mode, quoted)
        if operator == "+":
            return "" if missing else self._mark(other, mode, quoted)
        if not rest or operator == "?":
            return self._insert(value or "", mode, quoted)
        if not value or UNKNOWN in value:
            return "" if not value else self.unknown()
        return self._insert(self._edit(value, rest), mode, quoted)

    def _get_name(self, name: str) -> str:
        """The name that a variable holds, for ``${!name}``; "!" when that is unknown."""
        value = self.get(name) or ""
        return value if re.fullmatch(r"[A-Za-z_]\w*", value) else "!"

    def _edit_all(self, items: Sequence[str], rest: str) -> list[str]:
        """``${X[@]:1:2}`` takes some; all else is done to each."""
        cut_out = re.fullmatch(r":\s*(\d+)(?::(\d+))?", rest)
        if not rest:
            return list(items)
        if cut_out:
            start = int(cut_out.group(1))
            return list(items[start : start + int(cut_out.group(2))] if cut_out.group(2) else items[start:])
        return [self._edit(item, rest) for item in items]

    def _edit(self, value: str, rest: str) -> str:
        """``${X#...}``, ``${X%...}``, ``${X/...}``, ``${X:...}``."""
        self.spend(20 * len(value))  # a pattern is tried at each of them
        greedy = rest[:2] in ("##", "%%", "//")
        sign, raw = rest[0], rest[2:] if greedy else rest[1:]
        pattern = self.pattern(raw) if sign in "#%" else ""
        if sign in "#%" and len(value) < 1024 and pattern.count("*") < 5:
            cuts = range(len(value) + 1) if (sign == "#") != greedy else range(len(value), -1, -1)
            for cut in cuts:
                if patterns.matches(value[:cut] if sign == "#" else value[cut:], pattern):
                    return value[cut:] if sign == "#" else value[:cut]
            return value if UNKNOWN not in pattern else self.unknown()
        if sign == "/":
            what, _slash, new = raw.partition("/")
            what, new = _unmark(self._mark(what, "pattern")), self.expand(new)
            plain = what and not re.search(r"[*?\[#%]", what[:1] + what) and UNKNOWN not in what
            return value.replace(what, new, -1 if greedy else 1) if plain else self.unknown()
        cut_out = re.fullmatch(r":\s*(\d+)(?::(\d+))?", rest)
        if cut_out:
            start = int(cut_out.group(1))
            return value[start : start + int(cut_out.group(2))] if cut_out.group(2) else value[start:]
        return {"^^": value.upper(), ",,": value.lower()}.get(rest) or self.unknown()

    def locate(self, path: str) -> str:
        """A path from ``/`` on; :data:`UNKNOWN` where the directory is unknown that it starts from."""
        if path.startswith("/") or not path:
            return path
        folder = self.variables.get("PWD", UNKNOWN)
        return UNKNOWN if UNKNOWN in folder + path else posixpath.normpath(f"{folder}/{path}")

    def set_options(self, rest: list[str]) -> None:
        """``set``: arguments, and whether all variables are exported."""
        if "--" in rest:
            self.arguments = rest[rest.index("--") + 1 :]
        if rest[:1] == ["-a"] or rest == ["-o", "allexport"]:
            self.exports_all = True
        elif rest[:1] == ["+a"] or rest == ["+o", "allexport"]:
            self.exports_all = False

    def unset(self, names: list[str]) -> None:
        for name in (one for one in names if one.partition("[")[0] not in self.fixed):
            array = name.partition("[")
            if array[1]:  # one of its items
                self.arrays[array[0]] = [self.unknown()]
            self.variables.pop(name, None)
            self.arrays.pop(name, None)
            self.causes.pop(name, None)

    def shift(self, rest: list[str]) -> None:
        self.arguments = self.arguments[int(rest[0]) if rest and rest[0].isdecimal() else 1 :]

    def change_directory(self, name: str, rest: list[str]) -> None:
        """``cd``, ``pushd``, ``popd``."""
        to = next((item for item in rest if not item.startswith("-")), "" if name != "popd" else UNKNOWN)
        path = posixpath.normpath(to) if to.startswith("/") else self.locate(to or UNKNOWN)
        if UNKNOWN not in path and self.exists is not None and not self.exists(path):
            self.status = False
            return
        self.variables["PWD"] = self.unknown() if UNKNOWN in path else path
        self.status = None if UNKNOWN in path else True

    def read_values(self, name: str, rest: list[str]) -> None:
        """``read`` of what a pipe, here-document or here-string gives: its line in words. All else is unknown."""
        options = "".join(item[1:] for item in rest if item.startswith("-"))
        names = [item for item in rest if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", item)]
        whole = "d" in options  # up to another character than the end of the line; commonly none, for all of it
        known = name == "read" and self.input is not None and (not whole or len(names) == 1)
        separators = self.given.get("IFS", self.variables.get("IFS", " \t\n"))
        text = (self.input or "").strip() if whole else (self.input or "").partition("\n")[0]
        fields = [text] if whole else printing.split_line(text, separators, 0 if "a" in options else len(names))
        if any(UNKNOWN in item for item in rest) and "p" not in options:
            self.anything = self.anything or self.here
        for at, variable in enumerate(names):
            self.set(variable, (fields[at] if at < len(fields) else "") if known else self.unknown())
            if "a" in options or name != "read":
                self.arrays[variable] = fields if known else [self.unknown()]
        self.status = None

    def _echo(self, rest: list[str]) -> str:
        if "\\" in " ".join(rest) and (self.plain or {"-e", "-ne", "-en"} & set(rest[:2])):
            return self.unknown()
        ends = "" if "-n" in rest[:2] else "\n"
        return " ".join(item for at, item in enumerate(rest) if at or item not in ("-n", "-e", "-E")) + ends

    def guess_output(self, name: str, rest: list[str]) -> str:
        """What commands print that scripts use to find paths; :data:`UNKNOWN` for all others."""
        words = [item for item in rest if not item.startswith("-")]
        path = words[0] if len(words) == 1 else UNKNOWN
        place = self.locate(path)
        found: str | None = None
        if name == "echo":
            return self._echo(rest)
        if name == "printf" and rest:
            found = printing.format_printf(rest[0], rest[1:])
        elif name == "pwd":
            found = self.get("PWD")
        elif name == "ls" and words and self.names is not None and UNKNOWN not in "".join(words):
            found = "\n".join((self.names(path) if len(words) == 1 else []) or words)
        elif (
            (name == "which" or rest[:1] == ["-v"] or (name == "type" and rest[:1] in (["-p"], ["-P"])))
            and len(words) == 1
            and self.exists is not None
        ):
            folders = (self.get("PATH") or "").split(":")
            found = next((f"{one}/{path}" for one in folders if UNKNOWN in one or self.exists(f"{one}/{path}")), "")
        elif name == "uname" and rest in ([], ["-s"]):
            found = "Linux"
        elif name == "cat" and not words:
            found = self.input
        elif name == "cat" and UNKNOWN not in place and self.cat is not None:
            found = self.cat(place)
            if found is None and self.exists is not None and not self.exists(place):
                found = ""  # and an error
        elif name == "dirname" and UNKNOWN not in path:
            found = posixpath.dirname(path.rstrip("/") or "/") or "."
        elif name == "basename" and words and UNKNOWN not in words[0]:
            found = words[0].rstrip("/").rpartition("/")[2]
            found = found[: -len(words[1])] if words[1:] and words[1] and found.endswith(words[1]) else found
        elif name in ("readlink", "realpath") and place.startswith("/") and self.real is not None:
            found = self.real(place) if name == "realpath" or any(item in rest for item in ("-f", "-e", "-m")) else None
        return self.unknown() if found is None else found


def _unmark(marked: str) -> str:
    return re.sub(f"[{_ACTIVE}{_QUOTES}{_NOTHING}]", "", marked).replace(_BORDER, " ")


def _to_pattern(marked: str) -> str:
    """A pattern for ``fnmatch``: what is not active stands for itself."""
    marked = marked.replace(_QUOTES, "")
    marked = re.sub(f"(?<!{_ACTIVE})[*?\\[]", r"[\g<0>]", marked)
    return marked.replace(_ACTIVE + "[!", "[!").replace(_ACTIVE + "[^", "[!").replace(_ACTIVE, "")
