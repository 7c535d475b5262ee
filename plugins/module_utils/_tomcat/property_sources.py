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
_MAX_VALUE = 65536  # characters: a property that refers to itself twice doubles in each round
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
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
    return read_known(base, known, properties, _files.read_existing) if b"${" in content else known


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
    logical, start = "", 0
    for number, line in enumerate([*re.split(r"\r\n|\r|\n", text), ""], 1):
        if not logical and line.lstrip(" \t\f")[:1] in ("", "#", "!"):
            continue
        logical, start = logical + line.lstrip(" \t\f"), start if logical else number
        if (len(logical) - len(logical.rstrip("\\"))) % 2:
            logical = logical[:-1]
            continue
        name, value = _PAIR.match(logical).groups()  # type: ignore[union-attr] # it matches everything
        yield start, _unescape(name), _unescape(value)
        logical, start = "", 0


def _unescape(text: str) -> str:
    code = r"\\(?:u([0-9A-Fa-f]{4})|(.))"
    return re.sub(code, lambda at: chr(int(at[1], 16)) if at[1] else _ESCAPES.get(at[2], at[2]), text, flags=re.DOTALL)


def resolve(value: str, properties: Values) -> tuple[str, list[str]]:
    """Replace ``${name}`` and ``${name:-default}`` as Tomcat does (``IntrospectionUtils.replaceProperties``).

    :returns: the text, and the names that are unknown (they stay in the text as ``${name}``), each once.
    """
    for _round in range(_MAX_ROUNDS):
        text, unknown = _resolve_once(value, properties)
        if text == value:
            return text, unknown
        if ONCE in properties:
            return text, unknown + [name for name in _list_references(text) if name not in unknown]
        if len(text) > _MAX_VALUE:
            break
        value = text
    return value, ["a property that refers to itself"]


def resolves_once(version: str) -> bool:
    """Whether a Tomcat of that version looks for ``${...}`` once; an unknown one is taken for a new one."""
    major = re.match(r"(\d+)\.(\d+)", version)
    return major is not None and (int(major[1]), int(major[2])) < (10, 1)


def _list_references(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"\$\{([^}]*)\}", text)))


def _resolve_once(value: str, properties: Values) -> tuple[str, list[str]]:
    unknown: dict[str, None] = {}

    def replace(match: re.Match[str]) -> str:
        name, separator, default = match[1].partition(":-")
        # The whole is looked up first: a property may have ":-" in its name.
        known = properties.get(match[1], properties.get(name, default if separator else None))
        if known is None:
            unknown[match[1]] = None
        return match[0] if known is None else known

    return re.sub(r"\$\{([^}]*)\}", replace, value), list(unknown)
