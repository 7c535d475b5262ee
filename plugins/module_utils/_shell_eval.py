# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What variables a shell script such as setenv.sh leaves, found without running it.

A small part of the POSIX shell: assignments, quoting, parameter expansion, ``if``, ``case``, ``&&``/``||``, the tests
of ``[``, and files read with ``.``. What only running could tell (the output of commands) becomes :data:`UNKNOWN`
inside the value. A branch whose condition is unknown is taken, as is the body of a loop, once. Never raises on odd
scripts.
"""

from __future__ import annotations

import contextlib
import fnmatch
import posixpath
import re
from typing import Callable, Iterator, Optional

UNKNOWN = "\x00"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=", re.DOTALL)
_OPERATORS = (";;", "&&", "||", ";", "&", "|", "(", ")", "\n")
_FILE_TESTS = ("-e", "-f", "-d", "-r", "-x", "-s", "-h", "-L")
_EXPORTS = ("export", "declare", "typeset", "readonly", "local")
_HEREDOC = re.compile(r"(?<!<)<<(?!<)-?[ \t]*['\"\\]?([A-Za-z_][A-Za-z0-9_]*)['\"]?")
_PAIRS = (("'", "'"), ('"', '"'), ("`", "`"), ("$((", "))"), ("$(", ")"), ("${", "}"))
_LONGEST = 1 << 20  # characters of a value; Linux takes no longer argument
_DEEPEST = 5  # files that read files

Reader = Callable[[str], Optional[str]]
Exists = Callable[[str], bool]


def variables(
    script: str, environment: dict[str, str], read: Reader | None = None, exists: Exists | None = None
) -> dict[str, str]:
    """The variables after a script has run, starting from an environment.

    :param read: gives the text of a file that the script reads with ``.``; ``None`` for one that is not there.
    :param exists: whether a file or directory is there, for ``[ -f ... ]`` and the like; without it unknown.
    """
    run = _Run(dict(environment), read or (lambda path: None), exists)
    with contextlib.suppress(RecursionError):  # quotes nested beyond all use; what was found before counts
        run.script(script)
    return run.variables


def stops(script: str) -> str:
    """The command that ends a script before its last line in any case, such as ``exit 0``; "" for none."""
    return _walk(script)[0]


def open_at_end(script: str) -> bool:
    """Whether an ``if``, a loop, ``case`` or group is still open where a script ends."""
    return bool(_walk(script)[1])


def _walk(script: str) -> tuple[str, list[str]]:
    frames: list[str] = []
    words: list[str] = []
    operator = "\n"
    for piece in _split_tokens(script):
        if piece not in _OPERATORS:
            words.append(piece)
            continue
        while words and words[0] in _KEYWORDS:
            words = _enter(frames, words)
        if words[:1] == ["function"] and words[-1] == "{":
            frames.append("{")
        sure = not frames and operator in (";", "\n") and piece in (";", "\n", "&&", "||")
        if (
            sure
            and words
            and (words[0] in ("exit", "return") or (words[0] == "exec" and not re.search("[<>]", "".join(words))))
        ):
            return " ".join(words), frames
        if piece == "(":
            frames.append(piece)
        elif piece == ")" and frames[-1:] == ["("]:
            frames.pop()
        words, operator = [], piece
    return "", frames


def _enter(frames: list[str], words: list[str]) -> list[str]:
    word = words[0]
    if word in ("if", "while", "until", "for", "case", "{"):
        frames.append(word)
    elif word in ("fi", "done", "esac", "}") and frames:
        frames.pop()
    return [] if word in ("for", "case") else words[1:]


class _Run:
    """One reading of a script. Frames of ``if`` and ``case`` say whether commands count."""

    def __init__(self, start: dict[str, str], read: Reader, exists: Exists | None) -> None:
        self.variables = start
        self.read = read
        self.exists = exists
        self.depth = 0

    def script(self, text: str) -> None:
        """Go through a script; its variables stay in ``self.variables``."""
        frames: list[_Frame] = []
        status: bool | None = True
        operator = "\n"
        words: list[str] = []
        for piece in _split_tokens(text):
            if piece not in _OPERATORS:
                words.append(piece)
                continue
            while words and words[0] in _KEYWORDS:
                words = self._handle_keyword(frames, words)
            if frames and frames[-1].label:
                frames[-1].patterns += words
                if piece == ")":
                    frames[-1].begin_branch(self)
            elif words:
                status = self._run_simple(frames, words, operator, status)
            if piece == ";;" and frames and frames[-1].kind == "case":
                frames[-1].end_branch()
            words = []
            operator = piece

    def _handle_keyword(self, frames: list[_Frame], words: list[str]) -> list[str]:
        word = words[0]
        if word in ("if", "while", "until"):
            frames.append(_Frame(word, _is_active(frames)))
        elif word == "for":
            frames.append(_Frame("for", _is_active(frames)))
            if _is_active(frames) and len(words) > 1:
                self.variables[words[1]] = UNKNOWN
            return []
        elif word == "case":
            frames.append(_Frame("case", _is_active(frames), self.expand(words[1]) if len(words) > 1 else UNKNOWN))
            return words[words.index("in") + 1 :] if "in" in words else []
        elif frames and word in ("elif", "else", "then"):
            frames[-1].turn(word)
        elif frames and word in ("fi", "done", "esac"):
            frames.pop()
        return words[1:]

    def _run_simple(self, frames: list[_Frame], words: list[str], operator: str, status: bool | None) -> bool | None:
        if not _is_active(frames):
            return status
        if (operator == "&&" and status is False) or (operator == "||" and status is True):
            return status
        result = self._run_command(words)
        if operator in ("&&", "||") and status is None:
            result = None
        if frames and frames[-1].testing:
            frames[-1].condition = result
        return result

    def _run_command(self, words: list[str]) -> bool | None:
        negate = words[0] == "!"
        words = words[1:] if negate else words
        assignments = [word for word in words if _ASSIGNMENT.match(word)]
        if words and len(assignments) == len(words):
            for word in words:
                self._assign(word)
            return True
        words = [word for index, word in enumerate(words) if index >= _find_first_command(words)]
        name = self.expand(words[0]) if words else ""
        if name in _EXPORTS:
            for word in assignments:
                self._assign(word)
            return True
        if name == "unset":
            for word in words[1:]:
                self.variables.pop(word, None)
        elif name in (".", "source") and len(words) > 1:
            self._read_source(self.expand(words[1]))
        elif name in ("[", "[[", "test"):
            result = self._evaluate_test([self.expand(word) for word in words[1:] if word not in ("]", "]]")])
            return result if result is None or not negate else not result
        else:
            for word in words[1:]:  # as in ": ${NAME:=default}"
                self.expand(word)
        result = {"true": True, ":": True, "": True, "false": False}.get(name)
        return result if result is None or not negate else not result

    def _assign(self, word: str) -> None:
        match = _ASSIGNMENT.match(word)
        if match:
            value = self.expand(word[match.end() :])
            before = self.variables.get(match.group(1), "") if match.group(2) else ""
            self.variables[match.group(1)] = before + value if len(before + value) <= _LONGEST else UNKNOWN

    def _read_source(self, path: str) -> None:
        if UNKNOWN in path or self.depth >= _DEEPEST:
            return
        text = self.read(path)
        if text is not None:
            self.depth += 1
            self.script(text)
            self.depth -= 1

    def _evaluate_test(self, args: list[str]) -> bool | None:
        if args and args[0] == "!":
            inner = self._evaluate_test(args[1:])
            return None if inner is None else not inner
        if any(UNKNOWN in arg for arg in args):
            return None
        result: bool | None = None
        if len(args) == 1:
            result = bool(args[0])
        elif len(args) == 2 and args[0] in ("-z", "-n"):
            result = (args[1] == "") == (args[0] == "-z")
        elif len(args) == 2 and args[0] in _FILE_TESTS and self.exists is not None:
            result = self.exists(args[1])
        elif len(args) == 3 and args[1] in ("=", "==", "!="):
            result = (args[0] == args[2]) == (args[1] != "!=")
        return result

    def expand(self, word: str) -> str:
        """The value of a word: quotes removed, parameters replaced, no word splitting."""
        out: list[str] = []
        index = 0
        quoted = False
        while index < len(word):
            char = word[index]
            if char == "\\" and index + 1 < len(word):
                following = word[index + 1]
                if following != "\n":
                    out.append(following if not quoted or following in '$`"\\' else "\\" + following)
                index += 2
            elif char == "'" and not quoted:
                end = _find_end(word, index)
                out.append(word[index + 1 : end - 1])
                index = end
            elif char == '"':
                quoted = not quoted
                index += 1
            elif char == "`" or word.startswith("$(", index):
                end = _find_end(word, index)
                out.append(self._guess_output(word[index:end].strip("`") if char == "`" else word[index + 2 : end - 1]))
                index = end
            elif char == "$":
                text, index = self._expand_parameter(word, index)
                out.append(text)
            else:
                out.append(char)
                index += 1
        return "".join(out)

    def _guess_output(self, command: str) -> str:
        """What the usual ways of a script to find its own directory print."""
        words = [word for word in _split_tokens(command) if word != "\n" and ">" not in word]
        paths = [self.expand(word) for word in words[1:2]]
        if not paths or UNKNOWN in paths[0]:
            return UNKNOWN
        path = paths[0]
        if words[0] == "dirname" and len(words) == 2:
            return path.rpartition("/")[0] or "."
        if words[0] == "basename" and len(words) == 2:
            return path.rpartition("/")[2]
        if words[0] == "cd" and words[2:4] == ["&&", "pwd"] and path.startswith("/"):
            return posixpath.normpath(path)
        return UNKNOWN

    def _expand_parameter(self, word: str, index: int) -> tuple[str, int]:
        if word.startswith("${", index):
            end = _find_end(word, index)
            return self._expand_braced(word[index + 2 : end - 1]), end
        match = _NAME.match(word, index + 1)
        if match:
            return self.variables.get(match.group(), ""), match.end()
        if word[index + 1 : index + 2] == "0":
            return self.variables.get("0", UNKNOWN), index + 2
        if word[index + 1 : index + 2] in tuple("123456789@*#?$!-"):
            return UNKNOWN, index + 2
        return "$", index + 1

    def _expand_braced(self, body: str) -> str:
        match = _NAME.match(body)
        if not match:
            return UNKNOWN
        value = self.variables.get(match.group())
        rest = body[match.end() :]
        rest = rest[3:] if rest.startswith("[0]") else rest  # the first of an array, such as BASH_SOURCE
        missing = value is None or (value == "" and rest.startswith(":"))
        operator, other = rest.lstrip(":")[:1], rest.lstrip(":")[1:]
        if not rest:
            return value or ""
        if operator in ("-", "="):
            if missing and operator == "=":
                self.variables[match.group()] = self.expand(other)
            return self.expand(other) if missing else value or ""
        if operator == "+":
            return "" if missing else self.expand(other)
        if operator == "?":
            return value or ""
        return UNKNOWN if value else ""  # cutting and replacing parts


class _Frame:
    """An open ``if``, loop or ``case``."""

    def __init__(self, kind: str, outer: bool, subject: str = "") -> None:
        self.kind = kind
        self.outer = outer  # the place that this stands in counts
        self.testing = kind in ("if", "while", "until")
        self.condition: bool | None = None
        self.done = False  # a branch was surely taken
        self.here = kind != "case"  # the present branch counts
        self.subject = subject
        self.label = kind == "case"  # patterns come next
        self.patterns: list[str] = []

    def turn(self, word: str) -> None:
        if word == "then":
            self.testing = False
            self.here = not self.done and self.condition is not False
            self.done = self.done or self.condition is True
        else:
            self.testing = word == "elif"
            self.here = not self.done
            self.condition = None

    def begin_branch(self, run: _Run) -> None:
        texts = [run.expand(word) for word in self.patterns]
        unknown = UNKNOWN in self.subject
        match = any(fnmatch.fnmatchcase(self.subject, text) for text in texts)
        self.here = not self.done and (match or unknown)
        self.done = self.done or (match and not unknown)
        self.label = False
        self.patterns = []

    def end_branch(self) -> None:
        self.label = True
        self.here = False


_KEYWORDS = frozenset(
    ["if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "{", "}"]
)


def _is_active(frames: list[_Frame]) -> bool:
    return not frames or (frames[-1].outer and frames[-1].here)


def _find_first_command(words: list[str]) -> int:
    for index, word in enumerate(words):
        if not _ASSIGNMENT.match(word):
            return index
    return len(words)


def _split_tokens(text: str) -> Iterator[str]:
    """Words, raw, and operators; comments and the bodies of here-documents left out; ends with a line break."""
    text = text.replace("\r\n", "\n")
    word = ""
    heredocs: list[str] = []
    index = 0
    while index < len(text):
        char = text[index]
        operator = next((item for item in _OPERATORS if text.startswith(item, index)), "")
        if char == "\\" and text[index + 1 : index + 2] == "\n":
            index += 2
        elif char == "#" and not word:
            index = _find_line_end(text, index)
        elif operator and not (char == "&" and (word.endswith(("<", ">")) or text[index + 1 : index + 2] == ">")):
            if word:
                yield word
            word = ""
            yield operator
            index += len(operator)
            if operator == "\n":
                for name in heredocs:
                    index = _skip_heredoc(text, index, name)
                heredocs = []
        elif char in " \t":
            if word:
                yield word
            word = ""
            index += 1
        elif (match := _HEREDOC.match(text, index)) is not None:
            heredocs.append(match.group(1))
            index = match.end()
        else:
            end = _find_end(text, index)
            word += text[index:end]
            index = end
    if word:
        yield word
    yield "\n"


def _find_end(text: str, index: int) -> int:
    """The index after the quoted or substituted piece, or the character, that begins here."""
    char = text[index]
    if char == "\\":
        return min(index + 2, len(text))
    for opener, closer in _PAIRS:
        if text.startswith(opener, index):
            start = index + len(opener)
            if opener in ("'", "$(("):  # nothing within these is special
                end = text.find(closer, start)
                return len(text) if end < 0 else end + len(closer)
            return _find_closing(text, start, closer)
    return index + 1


def _find_closing(text: str, index: int, closer: str) -> int:
    while index < len(text):
        if text[index] == closer:
            return index + 1
        if closer == '"' and text[index] == "'":  # an apostrophe within double quotes is itself
            index += 1
        else:
            index = _find_end(text, index)
    return len(text)


def _find_line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    return len(text) if end < 0 else end


def _skip_heredoc(text: str, index: int, name: str) -> int:
    while index < len(text):
        end = _find_line_end(text, index)
        line = text[index:end].strip()
        index = end + 1
        if line == name:
            break
    return min(index, len(text))
