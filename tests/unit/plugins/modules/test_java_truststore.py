# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module does; how Java sees it: tests/java."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._keystore import editor, jks, jks_edit, reader
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "truststore"


def content(name):
    return (DATA / name).read_bytes()


def pem(*names):
    return "".join((DATA / f"{name}.pem").read_text(encoding="ascii") for name in names)


def fingerprint(name):
    return certificate.parse_certificates(content(f"{name}.pem"), name)[0].fingerprint


@pytest.fixture
def jre(tmp_path, monkeypatch):
    """A JRE whose cacerts is a link, as Debian has it, and whose keytool must not be started."""
    security = tmp_path / "jre" / "lib" / "security"
    security.mkdir(parents=True)
    store = tmp_path / "etc" / "cacerts"
    store.parent.mkdir()
    store.write_bytes(content("trust.jks"))
    store.chmod(0o640)
    (security / "cacerts").symlink_to(store)
    keytool = tmp_path / "jre" / "bin" / "keytool"
    keytool.parent.mkdir()
    keytool.write_text("#!/bin/sh\necho 'keytool error: it was started'\nexit 1\n", encoding="ascii")
    keytool.chmod(0o755)
    monkeypatch.setenv("PATH", str(keytool.parent))
    return tmp_path / "jre"


def options(jre, **more):
    return dict({"jre_home": str(jre)}, **more)


def store_of(jre):
    return (jre / "lib" / "security" / "cacerts").resolve()


@pytest.mark.parametrize("store", ["trust.jks", "trust.jceks", "nopass.p12", "aes.p12", "legacy.p12"])
def test_unchanged_starts_no_jvm(run_module, jre, store):
    store_of(jre).write_bytes(content(store))
    items = [{"pem": pem("root")}, {"pem": pem("leaf", "issuing")}, {"src": str(DATA / "own.pem"), "alias": "other"}]
    result = run_module("java_truststore", options(jre, certificates=items))
    assert (result["changed"], result["jvm_starts"], result["added"]) == (False, 0, [])
    present = {(one["alias"], one["sha256"]) for one in result["present"]}
    assert present == {("root", fingerprint("root")), ("größe", fingerprint("own"))}
    assert result["store"] == {
        "path": str(jre / "lib" / "security" / "cacerts"),
        "real_path": str(store_of(jre)),
        "type": reader.detect(content(store)),
        "entries": 2,
    }
    assert store_of(jre).read_bytes() == content(store)


def test_check_mode_tells_what_would_be_added(run_module, jre):
    items = [{"pem": pem("plain")}, {"src": str(DATA / "chain.pem")}]
    result = run_module("java_truststore", options(jre, certificates=items), check=True, diff=True)
    alias = f"rtc-plain-root-{fingerprint('plain')[:16]}"
    assert (result["changed"], result["jvm_starts"], result["store"]["entries"]) == (True, 0, 3)
    (added,) = result["added"]
    assert added == {
        "alias": alias,
        "subject": "C=DE, O=Example\\, Inc., CN=Plain Root",
        "issuer": "C=DE, O=Example\\, Inc., CN=Plain Root",
        "not_before": "2020-01-01T00:00:00Z",
        "not_after": "2120-01-01T00:00:00Z",
        "sha256": fingerprint("plain"),
        "kind": "root",
    }
    assert result["diff"]["before"] == ""  # the leaf's chain ends in the store
    assert result["diff"]["after"].splitlines() == [
        alias,
        "  subject: C=DE, O=Example\\, Inc., CN=Plain Root",
        "  issuer: C=DE, O=Example\\, Inc., CN=Plain Root",
        "  valid: 2020-01-01T00:00:00Z to 2120-01-01T00:00:00Z",
        f"  sha256: {fingerprint('plain')}",
    ]
    assert store_of(jre).read_bytes() == content("trust.jks")


@pytest.mark.parametrize("store", ["trust.jks", "nopass.p12", "trust.jceks"])
@pytest.mark.parametrize(
    "item",
    [
        {"alias": "ROOT"},
        {"sha256": ":".join(fingerprint("root")[i : i + 2] for i in range(0, 64, 2)).upper()},
        {"pem": pem("leaf", "issuing", "root")},
    ],
)
def test_absent_starts_no_jvm(run_module, jre, store, item):
    store_of(jre).write_bytes(content(store))
    arguments = options(jre, state="absent", certificates=[item, {"alias": "not there"}])
    preview = run_module("java_truststore", arguments, check=True, diff=True)
    assert store_of(jre).read_bytes() == content(store)
    result = run_module("java_truststore", arguments, diff=True)
    assert result == preview
    assert (result["changed"], result["jvm_starts"], result["store"]["entries"]) == (True, 0, 1)
    assert [one["alias"] for one in result["removed"]] == ["root"]
    assert f"sha256: {fingerprint('root')}" in result["diff"]["before"]
    after = reader.read(store_of(jre).read_bytes(), "changeit")
    assert after.trusted() == {fingerprint("own"): "größe"}
    assert after.entries["größe"] == reader.read(content(store), "changeit").entries["größe"]
    again = run_module("java_truststore", arguments)
    assert (again["changed"], again["removed"]) == (False, [])


def test_a_key_that_stands_beside_the_certificates_is_not_shown(run_module, jre):
    """People paste whole files; what Ansible shows of the arguments must not have the key."""
    key = (DATA / "leaf.key").read_text(encoding="ascii")
    for arguments in ({"certificates": [{"pem": pem("root") + key}]}, {"certificates": [{"pem": key}]}):
        assert key.splitlines()[1] not in str(run_module("java_truststore", options(jre, **arguments)))


def test_a_link_stays_a_link_and_the_mode_stays(run_module, jre, tmp_path):
    undo = tmp_path / "undo"
    arguments = options(jre, state="absent", certificates=[{"alias": "root"}], backup=True, undo_dir=str(undo))
    result = run_module("java_truststore", arguments)
    link = jre / "lib" / "security" / "cacerts"
    assert link.is_symlink()
    assert store_of(jre).stat().st_mode & 0o777 == 0o640
    assert Path(result["backup_file"]).read_bytes() == content("trust.jks")
    assert (undo / "manifest.jsonl").exists()


def test_jssecacerts_comes_first(run_module, jre):
    (jre / "lib" / "security" / "jssecacerts").write_bytes(content("nopass.p12"))
    result = run_module("java_truststore", options(jre, certificates=[{"pem": pem("root")}]))
    assert result["store"]["path"].endswith("jssecacerts")
    assert result["store"]["type"] == "pkcs12"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"password": "wrong"}, "The password does not open"),
        ({"certificates": [{"pem": "nothing"}]}, "certificates[].pem holds no certificate"),
        ({"certificates": [{"src": str(DATA / "leaf.key")}]}, "leaf.key holds no certificate"),
        ({"certificates": [{"src": str(DATA / "missing.pem")}]}, "missing.pem cannot be read"),
        ({"certificates": [{"pem": pem("plain-leaf")}]}, "is neither given nor in the store"),
        ({"certificates": [{"alias": "root"}]}, "names no certificate"),
        ({"certificates": [{"pem": pem("plain"), "sha256": "00" * 32}]}, "none of its certificates has the SHA-256"),
        ({"certificates": [{"sha256": "3a:5f"}], "state": "absent"}, "'3a:5f' is not a SHA-256 fingerprint"),
        ({"certificates": [{"alias": "", "pem": ""}], "state": "absent"}, "names no certificate"),
        (
            {"certificates": [{"pem": pem("plain"), "alias": "a"}, {"pem": pem("small"), "alias": "A"}]},
            "asked for by two",
        ),
        ({"certificates": [{"pem": pem("plain"), "src": "x"}]}, "mutually exclusive"),
        ({"certificates": [{"host": "localhost"}]}, "port"),
        ({"jre_home": "/nonexistent"}, "No trust store in /nonexistent/lib/security"),
        ({"path": "/nonexistent/store"}, "/nonexistent/store does not exist"),
        ({"path": str(DATA / "root.pem")}, "is a PEM file, not a key store"),
        ({"path": str(DATA / "key.jks"), "certificates": [{"pem": pem("plain"), "alias": "Tomcat"}]}, "a private key"),
        ({"path": str(DATA / "key.jks"), "certificates": [{"alias": "Tomcat"}], "state": "absent"}, "a private key"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_refusals_change_nothing(run_module, jre, more, reason, check):
    arguments = options(jre, **dict({"certificates": [{"pem": pem("plain")}]}, **more))
    result = run_module("java_truststore", arguments, check=check)
    assert result["failed"]
    assert reason in result["msg"]
    assert "changeit" not in result["msg"].replace("have 'changeit'", "")
    assert store_of(jre).read_bytes() == content("trust.jks")
    assert os.listdir(store_of(jre).parent) == ["cacerts"]


@pytest.mark.parametrize("store", ["trust.jks", "trust.jceks", "nopass.p12", "aes.p12", "legacy.p12", "mixed.p12"])
def test_an_import_starts_no_jvm(run_module, jre, store):
    """The JRE's keytool would fail, and so would any other: there is none on the path."""
    store_of(jre).write_bytes(content(store))
    before = reader.read(content(store), "changeit")
    arguments = options(jre, certificates=[{"pem": pem("plain"), "alias": "Company"}, {"pem": pem("small")}])
    preview = run_module("java_truststore", arguments, check=True, diff=True)
    assert store_of(jre).read_bytes() == content(store)
    result = run_module("java_truststore", arguments, diff=True)
    assert result == preview
    assert (result["changed"], result["jvm_starts"], len(result["added"])) == (True, 0, 2)
    after = reader.read(store_of(jre).read_bytes(), "changeit")
    assert {alias: one for alias, one in after.entries.items() if alias in before.entries} == before.entries
    assert after.entries["company"].fingerprint() == fingerprint("plain")
    assert (after.type, after.protected, after.encrypted) == (before.type, before.protected, before.encrypted)
    assert run_module("java_truststore", arguments)["changed"] is False
    removed = run_module("java_truststore", dict(arguments, state="absent"))
    assert (removed["changed"], removed["jvm_starts"]) == (True, 0)
    assert reader.read(store_of(jre).read_bytes(), "changeit") == before


@pytest.mark.parametrize("store", ["trust.jks", "aes.p12"])
def test_a_result_that_is_not_what_was_asked_changes_nothing(run_module, jre, store, monkeypatch):
    """It is read back before it replaces the store."""
    store_of(jre).write_bytes(content(store))
    monkeypatch.setattr(editor.jks_edit, "edit", lambda data, *_rest: data)
    monkeypatch.setattr(editor.pkcs12_edit, "edit", lambda data, *_rest: data)
    result = run_module("java_truststore", options(jre, certificates=[{"pem": pem("plain")}]))
    assert "1 entries too few and 0 too many" in result["msg"]
    assert store_of(jre).read_bytes() == content(store)


def test_a_store_of_absurd_size_is_refused(run_module, jre):
    with store_of(jre).open("wb") as file:
        file.truncate(reader.MAX_SIZE + 1)
    result = run_module("java_truststore", options(jre, certificates=[{"pem": pem("plain")}]))
    assert result["failed"]
    assert str(reader.MAX_SIZE) in result["msg"]


def test_a_change_by_someone_else_is_not_overwritten(run_module, jre, monkeypatch):
    """Another program may write the store during the run."""
    other = content("nopass.p12")
    apply_changes = editor.apply_changes

    def apply_slowly(*arguments):
        store_of(jre).write_bytes(other)
        return apply_changes(*arguments)

    monkeypatch.setattr(editor, "apply_changes", apply_slowly)
    result = run_module("java_truststore", options(jre, certificates=[{"pem": pem("plain")}]))
    assert "was changed by something else during the run" in result["msg"]
    assert store_of(jre).read_bytes() == other


@pytest.fixture
def server():
    """A TLS server with the test chain; yields its port and the names that clients asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(DATA / "chain.pem"), str(DATA / "leaf.key"))
    asked = []
    context.sni_callback = lambda _connection, name, _context: asked.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            try:
                while True:
                    connection, _peer = listener.accept()
                    with connection:
                        try:
                            context.wrap_socket(connection, server_side=True).close()
                        except OSError:
                            continue
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_the_chain_of_a_server(run_module, jre, server):
    """The server does not send its root; the store has it, so that there is nothing to do."""
    port, asked = server
    item = {"host": "127.0.0.1", "port": port, "server_name": "rtc.example", "sha256": fingerprint("issuing")}
    result = run_module("java_truststore", options(jre, certificates=[item]))
    assert (result.get("msg"), result["changed"], result["jvm_starts"]) == (None, False, 0)
    assert [one["alias"] for one in result["present"]] == ["root"]
    assert set(asked) == {"rtc.example"}


def test_the_chain_of_a_server_that_nobody_knows(run_module, jre, server):
    port, _names = server
    store_of(jre).write_bytes(jks_edit.write([], "changeit"))
    item = {"host": "127.0.0.1", "port": port}
    result = run_module("java_truststore", options(jre, certificates=[item]), check=True)
    assert [(one["sha256"], one["kind"]) for one in result["added"]] == [(fingerprint("issuing"), "intermediate")]
    exact = run_module("java_truststore", options(jre, certificates=[item], trust="exact"), check=True)
    assert [one["sha256"] for one in exact["added"]] == [fingerprint("leaf"), fingerprint("issuing")]


def test_a_server_that_is_not_the_expected_one(run_module, jre, server):
    port, _names = server
    item = {"host": "127.0.0.1", "port": port, "sha256": fingerprint("own")}
    result = run_module("java_truststore", options(jre, certificates=[item]))
    assert f"The chain of 127.0.0.1:{port}: none of its certificates has the SHA-256 fingerprint" in result["msg"]


def test_expiry_is_told(run_module, jre):
    items = [{"pem": pem("expired")}, {"pem": pem("future")}, {"pem": pem("small")}]
    result = run_module("java_truststore", options(jre, certificates=items), check=True)
    text = str(result["warnings"])  # texts, or structures with texts, as ansible-core has it
    assert "CN=Expired CA' expired on 2021-01-01 00:00 UTC." in text
    assert "CN=Future CA' is not yet valid" in text
    assert "RSA 1024" in text
    assert len(result["added"]) == 3


def test_the_order_of_the_items_does_not_matter(run_module, jre):
    store_of(jre).write_bytes(jks_edit.write([], "changeit"))
    items = [{"pem": pem("leaf", "issuing")}, {"pem": pem("root"), "alias": "company"}]
    for given in (items, items[::-1]):
        result = run_module("java_truststore", options(jre, certificates=given), check=True)
        assert [one["sha256"] for one in result["added"]] == [fingerprint("root")]


def test_a_new_store_is_made_of_another(run_module, jre, tmp_path):
    new = tmp_path / "own store"
    cacerts = str(jre / "lib" / "security" / "cacerts")
    arguments = {"path": str(new), "copy_from": cacerts, "certificates": [{"pem": pem("root")}], "password": "another"}
    preview = run_module("java_truststore", arguments, check=True, diff=True)
    assert not new.exists()
    result = run_module("java_truststore", arguments, diff=True)
    assert (result["changed"], result["jvm_starts"], result["store"]["entries"]) == (True, 0, 2)
    assert result == preview
    assert "a new trust store with the 2 certificates" in result["diff"]["after"]
    assert reader.read_file(str(new), "another").trusted() == reader.read(content("trust.jks"), None).trusted()
    assert run_module("java_truststore", arguments)["changed"] is False


def start_of(pid):
    """When a process was started, in seconds since the epoch."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    boot = next(
        line for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines() if line.startswith("btime")
    )
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def test_a_new_store_is_made_of_one_that_a_process_sees(run_module, jre, tmp_path):
    """As of a container; this process sees the host's files. Directories that are missing are made."""
    new = tmp_path / "new" / "confluence" / "cacerts"
    arguments = {
        "path": str(new),
        "copy_from": str(jre / "lib" / "security" / "cacerts"),
        "copy_process": {"pid": os.getpid(), "started": start_of(os.getpid())},
        "certificates": [{"pem": pem("root")}],
    }
    assert run_module("java_truststore", arguments, check=True)["changed"] is True
    assert not (tmp_path / "new").exists()
    assert run_module("java_truststore", arguments)["store"]["entries"] == 2
    assert new.stat().st_mode & 0o777 == 0o644  # the container's user reads it
    del arguments["copy_process"]
    assert run_module("java_truststore", arguments)["changed"] is False


@pytest.mark.parametrize(("pid", "age", "said"), [(0, -60, "another process"), (2**30, 0, "cannot be read")])
def test_another_process_by_the_same_number_is_not_read(run_module, jre, tmp_path, pid, age, said):
    cacerts = str(jre / "lib" / "security" / "cacerts")
    process = {"pid": pid or os.getpid(), "started": start_of(os.getpid()) + age}
    arguments = {
        "path": str(tmp_path / "own"),
        "copy_from": cacerts,
        "copy_process": process,
        "certificates": [{"pem": pem("root")}],
    }
    message = run_module("java_truststore", arguments)["msg"]
    assert said in message
    assert "run again" in message
    assert not (tmp_path / "own").exists()


def test_a_new_store_needs_the_password_of_the_copied_one(run_module, jre, tmp_path):
    arguments = {
        "path": str(tmp_path / "own"),
        "copy_from": str(jre / "lib" / "security" / "cacerts"),
        "copy_password": "wrong",
        "certificates": [{"pem": pem("root")}],
    }
    assert "The password does not open" in run_module("java_truststore", arguments)["msg"]
    assert not (tmp_path / "own").exists()


def test_a_new_store_begins_with_what_java_reads_without_a_password(run_module, jre, tmp_path):
    """Somebody gave the JRE's own store a password, which the JVM does not need."""
    cacerts = jre / "lib" / "security" / "cacerts"
    before = reader.read(cacerts.read_bytes(), "changeit")
    body = cacerts.read_bytes()[:-20]
    cacerts.write_bytes(body + jks.compute_digest(body, "another"))
    own = tmp_path / "own"
    arguments = {"path": str(own), "copy_from": str(cacerts), "certificates": [{"pem": pem("root")}]}
    assert run_module("java_truststore", arguments)["changed"]
    trusted = set(reader.read(own.read_bytes(), "changeit").trusted())
    assert set(before.trusted()) <= trusted
    assert not run_module("java_truststore", arguments)["changed"]


def events(arguments, last):
    """Run the module in a child that kills itself at its ``last``-th audited event; returns whether it got that far."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        from ansible.module_utils.testing import patch_module_args

        from ansible_collections.collab.rtc.plugins.modules import java_truststore

        count = 0

        def hook(name, _arguments):
            nonlocal count
            if name.startswith(("open", "os.", "shutil.", "tempfile.", "subprocess.")):
                count += 1
                if count == last:
                    os.kill(os.getpid(), signal.SIGKILL)

        with patch_module_args(arguments):
            sys.addaudithook(hook)
            try:
                java_truststore.main()
            finally:
                os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_store(run_module, jre):
    """Every file that is opened, renamed, changed or removed during a run is a moment to be killed at."""
    arguments = options(jre, state="absent", certificates=[{"alias": "root"}])
    old = content("trust.jks")
    seen = set()
    moment = 0
    while True:
        moment += 1
        store_of(jre).write_bytes(old)
        killed = events(arguments, moment)
        after = store_of(jre).read_bytes()
        seen.add(len(after))
        if after != old:
            assert set(reader.read(after, "changeit").entries) == {"größe"}
        result = run_module("java_truststore", arguments)  # a run after it converges
        assert result["changed"] is (after == old)
        assert set(reader.read(store_of(jre).read_bytes(), "changeit").entries) == {"größe"}
        if not killed:
            break
    print(f"killed at {moment - 1} moments")
    assert len(seen) == 2  # moments before and after the change were among them
    assert moment > 5
