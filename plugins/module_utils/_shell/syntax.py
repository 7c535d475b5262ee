# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of a shell script: POSIX, and of bash what scripts for Tomcat use. Words stay as they are written.

A script that breaks off or goes wrong is read up to there, as a shell does.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import re
from dataclasses import dataclass, field

ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^]=]*\])?(\+?)=", re.DOTALL)
_OPERATORS = (
    *(
        "&&",
        "||",
        ";;&",
        ";;",
        ";&",
        "&>>",
        "&>",
        "<<<",
        "<<-",
        "<<",
        "<&",
        "<>",
        "<",
        ">>",
        ">&",
        ">|",
        ">",
        "|&",
        "|",
    ),
    *("&", ";", "(", ")", "\n"),
)
_REDIRECTIONS = ("&>>", "&>", "<<<", "<<-", "<<", "<&", "<>", "<", ">>", ">&", ">|", ">")
_SIGNS = {**dict(zip("abfnrtveE", "\a\b\f\n\r\t\v\x1b\x1b")), **{sign: sign for sign in "\\\"'?"}}
_PAIRS = (("$((", "))"), ("$(", ")"), ("${", "}"), ("`", "`"), ('"', '"'))
_ENDS = frozenset(["then", "elif", "else", "fi", "do", "done", "esac", "}"])
_CONTROL = re.compile("[\x01-\x04]")  # marks of words.py


class SyntaxProblem(ValueError):
    """The script breaks off, or a shell would refuse it."""


@dataclass
class Redirection:
    """A redirection; ``target`` is a raw word, or the body of a here-document."""

    descriptor: str  # "" for the usual one
    operator: str
    target: str = ""
    literal: bool = False  # of a here-document: nothing in it is expanded


@dataclass
class Command:
    """A command.

    ``kind``: "simple" | "list" | "subshell" | "pipe" | "if" | "while" | "until" | "for" | "case" | "function".
    ``words``: raw; of "for" the name and what is gone through, of "case" the subject or, of a branch, its patterns.
    ``parts``: commands within; of "if" condition, body, condition, body, ..., and the body of ``else``; of "while"
    condition and body. ``operator``: what connects it to the one before; how a branch of "case" ends.
    """

    kind: str
    line: int
    words: list[str] = field(default_factory=list)
    parts: list[Command] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)
    operator: str = ""
    negated: bool = False


@functools.lru_cache(maxsize=256)  # a script is read several times, a function or loop again and again
def parse(text: str, line: int = 1) -> tuple[list[Command], bool]:
    """The commands of a script, not to be changed, and whether it was understood to its end.

    :param line: the number of its first line.
    """
    found: list[Command] = []
    with contextlib.suppress(SyntaxProblem, RecursionError):
        reader = _Reader(_CONTROL.sub("", text), line)
        while reader.skip_breaks():
            found.append(reader.and_or())
            if reader.operator not in ("&", ";", "\n", ""):
                return found, False
        return found, True
    return found, False


def stops(script: str) -> str:
    """The command that ends a script before its last line in any case, such as ``exit 0``; "" for none."""
    for outer in parse(script)[0]:
        for part in outer.parts[:1] if outer.kind == "list" else []:
            name = part.words[0] if part.kind == "simple" and part.words else ""
            if name in ("exit", "return") or (name == "exec" and len(part.words) > 1):
                return " ".join(part.words)
    return ""


def open_at_end(script: str) -> bool:
    """Whether a script breaks off: within a command, a quotation, an ``if``, a here-document; or cannot be read on."""
    return not parse(script)[1]


def find_end(text: str, index: int, quoted: bool = False) -> int:
    """The index after the quoted or substituted piece, or the character, that begins here.

    :param quoted: within double quotes, where an apostrophe is itself.
    :raises SyntaxProblem: it does not end.
    """
    if text[index] == "\\":
        return min(index + 2, len(text))
    if not quoted and (text[index] == "'" or text.startswith("$'", index)):
        start = index + (2 if text[index] == "$" else 1)
        while start < len(text) and text[start] != "'":
            start += 2 if text[index] == "$" and text[start] == "\\" else 1
        return _within(start + 1, text)
    for opener, closer in _PAIRS:
        if text.startswith(opener, index):
            with contextlib.suppress(*([SyntaxProblem] if opener == "$((" else [])):  # or a subshell in $(...)
                return _find_closing(text, index + len(opener), closer, quoted)
    return index + 1


def _find_closing(text: str, index: int, closer: str, quoted: bool) -> int:
    end = _look_for_closing(text, index, closer, quoted)
    if end < 0:
        raise SyntaxProblem(closer)
    return end


@functools.lru_cache(maxsize=4096)  # "$((" that does not end as such is tried twice, and so is each one within it
def _look_for_closing(text: str, index: int, closer: str, quoted: bool) -> int:
    """The index after the end, -1 for none."""
    inner = closer == '"' or (quoted and closer == "}")
    depth = 0
    while index < len(text):
        if depth == 0 and text.startswith(closer, index):
            return index + len(closer)
        if closer in (")", "))") and text[index] in "()":
            depth += 1 if text[index] == "(" else -1
            index += 1
        elif closer == ")" and text[index] == "#" and text[index - 1] in " \t\n;":
            index = find_line_end(text, index)
        elif (closer == "`" and text[index] != "\\") or (closer == "))" and text[index] in "'\""):
            index += 1
        else:
            try:
                index = find_end(text, index, inner)
            except SyntaxProblem:
                return -1
    return -1


def _within(end: int, text: str) -> int:
    if end > len(text):
        raise SyntaxProblem("'")
    return end


def unescape(text: str) -> str:
    """Text with the escapes of ``$'...'`` and ``printf`` replaced."""
    return re.sub(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|[0-7]{1,3}|.)", _unescape_one, text, flags=re.DOTALL)


def _unescape_one(match: re.Match[str]) -> str:
    sign = match[1]
    if (len(sign) > 1 and sign[0] in "xu") or sign[0] in "01234567":
        code = int(sign[1:], 16) if sign[0] in "xu" else int(sign, 8) & 0xFF
        return chr(code if code > 4 else 0)  # nobody writes the marks of words.py: 0 makes it unknown
    return {**_SIGNS, "\n": match[0]}.get(sign, match[0])


def find_line_end(text: str, index: int) -> int:
    """The index of the end of a line."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end


class _Reader:
    """Reads commands. The next token is in ``operator`` or ``word``; both are "" at the end."""

    def __init__(self, text: str, line: int) -> None:
        self.text = text
        self.first = line
        self.breaks = [at for at, char in enumerate(text) if char == "\n"]
        self.at = self.begin = 0
        self.waiting: list[Redirection] = []  # here-documents whose bodies come after the line
        self.operator = self.word = ""
        self.advance()

    @property
    def line(self) -> int:
        return self.first + bisect.bisect_left(self.breaks, self.begin)

    def advance(self) -> None:
        """Go to the next token."""
        if self.operator == "\n":
            self._read_bodies()
        text = self.text
        while self.at < len(text) and (text[self.at] in " \t" or text.startswith("\\\n", self.at)):
            self.at += 1 if text[self.at] in " \t" else 2
        if text.startswith("#", self.at):
            self.at = find_line_end(text, self.at)
        self.begin = self.at
        self.word = ""
        self.operator = "" if self._is_substitution() else self._operator_here()
        self.at += len(self.operator)
        if not self.operator:
            self._read_word()

    def _operator_here(self) -> str:
        return next((item for item in _OPERATORS if self.text.startswith(item, self.at)), "")

    def _is_substitution(self) -> bool:
        return self.text.startswith(("<(", ">("), self.at)

    def _read_word(self) -> None:
        text, start = self.text, self.at
        while self.at < len(text) and text[self.at] not in " \t\n":
            if self._is_substitution():
                self.at = _find_closing(text, self.at + 2, ")", False)
            elif text[self.at] == "(":
                so_far = text[start : self.at]
                if not (ASSIGNMENT.fullmatch(so_far) or so_far[-1:] in ("@", "+", "?", "*", "!")):
                    break
                self.at = _find_closing(text, self.at + 1, ")", False)
            elif text[self.at] in ";&|<>)":
                break
            else:
                self.at = find_end(text, self.at)
        self.word = text[start : self.at]
        if "'" not in self.word:  # where it would stay
            self.word = self.word.replace("\\\n", "")

    def _read_bodies(self) -> None:
        for item in self.waiting:
            name = re.sub(r"['\"\\]", "", item.target)
            item.literal = name != item.target
            lines = []
            while self.at < len(self.text):
                end = find_line_end(self.text, self.at)
                line = self.text[self.at : end]
                self.at = min(end + 1, len(self.text))
                line = line.lstrip("\t") if item.operator == "<<-" else line
                if line == name:
                    break
                lines.append(line)
            else:
                raise SyntaxProblem(name)
            item.target = "".join(line + "\n" for line in lines)
        self.waiting = []

    def skip_breaks(self) -> bool:
        """Go over line breaks and semicolons; whether anything follows."""
        while self.operator in ("\n", ";", "&"):
            self.advance()
        return bool(self.operator or self.word)

    def expect(self, *wanted: str) -> str:
        """Go over a token that has to be there."""
        found = self.operator or self.word
        if found not in wanted:
            raise SyntaxProblem(found)
        self.advance()
        return found

    def commands(self, *ends: str) -> Command:
        """A list of commands up to a reserved word or operator, which is not gone over."""
        found = Command("list", self.line)
        while self.skip_breaks() and self.word not in ends and self.operator not in ends:
            found.parts.append(self.and_or())
        if not (self.word or self.operator):
            raise SyntaxProblem("end")
        return found

    def and_or(self) -> Command:
        """Pipelines with ``&&`` and ``||`` between them."""
        found = Command("list", self.line)
        operator = ""
        while True:
            part = self.pipeline()
            part.operator = operator
            found.parts.append(part)
            operator = self.operator
            if operator not in ("&&", "||"):
                break
            self.advance()
            while self.operator == "\n":
                self.advance()
        return Command("subshell", found.line, parts=[found]) if operator == "&" else found

    def pipeline(self) -> Command:
        negated = self.word == "!"
        if negated:
            self.advance()
        found = Command("pipe", self.line, parts=[self.command()])
        while self.operator in ("|", "|&"):
            self.advance()
            while self.operator == "\n":
                self.advance()
            found.parts.append(self.command())
        if len(found.parts) == 1 and not negated:
            return found.parts[0]
        found.negated = negated
        return found

    def command(self) -> Command:
        line, word = self.line, self.word
        calculated = self._arithmetic() if self.operator == "(" else None
        if calculated is not None:
            found = Command("simple", line, ["((", calculated])
        elif self.operator == "(":
            self.advance()
            found = Command("subshell", line, parts=[self.commands(")")])
            self.expect(")")
        elif word == "{":
            self.advance()
            found = Command("list", line, parts=[self.commands("}")])
            self.expect("}")
        elif word == "if":
            found = self._if()
        elif word in ("while", "until"):
            self.advance()
            found = Command(word, line, parts=[self.commands("do")])
            self._body(found)
        elif word in ("for", "select"):
            found = self._for()
        elif word == "case":
            found = self._case()
        elif word in _ENDS or (not word and self.operator not in _REDIRECTIONS):
            raise SyntaxProblem(word or self.operator)
        else:
            return self._simple()
        while self.operator in _REDIRECTIONS or self.word.isdecimal():
            self._redirection(found)
        return found

    def _arithmetic(self) -> str | None:
        """Go over ``((...))`` and return what is within; ``None`` where it is none."""
        if not self.text.startswith("(", self.at):
            return None
        try:
            end = _find_closing(self.text, self.at + 1, "))", False)
        except SyntaxProblem:  # subshells
            return None
        body = self.text[self.at + 1 : end - 2]
        self.at = end
        self.advance()
        return body

    def _body(self, found: Command) -> None:
        self.expect("do")
        found.parts.append(self.commands("done"))
        self.expect("done")

    def _if(self) -> Command:
        found = Command("if", self.line)
        while self.expect("if", "elif", "else", "fi") not in ("else", "fi"):
            found.parts.append(self.commands("then"))
            self.expect("then")
            found.parts.append(self.commands("elif", "else", "fi"))
            if self.word == "fi":
                self.advance()
                return found
        found.parts.append(self.commands("fi"))
        self.expect("fi")
        return found

    def _for(self) -> Command:
        found = Command("for", self.line)
        self.advance()
        if self.operator == "(":
            found.words = ["((", *(self._arithmetic() or "").split(";")]
            if len(found.words) != 4:
                raise SyntaxProblem("((")
        else:
            found.words = [self.word]
            self.advance()
            self._skip_lines()
            while self.word and (self.word == "in" or len(found.words) > 1):
                found.words.append(self.word)
                self.advance()
        self.skip_breaks()
        self._body(found)
        return found

    def _skip_lines(self) -> None:
        while self.operator == "\n":
            self.advance()

    def _case(self) -> Command:
        found = Command("case", self.line)
        self.advance()
        found.words = [self.word]
        self.advance()
        self._skip_lines()
        self.expect("in")
        self._skip_lines()
        while self.word != "esac":
            if self.operator == "(":
                self.advance()
            branch = Command("list", self.line, [self.word])
            self.advance()
            while self.operator == "|":
                self.advance()
                branch.words.append(self.word)
                self.advance()
            self.expect(")")
            branch.parts = [self.commands(";;", ";&", ";;&", "esac")]
            branch.operator = self.operator
            if self.operator:
                self.advance()
            self._skip_lines()
            found.parts.append(branch)
        self.advance()
        return found

    def _simple(self) -> Command:
        found = Command("simple", self.line)
        if self.word == "function":
            self.advance()
            return self._function(found, self.word)
        while self.word or self.operator in _REDIRECTIONS:
            if self.operator or (self.word.isdecimal() and self.text[self.at : self.at + 1] in ("<", ">")):
                self._redirection(found)
                continue
            found.words.append(self.word)
            double = found.words == ["[["]
            self.advance()
            if double:
                self._double_brackets(found)
            elif self._is_defined(found.words):
                return self._function(found, found.words[0], here=True)
        return found

    def _is_defined(self, words: list[str]) -> bool:
        return self.operator == "(" and len(words) == 1 and not ASSIGNMENT.match(words[0])

    def _double_brackets(self, found: Command) -> None:
        while found.words[-1] != "]]":
            if not self.word and not self.operator:
                raise SyntaxProblem("[[")
            found.words += [self.word or self.operator] if self.operator != "\n" else []
            self.advance()

    def _function(self, found: Command, name: str, here: bool = False) -> Command:
        if not here:
            self.advance()
        if self.operator == "(":
            self.advance()
            self.expect(")")
        self._skip_lines()
        return Command("function", found.line, [name], [self.command()])

    def _redirection(self, command: Command) -> None:
        descriptor = self.word
        if descriptor:
            self.advance()
        item = Redirection(descriptor, self.operator)
        self.expect(*_REDIRECTIONS)
        item.target = self.word
        if item.operator in ("<<", "<<-"):
            self.waiting.append(item)
        self.advance_past_target()
        command.redirections.append(item)

    def advance_past_target(self) -> None:
        """Go over the word that a redirection names."""
        if not self.word:
            raise SyntaxProblem(self.operator)
        self.advance()
