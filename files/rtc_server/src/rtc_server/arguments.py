# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command's arguments may be, and its output where a locale, a full disk or a closed pipe is in the way.

Names and exports are UTF-8, whatever the locale is: cron and minimal containers have none.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

from .auth import MAX_NAME
from .journal import MAX_PROJECT, JournalError, is_project_name


def read_text(argument: str) -> str:
    """An argument that is no file. The locale may have taken its bytes for something else."""
    try:
        return os.fsencode(argument).decode()
    except UnicodeDecodeError:
        if argument.isprintable():  # of a terminal that is not UTF-8, and whose locale says so
            return argument
        raise argparse.ArgumentTypeError("is no text in UTF-8") from None


def read_project(argument: str) -> str:
    """A project that clients can have."""
    text = read_text(argument)
    if not is_project_name(text):
        raise argparse.ArgumentTypeError(f"must have 1 to {MAX_PROJECT} printable characters")
    return text


def read_name(argument: str) -> str:
    """A name that others see; "" for none."""
    text = read_text(argument)
    if len(text) > MAX_NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(f"must have {MAX_NAME} printable characters at most")
    return text


def read_user(argument: str) -> str:
    """Who a token speaks for."""
    text = read_name(argument)
    if not text:
        raise argparse.ArgumentTypeError(f"must have 1 to {MAX_NAME} printable characters")
    return text


def read_positive(argument: str) -> float:
    """Of seconds or days. "nan" would be neither before nor after anything."""
    try:
        number = float(argument)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of 0 or more, not {argument!r}")
    return number


def read_pid(argument: str) -> int:
    """Of one process: to kill(2), 0 and less are groups of them, or all."""
    number = int(argument)
    if not 0 < number < 1 << 31:
        raise argparse.ArgumentTypeError(f"must be the number of a process, not {argument!r}")
    return number


def open_input() -> BinaryIO:
    """What comes on standard input, as bytes. Raises JournalError."""
    if sys.stdin is None:
        raise JournalError("standard input is closed")
    return sys.stdin.buffer


def read_input() -> str:
    """The text on standard input, which is UTF-8. Raises JournalError."""
    if sys.stdin is None:
        raise JournalError("standard input is closed")
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as exc:
        raise JournalError("standard input is not UTF-8") from exc


@contextlib.contextmanager
def writing_text() -> Iterator[None]:
    """Write what is printed as UTF-8, all of it before the block ends. Raises JournalError where it cannot be written;
    whoever closed the pipe, as ``head`` does, wants no more and hears nothing of it."""
    output = sys.stdout
    if hasattr(output, "reconfigure"):
        output.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        yield
        if output is not None:
            output.flush()
    except OSError as exc:
        if exc.filename is not None:  # of a file, not of what is printed
            raise
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), output.fileno())  # the interpreter flushes once more when it ends
        if not isinstance(exc, BrokenPipeError):
            raise JournalError(f"standard output cannot be written: {exc.strerror}") from exc
        raise SystemExit(1) from None
