# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rtc_release with real bundles below a directory, run by this Python."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import switching, trial, unit
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore
from ansible_collections.collab.rtc.plugins.modules import rtc_release
from ansible_collections.collab.rtc.tests.unit.killing import run_and_die

# A server that is ready at once, and reads journals whose text is "1".
RUNS = """\
import http.server, os, re, signal, socket, sys
text = open(sys.argv[-1]).read()
if sys.argv[1] == "list-projects":
    os.environ["LC_ALL"] == "C" or sys.exit("it cannot print all names")
    sys.stdout.buffer.write(b"\\xff\\t1\\t1\\t1\\n")
    journal = open(re.search(r'path = "(.*)"', text)[1]).read()
    sys.exit(0 if journal == "1" else "it was written by a newer rtc-server (schema " + journal + ")")
signal.signal(signal.SIGTERM, lambda *_args: os._exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(STATUS)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(re.search(r"port = (\\d+)", text)[1])), Handler)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
"""
READY, BUSY = RUNS.replace("STATUS", "200"), RUNS.replace("STATUS", "503")


class Releases:
    """The directory of the releases of a host."""

    def __init__(self, folder, run_module):
        self.folder, self._run_module = folder, run_module
        self.base = folder / "opt"

    def bundle(self, name, *members, program=READY):
        """A release with the server's program and further members."""
        path = self.folder / f"{name}.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for file_name, text in (("rtc-server", program), ("RELEASE", name + "\n")):
                file = tarfile.TarInfo(file_name)
                file.mode, file.size = 0o755, len(text)
                tar.addfile(file, io.BytesIO(text.encode()))
            for member in members:
                tar.addfile(member)
        return str(path)

    def run(self, name, src=None, check=False, **options):
        arguments = {
            "name": name,
            "python_version": "3.11",
            "python": sys.executable,
            "base": str(self.base),
            **options,
        }
        return self._run_module("rtc_release", {**arguments, **({"src": src} if src else {})}, check=check)

    @property
    def current(self):
        link = self.base / "current"
        return os.readlink(link) if link.is_symlink() else None

    def names(self):
        folder = self.base / "releases"
        return sorted(os.listdir(folder)) if folder.exists() else []


@pytest.fixture
def host(tmp_path, run_module, monkeypatch):
    # The directories of tests are their user's own, so another one could start nothing there.
    monkeypatch.setattr(rtc_release.confined, "make_account", lambda: None)
    monkeypatch.setattr(unit, "CONFIG_DIR", str(tmp_path / "etc"))
    monkeypatch.setattr(unit, "STATE_DIR", str(tmp_path / "state"))
    return Releases(tmp_path, run_module)


def member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_release_that_is_missing_is_asked_for_first(host):
    result = host.run("one")
    assert (result["changed"], result["missing"], result["release"], result["previous"]) == (True, True, "one", "")
    assert host.names() == []


def test_a_bundle_is_unpacked_compiled_and_made_current(host):
    library = member("lib/part.py")
    result = host.run("one", host.bundle("one", member("lib", tarfile.DIRTYPE), library))
    assert (result["changed"], result["previous"], host.current) == (True, "", "releases/one")
    target = host.base / "releases/one"
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    assert list((target / "lib/__pycache__").glob("part.*.pyc"))
    result = host.run("one")
    assert (result["changed"], result["missing"]) == (False, False)


def test_a_run_that_is_given_up_while_it_unpacks_puts_nothing_in_place(host, monkeypatch):
    """The next run unpacks the same release: its place must be free."""
    directory = str(host.folder / "undo/20260101T000000Z-aaaa")
    monkeypatch.setattr(rtc_release.switching, "sync", lambda folder: records.end_run(directory, for_good=True))
    result = host.run("one", host.bundle("one"), undo_dir=directory)
    assert "was given up on this host" in result["msg"]
    assert (host.names(), host.current) == ([], None)


def test_the_link_changes_and_old_releases_go(host):
    for number, name in enumerate(("one", "two", "three"), 1):
        result = host.run(name, host.bundle(name))
        os.utime(host.base / "releases" / name, (number, number))
    assert (result["previous"], host.current) == ("two", "releases/three")
    assert host.names() == ["three", "two"]
    # Back to an earlier one: it is there, so no bundle is needed.
    result = host.run("two")
    assert (result["changed"], result["missing"], host.current) == (True, False, "releases/two")
    assert host.names() == ["three", "two"]


def test_more_releases_are_kept_on_demand(host):
    for name in ("one", "two", "three"):
        host.run(name, host.bundle(name), keep=3)
    assert host.names() == ["one", "three", "two"]


def test_check_mode_changes_nothing(host):
    result = host.run("one", host.bundle("one"), check=True)
    assert (result["changed"], host.names(), host.current) == (True, [], None)
    assert result["diff"]["after"].endswith("current -> one\n")


@pytest.mark.parametrize(
    "bad",
    [
        member("/etc/passwd"),
        member("../outside"),
        member("lib/../../outside"),
        member("lib", tarfile.SYMTYPE, "/etc"),
        member("hard", tarfile.LNKTYPE, "rtc-server"),
        member("device", tarfile.CHRTYPE),
    ],
    ids=lambda info: info.name,
)
def test_a_bundle_with_anything_but_files_below_it_is_refused(host, bad):
    host.run("one", host.bundle("one"))
    result = host.run("two", host.bundle("two", bad))
    assert result["failed"] and f"it holds {bad.name}" in result["msg"]
    assert (host.names(), host.current) == (["one"], "releases/one")
    assert not (host.folder / "outside").exists()


def test_a_bundle_that_does_not_start_is_refused_before_the_switch(host):
    host.run("one", host.bundle("one"))
    result = host.run("two", host.bundle("two", program="raise SystemExit('no module aiohttp')\n"))
    assert result["failed"] and "no module aiohttp" in result["msg"]
    assert (host.names(), host.current) == (["one"], "releases/one")


def test_a_release_that_is_not_ready_is_refused_before_the_switch(host):
    host.run("one", host.bundle("one"))
    result = host.run("two", host.bundle("two", program=BUSY))
    assert result["failed"] and "/readyz answers 503" in result["msg"] and "Nothing was switched" in result["msg"]
    assert (host.names(), host.current) == (["one"], "releases/one")


def test_the_archive_of_another_release_is_refused(host):
    host.run("one", host.bundle("one"))
    result = host.run("two", host.bundle("three"))
    assert result["failed"] and "holds another release than two" in result["msg"]
    assert (host.names(), host.current) == (["one"], "releases/one")


def test_an_archive_that_did_not_arrive_whole_is_refused(host):
    path = host.bundle("one")
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - 1)
    result = host.run("one", path, digest=digest)
    assert result["failed"] and "did not arrive as it was sent" in result["msg"] and host.names() == []
    assert host.run("one", host.bundle("one"), digest=digest)["changed"] is True


def test_a_release_that_cannot_read_a_journal_is_refused(host):
    """As where a newer one has changed the schema: unless the instance keeps its journal elsewhere."""
    for path, text in (("state/confluence/journal.db", "7"), ("etc/confluence.toml", "")):
        (host.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (host.folder / path).write_text(text)
    result = host.run("one", host.bundle("one"))
    assert result["failed"] and "journal of confluence: it was written by a newer" in result["msg"]
    assert (host.names(), host.current) == ([], None)
    (host.folder / "etc/confluence.toml").write_text('store_url = "postgresql://rtc@db/rtc"\n')
    assert host.run("one", host.bundle("one"))["changed"] is True
    (host.folder / "etc/confluence.toml").write_text("")
    (host.folder / "state/confluence/journal.db").write_text("1")
    assert host.run("two", host.bundle("two"))["changed"] is True
    assert switching.read_ready(str(host.base)) == {"confluence": "one"}, "the way back is noted"


TAG = "cp311-x86_64"


@pytest.fixture
def kept(host):
    """A host that keeps releases, the last one of this Python running."""
    for number, name in enumerate((f"0.1.0-{TAG}-a", f"0.1.0-{TAG}-b", "0.1.0-cp310-x86_64-c", f"0.2.0-{TAG}-d")):
        host.run(name, host.bundle(name), keep=9)
        os.utime(host.base / "releases" / name, (number, number))
    return host


@pytest.mark.parametrize(
    ("version", "chosen"),
    [("0.1.0", f"0.1.0-{TAG}-b"), (f"0.1.0-{TAG}-a", f"0.1.0-{TAG}-a"), ("0.2.0", f"0.2.0-{TAG}-d"), ("", "own")],
)
def test_a_kept_release_is_chosen_by_its_version(kept, version, chosen):
    own = f"0.2.0-{TAG}-d" if chosen != "own" else f"0.3.0-{TAG}-e"
    result = kept.run(own, kept.bundle(own), version=version, keep=9)
    wanted = own if chosen == "own" else chosen
    assert (result["release"], kept.current) == (wanted, f"releases/{wanted}")


@pytest.mark.parametrize("version", ["0.1", "0.9.0", "0.1.0-cp310-x86_64-c", "../../etc", "a-b-c"])
def test_a_version_that_is_not_kept_is_refused_with_what_is(kept, version):
    result = kept.run(f"0.2.0-{TAG}-d", version=version)
    assert result["failed"] and f"0.1.0-{TAG}-b" in result["msg"] and "rtc_server_version" in result["msg"]
    assert kept.current == f"releases/0.2.0-{TAG}-d"


@pytest.mark.parametrize("sent", [True, False])
def test_a_kill_at_any_call_leaves_a_release_that_is_whole(host, monkeypatch, sent):
    """The next run ends what was begun, and undoing it gives the one before."""
    monkeypatch.setattr(rtc_release, "check", lambda *_args: None)  # it changes nothing
    monkeypatch.setattr(rtc_release.subprocess, "run", lambda *_args, **_more: None)
    archives = {name: host.bundle(name, member("lib", tarfile.DIRTYPE), member("lib/a.py")) for name in ("one", "two")}
    (host.folder / "etc").mkdir()
    (host.folder / "etc/confluence.toml").write_text("")
    for number in range(1, 1000):
        host.base = host.folder / f"opt{number}"
        host.run("one", archives["one"])
        undo = host.folder / f"undo{number}" / "20260101T000000Z-aaaa"
        if not sent:
            shutil.copytree(host.base / "releases/one", host.base / "releases/two")
            (host.base / "releases/two/RELEASE").write_text("two\n")
        died = run_and_die(number, lambda: host.run("two", archives["two"], undo_dir=str(undo)))  # noqa: B023
        assert host.current in ("releases/one", "releases/two")
        assert (host.base / "current/RELEASE").read_text() == os.path.basename(host.current) + "\n"
        assert (host.base / "current/lib/a.py").exists()
        result = host.run("two", archives["two"], undo_dir=str(undo))
        assert not result.get("failed") and host.current == "releases/two", result
        assert host.names() == ["one", "two"], "nothing is left half"
        restore.restore(str(undo))
        assert host.current == "releases/one"
        if not died:
            break
    assert number > 10


def test_the_real_server_is_tried(tmp_path):
    """Its own code, with the packages of this environment."""
    source = Path(__file__).resolve().parents[4] / "files/rtc_server/src"
    packages = os.path.dirname(os.path.dirname(pytest.importorskip("aiohttp").__file__))
    paths = f"import sys; sys.path[:0] = [{str(source)!r}, {packages!r}]\n"
    program = tmp_path / "rtc-server"
    program.write_text(f"{paths}from rtc_server.cli import main\nsys.exit(main())\n")

    def run():
        command = [sys.executable, "-I", "-c", trial.PROGRAM, str(program), str(trial.SECONDS)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")

    assert run().returncode == 0, run().stderr
    program.write_text(paths + "sys.modules['aiohttp'] = None\nfrom rtc_server.cli import main\nsys.exit(main())\n")
    result = run()
    assert result.returncode == 1 and "import of aiohttp halted" in result.stderr


def test_an_interpreter_that_is_not_there_is_named(host):
    result = host.run("one", host.bundle("one"), python="/nowhere/python3")
    assert result["failed"] and "/nowhere/python3 cannot be looked at" in result["msg"]
    assert host.names() == []


def test_a_file_that_is_no_bundle_is_refused(host):
    path = host.folder / "two.tar.gz"
    path.write_bytes(b"not a bundle")
    result = host.run("two", str(path))
    assert result["failed"] and host.names() == []


def test_what_a_killed_run_left_is_no_obstacle(host):
    host.base.mkdir()
    (host.base / ".current.new").symlink_to("releases/none")
    host.run("one", host.bundle("one"))
    assert host.current == "releases/one"


def test_a_disk_that_does_not_take_it_is_named_and_nothing_is_left(host):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    bundle = host.bundle("one")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        result = host.run("one", bundle)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result["failed"] and f"{host.base}/releases cannot take the release one: File too large." in result["msg"]
    assert (host.current, host.names()) == (None, [])


def test_undo_gives_the_previous_release_back(host, run_module):
    host.run("one", host.bundle("one"))
    record = host.folder / "undo/20260101T000000Z-aaaa"
    host.run("two", host.bundle("two"), undo_dir=str(record))
    assert host.current == "releases/two"
    assert run_module("rtc_undo", {"path": str(host.folder / "undo")})["changed"]
    assert host.current == "releases/one"


@pytest.fixture
def base(tmp_path, monkeypatch):
    """Four releases, the last of them running."""
    monkeypatch.setattr(rtc_release, "check", lambda *_args: None)  # they are empty
    for number in range(1, 5):
        path = tmp_path / "base/releases" / f"r{number}"
        path.mkdir(parents=True)
        os.utime(path, (number, number))
    (tmp_path / "base/current").symlink_to("releases/r4")
    return tmp_path / "base"


def install(run_module, base, name, run="20260103T000000Z-cccc", **more):
    (base / "releases" / name).mkdir(exist_ok=True)
    undo = str(base.parent / "undo" / run)
    return run_module(
        "rtc_release", {"base": str(base), "name": name, "python_version": "3.11", "undo_dir": undo, **more}
    )


def releases(base):
    return sorted(os.listdir(base / "releases"))


def test_the_newest_stay(run_module, base):
    assert install(run_module, base, "r3")["changed"] is True
    assert os.readlink(base / "current") == "releases/r3"
    assert releases(base) == ["r3", "r4"]


def test_what_an_undo_record_names_stays(run_module, base):
    """Run after run switched: undoing any of them finds its release."""
    for number, name in enumerate(("r1", "r2", "r4", "r2")):
        assert install(run_module, base, name, f"2026010{number + 1}T000000Z-aaaa", keep=1)["changed"] is True
    assert releases(base) == ["r1", "r2", "r4"]
    for name in sorted(os.listdir(base.parent / "undo"), reverse=True):
        restore.restore(str(base.parent / "undo" / name))
        assert (base / "current").exists()


def test_what_an_instance_was_last_ready_with_stays(run_module, base):
    switching.note_ready(str(base), "confluence", "r1")
    install(run_module, base, "r3", keep=1)
    assert releases(base) == ["r1", "r3", "r4"]


def test_records_and_releases_go_together(run_module, base):
    for number, name in enumerate(("r1", "r2", "r4", "r1")):
        install(run_module, base, name, f"2026010{number + 1}T000000Z-aaaa", keep=1, undo_keep=1)
    assert releases(base) == ["r1", "r4"]
    records = sorted(os.listdir(base.parent / "undo"))
    assert records == ["20260101T000000Z-aaaa", "20260104T000000Z-aaaa"]  # the first for this link, and the newest


def test_the_preview_removes_nothing(run_module, base):
    args = {"base": str(base), "name": "r3", "python_version": "3.11", "keep": 1}
    assert run_module("rtc_release", args, check=True)["changed"] is True
    assert releases(base) == ["r1", "r2", "r3", "r4"]
