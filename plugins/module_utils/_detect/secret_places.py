# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the secrets are that ``${...}`` in server.xml names: file and line, so that a module can read them there.

Only a place that gives just the known value counts: how files, units and shells read a line need not be known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ansible_collections.collab.rtc.plugins.module_utils._detect.doubts import Installation
from ansible_collections.collab.rtc.plugins.module_utils._facts import SecretSource
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.service_units import Starter
from ansible_collections.collab.rtc.plugins.module_utils._host.unit_syntax import settings
from ansible_collections.collab.rtc.plugins.module_utils._java.options import read_setenv
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import property_sources, secret_source

_MOST_VARIABLES = 20


def locate(
    rootfs: RootFs, found: Installation, starter: Starter | None, secrets: list[SecretSource], known: Mapping[str, str]
) -> None:
    """Fill in file and line of secrets, where there is such a place.

    :param known: the values of all properties.
    """
    path, text = property_sources.read_file(known, rootfs.data)
    for secret in secrets:
        value = known.get(secret.name, "")
        entries = [(line, item) for line, name, item in property_sources.read_lines(text) if name == secret.name]
        if entries and entries[-1][1] == value:
            secret.file, secret.line = path, entries[-1][0]
        elif value:
            _locate_in(_read_texts(rootfs, found, starter), secret, value)


def _read_texts(rootfs: RootFs, found: Installation, starter: Starter | None) -> dict[str, str]:
    """What the next start reads, then what the running process was given."""
    script = f"{found.path}/bin/setenv.sh"
    texts = {script: rootfs.text(script) or ""}

    def read(path: str) -> str | None:
        content = rootfs.text(path)
        texts[path] = content or ""
        return content

    environment = starter.environment if starter else {}
    read_setenv(texts[script], found.path, environment, read, lambda path: rootfs.stat(path) is not None)
    for path in starter.files if starter else []:
        for key, value in settings(read(path) or ""):
            if key == "EnvironmentFile" and value:
                read(value.lstrip("-"))
    for name in ("cmdline", "environ") if found.proc else ():
        read(f"/proc/{found.proc.pid}/{name}" if found.proc else "")
    return texts


def _locate_in(texts: Mapping[str, str], secret: SecretSource, value: str) -> None:
    names = _list_names(texts, secret.name)
    for file, text in texts.items():
        for line, before, content in _list_assignments(text, file, names):
            if secret_source.read_line(content, file, before) == value:
                secret.file, secret.line, secret.before = file, line, before
                return


def _list_names(texts: Mapping[str, str], name: str) -> list[str]:
    """The option, the variable of that name, and the variables that they are made of."""
    names = ["-D" + name, name]
    everything = "\n".join(texts.values())
    for one in names:
        made_of = re.findall(re.escape(one) + r"=\\?[\"']?\$\{?(\w+)", everything)
        names += [item for item in dict.fromkeys(made_of) if item not in names][: _MOST_VARIABLES - len(names)]
    return names


def _list_assignments(text: str, file: str, names: list[str]) -> Iterator[tuple[int, str, str]]:
    pattern = re.compile(r"(?:\\?[\"'])?(?<![\w.-])(?:" + "|".join(map(re.escape, names)) + r")=(?:\\?[\"'])?")
    for line, content in enumerate(secret_source.split_lines(text, file), 1):
        found = (match[0] for match in pattern.finditer(content))
        for before in dict.fromkeys(one for item in found for one in (item, item.lstrip("\\\"'"))):
            yield line, before, content
