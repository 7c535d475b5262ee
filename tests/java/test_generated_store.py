# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cacerts that update-ca-trust generates: with p11-kit, the lab's update-ca-trust, and Java's own keytool."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._detect import jre as detected
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._keystore import anchors, reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.anchor_name import name_anchor
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate
from ansible_collections.collab.rtc.tests.unit import module_runner, paths

DATA = paths.DATA / "truststore"
IMAGE = paths.DATA.parents[1] / "hosts" / "images" / "redhat"
MODULE = "/usr/share/p11-kit/modules/p11-kit-trust.module"

pytestmark = [
    pytest.mark.skipif(not shutil.which("trust") or not os.path.exists(MODULE), reason="p11-kit is not installed"),
    pytest.mark.skipif(
        os.geteuid() != 0, reason="needs root: p11-kit's configuration is exchanged in a mount namespace"
    ),
]


def print_of(name):
    return certificate.parse_certificates((DATA / f"{name}.pem").read_bytes(), name)[0].fingerprint


class System:
    """RHEL's authorities and a JRE that leads to what is generated of them, below a directory."""

    def __init__(self, root, store):
        self.root, self.home, self.store = root, root / "jre", Path(store)
        self.anchors = root / "ca-trust" / "source" / "anchors"
        for path in (self.anchors, root / "share" / "anchors", self.home / "lib" / "security", root / "java"):
            path.mkdir(parents=True)
        for name in ("java", "pem"):
            (root / "ca-trust" / "extracted" / name).mkdir(parents=True)
        shutil.copy(DATA / "root.pem", root / "share" / "anchors")
        (root / "java" / "cacerts").symlink_to(self.store)
        (self.home / "lib" / "security" / "cacerts").symlink_to(root / "java" / "cacerts")
        for name in ("update-ca-trust", "trust.module"):
            text = (IMAGE / name).read_text().replace("/etc/pki/ca-trust", str(root / "ca-trust"))
            (root / name).write_text(text.replace("/usr/share/pki/ca-trust-source", str(root / "share")))
        self.script = root / "run"
        self.script.write_text(f"mount --bind {root}/trust.module {MODULE} && sh {root}/update-ca-trust\n")
        self.command = ("unshare", "-m", "sh", str(self.script))
        self.update()

    def update(self):
        """What a package update does."""
        subprocess.run(self.command, check=True)

    def trusted(self):
        return set(reader.read_file(str(self.store), "changeit").trusted())

    def import_by_keytool(self, name):
        self.store.chmod(0o644)
        arguments = ["-importcert", "-noprompt", "-alias", name, "-file", str(DATA / f"{name}.pem")]
        store = ["-keystore", str(self.store), "-storepass", "changeit"]
        subprocess.run(["keytool", *arguments, *store], check=True, capture_output=True)

    def own_anchors(self):
        return sorted(path.name for path in self.anchors.iterdir())


@pytest.fixture
def system(tmp_path, monkeypatch):
    store = tmp_path / "ca-trust" / "extracted" / "java" / "cacerts"
    made = System(tmp_path, store)
    source = anchors.Source(made.command, str(made.anchors), str(tmp_path / "ca-trust/extracted/pem/tls-ca-bundle.pem"))
    monkeypatch.setattr(anchors, "SOURCES", {str(store): source})
    return made


@pytest.fixture
def run_module(capsys, monkeypatch):
    return module_runner.make_run_module(capsys, monkeypatch)


def wanted(system, **more):
    return dict({"jre_home": str(system.home), "certificates": [{"src": str(DATA / "plain.pem")}]}, **more)


def test_what_keytool_imports_is_lost(system):
    system.import_by_keytool("plain")
    assert print_of("plain") in system.trusted()
    system.update()
    assert system.trusted() == {print_of("root")}


def test_the_authority_becomes_an_anchor_and_stays(system, run_module, tmp_path):
    preview = run_module("java_truststore", wanted(system), check=True, diff=True)
    assert (preview["changed"], system.own_anchors(), system.trusted()) == (True, [], {print_of("root")})
    result = run_module("java_truststore", wanted(system), diff=True)
    assert result == preview
    assert [one["sha256"] for one in result["added"]] == [print_of("plain")]
    assert system.own_anchors() == [name_anchor(print_of("plain"))]
    system.update()
    assert system.trusted() == {print_of("root"), print_of("plain")}
    assert run_module("java_truststore", wanted(system))["changed"] is False

    gone = wanted(system, state="absent", certificates=[{"sha256": print_of("plain")}])
    assert run_module("java_truststore", gone)["changed"] is True
    assert (system.own_anchors(), system.trusted()) == ([], {print_of("root")})
    assert run_module("java_truststore", gone)["changed"] is False


def test_undo_takes_the_anchor_away_and_generates_again(system, run_module, tmp_path):
    records = tmp_path / "lib" / "undo"
    undo_dir = str(records / "20260101T000000Z-aaaa")
    run_module("java_truststore", wanted(system, undo_dir=undo_dir))
    result = run_module("rtc_undo", {"path": str(records)})
    assert str(system.store) in result["paths"]  # so that who reads the store is restarted
    assert (system.own_anchors(), system.trusted()) == ([], {print_of("root")})


@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_the_system_trusts_by_itself_is_left_alone(system, run_module, state):
    shutil.copy(DATA / "plain.pem", system.anchors / "by-hand.pem")
    system.update()
    arguments = wanted(
        system, state=state, certificates=[{"src": str(DATA / name)} for name in ("plain.pem", "root.pem")]
    )
    assert run_module("java_truststore", arguments)["changed"] is False
    assert (system.own_anchors(), system.trusted()) == (["by-hand.pem"], {print_of("root"), print_of("plain")})


def test_what_others_wrote_into_the_store_is_not_lost(system, run_module):
    system.import_by_keytool("small")
    before = system.store.read_bytes()
    found = detected.trust_store(RootFs("/"), str(system.home), {}, "/")
    assert (found.real_path, found.strays) == (str(system.store), {"small": print_of("small")})
    refused = run_module("java_truststore", wanted(system))
    assert "small: written into a trust store that unshare generates" in refused["msg"]
    assert (system.store.read_bytes(), system.own_anchors()) == (before, [])


def test_what_was_imported_before_becomes_an_anchor(system, run_module, monkeypatch):
    source = dict(anchors.SOURCES)
    monkeypatch.setattr(anchors, "SOURCES", {})  # as earlier versions did it
    system.store.chmod(0o644)
    run_module("java_truststore", wanted(system))
    monkeypatch.setattr(anchors, "SOURCES", source)
    assert run_module("java_truststore", wanted(system))["changed"] is True
    system.update()
    assert system.trusted() == {print_of("root"), print_of("plain")}


def test_a_certificate_that_the_system_distrusts_leaves_nothing_behind(system, run_module):
    (system.anchors.parent / "blocklist").mkdir()
    shutil.copy(DATA / "plain.pem", system.anchors.parent / "blocklist")
    failed = run_module("java_truststore", wanted(system))
    assert "the system distrusts it" in failed["msg"]
    assert (system.own_anchors(), system.trusted()) == ([], {print_of("root")})


def test_a_command_that_fails_leaves_nothing_behind(system, run_module):
    system.script.write_text("echo out of order; exit 3\n")
    failed = run_module("java_truststore", wanted(system))
    assert "out of order" in failed["msg"]
    assert system.own_anchors() == []
