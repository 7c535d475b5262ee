# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What variables a shell script such as setenv.sh leaves, found without running it.

What only running could tell (the output of most commands) becomes :data:`UNKNOWN` inside the value, with the line that
made it so. Where a condition is unknown, one way is taken; :func:`evaluate` takes the others too, and compares. Never
raises on odd scripts.
"""

from __future__ import annotations

import contextlib
import re
from typing import Callable

from ansible_collections.collab.rtc.plugins.module_utils._shell import patterns, results
from ansible_collections.collab.rtc.plugins.module_utils._shell.conditions import Conditions
from ansible_collections.collab.rtc.plugins.module_utils._shell.syntax import ASSIGNMENT, Command, SyntaxProblem, parse
from ansible_collections.collab.rtc.plugins.module_utils._shell.words import (
    MOST_WORK,
    UNKNOWN,
    Exhausted,
    Exists,
    Names,
    Reader,
    Real,
)

_DEEPEST = 12  # files, functions and substitutions within each other
_MOST_STEPS = 5_000  # commands; a loop may have no end
_MOST_ROUNDS = 100  # of a loop
_MOST_WAYS = 200  # through a script whose conditions are unknown


def variables(
    script: str, environment: dict[str, str], read: Reader | None = None, exists: Exists | None = None
) -> dict[str, str]:
    """The variables after a script has run, starting from an environment; conditions that are unknown hold.

    :param read: gives the text of a file that the script reads; ``None`` for one that is not there.
    :param exists: whether a file or directory is there, for ``[ -f ... ]`` and the like; without it unknown.
    """
    return _Run(environment, read, exists, None, None, {}).start(script, "").variables


def evaluate(
    script: str,
    environment: dict[str, str],
    read: Reader | None = None,
    exists: Exists | None = None,
    real: Real | None = None,
    names: Names | None = None,
    path: str = "",
    cat: Reader | None = None,
    plain: bool = False,
) -> list[results.Result]:
    """What a script may leave: one result for each way that unknown conditions allow, the first where all hold.

    :param read: as for :func:`variables`; ``exists`` too.
    :param real: resolves a path, for ``readlink -f``.
    :param names: lists a directory, for patterns.
    :param path: of the script, for places.
    :param cat: as ``read``, for what ``cat`` prints: a value, and so facts, may have it in them.
    :param plain: dash reads it, the ``sh`` of Debian: ``[[``, ``==`` and the like are errors there, and do not hold.
    """
    first = _Run(environment, read, exists, real, names, {}, cat, plain)
    found = [first.start(script, path)]
    others = [(place, way) for place, ways in first.asked.items() for way in range(1, ways)]
    work = first.work
    for number, (place, way) in enumerate(others):
        if work > MOST_WORK or number >= _MOST_WAYS:  # what the rest would leave is not known
            found[0].anything = found[0].anything or place
            break
        run = _Run(environment, read, exists, real, names, {place: way}, cat, plain)
        found.append(run.start(script, path))
        found[-1].place = place
        work += run.work
    return found


def fields(text: str, environment: dict[str, str]) -> list[str]:
    """The words that ``eval`` makes of a text: quotes are removed, and variables replaced, once more."""
    commands, complete = parse(text)
    run = _Run(environment, None, None, None, None, {})
    simple = len(commands) == 1 and len(commands[0].parts) == 1 and commands[0].parts[0].kind == "simple"
    if not complete or not simple or commands[0].parts[0].redirections:
        return text.split()  # Tomcat would not start, or not with this; show what is there
    with contextlib.suppress(RecursionError, SyntaxProblem, Exhausted):
        return [item for word in commands[0].parts[0].words for item in run.expand_fields(word)]
    return text.split()


class _Run(Conditions):
    """One reading of a script."""

    def __init__(
        self,
        environment: dict[str, str],
        read: Reader | None,
        exists: Exists | None,
        real: Real | None,
        names: Names | None,
        ways: dict[str, int],
        cat: Reader | None = None,
        plain: bool = False,
    ) -> None:
        super().__init__(environment, read, exists, real, names)
        self.plain = plain
        self.cat = cat or read
        self.functions: dict[str, Command] = {}
        self.ways = ways  # place -> which way to take where the condition is unknown
        self.asked: dict[str, int] = {}  # place -> how many ways there are
        self.ran: list[results.Ran] = []
        self.locals: list[dict[str, str | None]] = []  # of each function that runs: what its own variables hide
        self.output: list[str] | None = None  # what is printed, within $(...)
        self.depth = self.steps = self.unsure = self.loops = 0

    def start(self, script: str, path: str) -> results.Result:
        """Read a script to its end."""
        self.path = path
        try:
            self._run_all(parse(script)[0])
        except (results.Stop, SyntaxProblem):
            pass
        except (RecursionError, Exhausted):  # what comes after it is not known
            self.anything = self.anything or self.here
        for name, items in self.arrays.items():
            self.variables[name] = items[0] if items else ""
        return results.Result(self.variables, self.causes, self.anything, ran=self.ran, work=self.work)

    def _choose(self, ways: int = 2, place: str = "") -> int:
        """Which way to take where only running could tell; 0 unless :func:`evaluate` tries another."""
        place = place or self.here
        self.asked[place] = max(ways, self.asked.get(place, 0))
        return min(self.ways.get(place, 0), ways - 1)

    def _holds(self, status: bool | None) -> bool:
        return self._choose() == 0 if status is None else status

    def _run_all(self, commands: list[Command]) -> None:
        for command in commands:
            self._run(command)

    def _run(self, command: Command) -> None:
        self.steps += 1
        self.spend(20)
        if self.steps > _MOST_STEPS:
            self.anything = self.anything or self.here
            raise results.Stop("exit")
        self.line, self.previous = command.line, self.status
        runs: dict[str, Callable[[Command], None]] = {
            "simple": self._run_redirected,
            "pipe": self._run_pipe,
            "if": self._run_if,
            "while": self._run_while,
            "until": self._run_while,
            "for": self._run_counting if command.words[:1] == ["(("] else self._run_for,
            "case": self._run_case,
            "subshell": self._run_subshell,
            "function": self._define,
        }
        runs.get(command.kind, self._run_list)(command)

    def _run_subshell(self, command: Command) -> None:
        self._print(self._apart(command.parts))

    def _define(self, command: Command) -> None:
        self.functions[command.words[0]] = command.parts[0]

    def _run_pipe(self, command: Command) -> None:
        if len(command.parts) == 1:
            self._run(command.parts[0])
        else:
            kept = self.input
            for part in command.parts:
                self.input = self._apart([part])
            self._print(self.input or "")
            self.input = kept
        self.status = self.status if not command.negated or self.status is None else not self.status

    def _run_list(self, command: Command) -> None:
        for part in command.parts:
            if part.operator in ("&&", "||"):
                unsure = self.status is None
                if self._holds(self.status) != (part.operator == "&&"):
                    continue
                self.unsure += unsure
                try:
                    self._run(part)
                finally:
                    self.unsure -= unsure
            else:
                self._run(part)

    def _apart(self, commands: list[Command]) -> str:
        """What commands print that run in a process of their own: their variables are lost."""
        kept = self.variables, self.arrays, self.functions, self.arguments, self.output
        self.variables, self.arrays, self.functions = dict(kept[0]), dict(kept[1]), dict(kept[2])
        self.output = []
        try:
            self._run_all(commands)
        except results.Stop:
            pass
        finally:
            printed = "".join(self.output)
            self.variables, self.arrays, self.functions, self.arguments, self.output = kept
        return printed

    def _print(self, text: str) -> None:
        if self.output is not None and text:
            self.output.append(text)

    def _test(self, command: Command) -> tuple[bool, bool]:
        """Whether a condition holds, and whether that is unsure."""
        self._run(command)
        self.line = command.line
        return self._holds(self.status), self.status is None

    def _run_if(self, command: Command) -> None:
        parts, unsure = command.parts, False
        for at in range(0, len(parts) - 1, 2):
            holds, doubtful = self._test(parts[at])
            unsure = unsure or doubtful
            if holds:
                return self._run_unsure(parts[at + 1], unsure)
        self.status = True
        return self._run_unsure(parts[-1], unsure) if len(parts) % 2 else None

    def _run_unsure(self, command: Command, unsure: bool) -> None:
        self.unsure += unsure
        try:
            self._run(command)
        finally:
            self.unsure -= unsure

    def _run_while(self, command: Command) -> None:
        for _round in range(_MOST_ROUNDS):
            holds, unsure = self._test(command.parts[0])
            if unsure and _round:
                break
            if holds == (command.kind == "until") or self._loop_ends(command.parts[1], unsure):
                break
        self.status = True

    def _run_for(self, command: Command) -> None:
        name, items = command.words[0], list(self.arguments)
        if len(command.words) > 1:
            items = [item for word in command.words[2:] for item in self.expand_fields(word)]
        for item in items[:_MOST_ROUNDS]:
            self.set(name, item)
            if self._loop_ends(command.parts[-1], UNKNOWN in item):
                break
        self.status = True

    def _run_counting(self, command: Command) -> None:
        """``for ((first; condition; next))``."""
        first, condition, following = command.words[1:]
        self.calculate(first)
        for _round in range(_MOST_ROUNDS):
            value = self.calculate(condition) if condition.strip() else 1
            if value == 0 or (value is None and _round) or self._loop_ends(command.parts[-1], value is None):
                break
            self.calculate(following)
        self.status = True

    def _loop_ends(self, body: Command, unsure: bool) -> bool:
        self.loops += 1
        try:
            self._run_unsure(body, unsure)
        except results.Stop as stop:
            stop.levels = min(stop.levels, self.loops) - 1
            if str(stop) not in ("break", "continue") or stop.levels:
                raise
            return str(stop) == "break"
        finally:
            self.loops -= 1
        return False

    def _run_case(self, command: Command) -> None:
        subject = self.expand(command.words[0])
        through = False
        place, unsure = self.here, UNKNOWN in subject
        way = self._choose(len(command.parts) + 1, place) if unsure else 0
        for number, branch in enumerate(command.parts):
            match = number == way if unsure else self._matches_any(subject, branch.words)
            if through or match:
                self._run_unsure(branch.parts[0], unsure)
                if branch.operator not in (";&", ";;&"):
                    return
                through = branch.operator == ";&"

    def _matches_any(self, subject: str, words: list[str]) -> bool:
        return any(patterns.matches(subject, self.pattern(word)) for word in words)

    def _run_redirected(self, command: Command) -> None:
        kept = self.output, self.input
        for item in command.redirections:
            if item.operator.startswith("<<"):
                word = item.target if item.literal else self.expand_quoted(item.target)
                self.input = self.expand(item.target) + "\n" if item.operator == "<<<" else word
            elif item.operator in ("&>", "&>>") or (item.operator.startswith(">") and item.descriptor in ("", "1")):
                self.output = [] if item.target != "&1" else self.output
            else:
                shown = [self.expand(item.target)]
                self._print(self.guess_output("cat", shown) if item.operator == "<" and not command.words else "")
        try:
            self._run_simple(command.words)
        finally:
            self.output, self.input = kept

    def _run_simple(self, words: list[str]) -> None:
        first = next((at for at, word in enumerate(words) if not ASSIGNMENT.match(word)), len(words))
        self.cause = ""
        self.status = True
        if first == len(words):
            for word in words:
                self.assign(word)
            return
        name = self.expand(words[first])
        if self.plain and name in results.BASH_ONLY:
            self.status = False
        elif name == "[[":
            self.status = self.evaluate_double(words[first + 1 : -1])
        elif name in ("((", "let"):
            texts = words[first + 1 :] if name == "((" else [self.expand(word) for word in words[first + 1 :]]
            self.status = [None if value is None else value != 0 for value in map(self.calculate, texts)][-1]
        elif name in results.EXPORTS and first == 0:
            self._export(name, words[1:])
        else:
            arguments = [item for word in words[first:] for item in self.expand_fields(word)]
            kept = self.given
            pairs = [self.expand(word, assigns=True).partition("=") for word in words[:first]]
            self.given = {**kept, **{name: value for name, _equals, value in pairs}}
            self._call(arguments)
            self.given = kept

    def _export(self, name: str, words: list[str]) -> None:
        given = []
        exports = name == "export" or (name != "readonly" and any(re.match("-[a-z]*x", word) for word in words))
        fixes = name == "readonly" or (name != "export" and any(re.match("-[a-z]*r", word) for word in words))
        fixed = []
        for word in words:  # all are expanded before the first is assigned
            match = ASSIGNMENT.match(word)
            if match and (match.group(3) or word[match.end() :].startswith("(")):
                self.assign(word)
                fixed.append(match.group(1))
                self.exported.update([match.group(1)] if exports else [])
            elif match:
                given.append(f"{match.group(1)}={self.expand(word[match.end() :], assigns=True)}")
            else:
                given += self.expand_fields(word)
        for item in given:
            variable, equals, value = item.partition("=")
            if UNKNOWN in variable:  # of any name
                self.anything = self.anything or self.here
            if exports:
                self.exported.add(re.sub(r"[+=].*", "", variable))
            if name == "local" and self.locals and variable not in self.locals[-1]:
                self.locals[-1][variable] = self.variables.get(variable)
            if not item.startswith("-") and (equals or name == "local"):
                self.set(variable, value)
            fixed.append(variable)
        if name != "export" and any(
            re.match("-[a-z]*[lnu]", word) for word in words
        ):  # values are not as they are written
            self.anything = self.anything or self.here
        if fixes and (name == "readonly" or not self.locals):  # what a function alone has ends with it
            self.fixed.update(fixed)

    def _call(self, arguments: list[str]) -> None:
        name, rest = (arguments[0], arguments[1:]) if arguments else (":", [])
        builtins: dict[str, Callable[[list[str]], None]] = {
            **dict.fromkeys((".", "source"), self._source),
            **dict.fromkeys(("read", "mapfile", "readarray", "getopts"), lambda rest: self.read_values(name, rest)),
            **dict.fromkeys(("cd", "pushd", "popd"), lambda rest: self.change_directory(name, rest)),
            **dict.fromkeys(("return", "exit", "break", "continue"), lambda rest: self._stop(name, rest)),
            "eval": lambda rest: self._eval(" ".join(rest)),
            "unset": self.unset,
            "shift": self.shift,
            "grep": self._grep,
        }
        if name not in builtins:
            self._note(arguments)
        if name in self.functions:
            self._within(rest, lambda: self._run(self.functions[name]), function=True)
        elif name in ("command", "builtin", "exec") and rest and rest[0][:1] != "-":
            self._call(rest)
            if name == "exec":
                raise results.Stop("exit")
        elif name in builtins:
            builtins[name](rest)
        elif name in ("[", "test"):
            wrong = self.plain and "==" in rest
            self.status = False if wrong else self.evaluate_test(rest[:-1] if name == "[" else rest)
        elif name == "set":
            self.set_options(rest)
        elif name == "shopt" and {"-s", *results.CHANGING} & set(rest) > {"-s"}:
            self.anything = self.anything or self.here
        elif name in ("true", ":", "false"):
            self.status = name != "false"
        elif name == "printf" and rest[:1] == ["-v"] and len(rest) > 2:
            self.set(rest[1], self.guess_output(name, rest[3 if rest[2] == "--" else 2 :]))
        else:
            self.status = True if name in ("echo", "printf", "pwd", "dirname", "basename", "set") else None
            self._print("" if name in results.SILENT else self.guess_output(name, rest))

    def _note(self, arguments: list[str]) -> None:
        self.spend(len(self.exported))
        exported = {name: self.variables[name] for name in self.exported if name in self.variables}
        environment = {name: value for name, value in {**exported, **self.given}.items() if UNKNOWN not in value}
        self.ran.append(results.Ran(arguments, self.variables.get("PWD", UNKNOWN), environment, self.input))

    def _stop(self, name: str, rest: list[str]) -> None:
        self.status = rest[0] == "0" if rest and rest[0].isdecimal() else self.status
        if name != "exit" or not self.unsure:  # an application that is not started needs no plan
            stop = results.Stop(name)
            stop.levels = int(rest[0][:3]) or 1 if name in ("break", "continue") and rest and rest[0].isdecimal() else 1
            raise stop

    def _grep(self, rest: list[str]) -> None:
        """A plain text in what comes by a pipe; all else is unknown."""
        options = "".join(item for item in rest if item.startswith("-"))
        words = [item for item in rest if not item.startswith("-")]
        text = self.input if len(words) == 1 and set(options) <= set("-qsiFE") else None
        if text is None or UNKNOWN in text or not re.fullmatch(r"[\w /=:,-]+", words[0]):
            self.status = None
            self._print("" if "q" in options else self.unknown())
            return
        lower = str.lower if "i" in options else str
        self.spend(len(text))
        lines = [line for line in text.splitlines() if lower(words[0]) in lower(line)]
        self.status = bool(lines)
        self._print("" if "q" in options else "".join(line + "\n" for line in lines))

    def _within(self, arguments: list[str], run: Callable[[], None], function: bool = False) -> None:
        """Run a function or file with arguments of its own."""
        kept = self.arguments, self.path, self.line
        if self.depth >= _DEEPEST:
            return
        self.depth += 1
        self.arguments = arguments
        if function:
            self.locals.append({})
        try:
            run()
        except results.Stop as stop:
            if str(stop) == "exit":
                raise
        finally:
            for name, value in (self.locals.pop() if function else {}).items():
                self.variables.pop(name, None)
                self.variables.update({} if value is None else {name: value})
            self.depth -= 1
            self.arguments, self.path, self.line = kept

    def _source(self, arguments: list[str]) -> None:
        path = self.locate(arguments[0] if arguments else "")
        text = self.read(path) if self.read and path and UNKNOWN not in path and self.depth < _DEEPEST else None
        if text is None:
            if UNKNOWN in path or (self.exists is not None and self.exists(path)):
                self.anything = self.anything or self.here
            self.status = None
            return
        commands, before = parse(text)[0], self.variables.get("BASH_SOURCE", "")

        def run() -> None:
            self.path, self.variables["BASH_SOURCE"] = path, path
            self._run_all(commands)

        try:
            self._within(arguments[1:] or self.arguments, run)
        finally:
            self.variables["BASH_SOURCE"] = before

    def _eval(self, text: str) -> None:
        if UNKNOWN in text:
            self.anything = self.anything or self.here
        elif self.depth < _DEEPEST:
            self.depth += 1
            self.spend(10 * len(text))
            self._run_all(parse(text, self.line)[0])
            self.depth -= 1

    def read_output(self, body: str) -> str:
        if self.depth >= _DEEPEST:
            return self.unknown()
        line = self.line
        self.depth += 1
        try:
            commands, complete = parse(body, line)
            printed = self._apart(commands) if complete else self.unknown()
        finally:
            self.depth -= 1
            self.line = line
        return printed.rstrip("\n")
