# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Tomcat a command starts: followed through shells, scripts, and programs that run it as another user.

Nothing is run. A script of an administrator is read as a shell would read it, up to the command that starts Tomcat.
What it exports until then is the environment of that.
"""

from __future__ import annotations

import contextlib
import posixpath
import pwd
import re
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._shell import evaluate
from ansible_collections.collab.rtc.plugins.module_utils._shell.words import UNKNOWN

_STARTER = re.compile(r"(/.*)/bin/(start-confluence|start-jira|startup|catalina|daemon)\.sh")
_NO_START = ("stop", "version", "configtest", "help")  # arguments of catalina.sh and daemon.sh
_CATALINA = re.compile(r"-Dcatalina\.(base|home)=(/.*)")
_SHELLS = ("sh", "bash", "dash", "ksh", "zsh")
# Run what follows their options; numbers are values of these.
_PLAIN = (
    "nohup",
    "setsid",
    "nice",
    "ionice",
    "exec",
    "time",
    "timeout",
    "chrt",
    "taskset",
    "numactl",
    "stdbuf",
    "command",
)
# Run the first of their words that is a script or shell; what is before it is theirs.
_LAUNCHERS = (
    *("flock", "systemd-cat", "systemd-run", "authbind", "setpriv", "chroot", "prlimit", "cgexec", "unshare", "runcon"),
    *("strace", "firejail", "bwrap", "nsenter", "dbus-run-session", "scl", "tini", "dumb-init", "catatonit"),
)
_AS_USER = ("gosu", "su-exec", "setuser", "setuidgid")  # the user comes first
_SYSTEM_DIRS = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/lib", "/lib")  # no scripts of administrators
_SMALL = 256 * 1024  # bytes; scripts are smaller
_DEEPEST = 6
# What following commands may cost, in characters of scripts: one that runs itself often does so in each of its runs.
_MOST_WORK = 4_000_000
_OF_A_SCRIPT, _OF_A_WORD = 5_000, 20
_MOST_OPTIONS = 100  # words of a launcher before what it runs


@dataclass
class Started:
    """A Tomcat that a command starts."""

    base: str  # its CATALINA_BASE, links not followed
    home: str  # CATALINA_HOME
    environment: dict[str, str]
    user: str = ""  # whom the command changes to
    command: str = "start"  # what catalina.sh, and so setenv.sh, gets: "start" | "run"
    java: tuple[str, ...] = ()  # the command line, where java is run without catalina.sh and setenv.sh
    folder: str = ""  # its working directory; "" for an unknown one


@dataclass
class _Place:
    """Where a command is run."""

    folder: str
    environment: dict[str, str]
    user: str = ""
    depth: int = 0
    text: str | None = None  # what it reads


def find_user_home(rootfs: RootFs, name: str) -> str:
    """The home directory of a user of the host, "" when it is unknown."""
    if rootfs.root == "/":
        with contextlib.suppress(KeyError, ValueError):
            return pwd.getpwnam(name).pw_dir  # knows directory services too
        return ""
    rows = [line.split(":") for line in (rootfs.text("/etc/passwd") or "").splitlines()]
    return next((parts[5] for parts in rows if len(parts) > 5 and parts[0] == name), "")


def read_public(rootfs: RootFs, path: str, owner: int = 0) -> str | None:
    """The text of a file that everybody, or a user other than root who owns it, may read anyway; else ``None``.

    What a script of his prints with ``cat`` becomes part of the facts: root must not read it for him.
    """
    info = rootfs.stat(path)
    if info is None or not (info.st_mode & 0o004 or rootfs.owner(path) == owner != 0):
        return None
    return rootfs.text(path, _SMALL)


class Follower:
    """Follows commands. ``found`` is what they start, ``scripts`` the scripts that they are, ``sourced`` what these
    read."""

    def __init__(self, rootfs: RootFs, trusted_only: bool = False) -> None:
        self.rootfs = rootfs
        self.trusted_only = trusted_only  # pass over what others than root may write and scripts only read
        self.found: list[Started] = []
        self.scripts: list[str] = []
        self.sourced: list[str] = []
        self.work = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether not all of it was followed, as it would take too long: then what was found is not all."""
        return self.work > _MOST_WORK

    def follow(self, words: list[str], folder: str, environment: dict[str, str], user: str = "") -> None:
        """Follow the words of a command.

        :param folder: the working directory.
        """
        self._follow(words, _Place(folder or "/", environment, user))

    def follow_script(self, path: str, arguments: list[str]) -> None:
        """Follow a SysV script."""
        self._run_script(path, arguments, _Place("/", {}))

    def _follow(self, words: list[str], place: _Place) -> None:
        name = posixpath.basename(words[0]) if words else ""
        self.work += _OF_A_WORD * len(words)
        if not name or place.depth > _DEEPEST or self.is_exhausted:
            return
        place = _Place(place.folder, place.environment, place.user, place.depth + 1, place.text)
        if name == "env":
            self._follow_env(words[1:], place)
        elif name in _PLAIN:
            rest = words[1:]
            while rest and (rest[0].startswith("-") or re.fullmatch(r"[\d.]+[smhd]?|0x[0-9a-f]+", rest[0])):
                rest = rest[1:]
            self._follow(rest, place)
        elif name in _LAUNCHERS:
            places = range(1, min(len(words), _MOST_OPTIONS))
            first = next((at for at in places if self._is_script(words[at], place)), len(words))
            self._follow(words[first:], place)
        elif name in _AS_USER and len(words) > 2:
            self._change_user(words[1], False, words[2:], place)
        elif name in ("su", "runuser"):
            self._follow_su(words[1:], place)
        elif name in ("sudo", "doas"):
            self._follow_sudo(words[1:], place)
        elif name == "start-stop-daemon":
            self._follow_daemon(words[1:], place)
        elif name == "daemon":  # of /etc/init.d/functions
            values, rest = _split_options(words[1:], ("--user", "--pidfile", "--check"))
            self._run_text(" ".join(rest), [], _as_user(place, values.get("--user", "")))
        elif name in _SHELLS:
            self._follow_shell(words[1:], place)
        else:
            self._follow_program(words, place)

    def _is_script(self, word: str, place: _Place) -> bool:
        path = self._locate(word, place)
        if posixpath.basename(word) in (*_SHELLS, *_PLAIN, *_AS_USER, "env", "su", "sudo", "runuser"):
            return "/" in word or not self.rootfs.is_file(path)
        if _STARTER.fullmatch(path):
            return True
        text = "" if path.startswith(_SYSTEM_DIRS) else self.rootfs.text(path, _SMALL) or ""
        return text.startswith("#!")

    def _follow_env(self, words: list[str], place: _Place) -> None:
        environment = {} if words[:1] in (["-i"], ["-"]) else dict(place.environment)
        while words and (words[0].startswith("-") or "=" in words[0]):
            if words[0] in ("-u", "-C", "--unset", "--chdir") and len(words) > 1:
                environment.pop(words[1], None)
                words = words[1:]
            elif not words[0].startswith("-"):
                name, _equals, value = words[0].partition("=")
                environment[name] = value
            words = words[1:]
        self._follow(words, _Place(place.folder, environment, place.user, place.depth))

    def _follow_su(self, words: list[str], place: _Place) -> None:
        """``su`` and ``runuser``: options may stand behind the user."""
        values, rest = _split_options(words, ("-c", "--command", "-s", "--shell", "-u", "--user", "-g", "-G"), "csuG")
        login = bool({"-", "-l", "--login"} & set(words))
        rest = [item for item in rest if item != "-"]
        user = values.get("-u", values.get("--user", ""))
        if not user:
            user, rest = (rest[0], rest[1:]) if rest else ("root", [])
        text = values.get("-c", values.get("--command"))
        if text is None and rest and ("-u" in values or "--user" in values):
            self._change_user(user, login, rest, place)
        else:
            text = text if text is not None else place.text
            self._change_user(user, login, ["sh", "-c", text or "", *rest], place)

    def _follow_sudo(self, words: list[str], place: _Place) -> None:
        values, rest = _split_options(words, ("-u", "--user", "-g", "--group", "-D", "--chdir"), "ugD", mixed=False)
        given = {}
        while rest and "=" in rest[0]:
            name, _equals, value = rest[0].partition("=")
            given[name], rest = value, rest[1:]
        kept = place.environment if {"-E", "--preserve-env"} & set(words) else {}
        place = _Place(place.folder, {**kept, **given}, place.user, place.depth, place.text)
        login = bool({"-i", "--login"} & set(words[: len(words) - len(rest)]))
        self._change_user(values.get("-u", values.get("--user", "root")), login, rest, place)

    def _change_user(self, user: str, login: bool, words: list[str], place: _Place) -> None:
        home = find_user_home(self.rootfs, user)
        environment = {} if login else dict(place.environment)
        if home:
            environment.update({"HOME": home} if not login else {"HOME": home, "USER": user, "LOGNAME": user})
        place = _Place(home if login and home else place.folder, environment, user, place.depth, place.text)
        if login and words[:2] == ["sh", "-c"]:
            profile = ". /etc/profile\nfor it in .bash_profile .bash_login .profile; do\n"
            profile += '[ -r "$HOME/$it" ] && { . "$HOME/$it"; break; }\ndone\n'
            words = ["sh", "-c", profile + words[2], *words[3:]]
        self._follow(words, place)

    def _follow_daemon(self, words: list[str], place: _Place) -> None:
        """``start-stop-daemon``."""
        more = words[words.index("--") + 1 :] if "--" in words else []
        names = ("-x", "--exec", "-a", "--startas", "-c", "--chuid", "-d", "--chdir", "-p", "--pidfile", "-u", "--user")
        values, _rest = _split_options(
            words[: len(words) - len(more)], (*names, "-n", "--name", "-g", "-N"), "xacdpungN"
        )
        program = values.get("-a") or values.get("--startas") or values.get("-x") or values.get("--exec") or ""
        user = (values.get("-c") or values.get("--chuid") or "").partition(":")[0]
        folder = values.get("-d") or values.get("--chdir") or place.folder
        if {"-S", "--start"} & set(words) and program:
            self._follow([program, *more], _Place(folder, place.environment, user or place.user, place.depth))

    def _follow_shell(self, words: list[str], place: _Place) -> None:
        while words and words[0][:1] in ("-", "+") and not re.fullmatch(r"-[a-z]*c", words[0]):
            words = words[2:] if words[0] in ("-o", "+o", "-O", "+O") else words[1:]
        if words and words[0][:1] == "-" and len(words) > 1:
            self._run_text(words[1], words[3:], place)
        elif words:
            self._run_script(self._locate(words[0], place), words[1:], place)
        elif place.text:
            self._run_text(place.text, [], place)

    def _locate(self, name: str, place: _Place) -> str:
        if "/" not in name:
            folders = [place.folder, *place.environment.get("PATH", "").split(":")]
            name = next((f"{one}/{name}" for one in folders if one and self.rootfs.is_file(f"{one}/{name}")), name)
        return posixpath.normpath(name if name.startswith("/") else f"{place.folder}/{name}")

    def _follow_program(self, words: list[str], place: _Place) -> None:
        options = {match.group(1): match.group(2) for match in map(_CATALINA.fullmatch, words) if match}
        if options:
            base = options.get("base") or options["home"]
            self._add(
                Started(
                    base,
                    options.get("home") or base,
                    place.environment,
                    place.user,
                    "start",
                    tuple(words),
                    place.folder,
                )
            )
        elif UNKNOWN not in words[0]:
            self._run_script(self._locate(words[0], place), words[1:], place)

    def _run_script(self, path: str, arguments: list[str], place: _Place) -> None:
        if UNKNOWN in path:
            return
        match = _STARTER.fullmatch(path)
        if match:
            if not set(arguments) & set(_NO_START):
                home = place.environment.get("CATALINA_HOME") or match.group(1)
                base = place.environment.get("CATALINA_BASE") or home
                command = "run" if {"run", "-fg"} & set(arguments) else "start"
                self._add(Started(base, home, place.environment, place.user, command, folder=place.folder))
            return
        info = self.rootfs.stat(path) if not path.startswith(_SYSTEM_DIRS) else None
        if info is None or info.st_size > _SMALL or not self.rootfs.is_file(path):
            return
        text = self.rootfs.text(path, _SMALL) or ""
        first = text.partition("\n")[0]
        self.scripts.append(path)
        if first.startswith("#!") and not re.search(r"\b(?:ba|da|k|z)?sh\b", first):
            return
        self._run_text(text, arguments, place, path)

    def _run_text(self, text: str, arguments: list[str], place: _Place, path: str = "sh") -> None:
        self.work += _OF_A_SCRIPT + len(text)
        if place.depth > _DEEPEST or self.is_exhausted:
            return
        environment = {
            **place.environment,
            **{str(number): item for number, item in enumerate(arguments, 1)},
            "0": path,
            "PWD": place.folder,
        }
        ways = evaluate.evaluate(
            text,
            environment,
            self._read,
            lambda name: self.rootfs.stat(name) is not None,
            self.rootfs.real,
            self.rootfs.names,
            cat=lambda path: read_public(self.rootfs, path),
        )
        self.work += sum(way.work for way in ways)
        done = []
        for ran in (item for way in ways for item in way.ran):
            if ran not in done and UNKNOWN not in ran.folder:
                done.append(ran)
                self._follow(ran.words, _Place(ran.folder, ran.environment, place.user, place.depth + 1, ran.text))

    def _read(self, path: str) -> str | None:
        if self.trusted_only:
            try:
                if self.rootfs.writers(path):
                    return None
            except OSError:
                return None
        self.sourced.append(path)
        return self.rootfs.text(path, _SMALL)

    def _add(self, item: Started) -> None:
        item.base, item.home = posixpath.normpath(item.base), posixpath.normpath(item.home)
        if item.base.startswith("/") and item not in self.found:
            self.found.append(item)


def _as_user(place: _Place, user: str) -> _Place:
    return _Place(place.folder, place.environment, user or place.user, place.depth, place.text)


def _split_options(
    words: list[str], with_value: tuple[str, ...], letters: str = "", mixed: bool = True
) -> tuple[dict[str, str], list[str]]:
    """The values of options, and the words that are none.

    :param with_value: the options whose value is the next word, or behind "=".
    :param letters: of those that may have their value in the same word.
    :param mixed: whether options may follow other words.
    """
    values: dict[str, str] = {}
    rest: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        name, equals, value = word.partition("=")
        if word == "--":
            return values, rest + words[at + 1 :]
        if word in with_value and at + 1 < len(words):
            values[word] = words[at + 1]
            at += 1
        elif equals and name in with_value:
            values[name] = value
        elif len(word) > 2 and word[0] == "-" and word[1] != "-" and word[1] in letters:
            values[word[:2]] = word[2:]
        elif not word.startswith(("-", "+")) or word == "-":
            rest.append(word)
            if not mixed:
                return values, rest + words[at + 1 :]
        at += 1
    return values, rest
