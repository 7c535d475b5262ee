# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module jvm_truststore_option on real files in a temporary directory."""

from __future__ import annotations

import pathlib
import stat

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._undo import restore
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA
MODULE = "jvm_truststore_option"
OLD = b"# \xfc: Latin-1\nCATALINA_OPTS='-Ddb.password=s3cret'\nA=1"


@pytest.fixture
def place(tmp_path):
    """A script and a trust store; returns the module's arguments and the script."""
    script, store = tmp_path / "setenv.sh", tmp_path / "store"
    script.write_bytes(OLD)
    script.chmod(0o750)
    store.write_bytes((DATA / "truststore" / "trust.jks").read_bytes())
    return {"path": str(script), "truststore": str(store)}, script


def test_the_option_is_added_and_removed(run_module, place):
    arguments, script = place
    result = run_module(MODULE, arguments, diff=True)
    assert (result["changed"], result["option"]) == (True, f"-Djavax.net.ssl.trustStore={arguments['truststore']}")
    new = script.read_bytes()
    assert new.startswith(OLD + b"\n# BEGIN collab.rtc")
    assert result["option"].encode() in new
    assert stat.S_IMODE(script.stat().st_mode) == 0o750
    assert result["diff"]["before"] == ""
    assert result["option"] in result["diff"]["after"]
    assert "s3cret" not in str(result)
    inode = script.stat().st_ino
    assert run_module(MODULE, arguments)["changed"] is False
    assert script.stat().st_ino == inode
    gone = run_module(MODULE, {"path": arguments["path"], "state": "absent"}, diff=True)
    assert (gone["changed"], gone["option"], gone["diff"]["after"]) == (True, "", "")
    assert script.read_bytes() == OLD
    assert run_module(MODULE, {"path": arguments["path"], "state": "absent"})["changed"] is False


def test_check_mode_says_the_same_and_writes_nothing(run_module, place, tmp_path):
    arguments, script = place
    arguments.update(backup=True, undo_dir=str(tmp_path / "undo"))
    checked = run_module(MODULE, arguments, check=True, diff=True)
    assert script.read_bytes() == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["setenv.sh", "store"]
    done = run_module(MODULE, arguments, diff=True)
    copy = pathlib.Path(done.pop("backup_file"))
    assert copy.read_bytes() == OLD
    assert {**checked, "invocation": None} == {**done, "invocation": None}
    restore.restore(str(tmp_path / "undo"))
    assert script.read_bytes() == OLD


def test_a_link_stays_a_link(run_module, place, tmp_path):
    arguments, script = place
    script.rename(tmp_path / "real.sh")
    script.symlink_to("real.sh")
    assert run_module(MODULE, arguments)["changed"]
    assert script.is_symlink()
    assert b"# END collab.rtc" in (tmp_path / "real.sh").read_bytes()


def test_a_store_that_java_sees_nothing_of_is_refused(run_module, place):
    arguments, script = place
    store = pathlib.Path(arguments["truststore"])
    store.write_bytes((DATA / "truststore" / "aes.p12").read_bytes())
    result = run_module(MODULE, arguments)
    assert result["failed"]
    assert "a PKCS#12 store with a password" in result["msg"]
    assert script.read_bytes() == OLD
    script.write_bytes(b"CATALINA_OPTS=-Djavax.net.ssl.trustStorePassword=changeit\n")
    assert run_module(MODULE, arguments)["changed"]


@pytest.mark.parametrize("name", ["trust.jks", "nopass.p12"])
def test_a_store_that_java_opens_as_it_is_is_taken(run_module, place, name):
    arguments, _script = place
    pathlib.Path(arguments["truststore"]).write_bytes((DATA / "truststore" / name).read_bytes())
    assert run_module(MODULE, arguments)["changed"]


def test_a_store_that_is_missing_is_refused_outside_of_check_mode(run_module, place):
    arguments, script = place
    pathlib.Path(arguments["truststore"]).unlink()
    assert run_module(MODULE, arguments, check=True)["changed"]
    result = run_module(MODULE, arguments)
    assert "cannot be read" in result["msg"]
    assert script.read_bytes() == OLD


def test_authorities_that_are_lost_are_told(run_module, place, tmp_path):
    arguments, _script = place
    big = tmp_path / "cacerts"
    big.write_bytes(pathlib.Path(arguments["truststore"]).read_bytes())
    arguments["instead_of"] = str(big)
    assert "warnings" not in run_module(MODULE, arguments)
    result = run_module(
        "java_truststore", {"path": arguments["truststore"], "state": "absent", "certificates": [{"alias": "root"}]}
    )
    assert result["changed"]
    (warning,) = run_module(MODULE, arguments)["warnings"]
    assert f"1 authorities of {big}" in str(warning)


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"exit 0\n", "ends with 'exit 0'"), (b"JAVA_OPTS=-Djavax.net.ssl.trustStore=/x\n", "is set already, to /x")],
)
def test_a_refusal_leaves_the_script_as_it_is(run_module, place, text, message):
    arguments, script = place
    script.write_bytes(text)
    result = run_module(MODULE, arguments)
    assert result["failed"]
    assert message in result["msg"]
    assert script.read_bytes() == text
    missing = run_module(MODULE, {**arguments, "path": arguments["path"] + ".none"})
    assert "cannot be read" in missing["msg"]
