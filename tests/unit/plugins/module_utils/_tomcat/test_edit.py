# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an edit of a connector changes, to the byte, and what it refuses."""

from __future__ import annotations

import codecs

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._tomcat import connectors, server_xml
from ansible_collections.collab.rtc.plugins.module_utils._tomcat.edit import EditRefused, edit_connector
from ansible_collections.collab.rtc.plugins.module_utils._xml import start_tag
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "server_xml"
HEAD, REST = '<Server><Service name="S">\n  ', "\n</Service></Server>"
PROXY = {"scheme": "https", "secure": "true", "proxyName": "wiki.example.com", "proxyPort": "443"}


def resolve_all(element):
    return {name: element.value(name) for name in element.attributes}


def edit(data, attributes, port=None, version="", properties=None):
    model = server_xml.parse(data, "server.xml", properties)
    connector, _reason = connectors.choose_connector(model, port)
    return edit_connector(model, connector, attributes, version)


def edit_tag(tag, attributes, properties=None):
    """Edit a connector alone; what surrounds it must stay."""
    new = edit((HEAD + tag + REST).encode(), attributes, properties=properties).data.decode()
    assert new.startswith(HEAD)
    assert new.endswith(REST)
    return new[len(HEAD) : -len(REST)]


ONE_LINE = '<Connector port="8080" protocol="HTTP/1.1"/>'
WRAPPED = """<Connector port="8090" connectionTimeout="20000" redirectPort="8443"
             maxThreads="48" minSpareThreads="10"
             acceptCount="10" protocol="HTTP/1.1"/>"""
COLUMN = """<Connector port="8090"
             maxThreads="48"
             scheme="http"

             acceptCount="10"
  />"""


@pytest.mark.parametrize(
    ("tag", "attributes", "result"),
    [
        # a value alone changes
        (ONE_LINE, {"port": "1"}, '<Connector port="1" protocol="HTTP/1.1"/>'),
        ("<Connector port = '1'\tscheme='x' />", {"scheme": "y"}, "<Connector port = '1'\tscheme='y' />"),
        ('<Connector port="1"></Connector>', {"port": "2"}, '<Connector port="2"></Connector>'),
        # escapes that the quotes need
        ("<Connector port='1'/>", {"server": "a'b\"c<d>&e"}, "<Connector port='1' server='a&apos;b\"c&lt;d>&amp;e'/>"),
        ('<Connector port="1"/>', {"server": "a'b\"c"}, "<Connector port=\"1\" server=\"a'b&quot;c\"/>"),
        ('<Connector port="1"/>', {"server": "a\tb\nc\rd"}, '<Connector port="1" server="a&#9;b&#10;c&#13;d"/>'),
        # what says the same stays as it is written
        ('<Connector port="&#56;080"/>', {"port": "8080"}, '<Connector port="&#56;080"/>'),
        ('<Connector port="${p:-8080}"/>', {"port": "8080"}, '<Connector port="${p:-8080}"/>'),
        ('<Connector port="1" server="a\n  b"/>', {"server": "a   b"}, '<Connector port="1" server="a\n  b"/>'),
        ('<Connector port="1" server="a\n  b"/>', {"server": "a\n  b"}, '<Connector port="1" server="a&#10;  b"/>'),
        ("<Connector  port='1'  />", {"proxyName": None}, "<Connector  port='1'  />"),
        # an empty value is a value
        ('<Connector port="1" proxyName="x"/>', {"proxyName": ""}, '<Connector port="1" proxyName=""/>'),
        # placed beside the family, in the line
        (ONE_LINE, {"address": "127.0.0.1"}, '<Connector port="8080" address="127.0.0.1" protocol="HTTP/1.1"/>'),
        (ONE_LINE, {"proxyPort": "443", "scheme": "https"},
         '<Connector port="8080" protocol="HTTP/1.1" scheme="https" proxyPort="443"/>'),
        ('<Connector port="1" proxyName="x" executor="e" />', {"scheme": "https", "proxyPort": "2"},
         '<Connector port="1" scheme="https" proxyName="x" proxyPort="2" executor="e" />'),
        ('<Connector protocol="HTTP/1.1" port="1"/>', {"address": "::1"},
         '<Connector protocol="HTTP/1.1" port="1" address="::1"/>'),
        ("<Connector/>", {"port": "8080"}, '<Connector port="8080"/>'),
        ("<Connector />", {"port": "8080"}, '<Connector port="8080" />'),
        ("<Connector></Connector>", {"port": "8080"}, '<Connector port="8080"></Connector>'),
        # the style of the neighbour
        ("<Connector port = '1'/>", {"scheme": "https"}, "<Connector port = '1' scheme = 'https'/>"),
        # attributes in a column stay a column
        (COLUMN, PROXY, """<Connector port="8090"
             maxThreads="48"
             scheme="https"
             secure="true"
             proxyName="wiki.example.com"
             proxyPort="443"

             acceptCount="10"
  />"""),
        (COLUMN, {"address": "::1", "server": "x"}, """<Connector port="8090"
             address="::1"
             maxThreads="48"
             scheme="http"

             acceptCount="10"
             server="x"
  />"""),
        (COLUMN.replace("scheme", "proxyName"), {"scheme": "https"}, """<Connector port="8090"
             maxThreads="48"
             scheme="https"
             proxyName="http"

             acceptCount="10"
  />"""),
        # wrapped lines are filled, then broken where the others are
        (WRAPPED, PROXY, """<Connector port="8090" connectionTimeout="20000" redirectPort="8443"
             maxThreads="48" minSpareThreads="10"
             acceptCount="10" protocol="HTTP/1.1" scheme="https" secure="true" proxyName="wiki.example.com"
             proxyPort="443"/>"""),
        # one line that grows too long is broken below its first attribute; one that is too long already stays one
        ('<Connector port="1" executor="' + "e" * 70 + '"/>', {"server": "s" * 30},
         '<Connector port="1" executor="' + "e" * 70 + '"\n             server="' + "s" * 30 + '"/>'),
        ('<Connector port="1" executor="' + "e" * 140 + '"/>', {"server": "short"},
         '<Connector port="1" executor="' + "e" * 140 + '" server="short"/>'),
        # removal takes the white space that belonged to it
        (ONE_LINE, {"protocol": None}, '<Connector port="8080"/>'),
        (ONE_LINE, {"port": None}, '<Connector protocol="HTTP/1.1"/>'),
        ("<Connector port='1' />", {"port": None}, "<Connector />"),
        (WRAPPED, {"maxThreads": None}, WRAPPED.replace('maxThreads="48" ', "")),
        (WRAPPED, {"minSpareThreads": None}, WRAPPED.replace(' minSpareThreads="10"', "")),
        (WRAPPED, {"maxThreads": None, "minSpareThreads": None},
         WRAPPED.replace('\n             maxThreads="48" minSpareThreads="10"', "")),
        (WRAPPED, {"redirectPort": None}, WRAPPED.replace(' redirectPort="8443"', "")),
        (WRAPPED, {"protocol": None}, WRAPPED.replace(' protocol="HTTP/1.1"', "")),
        (COLUMN, {"scheme": None}, COLUMN.replace('\n             scheme="http"', "")),
        (COLUMN, {"acceptCount": None}, COLUMN.replace('\n\n             acceptCount="10"', "")),
        (COLUMN, {"port": None}, COLUMN.replace('port="8090"\n             ', "")),
    ],
)  # fmt: skip
def test_edits(tag, attributes, result):
    assert edit_tag(tag, attributes) == result


def test_an_edit_and_its_reverse_give_the_file_back():
    data = (DATA / "confluence.xml").read_bytes()
    there = edit(data, PROXY).data
    assert there != data
    assert edit(there, dict.fromkeys(PROXY)).data == data


@pytest.mark.parametrize("name", ["confluence.xml", "jira.xml", "oddities.xml", "tls.xml"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("attributes", [PROXY, {"port": None}, {"address": "::1", "redirectPort": "1"}])
def test_only_the_connector_changes(name, newline, final, attributes):
    text = (DATA / name).read_text(encoding="utf-8")
    text = (text if final else text.rstrip("\n")).replace("\n", newline)
    model = server_xml.parse(text.encode(), name)
    connector, _reason = connectors.choose_connector(model)
    new = edit_connector(model, connector, attributes).data.decode()
    tag = start_tag.read(model.document, connector.node)
    assert new.startswith(text[: tag.start])
    assert new.endswith(text[tag.end :])
    expected = {**resolve_all(connector), **attributes}
    after = server_xml.parse(new.encode(), name).connectors[model.connectors.index(connector)]
    assert resolve_all(after) == {key: value for key, value in expected.items() if value is not None}
    if newline != "\n":
        assert "\n" not in new.replace("\r\n", "")


@pytest.mark.parametrize(
    ("codec", "bom", "declared"),
    [
        ("utf-8", b"", ""),
        ("utf-8", b"", "UTF-8"),
        ("utf-8", codecs.BOM_UTF8, ""),
        ("utf-8", codecs.BOM_UTF8, "utf8"),
        ("latin-1", b"", "ISO-8859-1"),
        ("cp1252", b"", "windows-1252"),
        ("ascii", b"", "US-ASCII"),
        ("utf-16-le", codecs.BOM_UTF16_LE, ""),
        ("utf-16-le", codecs.BOM_UTF16_LE, "UTF-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "UTF-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16be"),
        ("utf-16-le", b"", "UTF-16"),
    ],
)
def test_encodings_are_kept(codec, bom, declared):
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    accent = "" if codec == "ascii" else "é"
    text = declaration + f'<Server><!-- {accent} --><Service><Connector port="1" server="{accent}"/></Service></Server>'
    data = bom + text.encode(codec)
    new = edit(data, {"proxyName": "zoë"}).data
    name = "zo&#xeb;" if codec == "ascii" else "zoë"
    assert new == bom + text.replace('"/>', f'" proxyName="{name}"/>', 1).encode(codec)
    assert edit(new, {"proxyName": "zoë"}).data == new


def test_a_character_that_the_encoding_lacks_becomes_a_reference():
    data = '<?xml version="1.0" encoding="ISO-8859-1"?><Server><Service><Connector port="1"/></Service></Server>'
    result = edit(data.encode("latin-1"), {"server": "é €😀"})
    assert b'server="\xe9 &#x20ac;&#x1f600;"' in result.data
    assert result.after["server"] == "é €😀"


def test_properties_decide_what_is_the_same():
    tag = '<Connector port="8080" proxyName="${name}" proxyPort="${port}"/>'
    asked = {"proxyName": "a.example", "proxyPort": "443"}
    assert edit_tag(tag, asked, {"name": "a.example", "port": "443"}) == tag
    assert edit_tag(tag, asked, {"name": "b.example", "port": "443"}) == tag.replace("${name}", "a.example")
    assert edit_tag(tag, asked) == tag.replace("${name}", "a.example").replace("${port}", "443")
    assert edit_tag(tag, {"proxyName": "${name}"}, {"name": "a.example"}) == tag


def test_the_oddities_stay():
    data = (DATA / "oddities.xml").read_bytes()
    assert edit(data, {"port": "8080", "proxyPort": "8090", "proxyName": "wiki.example.com"}).data == data
    new = edit(data, {"proxyPort": "443"}).data
    assert new == data.replace(b"proxyPort='&app-port;'", b"proxyPort='443'")


def test_what_is_reported():
    result = edit((DATA / "confluence.xml").read_bytes(), {"port": "1", "redirectPort": None, "scheme": "http"})
    assert result.changed
    assert (result.before["port"], result.before["redirectPort"]) == ("8090", "8443")
    assert (result.after["port"], result.after["scheme"]) == ("1", "http")
    assert "redirectPort" not in result.after
    assert not edit((DATA / "confluence.xml").read_bytes(), {"port": "8090"}).changed


@pytest.mark.parametrize(
    "around",
    [
        '<Interceptor className="org.apache.catalina.tribes.group.interceptors.EncryptInterceptor" encryptionKey="hunter2"/>',
        '<Resource name="mail/Session" mail.smtp.password="hunter2"/>',
        '<Resource name="jdbc/wiki" url="jdbc:mysql://db/wiki?user=wiki&amp;password=hunter2"/>',
        '<Resource name="jdbc/wiki" url="jdbc:postgresql://wiki:hunter2@db/wiki"/>',
        '<Resource name="jdbc/wiki" connectionProperties="user=wiki;password=hunter2;"/>',
        '<Environment name="db.password" type="java.lang.String" value="hunter2"/>',
        '<Valve className="com.example.Sso" clientSecret="hunter2" apiKey="hunter2"/>',
        "<!-- keystorePass=hunter2 -->",
        "<!-- the password: hunter2 -->",
    ],
)
def test_no_secret_around_the_connector_is_in_the_diff(around):
    """A diff has three lines around each change."""
    result = edit((HEAD + around + '<Connector port="1"/>' + REST).encode(), {"proxyName": "wiki.example.com"})
    assert b"hunter2" in result.data
    for text in (result.text_before, result.text_after):
        assert "hunter2" not in text
        assert "<Connector" in text
    assert 'proxyName="wiki.example.com"' in result.text_after


@pytest.mark.parametrize(
    ("tag", "asked", "written"),
    [
        ('<Connector Port="1" ProxyName="old"/>', {"proxyName": "new"}, '<Connector Port="1" ProxyName="new"/>'),
        ('<Connector Port="1" ProxyName="old"/>', {"proxyName": "old"}, '<Connector Port="1" ProxyName="old"/>'),
        ('<Connector port="1" ProxyName="old"/>', {"proxyName": None}, '<Connector port="1"/>'),
        (
            '<Connector port="1" proxyName="a" ProxyName="b"/>',
            {"proxyName": "new"},
            '<Connector port="1" proxyName="a" ProxyName="new"/>',
        ),
        (
            '<Connector port="1" ProxyName="b" proxyName="a"/>',
            {"proxyName": "new"},
            '<Connector port="1" ProxyName="b" proxyName="new"/>',
        ),
        ('<Connector port="1" ProxyName="b" proxyName="a"/>', {"proxyName": None}, '<Connector port="1"/>'),
        ('<Connector port="1" proxyname="x"/>', {"proxyname": None}, '<Connector port="1"/>'),
    ],
)
def test_names_in_other_letters(tag, asked, written):
    """``ProxyName`` sets what ``proxyName`` sets, and the later one counts: tried with Tomcat 9.0.98."""
    result = edit((HEAD + tag + REST).encode(), asked)
    assert result.data.decode() == HEAD + written + REST
    name = next(iter(asked))
    assert result.after.get(name) == asked[name]
    assert result.changed == (tag != written)


def test_secrets_are_masked_in_the_diff_and_changes_of_them_show():
    tag = '<Connector port="1" keystorePass=\'old-secret\' keyPass = "two"/><!-- keystorePass="comment-secret" -->'
    result = edit((HEAD + tag + REST).encode(), {"keystorePass": "new-secret"})
    assert b"'new-secret'" in result.data
    assert result.text_before != result.text_after
    for text in (result.text_before, result.text_after):
        assert "secret" not in text
        assert "two" not in text
    assert "keystorePass='******** (new)' keyPass = \"********\"" in result.text_after


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["10", "10.1.34", "11.0.2"])
def test_tls_attributes_are_gone_from_tomcat_10(version):
    data = (HEAD + ONE_LINE + REST).encode()
    with pytest.raises(EditRefused, match=r"has no attribute keystoreFile.*SSLHostConfig") as caught:
        edit(data, {"keystoreFile": "conf/x.p12"}, version=version)
    assert caught.value.line == 2


@pytest.mark.parametrize("version", ["8.5.100", "9.0.98", "9", "", "nonsense"])
def test_tls_attributes_are_there_before(version):
    data = (HEAD + ONE_LINE + REST).encode()
    assert b'keystoreFile="conf/x.p12"' in edit(data, {"keystoreFile": "conf/x.p12"}, version=version).data


def test_gone_attributes_can_still_be_removed():
    data = (HEAD + '<Connector port="1" keystoreFile="x"/>' + REST).encode()
    assert b"keystoreFile" not in edit(data, {"keystoreFile": None}, version="11.0.2").data


def test_a_protocol_of_others_may_have_any_attribute():
    tag = '<Connector port="1" protocol="com.example.Http"/>'
    assert b"keystoreFile" in edit((HEAD + tag + REST).encode(), {"keystoreFile": "x"}, version="11.0.2").data


@pytest.mark.parametrize("name", ["", "a b", 'a"', "1a", "a=b", "é", "a:b", "a\n"])
def test_names_that_are_no_names(name):
    with pytest.raises(EditRefused, match="not the name of an attribute"):
        edit((HEAD + ONE_LINE + REST).encode(), {name: "x"})


@pytest.mark.parametrize("value", ["a\0", "\x1b", "\ufffe", "\ud800"])
def test_values_that_xml_cannot_hold(value):
    with pytest.raises(EditRefused, match="a character that XML has not"):
        edit((HEAD + ONE_LINE + REST).encode(), {"server": value})


def test_a_connector_of_an_internal_entity_is_not_edited():
    data = (DATA / "external.xml").read_bytes()
    with pytest.raises(connectors.ConnectorElsewhere, match="line 10: this connector comes from an entity"):
        edit(data, {"scheme": "https"}, port=8090)


def test_a_default_of_the_doctype_is_not_removed():
    text = '<!DOCTYPE Server [<!ATTLIST Connector scheme CDATA "https">]>' + HEAD + '<Connector port="1"/>' + REST
    assert edit(text.encode(), {"scheme": "https"}).data == text.encode()
    assert b'scheme="http"' in edit(text.encode(), {"scheme": "http"}).data
    with pytest.raises(EditRefused, match="scheme is a default that the DOCTYPE declares"):
        edit(text.encode(), {"scheme": None})


def test_a_removal_that_uncovers_a_default_is_refused():
    text = '<!DOCTYPE Server [<!ATTLIST Connector scheme CDATA "https">]>' + HEAD + '<Connector scheme="x"/>' + REST
    with pytest.raises(EditRefused, match="differ in more than what was asked"):
        edit(text.encode(), {"scheme": None})
