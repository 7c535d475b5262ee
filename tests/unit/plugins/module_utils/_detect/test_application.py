# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server.xml of an application and what else describes it, as detection finds it."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._detect import installations
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import JIRA, facts_of, only

ENDS = pytest.mark.timeout(120)  # it took longer than anybody waits, and takes some seconds


def test_connectors_of_jira(host):
    host.jira()
    tls, plain = only(host).server_xml.connectors
    assert (tls.scheme, tls.secure, tls.ssl, tls.user, plain.user) == ("https", True, True, True, False)
    assert tls.attributes["keystorePass"] == "********"
    assert tls.attributes["relaxedQueryChars"] == '[]|{}^\\`"<>'
    (key,) = tls.tls
    assert (key.form, key.keystore, key.keystore_type, key.alias) == (
        "attributes",
        JIRA + "/conf/wiki.p12",
        "PKCS12",
        "jira",
    )
    assert f"line {tls.line}" in plain.reason


SSL_HOSTS = """<Server port="8005"><Service name="Catalina">
<Connector port="8443" SSLEnabled="true" protocol="org.apache.coyote.http11.Http11NioProtocol">
 <SSLHostConfig>
  <Certificate certificateKeystoreFile="file:///etc/ssl/wiki.p12" certificateKeystorePassword="geheim" certificateKeyAlias="w"/>
 </SSLHostConfig>
 <SSLHostConfig hostName="b.example">
  <Certificate certificateFile="conf/b.pem" certificateKeyFile="/etc/ssl/b.key" certificateChainFile="conf/chain.pem"/>
 </SSLHostConfig>
</Connector>
<Engine name="Catalina"><Host name="localhost"><Context path="/jira" docBase="${catalina.home}/atlassian-jira"/></Host></Engine>
</Service></Server>"""


def test_ssl_host_config(host):
    host.jira().write(JIRA + "/conf/server.xml", SSL_HOSTS)
    file = only(host).server_xml
    one, two = file.connectors[0].tls
    assert (one.line, one.form, one.hostname, one.keystore, one.alias) == (
        4,
        "sslhostconfig",
        "_default_",
        "/etc/ssl/wiki.p12",
        "w",
    )
    assert (two.hostname, two.certificate, two.key) == ("b.example", JIRA + "/conf/b.pem", "/etc/ssl/b.key")
    assert two.chain == JIRA + "/conf/chain.pem"
    assert file.context_path == "/jira"


def test_values_from_catalina_properties_and_the_environment(host):
    text = host.data("jira-server.xml").replace('"8080"', '"${web.port}"').replace('"8443" max', '"${NOT_KNOWN}" max')
    host.jira().write(JIRA + "/conf/server.xml", text.replace("hunter2", "${KEY_PASS}"))
    host.write(
        JIRA + "/conf/catalina.properties",
        "# x\norg.apache.tomcat.util.digester.PROPERTY_SOURCE=\\\n"
        "  org.apache.tomcat.util.digester.EnvironmentPropertySource\n"
        "web.port = 8099\n",
    )
    host.jvm(700, JIRA, environment={"KEY_PASS": "geheim"})
    tls, plain = only(host).server_xml.connectors
    assert (plain.port, plain.unresolved) == (8099, [])
    assert (tls.port, tls.unresolved, tls.attributes["keystorePass"]) == (0, ["port"], "********")


def test_no_secret_beside_what_is_shown_of_server_xml(host):
    text = host.data("jira-server.xml").replace("<Server", "<!-- managed by us token=hunter2 -->\n<Server", 1)
    valve = '<Valve className="org.apache.catalina.valves.RemoteIpValve" myPwd="hunter2" remoteIpHeader="x"/>'
    parameters = '<Parameter name="db.pwd" value="hunter2"/><Parameter name="u" value="jdbc:x://h?password=hunter2"/>'
    text = text.replace('useHttpOnly="true"/>', f'useHttpOnly="true">{parameters}</Context>{valve}')
    host.jira().write(JIRA + "/conf/server.xml", text)
    file = only(host).server_xml
    assert file.error == ""
    assert file.generated_by.endswith('says "managed by us token=********"')
    assert file.remote_ip_valve["myPwd"] == "********"
    assert file.context_parameters == {"db.pwd": "********", "u": "jdbc:x://h?password=********"}
    assert "hunter2" not in str(file)


NAMES = (
    "db.pwd",
    "ldap.bind.pw",
    "jwt.key",
    "hmac",
    "aws.accessKey",
    "encryption-key",
    "newrelic.license_key",
    "app.tokens",
)
VALUES = (
    *("jdbc:mysql://db/x?user=u&password=hunter2", "jdbc:sqlserver://db;password=hunter2;x=1", "redis://:hunter2@db"),
    *("jdbc:oracle:thin:u/hunter2@db", "ldap://cn:hunter/hunter2@ldap", "https://x/?token=hunter2"),
)


PATH = 'JAVA_OPTS="$JAVA_OPTS \\"-Dpath=/srv/my secret store/token x.jks\\""\n'  # catalina.sh evals it


def test_options_of_java_are_shown_without_the_secrets_in_them(host):
    options = [f"-D{name}=hunter2" for name in NAMES]
    options += [f"-Dvalue{number}={value}" for number, value in enumerate(VALUES)]
    host.jira().write(f"{JIRA}/bin/setenv.sh", f"CATALINA_OPTS='{' '.join(options)} -Dplain=https://x/?a=b'\n" + PATH)
    text = host.data("jira-server.xml").replace("<Connector ", '<Connector dbPwd="hunter2" jwtKey="hunter2" ', 1)
    host.write(JIRA + "/conf/server.xml", text.replace("keystorePass=", "x="))
    host.jvm(700, JIRA, *options)
    application = only(host)
    assert application.properties["plain"] == "https://x/?a=b"
    assert application.properties["path"] == "/srv/my secret store/token x.jks"
    assert application.properties["value5"] == "https://x/?token=********"
    for shown in (application.properties, application.process.properties):
        assert {name: shown[name] for name in NAMES} == dict.fromkeys(NAMES, "********")
        assert "hunter2" not in str(shown)
    assert application.server_xml.connectors[0].attributes["jwtKey"] == "********"
    assert application.server_xml.connectors[0].attributes["dbPwd"] == "********"


def test_what_tomcat_takes_from_properties_is_told_for_the_modules(host):
    """A property that a password comes from is a secret under any name; what only a port comes from is none."""
    text = host.data("jira-server.xml").replace('"8080"', '"${web.secret.port}"').replace("hunter2", "${store.word}")
    text = text.replace("<Connector", '<Connector address="${jira.address:-127.0.0.1}"', 1)
    host.jira().jre(JIRA + "/jre").write(JIRA + "/conf/server.xml", text)
    host.write("/etc/passwd", "jira:x:1002:1002::/home/jira:/bin/sh\n")
    host.write(JIRA + "/conf/catalina.properties", "web.secret.port=8099\nstore.word=from-file\n")
    host.jvm(700, JIRA, "-Dstore.word=geheim", "-Dweb.secret.port=8080", "-Dother=1")
    application = only(host)
    file = application.server_xml
    assert file.connectors[1].port == 8099
    assert file.properties["web.secret.port"] == "8099"
    assert not file.properties.keys() & {"other", "store.word"}
    assert file.properties["user.home"] == "/home/jira"
    assert [item.name for item in file.secrets] == ["store.word"]
    assert application.properties["store.word"] == application.process.properties["store.word"] == "********"


@pytest.mark.parametrize(("owner", "mode", "port"), [((0, 0), 0o640, 8081), ((0, 1002), 0o640, 8099), ((0, 0), 0o644, 8099),
                                                     ((1002, 0), 0o400, 8099), ((1002, 0), 0o004, 8081)])  # fmt: skip
def test_a_file_that_the_run_user_may_not_read_is_not_read_for_him(host, owner, mode, port):
    host.jira().write(JIRA + "/conf/server.xml", host.data("jira-server.xml").replace('"8080"', '"${p}"'))
    host.write(JIRA + "/conf/catalina.properties", "p=8081\n").write("/etc/own.conf", "p=8099\n", mode)
    host.own(owner[0], "/etc/own.conf", gid=owner[1])
    host.jvm(700, JIRA, "-Dcatalina.config=file:/etc/own.conf")
    facts = facts_of(host)
    file = facts.applications[0].server_xml
    assert file.connectors[1].port == port
    assert ("catalina.config" in file.properties) == (port == 8099)
    assert any(item.what == "/etc/own.conf" for item in facts.unreadable) == (port == 8081)


HTTPS = '<Connector port="8443" SSLEnabled="true" scheme="https" secure="true" '
UNNAMED = {  # Atlassian, "Running Jira/Confluence over SSL or HTTPS": the key is in .keystore of the user
    "attributes": (HTTPS + 'keystorePass="changeit"/>', "", True, ""),
    "alias": (HTTPS + 'keyAlias="jira"/>', "", False, ""),
    "protocol": (HTTPS + 'sslProtocol="TLS"/>', "", False, ""),
    "Certificate": (
        HTTPS + '><SSLHostConfig><Certificate certificateKeystorePassword="changeit"/></SSLHostConfig></Connector>',
        "",
        True,
        "",
    ),
    "SSLHostConfig": (HTTPS + "><SSLHostConfig/></Connector>", "", False, "Tomcat takes none"),
    "no file": (HTTPS + 'keystorePass="changeit"/>', "/home/jira", False, "takes /home/jira/.keystore then"),
    "-D": (HTTPS + 'keystorePass="changeit"/>', "-Duser.home=/srv/jira", False, "takes /srv/jira/.keystore then"),
    "nothing": (HTTPS + "/>", "", False, ""),
}


@pytest.mark.parametrize("name", UNNAMED)
def test_the_key_store_that_is_not_named(host, name):
    connector, option, found, missing = UNNAMED[name]
    host.jira().write("/etc/passwd", "jira:x:1002:1002::/home/jira:/bin/sh\n")
    if not option:
        host.write("/home/jira/.keystore", b"x")
    text = f'<Server><Service name="Catalina">{connector}<Engine name="Catalina"/></Service></Server>'
    host.write(JIRA + "/conf/server.xml", text)
    host.jvm(700, JIRA, *([option] if option.startswith("-D") else []))
    (key,) = only(host).server_xml.connectors[0].tls
    assert key.keystore == ("/home/jira/.keystore" if found else "")
    assert missing in key.missing


SERVER = (
    '<Server><Service name="Catalina"><Connector port="8080"/><Engine name="{engine}"><Host {host}>{context}</Host>'
    "</Engine></Service></Server>"
)
BASE = "${catalina.home}/atlassian-jira"
DESCRIPTOR = '<?xml version="1.0"?>\n<Context path="/ignored" docBase="/opt/atlassian/jira/atlassian-jira"/>'
OTHER = '<Context docBase="/srv/manager"/>'
# server.xml: engine, Host, Context -> descriptors -> the path, and the file that says so.
CONTEXTS = {
    "no slash": ("Catalina", 'name="localhost"', f'<Context path="jira" docBase="{BASE}"/>', {}, "/jira", "server.xml"),
    "slash at the end": ("Catalina", 'name="localhost"', f'<Context path="a/b/" docBase="{BASE}"/>', {}, "/a/b", "server.xml"),
    "root": ("Catalina", 'name="localhost"', f'<Context path="/" docBase="{BASE}"/>', {}, "", "server.xml"),
    "descriptor": ("Catalina", 'name="localhost"', "", {"Catalina/localhost/jira.xml": DESCRIPTOR}, "/jira", "jira.xml"),
    "ROOT": ("Catalina", 'name="localhost"', "", {"Catalina/localhost/ROOT.xml": DESCRIPTOR}, "", "ROOT.xml"),
    "deeper": ("Catalina", 'name="localhost"', "", {"Catalina/localhost/a#b##7.xml": DESCRIPTOR}, "/a/b", "a#b##7.xml"),
    "other names": ("Stand", 'name="Apps"', "", {"Stand/apps/x.xml": DESCRIPTOR}, "/x", "x.xml"),
    "other engine": ("Stand", 'name="localhost"', "", {"Catalina/localhost/jira.xml": DESCRIPTOR}, "", ""),
    "xmlBase": ("Catalina", 'name="a" xmlBase="conf/apps"', "", {"apps/x.xml": DESCRIPTOR}, "/x", "x.xml"),
    "not deployed": (
        "Catalina", 'name="localhost" deployOnStartup="false" autoDeploy="false"', "",
        {"Catalina/localhost/jira.xml": DESCRIPTOR}, "", "",
    ),
    "both": (
        "Catalina", 'name="localhost"', f'<Context path="/x" docBase="{BASE}"/>',
        {"Catalina/localhost/jira.xml": DESCRIPTOR}, "/x", "server.xml",
    ),
    "another's": ("Catalina", 'name="localhost"', "", {"Catalina/localhost/manager.xml": OTHER}, "", ""),
    "by its name": ("Catalina", 'name="localhost"', "", {"Catalina/localhost/jira.xml": OTHER}, "/jira", "jira.xml"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTEXTS)
def test_the_context_path_is_tomcats(host, name):
    engine, attributes, context, descriptors, path, file = CONTEXTS[name]
    host.jira().write(JIRA + "/conf/server.xml", SERVER.format(engine=engine, host=attributes, context=context))
    for descriptor, text in descriptors.items():
        host.write(f"{JIRA}/conf/{descriptor}", text)
    found = only(host).server_xml
    assert (found.context_path, found.context_file.rpartition("/")[2]) == (path, file)


def test_a_descriptor_that_cannot_be_read_is_told(host):
    host.jira().write(JIRA + "/conf/Catalina/localhost/jira.xml", "<Context>")
    (part,) = [item for item in facts_of(host).unreadable if item.what.endswith("jira.xml")]
    assert "jira.xml" in part.reason


def test_the_home_is_a_parameter_of_the_context(host):
    context = f'<Context path="" docBase="{BASE}"><Parameter name="jira.home" value="/data/jira"/></Context>'
    host.jira().write(JIRA + "/conf/server.xml", SERVER.format(engine="x", host='name="y"', context=context))
    host.write(JIRA + "/atlassian-jira/WEB-INF/classes/jira-application.properties", "jira.home = /srv/other\n")
    host.write(JIRA + "/bin/setenv.sh", "")
    assert only(host).home == "/data/jira"


SETENV = JIRA + "/bin/setenv.sh"
UNIT = "[Service]\nExecStart=/opt/atlassian/jira/bin/start-jira.sh -fg\n"
# What is written where -> the place that the plan names.
PLACES = {
    "catalina.properties": (
        {JIRA + "/conf/catalina.properties": "#\nstore.word=geheim\n"},
        (JIRA + "/conf/catalina.properties", 2, ""),
    ),
    "option": (
        {SETENV: '#!/bin/sh\n# -Dstore.word=old\nJAVA_OPTS="-Xmx1g -Dstore.word=geheim $JAVA_OPTS"\n'},
        (SETENV, 3, "-Dstore.word="),
    ),
    "quoted option": (
        {SETENV: "JAVA_OPTS='-Dstore.word=\"geheim\"'\n"},
        (SETENV, 1, '-Dstore.word="'),
    ),
    "variable": (
        {SETENV: "PW='geheim'\nexport JAVA_OPTS=\"$JAVA_OPTS -Dstore.word=${PW}\"\n"},
        (SETENV, 1, "PW='"),
    ),
    "other file": (
        {SETENV: '. /etc/jira.secrets\nJAVA_OPTS="-Dstore.word=$PW"\n', "/etc/jira.secrets": "\nPW=geheim\n"},
        ("/etc/jira.secrets", 2, "PW="),
    ),
    "unit": (
        {SETENV: "", "/etc/systemd/system/jira.service": UNIT + 'Environment="JAVA_OPTS=-Da=b -Dstore.word=geheim"\n'},
        ("/etc/systemd/system/jira.service", 3, "-Dstore.word="),
    ),
    "file of the unit": (
        {
            SETENV: "JAVA_OPTS=-Dstore.word=$PW\n",
            "/etc/systemd/system/jira.service": UNIT + "EnvironmentFile=-/etc/default/jira\n",
            "/etc/default/jira": 'PW="geheim"\n',
        },
        ("/etc/default/jira", 1, 'PW="'),
    ),
    "process": ({SETENV: ""}, ("/proc/700/cmdline", 3, "-Dstore.word=")),
    "nothing that gives just this": ({SETENV: "A=ge\nJAVA_OPTS=-Dstore.word=${A}heim\n"}, ("", 0, "")),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_secret_is_told_by_file_and_line(host, name):
    files, place = PLACES[name]
    host.jira().write(JIRA + "/conf/server.xml", host.data("jira-server.xml").replace("hunter2", "${store.word}"))
    for path, text in files.items():
        host.write(path, text)
    if name == "process":
        host.jvm(700, JIRA, "-Dstore.word=geheim")
    (secret,) = only(host).server_xml.secrets
    assert (secret.name, secret.file, secret.line, secret.before, secret.key) == ("store.word", *place, True)
    assert "geheim" not in repr(facts_of(host))


def test_no_secret_leaves(host):
    host.jira().jre(JIRA + "/jre").jvm(700, JIRA, "-Ddb.password=geheim", environment={"PASS": "geheim"})
    text = repr(facts_of(host))
    assert not any(secret in text for secret in ("geheim", "hunter2", "s3cret"))


BROKEN = {
    "missing": (lambda host: host.path(JIRA + "/conf/server.xml").unlink(), "no such file"),
    "ill-formed": (lambda host: host.write(JIRA + "/conf/server.xml", "<Server>\n<Service>\n</Server>"), "3"),
    "empty": (lambda host: host.write(JIRA + "/conf/server.xml", ""), "server.xml"),
    "something else": (lambda host: host.write(JIRA + "/conf/server.xml", "<project/>"), "server.xml"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_server_xml(host, name):
    host.jira()
    BROKEN[name][0](host)
    file = only(host).server_xml
    assert BROKEN[name][1] in file.error and file.connectors == []


def test_ambiguous_connectors(host):
    text = '<Server><Service name="x"><Connector port="8081"/><Connector port="8082"/></Service></Server>'
    host.jira().write(JIRA + "/conf/server.xml", text)
    connectors = only(host).server_xml.connectors
    assert [item.user for item in connectors] == [False, False]
    assert all("8081" in item.reason and "8082" in item.reason for item in connectors)


GENERATED = {
    "puppet": (
        lambda host: host.write(JIRA + "/conf/server.xml", "<!-- This file is managed by Puppet -->\n<Server/>"),
        "managed by Puppet",
    ),
    "ansible": (
        lambda host: host.write(JIRA + "/conf/server.xml", "<!-- Ansible managed -->\n<Server/>"),
        "Ansible managed",
    ),
    "image": (lambda host: host.write("/opt/atlassian/etc/server.xml.j2", ""), "server.xml.j2"),
    "entry point": (
        lambda host: host.write("/entrypoint.py", "gen_cfg('server.xml.j2', x)"),
        "/entrypoint.py",
    ),
    "other entry point": (lambda host: host.write("/entrypoint.py", "print()"), ""),
    "plain comment": (
        lambda host: host.write(JIRA + "/conf/server.xml", "<!-- A connector on 8080 -->\n<Server/>"),
        "",
    ),
}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_file(host, name):
    host.jira()
    GENERATED[name][0](host)
    evidence = only(host).server_xml.generated_by
    assert evidence == GENERATED[name][1] or (GENERATED[name][1] and GENERATED[name][1] in evidence)


def test_shared_home_of_confluence(host):
    host.installed_confluence().write(
        "/var/atlassian/application-data/confluence/confluence.cfg.xml",
        '<a><property name="hibernate.connection.password">geheim</property>\n'
        '<property name="confluence.cluster.home">/shared/wiki</property></a>',
    )
    assert only(host).shared_home == "/shared/wiki"


PROPERTY = '<property name="confluence.cluster.home">{}</property>'
SHARED = {
    PROPERTY.format("\n  /shared/a&amp;b\n"): "/shared/a&b",
    "<property  name = 'confluence.cluster.home' >/shared/a</property>": "/shared/a",
    PROPERTY.format("<![CDATA[/shared/a&b]]>"): "/shared/a&b",
    PROPERTY.format("/shared<!-- not this -->/a"): "/shared/a",
    "<!-- " + PROPERTY.format("/old") + " -->" + PROPERTY.format("/new"): "/new",
    "<!-- " + PROPERTY.format("/old") + " -->": "",
    '<property name="confluence.cluster.home"/>': "",
    PROPERTY.format("/sh&#97;r&#xE9;d &lt;a>"): "/shar\xe9d <a>",
    PROPERTY.format("/a").replace("name=", 'x="a>b" name='): "/a",
    PROPERTY.format("/first") + PROPERTY.format("/last"): "/last",
    PROPERTY.format(" " * 1_000_000 + "<b/>"): "",
    PROPERTY.format("/unfinished") + "<b>": "",
}


@pytest.mark.parametrize(
    ("doctype", "text", "home"),
    [
        ('[<!ENTITY root "/srv&#47;x">]', "&root;/a", "/srv/x/a"),
        ('[<!ENTITY root SYSTEM "root.ent">]', "&root;/a", ""),
        ('SYSTEM "x.dtd"', "/srv&root;/a", ""),
        ('SYSTEM "x.dtd"', "/srv/a", "/srv/a"),
    ],
)
def test_shared_home_of_confluence_by_an_entity(host, doctype, text, home):
    host.write("/home/confluence.cfg.xml", f"<!DOCTYPE a {doctype}><a><b>&root;</b>{PROPERTY.format(text)}&root;</a>")
    if "ENTITY" not in doctype:
        host.write("/home/confluence.cfg.xml", f"<!DOCTYPE a {doctype}><a>{PROPERTY.format(text)}</a>")
    assert installations.shared_home(RootFs(host.root, host.lstat), "confluence", "/home") == home


@ENDS
@pytest.mark.parametrize("text", SHARED, ids=[str(number) for number in range(len(SHARED))])
def test_shared_home_of_confluence_as_xml_has_it(host, text):
    rootfs = RootFs(host.root, host.lstat)
    host.write("/home/confluence.cfg.xml", f"<a>{text}</a>")
    assert installations.shared_home(rootfs, "confluence", "/home") == SHARED[text]
    assert ("/home/confluence.cfg.xml" in rootfs.unreadable) == ("unfinished" in text)


@ENDS
def test_descriptors_of_many_hosts_are_looked_at_once(host):
    hosts = "".join(f'<Host name="h{number}" xmlBase="conf/all"/>' for number in range(5_000))
    text = '<Server><Service><Connector port="8080"/><Engine name="E">{}</Engine></Service></Server>'
    host.jira().write(f"{JIRA}/conf/server.xml", text.format(hosts))
    for number in range(150):
        host.write(f"{JIRA}/conf/all/a{number:03}.xml", '<Context docBase="x"/>')
    host.write(f"{JIRA}/conf/all/a000.xml", '<Context docBase="atlassian-jira"/>')
    facts = facts_of(host)
    assert facts.applications[0].server_xml.context_path == "/a000"
    assert f"{JIRA}/conf" in str(facts.unreadable)


def test_shared_home_of_jira(host):
    host.jira().write(
        "/var/atlassian/application-data/jira/cluster.properties",
        "jira.node.id = n1\njira.shared.home = /shared/jira\n",
    )
    assert only(host).shared_home == "/shared/jira"


def test_tomcat_version_of_release_notes(host):
    host.jira().write(JIRA + "/lib/catalina.jar", b"no zip").write(
        JIRA + "/RELEASE-NOTES", "\n   Apache Tomcat Version 8.5.78\n"
    )
    facts = facts_of(host)
    assert facts.applications[0].tomcat_version == "8.5.78"
    assert any(item.what.endswith("catalina.jar") for item in facts.unreadable)


@ENDS
def test_a_long_property_is_gone_through_once(host):
    attributes = " ".join(f'a{number}="${{a}}{number}"' for number in range(15_000))
    text = f'<Server><Service><Connector port="8080" {attributes}/><Engine name="E"/></Service></Server>'
    host.jira().write(f"{JIRA}/conf/server.xml", text)
    host.write(f"{JIRA}/conf/catalina.properties", "a=" + "${b}" * 500_000 + "\nb=1\n")
    assert only(host).server_xml.connectors[0].port == 8080
