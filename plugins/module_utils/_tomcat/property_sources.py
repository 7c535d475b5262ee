# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Tomcat takes the value of a ``${...}`` from, in its order: the classes named below, Tomcat 7 to 11."""

from __future__ import annotations

import os
import re
from typing import Callable, Iterator, Mapping, Optional
from urllib.parse import unquote

from ansible_collections.collab.rtc.plugins.module_utils import _files

Values = Mapping[str, str]
Reader = Callable[[str], Optional[bytes]]  # the content of a file, None: there is none

_SOURCES = "org.apache.tomcat.util.digester.PROPERTY_SOURCE"
_ENVIRONMENT = "org.apache.tomcat.util.digester.EnvironmentPropertySource"
_SYSTEM = "org.apache.tomcat.util.digester.Digester$SystemPropertySource"
CONTROLS = ("catalina.config", _SOURCES)  # properties that say which sources there are
# Among the properties, says that this Tomcat looks for ${...} once: what a value or default holds stays as it is. Seen
# of 9.0.98; 10.1.34 and 11.0.2 look again. No ${...} can have this name.
ONCE = "}once"
_MAX_ROUNDS = 20  # Tomcat gives up resolving there too
# Characters that properties make of a value: one that refers to itself twice doubles in each round, and a run user may
# name a large one a million times.
_MAX_VALUE = 8192
_LIMIT = 4 * 1024 * 1024  # bytes of a properties file, as in detection (RootFs)
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_PAIR = re.compile(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)


def read_known(base: str, properties: Values, environment: Values, read: Reader) -> dict[str, str]:
    """All that ``${...}`` may name. The properties file wins over ``-D`` (``CatalinaProperties.loadProperties``); a
    source that Tomcat is told to use wins over system properties (``Digester``).

    :param base: the CATALINA_BASE.
    :param properties: system properties: ``-D`` options of the JVM, and Java's own (``user.home``).
    """
    given = {"catalina.base": base, "catalina.home": base, "java.io.tmpdir": base + "/temp", **properties}
    own = {name: value for _line, name, value in read_lines(read_file(given, read)[1])}
    system = {"file.separator": "/", "path.separator": ":", **given, **own}
    known = dict(system)
    for source in reversed(system.get(_SOURCES, "").split(",")):
        known.update(environment if source.strip() == _ENVIRONMENT else system if source.strip() == _SYSTEM else {})
    return known


def read_on_host(path: str, properties: Values, content: bytes) -> dict[str, str]:
    """As :func:`read_known`, for modules. The properties are those of the environment, too: a plan has what counts."""
    base = os.path.dirname(os.path.dirname(os.path.abspath(path)))
    known = {"catalina.base": base, **properties}
    if b"${" not in content:
        return known
    return read_known(base, known, properties, lambda name: _files.read_existing(name, _LIMIT))


def read_file(properties: Values, read: Reader) -> tuple[str, str]:
    """Path and text of the properties file: ``conf/catalina.properties``, or what ``catalina.config`` names: a name in
    ``conf``, or an address. A path alone is neither: Tomcat takes the usual file then."""
    config = properties.get("catalina.config", "")
    paths = [unquote(re.sub("^file:(//)?(?=/)", "", config))] if config.startswith("file:/") else []
    name = config if config and "/" not in config else "catalina.properties"
    for path in [*paths, f"{properties['catalina.base']}/conf/{name}"]:
        content = read(path)
        if content is not None:
            return path, content.decode("latin-1")
    return "", ""


def read_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Line (1-based), name and value of each entry of a properties file (``java.util.Properties.load``)."""
    pieces: list[str] = []  # of an entry that goes on: joined once, as it may have a million lines
    start = 0
    for number, line in enumerate([*re.split(r"\r\n|\r|\n", text), ""], 1):
        piece = line.lstrip(" \t\f")
        if not pieces and piece[:1] in ("", "#", "!"):
            continue
        start = start if pieces else number
        goes_on = (len(piece) - len(piece.rstrip("\\"))) % 2
        if goes_on:
            pieces += [piece[:-1]] if len(piece) > 1 else []
            continue
        pieces.append(piece)
        name, value = _PAIR.match("".join(pieces)).groups()  # type: ignore[union-attr] # it matches everything
        yield start, _unescape(name), _unescape(value)
        pieces = []


def _unescape(text: str) -> str:
    """Characters by their escapes; beyond the first plane they are two, as Java has them. Half of one is none that
    could be written anywhere."""
    code = r"\\(?:u([0-9A-Fa-f]{4})|(.))"
    text = re.sub(code, lambda at: chr(int(at[1], 16)) if at[1] else _ESCAPES.get(at[2], at[2]), text, flags=re.DOTALL)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def resolve(value: str, properties: Values) -> tuple[str, list[str]]:
    """Replace ``${name}`` and ``${name:-default}`` as Tomcat does (``IntrospectionUtils.replaceProperties``).

    :returns: the text, and the names that are unknown (they stay in the text as ``${name}``), each once.
    """
    for _round in range(_MAX_ROUNDS):
        text, unknown = _resolve_once(value, properties)
        if text is None:
            break
        if text == value:
            return text, unknown
        if ONCE in properties:
            return text, unknown + [name for name in _list_references(text) if name not in unknown]
        value = text
    return value, ["a property that refers to itself"]


def resolves_once(version: str) -> bool:
    """Whether a Tomcat of that version looks for ``${...}`` once; an unknown one is taken for a new one."""
    major = re.match(r"(\d+)\.(\d+)", version)
    return major is not None and (int(major[1]), int(major[2])) < (10, 1)


def _list_references(text: str) -> list[str]:
    return list(dict.fromkeys(find_references(text)))


def find_references(text: str) -> list[str]:
    """What stands within ``${...}``."""
    return _REFERENCE.findall(text[: text.rfind("}") + 1])


def _resolve_once(value: str, properties: Values) -> tuple[str | None, list[str]]:
    """``None``: it grows beyond all bounds."""
    unknown: dict[str, None] = {}
    grown = 0

    def replace(match: re.Match[str]) -> str:
        name, separator, default = match[1].partition(":-")
        # The whole is looked up first: a property may have ":-" in its name.
        known = properties.get(match[1], properties.get(name, default if separator else None))
        if known is None:
            unknown[match[1]] = None
            return match[0]
        nonlocal grown
        grown += max(0, len(known) - len(match[0]))
        return known if grown <= _MAX_VALUE else ""

    # Up to the last end of one: without a search to the end for each "${" that has none.
    end = value.rfind("}") + 1
    text = _REFERENCE.sub(replace, value[:end]) + value[end:]
    return None if grown > _MAX_VALUE else text, list(unknown)
