"""Give ansible-test the pip that it wants to download.

``ansible-test sanity`` makes virtual environments with a get-pip script that it fetches from a host of the Ansible
project. Where only a package index is in reach, this writes an equivalent into ansible-test's own cache: a script that
carries pip's wheel, taken from the index, and runs it.
"""

from __future__ import annotations

import base64
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = '''"""pip's own wheel, started without being installed: Python runs the package in it."""
import base64, os, subprocess, sys, tempfile

WHEEL = "{wheel}"
DATA = "{data}"

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, WHEEL)
    with open(path, "wb") as file:
        file.write(base64.b64decode(DATA))
    arguments = [a for a in sys.argv[1:] if a not in ("--no-setuptools", "--no-wheel")]
    pip = [sys.executable, os.path.join(path, "pip"), "install", "--upgrade", "--force-reinstall"]
    sys.exit(subprocess.call(pip + arguments))
'''


def wanted_versions() -> list[str]:
    """The versions of pip that the installed ansible-test names (``pip='24.2'`` in its table of packages)."""
    spec = importlib.util.find_spec("ansible_test")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).parent / "_internal/python_requirements.py"
    return sorted(set(re.findall(r"pip='([0-9.]+)'", source.read_text())))


def write(version: str) -> None:
    """Write the cached script of one version unless it is there."""
    target = Path.home() / ".ansible/test/cache" / f"get_pip_{version.replace('.', '_')}.py"
    if target.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, f"pip=={version}"]
        subprocess.run(command, check=True)
        wheel = next(Path(folder).glob("*.whl"))
        data = base64.b64encode(wheel.read_bytes()).decode()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(SCRIPT.format(wheel=wheel.name, data=data))


if __name__ == "__main__":
    for number in wanted_versions():
        write(number)
