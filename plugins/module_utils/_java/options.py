# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of an application's JVM, read from setenv.sh, units and command lines."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils import _shell_eval

MASK = "********"

_SECRET = re.compile(
    r"pass(word|wd|phrase)?$|password|passwd|passphrase|(store|key|trust|bind)_?pass|secret|token$|credential"
    r"|api[._-]?key|private[._-]?key",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^@/\s]+@")
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


@dataclass
class JvmOptions:
    """What a source says about the JVM. Secrets are still in it: mask before it leaves the host."""

    properties: dict[str, str] = field(default_factory=dict)  # -D
    environment: dict[str, str] = field(default_factory=dict)  # JRE_HOME, JAVA_HOME, JIRA_HOME, ...


def is_secret(name: str) -> bool:
    """Whether a property, attribute or variable of this name holds a secret."""
    return bool(_SECRET.search(name))


def mask(values: dict[str, str]) -> dict[str, str]:
    """The values with secrets replaced; passwords within URLs too."""
    return {
        name: MASK if is_secret(name) and value else _URL_PASSWORD.sub(r"\g<1>" + MASK + "@", value)
        for name, value in values.items()
    }


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
            if _shell_eval.UNKNOWN not in option:
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
    read: _shell_eval.Reader | None = None,
    exists: _shell_eval.Exists | None = None,
) -> JvmOptions:
    """What bin/setenv.sh leaves for catalina.sh, without running it.

    :param environment: what the service gives it (``Environment=`` of the unit).
    :param read: text of a file that it reads (bin/setjre.sh), ``None`` when it is not there.
    """
    # As bin/catalina.sh sets them before it reads setenv.sh.
    start = {
        "CATALINA_HOME": install_dir,
        "CATALINA_BASE": install_dir,
        "PRGDIR": install_dir + "/bin",
        "0": install_dir + "/bin/catalina.sh",
        "BASH_SOURCE": install_dir + "/bin/setenv.sh",
        "os400": "false",
        "cygwin": "false",
        "darwin": "false",
    }
    start.update(environment)
    left = _shell_eval.variables(text, start, read, exists)
    words = [
        *(word for name in _BEFORE for word in split_options(left.get(name, ""))),
        *split_options(left.get("JAVA_OPTS", "")),
        *split_options(left.get("CATALINA_OPTS", "")),
        *(word for name in _AFTER for word in split_options(left.get(name, ""))),
    ]
    known = {name: value for name, value in left.items() if _shell_eval.UNKNOWN not in value}
    return JvmOptions(properties(words), known)


def parse_environment_file(text: str) -> dict[str, str]:
    """The variables of a systemd ``EnvironmentFile=`` (systemd.exec(5))."""
    found: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name[:1] in ("#", ";") or not name:
            continue
        value = value.strip()
        if value[:1] in ("'", '"'):
            words = split_options(value)
            value = words[0] if words else ""
        found[name.strip()] = value
    return found


def parse_environment_line(text: str) -> dict[str, str]:
    """The variables of a systemd ``Environment=`` line: words ``NAME=value``, each quoted as a whole or not."""
    found = {}
    for word in split_options(text):
        name, equals, value = word.partition("=")
        if equals:
            found[name] = value
    return found
