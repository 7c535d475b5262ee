# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an instance keeps its projects, and whether that changes: a journal of its own, or a store."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from typing import NamedTuple, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import asking, store, unit

JOURNAL = "journal.db"
CHECKED = "rtc-verify"  # what verifications leave; nobody misses it
MOVED = "journal-moved"  # beside the secret: the store has all of the journal, which is not put away yet
_CONFIG = re.compile(r"([^/]+)\.toml")  # below unit.CONFIG_DIR
_KEPT = re.compile(r"(moved-[0-9]{8}T[0-9]{6}Z\.db)(?:[-.].+)?\Z")
_MOST = 5  # names that a message has
_SECONDS = 60


class LeftBehindError(RtcError):
    """Projects of users would be out of reach, or it is not known whether there are some."""


class Move(NamedTuple):
    """Projects that go from an instance's own journal into a store."""

    config: str  # the text by which the journal is found
    names: list[str]


def is_elsewhere(instance: str, now: str, then: str) -> bool:
    """Whether projects that one configuration keeps would not be there with another one.

    :param now: text of the configuration that is in use; "" for none.
    :param then: text of the other one; "" for none.
    """
    was, will = store.find_url(now), store.find_url(then)
    if not now or (then and was == will if not was or not will else store.is_same(was, will)):
        return False
    return bool(was) or os.path.lexists(f"{unit.STATE_DIR}/{instance}/{JOURNAL}")


def render_own(instance: str) -> str:
    """A configuration for commands on the journal of an instance that has none itself any more."""
    keys = [f"$RUNTIME_DIRECTORY/{unit.SECRET}"]
    journal = {"path": f"{unit.STATE_DIR}/{instance}/{JOURNAL}"}
    return unit.render_toml({"server": {"port": 1}, "token": {"keys": keys}, "journal": journal})


def look(directory: str) -> list[tuple[str, int, int, int]]:
    """By what it is seen that a server had the journal in a directory open meanwhile; its link may lead elsewhere."""
    main, found = os.path.realpath(f"{directory}/{JOURNAL}"), []
    for ending in ("", "-wal", "-shm", "-log0", "-log1", ".lock"):
        with contextlib.suppress(OSError):
            info = os.stat(main + ending)
            found.append((ending, info.st_ino, info.st_size, info.st_mtime_ns))
    return found


def read_projects(text: str) -> dict[str, int]:
    """Names and revisions in what ``rtc-server list-projects`` prints, without the one of verifications."""
    rows = [line.rsplit("\t", 3) for line in text.split("\n") if line.strip()]
    return {row[0]: int(row[1]) if row[1:] and row[1].isdecimal() else 0 for row in rows if row[0] != CHECKED}


def name_some(names: Sequence[str]) -> str:
    """Names for a message; of many the first ones. Others than users' clients may have given them."""
    shown = ["".join(one if one.isprintable() else "?" for one in name) for name in names[:_MOST]]
    return ", ".join([*shown, *(["…"] if names[_MOST:] else [])])


def put_away(directory: str) -> None:
    """Give the files of a journal in a directory another name, that they are not taken for what users have now.

    :raises FileError: one cannot be renamed.
    """
    names = _files_tree.list_directory(directory)
    # One that a kill has cut short goes on: the files of a journal are one only under one name.
    found = {match[1] for match in map(_KEPT.match, names) if match}
    new = max(found - set(names), default=time.strftime("moved-%Y%m%dT%H%M%SZ.db", time.gmtime()))
    # The main file last: while it is there, the others belong to it.
    for name in reversed(names):
        if re.fullmatch(re.escape(JOURNAL) + "([-.].+)?", name):
            _files_tree.rename(f"{directory}/{name}", new + name[len(JOURNAL) :])


def describe_kept(path: str, then: bytes) -> str:
    """What is worth knowing when a configuration names an instance's own journal again: that there is none, and where
    the one is that was moved into a store; "" for nothing.

    :param path: any file; only an instance's configuration matters.
    :param then: what it is to be.
    """
    match = _CONFIG.fullmatch(os.path.relpath(path, unit.CONFIG_DIR))
    now = (_files.read_existing(path) or b"").decode("utf-8", "replace") if match else ""
    directory = f"{unit.STATE_DIR}/{match[1]}" if match else ""
    if not store.find_url(now) or store.find_url(then.decode("utf-8", "replace")):
        return ""
    names = _files_tree.list_directory(directory)
    kept = [name for name in names if name.endswith(".db") and _KEPT.match(name)]
    if JOURNAL in names or not kept:
        return ""
    text = f"{path} is to name the journal {directory}/{JOURNAL} again, which is not there. What a run moved into the"
    text += f" store is kept in {directory} as {kept[-1]}: stop the service and rename its files ({kept[-1]}*) to"
    return f"{text} {JOURNAL}*, where users are to have that."


def require_no_loss(path: str, then: bytes) -> None:
    """See that no project is out of reach when a configuration is given back.

    :param path: any file; only an instance's configuration matters.
    :param then: what it is to be.
    :raises LeftBehindError: there are some, or they cannot be listed.
    """
    match = _CONFIG.fullmatch(os.path.relpath(path, unit.CONFIG_DIR))
    now = (_files.read_existing(path) or b"").decode("utf-8", "replace") if match else ""
    if not match or not is_elsewhere(match[1], now, then.decode("utf-8", "replace")):
        return
    place = "the store" if store.find_url(now) else "the journal"
    remedy = "Move them as docs/scaling.md of the collection shows. Nothing was undone."
    try:
        names = _list_projects(path, match[1])
    except (RtcError, OSError, subprocess.SubprocessError) as exc:
        raise LeftBehindError(f"Whether {place} that {path} names has projects is not known: {exc}", remedy) from exc
    if names:
        text = f"Undoing would leave behind projects of {place} that {path} names: {name_some(names)}."
        raise LeftBehindError(text, remedy)


def describe_left(path: str) -> str:
    """What is worth knowing when the configuration of an instance goes, and the instance with it: where its projects
    are; "" for nothing.

    :param path: any file; only an instance's configuration matters.
    """
    match = _CONFIG.fullmatch(os.path.relpath(path, unit.CONFIG_DIR))
    now = (_files.read_existing(path) or b"").decode("utf-8", "replace") if match else ""
    if not match or not is_elsewhere(match[1], now, ""):
        return ""
    url = store.find_url(now)
    place = f"the store {url}" if url else f"{unit.STATE_DIR}/{match[1]}/{JOURNAL}"  # no password is in a URL
    try:
        names = _list_projects(path, match[1])
    except (RtcError, OSError, subprocess.SubprocessError) as exc:
        return f"{path} goes. Whether {place} has projects is not known: {exc}"
    stay = "They stay there, for when the instance comes again."
    return f"{path} goes. Projects of {place}: {name_some(names)}. {stay}" if names else ""


def _list_projects(config: str, instance: str) -> list[str]:
    text = (_files.read_existing(unit.UNIT) or b"").decode("utf-8", "replace")
    done = asking.ask_server(instance, text, "list-projects", "--config", config, seconds=_SECONDS)
    if done.returncode != 0:
        raise RtcError((done.stderr.strip().splitlines() or ["no answer"])[-1])
    return list(read_projects(done.stdout))
