# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Java 8 for tests/java, from Debian's packages: unpacked into ``.build/jdk``, not installed.

Debian has it in unstable only, where it is built for a newer C library than stable's; that one is unpacked beside it, and
starts it. Both come by apt's own means from the mirror that this machine has, checked by the hashes below. Debian removes
a version when it has the next, so that these pins must be followed now and then:
``apt-cache show openjdk-8-jre-headless libc6`` with the lists of unstable and stable says the new ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

# Path in Debian's pool, SHA-256.
JAVA = (
    "pool/main/o/openjdk-8/openjdk-8-jre-headless_8u504-ga-1_amd64.deb",
    "c65f449d44e04ac558b83ebf6f2185787981be694b9f426fdecb2b8c1bd6a5ed",
)
LIBC = (
    "pool/main/g/glibc/libc6_2.41-12+deb13u5_amd64.deb",
    "b59b0625cd1a791375d40dab23a4d5d3d0641e3d0a773501becdc3725b7f99cf",
)
_HELPER = "/usr/lib/apt/apt-helper"
_JRE = "usr/lib/jvm/java-8-openjdk-amd64/jre"


def fetch(target: Path) -> str:
    """Put the JRE at ``target``, whole or not at all; returns why it could not be done."""
    if os.uname().machine != "x86_64" or not os.access(_HELPER, os.X_OK):
        return "no Java 8: this is no Debian on x86_64"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as part:
        for number, (path, digest) in enumerate((JAVA, LIBC)):
            package = Path(part, f"{number}.deb")
            problem = _download(path, digest, package)
            if problem:
                return problem
            subprocess.run(["dpkg-deb", "-x", str(package), f"{part}/root"], check=True, capture_output=True)
        root = Path(part, "root")
        home = root / _JRE
        _make_launcher(home, root)
        _mend_links(root)
        shutil.move(root / "etc" / "java-8-openjdk", home / "etc")
        home.chmod(0o755)
        try:
            home.rename(target)
        except OSError:  # another worker was faster
            if not target.is_dir():
                raise
    return ""


def _download(path: str, digest: str, file: Path) -> str:
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    mirrors = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    said = "apt knows no mirror"
    for mirror in dict.fromkeys(mirrors):
        command = [_HELPER, "download-file", f"{mirror.rstrip('/')}/{path}", str(file), f"SHA256:{digest}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return ""
        said = (done.stderr.strip() or "apt-helper said nothing").splitlines()[0]
    return f"no Java 8 from Debian ({Path(path).name}): {said}"


def _make_launcher(home: Path, root: Path) -> None:
    """``bin/keytool`` and ``bin/java``, run by the C library's own loader.

    A JVM looks for its files beside the program that runs, which is the loader then: so the loader lies there too.
    """
    libraries = root / "usr" / "lib" / "x86_64-linux-gnu"
    shutil.move(libraries, home / "libc")
    shutil.copy(home / "libc" / "ld-linux-x86-64.so.2", home / "bin" / "ld.so")
    for program in ("keytool", "java"):
        (home / "bin" / program).rename(home / "bin" / f"{program}.real")
        launcher = home / "bin" / program
        launcher.write_text(
            '#!/bin/sh\nbin=$(dirname "$(readlink -f "$0")")\n'
            f'exec "$bin/ld.so" --library-path "$bin/../libc" "$bin/{program}.real" "$@"\n',
            encoding="ascii",
        )
        launcher.chmod(0o755)


def _mend_links(root: Path) -> None:
    """Links to ``/etc/java-8-openjdk`` lead to what was unpacked; one to the machine's own trust store may stay."""
    home = root / _JRE
    for link in [path for path in home.rglob("*") if path.is_symlink()]:
        old = os.readlink(link)
        if old.startswith("/etc/java-8-openjdk/"):
            inside = home / "etc" / old[len("/etc/java-8-openjdk/") :]
            link.unlink()
            link.symlink_to(os.path.relpath(inside, link.parent))
