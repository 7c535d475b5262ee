# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apache httpd's configuration as a tree: includes followed, defines and conditions decided.

Lines as ``server/config.c`` takes them: a backslash at the end continues a line, a comment is a line of its own, names
are not case-sensitive. ``<IfModule>``, ``<IfDefine>``, ``<IfVersion>`` and ``<IfFile>`` are decided while reading, in
order, as httpd does; modules count from their ``LoadModule`` on; macros are put in where they are used. Nothing here
raises: what is odd becomes a note.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import version_tuple
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import MAX_DEPTH, Directive, ParsedConfig

_BUILT_IN = {"core.c", "mod_so.c", "http_core.c", "mod_log_config.c", "mod_logio.c", "mod_version.c", "mod_unixd.c"}
_CONDITIONS = ("ifmodule", "ifdefine", "ifversion", "iffile", "ifdirective", "ifsection")
_MAX_FOLDERS = 1000
_MAX_MACRO_LINES = 20000  # that all uses of macros make: one may use others, and these again others
_TOO_MANY = "Macros use each other too often; not all of them are followed."
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"?|\'((?:[^\'\\]|\\.)*)\'?|(\S+)')


@dataclass
class ApacheConfig(ParsedConfig):
    """httpd's whole configuration; names of directives and sections are in lower case."""

    directives: list[Directive] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)  # "ssl_module" and "mod_ssl.c" of each that is loaded
    defines: dict[str, str] = field(default_factory=dict)
    includes: list[str] = field(default_factory=list)  # patterns of files that are read outside of all sections
    root: str = ""  # ServerRoot: relative paths start there


@dataclass
class ParserOptions:
    """What parsing starts with."""

    server_root: str = "/etc/apache2"
    environment: dict[str, str] = field(default_factory=dict)  # of envvars
    version: str = ""  # "" is a current one
    modules: set[str] = field(default_factory=set)  # taken as loaded already
    every_module: bool = False  # a fragment without its LoadModule lines: take all as loaded
    locate: Callable[[str], str] = str
    defines: list[str] = field(default_factory=list)  # of the command line


def words(text: str) -> list[str]:
    """The arguments of a line."""
    found = []
    for match in _WORD.finditer(text):
        quoted = match.group(1) if match.group(1) is not None else match.group(2)
        found.append(match.group(3) if quoted is None else re.sub(r"\\([\"'\\])", r"\1", quoted))
    return found


@dataclass
class _Macro:
    """``<Macro>`` of ``mod_macro``: lines in which arguments are put by their names."""

    parameters: list[str]
    lines: list[str] = field(default_factory=list)

    def fill(self, args: list[str]) -> list[str]:
        """The lines of one use; "@name" stands for a value in quotes."""
        values = {name: f'"{value}"' if name.startswith("@") else value for name, value in zip(self.parameters, args)}
        if not values:
            return self.lines
        names = "|".join(re.escape(name) for name in sorted(values, key=len, reverse=True))
        return [re.sub(names, lambda found: values[found[0]], line) for line in self.lines]


class _Parser:
    def __init__(self, options: ParserOptions) -> None:
        self.options = options
        self.root = options.server_root
        self.config = ApacheConfig(modules=set(options.modules), defines=dict.fromkeys(options.defines, ""))
        # What is being read: the open sections, and for each open condition whether it holds.
        self.stack: list[Directive] = [Directive("", [], "", 0, [])]
        self.conditions: list[bool] = []
        self.macros: dict[str, _Macro] = {}
        self.macro: _Macro | None = None  # that is being defined
        self.macro_lines = 0
        self.opened: list[str] = []  # files that are being read

    def file(self, path: str, depth: int) -> None:
        if path in self.opened:  # httpd refuses that; each turn would bring all of it again
            note = f"{path}: it includes itself; not read again."
            self.config.notes += [note] if note not in self.config.notes else []
            return
        text = self.config.read(path, depth)
        if text is None:
            return
        self.opened.append(path)
        open_sections, open_conditions = len(self.stack), len(self.conditions)
        for number, line in _split_lines(text):
            self.line(path, number, line, depth)
        if len(self.stack) > open_sections:
            self.config.notes.append(f"{path}:{self.stack[-1].line}: <{self.stack[-1].name}> is not closed.")
        if self.macro is not None:
            self.config.notes.append(f"{path}: <Macro> is not closed.")
            self.macro = None
        del self.stack[open_sections:]
        del self.conditions[open_conditions:]
        self.opened.remove(path)

    def line(self, path: str, number: int, text: str, depth: int) -> None:
        if self.macro is not None:
            if re.match(r"</\s*macro\b", text, re.IGNORECASE):
                self.macro = None
            else:
                self.macro.lines.append(text)
            return
        closing = re.match(r"</\s*(\w+)\s*>?", text)
        if closing:
            self.close(closing.group(1).lower(), path, number)
            return
        opening = re.match(r"<\s*(\w+)\s*(.*?)>?\s*$", text)
        if opening:
            self.open(opening.group(1).lower(), opening.group(2), path, number)
        elif all(self.conditions):
            name, *rest = text.split(None, 1)  # any blank ends the name: a tab too, with blanks later in the line
            self.directive(name.strip("\"'").lower(), words(self.expand("".join(rest))), path, number, depth)

    def open(self, name: str, rest: str, path: str, number: int) -> None:
        if name in _CONDITIONS:
            holds = all(self.conditions) and self.holds(name, words(self.expand(rest)))
            self.conditions.append(holds)
            return
        if name == "macro" and all(self.conditions):
            given = words(rest)
            self.macro = self.macros[given[0].lower() if given else ""] = _Macro(given[1:])
            return
        section = Directive(name, words(self.expand(rest)), path, number, [])
        block = self.stack[-1].block
        if len(self.stack) == MAX_DEPTH + 1:
            self.config.notes.append(f"{path}:{number}: too many nested sections; not read.")
        elif block is not None and all(self.conditions) and len(self.stack) <= MAX_DEPTH:
            block.append(section)
        self.stack.append(section)

    def close(self, name: str, path: str, number: int) -> None:
        if name in _CONDITIONS:
            if self.conditions:
                self.conditions.pop()
        elif len(self.stack) > 1 and self.stack[-1].name == name:
            self.stack.pop()
        else:
            self.config.notes.append(f"{path}:{number}: </{name}> closes nothing.")

    def holds(self, name: str, args: list[str]) -> bool:
        text = args[0] if args else ""
        negated, plain = text.startswith("!"), text.lstrip("!")
        if name == "ifmodule":
            return (self.options.every_module or plain in self.config.modules | _BUILT_IN) != negated
        if name == "ifdefine":
            return (plain in self.config.defines) != negated
        if name in ("ifdirective", "ifsection"):  # the module that knows it is there, as a rule
            return not negated
        if name == "iffile":
            return os.path.exists(self.options.locate(os.path.join(self.root, plain))) != negated
        return _version_holds(self.options.version, args)

    def directive(self, name: str, args: list[str], path: str, number: int, depth: int) -> None:
        config = self.config
        if name == "define" and args:
            config.defines[args[0]] = args[1] if len(args) > 1 else ""
        elif name == "undefine" and args:
            config.defines.pop(args[0], None)
        elif name == "loadmodule" and len(args) > 1:
            config.modules |= {args[0], os.path.basename(args[1]).replace(".so", ".c")}
        elif name == "serverroot" and args:
            self.root = args[0]
        elif name in ("include", "includeoptional") and args:
            self.include(args[0], path, number, depth)
            return
        elif name == "use" and args:
            self.use(args, path, number, depth)
            return
        elif name == "undefmacro" and args:
            self.macros.pop(args[0].lower(), None)
        block = self.stack[-1].block
        if block is not None:
            block.append(Directive(name, args, path, number))

    def include(self, pattern: str, path: str, number: int, depth: int) -> None:
        if "${" in pattern:
            self.config.notes.append(f"{path}:{number}: Include {pattern} could not be resolved.")
            return
        full = self.options.locate(os.path.join(self.root, pattern))
        if len(self.stack) == 1:
            self.config.includes.append(full)
        for item in self.config.find_files(full) if glob.has_magic(full) and not os.path.isdir(full) else [full]:
            self.tree(item, depth + 1)

    def tree(self, path: str, depth: int) -> None:
        """A file, or every one at any depth below a directory (``ap_process_resource_config``)."""
        if not os.path.isdir(path):
            self.file(path, depth)
            return
        self.config.folders += [path] if path not in self.config.folders else []
        try:
            # A link that leads above itself has no end.
            names = sorted(os.listdir(path)) if depth <= MAX_DEPTH and len(self.config.folders) <= _MAX_FOLDERS else []
        except OSError as exc:
            self.config.notes.append(f"{path}: {exc.strerror}; not read.")
            return
        for name in names:
            self.tree(os.path.join(path, name), depth + 1)

    def use(self, args: list[str], path: str, number: int, depth: int) -> None:
        """The lines of a macro, as if they stood in the place of its use."""
        macro = self.macros.get(args[0].lower())
        if macro is None or macro is self.macro or depth > MAX_DEPTH or len(args) - 1 != len(macro.parameters):
            self.config.notes.append(f"{path}:{number}: the macro of Use {' '.join(args)} could not be followed.")
            return
        for text in macro.fill(args[1:]):
            self.macro_lines += 1
            if self.macro_lines > _MAX_MACRO_LINES:
                self.config.notes += [_TOO_MANY] if _TOO_MANY not in self.config.notes else []
                return
            self.line(path, number, text, depth + 1)

    def expand(self, text: str) -> str:
        known = self.config.defines
        environment = self.options.environment
        return re.sub(r"\$\{([^}:]+)\}", lambda found: known.get(found[1], environment.get(found[1], found[0])), text)


def _split_lines(text: str) -> Iterator[tuple[int, str]]:
    held, start = "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip("\r")
        if line.endswith("\\"):
            start, held = start or number, held + line[:-1]
            continue
        whole = (held + line).strip()
        if whole and not whole.startswith("#"):
            yield start or number, whole
        held, start = "", 0
    if held.strip():
        yield start, held.strip()


def _version_holds(version: str, args: list[str]) -> bool:
    negated = bool(args) and args[0].startswith("!")
    sign, wanted = (args[0].lstrip("!"), args[1]) if len(args) > 1 else ("=", args[0] if args else "")
    if sign.startswith("~") or wanted.startswith("/"):
        return bool(not version or re.search(wanted.strip("/"), version)) != negated
    have, want = version_tuple(version), version_tuple(wanted)
    results = {
        ">": have > want, ">=": have >= want, "<": have < want, "<=": have <= want,
        "=": have == want, "==": have == want,
    }  # fmt: skip
    return results.get(sign, True) != negated


def parse(path: str, options: ParserOptions) -> ApacheConfig:
    """A main configuration file and all that it includes."""
    parser = _Parser(options)
    parser.file(path, 0)
    parser.config.directives, parser.config.root = parser.stack[0].block or [], parser.root
    return parser.config


def environment(path: str, confdir: str) -> dict[str, str]:
    """What Debian's ``envvars`` exports, as far as plain assignments go."""
    values = {"APACHE_CONFDIR": confdir, "SUFFIX": ""}
    try:
        text = _files.read_bytes(path, 1024 * 1024).decode("utf-8", "replace")
    except RtcError:
        return values
    for match in re.finditer(r"^\s*(?:export\s+)?(\w+)=(\"[^\"]*\"|'[^']*'|[^\s;#]*)", text, re.MULTILINE):
        if match.group(1) == "SUFFIX":  # decided by a shell condition; empty but for a second instance
            continue
        value = match.group(2).strip("\"'")
        values[match.group(1)] = re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], ""), value)
    return values
