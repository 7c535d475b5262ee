# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON as every JavaScript peer can parse it: one encoder and decoder for the contract, the engine and the journal."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any


def _parse_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("number out of range")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _make_fast_encoder(plain: json.JSONEncoder) -> Callable[[Any], str]:
    """``plain.encode`` without its preparations, which cost more than a small message. What is encoded came from
    JSON and has no circles. Where the interpreter has no such thing it is ``plain.encode`` itself."""
    try:
        make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
        encode = json.encoder.encode_basestring
        pieces = make(None, plain.default, encode, None, ":", ",", False, False, False)
        if "".join(pieces({"\u00e9": [1, None]}, 0)) != '{"\u00e9":[1,null]}':
            return plain.encode
    except (AttributeError, TypeError):
        return plain.encode
    return lambda value: "".join(pieces(value, 0))


class StrictJson:
    """The standard library, kept to what every JavaScript peer can parse.

    NaN and Infinity are refused both ways: one such number, relayed to a room, makes each browser in
    it close its connection. A lone surrogate (``"\\ud800"``) is valid JSON but not UTF-8: escaped then.
    """

    _options: dict[str, Any] = {"separators": (",", ":"), "allow_nan": False}

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_parse_finite)
        # The value at a place of a text, and where it ends. Raises StopIteration, ValueError, RecursionError.
        self.scan: Callable[[str, int], tuple[Any, int]] = self._decoder.scan_once  # type: ignore[attr-defined]
        self._encode = _make_fast_encoder(json.JSONEncoder(ensure_ascii=False, **self._options))

    def dumps(self, value: Any, default: Callable[[Any], Any] | None = None) -> str:
        if default is not None:
            return json.JSONEncoder(default=default, **self._options).encode(value)
        text = self._encode(value)
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                return json.JSONEncoder(**self._options).encode(value)
        return text

    def loads(self, text: str, at: int = 0) -> Any:
        """The value that begins at ``at`` and ends with the text. Raises ValueError, RecursionError."""
        if text[at : at + 1] in " \t\r\n":
            return self._decoder.decode(text[at:])
        value, end = self._decoder.raw_decode(text, at)
        if end != len(text) and text[end:].strip(" \t\r\n"):
            raise ValueError("more than one value")
        return value

    def find_argument_member(self, text: str, at: int, name: str) -> str | None:
        """The JSON text of a member of the object that is the second item of the array at ``at``, as it is written
        there; of the last one with that name, as a decoder takes it; None when there is none.

        ``text`` is known to be JSON from ``at`` on. Line feeds, which are never part of a value, become spaces.
        """
        at = self._skip(text, at) + 1  # the bracket
        at = self._skip(text, self.end(text, self._skip(text, at))) + 1  # the comma
        at = self._skip(text, at) + 1  # the brace
        found = None
        while text[at := self._skip(text, at)] != "}":
            if text[at] == ",":
                at = self._skip(text, at + 1)
            key, at = self.scan(text, at)
            start = self._skip(text, self._skip(text, at) + 1)
            at = self.end(text, start)
            if key == name:
                found = start, at
        return None if found is None else text[found[0] : found[1]].replace("\n", " ")

    @staticmethod
    def _skip(text: str, at: int) -> int:
        """Where white space ends."""
        while text[at] in " \t\r\n":
            at += 1
        return at

    def end(self, text: str, at: int) -> int:
        """Where the value ends that begins at ``at``. Raises ValueError, RecursionError."""
        try:
            return self.scan(text, at)[1]
        except StopIteration as exc:
            raise ValueError(f"no value at {exc.value}") from None


class RawJson(str):
    """A value as JSON text, in the place of the value."""

    __slots__ = ()


JSON = StrictJson()
dumps, loads = JSON.dumps, JSON.loads


# Brackets as signed bytes, each one step down or up.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_MARKS = bytes(byte for byte in range(256) if byte not in b'[{]}"')


def is_deeper(text: str, most: int) -> bool:
    """Whether JSON text has more than so many arrays and objects within one another. Nearly all is known by its
    length, and the rest takes no loop of Python's: it must not cost more than to read the text."""
    if len(text) <= 2 * most or text.count("[") + text.count("{") <= most:
        return False
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")  # what is left of others goes with the letters
    marks = text.encode(errors="replace").translate(None, _NO_MARKS)
    # A quotation mark ends a string or begins one; two of them together change nothing.
    outside = b"".join(marks.replace(b'""', b"").split(b'"')[::2])
    if outside.count(b"[") + outside.count(b"{") <= most:
        return False
    return max(accumulate(array("b", outside.translate(_STEPS)))) > most


def count_bytes(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def count_all_bytes(texts: Iterable[str]) -> int:
    """Bytes of texts in UTF-8."""
    return sum([len(text) if text.isascii() else len(text.encode()) for text in texts])
