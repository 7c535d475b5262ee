# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._java.options import (
    read_command_line,
    read_setenv,
)
from ansible_collections.collab.rtc.plugins.module_utils._java.secrets import mask
from ansible_collections.collab.rtc.plugins.module_utils._shell import evaluate
from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import DATA

HOME = "/opt/atlassian/jira"
DIRECTORIES = (HOME, f"{HOME}/bin", "/a/b", "/d")  # that scripts change to


def setenv(text, environment=None, files=None, exists=None, **more):
    files = files or {}
    return read_setenv(text, HOME, environment or {}, files.get, exists or (lambda path: path in files), **more)


# Script -> the value of X after it ("?" stands for what only running could tell, None for unset).
SCRIPTS = {
    "plain": ("X=1", "1"),
    "double quotes": ('A=b; X="$A c"', "b c"),
    "single quotes keep a dollar": ("X='$A'", "$A"),
    "apostrophe within double quotes": ('X="it\'s"', "it's"),
    "escaped quote": (r'X="a\"b"', 'a"b'),
    "mixed quoting": ("X=a\"b\"'c'd", "abcd"),
    "continued line": ('X="a \\\nb"', "a b"),
    "several lines": ('X="a\nb"', "a\nb"),
    "appended": ("X=a\nX+=b", "ab"),
    "default for unset": ("X=${Y:-z}", "z"),
    "default for empty": ("Y=\nX=${Y:-z}", "z"),
    "default not for empty without a colon": ("Y=\nX=${Y-z}", ""),
    "default not needed": ("Y=1\nX=${Y:-z}", "1"),
    "nested default": ("X=${Y:-${Z:-deep}}", "deep"),
    "assigned default": (": ${X:=late}\nX=$X", "late"),
    "alternative": ("Y=1\nX=a${Y:+b}", "ab"),
    "prefix cut": ("Y=abc\nX=${Y#a}", "bc"),
    "output of a command": ("X=a`date`b", "a?b"),
    "output with quotes and brackets": ('X="$(echo ")" | sed "s/a/(/")"', "?"),
    "arithmetic": ("X=$((1 + 2))", "3"),
    "dirname": ('X=`dirname "$0"`', HOME + "/bin"),
    "own directory": ('X="$(cd "$(dirname "${BASH_SOURCE:-$0}")/.." && pwd)"', HOME),
    "own directory by array": ("X=$(cd $(dirname ${BASH_SOURCE[0]})/.. >/dev/null && pwd -P)", HOME),
    "exported": ("export X=1", "1"),
    "several exported": ("export Y=2 X=1", "1"),
    "for one command only": ("X=1\nX=2 echo", "1"),
    "unset": ("X=1\nunset X", None),
    "some items": ("Y=(a b c)\nX=${Y[@]:1}", "b c"),
    "each item changed": ("Y=(a.x b.y)\nX=${Y[@]%.*}", "a b"),
    "items joined by IFS": ('Y=(a b c)\nIFS=,\nX="${Y[*]}"', "a,b,c"),
    "arguments joined by IFS": ('set -- a b\nIFS=:\nX="$*"', "a:b"),
    "an item taken away": ("Y=(a b)\nunset 'Y[0]'\nX=\"${Y[*]}\"", "?"),
    "arithmetic of old": ("X=$[1+2]", "?"),
    "echo with escapes": ("X=$(echo -e 'a\\tb')", "?"),
    "codes of characters": ("X=$'a\\x41\\101\\q\\''", "aAA\\q'"),
    "a translated text": ('Y=b\nX=$"a$Y"', "ab"),
    "an apostrophe keeps a line end": ("X='a\\\nb'", "a\\\nb"),
    "a part of a match": ("[[ abc =~ b(c) ]] && X=${BASH_REMATCH[1]}", "?"),
    "two loops left": ("for i in 1 2; do for j in 1 2; do break 2; done; X=no; done\nX=${X:-yes}", "yes"),
    "the next of the outer loop": ("for i in 1 2; do for j in a b; do continue 2; X=no; done; X=no; done", None),
    "more loops left than there are": ("for i in 1 2; do break 9; done\nX=1", "1"),
    "what kind of command": ("X=$(type -t cd)", "?"),
    "readonly": ("readonly X=1\nX=2\nX+=3\nexport X=4\nunset X", "1"),
    "readonly afterwards": ("X=1\nreadonly X\nX=2", "1"),
    "declared so": ("declare -xr X=1\nX=2", "1"),
    "an array": ("declare -r X=(1 2)\nX=(3)", "1"),
    "by readonly in a function": ("f() { readonly X=1; }\nf\nX=2", "1"),
    "a readonly one of a function": ("f() { local -r X=1; }\nf\nX=2", "2"),
    "comment": ("X=1 # X=2\n#X=3", "1"),
    "number sign within a word": ("X=a#b", "a#b"),
    "if true": ('if [ "a" = "a" ]; then X=1; else X=2; fi', "1"),
    "if false": ('if [ -n "$NO" ]; then X=1; else X=2; fi', "2"),
    "if negated": ('if ! [ -n "$NO" ]; then X=1; else X=2; fi', "1"),
    "elif": ("if [ a = b ]; then X=1; elif [ a = a ]; then X=2; else X=3; fi", "2"),
    "if unknown: both, in order": ("X=0; if grep -q a /b; then X=1; else Y=1; fi", "1"),
    "nested if in a branch that does not count": ("if false; then if true; then X=1; fi; X=2; else X=3; fi", "3"),
    "double brackets": ('if [[ "$NO" == "" ]]; then X=1; fi', "1"),
    "file there": ("if [ -f /there ]; then X=1; else X=2; fi", "1"),
    "file missing": ("[ -r /missing ] && X=1 || X=2", "2"),
    "and": ('[ -z "$NO" ] && X=1', "1"),
    "or": ('[ -z "$NO" ] || X=1', None),
    "case": ("Y=b; case $Y in a|b) X=1;; *) X=2;; esac", "1"),
    "case, other": ('Y=q\ncase "$Y" in\n  a) X=1\n  ;;\n  *)\n  X=2 ;;\nesac', "2"),
    "loop": ("for i in 1 2; do X=$i; done", "2"),
    "function": ("f() {\n X=1\n}\nf", "1"),
    "here-document": ('cat <<EOF\nX="unbalanced\nEOF\nX=1', "1"),
    "here-string": ('read -a X2 <<< "$Y"\nX=1', "1"),
    "here-string of a bare word": ("read X2 <<< EOF\nX=1", "1"),
    "redirection": ("echo a 2>&1 >/dev/null; X=1", "1"),
    "carriage returns": ("X=1\r\nY=2\r\n", "1\r"),  # a word of the shell, not the end of a line
    "unbalanced quote": ('X=1\nY="open', "1"),
    "file read": (". /there\n", "from file"),
    "file read under an unknown name": (". `pwd`/there\nX=1", "1"),
}


# What only a language with functions, loops and arrays can say. Each value is what bash says, too.
SCRIPTS.update(
    {
        "start or run": ('if [ "$1" == "start" ] || [ "$1" = run ]; then X=1; else X=2; fi', "1"),
        "case of the first argument": ('case "$1" in\nstop) X=2;;\nstart|run) X=1 ;;\nesac', "1"),
        "count of arguments": ('[ $# -eq 1 ] && X="$*"', "start"),
        "array": ("A=(-Da=1 '-Db=2 3')\nA+=(-Dc)\nX=\"${A[*]}\"", "-Da=1 -Db=2 3 -Dc"),
        "array over lines": ("A=(\n a # not b\n c\n)\nX=${A[1]}", "c"),
        "array, one after another": ('A=(a b); for i in "${A[@]}"; do X="$X<$i>"; done', "<a><b>"),
        "array, its length": ("A=(a b c); X=${#A[@]}", "3"),
        "array, by index": ("A[2]=z; X=${A[2]}", "z"),
        "function that appends": ('add() { X="$X $1"; }\nadd -Da=1\nadd "-Db=2"', " -Da=1 -Db=2"),
        "function with a name for it": ("function add {\n local it=$1\n X=$X:$it\n}\nadd a; add b", ":a:b"),
        "function that is not called": ("f() { X=2; }\nX=1", "1"),
        "function that returns early": ("f() { X=1; return; X=2; }\nf", "1"),
        "files of a directory": ('for f in /d/*.sh; do . "$f"; done', "second"),
        "files of a directory that are there": ("for f in /d/*.sh /no/*.sh; do [ -r $f ] && . $f; done", "second"),
        "suffix cut": ("Y=/a/b/; X=${Y%/}", "/a/b"),
        "longest prefix cut": ("Y=/a/b; X=${Y##*/}", "b"),
        "text replaced": ("Y=a-b-c; X=${Y//-/.}", "a.b.c"),
        "part of a text": ("Y=abcdef; X=${Y:1:3}", "bcd"),
        "echo": ('X=$(echo "a  b" c)', "a  b c"),
        "printf": ("X=$(printf '%s/%s' a b)", "a/b"),
        "here-document in a substitution": ("Y=b\nX=$(cat <<EOF\na $Y\nEOF\n)", "a b"),
        "quoted here-document": ("X=$(cat <<'EOF'\na $Y\nEOF\n)", "a $Y"),
        "here-document into a function": ("f() { X=$(cat); }\nf <<E\na\nE", "a"),
        "link": ("X=$(readlink -f /link)", "/target"),
        "link, by realpath": ("X=`realpath /link`", "/target"),
        "file": ("X=$(cat /there)", "X='from file'"),
        "basename": ("X=$(basename /a/b.sh .sh)", "b"),
        "home": ('X="$HOME/a"', "/home/jira/a"),
        "tilde": ("X=~/a", "/home/jira/a"),
        "tilde after a colon": ("X=a:~/b", "a:/home/jira/b"),
        "tilde in quotes": ('X="~/a"', "~/a"),
        "tilde of somebody": ("X=~eve/a", "?/a"),
        "eval": ('Y=X; eval "$Y=1"', "1"),
        "file as output": ("X=$(< /there)", "X='from file'"),
        "printf into a variable": ("printf -v X -- %s=%s a b", "a=b"),
        "working directory": ("cd /a/b; X=$PWD", "/a/b"),
        "text in a text": ("Y=jira; [[ $Y == *ir* ]] && X=1", "1"),
        "numbers": ("Y=11; if [ $Y -ge 9 ] && [ $Y -lt 17 ]; then X=1; fi", "1"),
        "loop with a condition": ('while [ "${#X}" -lt 3 ]; do X=a$X; done', "aaa"),
        "grep in a pipe": ('echo "a b" | grep -q " " && X=1', "1"),
        "status": ("false; if [ $? -eq 0 ]; then X=1; else X=2; fi", "2"),
        "subshell": ("X=1; (X=2)", "1"),
        "variable of a pipe is lost": ("X=1; echo 2 | X=2", "1"),
        "nothing is read after exit": ("X=1\nexit 0\nX=2", "1"),
        "exit in a condition that nobody knows": ("grep -q a /b || exit 1\nX=1", "1"),
        "read": ("read X < /there", "?"),
        "what is unknown in what is known": ("X=a$(id -u)b", "a?b"),
        "regular expression": ('[[ "$1" =~ ^(start|run)$ ]] && X=1', "1"),
        "regular expression that is not there": ('X=1; [[ "$1" =~ stop ]] && X=2', "1"),
        "here-document that is read": ("read -r -d '' X <<E\n a\n b\nE", "a\n b"),
        "line that is read": ('read X <<< "a b"', "a b"),
        "words that are read": ('read -r A X Y <<< "a b  c d"; X="$X,$Y"', "b,c d"),
        "words between commas": ('IFS=, read -ra A <<< "a,b c"; X="${A[1]}"', "b c"),
        "read to a name that is unknown": ('read "$(program)" <<< 1; X=2', "2"),
        "an item by a number that is counted": ('A=(a b c); i=1; X="${A[$i]} ${A[i+1]}"', "b c"),
        "an item by its key": ("declare -A A=([i]=b); X=${A[i]}", "?"),
        "items by their keys": ('A=([1]=b [0]=a); X="${A[*]}"', "?"),
        "braces": ('for i in {a,b}{1..2}; do X="$X$i "; done', "a1 a2 b1 b2 "),
        "braces that count": ('for i in {08..10} {c..a} {5..1..2}; do X="$X$i "; done', "08 09 10 c b a 5 3 1 "),
        "braces within braces": ('for i in {a,b{c,d}}; do X="$X$i "; done', "a bc bd "),
        "braces in quotes, or of one": (
            'for i in \'{a,b}\' "{a,b}" {a} ${HOME}; do X="$X$i "; done',
            "{a,b} {a,b} {a} /home/jira ",
        ),
        "braces of an assignment": ("X={a,b}", "{a,b}"),
        "counting": ("X=1; ((X++)); ((X += 2)); let X=X*2", "8"),
        "counting what is unknown": ("X=1; ((X += $(program)))", "?"),
        "a counted loop": ('for ((i=0; i<3; i++)); do X="$X$i"; done', "012"),
        "a loop that counts": ('i=0; while [ $i -lt 3 ]; do X="$X$i"; i=$((i+1)); done', "012"),
        "a number as a condition": ("((2 > 1)) && X=1 || X=2", "1"),
        "two subshells are no number": ("X=1; ( (X=2); X=3 )", "1"),
        "a file beside": ("cd /d; . ./1.sh", "first"),
        "a file test beside": ("cd /d; [ -f 1.sh ] && X=1", "1"),
        "variable by its name": ("Y=1; Z=Y; X=${!Z}", "1"),
        "files that ls lists": ("for f in `ls /d/*.sh`; do . $f; done", "second"),
        "arguments set anew": ("set -- a b; X=$2", "b"),
    }
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_variables(name):
    script, expected = SCRIPTS[name]
    files = {"/there": "X='from file'", "/d/1.sh": "X=first", "/d/2.sh": "X=second", "/d/3.txt": "X=third"}
    start = {"0": HOME + "/bin/catalina.sh", "BASH_SOURCE": HOME + "/bin/setenv.sh", "1": "start", "HOME": "/home/jira"}
    left = evaluate.evaluate(
        script,
        start,
        files.get,
        lambda path: path in files or path in DIRECTORIES,
        lambda path: {"/link": "/target"}.get(path, path),
        lambda folder: [path[len(folder) + 1 :] for path in files if path.startswith(folder + "/")],
    )[0].variables
    assert left.get("X") == (None if expected is None else expected.replace("?", evaluate.UNKNOWN))


PLAIN = {
    "[[ $1 == start ]] && X=1": None,
    "[ $1 == start ] && X=1": None,
    "[ $1 = start ] && X=1": "1",
    "declare X=1": None,
    "source /there": None,
    ". /there": "from file",
}


@pytest.mark.parametrize("script", PLAIN)
def test_what_dash_does_not_know_does_not_hold(script):
    files = {"/there": "X='from file'"}
    (left,) = evaluate.evaluate(script, {"1": "start"}, files.get, files.__contains__, plain=True)
    assert left.variables.get("X") == PLAIN[script]


def test_file_that_reads_itself_ends():
    assert evaluate.variables("X=1\n. /me", {}, {"/me": "X=2\n. /me"}.get)["X"] == "2"


def test_quotes_nested_beyond_use():
    assert evaluate.variables("X=1\nY=" + "${A:-" * 5000, {})["X"] == "1"


def test_value_that_doubles():
    text = "X=0123456789\n" + "X=$X$X\n" * 60
    assert evaluate.UNKNOWN in evaluate.variables(text, {})["X"]


STORE = "javax.net.ssl.trustStore"
# Script -> the value of the trust store, or what makes it unknown: a line, "" for what is known not to be set.
KNOWN = {
    "for start and run, not for stop": (
        f'if [ "$1" = stop ]; then JAVA_OPTS=""; else JAVA_OPTS="-D{STORE}=/a"; fi',
        "/a",
    ),
    "evaluated once more": (
        f"JAVA_HOME=/jdk\nJAVA_OPTS='-D{STORE}=$JAVA_HOME/lib/security/cacerts'",
        "/jdk/lib/security/cacerts",
    ),
    "evaluated once more, JRE_HOME by JAVA_HOME": (f"JAVA_HOME=/jdk\nJAVA_OPTS='-D{STORE}=${{JRE_HOME}}/s'", "/jdk/s"),
    "evaluated once more, quoted": (f"CATALINA_OPTS=\"-D{STORE}='/a b'\"", "/a b"),
    "tilde within an option stays": (f"CATALINA_OPTS=-D{STORE}=~/a", "~/a"),
    "both ways of a condition say the same": (
        f"if grep -q x /y; then T=/a; else T=/a; fi; JAVA_OPTS=-D{STORE}=$T",
        "/a",
    ),
    "other options are unknown": (f'JAVA_OPTS="-Dhost=$(hostname) -Xmx$(nproc)g -D{STORE}=/a"', "/a"),
}
UNKNOWN = {
    "output of a command": (f"A=1\nT=$(find-store)\nJAVA_OPTS=-D{STORE}=$T", 2),
    "any options by a command": ('CATALINA_OPTS="-Da=b $(cat-options)"', 1),
    "a condition": (f"\nif grep -q x /y; then\n  JAVA_OPTS=-D{STORE}=/a\nfi", 2),
    "one of two ways": (f"A=1\ngrep -q x /y && T=/a || T=/b\nJAVA_OPTS=-D{STORE}=$T", 2),
    "a case": (f"case $(hostname) in\n a) T=/a;;\n b) T=/b;;\nesac\nJAVA_OPTS=-D{STORE}=$T", 1),
    "a file by an unknown name": ("A=1\n. $(find-file)", 2),
    "lines of a file": ('while read -r line; do\n  JAVA_OPTS="$JAVA_OPTS $line"\ndone < /y', 1),
    "exports of unknown names": ("\nexport $(grep -v '^#' /y)", 2),
    "names that are read from a file": ('while IFS== read -r k v; do\n  export "$k=$v"\ndone < /y', 2),
    "a file beside an unknown directory": ("A=1\n. ./more.sh", 2),
    "a file of options": ("JAVA_OPTS=@/etc/options", 0),
    "the home of nobody knows whom": (f"JAVA_OPTS=-D{STORE}=$HOME/a", 1),
    "start or run": (f'[ "$1" = run ] && JAVA_OPTS=-D{STORE}=/a', 0),
}


def test_what_depends_on_the_command_is_known_with_it():
    script = f'if [ "$1" == "start" ]; then JAVA_OPTS="-D{STORE}=/a"; else JAVA_OPTS=""; fi'
    assert setenv(script).properties == {STORE: "/a"}
    options = setenv(script, commands=["run"])
    assert options.properties == {} and options.find_doubt(STORE) == ""


@pytest.mark.parametrize("name", KNOWN)
def test_known_options(name):
    script, expected = KNOWN[name]
    options = setenv(script)
    assert (options.properties.get(STORE), options.find_doubt(STORE)) == (expected, "")


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_unknown_is_not_taken_for_absent(name):
    script, line = UNKNOWN[name]
    options = setenv(script, commands=("start", "run"))
    assert STORE not in options.properties
    place = options.find_doubt(STORE)
    assert place.startswith(f"{HOME}/bin/setenv.sh:{line}") if line else place


@pytest.mark.parametrize(
    "script", ["", "JAVA_OPTS=-Da=b", "X=$(date)", "JAVA_OPTS=-Xmx$(nproc)m", "JAVA_OPTS=-Da=$(date)"]
)
def test_what_is_absent_is_known_to_be(script):
    options = setenv(script)
    assert STORE not in options.properties and not options.find_doubt(STORE)


def test_setenv_of_jira():
    options = setenv((DATA / "jira-setenv.txt").read_text())
    assert options.properties == {
        "java.awt.headless": "true",
        "atlassian.standalone": "JIRA",
        "javax.net.ssl.trustStore": "/etc/ssl/wiki.jks",
        "javax.net.ssl.trustStorePassword": "s3cret",
        "jira.home": "/var/atlassian/application-data/jira",
    }
    assert options.environment["JRE_HOME"] == "/opt/atlassian/jira/jre/"


def test_setenv_of_confluence_reads_setjre():
    files = {HOME + "/bin/setjre.sh": 'JRE_HOME="/opt/java"; export JRE_HOME\n'}
    options = setenv((DATA / "confluence-setenv.txt").read_text(), {"CATALINA_OPTS": "-Dfrom.unit=1"}, files)
    assert options.environment["JRE_HOME"] == "/opt/java"
    # The context path is the output of a command: unknown, so it is not claimed.
    assert options.properties == {
        "java.awt.headless": "true",
        "catalinaConnectorProxyName": "wiki.example.org",
        "from.unit": "1",
    }


def test_without_setenv_the_unit_counts():
    options = setenv("", {"CATALINA_OPTS": '-Da="b c" -Dd', "JAVA_OPTS": "-Da=first"})
    assert options.properties == {"a": "b c", "d": ""}


COMMANDS = [
    (["java", "-Da=1", "-Xmx1g", "-Da=2", "Main", "-Da=3"], {"a": "2"}),
    (["java", "-cp", "x.jar:Main", "-Da=1", "Main"], {"a": "1"}),
    (["java", "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-Da=1", "Main"], {"a": "1"}),
    (["java", "--add-opens=java.base/java.lang=ALL-UNNAMED", "-Da=1", "Main"], {"a": "1"}),
    (["java", "-Da=b=c", "-D", "-jar", "x.jar", "-Dz=1"], {"a": "b=c"}),
    (["jsvc.exec", "-java-home", "/jre", "-user", "jira", "-Da=1", "Main", "start"], {"a": "1"}),
    (["java", "@options", "-Da=", "Main"], {"a": ""}),
    ([], {}),
]


@pytest.mark.parametrize(("arguments", "expected"), COMMANDS)
def test_command_line(arguments, expected):
    assert read_command_line(arguments).properties == expected


def test_command_line_with_options_from_the_environment():
    environment = {"JAVA_TOOL_OPTIONS": "-Da=tool -Db=tool", "_JAVA_OPTIONS": "-Dc=last"}
    options = read_command_line(["java", "-Da=line", "-Dc=line", "Main"], environment)
    assert options.properties == {"a": "line", "b": "tool", "c": "last"}


SECRETS = {
    "javax.net.ssl.trustStorePassword": True,
    "keystorePass": True,
    "db.password": True,
    "atlassian.secret.key": True,
    "SSLPassword": True,
    "ldap_bind_passwd": True,
    "api-key": True,
    "auth.token": True,
    "requiredSecret": True,
    "javax.net.ssl.trustStore": False,
    "keystoreFile": False,
    "keyAlias": False,
    "passThrough.enabled": False,
    "confluence.context.path": False,
    "tokenizer": False,
}


@pytest.mark.parametrize("name", SECRETS)
def test_masked(name):
    value = mask({name: "value"})[name]
    assert value == ("********" if SECRETS[name] else "value")


def test_masked_within_an_address():
    shown = mask({"proxy": "http://user:geheim@proxy:3128/", "plain": "http://proxy:3128/a@b"})
    assert shown == {"proxy": "http://user:********@proxy:3128/", "plain": "http://proxy:3128/a@b"}


def test_never_raises():
    hypothesis = pytest.importorskip("hypothesis")
    pieces = [
        "if",
        "then",
        "fi",
        "case",
        "in",
        ")",
        ";;",
        "esac",
        "[",
        "]",
        '"',
        "'",
        "`",
        "$(",
        "${X",
        "}",
        "X=",
        "\n",
        ";",
        "&&",
        "\\",
        "<<E",
        "E",
        "for",
        "do",
        "done",
        ". x",
        "!",
        "#",
        " ",
        "a",
    ]

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(hypothesis.strategies.lists(hypothesis.strategies.sampled_from(pieces), max_size=40))
    def check(parts):
        left = evaluate.variables("".join(parts), {"X": "1"}, lambda path: "X=2")
        assert isinstance(left, dict)

    check()
