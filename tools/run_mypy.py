"""mypy --strict over what must be typed: all plugins, the RTC server, the client, the lab, the tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MYPY = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
PACKAGES = ["ansible_collections.collab.rtc.plugins", "rtc_server", "collab_rtc_client", "hostlab"]
RUNS = [
    [argument for package in PACKAGES for argument in ("-p", package)],
    [str(path) for path in sorted((ROOT / "tools").glob("*.py"))],  # mypy takes packages or files, not both
]

if __name__ == "__main__":
    sys.exit(max(subprocess.run([*MYPY, *arguments], cwd=ROOT, check=False).returncode for arguments in RUNS))
