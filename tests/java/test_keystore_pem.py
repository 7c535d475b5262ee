# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""keystore_pem with key stores that the keytool of each JRE of this machine makes."""

from __future__ import annotations

import os
import ssl

import pytest


@pytest.fixture
def app(jre, tmp_path):
    """A server.xml that names a key store which this JRE makes; returns the module's options for it."""
    conf = tmp_path / "app" / "conf"
    conf.mkdir(parents=True)
    (conf / "server.xml").write_text(
        '<Server><Service name="Catalina">'
        '<Connector port="8443" SSLEnabled="true" keystoreFile="conf/store" keyAlias="tomcat"/></Service></Server>',
        encoding="ascii",
    )
    jre.store = conf / "store"
    return {
        "server_xml": str(conf / "server.xml"),
        "key_dest": str(tmp_path / "tls.key"),
        "chain_dest": str(tmp_path / "tls.crt"),
        "jre_home": str(jre.home),
        "server_name": "rtc.example",
    }


def new_key(jre, kind, alias="tomcat", algorithm=("RSA", "2048")):
    jre.keytool(
        "-genkeypair",
        "-alias",
        alias,
        "-keyalg",
        algorithm[0],
        "-keysize",
        algorithm[1],
        "-dname",
        "CN=rtc.example, O=Example",
        "-ext",
        "san=dns:rtc.example",
        "-keystore",
        str(jre.store),
        "-storetype",
        kind,
        "-storepass:env",
        "RTC",
        "-keypass:env",
        "RTC",
    )


def new_secret_key(jre, kind="JCEKS"):
    """In JCEKS it makes the store one that only Java reads."""
    arguments = ("-alias", "secret", "-keyalg", "AES", "-keysize", "256", "-storetype", kind, "-storepass:env", "RTC")
    jre.keytool("-genseckey", "-keystore", str(jre.store), *arguments, "-keypass:env", "RTC")


def loads(options):
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options["chain_dest"], options["key_dest"])


@pytest.mark.parametrize("kind", ["JKS", "JCEKS", "PKCS12"])
@pytest.mark.parametrize("algorithm", [("RSA", "2048"), ("EC", "256")])
def test_every_store_of_this_jre_is_read_without_it(run_module, jre, app, kind, algorithm):
    new_key(jre, kind, algorithm=algorithm)
    result = run_module("keystore_pem", app)
    assert (result.get("msg"), result["changed"], result["jvm_starts"], jre.starts()) == (None, True, 0, [])
    loads(app)
    assert run_module("keystore_pem", app)["changed"] is False


def test_a_secret_key_in_pkcs12_needs_no_java(run_module, jre, app):
    new_key(jre, "PKCS12")
    new_secret_key(jre, "PKCS12")
    result = run_module("keystore_pem", app)
    assert (result.get("msg"), result["changed"], result["jvm_starts"], jre.starts()) == (None, True, 0, [])
    loads(app)


def test_a_store_that_only_java_reads_is_converted_once(run_module, jre, app):
    new_key(jre, "JCEKS")
    new_secret_key(jre)
    first = run_module("keystore_pem", app)
    assert (first.get("msg"), first["changed"], first["jvm_starts"], len(jre.starts())) == (None, True, 1, 1)
    assert "changeit" not in jre.starts()[0]
    loads(app)
    again = run_module("keystore_pem", app)
    assert (again["changed"], again["jvm_starts"], len(jre.starts())) == (False, 0, 1)

    options = ("-keystore", str(jre.store), "-storetype", "JCEKS", "-storepass:env", "RTC")
    jre.keytool("-delete", "-alias", "tomcat", *options)
    new_key(jre, "JCEKS")
    renewed = run_module("keystore_pem", app)
    assert (renewed["changed"], renewed["jvm_starts"], len(jre.starts())) == (True, 1, 2)
    assert renewed["chain"] != first["chain"]
    loads(app)


def test_whom_keytool_runs_as(run_module, jre, app):
    """Not as root, though the JRE is root's alone: what it reads may be made to harm it."""
    new_key(jre, "JCEKS")
    new_secret_key(jre)
    wrapper = jre.home / "bin" / "keytool"

    lines = wrapper.read_text(encoding="utf-8").splitlines()
    lines[1:1] = [f"(id -u; env; cat /proc/self/status) >> {jre.log}"]
    wrapper.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert run_module("keystore_pem", app).get("msg") is None
    said = jre.starts()
    if os.geteuid() == 0:
        assert said[0] not in ("0", "65534")
    assert "NoNewPrivs:\t1" in said
    assert not any("changeit" in line for line in said)
    loads(app)


def test_the_jre_of_somebody_else_is_not_given_the_key(run_module, jre, app):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to somebody else")
    new_key(jre, "JCEKS")
    new_secret_key(jre)
    os.chown(jre.home / "bin" / "keytool", 4711, 0)
    result = run_module("keystore_pem", app)
    assert "can be changed by user 4711" in result["msg"]
    assert jre.starts() == []


def test_a_wrong_alias_in_a_store_that_only_java_reads(run_module, jre, app):
    new_key(jre, "JCEKS")
    new_secret_key(jre)
    result = run_module("keystore_pem", dict(app, alias="other"))
    assert result["failed"]
    assert "other" in result["msg"]
