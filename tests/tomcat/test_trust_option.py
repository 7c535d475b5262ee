# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A trust store of its own, named in setenv.sh: what a web application of a real Tomcat trusts."""

from __future__ import annotations

import contextlib
import http.client
import os
import pathlib
import shutil
import subprocess
import time
import urllib.parse

import pytest

from ansible_collections.collab.rtc.tests.unit import paths
from ansible_collections.collab.rtc.tests.unit.servers import Authority, Server, answering, server_context, unused_port
from ansible_collections.collab.rtc.tests.unit.servers import http as answer

DATA = paths.DATA
START = 180  # seconds that Tomcat may take at most
SERVER_XML = """<Server port="-1"><Service name="S">
  <Connector port="{port}" address="127.0.0.1"/>
  <Engine name="E" defaultHost="h"><Host name="h" appBase="webapps"/></Engine>
</Service></Server>
"""
JSP = """<%@ page trimDirectiveWhitespaces="true" import="java.net.*, java.security.KeyStore, javax.net.ssl.*" %><%
  TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
  factory.init((KeyStore) null);
  String said;
  try {
    said = "status " + ((HttpURLConnection) new URL(request.getParameter("url")).openConnection()).getResponseCode();
  } catch (SSLException refused) {
    said = "refused " + refused.getMessage();
  }
  out.print(((X509TrustManager) factory.getTrustManagers()[0]).getAcceptedIssuers().length + " " + said);
%>
"""


def own_jre(home, target):
    """A runtime whose cacerts can be replaced; all else is shared with the one in the cache where that is possible."""

    def link(source, copy):
        try:
            os.link(source, copy)
        except OSError:
            shutil.copy2(source, copy)

    shutil.copytree(home, target, copy_function=link)
    cacerts = target / "lib" / "security" / "cacerts"
    replace(cacerts, cacerts.read_bytes())
    return cacerts


def replace(path, data):
    """Put a new file in its place, as an upgrade does; never write into one that is shared."""
    path.unlink()
    path.write_bytes(data)


def started(tomcat, url):
    """Start Tomcat, let its web application fetch a URL, stop it; returns (number of authorities, what came of it)."""
    port = unused_port()
    tomcat.server_xml.write_text(SERVER_XML.format(port=port), encoding="ascii")
    environment = {
        "PATH": os.environ["PATH"],
        "JRE_HOME": tomcat.java_home,
        "CATALINA_HOME": str(tomcat.home),
        "CATALINA_BASE": str(tomcat.base),
    }
    command = ["sh", str(tomcat.home / "bin" / "catalina.sh"), "run"]
    log = tomcat.base / "logs" / "out"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=environment, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        number, _space, said = fetched(process, port, url, log).partition(" ")
        return int(number), said
    finally:
        process.terminate()
        process.wait(60)


def fetched(process, port, url, log):
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START)
            connection.request("GET", "/fetch.jsp?url=" + urllib.parse.quote(url, safe=""))
            response = connection.getresponse()
            body = response.read().decode()
            assert response.status == 200, body
            return body
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace"))


# What cacerts is: the JRE's own, or a PKCS#12 store with a password. One Java is enough for that: it differs in what is
# made of it.
CASES = [
    ("11", "8.5.100", "its own"),
    ("17", "9.0.98", "its own"),
    ("17", "9.0.98", "aes.p12"),
    ("21", "11.0.2", "its own"),
]


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_named_store_outlives_the_cacerts_of_the_jre(run_module, install_tomcat, tmp_path, case):
    *java_and_tomcat, original = case
    tomcat = install_tomcat(*java_and_tomcat, tmp_path)
    cacerts = own_jre(pathlib.Path(tomcat.java_home), tmp_path / "jre")
    tomcat.java_home = str(tmp_path / "jre")
    if original != "its own":
        replace(cacerts, (DATA / "truststore" / original).read_bytes())
    application = tomcat.base / "webapps" / "ROOT"
    application.mkdir()
    (application / "fetch.jsp").write_text(JSP, encoding="ascii")
    setenv = tomcat.base / "bin" / "setenv.sh"
    setenv.parent.mkdir()
    setenv.write_text(
        "CATALINA_OPTS=\"-Dour.own='a  b' ${CATALINA_OPTS}\"\nexport CATALINA_OPTS", encoding="ascii"
    )  # no final newline
    old = setenv.read_bytes()
    store = tmp_path / "a store of its own"
    root = Authority("The company's root")
    with Server(answering(answer("200 OK")), server_context(tmp_path, root.leaf("127.0.0.1"))) as server:
        url = f"https://127.0.0.1:{server.port}/"
        before, said = started(tomcat, url)
        assert said.startswith("refused ")
        # Java opens its own cacerts without a password, too: of one that has a password it sees nothing.
        assert ("unable to find valid certification path" in said, before > 0) == (
            (True, True) if original == "its own" else (False, False)
        )

        options = {"path": str(store), "copy_from": str(cacerts), "jre_home": tomcat.java_home}
        made = run_module("java_truststore", {**options, "certificates": [{"pem": root.pem}]})
        options = {"path": str(setenv), "truststore": str(store), "instead_of": str(cacerts)}
        named = run_module("jvm_truststore_option", options)
        assert (made["changed"], named["changed"]) == (True, True), (made, named)
        assert "warnings" not in named

        # The upgrade: the JRE comes with other authorities, and without ours.
        replace(cacerts, (DATA / "truststore" / "trust.jks").read_bytes())
        if original == "its own":
            assert made["store"]["entries"] == before + 1
        assert started(tomcat, url) == (made["store"]["entries"], "status 200")

        assert run_module("jvm_truststore_option", {"path": str(setenv), "state": "absent"})["changed"]
        assert setenv.read_bytes() == old
        assert started(tomcat, url)[1].startswith("refused ")
