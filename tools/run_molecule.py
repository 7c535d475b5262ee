"""Run Molecule scenarios on the built collection: those named, or all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
LARGE = {"fleet"}  # two dozen hosts: run by name


def fleet_hosts() -> str:
    """The hosts of the fleet that can be made here, as a pattern of Ansible."""
    libraries = yaml.safe_load((ROOT / "molecule/fleet/vars/netty.yml").read_text())["fleet_netty"]
    path, sha256 = next((path, sha256) for path, sha256 in libraries["1.7.18"].items() if "netty-socketio" in path)
    command = [sys.executable, "tests/maven.py", ".build/maven", f"{path}={sha256}"]
    refusal = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if refusal.returncode == 0:
        return "all:localhost"
    print(f"SKIPPED: the hosts with the add-on's own RTC service: {refusal.stderr.strip()}", flush=True)
    return "all:localhost:!fleet_builtin_hosts"


def main() -> int:
    names = sys.argv[1:] or sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
    environment = {
        **os.environ,
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
        "RTC_COLLECTIONS": str(ROOT / ".build/collections"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        # Molecule breaks lines at the width of the terminal, and takes 80 where there is none: too narrow for a table.
        "COLUMNS": "200",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    if "fleet" in names:
        chosen = os.environ.get("RTC_FLEET_HOSTS")
        environment["RTC_FLEET_HOSTS"] = f"{chosen}:localhost" if chosen else fleet_hosts()
    for name in names:
        command = ["molecule", "--base-config", "molecule/config.yml", "test", "--scenario-name", name]
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        if status != 0:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
