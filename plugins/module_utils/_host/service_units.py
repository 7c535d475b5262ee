# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What starts an application: systemd units and SysV scripts, read from their files."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import Callable, NamedTuple

from ansible_collections.collab.rtc.plugins.module_utils._host import unit_syntax
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.start_commands import Follower, find_user_home
from ansible_collections.collab.rtc.plugins.module_utils._host.system import SECONDS, Runner, run

# systemd.unit(5), the first that has a unit wins. What a generator made of SysV scripts is not read: the scripts are.
UNIT_DIRS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_INIT_DIRS = ("/etc/init.d", "/etc/rc.d/init.d")
_MENTION = re.compile(r"/bin/(?:start-confluence|start-jira|startup)\.sh")
_TOMCAT = re.compile(r"catalina|tomcat|jsvc", re.IGNORECASE)  # a program of a distribution that starts a Tomcat
_TELLTALE = re.compile(r"confluence|jira|atlassian|catalina|tomcat|setenv\.sh|startup\.sh", re.IGNORECASE)
# Specifiers for directories, as a manager of the system has them.
_FOLDERS = {"S": "/var/lib", "E": "/etc", "C": "/var/cache", "L": "/var/log", "t": "/run"}
_PREFIX = "@-:+!|"  # of ExecStart=, systemd.service(5)
_SMALL = 256 * 1024  # bytes; scripts and units are smaller


@dataclass
class Starter:
    """A systemd unit, or a SysV script, that may start an application."""

    kind: str  # "systemd" | "sysv"
    name: str  # "confluence.service", or the name of the script
    path: str
    directories: list[str] = field(default_factory=list)  # CATALINA_BASE of what it starts, links not followed
    homes: dict[str, str] = field(default_factory=dict)  # directory -> CATALINA_HOME, where that is another one
    user: str = ""
    command: str = "start"  # what catalina.sh gets: "start" | "run"
    java: list[str] = field(default_factory=list)  # the command line, where java is run without catalina.sh
    folder: str = ""  # the working directory of what it starts
    environment: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)  # all that it consists of: unit, drop-in files, wrapper scripts
    sources: list[str] = field(default_factory=list)  # files with settings that it reads
    writers: list[str] = field(default_factory=list)  # who besides root can change one of them: it does not count then


class UnitState(NamedTuple):
    """What systemd says of a unit."""

    active: bool
    main_pid: int = 0  # 0: none runs


def starters(rootfs: RootFs) -> list[Starter]:
    """All units and scripts that start a Tomcat, units first.

    Units of users (``~/.config/systemd``) and what generators make are not among them: not root wrote those.
    """
    found = [*_read_units(rootfs), *_read_scripts(rootfs)]
    for item in found:
        item.writers = _find_writers(rootfs, item.files)
    units = {item.name for item in found if item.kind == "systemd"}
    # A unit of the same name is what systemd starts; the script is left alone (systemd-sysv-generator(8)).
    return [item for item in found if item.kind == "systemd" or item.name + ".service" not in units]


def _find_writers(rootfs: RootFs, files: list[str]) -> list[str]:
    found: dict[str, None] = {}
    for path in files:
        try:
            found.update(dict.fromkeys(map(str, rootfs.writers(path))))
        except OSError as exc:
            found[f"whoever made {path}, which cannot be looked at ({exc.strerror})"] = None
    return list(found)


def find(rootfs: RootFs, name: str) -> Starter | None:
    """The unit, else the SysV script, of a name; ``None`` when there is neither. It need not seem to start anything.

    :param name: as systemctl and service(8) take it, with or without ``.service``.
    """
    unit = name if name.endswith(".service") else name + ".service"
    folders, dropins = _list_folders(rootfs)
    target = rootfs.real(f"{folders.get(unit, '')}/{unit}").rsplit("/", 1)[-1]
    unit = target if target in folders and "@." not in target else unit  # the name is an alias
    starter = _read_unit(rootfs, folders, dropins, unit)
    if starter is None:
        place = next((f"{folder}/{name}" for folder in _INIT_DIRS if rootfs.is_file(f"{folder}/{name}")), "")
        starter = _read_script(rootfs, place) if place and "/" not in name else None
    if starter is not None:
        starter.writers = _find_writers(rootfs, starter.files)
    return starter


def _list_folders(rootfs: RootFs) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Unit -> the directory that wins; unit -> directories of its drop-in files."""
    folders: dict[str, str] = {}
    dropins: dict[str, list[str]] = {}
    for folder in UNIT_DIRS:
        for name in rootfs.names(folder):
            if name.endswith(".service"):
                folders.setdefault(name, folder)
            elif name.endswith(".service.d") or name == "service.d":
                dropins.setdefault(name[: -len(".d")], []).append(f"{folder}/{name}")
    return folders, dropins


def _read_units(rootfs: RootFs) -> list[Starter]:
    folders, dropins = _list_folders(rootfs)
    links = _list_enabled(rootfs)
    names = [full for name in folders for full in _list_instances(links, name)]
    found = [_read_unit(rootfs, folders, dropins, name) for name in names]
    return [starter for starter in found if starter is not None and starter.directories]


def _read_unit(rootfs: RootFs, folders: dict[str, str], dropins: dict[str, list[str]], name: str) -> Starter | None:
    """A unit by its name, or an instance of a template by its own. Drop-in files of its other names are its, too."""
    file = name if name in folders else re.sub(r"@.*", "@.service", name)
    if file not in folders:
        return None
    path = f"{folders[file]}/{file}"
    whole = rootfs.real(path)
    aliases = [
        one for one in dropins if one in folders and one != file and rootfs.real(f"{folders[one]}/{one}") == whole
    ]
    extra = [folder for one in [*_list_dropin_names(name), *aliases] for folder in dropins.get(one, [])]
    files = _list_unit_files(rootfs, path, extra)
    text = "\n".join(rootfs.text(one, _SMALL) or "" for one in files)
    if not text.strip():
        return None
    starter = _parse_unit(rootfs, path, name, text)
    starter.files += [*files, *extra]
    return starter


def _list_dropin_names(name: str) -> list[str]:
    """What the directories of a unit's drop-in files are called, without ``.d``; the first wins (systemd.unit(5))."""
    stem = name[: -len(".service")]
    prefix, at, instance = stem.partition("@")
    names = [name, f"{prefix}@.service"] if at and instance else [name]
    parts = [] if at else stem.split("-")
    return [*names, *("-".join(parts[:end]) + "-.service" for end in range(len(parts) - 1, 0, -1)), "service"]


def _list_unit_files(rootfs: RootFs, path: str, dropins: list[str]) -> list[str]:
    """A unit followed by its drop-in files, in the order in which systemd takes them."""
    folder, name = rootfs.real(path).rsplit("/", 1)
    known = [rootfs.real(one) for one in UNIT_DIRS]
    if name != path.rsplit("/", 1)[-1] and (folder in known or not name.endswith(".service")):
        return []  # masked, or another name of a unit; a file elsewhere is the unit by the name of the link
    found = {name: f"{folder}/{name}" for folder in reversed(dropins) for name in rootfs.names(folder)}
    return [path, *(found[name] for name in sorted(found) if name.endswith(".conf"))]


def _list_instances(links: set[str], name: str) -> list[str]:
    """A unit's name; of a template, the names of its enabled instances."""
    if not name.endswith("@.service"):
        return [name]
    stem = name[: -len(".service")]
    return sorted(item for item in links if item.startswith(stem) and item != name)


def _list_enabled(rootfs: RootFs) -> set[str]:
    """The names of the units that are started at boot."""
    folders = [name for name in rootfs.names(UNIT_DIRS[0]) if name.endswith((".wants", ".requires"))]
    return {name for folder in folders for name in rootfs.names(f"{UNIT_DIRS[0]}/{folder}")}


def _parse_unit(rootfs: RootFs, path: str, name: str, text: str) -> Starter:
    starter = Starter("systemd", name, path)
    commands: list[str] = []
    folder = ""
    known: dict[str, str] = {}  # as the environment, without what others than root may write
    # Files win over Environment=, wherever it stands, and what is unset over both (systemd.exec(5)).
    order = {"EnvironmentFile": 1, "UnsetEnvironment": 2}
    for key, written in sorted(_drop_reset(unit_syntax.settings(text)), key=lambda item: order.get(item[0], 0)):
        value = _replace_specifiers(written, name)
        if key == "User":
            starter.user = value
        elif key == "WorkingDirectory":
            folder = value.lstrip("-")
        elif key == "Environment":
            given = unit_syntax.parse_environment_line(value)
            starter.environment = {**starter.environment, **given} if value else {}
            known = {**known, **given} if value else {}
        elif key == "EnvironmentFile" and value:
            for file in _find_files(rootfs, value.lstrip("-")):
                given = unit_syntax.parse_environment_file(rootfs.text(file, _SMALL) or "")
                starter.environment.update(given)
                starter.sources.append(file)
                known.update({} if _find_writers(rootfs, [file]) else given)
        elif key == "UnsetEnvironment":
            for word in unit_syntax.split_words(value)[0]:
                variable, equals, given_value = word.partition("=")
                for there in (starter.environment, known):
                    if not equals or there.get(variable) == given_value:
                        there.pop(variable, None)
        elif key == "ExecStart":
            commands = [*commands, _without_prefix(value)] if value else []
    _find_started(rootfs, starter, commands, folder, known)
    return starter


def _drop_reset(settings: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Settings without those that a later, empty one takes back."""
    found: list[tuple[str, str]] = []
    for key, value in settings:
        if key in ("EnvironmentFile", "UnsetEnvironment") and not value:
            found = [item for item in found if item[0] != key]
        else:
            found.append((key, value))
    return found


def _without_prefix(command: str) -> str:
    """A command without the signs before it; after "@" the second word is the name that the program gets."""
    plain = command.lstrip(_PREFIX)
    if "@" not in command[: len(command) - len(plain)]:
        return plain
    return re.sub(r"^(\S+)\s+(?:\"[^\"]*\"|'[^']*'|\S+)", r"\1", plain)


def _find_files(rootfs: RootFs, pattern: str) -> list[str]:
    """The paths that a pattern of glob(7) names, sorted; its own path where it is none."""
    folder, _slash, last = pattern.rpartition("/")
    if not any(char in pattern for char in "*?["):
        return [pattern]
    folders = _find_files(rootfs, folder) if any(char in folder for char in "*?[") else [folder]
    return [f"{one}/{name}" for one in folders for name in fnmatch.filter(rootfs.names(one or "/"), last)]


def _replace_specifiers(text: str, name: str) -> str:
    """The specifiers of systemd.unit(5) that follow from the name of a unit."""
    stem = name[: -len(".service")]
    prefix, _at, instance = stem.partition("@")
    plain = instance.replace("-", "/")  # as far as no character is escaped
    signs = {"i": instance, "I": plain, "p": prefix, "P": prefix, "n": name, "N": stem, "%": "%", **_FOLDERS}
    return re.sub(r"%([iIpPnNSECLt%])", lambda match: signs[match.group(1)], text)


def _find_started(
    rootfs: RootFs, starter: Starter, commands: list[str], folder: str, environment: dict[str, str]
) -> None:
    """Fill in what a unit's commands start, and the scripts that they are read from.

    :param environment: by which the directories are found; that of the starter may have more, which others can write.
    """
    home = find_user_home(rootfs, starter.user) if starter.user else ""
    folder = home if folder == "~" else folder
    login = {"HOME": home, "USER": starter.user, "LOGNAME": starter.user} if home else {}

    def follow(follower: Follower, given: dict[str, str]) -> None:
        for command in commands:
            for words in _split_command(command, given):
                follower.follow(words, folder, {**login, **given}, starter.user)

    _take_started(rootfs, starter, follow, environment)
    named = environment.get("CATALINA_BASE") or environment.get("CATALINA_HOME")
    if not starter.directories and named and any(_TOMCAT.search(command) for command in commands):
        starter.directories.append(named)


def _take_started(
    rootfs: RootFs,
    starter: Starter,
    follow: Callable[[Follower, dict[str, str]], None],
    environment: dict[str, str],
) -> None:
    """Take over what following the commands of a starter finds, first without what others than root may write."""
    sure, whole = Follower(rootfs, trusted_only=True), Follower(rootfs)
    follow(sure, environment)
    follow(whole, {**starter.environment, **environment} if starter.kind == "systemd" else environment)
    if sure.is_exhausted or whole.is_exhausted:
        rootfs.note(starter.path, "what it starts is not known: its scripts are too long, or run each other too often")
    if not sure.found and whole.found:
        starter.files += [*whole.sourced, *starter.sources]
    found = [item for item in whole.found if not sure.found or item.base in [one.base for one in sure.found]]
    found = found or sure.found
    if not found:
        for path in whole.scripts:
            text = rootfs.text(path, _SMALL) or ""
            if not re.match(r"#!.*sh\b", text):  # of another language: what it mentions must do
                starter.directories += _list_mentioned(text)
                starter.files.append(path)
        return
    starter.files += whole.scripts if starter.kind == "systemd" else whole.scripts[1:]
    starter.sources += whole.sourced
    # Complete where the whole environment was handed on: a command may have taken variables away.
    kept = starter.environment if found is sure.found else {}
    starter.environment = {**kept, **found[0].environment}
    starter.user, starter.folder = found[0].user or starter.user, found[0].folder
    starter.command, starter.java = found[0].command, list(found[0].java)
    for item in found:
        starter.directories += [] if item.base in starter.directories else [item.base]
        if item.home != item.base:
            starter.homes[item.base] = item.home


def _list_mentioned(text: str) -> list[str]:
    """The installations whose start scripts a text names."""
    found = []
    for word in re.split(r"[\s\"';|&()]+", text):
        begin, places = word.find("/"), [match.start() for match in _MENTION.finditer(word)]
        found += [word[begin : places[-1]]] if places and places[-1] > begin else []
    return found


def _split_command(command: str, environment: dict[str, str]) -> list[list[str]]:
    """The commands of an ``ExecStart=`` with variables replaced (systemd.service(5), "Command lines")."""
    found: list[list[str]] = [[]]
    words, whole_line = unit_syntax.split_words(command.replace("$$", "\0"), lenient=True)
    for word in words if whole_line else []:  # systemd passes over a line with a mistake
        whole = re.fullmatch(r"\$(\w+)", word)
        if word == ";":
            found.append([])
        elif whole:
            found[-1] += environment.get(whole.group(1), "").split()
        else:
            text = re.sub(r"\$\{(\w+)\}", lambda match: environment.get(match.group(1), ""), word)
            found[-1].append(text.replace("\0", "$"))
    return [words for words in found if words]


def _read_scripts(rootfs: RootFs) -> list[Starter]:
    found = []
    seen = set()
    for folder in _INIT_DIRS:
        for name in rootfs.names(folder):
            path = f"{folder}/{name}"
            if rootfs.real(path) in seen or not rootfs.is_file(path) or name.startswith((".", "README")):
                continue
            seen.add(rootfs.real(path))
            starter = _read_script(rootfs, path)
            if starter.directories:
                found.append(starter)
    return found


def _read_script(rootfs: RootFs, path: str) -> Starter:
    name = path.rsplit("/", 1)[-1]
    starter = Starter("sysv", name, path, files=[path])
    if _TELLTALE.search(path + (rootfs.text(path, _SMALL) or "")):  # the others are not worth the time

        def follow(follower: Follower, _given: dict[str, str]) -> None:
            follower.follow_script(path, ["start"])

        _take_started(rootfs, starter, follow, {})
    return starter


def enabled(rootfs: RootFs, name: str) -> bool:
    """Whether a unit, or a SysV script, is started at boot."""
    if name in _list_enabled(rootfs):
        return True
    levels = [item for level in "2345" for item in rootfs.names(f"/etc/rc{level}.d")]
    return any(re.fullmatch(r"S\d\d" + re.escape(name), item) for item in levels)


def states(names: list[str], runner: Runner = run) -> dict[str, UnitState]:
    """What systemd says of units; empty when there is no systemd to ask."""
    if not names:
        return {}
    text = runner(["systemctl", "show", "--property=Id,ActiveState,MainPID", "--", *names], SECONDS)
    found = {}
    for block in (text or "").split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in values:
            active = values.get("ActiveState") in ("active", "activating", "reloading")
            pid = values.get("MainPID", "")
            found[values["Id"]] = UnitState(active, int(pid) if pid.isdigit() else 0)
    return found
