# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real Tomcat makes of server.xml (A1, A2, A6, A7, A10, A11) and which trust store its JVM uses (A8).

Many inputs are one start: each has a connector of its own, with a loopback address that tells it apart.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from judges.world import Row, World, copy_libraries

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import host_names
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import load_inventory
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput
from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import JIRA, jks
from ansible_collections.collab.rtc.tests.unit.servers import self_signed

JRE, SITE = "/opt/java", "/srv/site"
GIVEN = {"rtc_protocol": "HTTPS", "rtc_proxy": "none", "rtc_server_name": "jira.example.com"}
NOTHING = "does not listen"
SOURCE = "org.apache.tomcat.util.digester."
PAGE = """<%@ page trimDirectiveWhitespaces="true" contentType="text/plain"
  import="java.net.*,java.security.*,java.util.*,javax.net.ssl.*" %><%
  String url = request.getRequestURL().toString(), host;
  try {
    host = String.valueOf(new URI(url).getHost());
  } catch (URISyntaxException wrong) {
    host = "none";
  }
  TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
  factory.init((KeyStore) null);
  TreeSet<String> trusted = new TreeSet<>();
  for (java.security.cert.X509Certificate one : ((X509TrustManager) factory.getTrustManagers()[0]).getAcceptedIssuers()) {
    StringBuilder hex = new StringBuilder();
    for (byte b : MessageDigest.getInstance("SHA-256").digest(one.getEncoded())) hex.append(String.format("%02x", b));
    trusted.add(hex.toString());
  }
  out.println("name=" + request.getServerName());
  out.println("port=" + request.getServerPort());
  out.println("scheme=" + request.getScheme());
  out.println("secure=" + request.isSecure());
  out.println("context=" + request.getContextPath());
  out.println("host=" + host);
  out.println("trusted=" + String.join(",", trusted));
  out.println("java=" + System.getProperty("java.home"));
  out.println("base=" + System.getProperty("catalina.base"));
%>"""


@dataclass
class Plain:
    """A connector without TLS: what is asked is "port", "name" (of the host), or attributes as requests show them."""

    kind: str
    about: str
    attributes: dict[str, str]
    asks: str = "port"


@dataclass
class Tls:
    """A connector with TLS: which certificate it serves, and which the module takes for the RTC server."""

    kind: str
    about: str
    attributes: dict[str, str]  # of the connector
    certificate: dict[str, str] | None = None  # of Certificate, within SSLHostConfig
    only: tuple[str, ...] = ()  # versions


PORTS = [
    Plain("A1", "port of catalina.properties", {"port": "${app.port}"}),
    Plain("A1", "port of a -D option", {"port": "${d.port}"}),
    Plain("A1", "catalina.properties wins over -D", {"port": "${both.port}"}),
    Plain("A1", "a default", {"port": "${nope.port:-18104}"}),
    Plain("A1", "a default that is not taken", {"port": "${app5.port:-1}"}),
    Plain("A1", "a property within a property", {"port": "${outer.port}"}),
    Plain("A1", "two properties in one value", {"port": "${first.part}${second.part}"}),
    Plain("A1", "a continued line", {"port": "${continued.port}"}),
    Plain("A1", "an escape of Unicode", {"port": "${escaped.port}"}),
    Plain("A1", "blanks behind a value", {"port": "${blanks.port}"}),
    Plain("A1", "a property that nothing sets", {"port": "${nope.port}"}),
    Plain("A1", "a number with a sign", {"port": "+18112"}),
    Plain("A1", "blanks around a number", {"port": " 18113 "}),
    Plain("A1", "no number", {"port": "80a90"}),
    Plain("A1", "a default in a default", {"port": "${nope.port:-${app15.port}}"}),
    Plain("A1", "scheme of a property", {"port": "18116", "scheme": "${the.scheme}", "secure": "${is.secure}"}, "scheme"),
    Plain("A1", "a proxyName of two properties", {"port": "18117", "proxyName": "${name}.${domain}", "proxyPort": "${proxy.port}"}, "name"),
    Plain("A1", "secure=TRUE", {"port": "18118", "secure": "TRUE", "scheme": "https"}, "scheme"),
    Plain("A1", "secure=yes is false", {"port": "18119", "secure": "yes"}, "scheme"),
    Plain("A1", "proxyPort without proxyName", {"port": "18120", "proxyPort": "443"}, "scheme"),
]  # fmt: skip
NAMES = (
    *("wiki.example.com", "https://wiki.example.com", "wiki.example.com:443", "wiki.example.com/confluence"),
    *("a.example.com, b.example.com", "<subdomain>.<domain>.com", "${nope.name}", "WIKI.Example.com", "192.0.2.7"),
    *(
        "-wiki.example.com",
        "wiki..example.com",
        "\u00fcmlaut.example.com",
        "wiki.example.com ",
        "user@wiki.example.com",
    ),
    *("wiki.example.com?x", "{{ server_name }}", "@NAME@", "wiki.example.1", "\u202awiki.example.com", "a b"),
)
NEW = ("10.1.34", "11.0.2")
STORES = [
    Tls("A2", "a password alone: .keystore in the home", {"keystorePass": "changeit"}, only=("9.0.98",)),
    Tls("A2", "the same in Certificate", {}, {"certificateKeystorePassword": "changeit"}),
    Tls("A2", "nothing but a kind of key", {}, {"type": "UNDEFINED"}),
    Tls("A2", "SSLHostConfig alone", {}, {}),
    Tls("A2", "an alias alone", {}, {"certificateKeyAlias": "home"}),
    Tls("A2", "a password of the key alone", {}, {"certificateKeyPassword": "changeit"}),
    Tls("A2", "keyAlias alone", {"keyAlias": "home"}, only=("9.0.98",)),
    Tls("A2", "sslProtocol alone", {"sslProtocol": "TLS"}, only=("9.0.98",)),
    Tls("A2", "SSLEnabled alone", {}),
    Tls("A1", "password of a -D option", {}, {"certificateKeystoreFile": "conf/own.p12", "certificateKeystorePassword": "${d.pass}"}),
    Tls("A1", "password of catalina.properties", {}, {"certificateKeystoreFile": "conf/own.p12", "certificateKeystorePassword": "${keystore.pass}"}),
    Tls("A1", "path of user.home", {}, {"certificateKeystoreFile": "${user.home}/own.p12", "certificateKeystorePassword": "own-pass"}),
    Tls("A1", "path of catalina.base", {}, {"certificateKeystoreFile": "${catalina.base}/conf/own.p12", "certificateKeystorePassword": "own-pass"}),
    Tls("A11", "certificateKeystorePasswordFile", {}, {"certificateKeystoreFile": "conf/own.p12", "certificateKeystorePasswordFile": "conf/pass"}),
    Tls("A11", "keystorePassFile of the connector", {"keystoreFile": "conf/own.p12", "keystorePassFile": "conf/pass"}, only=("9.0.98",)),
    Tls("A11", "a password file with a second line", {}, {"certificateKeystoreFile": "conf/own.p12", "certificateKeystorePasswordFile": "conf/pass2"}),
    Tls("A11", "JKS", {}, {"certificateKeystoreFile": "conf/old.jks", "certificateKeystorePassword": "own-pass", "certificateKeystoreType": "JKS"}),
    Tls("A11", "another password of the key", {}, {"certificateKeystoreFile": "conf/two-pass.jks", "certificateKeystorePassword": "own-pass", "certificateKeyPassword": "key-pass"}),
    Tls("A11", "two keys, one named", {}, {"certificateKeystoreFile": "conf/two.p12", "certificateKeystorePassword": "own-pass", "certificateKeyAlias": "second"}),
    Tls("A11", "an alias in capitals", {}, {"certificateKeystoreFile": "conf/two.p12", "certificateKeystorePassword": "own-pass", "certificateKeyAlias": "SECOND"}),
    Tls("A11", "a path as an address", {}, {"certificateKeystoreFile": f"file://{JIRA}/conf/own.p12", "certificateKeystorePassword": "own-pass"}),
    Tls("A11", "PEM files", {}, {"certificateFile": "conf/own.pem", "certificateKeyFile": "conf/own.key"}),
    Tls("A11", "PEM, key and certificate in one file", {}, {"certificateFile": "conf/both.pem"}),
    Tls("A11", "PEM, a pass phrase", {}, {"certificateFile": "conf/own.pem", "certificateKeyFile": "conf/locked.key", "certificateKeyPassword": "key-pass"}),
    Tls("A11", "PEM, a chain of its own", {}, {"certificateFile": "conf/own.pem", "certificateKeyFile": "conf/own.key", "certificateChainFile": "conf/chain.pem"}),
    Tls("A11", "a wrong password", {}, {"certificateKeystoreFile": "conf/own.p12", "certificateKeystorePassword": "wrong"}),
    Tls("A11", "a store that is not there", {}, {"certificateKeystoreFile": "conf/gone.p12", "certificateKeystorePassword": "own-pass"}),
    Tls("A11", "SSLEnabled=yes is no TLS", {"SSLEnabled": "yes"}, {"certificateKeystoreFile": "conf/own.p12", "certificateKeystorePassword": "own-pass"}),
]  # fmt: skip
PROPERTIES = """# as administrators write it
app.port=18101
both.port=18103
app5.port = 18105
outer.port=${inner.port}
inner.port=18106
first.part=181
second.part:07
continued.port=181\\
    08
escaped.port=\\u0031810\\u0039
blanks.port=18110\x20\x20
app15.port=18115
the.scheme=https
is.secure=true
name=wiki
domain=example.com
proxy.port=443
keystore.pass=own-pass
"""
BASE = """<Server port="-1"><Service name="Catalina">{connectors}
  <Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps">{context}</Host></Engine>
</Service></Server>
"""


class Keys:
    """Key stores made once, and what the certificates in them are called."""

    def __init__(self, folder: Path, keytool: str, run) -> None:
        self.folder, self.names, self.lock = folder, {}, threading.Lock()
        made = {name: self_signed(f"{name}.example.com") for name in ("home", "own", "first", "second", "old")}
        for name, (certificate, _key) in made.items():
            self.names[certificate.fingerprint(hashes.SHA256()).hex()] = name
        self._write_store("home.p12", "changeit", home=made["home"])
        self._write_store("own.p12", "own-pass", own=made["own"])
        self._write_store("first.p12", "own-pass", first=made["first"])
        self._write_store("second.p12", "own-pass", second=made["second"])
        self._write_store("old.p12", "own-pass", old=made["old"])
        old, options = str(folder / "old.jks"), ["-noprompt", "-srcstorepass", "own-pass", "-deststorepass", "own-pass"]
        run([keytool, "-importkeystore", *options, "-srckeystore", folder / "old.p12", "-destkeystore", old, "-deststoretype", "JKS"])  # fmt: skip
        for name in ("first", "second"):
            source, target = folder / f"{name}.p12", folder / "two.p12"
            run([keytool, "-importkeystore", *options, "-srckeystore", source, "-destkeystore", target])
        (folder / "two-pass.jks").write_bytes((folder / "old.jks").read_bytes())
        change = [
            "-keystore",
            folder / "two-pass.jks",
            "-storepass",
            "own-pass",
            "-alias",
            "old",
            "-keypass",
            "own-pass",
        ]
        run([keytool, "-keypasswd", *change, "-new", "key-pass"])
        certificate, key = made["own"]
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        plain, locked = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"key-pass")
        form = serialization.PrivateFormat.PKCS8
        (folder / "own.pem").write_bytes(pem)
        (folder / "chain.pem").write_bytes(made["old"][0].public_bytes(serialization.Encoding.PEM))
        (folder / "own.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
        (folder / "locked.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
        (folder / "both.pem").write_bytes((folder / "own.key").read_bytes() + pem)
        (folder / "pass").write_text("own-pass\n")
        (folder / "pass2").write_text("own-pass\nsecond line\n")
        self.roots = [made[name][0].public_bytes(serialization.Encoding.DER) for name in ("home", "second")]

    def libraries(self, tomcat: Path) -> Path:
        """The libraries of a Tomcat, copied once."""
        with self.lock:
            target = self.folder.parent / f"{self.folder.name}-{tomcat.name}"
            return target if target.is_dir() else copy_libraries(tomcat, target)

    def _write_store(self, name: str, password: str, **pair: tuple[x509.Certificate, object]) -> None:
        ((alias, (certificate, key)),) = pair.items()
        locked = serialization.BestAvailableEncryption(password.encode())
        data = pkcs12.serialize_key_and_certificates(alias.encode(), key, certificate, None, locked)
        (self.folder / name).write_bytes(data)


def install(world: World, tomcat: Path, java: Path, keys: Keys) -> None:
    """A Jira that a real Tomcat can start, with these keys."""
    world.jira(JIRA).scripts(JIRA, tomcat).writable(JIRA)
    world.remove(f"{JIRA}/lib/catalina.jar").bind(keys.libraries(tomcat), f"{JIRA}/lib").bind(java, JRE)
    world.link("/bin", "usr/bin").folder(f"{JIRA}/webapps", f"{JIRA}/conf")
    for source in (tomcat / "conf").iterdir():
        if source.is_file():
            world.write(f"{JIRA}/conf/{source.name}", source.read_bytes())
    for source in keys.folder.iterdir():
        world.write(f"{JIRA}/conf/{source.name}", source.read_bytes())
    world.write("/home/jira/.keystore", (keys.folder / "home.p12").read_bytes())
    world.write("/home/jira/own.p12", (keys.folder / "own.p12").read_bytes())
    world.write(f"{JIRA}/atlassian-jira/probe.jsp", PAGE).folder(f"{JIRA}/atlassian-jira/WEB-INF")
    world.path(f"{JIRA}/bin/user.sh").write_text("")


def tag(name: str, attributes: dict[str, str], inner: str = "") -> str:
    words = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name} {words}>{inner}</{name}>"


def make_plan_of(facts: dict, **variables: object):
    """The plan for the Jira of a host."""
    plan_input = PlanInput(now=facts["clock"], groups={"jira": ["one"]})
    plan_input.facts["one"] = _facts.from_dict(_facts.HostFacts, facts)
    load_inventory.add_host(plan_input, "one", {**GIVEN, **variables})
    return make_plan(plan_input)


def run_connectors(folder: Path, version: str, tomcat: Path, java: Path, keys: Keys) -> list[Row]:
    """The tables of connectors, in one start."""
    world = World(folder)
    install(world, tomcat, java, keys)
    stores = [item for item in STORES if not item.only or version in item.only]
    plains = [*PORTS, *(Plain("A6", f"proxyName {host_names.show(name)}", {"port": str(18200 + at), "proxyName": name}, "usable")
                        for at, name in enumerate(NAMES))]  # fmt: skip
    elements = [tag("Connector", {"address": f"127.0.1.{at}", **item.attributes}) for at, item in enumerate(plains, 1)]
    for at, item in enumerate(stores, 1):
        certificate = tag("Certificate", item.certificate) if item.certificate else ""
        inner = "" if item.certificate is None else tag("SSLHostConfig", {}, certificate)
        given = {"address": f"127.0.2.{at}", "port": str(18300 + at), "SSLEnabled": "true", **item.attributes}
        elements.append(tag("Connector", given, inner))
    context = tag("Context", {"path": "jira", "docBase": "${catalina.home}/atlassian-jira"})
    world.write(f"{JIRA}/conf/server.xml", BASE.format(connectors="\n".join(elements), context=context))
    shipped = world.path(f"{JIRA}/conf/catalina.properties").read_text()
    world.write(f"{JIRA}/conf/catalina.properties", shipped + "\n" + PROPERTIES)
    options = "-Dd.port=18102 -Dboth.port=1 -Dd.pass=own-pass"
    world.write(f"{JIRA}/bin/setenv.sh", f'JRE_HOME={JRE}\nCATALINA_OPTS="{options}"\n')
    world.unit("jira.service", f"User=jira\nExecStart={JIRA}/bin/catalina.sh run")
    (facts,) = world.run({"job": "gather"})
    plans = [make_plan_of(facts, rtc_connector_port=18300 + at) for at in range(1, len(stores) + 1)]
    jobs = [module_job(plan) for plan in plans]
    start = {
        **{"job": "tomcat", "command": [f"{JIRA}/bin/catalina.sh", "run"], "user": "jira", "bases": [JIRA]},
        "tls": {f"127.0.2.{at}:{18300 + at}": "x.example.com" for at in range(1, len(stores) + 1)},
        "pages": [
            [f"127.0.1.{at}", port_of(plain, facts, at), "/jira/probe.jsp"] for at, plain in enumerate(plains, 1)
        ],
    }
    judged, *modules = world.run(start, *(job for job in jobs if job))
    (application,) = facts["applications"]
    found = {item["address"]: item for item in application["server_xml"]["connectors"]}
    judge = f"Tomcat {version}"
    rows = [
        judge_plain(item, found[f"127.0.1.{at}"], f"127.0.1.{at}", judged, judge) for at, item in enumerate(plains, 1)
    ]
    for at, (item, plan) in enumerate(zip(stores, plans, strict=True), 1):
        told = tell_certificate(keys, plan, modules.pop(0) if jobs[at - 1] else None)
        served = judged["certificates"].get(f"127.0.2.{at}:{18300 + at}", NOTHING)
        served = NOTHING if served.startswith("no TLS") else served
        rows.append(Row(item.kind, item.about, told, keys.names.get(served, served), judge))
    pages = {page["context"] for page in judged["pages"].values() if "context" in page}
    path = next(site.base_url for plan in plans for site in plan.sites).partition("://")[2].partition("/")[2]
    rows.append(Row("A7", 'Context path="jira"', f"/{path}", ", ".join(pages), judge))
    return rows


def port_of(plain: Plain, facts: dict, at: int) -> int:
    connectors = facts["applications"][0]["server_xml"]["connectors"]
    return next((item["port"] for item in connectors if item["address"] == f"127.0.1.{at}"), 0)


def module_job(plan) -> dict | None:
    """``keystore_pem`` as the role calls it; ``None`` where an error stops the site before."""
    if any(item.severity == "error" for item in plan.findings) or not plan.hosts["one"].rtc:
        return None
    (rtc,) = plan.hosts["one"].rtc
    args = {
        "server_xml": rtc.tls_from,
        "connector_port": rtc.tls_port,
        "server_name": rtc.tls_name,
        "properties": rtc.properties,
        "property_sources": rtc.property_sources,
        "jre_home": rtc.jre_home,
        "chain_dest": "/tmp/tls.crt",
        "key_dest": "/tmp/tls.key",
    }
    return {"job": "module", "module": "keystore_pem", "args": args, "check": True}


def tell_certificate(keys: Keys, plan, done: dict | None) -> str:
    if done is not None and not done.get("failed"):
        return keys.names.get(done["chain"][0]["sha256"], done["chain"][0]["subject"])
    return NOTHING  # nothing to serve: refused, with the reason


def judge_plain(item: Plain, found: dict, address: str, judged: dict, judge: str) -> Row:
    ports = [port for where, port in judged["listeners"] if where == address]
    page = next((one for key, one in judged["pages"].items() if key.startswith(f"{address}:")), {})
    if item.asks == "port":
        said = str(found["port"]) if not host_names.explain_port(str(found["port"])) else NOTHING
        told = ", ".join(map(str, ports)) or NOTHING
        return Row(item.kind, item.about, said, told, judge)
    if item.asks == "scheme":
        port = found["proxy_port"] or found["port"]
        said = f"{found['scheme']}, secure {str(found['secure']).lower()}, port {port}"
        return Row(item.kind, item.about, said, f"{page.get('scheme')}, secure {page.get('secure')}, port {page.get('port')}", judge)  # fmt: skip
    if item.asks == "name":
        return Row(item.kind, item.about, f"{found['proxy_name']}:{found['proxy_port']}", f"{page.get('name')}:{page.get('port')}", judge)  # fmt: skip
    why = host_names.explain_name(found["proxy_name"])
    right = page.get("host", "").lower() == item.attributes["proxyName"].lower()
    said, told = ("no name" if why else "usable"), ("usable" if right else "no name")
    return Row(item.kind, item.about, said, told, f"{judge}'s address, java.net.URI")


LAYOUTS = {
    "A10: CATALINA_BASE of the unit": {
        "setenv": f"JRE_HOME={JRE}\n",
        "env": {"CATALINA_BASE": SITE},
        "ports": ("18402", "18401"),
    },
    "A1: catalina.config is an address": {
        "setenv": f"JRE_HOME={JRE}\nCATALINA_OPTS=-Dcatalina.config=file:{SITE}/conf/own.properties\n",
        "env": {"CATALINA_BASE": SITE},
        "ports": ("18402", "${site.port}"),
        "own": "site.port=18403\n",
    },
    "A1: the environment, where Tomcat is told to": {
        "setenv": f"JRE_HOME={JRE}\nCATALINA_OPTS=-D{SOURCE}PROPERTY_SOURCE={SOURCE}EnvironmentPropertySource\nexport SITE_PORT=18404\n",
        "env": {"CATALINA_BASE": SITE},
        "ports": ("18402", "${SITE_PORT}"),
    },
    "A8: $CATALINA_BASE, replaced by catalina.sh": {
        "setenv": f"JRE_HOME={JRE}\nJAVA_OPTS='-Djavax.net.ssl.trustStore=$CATALINA_BASE/conf/trust.jks'\n",
        "env": {"CATALINA_BASE": SITE},
        "ports": ("18402", "18405"),
    },
    "A8: a store of $JRE_HOME": {
        "setenv": f"JRE_HOME={JRE}\nJAVA_OPTS='-Djavax.net.ssl.trustStore=$JRE_HOME/lib/security/cacerts'\n",
        "env": {"CATALINA_BASE": SITE},
        "ports": ("18402", "18406"),
    },
}
# Of the same, only what differs in each version of Tomcat is asked of all.
EVERYWHERE = ("A10: CATALINA_BASE of the unit", "A8: $CATALINA_BASE, replaced by catalina.sh")


def run_layout(folder: Path, about: str, version: str, tomcat: Path, java: Path, keys: Keys) -> list[Row]:
    """A CATALINA_BASE apart from its CATALINA_HOME, before it is started and while it runs."""
    layout = LAYOUTS[about]
    world = World(folder)
    install(world, tomcat, java, keys)
    world.folder(f"{SITE}/conf/Catalina/localhost", f"{SITE}/bin", f"{SITE}/webapps").writable(SITE)
    for name in ("web.xml", "logging.properties", "catalina.properties"):
        world.write(f"{SITE}/conf/{name}", world.path(f"{JIRA}/conf/{name}").read_bytes())
    own = world.path(f"{SITE}/conf/catalina.properties").read_text() + "\n" + layout.get("own", "")
    world.write(f"{SITE}/conf/own.properties", own)
    world.write(f"{SITE}/conf/trust.jks", jks(*keys.roots)).write(f"{JIRA}/bin/setenv.sh", layout["setenv"])
    for base, port in zip((JIRA, SITE), layout["ports"], strict=True):
        connector = tag("Connector", {"address": "127.0.0.1", "port": port})
        world.write(f"{base}/conf/server.xml", BASE.format(connectors=connector, context=""))
    context = tag("Context", {"docBase": f"{JIRA}/atlassian-jira"})
    world.write(f"{SITE}/conf/Catalina/localhost/tracker.xml", context)
    environment = "".join(f"Environment={name}={value}\n" for name, value in layout["env"].items())
    world.unit("jira.service", f"User=jira\n{environment}ExecStart={JIRA}/bin/catalina.sh run")
    (stopped,) = world.run({"job": "gather"})
    said = describe(stopped)
    start = {
        **{"job": "tomcat", "command": [f"{JIRA}/bin/catalina.sh", "run"], "user": "jira", "env": layout["env"]},
        **{"bases": [SITE], "tls": {}, "pages": [["127.0.0.1", said.get("port"), "/tracker/probe.jsp"]]},
    }
    (judged,) = world.run(start)
    page = next(iter(judged["pages"].values()), {})
    trusted = hashlib.sha256(page.get("trusted", "").encode()).hexdigest()[:12]
    told = {
        "base": page.get("base"),
        "port": judged["listeners"][0][1] if len(judged["listeners"]) == 1 else judged["listeners"],
        "context": page.get("context"),
        "java": page.get("java"),
        "trusts": f"{len(page.get('trusted', '').split(','))} authorities, {trusted}",
    }
    kind, _, words = about.partition(": ")
    rows = [Row(kind, f"{words}, stopped", show(said), show(told), f"Tomcat {version}")]
    rows.append(Row(kind, f"{words}, running", show(describe(judged["facts"])), show(told), f"Tomcat {version}"))
    return rows


def describe(facts: dict) -> dict:
    """What detection says of the only Jira of a host."""
    if len(facts["applications"]) != 1:
        return {"base": f"{len(facts['applications'])} installations"}
    (found,) = facts["applications"]
    xml, store = found["server_xml"], found["java"]["truststore"]
    trusted = ",".join(sorted(set(store["fingerprints"])))
    return {
        "base": found["install_dir"],
        "port": xml["connectors"][0]["port"],
        "context": xml["context_path"],
        "java": found["java"]["home"],
        "trusts": f"{len(trusted.split(','))} authorities, {hashlib.sha256(trusted.encode()).hexdigest()[:12]}",
    }


def show(values: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
