# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file (TOML): reading, checking, and an error with line and key for all that is wrong."""

from __future__ import annotations

import errno
import hashlib
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .auth import MIN_SECRET
from .given_files import read_given
from .option_checks import (
    BadValue,
    Network,
    check_address,
    check_choice,
    check_front,
    check_keys,
    check_label,
    check_listen,
    check_networks,
    check_number,
    check_origins,
    check_path,
    check_store_url,
    check_text,
    check_url,
    check_url_path,
    check_whole,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

ALGORITHMS = ("HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA")
_LONGEST = 1 << 20  # characters of a configuration file
_ABSURD = 900  # characters of a line: an array nested so deep, or a number so long, is too much for the parser


class ConfigError(Exception):
    """All that is wrong with a configuration file, one complaint a line: ``file:line: key: what``."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


def _define_option(default: Any, check: Callable[[Any], Any]) -> Any:
    metadata = {"check": check}
    if default is ...:
        return field(metadata={**metadata, "required": True}, default=None)
    return field(default=default, metadata=metadata)


# --- the sections: names, defaults and limits are documented in config.example.toml ----------------


@dataclass(frozen=True)
class ServerSettings:
    """Where the server listens, and for whom."""

    address: str = _define_option("127.0.0.1", check_address)
    port: int = _define_option(..., check_whole(1, 65535))
    name: str = _define_option("", check_text)
    path: str = _define_option("/socket.io/", check_url_path)
    origins: tuple[str, ...] = _define_option((), check_origins)
    trusted_proxies: tuple[Network, ...] = _define_option((), check_networks)
    loop: str = _define_option("auto", check_choice("auto", "uvloop", "asyncio"))
    drain_seconds: float = _define_option(10.0, check_number(0, 600))
    label: str = _define_option("", check_label)


@dataclass(frozen=True)
class TlsSettings:
    """Files of a certificate chain and its key, PEM. Without them the server speaks plain HTTP."""

    certificate: str = _define_option("", check_path)
    key: str = _define_option("", check_path)


@dataclass(frozen=True)
class TokenSettings:
    """How tokens are checked."""

    keys: tuple[str, ...] = _define_option(..., check_keys)
    algorithm: str = _define_option("HS256", check_choice(*ALGORITHMS))
    audience: str = _define_option("rtc-server", check_text)
    leeway: float = _define_option(10.0, check_number(0, 300))
    overlap_seconds: float = _define_option(3600.0, check_number(0, 7 * 86400))


@dataclass(frozen=True)
class JournalSettings:
    """Where changes are kept."""

    path: str = _define_option("", check_path)
    store_url: str = _define_option("", check_store_url)
    store_ca: str = _define_option("", check_path)
    store_password: str = _define_option("", check_path)
    keep_ids_days: float = _define_option(30.0, check_number(1, 36500))


@dataclass(frozen=True)
class LimitSettings:
    """What one message, connection, user, project or address may take."""

    payload_bytes: int = _define_option(1_000_000, check_whole(1_000, 64 << 20))
    change_bytes: int = _define_option(256_000, check_whole(100, 32 << 20))
    snapshot_bytes: int = _define_option(900_000, check_whole(100, 32 << 20))
    presence_bytes: int = _define_option(4_000, check_whole(10, 1 << 20))
    changes_per_second: float = _define_option(200.0, check_number(0.01, 1e6))
    changes_burst: int = _define_option(1_000, check_whole(1, 1_000_000))
    change_bytes_per_second: float = _define_option(1_000_000.0, check_number(100, 1e10))
    change_bytes_burst: int = _define_option(4_000_000, check_whole(100, 64 << 30))
    presence_per_second: float = _define_option(60.0, check_number(0.01, 1e6))
    presence_bytes_per_second: float = _define_option(40_000.0, check_number(10, 1e10))
    reads_per_second: float = _define_option(20.0, check_number(0.01, 1e6))
    read_bytes_per_second: float = _define_option(4_000_000.0, check_number(1_000, 1e10))
    refusals_per_second: float = _define_option(20.0, check_number(0.1, 1e6))
    project_bytes: int = _define_option(1 << 30, check_whole(100_000, 1 << 50))
    reserve_bytes: int = _define_option(256 << 20, check_whole(0, 1 << 50))
    members_per_project: int = _define_option(500, check_whole(1, 100_000))
    projects_per_connection: int = _define_option(20, check_whole(1, 10_000))
    history_page: int = _define_option(1_000, check_whole(1, 100_000))
    page_bytes: int = _define_option(1_000_000, check_whole(1_000, 64 << 20))
    keep_changes: int = _define_option(1_000, check_whole(0, 1_000_000))
    connections: int = _define_option(10_000, check_whole(1, 1_000_000))
    total_connections: int = _define_option(1_000_000, check_whole(1, 100_000_000))
    connections_per_user: int = _define_option(50, check_whole(1, 1_000_000))
    pending: int = _define_option(4_000, check_whole(1, 1_000_000))
    pending_per_address: int = _define_option(200, check_whole(1, 1_000_000))
    pending_bytes: int = _define_option(32 << 20, check_whole(100_000, 64 << 30))
    refused_tokens_per_minute: float = _define_option(60.0, check_number(0.1, 1e6))
    buffer_bytes: int = _define_option(4 << 20, check_whole(10_000, 256 << 20))
    total_buffer_bytes: int = _define_option(128 << 20, check_whole(100_000, 64 << 30))
    connect_bytes: int = _define_option(16_384, check_whole(1_000, 64 << 20))
    connect_seconds: float = _define_option(10.0, check_number(0.1, 300))


@dataclass(frozen=True)
class HeartbeatSettings:
    """Engine.IO ping; shorter than the idle timeout of every proxy on the way."""

    interval: float = _define_option(25.0, check_number(0.05, 600))
    timeout: float = _define_option(20.0, check_number(0.05, 600))


@dataclass(frozen=True)
class LogSettings:
    """What goes to standard error."""

    level: str = _define_option("info", check_choice("debug", "info", "warning", "error"))
    format: str = _define_option("text", check_choice("text", "json"))


@dataclass(frozen=True)
class AdminSettings:
    """Where those who manage the server are served (without ``listen`` nowhere), and the address that users come by."""

    listen: str = _define_option("", check_listen)
    token: str = _define_option("", check_path)
    url: str = _define_option("", check_url)
    ca: str = _define_option("", check_path)
    front: str = _define_option("", check_front)


@dataclass(frozen=True)
class Config:
    """A checked configuration; the file that it was read from, and the SHA-256 of its text in hexadecimal digits."""

    server: ServerSettings
    token: TokenSettings
    journal: JournalSettings
    tls: TlsSettings = field(default_factory=TlsSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    heartbeat: HeartbeatSettings = field(default_factory=HeartbeatSettings)
    log: LogSettings = field(default_factory=LogSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    file: str = field(default="", compare=False)
    digest: str = field(default="", compare=False)


_SECTIONS: dict[str, type] = {
    "server": ServerSettings,
    "tls": TlsSettings,
    "token": TokenSettings,
    "journal": JournalSettings,
    "limits": LimitSettings,
    "heartbeat": HeartbeatSettings,
    "log": LogSettings,
    "admin": AdminSettings,
}


# Limits of bytes that are not given grow with the limits of requests: an administrator who lets users send more changes
# does not want other limits to be in the way. Bytes for each request, at which the defaults of both fit together.
_BYTES_OF = {
    "change_bytes_per_second": ("changes_per_second", 5_000),
    "change_bytes_burst": ("changes_burst", 4_000),
    "presence_bytes_per_second": ("presence_per_second", 40_000 / 60),
    "read_bytes_per_second": ("reads_per_second", 200_000),
}


def _grow_bytes(limits: dict[str, Any]) -> None:
    for name, (requests, size) in _BYTES_OF.items():
        if requests in limits and name not in limits:
            default = getattr(LimitSettings, name)
            limits[name] = max(default, type(default)(limits[requests] * size))


def find_url(config: Config) -> str:
    """Where users reach the server, as far as its configuration tells; "" when it has no name. That a proxy ends TLS,
    the pages show: browsers let one that came over TLS connect over TLS only."""
    server = config.server
    if config.admin.url:
        return config.admin.url
    secure = bool(config.tls.certificate) or any(origin.startswith("https:") for origin in server.origins)
    return f"http{'s' if secure else ''}://{server.name}:{server.port}" if server.name else ""


def load(path: str) -> Config:
    """Read and check a configuration file. Raises ConfigError."""
    try:
        with open(path, encoding="utf-8") as file:  # a pipe, too: rtc-server check-config <(...)
            text = file.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise OSError(errno.EFBIG, f"more than {_LONGEST >> 20} MB", path)
    except (OSError, UnicodeDecodeError) as exc:
        why = (exc.strerror or str(exc)) if isinstance(exc, OSError) else "it is not UTF-8"
        raise ConfigError([f"{path}: cannot be read: {why}"]) from exc
    return parse(text, path)


def parse(text: str, path: str = "<config>") -> Config:
    """Check the text of a configuration file. Raises ConfigError with every complaint."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    text = text.removeprefix("\ufeff")  # which some editors begin a file with
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:  # ValueError alone: a number of thousands of digits
        raise ConfigError([_explain_syntax_error(path, str(exc), text)]) from exc
    lines = find_lines(text)
    complaints: list[str] = []

    def complain(key: str, what: str) -> None:
        line = lines.get(key) or lines.get(key.partition(".")[0]) or 1
        complaints.append(f"{path}:{line}: {key}: {what}")

    for name in document:
        if name not in _SECTIONS:
            complain(name, "is not a section; there are " + ", ".join(_SECTIONS))
    sections = {name: _check_section(name, kind, document.get(name, {}), complain) for name, kind in _SECTIONS.items()}
    tls = sections["tls"]
    if bool(tls.get("certificate")) != bool(tls.get("key")):
        complain("tls", "certificate and key must be given together")
    journal = sections["journal"]
    if isinstance(document.get("journal", {}), Mapping):
        if not document.get("journal", {}).keys() & {"path", "store_url"}:
            complain("journal.path", "is missing")
        if "path" in journal and "store_url" in journal:
            complain("journal.store_url", "takes the place of journal.path: give one of them")
        for name in ("store_ca", "store_password"):
            if name in journal and "store_url" not in document.get("journal", {}):
                complain(f"journal.{name}", "is of use with journal.store_url only")
    admin = sections["admin"]
    if isinstance(document.get("admin", {}), Mapping) and bool(admin.get("listen")) != bool(admin.get("token")):
        complain("admin", "listen and token must be given together")
    limits = sections["limits"]
    for name in ("change_bytes", "snapshot_bytes"):
        payload = limits.get("payload_bytes", LimitSettings.payload_bytes)
        if limits.get(name, getattr(LimitSettings, name)) > payload:
            complain(f"limits.{name}", f"must not be larger than payload_bytes ({payload})")
    if complaints:
        raise ConfigError(complaints)
    _grow_bytes(limits)
    settings = {name: _SECTIONS[name](**values) for name, values in sections.items()}
    return Config(**settings, file=path, digest=digest)


def _check_section(name: str, kind: type, given: Any, complain: Callable[[str, str], None]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if not isinstance(given, Mapping):
        complain(name, "must be a section: [" + name + "]")
        return values
    known = {f.name: f for f in fields(kind)}
    for key, value in given.items():
        if key not in known:
            complain(f"{name}.{key}", "is not an option; there are " + ", ".join(known))
            continue
        try:
            values[key] = known[key].metadata["check"](value)
        except BadValue as exc:
            complain(f"{name}.{key}", str(exc))
    for key, option in known.items():
        if option.metadata.get("required") and key not in given:
            complain(f"{name}.{key}", "is missing")
    return values


def _explain_syntax_error(path: str, message: str, text: str) -> str:
    where = re.search(r"\(at line (\d+), column (\d+)\)", message)
    if where is None:  # at end of document, or the parser gave up on a line that is absurd
        lines = text.splitlines() or [""]
        longest = max(range(len(lines)), key=lambda at: len(lines[at]))
        number = longest if len(lines[longest]) > _ABSURD else len(lines) - 1
        return f"{path}:{number + 1}: is not TOML: {message}"
    return f"{path}:{where[1]}: is not TOML: {message[: where.start()].strip()} (column {where[2]})"


def find_lines(text: str) -> dict[str, int]:
    """The line of each section and each ``section.key``. The parser does not report them, so this looks for headers and
    assignments at the beginning of lines; in a string over several lines it may be off by a few."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]", line)
        key = re.match(r"\s*([A-Za-z0-9_.-]+)\s*=", line)
        if header:
            section = header[1]
            found.setdefault(section, number)
        elif key:
            found.setdefault(f"{section}.{key[1]}" if section else key[1], number)
    return found


def read_keys(token: TokenSettings) -> list[bytes]:
    """The contents of the key files. Raises ConfigError that names the file, never its content."""
    keys: list[bytes] = []
    complaints: list[str] = []
    for name in token.keys:
        try:
            key = read_given(name).strip()
        except OSError as exc:
            complaints.append(f"{name}: token.keys: cannot be read: {exc.strerror}")
            continue
        if token.algorithm.startswith("HS"):
            if len(key) < MIN_SECRET:
                complaints.append(
                    f"{name}: token.keys: the secret has {len(key)} bytes, it needs {MIN_SECRET}: "
                    "make one with: openssl rand -base64 48"
                )
        elif b"-----BEGIN" not in key:
            complaints.append(f"{name}: token.keys: is not a PEM file, which {token.algorithm} needs")
        keys.append(key)
    if complaints:
        raise ConfigError(complaints)
    return keys


def read_admin_token(admin: AdminSettings) -> bytes:
    """What the token's file has. Raises ConfigError that names the file, never its content."""
    try:
        token = read_given(admin.token).strip()
    except OSError as exc:
        raise ConfigError([f"{admin.token}: admin.token: cannot be read: {exc.strerror}"]) from exc
    if len(token) < MIN_SECRET or not token.isascii():
        raise ConfigError([f"{admin.token}: admin.token: has {len(token)} bytes, it needs {MIN_SECRET} or more of "
                           "ASCII: make one with: openssl rand -hex 32"])  # fmt: skip
    return token
