# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Tomcats of four generations, fetched once from Maven Central into ``.build/tomcat``.

Where Maven Central does not answer, tests are skipped and say so.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import tarfile

import maven
import pytest

# Version -> SHA-256 of what Maven Central has.
VERSIONS = {
    "8.5.100": "163abe51289dd09dc375791888d6f2d5508c06050548dc4fc7700251f4bebaca",
    "9.0.98": "1d9a1104c2e235a5baff6e9ca8e28be3d864803fafc478f5c13c2ae6a5ed3d6f",
    "10.1.34": "f799541380bfff2b674cefd86c5376d2d7d566b3a2e7c4579d2b491de8ec6c36",
    "11.0.2": "c1b31a6989d30a7344c1a3655da74679ce9f9b48a271e864647a141de3b78cb8",
}
CACHE = pathlib.Path(__file__).parents[1] / ".build" / "tomcat"


def unpacked(version):
    """The directory of a Tomcat; fetched and unpacked once, whole or not at all."""
    target = CACHE / f"tomcat-{version}"
    if target.is_dir():
        return target
    try:
        archive = maven.fetch(f"org/apache/tomcat/tomcat/{version}/tomcat-{version}.tar.gz", VERSIONS[version], CACHE)
    except maven.OutOfReachError as exc:
        pytest.skip(str(exc))
    part = CACHE / f"unpack-{version}-{os.getpid()}"
    with tarfile.open(archive) as tar:
        tar.extractall(part, filter="data")
    (inner,) = part.iterdir()
    try:
        inner.rename(target)
    except OSError:  # another run was faster
        assert target.is_dir()
    shutil.rmtree(part)
    return target
