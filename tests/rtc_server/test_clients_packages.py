# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients as packages: what is in them, their types, and the programs of docs/clients.md, which run on them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rtc_example import running_example
from rtc_support import ROOT, Server, free_port
from test_real_clients import need, run_tool
from test_real_clients import node as javascript  # the fixture

__all__ = ["javascript"]
DOCUMENT = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
SITE, ISSUER = "https://wiki.example.org:9083", "https://wiki.example.org"


def find_program(language: str, site: str, issuer: str) -> str:
    """The document's program, with the addresses of this test."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert SITE in found and f"{ISSUER}/token" in found
    return found.replace(SITE, site).replace(ISSUER, issuer)


@pytest.fixture
def issuer(server: Server, tmp_path: Path) -> Iterator[str]:
    """The address of the example's issuer of tokens."""
    with running_example(server.url, free_port(), tmp_path, tmp_path) as address:
        yield address


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command], env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip()


def test_the_python_package_and_its_program(tmp_path: Path, server: Server, issuer: str) -> None:
    source = tmp_path / "python"
    shutil.copytree(
        ROOT / "clients/python", source, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__", "build")
    )
    run_tool(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, source)
    (wheel,) = tmp_path.glob("collab_rtc_client-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        archive.extractall(tmp_path / "installed")
    package = ROOT / "clients/python/src/collab_rtc_client"
    assert names == {f"collab_rtc_client/{path.name}" for path in package.iterdir() if path.is_file()}
    assert "collab_rtc_client/py.typed" in names
    program = tmp_path / "program.py"
    program.write_text(find_program("python", server.url, issuer), encoding="utf-8")
    assert run(sys.executable, program, PYTHONPATH=str(tmp_path / "installed")) == "1 ['Hello']"


def test_the_python_package_runs_on_python_3_9() -> None:
    files = sorted((ROOT / "clients/python/src").rglob("*.py"))
    run(
        ROOT / ".venv/bin/vermin",
        "-q",
        "--target=3.9-",
        "--violations",
        "--no-parse-comments",
        "--eval-annotations",
        *files,
    )


def test_the_javascript_package_and_its_program(tmp_path: Path, server: Server, issuer: str, javascript: Path) -> None:
    need("npm")
    source = tmp_path / "js"
    shutil.copytree(ROOT / "clients/js", source, ignore=shutil.ignore_patterns("node_modules", "*.d.ts"))
    run_tool("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=source)
    run_tool("npm", "pack", "--silent", "--pack-destination", tmp_path, cwd=source)
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (archive,) = tmp_path.glob("collab-rtc-client-*.tgz")
    shutil.unpack_archive(archive, tmp_path, "gztar", filter="data")
    installed = (tmp_path / "package").rename(modules / "collab-rtc-client")
    names = {f"rtc-{part}.{kind}" for part in ("client", "project") for kind in ("js", "d.ts")}
    assert {path.name for path in installed.iterdir()} == {"package.json", "README.md", *names}
    (modules / "socket.io-client").symlink_to(javascript / "node_modules/sio4")
    program = tmp_path / "program.mjs"
    program.write_text(find_program("js", server.url, issuer), encoding="utf-8")
    assert run("node", program) == "1 [ 'Hello, too' ]"

    # and TypeScript knows what is right and what is not
    (tmp_path / "types.mts").write_text(
        'import { Client, Refused, type Listener } from "collab-rtc-client";\n'
        "const listener: Listener = { onChange: (change, own) => { const n: number = change.revision; own satisfies boolean; } };\n"
        'const client = new Client(() => null, "http://x", { token: async () => "t" });\n'
        'const project = await client.join("p", listener);\n'
        "const revision: number = await project.submit({ any: 1 });\n"
        "for await (const { data } of project.history()) data;\n"
        'new Refused("a", "b").code satisfies string;\n'
        "// @ts-expect-error: a token is needed\n"
        'new Client(() => null, "http://x", {});\n'
        "// @ts-expect-error: there is no such event\n"
        'await client.join("p", { onSurprise: () => {} });\n'
    )
    run(
        "node", source / "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--module", "nodenext",
        "--target", "es2022", "--lib", "es2022,dom", tmp_path / "types.mts",
    )  # fmt: skip
