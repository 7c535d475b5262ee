# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small RTC server and packages for it, with what would come from a package index."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source
from ansible_collections.collab.rtc.plugins.plugin_utils._release import wheels

# As long as those of real wheels: more than the 100 characters of a plain tar header.
PLATFORM = ".".join(f"manylinux_2_{minor}_x86_64" for minor in (5, 12, 17, 24, 28))
PROJECT = """\
[project]
name = "rtc-server"
version = "1.2.3"
dependencies = [
    "Lib_A>=1",
    "tomli>=2; python_version < '3.11'",
]
"""


def make_wheel(name, version, needs="", **files):
    """The bytes of a wheel."""
    folded, buffer = name.replace("-", "_"), io.BytesIO()
    files = {path.replace("__", "/"): text for path, text in files.items()}
    info = f"{folded}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n{needs}"
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in {f"{folded}.py": f"# {name}\n", **files, f"{info}/METADATA": metadata}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return buffer.getvalue()


class Index:
    """Sources of a server, and an index of packages. ``asked`` has what was fetched."""

    def __init__(self, folder: Path) -> None:
        self.source, self.asked = str(folder / "source"), []
        self.packages = {
            "lib_a-1.0-py3-none-any.whl": make_wheel("lib-a", "1.0", "Requires-Dist: fast; extra == 'x'\n"),
            **{f"fast-2.0-cp3{minor}-cp3{minor}-{PLATFORM}.whl": make_wheel("fast", "2.0", lib__so=str(minor))
               for minor in (10, 11, 12)},
        }  # fmt: skip
        package = folder / "source/src/rtc_server"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("__version__ = '1.2.3'\n")
        (package / "cli.py").write_text("def main():\n    import fast\n    return 0\n")
        (folder / "source/pyproject.toml").write_text(PROJECT)
        self.lock()

    def lock(self) -> None:
        """Write the lock file."""
        lines: dict[str, list[str]] = {}
        for name, content in self.packages.items():
            package = "==".join(wheels.split_name(name))
            lines.setdefault(package, []).append(f"--hash=sha256:{hashlib.sha256(content).hexdigest()}")
        text = "".join(" \\\n    ".join([package, *hashes]) + "\n" for package, hashes in sorted(lines.items()))
        Path(self.source, "requirements.txt").write_text(text)

    def download(self, _requirements: str, target: release_source.Target, folder: str) -> None:
        """As ``wheels._download``."""
        self.asked.append(target.tag)
        os.makedirs(folder)
        tag = target.tag.partition("-")[0]
        for name, content in self.packages.items():
            if tag in name or "-none-any" in name:
                Path(folder, name).write_bytes(content)
