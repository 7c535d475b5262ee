# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which installations and processes count, and why others do not.

Every user can make a directory that looks like Confluence, and start a process that calls itself Tomcat; what root
does must not depend on either. So an installation counts where root vouches for it, and a process where it is of a user
that the installation runs as.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._facts import Doubted
from ansible_collections.collab.rtc.plugins.module_utils._host.processes import Proc, user_id, user_name
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.service_units import Starter
from ansible_collections.collab.rtc.plugins.module_utils._ownership import ANYONE, Writer
from ansible_collections.collab.rtc.plugins.module_utils._shell import evaluate

# A directory that only root can have made in one of these, for installations by its name, may be the run user's: what
# is in it then is, too.
_GIVEN = re.compile(
    r"/(?:opt|srv|app|data|usr/local|var/www)(?:/atlassian)?/[^/]*(?:confluence|jira|atlassian)[^/]*", re.IGNORECASE
)
_WRITTEN = ("work", "logs", "temp")  # by the running application: its user owns them
_MOST = 50  # entries; a user can start a thousand processes
_MOST_EVIDENCE = 5
_LONGEST = 300  # characters of a path


@dataclass
class Installation:
    """An installation."""

    kind: str
    path: str  # real; its CATALINA_BASE
    evidence: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)  # other paths to it
    starters: list[Starter] = field(default_factory=list)  # those that count
    proc: Proc | None = None
    tomcat: str = ""  # real; its CATALINA_HOME, where that is another directory

    @property
    def home(self) -> str:
        """The directory of Tomcat's programs: CATALINA_HOME."""
        return self.tomcat or self.path


class Doubts:
    """All that does not count, once for each user, path and reason."""

    def __init__(self, rootfs: RootFs) -> None:
        self.rootfs = rootfs
        self._found: dict[tuple[str, ...], Doubted] = {}
        self._others = 0

    def add(self, what: str, path: str, reason: str, kind: str, evidence: list[str], proc: Proc | None = None) -> None:
        """Remember that something does not count.

        :param proc: the process that it is about, or by which it is known.
        """
        user = proc.user if proc and what == "process" else user_name(self.rootfs, self.rootfs.owner(path))
        key = (what, path, user, reason)
        known = self._found.get(key)
        if known is None and len(self._found) >= _MOST:
            self._others += 1
        elif known is None:
            known = self._found[key] = Doubted(what, printable(path), printable(reason), kind, user=user)
        if known is not None:
            known.pid = known.pid or (proc.pid if proc else 0)
            new = [line for line in map(printable, evidence) if line not in known.evidence]
            known.evidence += new[: max(0, _MOST_EVIDENCE - len(known.evidence))]

    def list_all(self) -> list[Doubted]:
        """What was added, in its order."""
        if self._others:
            self.rootfs.note("what does not count", f"{self._others} more are not listed")
        return list(self._found.values())


def printable(text: str) -> str:
    """Text that others chose, for terminals and logs: control characters escaped, cut where it is long."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "..."


def find_false_link(rootfs: RootFs, path: str) -> str:
    """Why the way to a directory is not to be believed, "" when it is: a link whose owner is neither root nor its
    target's.

    Who may put a link there decides otherwise which directory a unit or the inventory names.
    """
    current, todo, links = "/", [part for part in path.split("/") if part not in ("", ".")], 0
    while todo and links <= 40:  # as Linux (path_resolution(7))
        name = todo.pop(0)
        step = os.path.normpath(os.path.join(current, name))
        info = rootfs.lstat(step)
        if info is None or not stat.S_ISLNK(info.st_mode):
            current = step
            continue
        links += 1
        if info.st_uid not in (0, rootfs.owner(step)):
            return (
                f"the link {step} of user {user_name(rootfs, info.st_uid)} leads to what is user "
                f"{user_name(rootfs, rootfs.owner(step))}'s"
            )
        target = rootfs.link(step)
        todo = [part for part in target.split("/") if part not in ("", ".")] + todo
        current = "/" if target.startswith("/") else current
    return ""


def explain_installation(rootfs: RootFs, item: Installation, named: str) -> str:
    """Why an installation counts, "" when it does not.

    :param named: the directory in ``install_dirs`` that it is, or that it is in; "" for none.
    """
    if item.starters:
        return f"only root may write {item.starters[0].path}"
    place = rootfs.real(named) if named else ""
    if place == item.path:
        return f"install_dirs names {named}"
    writers = find_exchangers(rootfs, item.path)
    if place and all(_is_above(one.where, place) for one in writers):
        return f"install_dirs names {named}, and only root may write there"
    if not writers:
        return "every directory above it is root's alone"
    given, user = writers[0].where, writers[0].uid  # the outermost one: root made it
    alone = all(one.uid == user != ANYONE for one in writers) and rootfs.owner(item.path) in (0, user)
    if _GIVEN.fullmatch(given) and alone and rootfs.owner(given) == user:
        return f"root gave {given} to user {user_name(rootfs, user)}"
    return ""


def find_exchangers(rootfs: RootFs, path: str) -> list[Writer]:
    """Who besides root can put another directory in the place of an installation.

    :param path: real.
    """
    folder = os.path.dirname(path)
    try:
        # In root's sticky directory (/tmp) only its owner can exchange an entry; but everybody can make one.
        return rootfs.writers(folder, entries=rootfs.owner(path) != 0)
    except OSError as exc:
        return [Writer(ANYONE, ANYONE, f"{folder}: {exc.strerror}")]


def _is_above(path: str, other: str) -> bool:
    """Whether a directory is one that another is in."""
    return path != other and (other + "/").startswith(path.rstrip("/") + "/")


def list_run_users(rootfs: RootFs, item: Installation) -> list[tuple[str, str]]:
    """The users that an installation runs as, by name or number, and how that is known; the most certain first."""
    found = [(starter.user, f"the user of {starter.path}") for starter in item.starters if starter.user]
    script = f"{item.home}/bin/user.sh"
    named = user_of_scripts(rootfs, item.kind, item.home)
    if named and _is_root_only(rootfs, script):
        found.append((named, f"the user that {script} names"))
    try:
        everybody = any(one.uid == one.gid == ANYONE for one in rootfs.writers(item.path, entries=True))
    except OSError:
        everybody = True
    for name in () if everybody else _WRITTEN:
        info = rootfs.lstat(f"{item.path}/{name}")
        if info is None:
            continue
        uid = info.st_uid
        if stat.S_ISLNK(info.st_mode):  # the administrator has moved it to another disk
            uid = rootfs.owner(f"{item.path}/{name}") if uid in (0, rootfs.owner(f"{item.path}/{name}")) else -1
        if uid >= 0:
            found.append((user_name(rootfs, uid), f"the owner of {item.path}/{name}"))
    return found


def _is_root_only(rootfs: RootFs, path: str) -> bool:
    try:
        return not rootfs.writers(path)
    except OSError:
        return False


def user_of_scripts(rootfs: RootFs, kind: str, path: str) -> str:
    """The user that bin/user.sh of the installer names, "" for none."""
    text = rootfs.text(path + "/bin/user.sh") or ""
    values = evaluate.variables(text, {})
    names = ("CONF_USER", "CONFLUENCE_USER") if kind == "confluence" else ("JIRA_USER",)
    return next((values[name] for name in names if values.get(name)), "")


def explain_process(rootfs: RootFs, item: Installation, proc: Proc) -> tuple[str, str]:
    """Why a process counts for an installation; and why not. One of the two is "".

    :param proc: settled.
    """
    if len(set(proc.uids)) != 1:
        real, effective = (user_name(rootfs, uid) for uid in proc.uids[:2])
        return "", f"it was started by user {real} and runs as user {effective}"
    users = list_run_users(rootfs, item)
    owner = rootfs.owner(item.path)
    known = [(user_id(rootfs, name), why) for name, why in users]
    known += [(owner, f"the owner of {item.path}"), (0, "")]
    for uid, why in known:
        if uid == proc.uid and uid >= 0:
            return f"as user {proc.user}" + (f", {why}" if why else ""), ""
    expected = list(dict.fromkeys(name for name, _why in users)) or [user_name(rootfs, owner)]
    return "", f"user {proc.user} runs it, and its installation is run by user {' or '.join(expected)}"
