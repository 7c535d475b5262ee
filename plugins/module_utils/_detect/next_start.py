# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the next start of an application's JVM will use, and where the process that runs now differs.

A run plans for the next start, because it restarts the application. What files say counts where one of them is newer
than the process; otherwise the process shows what they lead to, also what cannot be read from them.
"""

from __future__ import annotations

import re
from typing import Callable

from ansible_collections.collab.rtc.plugins.module_utils._detect import jre
from ansible_collections.collab.rtc.plugins.module_utils._detect.doubts import Installation
from ansible_collections.collab.rtc.plugins.module_utils._facts import Difference, Java
from ansible_collections.collab.rtc.plugins.module_utils._host import start_commands
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.service_units import Starter
from ansible_collections.collab.rtc.plugins.module_utils._java.options import JvmOptions, read_command_line, read_setenv
from ansible_collections.collab.rtc.plugins.module_utils._java.secrets import mask
from ansible_collections.collab.rtc.plugins.module_utils._shell.words import UNKNOWN

_TRUST = "javax.net.ssl."  # properties that no script of Tomcat sets by itself
_OWN = (
    "catalina.",
    "java.io.tmpdir",
    "java.util.logging.",
    "java.endorsed.dirs",
    "java.protocol.handler.pkgs",
)  # it does
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # systemd.exec(5)


class Configuration:
    """The files that say how the JVM is started: those of the unit or SysV script, bin/setenv.sh and what it reads."""

    def __init__(self, rootfs: RootFs, found: Installation, starter: Starter | None, user: str) -> None:
        self.rootfs = rootfs
        # As catalina.sh chooses; a script that comes to the first place later is the newer file.
        self.script = found.path + "/bin/setenv.sh"
        if found.tomcat and not rootfs.is_file(self.script):
            self.script = found.home + "/bin/setenv.sh"
        self.found = found
        self.environment = dict(starter.environment) if starter else {}
        self.environment.setdefault("PATH", _PATH)
        self.environment.update({"CATALINA_BASE": found.path, "CATALINA_HOME": found.home} if found.tomcat else {})
        home = start_commands.find_user_home(rootfs, user)
        if starter and not starter.user and not found.proc:
            home = UNKNOWN  # bin/user.sh names the user: whether HOME becomes his depends on how he is changed to
        if home:
            self.environment.setdefault("HOME", home)
        self.java = starter.java if starter else []  # started without catalina.sh, which would read setenv.sh
        self.commands = [starter.command] if starter else ["start", "run"]
        self.files = [self.script, *([*starter.files, *starter.sources] if starter else [])]
        self.options = self.read()

    def read(self, edit: Callable[[str], str] = lambda text: text) -> JvmOptions:
        """What the next start would use.

        :param edit: what is done to the text of setenv.sh before it is read.
        """
        if self.java:
            return read_command_line(self.java, self.environment)
        text = edit(self.rootfs.text(self.script) or "")
        return read_setenv(
            text,
            self.found.home,
            self.environment,
            self._read,
            self._exists,
            self.rootfs.real,
            self.rootfs.names,
            self.script,
            self.commands,
            lambda path: start_commands.read_public(self.rootfs, path, self.rootfs.owner(self.script)),
            self._is_plain(),
        )

    def _is_plain(self) -> bool:
        """Whether dash reads setenv.sh: catalina.sh is a script for ``sh``, which Jira's is not, and that is dash."""
        first = (self.rootfs.text(self.found.home + "/bin/catalina.sh") or "").partition("\n")[0]
        return re.fullmatch(r"#! ?(/usr)?/bin/(env )?sh\b.*", first) is not None and self.rootfs.real(
            "/bin/sh"
        ).endswith("/dash")

    def _read(self, path: str) -> str | None:
        self.files.append(path)
        return self.rootfs.text(path)

    def _exists(self, path: str) -> bool:
        return self.rootfs.stat(path) is not None

    def is_newer(self, started: float) -> bool:
        """Whether one of the files was changed after a process was started."""
        changed = [info.st_mtime for info in map(self.rootfs.stat, dict.fromkeys(self.files)) if info]
        return max(changed, default=0.0) > started


def merge(configured: JvmOptions, running: JvmOptions | None, newer: bool) -> JvmOptions:
    """What the next start will have.

    :param running: of the process; ``None`` when none runs.
    :param newer: whether a file was changed since the process was started.
    """
    if running is None:
        return configured
    if not newer:
        return JvmOptions(
            {**configured.properties, **running.properties}, {**configured.environment, **running.environment}
        )
    kept = {name: value for name, value in running.properties.items() if not name.startswith(_TRUST)}
    return JvmOptions(
        {**kept, **configured.properties},
        {**running.environment, **configured.environment},
        configured.unknown,
        configured.unclear,
    )


def find_jre(
    rootfs: RootFs, found: Installation, starter: Starter | None, configured: JvmOptions, newer: bool
) -> Java | None:
    """The JRE of the next start; its ``unknown`` is the place that makes it a guess. ``None`` when none is there."""
    own = list_configured(rootfs, starter.environment if starter else {}, configured)
    if starter and starter.java:
        own = [(jre.home_of(rootfs, starter.java[0]), "unit"), *own]
    running = list_running(rootfs, found)
    doubt = configured.find_doubt("JRE_HOME")
    doubt = doubt if doubt or "JRE_HOME" in configured.environment else configured.find_doubt("JAVA_HOME")
    for home, source in [*(own if newer else []), *running, *own, *_list_usual(rootfs, found)]:
        if home and jre.find_java(rootfs, home):
            java = jre.describe(rootfs, home, "process" if home in [one for one, _source in running] else source)
            java.unknown = "" if running and not newer else doubt
            return java
    return None


def list_running(rootfs: RootFs, found: Installation) -> list[tuple[str, str]]:
    """The JREs that the process may run on. The path that it was started by leads to another one after an upgrade."""
    if found.proc is None:
        return []
    candidates = [
        (jre.home_of(rootfs, found.proc.args[0]), "process"),
        (jre.home_of(rootfs, found.proc.exe), "process"),
    ]
    for name in ("JRE_HOME", "JAVA_HOME"):
        value = found.proc.environment.get(name, "")
        if value.startswith("/"):
            candidates.append((jre.java_home(rootfs, rootfs.real(value)), "process"))
    return candidates


def list_configured(rootfs: RootFs, given: dict[str, str], configured: JvmOptions) -> list[tuple[str, str]]:
    """The JREs that files name, in the order of Tomcat's bin/setclasspath.sh."""
    candidates = []
    for name in ("JRE_HOME", "JAVA_HOME"):
        value = configured.environment.get(name, "")
        if value.startswith("/"):
            source = "unit" if value == given.get(name) else "setenv"
            # The launcher finds its home by its own place: JRE_HOME=/usr runs what /usr/bin/java leads to.
            launched = jre.home_of(rootfs, value.rstrip("/") + "/bin/java") if jre.find_java(rootfs, value) else ""
            candidates += [(launched, source), (jre.java_home(rootfs, rootfs.real(value)), source)]
    return candidates


def _list_usual(rootfs: RootFs, found: Installation) -> list[tuple[str, str]]:
    candidates = [(jre.java_home(rootfs, found.home + "/jre"), "install")]
    for path in ("/opt/java/openjdk", "/usr/lib/jvm/default-java"):
        candidates.append((jre.java_home(rootfs, rootfs.real(path)), "system"))
    return [*candidates, (jre.home_of(rootfs, "/usr/bin/java"), "system")]


def find_folder(found: Installation, starter: Starter | None) -> str:
    """The working directory of the JVM, from which relative paths of its options start."""
    running = found.proc.cwd if found.proc else ""
    return running or (starter.folder if starter else "") or found.home + "/bin"


def find_differences(
    rootfs: RootFs, found: Installation, java: Java | None, running: JvmOptions, following: JvmOptions, newer: bool
) -> list[Difference]:
    """Where the running process has something else than the next start will have."""
    differences = []
    home = jre.home_of(rootfs, found.proc.exe) if found.proc else ""
    if java is not None and home and home != java.home and not java.unknown:
        differences.append(Difference("Java", home, java.home))
    if java is not None and java.truststore is not None and not java.truststore.unknown:
        folder = (found.proc.cwd if found.proc else "") or found.home + "/bin"
        now = jre.locate_store(
            rootfs, home or java.home, running.properties.get(_TRUST + "trustStore", ""), folder
        ).path
        if now != java.truststore.path:
            differences.append(Difference("trust store", now, java.truststore.path))
    for name in sorted({*running.properties, *following.properties} if newer else ()):
        has, gets = running.properties.get(name), following.properties.get(name)
        own = name == _TRUST + "trustStore" or name.startswith(_OWN)
        if has != gets and not own and not following.find_doubt(name):
            differences.append(Difference(f"-D{name}", _show(name, has), _show(name, gets)))
    return differences


def _show(name: str, value: str | None) -> str:
    return "no value" if value is None else mask({name: value})[name]
