"""mypy --strict over what must be typed: the private helpers, the RTC server, the tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MYPY = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
RUNS = [
    ["-p", "ansible_collections.collab.rtc.plugins.module_utils"],
    ["-p", "ansible_collections.collab.rtc.plugins.plugin_utils"],
    ["-p", "rtc_server"],
    ["-p", "hostlab"],
    [str(path) for path in sorted((ROOT / "tools").glob("*.py"))],
]

if __name__ == "__main__":
    sys.exit(max(subprocess.run([*MYPY, *arguments], cwd=ROOT, check=False).returncode for arguments in RUNS))
