# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding the keytool of a JRE, and letting it convert a key store that only Java can read.

Root never runs it as root. It gets a copy of the store and gives back another, both in memory; secrets come by
descriptors, and nothing is on its command line or in its environment.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils import _memory_file, _ownership
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._java import confined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# A short run of a JVM: no optimising compiler, no parallel collector, no file for jps in /tmp. JVMs other than HotSpot
# ignore unknown options.
_QUICK = (
    "-J-XX:+IgnoreUnrecognizedVMOptions",
    "-J-XX:TieredStopAtLevel=1",
    "-J-XX:+UseSerialGC",
    "-J-Xshare:auto",
    "-J-XX:-UsePerfData",
    "-J-Xmx256m",
)
_LANGUAGE = ("-J-Duser.language=en", "-J-Duser.country=US", "-J-Dfile.encoding=UTF-8")  # messages are recognised below
_MOST_FILES = 20_000  # of a JRE; a JDK has about 1,000
# What shows that a directory is a JRE, so that its other files are part of the program.
_PARTS = ("lib/modules", "lib/rt.jar", "lib/jvm.cfg")


class JvmError(RtcError):
    """No keytool, or it failed."""


class KeytoolError(JvmError):
    """keytool ended with an error; ``output`` is what it said."""

    def __init__(self, message: str, remedy: str = "", output: str = "") -> None:
        super().__init__(message, remedy)
        self.output = output


def find_keytool(jre_home: str | None = None) -> str:
    """The path of a keytool: of this JRE, else of ``JAVA_HOME``, or on ``PATH``.

    :raises JvmError: there is none; with ``jre_home``, no other JRE's is taken.
    """
    if jre_home:
        found = _find_in_home(jre_home)
        if not found:
            raise JvmError(
                f"{jre_home} has no bin/keytool.", "Give jre_home as the java.home of a JRE that has its keytool."
            )
        return found
    home = os.environ.get("JAVA_HOME", "")
    found = (_find_in_home(home) if home else "") or shutil.which("keytool") or ""
    if not found:
        raise JvmError("No keytool was found on this host.", "Give jre_home, the java.home of the application's JVM.")
    return found


def _find_in_home(home: str) -> str:
    for parts in (("bin", "keytool"), ("jre", "bin", "keytool")):
        path = os.path.join(home, *parts)
        if os.access(path, os.X_OK):
            return path
    return ""


class Keytool:
    """A keytool, which counts the JVMs that it starts."""

    def __init__(self, path: str, timeout: float = 120.0) -> None:
        self.path = os.path.abspath(path)
        self.timeout = timeout  # seconds; a keytool that asks for input would never end
        self.starts = 0

    def run(self, arguments: Sequence[str], inputs: Mapping[str, bytes], owner: int, limit: int) -> dict[str, bytes]:
        """Run keytool once.

        :param arguments: its arguments; ``{name}`` stands for the path of the file of that name.
        :param inputs: name -> content of each file; secrets (``-storepass:file {name}``) too.
        :param owner: user id of the owner of the key store. Beside root only he may be able to change keytool: whoever
            can is told the store's password and its keys.
        :param limit: bytes that a file may have afterwards.
        :returns: name -> content of each file afterwards.
        :raises KeytoolError: it ended with an error.
        :raises JvmError: it could not be run, or is not run because of whom it may belong to.
        """
        account = self._choose_account(owner)
        with contextlib.ExitStack() as stack:
            handles = {name: stack.enter_context(_memory_file.hold(data, name)) for name, data in inputs.items()}
            paths = {"{" + name + "}": _memory_file.path_of(handle) for name, handle in handles.items()}
            command = [self.path, *(paths.get(one, one) for one in arguments), *_QUICK, *_LANGUAGE]
            self.starts += 1
            try:
                result = confined.run(command, account, list(handles.values()), self.timeout)
            except OSError as exc:
                raise JvmError(f"{self.path} cannot be run: {exc.strerror}.", "Check jre_home.") from exc
            except ValueError as exc:  # a NUL character
                raise JvmError(f"{self.path}: an alias has a character that cannot be passed on.") from exc
            except confined.ConfinedError as exc:
                raise JvmError(exc.message, exc.remedy) from exc
            output = result.output.decode("utf-8", "replace").strip()
            # keytool ends with 0 after some of its errors, so the words count too.
            if result.status != 0 or output.startswith("keytool error:"):
                output = _mask(output, inputs)
                raise KeytoolError(f"{self.path} failed: {_extract_error(output)}", _suggest_remedy(output), output)
            return {name: _memory_file.read_all(handle, limit) for name, handle in handles.items()}

    def _choose_account(self, owner: int) -> confined.Account | None:
        """Whom it runs as.

        :raises JvmError: somebody else may change it, or nobody but root can execute it.
        """
        try:
            strangers = [one for one in _find_program_writers(self.path) if one.uid not in (owner, os.geteuid())]
        except OSError as exc:
            raise JvmError(f"{self.path} cannot be looked at: {exc.strerror}.", "Check jre_home.") from exc
        if strangers:
            raise JvmError(
                f"{self.path} can be changed by {strangers[0]}, who would learn the key that it converts.",
                "Make the JRE root's alone, name another with jre_home, or convert the key store to PKCS#12 by hand.",
            )
        account = confined.make_account()
        if account is None or confined.may_execute(account, self.path):
            return account
        account = confined.find_account(owner)
        if account.uid == 0 or not confined.may_execute(account, self.path):
            raise JvmError(
                f"{self.path} can be executed by root only, who does not run it.",
                "Let everybody execute the JRE, or convert the key store to PKCS#12 by hand.",
            )
        return account


def _find_program_writers(path: str) -> Iterator[_ownership.Writer]:
    """Who besides root can change keytool or another part of its JRE.

    :raises OSError: see ``_ownership.find_writers``; or the JRE has no end.
    """
    yield from _ownership.find_writers(path)
    home = os.path.dirname(os.path.dirname(os.path.realpath(path)))
    if not any(os.path.exists(os.path.join(home, part)) for part in _PARTS):
        return
    count = 0
    for directory, _directories, names in os.walk(home):
        for name in names:
            count += 1
            if count > _MOST_FILES:
                raise OSError(0, f"{home} has more files than a JRE")
            with contextlib.suppress(FileNotFoundError):  # a link to nothing is no part of the program
                yield from _ownership.find_writers(os.path.join(directory, name))


def _mask(output: str, inputs: Mapping[str, bytes]) -> str:
    for data in inputs.values():
        secret = data.decode("utf-8", "replace").strip() if len(data) < 1024 else ""
        output = output.replace(secret, "********") if len(secret) > 3 else output
    return output


def _extract_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("keytool error:")]
    return (errors or lines or ["it printed nothing."])[-1]


def _suggest_remedy(output: str) -> str:
    if "password was incorrect" in output or "tampered" in output:
        return "Give the store's password."
    if "NoSuchAlgorithm" in output or "Unrecognized keystore format" in output:
        return "This JRE is too old for the store, or its security policy forbids the store's algorithms."
    return ""
