# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The marked block in setenv.sh, read back by our reader and by real shells."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._java import options, setenv
from ansible_collections.collab.rtc.plugins.module_utils._shell import syntax
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "installation"
STORE = "/var/atlassian/truststore"
LINES = [
    "# BEGIN collab.rtc: the trust store of its own (rtc_truststore_path)",
    f'CATALINA_OPTS="$CATALINA_OPTS -Djavax.net.ssl.trustStore={STORE}"',
    "export CATALINA_OPTS",
    "# END collab.rtc",
]
BLOCK = "\n".join(LINES)


def shipped(name):
    """The text of a script in the shape that the product ships, without a trust store of the administrator's."""
    text = (DATA / name).read_text(encoding="utf-8")
    return text.replace("-Djavax.net.ssl.trustStore=/etc/ssl/wiki.jks -Djavax.net.ssl.trustStorePassword=s3cret", "")


CONFLUENCE, JIRA = shipped("confluence-setenv.txt"), shipped("jira-setenv.txt")
SCRIPTS = {
    "confluence": CONFLUENCE,
    "jira": JIRA,
    "empty": "",
    "no final newline": "A=1",
    "crlf": "A=1\r\n# b\r\n",
    "latin-1": "# \udcfc\n",
    "blank lines": "A=1\n\n\n",
    "function": "f() { return 1; }\nfunction g {\n  return 1\n}\nf\n",
    "condition": "[ -r /x ] || exit 1\n",
    "subshell": "(exit 1)\n",
    "case": "case $x in a) exit 1 ;; (b) exit 2 ;; esac\n",
    "loop": "for x in a b; do [ -r /x ] && exit; done\n",
    "redirection": "exec 2>&1\n",
    "comment": "# -Djavax.net.ssl.trustStore=/x\n#exit 0\n",
    "here-document": "cat <<E\nexit 0\nE\n",
    "arithmetic": "HARD=$( ulimit -Hn )\nulimit -n $(( HARD > 16384  ? HARD : 16384 ))\n",
    "here-string": 'read -a V <<< "$X"',
    "nested": "v=`echo \"$($J/bin/java -version 2>&1)\" | awk '{ print substr($3, 2); }'`\n"
    "if $os400; then\n  exit 1\nfi",
    "text": "echo exit 0\necho 'a\nexit 0\n'\n",
    "export": "export CATALINA_OPTS='-Da=b'\n",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_block_comes_at_the_end_and_goes_without_a_trace(name):
    text = SCRIPTS[name]
    new = setenv.with_store(text, STORE, "setenv.sh")
    closed = not text or text.endswith("\n")
    assert new == (text + BLOCK + "\n" if closed else text + "\n" + BLOCK)
    assert setenv.with_store(new, STORE, "setenv.sh") == new
    assert setenv.without_store(new, "setenv.sh") == text
    assert setenv.without_store(text, "setenv.sh") == text
    assert options.read_setenv(new, "/opt/x", {}).properties["javax.net.ssl.trustStore"] == STORE


def test_another_store_takes_the_place_of_the_first():
    old = setenv.with_store("A=1\n", "/var/old", "setenv.sh") + "B=2\n"
    assert setenv.with_store(old, STORE, "setenv.sh") == f"A=1\n{BLOCK}\nB=2\n"
    assert setenv.without_store(old, "setenv.sh") == "A=1\nB=2\n"


def test_the_administrators_own_option_for_the_same_store_is_enough():
    text = f'CATALINA_OPTS="-Djavax.net.ssl.trustStore={STORE} $CATALINA_OPTS"\n'
    assert setenv.with_store(text, STORE, "setenv.sh") == text


OTHER = "-Djavax.net.ssl.trustStore=/etc/other.jks"
REFUSED = {
    "readonly CATALINA_OPTS=-Da=1\n": "does not reach the JVM",
    "declare -r CATALINA_OPTS\n": "does not reach the JVM",
    f"A=1\nJAVA_OPTS='{OTHER}'\n": "line 2: -Djavax.net.ssl.trustStore is set already, to /etc/other.jks",
    f"{BLOCK}\nCATALINA_OPTS='{OTHER}'\n": "line 5: -Djavax.net.ssl.trustStore is set already",
    f'if [ -n "$X" ]; then\n  CATALINA_OPTS={OTHER}\nfi\n': "line 2: -Djavax.net.ssl.trustStore is set already.",
    "CATALINA_OPTS=-Djavax.net.ssl.trustStore=$(find)\n": "line 1: -Djavax.net.ssl.trustStore is set already.",
    "A=1\nexit 0\n": "ends with 'exit 0' in any case",
    "A=1; return\nB=2\n": "ends with 'return' in any case",
    "exec java -jar x.jar\n": "ends with 'exec java -jar x.jar'",
    "A=1 \\\n": "ends within",
    "A=1 \\": "ends within",
    "A='\n": "ends within",
    'A="\n': "ends within",
    "cat <<E\na\n": "ends within",
    "if true; then\n": "ends within",
    "A=$(\n": "ends within",
    "f() {\n": "ends within",
    LINES[0] + "\n": "line 1: the block of collab.rtc is not whole",
    "A=1\n" + LINES[3] + "\n": "line 2: the block",
    f"{BLOCK}\n{BLOCK}\n": "more than once",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_added_to_is_refused(text):
    with pytest.raises(setenv.SetenvError) as caught:
        setenv.with_store(text, STORE, "/x/setenv.sh")
    assert REFUSED[text] in str(caught.value)
    assert "/x/setenv.sh" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("path", ["relative/store", "", "/a\nb", "/a\x00b", "/a\tb"])
def test_a_path_that_cannot_be_named_is_refused(path):
    with pytest.raises(setenv.SetenvError, match="cannot be named"):
        setenv.with_store("", path, "setenv.sh")


def test_a_damaged_block_is_not_removed():
    with pytest.raises(setenv.SetenvError, match="not whole"):
        setenv.without_store(LINES[0] + "\nA=1\n", "setenv.sh")


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    "path",
    [
        "/var/store",
        "/var/my store",
        "/a'b",
        '/a"b',
        "/a$HOME",
        "/a`id`",
        "/a\\b",
        "/a*b?",
        "/a  b",
        "/ü",
        "/a;b",
        "/a#b",
        "/!x",
    ],
)
def test_a_real_shell_hands_the_path_to_java(shell, path, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    script = tmp_path / "setenv.sh"
    text = setenv.with_store("CATALINA_OPTS='-Da=b'\n", path, "setenv.sh")
    script.write_text(text, encoding="utf-8")
    # As catalina.sh starts java.
    line = '. "$1"; eval printf "%s\\\\\\\\n" "\\"$JAVA_OPTS\\"" "$CATALINA_OPTS" -Dlast'
    command = [shell, "-c", line, "x", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[-3:] == ["-Da=b", f"-Djavax.net.ssl.trustStore={path}", "-Dlast"], done
    assert setenv.named(text) == path


def test_any_script_keeps_its_bytes():
    hypothesis = pytest.importorskip("hypothesis")
    strategies = pytest.importorskip("hypothesis.strategies")
    piece = strategies.sampled_from(
        [
            "A=1",
            "if x; then",
            "fi",
            "exit",
            "return 1",
            "\n",
            "\r\n",
            " ",
            "\\",
            "'",
            '"',
            "$",
            "`",
            "(",
            ")",
            "{",
            "}",
            "#",
            ";",
            "&&",
            "||",
            "case x in",
            "esac",
            "<<E",
            "E",
            "\udcff",
            "\x00",
            "CATALINA_OPTS=",
            "-Djavax.net.ssl.trustStore=/y",
            "export ",
            "ü",
            "while x; do",
            "done",
            "a)",
            ";;",
            "function f {",
            "exec y",
            "# BEGIN collab.rtc",
            "# END collab.rtc",
        ]
    )
    scripts = strategies.lists(piece, max_size=12).map("".join)
    paths = strategies.text(
        strategies.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs", "Cc"]), min_size=1
    )
    reached = []

    @hypothesis.settings(deadline=None)  # a busy machine is no fault of the code
    @hypothesis.given(scripts, paths.map("/".__add__))
    def check(text, path):
        try:
            new = setenv.with_store(text, path, "setenv.sh")
        except setenv.SetenvError:
            return
        reached.append(text)
        assert setenv.with_store(new, path, "setenv.sh") == new
        if new != text and not setenv.block_of(text):
            assert new.startswith(text)
            assert setenv.without_store(new, "setenv.sh") == text
        assert setenv.without_block(new) == setenv.without_block(text)
        assert setenv.named(new) == path

    check()
    assert len(reached) > 10


@pytest.mark.parametrize(
    ("script", "stop"),
    [
        ("exit", "exit"),
        ("A=1 && exit 1", ""),
        ("if a; then exit; fi", ""),
        ("a; exit 2; b", "exit 2"),
        ("a | exit", ""),
        ("exit &", ""),
    ],
)
def test_what_ends_a_script_in_any_case(script, stop):
    assert syntax.stops(script) == stop
