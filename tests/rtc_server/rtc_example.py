# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of clients/example: its page and its issuer of tokens, in a process of their own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from rtc_support import PATIENCE, ROOT, SECRET


@contextlib.contextmanager
def running_example(rtc: str, port: int, library: Path, directory: Path) -> Iterator[str]:
    """Its address, for as long as the block runs."""
    key = directory / "site.key"
    key.write_bytes(SECRET + b"\n")
    options = {"--rtc": rtc, "--key": key, "--library": library, "--port": port}
    command = [
        sys.executable,
        ROOT / "clients/example/issuer.py",
        *[str(one) for pair in options.items() for one in pair],
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        give_up = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address, timeout=5).close()
                break
            assert process.poll() is None and time.monotonic() < give_up, "the example did not start"
            time.sleep(0.05)
        yield address
    finally:
        process.kill()
        process.wait()
