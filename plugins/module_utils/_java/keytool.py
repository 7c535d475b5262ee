# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding the programs of a JRE, and running its keytool without a secret on the command line."""

from __future__ import annotations

import os
import shutil
import subprocess

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

# A short run of a JVM: no optimising compiler, no parallel collector. JVMs other than HotSpot ignore unknown options.
_QUICK = ("-J-XX:+IgnoreUnrecognizedVMOptions", "-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-J-Xshare:auto")
_LANGUAGE = ("-J-Duser.language=en", "-J-Duser.country=US")  # messages that are recognised below
# Options of the application's JVM do not belong in keytool's, and Java announces them on stderr.
_FOREIGN = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH")


class JvmError(RtcError):
    """No keytool, or it failed."""


class KeytoolError(JvmError):
    """keytool ended with an error; ``output`` is what it said."""

    def __init__(self, message: str, remedy: str = "", output: str = "") -> None:
        super().__init__(message, remedy)
        self.output = output


def find_keytool(jre_home: str | None = None, store: str | None = None) -> str:
    """The path of a keytool: of this JRE, else of the JRE that a trust store lies in, of ``JAVA_HOME``, or on ``PATH``.

    :param store: path of a trust store as the administrator names it, links not resolved.
    :raises JvmError: there is none; with ``jre_home``, no other JRE's is taken.
    """
    if jre_home:
        found = _find_in_home(jre_home)
        if not found:
            raise JvmError(
                f"{jre_home} has no bin/keytool.", "Give jre_home as the java.home of a JRE that has its keytool."
            )
        return found
    homes = [os.environ.get("JAVA_HOME", "")]
    if store:
        security = os.path.dirname(os.path.abspath(store))
        if security.endswith(os.path.join("lib", "security")):
            homes.insert(0, os.path.dirname(os.path.dirname(security)))
    for home in homes:
        found = _find_in_home(home) if home else ""
        if found:
            return found
    found = shutil.which("keytool") or ""
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
        self.path = path
        self.timeout = timeout  # seconds; a keytool that asks for input would never end
        self.starts = 0

    def run(self, arguments: list[str], secrets: dict[str, str]) -> str:
        """Run keytool once.

        :param arguments: its arguments; a password is named as ``-storepass:env NAME``, with NAME a key of ``secrets``.
        :returns: what it printed.
        :raises KeytoolError: it ended with an error.
        """
        environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        environment.update(secrets, LC_ALL="C.UTF-8")
        command = [self.path, *arguments, *_QUICK, *_LANGUAGE]
        self.starts += 1
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self.timeout,
                check=False,
            )
        except OSError as exc:
            raise JvmError(f"{self.path} cannot be run: {exc.strerror}.", "Check jre_home.") from exc
        except ValueError as exc:  # a NUL character
            raise JvmError(f"{self.path}: a path or password has a character that cannot be passed on.") from exc
        except subprocess.TimeoutExpired as exc:
            raise JvmError(f"{self.path} did not end within {self.timeout:.0f} s.", "Run it by hand.") from exc
        output = done.stdout.decode("utf-8", "replace").strip()
        for secret in secrets.values():
            output = output.replace(secret, "********") if len(secret) > 3 else output
        # keytool ends with 0 after some of its errors, so the words count too.
        if done.returncode != 0 or output.startswith("keytool error:"):
            raise KeytoolError(f"{self.path} failed: {_extract_error(output)}", _suggest_remedy(output), output)
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
