# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from a server.xml, which connector is the users', and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._tomcat import connectors, property_sources, server_xml
from ansible_collections.collab.rtc.plugins.module_utils._xml import start_tag
from ansible_collections.collab.rtc.tests.unit import growth, paths

DATA = paths.DATA / "server_xml"
ONE = '<Server><Service name="S">{}</Service></Server>'


def load(name, **properties):
    return server_xml.parse((DATA / name).read_bytes(), name, properties)


def model_of(*connectors, doctype=""):
    text = doctype + ONE.format("".join(connectors))
    return server_xml.parse(text.encode(), "server.xml")


def test_only_live_connectors_are_read():
    model = load("confluence.xml")
    assert [(item.line, item.port) for item in model.connectors] == [(6, 8090)]
    assert model.shutdown_port == 8000


def test_attributes_are_decoded_and_raw():
    model = load("jira.xml")
    connector = model.connectors[0]
    assert connector.attributes["relaxedQueryChars"] == '[]|{}^\\`"<>'
    raw = {piece.name: piece.raw for piece in start_tag.read(model.document, connector.node).pieces}
    assert raw["relaxedQueryChars"] == "[]|{}^&#x5c;&#x60;&quot;&lt;&gt;"


@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_a_tag_is_found_behind_characters_of_several_bytes_and_behind_a_mebibyte(codec):
    filler = "<!-- \u20ac\U0001f600 -->" + ("<Listener className='\xe9'/><!-- " + "x" * 60 + " -->") * 15_000
    text = "<Server>" + filler + '<Service><Connector port="1"/>\u20ac<Connector port="2" /></Service></Server>'
    model = server_xml.parse(text.encode(codec))
    tags = [start_tag.read(model.document, connector.node) for connector in model.connectors]
    assert [text[tag.start : tag.end] for tag in tags] == ['<Connector port="1"/>', '<Connector port="2" />']
    assert [tag.render() for tag in tags] == ['<Connector port="1"/>', '<Connector port="2" />']


def test_a_tag_that_is_not_what_was_parsed_is_refused():
    model = model_of('<Connector port="1"/>')
    node = model.connectors[0].node
    node.attributes["port"] = "2"
    with pytest.raises(connectors.IllFormed, match="disagree"):
        start_tag.read(model.document, node)


def test_oddities_are_read():
    model = load("oddities.xml")
    (connector,) = model.connectors
    assert connector.line == 13
    assert connector.port == 8080
    assert connector.attributes["server"] == "say \"hello\" & 'bye' > here"
    assert connector.attributes["proxyPort"] == "8090"
    assert connector.value("proxyName") == "wiki.example.com"
    assert model.shutdown_port == 8005


def test_ajp_is_told_from_http():
    assert [item.is_ajp for item in load("jira.xml").connectors] == [False, False, True]
    by_class = model_of('<Connector port="1" protocol="org.apache.coyote.ajp.AjpNioProtocol"/>')
    assert by_class.connectors[0].is_ajp


def test_tls_hosts_and_certificates():
    plain, secure = load("tls.xml", **{"catalina.base": "/srv/tomcat"}).connectors
    assert not plain.is_tls
    assert secure.is_tls
    assert [(host.host_name, host.line, len(host.certificates)) for host in server_xml.list_ssl_hosts(secure)] == [
        ("_default_", 10, 1),
        ("other.example.com", 14, 2),
    ]
    certificate = server_xml.list_ssl_hosts(secure)[0].certificates[0]
    assert (certificate.line, certificate.value("certificateKeystoreFile")) == (11, "/srv/tomcat/conf/site.p12")


def test_contexts_and_valves():
    model = load("confluence.xml")
    assert [item.path for item in model.contexts] == ["${confluence.context.path}/synchrony-proxy", "/wiki"]
    context = model.application_context("confluence")
    assert (context.path, context.doc_base, context.line) == ("/wiki", "../confluence", 25)
    assert [(item.where, item.line) for item in model.remote_ip_valves] == [("Context", 26)]
    (valve,) = load("tls.xml").remote_ip_valves
    assert (valve.where, valve.value("protocolHeader")) == ("Engine", "X-Proto")
    assert load("jira.xml").application_context("jira").path == ""
    assert load("tls.xml").application_context() is None


@pytest.mark.parametrize(
    ("value", "text", "unknown"),
    [
        ("8080", "8080", []),
        ("${port}", "8080", []),
        ("a${port}b${port}c", "a8080b8080c", []),
        ("${none}", "${none}", ["none"]),
        ("${none:-80}", "80", []),
        ("${port:-80}", "8080", []),
        ("${none:-}", "", []),
        ("${with:-dash}", "whole", []),
        ("${twice}", "8080", []),
        ("$port $$ ${open", "$port $$ ${open", []),
        ("${none}${none}${other}", "${none}${none}${other}", ["none", "other"]),
        ("${loop}", None, ["a property that refers to itself"]),
        ("${grows}", None, ["a property that refers to itself"]),
        ("${large}" * 1000, None, ["a property that refers to itself"]),
        ("${${none}x}${", "${${none}x}${", ["${none"]),
    ],
)
def test_resolve(value, text, unknown):
    properties = {
        "port": "8080",
        "with:-dash": "whole",
        "twice": "${port}",
        "loop": "x${loop}",
        "grows": "${grows}" * 30,
        "large": "x" * 100_000,
    }
    found, names = property_sources.resolve(value, properties)
    assert names == unknown
    assert text is None or found == text
    assert len(found) < 10_000_000


@pytest.mark.parametrize(
    ("offset", "ports"),
    [
        ("100", [8190, 8543, 0, -1, 8105]),
        ("-10", [8080, 8433, 0, -1, 7995]),
        ("${offset}", [8097, 8450, 0, -1, 8012]),
        ("many", [8090, 8443, 0, -1, 8005]),  # Tomcat warns, and leaves it out
        ("${none}", [None, None, 0, -1, None]),
    ],
)
def test_all_ports_have_the_offset_of_the_server(offset, ports):
    text = f"""<Server portOffset="{offset}"><Service><Connector port="8090" redirectPort="8443"/>
      <Connector port="0"/><Connector port="-1"/></Service></Server>"""
    model = server_xml.parse(text.encode(), properties={"offset": "7"})
    first, second, third = model.connectors
    assert [first.port, first.redirect_port, second.port, third.port, model.shutdown_port] == ports
    assert first.unresolved() == ([] if ports[0] else ["port"])
    if ports[0]:
        assert connectors.choose_connector(model, ports[0])[0] is first


@pytest.mark.parametrize("name", ["idna", "punycode", "unicode_escape", "raw-unicode-escape", "utf-7", "UTF7", "rot13"])
def test_an_encoding_of_python_alone_is_refused(name):
    with pytest.raises(connectors.IllFormed, match="not usable here"):
        server_xml.parse(f'<?xml version="1.0" encoding="{name}"?><Server/>'.encode())


def test_an_unresolved_port_is_unknown():
    model = model_of('<Connector port="${http.port}"/>')
    assert model.connectors[0].port is None
    assert model.connectors[0].unresolved() == ["port"]


# -- which connector ------------------------------------------------------------------------------------------------

PLAIN = '<Connector port="8081"/>'
OTHER = '<Connector port="7070"/>'
PROXIED = '<Connector port="7080" proxyName="a.example"/>'
EMPTY_PROXY = '<Connector port="7081" proxyName=""/>'
JIRA = '<Connector port="8080"/>'
CONFLUENCE = '<Connector port="8090"/>'
TLS = '<Connector port="8443" SSLEnabled="true"/>'
REDIRECTING = '<Connector port="8080" redirectPort="8443"/>'
AJP = '<Connector port="8009" protocol="AJP/1.3" proxyName="a.example"/>'


@pytest.mark.parametrize(
    ("given", "port", "reason"),
    [
        ([PLAIN], 8081, "only HTTP connector"),
        ([AJP, PLAIN], 8081, "only HTTP connector"),
        ([JIRA, PROXIED], 7080, "proxyName"),
        ([EMPTY_PROXY, PROXIED, JIRA], 7080, "proxyName"),
        ([JIRA, EMPTY_PROXY], 8080, "default port"),
        ([OTHER, CONFLUENCE, PLAIN], 8090, "default port"),
        ([REDIRECTING, TLS], 8443, "TLS"),
        ([JIRA, TLS], 8080, "default port"),
    ],
)
def test_the_users_connector(given, port, reason):
    connector, why = connectors.choose_connector(model_of(*given))
    assert connector.port == port
    assert reason in why


@pytest.mark.parametrize("given", [[PLAIN, OTHER], [PROXIED, PROXIED.replace("7080", "1")], [JIRA, CONFLUENCE]])
def test_ambiguous_choice_names_the_candidates(given):
    model = model_of(*(item + "\n" for item in given))
    with pytest.raises(connectors.AmbiguousConnector) as caught:
        connectors.choose_connector(model)
    assert [item.line for item in caught.value.candidates] == [1, 2]
    assert "line 1: connector" in str(caught.value)
    assert "line 2: connector" in str(caught.value)


def test_the_kind_decides_which_default_port_counts():
    model = model_of(JIRA, CONFLUENCE)
    assert connectors.choose_connector(model, kind="jira")[0].port == 8080
    assert connectors.choose_connector(model, kind="confluence")[0].port == 8090


def test_choice_by_port_resolves_properties():
    text = ONE.format('<Connector port="${p}"/><Connector port="1"/>').encode()
    model = server_xml.parse(text, "s", {"p": "8099"})
    assert connectors.choose_connector(model, 8099)[0] is model.connectors[0]


def test_two_connectors_on_one_port():
    with pytest.raises(connectors.AmbiguousConnector, match="2 connectors have port 8080"):
        connectors.choose_connector(model_of(JIRA, JIRA), 8080)


@pytest.mark.parametrize(
    ("given", "port", "message"),
    [
        ([], None, "no live connector at all"),
        ([AJP], None, "line 1: AJP connector 8009"),
        ([AJP], 8009, "no live HTTP connector on port 8009"),
        ([JIRA], 8081, "it has line 1: connector 8080"),
        (['<Connector port="${p}"/>'], 8081, "Give the JVM properties"),
    ],
)
def test_no_connector(given, port, message):
    with pytest.raises(connectors.NoConnector) as caught:
        connectors.choose_connector(model_of(*given), port)
    assert message in str(caught.value)


def test_a_connector_elsewhere_than_in_a_service_is_not_live():
    model = server_xml.parse(b'<Server><Connector port="8080"/><Service><Engine/></Service></Server>')
    assert model.connectors == ()


# -- entities --------------------------------------------------------------------------------------------------------


def test_external_entities_are_reported_and_never_read():
    model = load("external.xml")
    assert [(part.name, part.system_id, part.line) for part in model.external] == [("connectors", "connectors.xml", 9)]
    assert [part.name for part in model.document.external] == ["connectors", "hosts"]
    assert [(item.port, item.line) for item in model.connectors] == [(8090, 10), (8080, 11)]
    assert connectors.choose_connector(model, 8080)[0].port == 8080
    with pytest.raises(connectors.ConnectorElsewhere, match=r"line 9: &connectors; \(connectors.xml\)"):
        connectors.choose_connector(model)
    with pytest.raises(connectors.ConnectorElsewhere):
        connectors.choose_connector(model, 9999)


def test_an_entity_of_an_external_dtd_is_reported():
    text = b'<!DOCTYPE Server SYSTEM "x.dtd"><Server><Service>&all;</Service></Server>'
    with pytest.raises(connectors.ConnectorElsewhere, match="&all;"):
        connectors.choose_connector(server_xml.parse(text))


@pytest.mark.parametrize(
    "doctype",
    [
        'SYSTEM "x.dtd"',
        'PUBLIC "-//x" "x.dtd" [<!ENTITY other "y">]',
        'SYSTEM "x.dtd" [<!ENTITY outer "&host;">]',
        '[<!ENTITY % more SYSTEM "more.ent"> %more;]',
        '[<!ENTITY % more SYSTEM "more.ent"> %more; <!ENTITY host "x">]',
        """[<!ENTITY % more "<!ENTITY host 'x'>"> %more;]""",
    ],
)
def test_a_value_by_an_entity_that_is_declared_where_nobody_reads_is_unknown_and_not_empty(doctype):
    """Tomcat reads all of these; expat gives an empty value without a word."""
    name = "outer" if "outer" in doctype else "host"
    text = f'<!DOCTYPE Server {doctype}>\n<Server><!-- &any; -->\n<Service><Connector port="1" proxyName="&{name};"/></Service></Server>'
    with pytest.raises(connectors.IllFormed, match=r"line 3: &host; in <Connector> .* not read") as caught:
        server_xml.parse(text.encode())
    assert "in its place" in caught.value.remedy


def test_an_element_of_an_entity_may_have_such_a_value_too():
    text = """<!DOCTYPE Server SYSTEM "x.dtd" [<!ENTITY all "<Connector port='&port;'/>">]><Server><Service>&all;</Service></Server>"""
    with pytest.raises(connectors.IllFormed, match="&port; in <Connector>"):
        server_xml.parse(text.encode())


def test_what_an_external_dtd_brings_elsewhere_does_not_concern_the_attributes():
    text = """<!DOCTYPE Server SYSTEM "x.dtd" [<!ENTITY name "a&amp;b"><!ENTITY out SYSTEM "y"><!ENTITY in "<Listener/>&out;">]>
<Server>&in;<!-- proxyName="&host;" --><Service><Connector port="1" proxyName='&name;&lt;&#65;'/></Service></Server>"""
    assert server_xml.parse(text.encode()).connectors[0].value("proxyName") == "a&b<A"


def test_xml_1_1_is_what_cannot_be_read_where_tomcat_reads_it():
    with pytest.raises(connectors.IllFormed) as caught:
        server_xml.parse(b"<?xml version='1.1'?>\n<Server><Service><Connector port='1' x='&#1;'/></Service></Server>")
    assert "declare version 1.0" in caught.value.remedy
    assert "does not start" not in caught.value.remedy


def laughs(levels):
    entities = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10 if level else "ha"}">' for level in range(levels))
    return f"<!DOCTYPE Server [{entities}]>"


@pytest.mark.parametrize("use", ["<a>&e9;</a>", '<a b="&e9;"/>', ""])
def test_a_billion_laughs_are_refused(use):
    with pytest.raises(connectors.IllFormed, match="grows beyond"):
        model_of(use, doctype=laughs(10))


def test_an_attribute_default_cannot_laugh():
    doctype = laughs(10).replace("]>", '<!ATTLIST a b CDATA "&e9;">]>')
    with pytest.raises(connectors.IllFormed, match="grows beyond"):
        model_of("<a/>", doctype=doctype)


def test_a_quadratic_blow_up_is_refused():
    doctype = f'<!DOCTYPE Server [<!ENTITY e "{"x" * 500_000}">]>'
    with pytest.raises(connectors.IllFormed, match="grows beyond"):
        model_of("&e;" * 100, doctype=doctype)


def test_an_attribute_that_names_a_large_entity_often_is_refused_before_it_is_made():
    doctype = f'<!DOCTYPE Server [<!ENTITY e "{"x" * 500_000}">]>'
    with pytest.raises(connectors.IllFormed, match="line 1: it grows beyond"):
        model_of(f'<a b="{"&e;" * 100}"/>', doctype=doctype)


@pytest.mark.parametrize(
    "default", [f'a CDATA "{"x" * 500_000}"', " ".join(f'a{number} CDATA ""' for number in range(500))]
)
def test_defaults_that_each_element_has_are_counted(default):
    with pytest.raises(connectors.IllFormed, match="grows beyond"):
        model_of("<x/>" * 50_000, doctype=f"<!DOCTYPE Server [<!ATTLIST x {default}>]>")


def test_entities_that_are_named_within_others_are_measured_once():
    def make(size):
        return "".join(f'<!ENTITY e{number} "{"&z;" * 5_000}">' for number in range(size))

    growth.require_linear(lambda entities: model_of(doctype=f"<!DOCTYPE Server [{entities}]>"), make, 199)


def test_references_that_do_not_end_are_looked_at_once():
    def read(size):
        return model_of(f'<Connector port="1" server="{"${" * size}"/>').connectors[0]

    assert read(10).unresolved() == []
    growth.require_linear(lambda connector: connector.unresolved(), read, 300_000)


def test_a_deep_nest_is_refused():
    with pytest.raises(connectors.IllFormed, match="grows beyond"):
        model_of("<a>" * 50_000 + "</a>" * 50_000)


def test_too_many_entities_are_refused():
    entities = "".join(f'<!ENTITY e{number} "x">' for number in range(300))
    with pytest.raises(connectors.IllFormed, match="grows beyond"):
        model_of(doctype=f"<!DOCTYPE Server [{entities}]>")


def test_an_entity_that_refers_to_itself_is_ill_formed():
    with pytest.raises(connectors.IllFormed, match="recursive"):
        model_of("&a;", doctype='<!DOCTYPE Server [<!ENTITY a "&b;"><!ENTITY b "&a;">]>')


# -- refusals --------------------------------------------------------------------------------------------------------


def test_an_uncommented_example_is_explained():
    with pytest.raises(connectors.IllFormed) as caught:
        load("uncommented.xml")
    assert (caught.value.line, caught.value.column) == (4, 31)
    assert "line 4, column 31" in str(caught.value)
    assert "taken out of its comment" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"", 1),
        (b"plain text", 1),
        (b"<Server>\n<Service>\n</Server>", 3),
        (b"<Server>\n<a b='1' b='2'/></Server>", 2),
        (b"<Server>\n<a b=1/></Server>", 2),
        (b"<Server>&nothing;</Server>", 1),
        (b"<Server/>\n<Server/>", 2),
        (b"<Server>\r\n\r\n<", 3),
    ],
)
def test_ill_formed_xml_has_a_line(text, line):
    with pytest.raises(connectors.IllFormed) as caught:
        server_xml.parse(text, "/x/server.xml")
    assert caught.value.line == line
    assert str(caught.value).startswith(f"/x/server.xml, line {line}, column ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'<?xml version="1.0" encoding="nonsense"?><Server/>', "nonsense"),
        (b'<?xml version="1.0" encoding="rot13"?><Server/>', "rot13"),
        (b'<?xml version="1.0" encoding="cp037"?><Server/>', "cp037"),
        (b'<?xml version="1.0" encoding="utf-16"?><Server/>', "utf-16"),
        (b'\xef\xbb\xbf<?xml version="1.0" encoding="latin1"?><Server/>', "say UTF-8"),
        ('\ufeff<?xml version="1.0" encoding="utf-8"?><Server/>'.encode("utf-16-le"), "say UTF-16-LE"),
        ("\ufeff<Server/>".encode("utf-32-le"), "UTF-32"),
        (b"<Server>\n<!-- \xe9 --></Server>", "line 2: the byte at offset 14"),
        (b"\xfe\xff\0<\0", "no valid UTF-16-BE"),
        # a shift sequence that does nothing would be lost
        (b'<?xml version="1.0" encoding="iso-2022-jp"?><Server><!-- \x1b(B --></Server>', "cannot be given back"),
    ],
)
def test_encodings_that_cannot_be_kept(data, message):
    with pytest.raises(connectors.IllFormed, match=message):
        server_xml.parse(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'<Context path=""/>', "<Context>, not <Server>"),
        (b"<web-app/>", "<web-app>"),
        ((DATA / "mmonit.xml").read_bytes(), "line 6: <Realm>.*M/Monit"),
    ],
)
def test_what_is_not_tomcats(text, message):
    with pytest.raises(connectors.NotTomcat, match=message):
        server_xml.parse(text)


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("ProxyName", "proxyName"),
        ("proxyName", "proxyName"),
        ("SSLEnabled", "SSLEnabled"),
        ("sSLEnabled", "SSLEnabled"),
        ("URIEncoding", "URIEncoding"),
        ("Port", "port"),
        ("className", "className"),
        ("proxyname", "proxyname"),
        ("_x", "_x"),
    ],
)
def test_the_usual_spelling(text, usual):
    assert connectors.spell(text) == usual


def test_attributes_in_other_letters_are_read():
    tag = '<Connector Port="8090" Scheme="https" sSLEnabled="true" ProxyName="a" proxyName="b" RedirectPort="1"/>'
    model = server_xml.parse(f'<Server Port="7"><Service>{tag}</Service></Server>'.encode())
    (found,) = model.connectors
    assert (found.port, found.value("scheme"), found.is_tls, found.redirect_port) == (8090, "https", True, 1)
    assert found.attributes == {
        "port": "8090", "scheme": "https", "SSLEnabled": "true", "proxyName": "b", "redirectPort": "1",
    }  # fmt: skip
    assert model.shutdown_port == 7
