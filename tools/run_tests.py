"""Run the suites, fast ones first, and close with one line that counts: ``N passed, N failed, N skipped``.

Without names all suites run but the long ones (``extra``), and what was left out is listed; with names only those;
``all`` is every suite. ``--coverage`` measures the suites that have a floor, and fails below it. The output of a suite
goes to the terminal as it comes and to ``.build/logs/<suite>.log``. The exit status is 1 when anything failed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".build/logs"
BIN = ROOT / ".venv/bin"
SOURCES = ROOT / ".build/src"  # made by tools/setup: the collection under its full name
TREE = ROOT / ".build/tree/ansible_collections/collab/rtc"  # made by tools/collection


@dataclass
class Counts:
    """What a suite counted."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Counts) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def read_gate(output: str, status: int) -> Counts:
    """A gate has one result: its exit status."""
    return Counts(passed=status == 0, failed=status != 0)


def read_sanity(output: str, status: int) -> Counts:
    """Each sanity test counts; a run that found no targets is a failure."""
    if status == 0 and "All targets skipped" in output:
        return Counts(failed=1)
    ran = len(re.findall(r"^Running sanity test ", output, re.MULTILINE))
    return Counts(passed=ran) if status == 0 and ran else Counts(failed=1)


_PYTEST = re.compile(r"(\d+) (passed|failed|skipped|errors?|xfailed|xpassed)")


def read_pytest(output: str, status: int) -> Counts:
    """The closing lines of pytest (``ansible-test units`` has one for each context). No line at all is a failure."""
    counts = Counts()
    for line in output.splitlines():
        if not re.search(r" in [\d.]+s", line):
            continue
        for number, word in _PYTEST.findall(line):
            kind = {"passed": "passed", "skipped": "skipped", "xfailed": "skipped"}.get(word, "failed")
            setattr(counts, kind, getattr(counts, kind) + int(number))
    if status != 0 and counts.failed == 0:
        counts.failed = 1
    if status == 0 and counts.passed == 0:
        counts.failed = 1  # a suite that ran nothing proved nothing
    return counts


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r"^\s*│ ", re.MULTILINE)  # of what Molecule shows of a playbook
# pytest, ansible-test, ansible, linters
_RED = re.compile(r"^(FAILED |ERROR: |ERROR |\[ERROR\]: |fatal: |failed: | +assertion: |E   |\S+:\d+:\d+: )")
_MOST_RED = 20  # lines of one suite


def find_failures(output: str) -> list[str]:
    """The lines that say what failed: repeated at the very end, because of a long output often only that is kept."""
    lines = [line for line in _FRAME.sub("", _COLOUR.sub("", output)).splitlines() if _RED.match(line)]
    return [line[:300] for line in lines[-_MOST_RED:]]


def read_molecule(output: str, status: int) -> Counts:
    """Each action of a scenario (create, converge, idempotence, verify ...) counts as one test."""
    plain = _COLOUR.sub("", output)
    done = re.findall(r"^(?:INFO|ERROR)\s+\S+ (?:➜|>) \w+: Executed: (Successful|Failed)", plain, re.MULTILINE)
    counts = Counts(passed=done.count("Successful"), failed=done.count("Failed"))
    if counts.failed == 0 and (status != 0 or counts.passed == 0):
        counts.failed = 1
    return counts


@dataclass
class Suite:
    """One line of the table below."""

    name: str
    about: str
    command: Callable[[], list[str]]
    read: Callable[[str, int], Counts]
    cwd: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None
    extra: str = ""  # the command to run it with; it takes longer than all the others, so it runs only when it is named
    covers: tuple[str, float] | None = None  # a directory, and the least percentage of its lines that the suite runs


def tool(name: str, *arguments: str) -> Callable[[], list[str]]:
    return lambda: [str(BIN / name), *arguments]


def pytest(*arguments: str, workers: str = "2") -> Callable[[], list[str]]:
    spread = ["-n", workers, "--dist", "worksteal"] if workers != "0" else []
    return lambda: [str(BIN / "python"), "-m", "pytest", "-q", *spread, *arguments]


def prepare_ansible_test() -> None:
    """Bring the pip that ansible-test makes its environments with."""
    subprocess.run([sys.executable, str(ROOT / "tools/ansible_test_pip.py")], check=True)


SAMPLE = ("rtc_undo", "rtc_session", "tomcat_connector")  # of modules

SUITES = [
    Suite("ruff", "style and likely mistakes", tool("ruff", "check", "."), read_gate),
    Suite("format", "layout as ruff writes it", tool("ruff", "format", "--check", "."), read_gate),
    Suite("python38", "modules run on Python 3.8", tool("python", "tools/check_hosts_python.py"), read_gate),
    Suite("mypy", "types, strict", tool("python", "tools/run_mypy.py"), read_gate),
    Suite("docs", "generated documents are current", tool("python", "tools/generate_docs.py", "--check"), read_gate,
          environment={"PYTHONPATH": str(SOURCES)}),
    Suite("changelog", "fragments are well-formed", tool("antsibull-changelog", "lint"), read_gate),
    # ansible-lint says the same, but takes a minute, and needs a clone.
    Suite("yamllint", "layout of YAML", tool("yamllint", "--strict", "."), read_gate),
    Suite("unit", "pure functions and modules", pytest("tests/unit"), read_pytest,
          covers=("plugins", 90.0)),
    Suite("rtc-server", "the RTC server, short forms",
          pytest("tests/rtc_server", "--ignore-glob=*/test_cluster*.py"), read_pytest,
          covers=("files/rtc_server/src", 93.0)),
    Suite("rtc-cluster", "RTC servers on one store, short form",
          pytest("tests/rtc_server/test_cluster.py", "tests/rtc_server/test_cluster_network.py",
                 "tests/rtc_server/test_cluster_upgrade.py", "tests/rtc_server/test_cluster_clients.py"), read_pytest),
    Suite("verify", "probe and session checks", pytest("tests/verify"), read_pytest),
    Suite("java", "trust stores and real keytool", pytest("tests/java"), read_pytest),
    Suite("tomcat", "server.xml and real Tomcats", pytest("tests/tomcat", workers="0"), read_pytest),
    Suite("containers", "applications in real containers", pytest("tests/containers", workers="0"), read_pytest),
    # A file at a time: each lays its own daemons out, and some compare what all tests of the file have counted.
    Suite("proxies", "real nginx, Apache, HAProxy", pytest("tests/proxies", "--dist", "loadfile"), read_pytest),
    Suite("pages", "panel and check page in a real browser", pytest("tests/pages"), read_pytest),
    Suite("bundle", "bundles of the real packages, short form", pytest("tests/bundle", workers="0"), read_pytest,
          environment={"RTC_BUNDLE": "short"}),
    Suite("aws", "the listener at AWS, with moto", pytest("tests/aws"), read_pytest),
    Suite("attacks", "root's files under attack", pytest("tests/attacks", workers="0"), read_pytest),
    Suite("bench", "the benchmarks start, in small", pytest("tests/bench", workers="0"), read_pytest),
    Suite("runs", "the playbooks on hosts that fail", pytest("tests/runs"), read_pytest),
    # A home of its own: ansible-lint prefers a collection that somebody has installed in theirs.
    Suite("ansible-lint", "production profile", tool("ansible-lint", "--offline"), read_gate,
          environment={"ANSIBLE_HOME": str(ROOT / ".build/ansible")}),
    Suite("sanity", "ansible-test sanity",
          tool("ansible-test", "sanity", "--local", "--python", "3.11", "plugins/", "tests/unit/"),
          read_sanity, TREE, prepare=prepare_ansible_test),
    # The suite "unit" runs all of them; these show that they run as ansible-test starts them, too.
    Suite("units", "ansible-test units, of some modules",
          tool("ansible-test", "units", "--local", "--python", "3.11",
               *(f"tests/unit/plugins/modules/test_{name}.py" for name in SAMPLE)),
          read_pytest, TREE, prepare=prepare_ansible_test),
    Suite("molecule", "one site on a real host", tool("python", "tools/run_molecule.py", "default"), read_molecule),
    Suite("course", "runs on five real hosts, short form", tool("python", "tools/run_molecule.py", "runs"),
          read_molecule, environment={"RTC_RUNS": "short"}),
    Suite("operate", "changes of mind, short form", tool("python", "tools/run_molecule.py", "operate"),
          read_molecule, environment={"RTC_OPERATE": "short"}),
    Suite("upgrade", "an RTC server over the years, short form", tool("python", "tools/run_molecule.py", "upgrade"),
          read_molecule, environment={"RTC_UPGRADE": "short"}),
    Suite("cluster", "several nodes on a store, short form", tool("python", "tools/run_molecule.py", "cluster"),
          read_molecule, environment={"RTC_CLUSTER": "short"}),
    # Not in `make test`: it takes nine minutes.
    Suite("hostile", "attacks on a real host while it runs", tool("python", "tools/run_molecule.py", "hostile"),
          read_molecule, extra="make molecule SCENARIO=hostile"),
    Suite("course-long", "each failure on five real hosts", tool("python", "tools/run_molecule.py", "runs"),
          read_molecule, extra="make molecule SCENARIO=runs"),
    Suite("operate-long", "each change of mind, and kills", tool("python", "tools/run_molecule.py", "operate"),
          read_molecule, extra="make molecule SCENARIO=operate"),
    Suite("cluster-long", "Data Center behind each proxy, all that happens",
          tool("python", "tools/run_molecule.py", "cluster"), read_molecule, extra="make molecule SCENARIO=cluster"),
    Suite("upgrade-long", "all that happens to an RTC server, under 200 users",
          tool("python", "tools/run_molecule.py", "upgrade"), read_molecule, extra="make molecule SCENARIO=upgrade"),
    Suite("versions", "the playbooks under ansible-core 2.16 to 2.20", pytest("tests/runs"), read_pytest,
          environment={"RTC_ANSIBLE": "2.16 2.18 own 2.20"}, extra="make versions"),
    Suite("bundle-long", "pip resolves a bundle for each pair", pytest("tests/bundle", workers="0"), read_pytest,
          extra="make bundle"),
    Suite("faults", "each fault is diagnosed", tool("python", "tools/run_molecule.py", "faults"),
          read_molecule, extra="make molecule SCENARIO=faults"),
    Suite("fleet", "every topology on real hosts", tool("python", "tools/run_molecule.py", "fleet"),
          read_molecule, extra="make molecule SCENARIO=fleet"),
]  # fmt: skip

# What is no suite of this table, and its command.
ELSEWHERE = {
    "the RTC server in its long form, an hour": "make test-rtc",
    "the RTC server under mixed load with attacks and kills, an hour": "make soak",
    "modules beside their peers": "make bench-modules",
    "the RTC server beside its peers, an hour": "make bench-rtc",
}


def with_coverage(suite: Suite) -> Suite:
    """The same suite, measured; nothing to measure: as it is."""
    if suite.covers is None:
        return suite
    source, floor = suite.covers
    options = [f"--cov={source}", "--cov-report=term", f"--cov-fail-under={floor}"]
    data = {"COVERAGE_FILE": str(LOGS / f"{suite.name}.coverage")}
    return replace(suite, command=lambda: [*suite.command(), *options], environment={**suite.environment, **data})


def run(suite: Suite) -> tuple[Counts, list[str]]:
    """Run one suite, show and keep its output; its counts, and lines that say what failed."""
    print(f"\n==> {suite.name}: {suite.about}", flush=True)
    if suite.prepare is not None:
        suite.prepare()
    environment = {**os.environ, **suite.environment, "PATH": f"{BIN}:{os.environ['PATH']}"}
    started = time.monotonic()
    log = LOGS / f"{suite.name}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            suite.command(),
            cwd=suite.cwd,
            env=environment,
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
        status = process.wait()
    output = log.read_text()
    counts = suite.read(output, status)
    word = "ok" if counts.failed == 0 else "FAILED"
    print(f"--- {suite.name}: {word} in {time.monotonic() - started:.0f} s", flush=True)
    return counts, find_failures(output) if counts.failed else []


def choose(names: list[str]) -> list[Suite]:
    """The suites to run, in the order of the table."""
    if names == ["all"]:
        return SUITES
    return [suite for suite in SUITES if suite.name in names or (not names and not suite.extra)]


def show_left_out(chosen: list[Suite]) -> None:
    """List what a run of everything did not run, with the command for each."""
    left_out = {suite.about: suite.extra for suite in SUITES if suite.extra and suite not in chosen}
    print("\nNot run here:")
    for about, command in {**left_out, **ELSEWHERE}.items():
        print(f"  {command:<36}{about}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coverage", action="store_true", help="measure coverage, and fail below the floor")
    parser.add_argument(
        "names", nargs="*", metavar="SUITE", help=f"all, or any of: {', '.join(s.name for s in SUITES)}"
    )
    options = parser.parse_args(arguments)
    names: list[str] = options.names
    unknown = set(names) - {suite.name for suite in SUITES} - {"all"}
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    chosen = choose(names)
    LOGS.mkdir(parents=True, exist_ok=True)
    total = Counts()
    rows = []
    failures: dict[str, list[str]] = {}
    for suite in chosen:
        started = time.monotonic()
        counts, lines = run(with_coverage(suite) if options.coverage else suite)
        if counts.failed:
            failures[suite.name] = lines
        rows.append((suite.name, counts, time.monotonic() - started))
        total.add(counts)
    print(f"\n{'suite':<14}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for name, counts, seconds in rows:
        print(f"{name:<14}{counts.passed:>8}{counts.failed:>8}{counts.skipped:>9}{seconds:>9.0f}")
    if names in ([], ["all"]):
        show_left_out(chosen)
    for name, lines in failures.items():
        print(f"\nFailed in {name}:", *(lines or ["see its output above"]), sep="\n  ")
    print(f"\n{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
