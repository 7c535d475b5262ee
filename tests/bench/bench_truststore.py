# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""java_truststore beside community.general.java_cert, on the same work, in a copy of a JRE's own trust store.

    cd tests && python -m bench.bench_truststore

Each task is one process that runs what Ansible sends to a managed host (see payload.py); the time of a connection,
which every task costs too, is not in it. The keytool is that of a pinned Java 17 (tests/javas.py). A wrapper of keytool
that both find counts the JVM starts: the peer needs some for each certificate, ours starts none, and is behind in a row
where it does. Times are the fastest of several rounds, by the clock and of the processor (children included). The last
rows are on the same certificates in a PKCS#12 store with a password, which Java 17 makes and ours decrypts in Python.

``right``: afterwards the store trusts what it should and nothing else, as read from its bytes; of a chain that is the
CA, because the server's own certificate is another one after its next renewal. ``diff``: in diff mode the module named
the certificate's subject and fingerprint. The peer comes from PyPI, see bench_server_xml. The last line of the output
is JSON.
"""

from __future__ import annotations

import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile

import javas

from bench.bench_server_xml import fetch_peers
from bench.payload import ROOT, loader, run

loader()  # before anything of a collection is imported, or it would not find them

from ansible_collections.collab.rtc.plugins.module_utils._keystore import reader  # noqa: E402
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate  # noqa: E402

DATA = ROOT / "tests" / "unit" / "data" / "truststore"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PASSWORD = "changeit"
JAVA = "17"


def fingerprint(name):
    return certificate.parse_certificates((DATA / f"{name}.pem").read_bytes(), name)[0].fingerprint


def ours(store, items, state):
    """One task, whatever the number of certificates. The items are pairs of a file and an alias."""
    certificates = [{"src": str(DATA / f"{name}.pem"), "alias": alias} for name, alias in items]
    arguments = {"path": str(store), "certificates": certificates, "state": state, "_ansible_diff": True}
    return [run("collab.rtc.java_truststore", arguments)]


def peers(store, items, state):
    """One task for each certificate."""
    common = {"keystore_path": str(store), "keystore_pass": PASSWORD, "state": state, "_ansible_diff": True}
    return [
        run("community.general.java_cert", dict(common, cert_path=str(DATA / f"{name}.pem"), cert_alias=alias))
        for name, alias in items
    ]


TOOLS = {"java_truststore": ours, "community.general.java_cert": peers}
CA, CHAINS = [("plain", "company")], [("chain", "one"), ("plain", "two"), ("small", "three")]
OWN, ENCRYPTED = "cacerts", "encrypted"
# Name, the store, what is there before, the work, its state, and which certificates are to be there after it.
CASES = [
    ("import one CA", OWN, [], CA, "present", ["plain"]),
    ("unchanged, one CA", OWN, CA, CA, "present", ["plain"]),
    ("import three, one a chain", OWN, [], CHAINS, "present", ["issuing", "plain", "small"]),
    ("unchanged, three", OWN, CHAINS, CHAINS, "present", ["issuing", "plain", "small"]),
    ("new certificate under its alias", OWN, [("own", "company")], CA, "present", ["plain"]),
    ("there under another alias", OWN, [("plain", "other")], CA, "present", ["plain"]),
    ("remove three", OWN, CHAINS, CHAINS, "absent", []),
    ("unchanged, three absent", OWN, [], CHAINS, "absent", []),
    ("import one CA, encrypted", ENCRYPTED, [], CA, "present", ["plain"]),
    ("remove three, encrypted", ENCRYPTED, CHAINS, CHAINS, "absent", []),
]


class Bench:
    """A directory with the store and the counting keytool."""

    def __init__(self, directory, home):
        self.directory = pathlib.Path(directory)
        self.store = self.directory / "cacerts"
        self.log = self.directory / "starts"
        real = home / "bin" / "keytool"
        self.originals = {OWN: pathlib.Path(reader.locate(str(home))).read_bytes()}
        self.originals[ENCRYPTED] = self.encrypt(real)
        self.before = set(self.trusted_list(self.originals[OWN]))
        wrapper = self.directory / "bin" / "keytool"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\necho x >> {self.log}\nexec {real} "$@"\n', encoding="utf-8")
        wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
        os.environ["PATH"] = f"{wrapper.parent}:{os.environ['PATH']}"

    def encrypt(self, keytool):
        """The same certificates as this Java writes them under a password."""
        source, target = self.directory / "source", self.directory / "encrypted"
        source.write_bytes(self.originals[OWN])
        stores = ("-srckeystore", str(source), "-srcstorepass", PASSWORD, "-destkeystore", str(target))
        command = [str(keytool), "-importkeystore", "-noprompt", *stores, "-deststorepass", PASSWORD]
        subprocess.run([*command, "-deststoretype", "PKCS12"], check=True, capture_output=True)
        return target.read_bytes()

    @staticmethod
    def trusted_list(data):
        entries = reader.read(data, PASSWORD).entries.values()
        return [entry.fingerprint() for entry in entries if entry.kind == "trusted"]

    def starts(self):
        return len(self.log.read_text(encoding="ascii").splitlines()) if self.log.exists() else 0

    def measure(self, work, kind, there, items, state, expected):
        """The work once on a fresh store: tasks, seconds, cpu, JVM starts, and whether store and diff were right."""
        self.store.write_bytes(self.originals[kind])
        if there:
            work(self.store, there, "present")
        began = self.starts()
        results = work(self.store, items, state)
        found = self.trusted_list(self.store.read_bytes())
        added = sorted(one for one in found if one not in self.before)
        failed = [result.get("msg", "") for result, _seconds in results if result.get("failed")]
        right = added == sorted(map(fingerprint, expected)) and len(found) == len(self.before) + len(added)
        return {
            "tasks": len(results),
            "seconds": sum(seconds[0] for _result, seconds in results),
            "cpu": sum(seconds[1] for _result, seconds in results),
            "jvm_starts": self.starts() - began,
            "right": not failed and right,
            "diff": tells(results, [*expected, *(name for name, _alias in there)]),
            "message": failed[0].splitlines()[0][:120] if failed else "",
        }


def tells(results, names):
    """Whether the diffs of changed tasks have subject and fingerprint of a certificate; None: nothing was changed."""
    changed = [result for result, _seconds in results if result.get("changed")]
    if not changed:
        return None
    text = json.dumps([result.get("diff", "") for result in changed]).replace(":", "").lower()
    return "cn=" in text and any(fingerprint(name) in text for name in names)


def case(bench, kind, there, items, state, expected):
    """Both tools in turn in each round, so that both meet the same load."""
    runs = {tool: [] for tool in TOOLS}
    for _round in range(ROUNDS):
        for tool, work in TOOLS.items():
            runs[tool].append(bench.measure(work, kind, there, items, state, expected))
    for rounds in runs.values():
        for key in ("seconds", "cpu"):
            rounds[-1][key] = round(min(one[key] for one in rounds), 3)
    return {tool: rounds[-1] for tool, rounds in runs.items()}


def ahead(mine, theirs):
    """Right, without a JVM, and in less time than the peer (one that was wrong is behind)."""
    if not mine["right"] or mine["jvm_starts"]:
        return False
    return not theirs["right"] or mine["cpu"] < theirs["cpu"]


def count_imports(rows):
    """The fewest and the most JVMs that each module started for an import."""
    imports = [row for row in rows if row["case"].startswith("import")]
    counts = {tool: [row[tool]["jvm_starts"] for row in imports] for tool in TOOLS}
    return {tool: (min(numbers), max(numbers)) for tool, numbers in counts.items()}


def main():
    home, problem = javas.find(JAVA)
    if home is None:
        print(json.dumps({"bench": "truststore", "error": problem}))
        return 1
    fetch_peers()
    rows = []
    print(f"{'work':32} {'module':28} {'tasks':>5} {'seconds':>8} {'cpu':>7} {'JVMs':>4} {'right':>6} {'diff':>6}")
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(directory, home)
        for name, *rest in CASES:
            found = case(bench, *rest)
            for tool, line in found.items():
                times = f"{line['seconds']:8} {line['cpu']:7} {line['jvm_starts']:4}"
                words = f"{line['right']!s:>6} {line['diff']!s:>6} {line['message']}"
                print(f"{name:32} {tool:28} {line['tasks']:5} {times} {words}", flush=True)
            rows.append({"case": name, **found, "ahead": ahead(*found.values())})
        size = len(bench.before)
    starts = count_imports(rows)
    (_least, ours_most), (least, most) = starts.values()
    print(f"JVM starts of an import = {ours_most} (the peer: {least} to {most})")
    summary = {
        "bench": "truststore",
        "rounds": ROUNDS,
        "certificates_in_the_store": size,
        "jvm_starts_of_an_import": starts,
        "rows": rows,
        "ahead_everywhere": all(row["ahead"] for row in rows),
    }
    print(json.dumps(summary))
    return 0 if summary["ahead_everywhere"] else 1


if __name__ == "__main__":
    sys.exit(main())
