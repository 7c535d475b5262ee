# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pwd
import ssl
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "truststore"
FORMS = {
    "attributes": 'keystoreFile="{data}/key.jks" keystorePass="${{pw}}" keyAlias="Tomcat" keyPass="key secret" />',
    "pkcs12": 'keystoreFile="{data}/key.p12" keystorePass="changeit" keystoreType="PKCS12"/>',
    "host": '><SSLHostConfig><Certificate certificateKeystoreFile="{data}/key.jceks" '
    'certificateKeystorePassword="${{catalina.pw}}" certificateKeyPassword="key secret"/></SSLHostConfig></Connector>',
    "pem": '><SSLHostConfig><Certificate certificateFile="{data}/leaf.pem" certificateKeyFile="{data}/leaf.key" '
    'certificateChainFile="{data}/issuing.pem"/></SSLHostConfig></Connector>',
}


@pytest.fixture
def app(tmp_path):
    """An application whose server.xml can be set to one of the forms, and the options of the module for it."""

    class App:
        conf = tmp_path / "app" / "conf"
        key, chain = tmp_path / "tls.key", tmp_path / "tls.crt"

        def __init__(self):
            self.options = {
                "server_xml": str(self.conf / "server.xml"), "server_name": "rtc.example", "key_dest": str(self.key),
                "chain_dest": str(self.chain), "properties": {"pw": "changeit", "db.password": "tiger"},
            }  # fmt: skip

        def set(self, form):
            tls = '<Connector port="8443" SSLEnabled="true" ' + FORMS[form].format(data=DATA)
            text = (
                f'<Server port="8005"><Service name="Catalina">\n<Connector port="8090"/>\n{tls}\n</Service></Server>'
            )
            (self.conf / "server.xml").write_text(text, encoding="utf-8")

    App.conf.mkdir(parents=True)
    (App.conf / "catalina.properties").write_text("catalina.pw=changeit\n", encoding="ascii")
    return App()


def hidden(result):
    text = str(result)
    return "PRIVATE KEY" not in text and "key secret" not in text and "tiger" not in text and "changeit" not in text


@pytest.mark.parametrize("form", FORMS)
def test_writes_a_pair_that_a_server_can_use(run_module, app, form):
    app.set(form)
    preview = run_module("keystore_pem", app.options, check=True, diff=True)
    assert not app.key.exists()
    assert not app.chain.exists()
    result = run_module("keystore_pem", app.options, diff=True)
    assert result == preview
    assert (result["changed"], result["jvm_starts"], result["source"]["line"]) == (True, 0, 3)
    assert [one["subject"].rpartition("CN=")[2] for one in result["chain"]] == ["rtc.example", "Example Issuing CA"]
    assert hidden(result)
    assert "is not for rtc.example" not in str(result)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(str(app.chain), str(app.key))
    assert (app.key.stat().st_mode & 0o777, app.chain.stat().st_mode & 0o777) == (0o600, 0o644)
    before = app.key.stat().st_mtime_ns, app.chain.stat().st_mtime_ns
    again = run_module("keystore_pem", app.options, diff=True)
    assert (again["changed"], again["diff"]) == (False, [])
    assert (app.key.stat().st_mtime_ns, app.chain.stat().st_mtime_ns) == before


def test_values_come_from_the_file_that_catalina_config_names(run_module, app, tmp_path):
    app.set("host")
    (app.conf / "catalina.properties").write_text("catalina.pw=wrong\n", encoding="ascii")
    (tmp_path / "my app.properties").write_text("catalina.pw = \\\n  change\\u0069t\n", encoding="ascii")
    app.options["properties"]["catalina.config"] = f"file://{tmp_path}/my%20app.properties"
    result = run_module("keystore_pem", app.options)
    assert result["changed"]
    assert hidden(result)


def test_a_secret_is_read_where_the_plan_saw_it(run_module, app, tmp_path):
    app.set("attributes")
    del app.options["properties"]["pw"]
    script = tmp_path / "setenv.sh"
    script.write_text('#!/bin/sh\nJAVA_OPTS="-Dpw=changeit $JAVA_OPTS"\n', encoding="ascii")
    source = {"name": "pw", "file": str(script), "line": 2, "before": "-Dpw="}
    app.options["property_sources"] = [source]
    result = run_module("keystore_pem", app.options)
    assert result["changed"]
    assert hidden(result)
    for changed in ('#!/bin/sh\n\nJAVA_OPTS="-Dpw=changeit"\n', "#!/bin/sh\n# -Dpw=changeit\n", "#!/bin/sh\n"):
        script.write_text(changed, encoding="ascii")
        failed = run_module("keystore_pem", app.options)
        assert failed["failed"]
        assert f"{script}, line 2: pw is not set here any more. It changed since the plan" in failed["msg"]
        assert hidden(failed)


UNNAMED = {
    "connector": 'keystorePass="changeit" keystoreType="PKCS12"/>',
    "host": '><SSLHostConfig><Certificate certificateKeystorePassword="changeit"/></SSLHostConfig></Connector>',
}


@pytest.mark.parametrize("form", UNNAMED)
def test_the_store_of_the_user_is_read_where_none_is_named(run_module, app, tmp_path, monkeypatch, form):
    monkeypatch.setitem(FORMS, "unnamed", UNNAMED[form])
    app.set("unnamed")
    (tmp_path / ".keystore").write_bytes((DATA / "key.p12").read_bytes())
    app.options["properties"]["user.home"] = str(tmp_path)
    result = run_module("keystore_pem", app.options)
    assert result["source"]["path"] == str(tmp_path / ".keystore")
    assert hidden(result)


def test_another_form_of_the_same_key_changes_nothing(run_module, app):
    app.set("pkcs12")
    run_module("keystore_pem", app.options)
    app.set("attributes")
    assert run_module("keystore_pem", app.options)["changed"] is False


def test_one_file_for_both(run_module, app):
    app.set("pkcs12")
    options = dict(app.options, chain_dest=str(app.key))
    assert run_module("keystore_pem", options)["changed"]
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(str(app.key))
    assert app.key.stat().st_mode & 0o777 == 0o600
    assert run_module("keystore_pem", options)["changed"] is False


def test_a_new_key_is_told_without_showing_it(run_module, app, tmp_path):
    app.set("pem")
    app.key.write_text((DATA / "own.key").read_text(encoding="ascii"), encoding="ascii")
    app.chain.write_text((DATA / "own.pem").read_text(encoding="ascii"), encoding="ascii")
    app.key.chmod(0o600), app.chain.chmod(0o644)
    result = run_module("keystore_pem", dict(app.options, backup=True, undo_dir=str(tmp_path / "undo")), diff=True)
    chain, key = result["diff"]
    assert "CN=own.example" in chain["before"]
    assert "CN=rtc.example" in chain["after"]
    assert key["before"].startswith("private key: ")
    assert key["before"] != key["after"]
    assert hidden(result)
    kept = [Path(path).read_text(encoding="ascii") for path in result["backup_files"]]
    assert kept == [(DATA / name).read_text(encoding="ascii") for name in ("own.pem", "own.key")]
    assert (tmp_path / "undo" / "manifest.jsonl").exists()


def test_an_old_key_is_recorded_only_where_undoing_needs_it(run_module, app, tmp_path):
    """What a run of ours made is a copy of the key store's: undone as a whole, and never exchanged for an older pair."""
    undo = tmp_path / "undo"
    for number, form in enumerate(("pem", "own")):
        app.set("pem")
        if form == "own":
            path = app.conf / "server.xml"
            path.write_text(
                path.read_text().replace("leaf.", "own.").replace(f'certificateChainFile="{DATA}/issuing.pem"', "")
            )
        options = dict(app.options, undo_dir=str(undo / f"2026010{number + 1}T000000Z-aaaa"))
        assert run_module("keystore_pem", options)["changed"]
    assert os.listdir(undo) == ["20260101T000000Z-aaaa"]
    record = str(undo / "20260101T000000Z-aaaa")
    assert [entry["kind"] for entry in records.entries(record)] == ["missing", "missing"]
    assert (undo / "20260101T000000Z-aaaa").stat().st_mode & 0o777 == 0o700
    restore.restore(record)
    assert not app.key.exists()


def test_an_old_key_of_others_is_recorded_for_root_alone(run_module, app, tmp_path):
    app.set("pem")
    app.key.write_text((DATA / "own.key").read_text(encoding="ascii"), encoding="ascii")
    app.key.chmod(0o600)
    undo = tmp_path / "undo/20260101T000000Z-aaaa"
    run_module("keystore_pem", dict(app.options, undo_dir=str(undo)))
    (copy,) = [entry["copy"] for entry in records.entries(str(undo)) if entry["kind"] == "file"]
    assert "PRIVATE KEY" in (undo / copy).read_text(encoding="ascii")
    assert [path.stat().st_mode & 0o777 for path in (undo, undo / copy)] == [0o700, 0o600]


def test_access_that_is_too_wide_is_mended(run_module, app):
    app.set("pem")
    run_module("keystore_pem", app.options)
    app.key.chmod(0o644)
    preview = run_module("keystore_pem", app.options, check=True, diff=True)
    assert preview["changed"]
    assert preview["diff"][0]["before"].startswith("mode: 0644\n")
    assert app.key.stat().st_mode & 0o777 == 0o644
    assert run_module("keystore_pem", app.options)["changed"]
    assert app.key.stat().st_mode & 0o777 == 0o600
    assert run_module("keystore_pem", app.options)["changed"] is False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner(run_module, app):
    app.set("pem")
    user = pwd.getpwnam("nobody")
    assert run_module("keystore_pem", dict(app.options, owner="nobody", group=str(user.pw_gid)))["changed"]
    assert (app.key.stat().st_uid, app.key.stat().st_gid) == (user.pw_uid, user.pw_gid)
    assert run_module("keystore_pem", dict(app.options, owner=str(user.pw_uid)))["changed"] is False


def test_a_certificate_for_another_name(run_module, app):
    app.set("pem")
    result = run_module("keystore_pem", dict(app.options, server_name="wiki.example"))
    assert "is not for wiki.example" in str(result["warnings"])


@pytest.mark.parametrize(
    ("form", "more", "reason"),
    [
        ("attributes", {"properties": {"pw": "geheim"}}, "The password does not open"),
        ("attributes", {"properties": {}}, "line 3: keystorePass names ${pw}, which is unknown"),
        ("attributes", {"alias": "other"}, "the alias 'other' is not there. Keys in the store: 'tomcat'"),
        ("pem", {"connector_port": 8090}, "line 2: this connector does not end TLS"),
        ("pem", {"connector_port": 1}, "no live HTTP connector on port 1"),
        ("pem", {"owner": "no such user"}, "There is no user no such user"),
        ("pem", {"server_xml": "/nonexistent/server.xml"}, "/nonexistent/server.xml cannot be read"),
        ("pem", {"key_dest": "/nonexistent/tls.key"}, "/nonexistent cannot be written"),
    ],
)
def test_refusals(run_module, app, form, more, reason):
    app.set(form)
    result = run_module("keystore_pem", dict(app.options, **more))
    assert result["failed"]
    assert reason in result["msg"]
    assert "geheim" not in str(result["msg"])
    assert not app.key.exists()


def test_the_certificates_are_those_of_the_store(run_module, app):
    app.set("host")
    result = run_module("keystore_pem", app.options)
    expected = [
        certificate.parse_certificates((DATA / name).read_bytes(), name)[0].fingerprint
        for name in ("leaf.pem", "issuing.pem")
    ]
    assert [one["sha256"] for one in result["chain"]] == expected
    assert [one.fingerprint for one in certificate.parse_certificates(app.chain.read_bytes(), "chain")] == expected
