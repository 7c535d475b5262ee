# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of an application's JVM, read from setenv.sh, units and command lines."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Sequence

from ansible_collections.collab.rtc.plugins.module_utils._shell import evaluate, results
from ansible_collections.collab.rtc.plugins.module_utils._shell.words import UNKNOWN, Exists, Names, Reader, Real

# Options of the java launcher whose value is the next word (java(1)).
_WITH_VALUE = frozenset(
    [
        "-cp",
        "-classpath",
        "--class-path",
        "-p",
        "--module-path",
        "--upgrade-module-path",
        "--add-modules",
        "--add-exports",
        "--add-opens",
        "--add-reads",
        "--patch-module",
        "--limit-modules",
        "-d",
        # of jsvc, which may run Tomcat in place of java
        "-java-home",
        "-home",
        "-user",
        "-pidfile",
        "-wait",
        "-outfile",
        "-errfile",
        "-procname",
    ]
)
# Read by the JVM itself, before and after the command line (Java SE troubleshooting guide; java(1) from 9 on).
_BEFORE = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
_AFTER = ("_JAVA_OPTIONS",)
# What catalina.sh hands to eval, in its order.
_EVALUATED = ("LOGGING_MANAGER", "JAVA_OPTS", "JSSE_OPTS", "CATALINA_OPTS")


@dataclass
class JvmOptions:
    """What a source says about the JVM. Secrets are still in it: mask before it leaves the host."""

    properties: dict[str, str] = field(default_factory=dict)  # -D
    environment: dict[str, str] = field(default_factory=dict)  # JRE_HOME, JAVA_HOME, JIRA_HOME, ...
    unknown: dict[str, str] = field(default_factory=dict)  # property or variable -> the place that makes it unknown
    unclear: str = ""  # the place that may add any option: what is not in ``properties`` may be set all the same

    def find_doubt(self, name: str) -> str:
        """The place ("/opt/jira/bin/setenv.sh:12") that makes it unknown what a property or variable is.

        "" when it is known, and known to be absent when it is neither in ``properties`` nor in ``environment``.
        """
        known = name in self.properties or name in self.environment
        return self.unknown.get(name, "") or ("" if known else self.unclear)


def split_options(text: str) -> list[str]:
    """The words of ``JAVA_OPTS``, as catalina.sh makes them with ``eval``."""
    try:
        return shlex.split(text)
    except ValueError:  # unbalanced quotes: Tomcat would not start; show what is there
        return text.split()


def properties(options: list[str]) -> dict[str, str]:
    """The ``-D`` properties of JVM options; the last of several wins, as in the JVM."""
    found: dict[str, str] = {}
    for option in options:
        if option.startswith("-D") and len(option) > 2:
            name, _equals, value = option[2:].partition("=")
            found.pop(name, None)
            found[name] = value
    return found


def read_command_line(arguments: list[str], environment: dict[str, str] | None = None) -> JvmOptions:
    """The options of a running ``java``.

    :param arguments: its command line, the executable first.
    :param environment: its environment when it may be read.
    """
    options: list[str] = []
    following = False
    for argument in arguments[1:]:
        if following:
            following = False
        elif argument in _WITH_VALUE:
            following = True
        elif not argument.startswith(("-", "@")) or argument == "-jar":
            break
        else:
            options.append(argument)
    environment = environment or {}
    before = [word for name in _BEFORE for word in split_options(environment.get(name, ""))]
    after = [word for name in _AFTER for word in split_options(environment.get(name, ""))]
    return JvmOptions(properties([*before, *options, *after]), environment)


def read_setenv(
    text: str,
    install_dir: str,
    environment: dict[str, str],
    read: Reader | None = None,
    exists: Exists | None = None,
    real: Real | None = None,
    names: Names | None = None,
    path: str = "",
    commands: Sequence[str] = ("start",),
    cat: Reader | None = None,
    plain: bool = False,
) -> JvmOptions:
    """What bin/setenv.sh leaves for catalina.sh, without running it.

    :param install_dir: the CATALINA_HOME; CATALINA_BASE too, unless the environment has another.
    :param environment: what the service gives it (``Environment=`` of the unit).
    :param path: of the script, where it is not in the usual place.
    :param commands: what catalina.sh may get, and so setenv.sh as ``$1``: "start" and "run".
    :param cat: as ``read``, for what may be shown: the output of ``cat``.
    :param plain: whether the host's ``sh``, which runs catalina.sh, is dash.
    :param read: text of a file that it reads (bin/setjre.sh), ``None`` when it is not there.
    :param exists: whether a file or directory is there.
    :param real: resolves a path.
    :param names: lists a directory.
    """
    # As bin/catalina.sh sets them before it reads setenv.sh.
    path = path or install_dir + "/bin/setenv.sh"
    start = {
        "CATALINA_HOME": install_dir,
        "CATALINA_BASE": install_dir,
        "PRGDIR": install_dir + "/bin",
        "0": install_dir + "/bin/catalina.sh",
        "BASH_SOURCE": path,
        "os400": "false",
        "cygwin": "false",
        "darwin": "false",
        **environment,
    }
    found: list[JvmOptions] = []
    places: list[str] = []
    for command in commands:
        ways = evaluate.evaluate(text, {**start, "1": command}, read, exists, real, names, path, cat, plain)
        found += [_read_result(way) for way in ways]
        places += [way.place or f"{path} ($1)" for way in ways]
    first = found[0]
    for other, place in zip(found[1:], places[1:]):
        _note_differences(first, other, place)
    return first


def _note_differences(first: JvmOptions, other: JvmOptions, place: str) -> None:
    """What is not the same whatever the conditions are is unknown."""
    for mine, theirs in ((first.properties, other.properties), (first.environment, other.environment)):
        for name in {*mine, *theirs}:
            if mine.get(name) != theirs.get(name) and name not in first.unknown:
                mine.pop(name, None)
                first.unknown[name] = other.unknown.get(name) or place
    first.unclear = first.unclear or other.unclear


def _read_result(left: results.Result) -> JvmOptions:
    found = JvmOptions(unclear=left.anything)
    for name, value in left.variables.items():
        if UNKNOWN in value:
            found.unknown[name] = left.causes.get(name, "") or name
        else:
            found.environment[name] = value
    home = left.variables.get("JAVA_HOME", "")
    given = {
        "CATALINA_TMPDIR": left.variables.get("CATALINA_BASE", "") + "/temp",
        "JRE_HOME": home or UNKNOWN,
        **{name: value for name, value in left.variables.items() if value},
    }  # bin/setclasspath.sh
    for name in (*_BEFORE, *_EVALUATED, *_AFTER):
        text = left.variables.get(name, "")
        evaluated = name in _EVALUATED
        words = evaluate.fields(text, given) if evaluated else split_options(text)
        for word in words:
            _add_option(found, word, left.causes.get(name, "") or name)
    return found


def _add_option(found: JvmOptions, word: str, place: str) -> None:
    name, _equals, value = word[2:].partition("=")
    unsure = UNKNOWN in (name if word.startswith("-D") else word)
    if word.startswith("@") or (unsure and word[:2] != "-X"):  # a file with options; any words
        found.unclear = place
    elif word.startswith("-D") and name:
        found.properties.pop(name, None)
        found.unknown.pop(name, None)
        if UNKNOWN in value:
            found.unknown[name] = place
        else:
            found.properties[name] = value
