"""Run Molecule scenarios on the built collection: those named, or all."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGE = {"fleet"}  # a dozen hosts and more: run by name
MAVEN = "https://repo1.maven.org/maven2/com/corundumstudio/socketio/netty-socketio/maven-metadata.xml"


def fleet_hosts() -> str:
    """The hosts of the fleet that can be made here, as a pattern of Ansible."""
    try:
        with urllib.request.urlopen(MAVEN, timeout=20):
            return "all:localhost"
    except (urllib.error.URLError, TimeoutError) as exc:
        print(f"SKIPPED: the hosts with the add-on's own RTC service, because Maven Central is out of reach: {exc}", flush=True)
        return "all:localhost:!fleet_builtin_hosts"


def main() -> int:
    names = sys.argv[1:] or sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
    environment = {
        **os.environ,
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
        "RTC_COLLECTIONS": str(ROOT / ".build/collections"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    if "fleet" in names:
        environment["RTC_FLEET_HOSTS"] = fleet_hosts()
    for name in names:
        command = ["molecule", "--base-config", "molecule/config.yml", "test", "--scenario-name", name]
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        if status != 0:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
