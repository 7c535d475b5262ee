# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy: where its files are, what they say, and the managed block.

HAProxy has no include. Which files it reads is on its command line: where that names a directory (the RHEL family), the
managed part is a file of its own there. Elsewhere (Debian) it is a block in ``haproxy.cfg`` between two marks: a
further ``-f`` would need a restart, which cuts everybody's connections, while a block comes with a graceful reload.

What ``defaults`` of others say holds for the sections that follow. Where some say more than cannot matter here, such as
options for every server, the block has ``defaults`` of its own and stands right before the first of theirs: so neither
holds for the other, in every version.

The block keeps its virtual hosts as lines of JSON, so that one of them can be changed without the others at hand.
"""

from __future__ import annotations

import glob
import json
import os
import re
import signal

from ansible_collections.collab.rtc.plugins.module_utils import _facts, _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import (
    MARK,
    Backend,
    DesiredFile,
    DesiredLayout,
    ProxyError,
    ca_file,
    version_tuple,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser, reader, renderer
from ansible_collections.collab.rtc.plugins.module_utils._proxy.listens import refuse_foreign
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rendering import has_tls_upstream
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

_BEGIN = f"# BEGIN collab.rtc. {MARK}: changes between these marks are lost at the next run of the playbook."
_END = "# END collab.rtc"
_BLOCK = re.compile(r"\n?# BEGIN collab\.rtc\.[^\n]*\n(.*?)# END collab\.rtc[^\n]*\n?", re.DOTALL)
_MARKED = "# BEGIN collab.rtc"
_VHOST = "# vhost "
_NO_LISTENER = "no error but will not start (no listener)"
_OLDEST = (2, 2)  # "http-request return"


class Haproxy(Backend):
    """HAProxy 2.2 and later."""

    kind = "haproxy"
    programs = ("haproxy",)
    services = ("haproxy",)
    rebinds = True  # with SO_REUSEPORT

    def settings(self) -> dict[str, str]:
        """The variables of the service: those of the distributions' files for it."""
        values = {"CONFIG": "/etc/haproxy/haproxy.cfg", "CFGDIR": "/etc/haproxy/conf.d", "EXTRAOPTS": "", "OPTIONS": ""}
        for path in ("/etc/default/haproxy", "/etc/sysconfig/haproxy"):
            for match in re.finditer(r"^\s*(\w+)=(.*)$", _read_text(self.path(path)), re.MULTILINE):
                values[match.group(1)] = match.group(2).strip().strip("\"'")
        return values

    def environment(self) -> dict[str, str]:
        """The variables of the running process; where there is none those of its service's settings."""
        master = daemon.read_pid(self.pid_file(), self.programs)
        running = daemon.environment(master) if master else {}
        return parser.ProcessEnvironment(running) if running else self.settings()

    def parse_config(self) -> parser.HaproxyConfig:
        """All files, parsed."""
        return parser.parse(self.files(), self.environment(), self.path)

    def main(self) -> str:
        """The first file."""
        return self.path(self.settings()["CONFIG"])

    def arguments(self) -> list[str]:
        """The paths of all ``-f``: of the running process, else of the unit and its settings."""
        master = daemon.read_pid(self.pid_file(), self.programs)
        found = _find_named_files(daemon.command_line(master)) if master else []
        if found:
            return [self.path(item) for item in found]
        values = self.settings()
        units = [
            self.path(f"{directory}/haproxy.service")
            for directory in ("/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system")
        ]
        commands = [line for path in units for line in re.findall(r"^ExecStart=(.+)$", _read_text(path), re.MULTILINE)]
        command = commands[-1] if commands else "haproxy -f $CONFIG $EXTRAOPTS"
        command = re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], ""), command)
        return [self.path(item) for item in _find_named_files(command.split())] or [self.main()]

    def files(self) -> list[str]:
        """All files that it reads; of a directory those that end in ``.cfg``, in order."""
        found: list[str] = []
        for path in self.arguments():
            found += sorted(glob.glob(f"{path}/*.cfg")) if os.path.isdir(path) else [path]
        return found

    def managed_file(self) -> tuple[str, str]:
        """The file that holds the managed block, and what it holds now ("" for a file that is not there yet)."""
        for path in self.files():
            text = _read_text(path)
            if _MARKED in text:
                return path, text
        for path in self.arguments():
            if os.path.isdir(path):
                return f"{path}/collab-rtc.cfg", _read_text(f"{path}/collab-rtc.cfg")
        return self.main(), _read_text(self.main())

    def read(self) -> Proxy:
        """All frontends."""
        config = self.parse_config()
        hosts = reader.read_virtual_hosts(config)
        path, text = self.managed_file()
        first, last = _locate_block(text)
        for host in hosts:
            host.managed = host.file == path and first <= host.line <= last
        return Proxy("haproxy", config=self.main(), hosts=hosts, notes=config.notes)

    def build_layout(self, vhosts: list[VhostPlan], absent: list[str], current: Proxy) -> DesiredLayout:
        """The managed block, and a file with certificate and key for each virtual host that ends TLS."""
        if self.version() and version_tuple(self.version()) < _OLDEST:
            raise ProxyError(f"HAProxy {self.version()} is too old.", "Install 2.2 or later, or use nginx or Apache.")
        path, text = self.managed_file()
        held = {item.name: item for item in _read_block(path, text)}
        gone = [name for name in absent if name in held]
        held.update({item.name: item for item in vhosts})
        kept = [held[name] for name in sorted(held) if name not in absent]
        for vhost in vhosts:
            refuse_foreign(vhost, current, any_name=True)
        result = DesiredLayout()
        directory = self.path("/etc/haproxy/collab-rtc")
        pems = {item.name: f"{directory}/{item.name}.pem" for item in kept if item.certificate}
        if pems:
            result.directories.append(directory)
        for item in kept:
            # Those of an earlier run are renewed with the others. In check mode the files may not be there yet.
            if item.certificate and os.path.exists(item.certificate) and os.path.exists(item.key):
                result.files.append(DesiredFile(pems[item.name], _join_pem(item), 0o600, secret=True))
        authorities = {item.name: ca_file(item, self) for item in kept if has_tls_upstream(item)}
        theirs = self._list_defaults(path, text)
        apart = renderer.DEFAULTS in text or not all(map(renderer.is_harmless, theirs))
        logs = [line.words for line in theirs[-1].lines if renderer.is_logging(line.words)] if theirs and apart else []
        own = renderer.render_defaults(logs) if apart else ""
        written = logs if apart else [section for section in theirs if section.last("log")]
        block = _render_block(kept, pems, authorities, bool(written), own)
        texts = {path: _insert_block(text, block)}
        if kept and apart:
            texts = self._set_apart(path, text, block)
        for name, content in texts.items():
            if content.strip() or name == self.main():
                result.files.append(DesiredFile(name, content.encode("utf-8", "surrogateescape")))
                result.configuration.append(name)
            else:  # a file of our own that holds nothing any more
                result.absent.append(name)
        result.absent += [f"{directory}/{name}.pem" for name in gone]
        for port in sorted({item.port for item in vhosts}):
            of_port = [item for item in kept if item.port == port]
            result.listens += [(address, port) for address in renderer.addresses(of_port)]
        return result

    def _list_defaults(self, path: str, text: str) -> list[parser.Section]:
        """The ``defaults`` of others, in order."""
        first, last = _locate_block(text)
        found = (item for item in self.parse_config().sections if item.kind == "defaults")
        return [item for item in found if item.file != path or not first <= item.line <= last]

    def _set_apart(self, path: str, text: str, block: str) -> dict[str, str]:
        """The texts of the files where the block has moved before the first ``defaults`` of others."""
        texts = {name: _read_text(name) for name in self.files()}
        texts[path] = _insert_block(text, "")
        for name, content in texts.items():
            at = _find_defaults(content)
            if at >= 0:
                left = {path: texts[path]} if path != name else {}
                return {**left, name: content[:at] + "\n" + block + content[at:]}
        raise ProxyError(
            f"The defaults of {self.main()} would hold for the managed sections, and all of them are conditional.",
            "Have one defaults section outside of .if, before the others.",
        )

    def serves(self) -> bool:
        """HAProxy ends without any listener; a statistics socket is one."""
        return _NO_LISTENER not in super().validate()

    def validate(self) -> str:
        """As every server does; but a configuration that only lacks a listener, as Debian delivers it, is in order."""
        words = super().validate()
        return "" if _NO_LISTENER in words else words

    def blames_managed(self, words: str) -> bool:
        """Whether the server's words name a line of the managed block."""
        path, text = self.managed_file()
        first, last = _locate_block(text)
        numbers = re.findall(re.escape(path) + r":(\d+)", words)
        return any(first <= int(number) <= last for number in numbers)

    def test_command(self) -> tuple[list[str], dict[str, str]]:
        """``haproxy -c`` with the files and the variables of the service."""
        named = [word for path in self.arguments() for word in ("-f", path)]
        values = {name: value for name, value in self.environment().items() if not re.match(r"LD_|LC_ALL$", name)}
        return [self.program() or "haproxy", "-c", *named], values

    def pid_file(self) -> str:
        """Where the units of the distributions let it write."""
        return self.path(self.settings().get("PIDFILE", "/run/haproxy.pid"))

    def loaded(self, master: int) -> float:
        """The start of the newest worker: each reload makes one, and the old ones stay while they have connections."""
        found = [start for _pid, start, _command in daemon.children(master)]
        return max(found) if found else 0.0

    def reload_signal(self) -> int:
        """The master starts a new worker, the old one ends with its last connection."""
        return signal.SIGUSR2

    def error_log(self) -> str:
        """It has none of its own; the journal has its words."""
        return ""


def _find_named_files(arguments: list[str]) -> list[str]:
    return [value for word, value in zip(arguments, arguments[1:]) if word == "-f"]


def _read_text(path: str) -> str:
    try:
        return _files.read_bytes(path, 8 * 1024 * 1024).decode("utf-8", "surrogateescape")
    except RtcError:
        return ""


def _locate_block(text: str) -> tuple[int, int]:
    match = _BLOCK.search(text)
    if not match:
        return 0, -1
    return text.count("\n", 0, match.start()) + 1, text.count("\n", 0, match.end() - 1) + 1


def _read_block(path: str, text: str) -> list[VhostPlan]:
    """The virtual hosts that the managed block keeps.

    :raises ProxyError: someone changed it so that it cannot be read.
    """
    match = _BLOCK.search(text)
    if not match:
        if _MARKED in text:
            remedy = "Put it back at the end of the managed block, or remove the block."
            raise ProxyError(f"{path}: the mark '{_END}' is missing.", remedy)
        return []
    found = []
    for line in match.group(1).splitlines():
        if line.startswith(_VHOST):
            try:
                found.append(_facts.from_dict(VhostPlan, {"site": "", **json.loads(line[len(_VHOST) :])}))
            except (ValueError, TypeError) as exc:
                raise ProxyError(
                    f"{path}: the line '{line[:40]}…' cannot be read.", "Remove the managed block."
                ) from exc
    return found


def _find_defaults(text: str) -> int:
    """Where the first line of ``defaults`` begins that stands in no condition; -1 where there is none."""
    depth = 0
    for match in re.finditer(r"^[ \t]*(\.if|\.endif|defaults)(?![\w-]).*$", text, re.MULTILINE):
        depth += {".if": 1, ".endif": -1}.get(match[1], 0)
        if match[1] == "defaults" and depth == 0:
            return match.start()
    return -1


def _render_block(
    vhosts: list[VhostPlan], pems: dict[str, str], authorities: dict[str, str], logs: bool, own: str
) -> str:
    if not vhosts:
        return ""
    kept = []
    for item in vhosts:
        values = _facts.to_dict(item)
        values.pop("site")
        kept.append(_VHOST + json.dumps(values, sort_keys=True))
    return "\n".join([_BEGIN, *kept, own + renderer.render(vhosts, pems, authorities, logs) + _END, ""])


def _insert_block(text: str, block: str) -> str:
    match = _BLOCK.search(text)
    if match:
        lead = "\n" if match.group().startswith("\n") and block else ""
        return text[: match.start()] + lead + block + text[match.end() :]
    if not block:
        return text
    return text + ("" if text.endswith("\n") or not text else "\n") + "\n" + block


def _join_pem(vhost: VhostPlan) -> bytes:
    parts = [_files.read_bytes(path, 1024 * 1024) for path in (vhost.certificate, vhost.key)]
    return b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts)
