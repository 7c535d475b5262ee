# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an application is started (A4, A8, A9, A10): detection beside bash, ``su``, ``env`` and a real ``catalina.sh``.

In place of java is a recorder, so the judge is the command line that the real scripts make. systemd cannot be asked
here: what it would run is written in each case beside the unit, after systemd.exec(5) and systemd.service(5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from judges.world import Row, World

from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import JIRA, facts_of, jks

JRE = f"{JIRA}/jre"
START = f"{JIRA}/bin/start-jira.sh"
SETENV = f"{JIRA}/bin/setenv.sh"
STORE = "javax.net.ssl.trustStore"
TRUST = f"-D{STORE}="
# As the products ship it: the user of user.sh, foreground or background.
STARTER = """#!/bin/bash
PRGDIR=`dirname "$0"`
PRGRUNMODE=false
if [ "$1" = "-fg" ] || [ "$1" = "run" ]; then
    shift
    PRGRUNMODE=true
fi
. "$PRGDIR/user.sh"
if [ -z "$JIRA_USER" ] || [ $(id -un) == "$JIRA_USER" ]; then
    if [ "$PRGRUNMODE" == "true" ]; then
        exec "$PRGDIR/catalina.sh" run $@
    fi
    exec "$PRGDIR/startup.sh" $@
fi
if [ "$PRGRUNMODE" == "true" ]; then
    exec /sbin/runuser -m "$JIRA_USER" -c "$PRGDIR/catalina.sh run $@"
fi
exec /sbin/runuser -m "$JIRA_USER" -c "$PRGDIR/startup.sh $@"
"""
# What catalina.sh of some version sets by itself.
OWN = (
    *("nop", "catalina.", "java.io.tmpdir", "java.util.logging.", "java.protocol.handler.pkgs", "java.endorsed.dirs"),
    *("jdk.tls.ephemeralDHKeySize", "org.apache.catalina.security.SecurityListener.UMASK", "ignore.endorsed.dirs"),
)
ONLY_RUNNING = "only running it would tell: a finding says how to state it"
SYSTEM_JAVA = "/usr/lib/jvm/default-java"


@dataclass
class Case:
    """One start.

    :param run: what systemd or service(8) runs: command, and environment, user, directory where they differ.
    :param asks: what is shown: "store", "java", "base", or the name of a property.
    """

    kind: str
    about: str
    setenv: str = ""
    files: dict[str, str] = field(default_factory=dict)
    build: Callable[[World], object] = lambda world: None
    unit: str = f"User=jira\nExecStart={START} -fg"
    run: dict = field(default_factory=lambda: {"command": [START, "-fg"], "user": "jira"})
    asks: tuple[str, ...] = ("store",)
    unknown: bool = False  # only running it would tell
    dash: bool = False  # sh is dash, as on Debian and Ubuntu; else bash, as on Red Hat and SUSE


def sysv(text: str, name: str = "tracker") -> dict:
    """A case's unit and run for a SysV script."""
    return {
        "unit": "",
        "build": lambda world: world.write(f"/etc/init.d/{name}", "#!/bin/bash\n" + text, 0o755),
        "run": {"command": [f"/etc/init.d/{name}", "start"]},
    }


def wrapper(text: str, **more: object) -> dict:
    """A case's unit and run for an administrator's own script."""
    path = "/opt/scripts/run-jira"
    return {
        "unit": f"User=jira\nExecStart={path}",
        "files": {path: "#!/bin/bash\n" + text},
        "run": {"command": [path], "user": "jira"},
        **more,
    }


def unit(lines: str, command: list[str], **more: object) -> dict:
    """A case's unit, and what systemd runs for it."""
    return {"unit": lines, "run": {"command": command, **more}}


def site(world: World) -> World:
    """A CATALINA_BASE without a Tomcat of its own."""
    world.folder("/srv/site/bin", "/srv/site/conf").write("/srv/site/conf/server.xml", world.data("jira-server.xml"))
    return world.writable("/srv/site")


CASE = 'case "$1" in\nstart)\n    {}\n    ;;\nstop)\n    echo stop\n    ;;\nesac\n'
A = f"{TRUST}/etc/a.jks"
CASES = [
    # A8: what setenv.sh leaves.
    Case("A8", "nothing is set"),
    Case("A8", "JAVA_OPTS", f'JAVA_OPTS="{A} $JAVA_OPTS"'),
    Case("A8", "only if $1 is start, else none", f'if [ "$1" = start ]; then JAVA_OPTS="{A}"; else JAVA_OPTS=""; fi'
         , unit="Type=forking\nUser=jira\nExecStart=" + START, run={"command": [START], "user": "jira"}),
    Case("A8", "== within [ ] of $1", f'if [ "$1" == "run" ]; then JAVA_OPTS="{A}"; else JAVA_OPTS=""; fi',
         unit=f"User=jira\nExecStart=/bin/bash {START} -fg", run={"command": ["/bin/bash", START, "-fg"], "user": "jira"}),
    Case("A8", "case of $1 with stop)", f'CATALINA_OPTS="{A}"\ncase "$1" in\n stop) CATALINA_OPTS="" ;;\nesac'),
    Case("A8", "case with | and *", f'case "$1" in\n stop|version) ;;\n *) CATALINA_OPTS="{A}" ;;\nesac'),
    Case("A8", "an array", f'O=(-Da=1 {A})\nCATALINA_OPTS="${{O[*]}}"', asks=("store", "a")),
    Case("A8", "an array with +=, [@]", f'O=()\nO+=("{A}")\nO+=(-Db=2)\nCATALINA_OPTS="${{O[@]}}"', asks=("store", "b")),
    Case("A8", "a function that appends", f'add() {{ CATALINA_OPTS="$CATALINA_OPTS $1"; }}\nadd {A}\nadd -Dx=y', asks=("store", "x")),
    Case("A8", "a function with local and shift",
         f'add() {{ local n="$1"; shift; for v in "$@"; do CATALINA_OPTS="$CATALINA_OPTS -D$n=$v"; done; }}\nadd {STORE} /etc/a.jks'),
    Case("A8", "setenv.d with a loop", 'for f in $CATALINA_BASE/bin/setenv.d/*.sh; do . "$f"; done',
         {f"{JIRA}/bin/setenv.d/10-a.sh": f'CATALINA_OPTS="{A}"', f"{JIRA}/bin/setenv.d/20-b.sh": 'CATALINA_OPTS="$CATALINA_OPTS -Dn=2"'},
         asks=("store", "n")),
    Case("A8", "setenv.d, nothing in it", 'for f in "$CATALINA_BASE"/bin/setenv.d/*.sh; do [ -r "$f" ] && . "$f"; done'),
    Case("A8", "${X%/}", f'D=/etc/\nJAVA_OPTS="{TRUST}${{D%/}}/a.jks"'),
    Case("A8", "${X##*/} ${X/a/b} ${#X}", 'P=/x/y/a.jks\nQ=/etc/b.jks\nJAVA_OPTS="-Dn=${#P} ' + TRUST + '${Q/b.jks/${P##*/}}"', asks=("store", "n")),
    Case("A8", "${X:-d} ${X:+d} ${X-d}", 'JAVA_OPTS="' + TRUST + '${NOPE:-/etc/a.jks} -Da=${HOME:+set} -Db=${NOPE-no}"', asks=("store", "a", "b")),
    Case("A8", "$(readlink -f)", f'JAVA_OPTS="{TRUST}$(readlink -f /etc/link)"', build=lambda world: world.link("/etc/link", "/etc/a.jks")),
    Case("A8", "$(dirname) of $0", f'JAVA_OPTS="{TRUST}$(dirname "$0")/../conf/t.jks"', {f"{JIRA}/conf/t.jks": "x"}),
    Case("A8", "$(cd ... && pwd)", f'D=$(cd "$(dirname "$0")/.." && pwd)\nJAVA_OPTS="{TRUST}$D/conf/t.jks"', {f"{JIRA}/conf/t.jks": "x"}),
    Case("A8", "$(cat <<EOF)", f'JAVA_OPTS=$(cat <<EOF\n-Da=1 {A}\nEOF\n)', asks=("store", "a")),
    Case("A8", "$(cat file)", 'JAVA_OPTS="$(cat $CATALINA_BASE/conf/options)"', {f"{JIRA}/conf/options": f"-Da=1 {A}\n"}, asks=("store", "a")),
    Case("A8", "$(< file)", 'JAVA_OPTS="$(< $CATALINA_BASE/conf/options)"', {f"{JIRA}/conf/options": A}),
    Case("A8", "backquotes", f"D=`echo /etc`\nJAVA_OPTS=\"{TRUST}$D/a.jks\""),
    Case("A8", "$HOME", f'JAVA_OPTS="{TRUST}$HOME/ts.jks"', {"/home/jira/ts.jks": "x"}),
    Case("A8", "~", f"T=~/ts.jks\nJAVA_OPTS={TRUST}$T", {"/home/jira/ts.jks": "x"}),
    Case("A8", "~ behind =, which a shell leaves", f"JAVA_OPTS={TRUST}~/ts.jks", {"/home/jira/ts.jks": "x"}),
    Case("A8", "~jira", f"T=~jira/ts.jks\nJAVA_OPTS={TRUST}$T", {"/home/jira/ts.jks": "x"}, unknown=True),
    Case("A8", "catalina.sh evaluates again", f"JAVA_OPTS='{TRUST}$JAVA_HOME/lib/security/cacerts'", unit=f"User=jira\nEnvironment=JAVA_HOME={JRE}\nExecStart={START} -fg",
         run={"command": [START, "-fg"], "user": "jira", "env": {"JAVA_HOME": JRE}}),
    Case("A8", "and again, of the base", f"CATALINA_OPTS='{TRUST}$CATALINA_BASE/conf/t.jks'", {f"{JIRA}/conf/t.jks": "x"}),
    Case("A8", "and again, with quotes", f"CATALINA_OPTS='\"{TRUST}/etc/my store.jks\"'", {"/etc/my store.jks": "x"}),
    Case("A8", "and again, a command", f"CATALINA_OPTS='{TRUST}$(echo /etc/a.jks)'", unknown=True),
    Case("A8", "the unit's Environment, evaluated", unit=f"User=jira\nEnvironment='CATALINA_OPTS={TRUST}$CATALINA_HOME/conf/t.jks'\nExecStart={START} -fg",
         files={f"{JIRA}/conf/t.jks": "x"}, run={"command": [START, "-fg"], "user": "jira", "env": {"CATALINA_OPTS": f"{TRUST}$CATALINA_HOME/conf/t.jks"}}),
    Case("A8", "the last of two wins", f'JAVA_OPTS="{TRUST}/etc/b.jks"\nCATALINA_OPTS="{A}"'),
    Case("A8", "JAVA_TOOL_OPTIONS counts least", f'export JAVA_TOOL_OPTIONS="{TRUST}/etc/b.jks -Da=1"\nJAVA_OPTS="{A}"', asks=("store", "a")),
    Case("A8", "_JAVA_OPTIONS counts most", f'export _JAVA_OPTIONS="{A}"\nJAVA_OPTS="{TRUST}/etc/b.jks"'),
    Case("A8", "-D of an empty store", f'JAVA_OPTS="{TRUST}"'),
    Case("A8", "a relative store", f'JAVA_OPTS="{TRUST}conf/t.jks"', unit=f"User=jira\nWorkingDirectory={JIRA}\nExecStart={JIRA}/bin/catalina.sh run",
         run={"command": [f"{JIRA}/bin/catalina.sh", "run"], "user": "jira", "cwd": JIRA}, files={f"{JIRA}/conf/t.jks": "x"}),
    Case("A8", "a comment at the end of a line", f'JAVA_OPTS="{A}" # {TRUST}/etc/b.jks'),
    Case("A8", "continued lines", f'JAVA_OPTS="-Da=1 \\\n  {A} \\\n  -Db=2"', asks=("store", "a", "b")),
    Case("A8", "[[ -f ]] && ||", f'[[ -f /etc/a.jks ]] && S=/etc/a.jks || S=/etc/b.jks\nJAVA_OPTS="{TRUST}$S"'),
    Case("A8", "[[ $X =~ ]]", f'[[ "$1" =~ ^(run|start)$ ]] && JAVA_OPTS="{A}"'),
    Case("A8", "while read of a here-document", f'while read -r l; do JAVA_OPTS="$JAVA_OPTS $l"; done <<E\n-Da=1\n{A}\nE', asks=("store", "a"), unknown=True),
    Case("A8", "eval", f'N=JAVA_OPTS\neval "$N=\\"{A}\\""', unknown=True),
    Case("A8", "printf -v", f'printf -v JAVA_OPTS -- "-D%s=%s" {STORE} /etc/a.jks', unknown=True),
    Case("A8", "a program's output", f'JAVA_OPTS="{TRUST}$(ls /etc/*.jks | head -n1)"', unknown=True),
    Case("A8", "unset", f'JAVA_OPTS="{TRUST}/etc/b.jks"\nunset JAVA_OPTS\nCATALINA_OPTS="{A}"'),
    Case("A8", "declare -x, export of two", f'declare -x A1={A}\nexport B1=-Db=2 CATALINA_OPTS="$A1"', asks=("store",)),
    Case("A8", "arithmetic, brace list", 'n=$((1+1))\nfor i in 1 2; do O="$O -Dp$i=$((i*n))"; done\nJAVA_OPTS=$O', asks=("store", "p1", "p2")),
    Case("A8", "set -- and $@", f'all() {{ set -- -Da=1 {A}; JAVA_OPTS="$*"; }}\nall', asks=("store", "a")),
    Case("A8", "an early return", f'JAVA_OPTS="{A}"\n[ -n "$CATALINA_HOME" ] && return 0\nJAVA_OPTS=""'),
    Case("A8", "JSSE_OPTS, which catalina.sh adds", f'JSSE_OPTS="{A}"'),
    Case("A8", "LOGGING_MANAGER, before JAVA_OPTS", f'LOGGING_MANAGER="{TRUST}/etc/b.jks"\nJAVA_OPTS={A}'),
    Case("A8", "export $(grep ...) of a file", "export $(grep -v '^#' /etc/j.env)", {"/etc/j.env": f"# x\nJAVA_OPTS={A}\n"}, unknown=True),
    Case("A8", "export of names that are read", 'while IFS== read -r k v; do export "$k=$v"; done < /etc/j.env', {"/etc/j.env": f"JAVA_OPTS={A}\n"}, unknown=True),
    Case("A8", "IFS=, read -ra", f'IFS=, read -ra O <<< "-Da=1,{A}"\nJAVA_OPTS="${{O[*]}}"', asks=("store", "a")),
    Case("A8", "braces", f'for s in /etc/{{z,a}}.jks; do [ -f $s ] && JAVA_OPTS="{TRUST}$s -Dn={{1,2}}"; done', asks=("store", "n")),
    Case("A8", "((n++)), let", f'n=1\n((n++))\nlet m=n*2\nJAVA_OPTS="-Dn=$n -Dm=$m {A}"', asks=("store", "n", "m")),
    Case("A8", "for ((...)) of an array", f'O=(-Da=1 {A})\nfor ((i=0; i<${{#O[@]}}; i++)); do JAVA_OPTS="$JAVA_OPTS ${{O[$i]}}"; done', asks=("store", "a")),
    Case("A8", "while and $((...))", f'i=0\nwhile [ $i -lt 2 ]; do JAVA_OPTS="$JAVA_OPTS -Dp$i=$i"; i=$((i+1)); done\nCATALINA_OPTS={A}', asks=("store", "p0", "p1")),
    Case("A8", "cd to what is not there", f"cd /nowhere 2>/dev/null && JAVA_OPTS={A}"),
    Case("A8", "cd to what is not there, or else", f"cd $CATALINA_HOME/nowhere 2>/dev/null || JAVA_OPTS={A}"),
    Case("A8", "cd, and a file beside", "cd $CATALINA_HOME/bin\n. ./extra.sh", {f"{JIRA}/bin/extra.sh": f"JAVA_OPTS={A}"}),
    Case("A8", "dash: braces and (( are none", f'for s in /etc/{{z,a}}.jks; do [ -f $s ] && JAVA_OPTS={TRUST}/etc/b.jks; done\n((1)) && JAVA_OPTS={TRUST}/etc/b.jks\nCATALINA_OPTS={A}', dash=True),
    Case("A8", "dash: [[ is not there", f'[[ "$1" == run ]] && JAVA_OPTS="{A}"', dash=True),
    Case("A8", "dash: == is an error", f'if [ "$1" == "run" ]; then JAVA_OPTS="{A}"; else JAVA_OPTS="{TRUST}/etc/b.jks"; fi', dash=True),
    Case("A8", "dash: declare is not there", f'declare -x CATALINA_OPTS="{A}"', dash=True),
    Case("A8", "dash: source is not there", 'source /etc/j.conf\nJAVA_OPTS="$JAVA_OPTS -Da=1"', {"/etc/j.conf": f'JAVA_OPTS="{A}"'}, asks=("store", "a"), dash=True),
    Case("A8", "dash: = and case", f'if [ "$1" = "run" ]; then JAVA_OPTS="{A}"; fi', dash=True),
    # A4: JRE and store of the next start.
    Case("A4", "JRE_HOME beats JAVA_HOME", f"JAVA_HOME=/opt/other\nJRE_HOME={JRE}", build=lambda world: world.recorder("/opt/other"), asks=("java",)),
    Case("A4", "JAVA_HOME of setenv.sh", "JAVA_HOME=/opt/other", build=lambda world: world.recorder("/opt/other"), asks=("java", "store")),
    Case("A4", "JAVA_HOME through a link", "JAVA_HOME=/opt/java", build=lambda world: world.recorder("/opt/jdk-17.0.9").link("/opt/java", "/opt/jdk-17.0.9"), asks=("java", "store")),
    Case("A4", "JRE_HOME with / at the end", f"JRE_HOME={JRE}/", asks=("java", "store")),
    Case("A4", "the unit's JAVA_HOME, setenv.sh says another", "JAVA_HOME=/opt/other", build=lambda world: world.recorder("/opt/other").recorder("/opt/third"),
         **unit(f"User=jira\nEnvironment=JAVA_HOME=/opt/third\nExecStart={START} -fg", [START, "-fg"], user="jira", env={"JAVA_HOME": "/opt/third"}), asks=("java",)),
    Case("A4", "which java, two links up", "JAVA_HOME=$(dirname $(dirname $(readlink -f /opt/bin/java)))",
         build=lambda world: world.recorder("/opt/jdk-17.0.9").link("/opt/bin/java", "/opt/jdk-17.0.9/bin/java"), asks=("java", "store")),
    Case("A4", "only where none is set: ${JAVA_HOME:-...}", 'JAVA_HOME="${JAVA_HOME:-/opt/other}"', build=lambda world: world.recorder("/opt/other"), asks=("java",)),
    # A9: starters.
    Case("A9", "bash -c 'cd ... && ./start'", **unit(f"User=jira\nExecStart=/bin/bash -c 'cd {JIRA}/bin && ./start-jira.sh -fg'",
         ["/bin/bash", "-c", f"cd {JIRA}/bin && ./start-jira.sh -fg"], user="jira"), asks=("base", "store")),
    Case("A9", "su - jira -c", **unit(f'Type=forking\nExecStart=/bin/su - jira -c "cd {JIRA}/bin; ./start-jira.sh"', ["/bin/su", "-", "jira", "-c", f"cd {JIRA}/bin; ./start-jira.sh"]),
         setenv=f'JAVA_OPTS="{TRUST}$HOME/ts.jks"', files={"/home/jira/ts.jks": "x"}, asks=("base", "store")),
    Case("A9", "su of a SysV script, login profile", **{**sysv(CASE.format(f"su - jira -c '{START}'")), "files": {"/home/jira/.profile": f"export CATALINA_OPTS={A}\n"}}),
    Case("A9", "pushd in a wrapper", **wrapper(f"pushd {JIRA}/bin >/dev/null\n./start-jira.sh -fg"), asks=("base", "store")),
    Case("A9", "bin/./start-jira.sh", **unit(f"User=jira\nExecStart={JIRA}/bin/./start-jira.sh -fg", [f"{JIRA}/bin/./start-jira.sh", "-fg"], user="jira"), asks=("base",)),
    Case("A9", "/etc/sysconfig of a SysV script", **{**sysv("[ -f /etc/sysconfig/jira ] && . /etc/sysconfig/jira\nexport CATALINA_OPTS\n" + CASE.format(START)),
         "files": {"/etc/sysconfig/jira": f'CATALINA_OPTS="{A}"\n'}}),
    Case("A9", "/etc/default by the script's name", **{**sysv('N=$(basename $0)\n. /etc/default/$N\nexport JAVA_OPTS\n' + CASE.format(START)), "files": {"/etc/default/tracker": f"JAVA_OPTS={A}\n"}}),
    Case("A9", "EnvironmentFile=*.env", **unit(f"User=jira\nEnvironmentFile=/etc/jira.d/*.env\nExecStart={START} -fg", [START, "-fg"], user="jira", env={"JAVA_OPTS": A, "X": "1"}),
         files={"/etc/jira.d/10.env": f"JAVA_OPTS={TRUST}/etc/b.jks\n", "/etc/jira.d/20.env": f'JAVA_OPTS="{A}"\nX=1\n'}),
    Case("A9", "EnvironmentFile=- that is not there", **unit(f"User=jira\nEnvironmentFile=-/etc/no.env\nEnvironment=JAVA_OPTS={A}\nExecStart={START} -fg", [START, "-fg"], user="jira", env={"JAVA_OPTS": A})),
    Case("A9", "EnvironmentFile= beats Environment=", **unit(f"User=jira\nEnvironmentFile=/etc/j.env\nEnvironment=JAVA_OPTS={TRUST}/etc/b.jks\nExecStart={START} -fg", [START, "-fg"], user="jira", env={"JAVA_OPTS": A}),
         files={"/etc/j.env": f"JAVA_OPTS={A}\n"}),
    Case("A9", "exported by a wrapper", **wrapper(f"export CATALINA_OPTS='{A}' JAVA_HOME=/opt/other\nexec {START} -fg", build=lambda world: world.recorder("/opt/other")), asks=("store", "java")),
    Case("A9", "set -a in a wrapper", **wrapper(f"set -a\n. /etc/j.conf\nset +a\nexec {START} -fg") | {"files": {"/opt/scripts/run-jira": f"#!/bin/bash\nset -a\n. /etc/j.conf\nset +a\nexec {START} -fg", "/etc/j.conf": f"CATALINA_OPTS={A}\n"}}),
    Case("A9", "not exported by a wrapper", **wrapper(f"CATALINA_OPTS='{TRUST}/etc/b.jks'\nexec {START} -fg")),
    Case("A9", "env X=... script", **unit(f"User=jira\nExecStart=/usr/bin/env JAVA_HOME=/opt/other CATALINA_OPTS={A} {START} -fg", ["/usr/bin/env", "JAVA_HOME=/opt/other", f"CATALINA_OPTS={A}", START, "-fg"], user="jira"),
         build=lambda world: world.recorder("/opt/other"), asks=("store", "java")),
    Case("A9", "env -i and -u", **unit(f"User=jira\nEnvironment=JAVA_OPTS={TRUST}/etc/b.jks\nExecStart=/usr/bin/env -u JAVA_OPTS {START} -fg", ["/usr/bin/env", "-u", "JAVA_OPTS", START, "-fg"], user="jira", env={"JAVA_OPTS": f"{TRUST}/etc/b.jks"})),
    Case("A9", "bash -c 'export ...'", **unit(f"User=jira\nExecStart=/bin/bash -c 'export JAVA_OPTS={A}; exec {START} -fg'", ["/bin/bash", "-c", f"export JAVA_OPTS={A}; exec {START} -fg"], user="jira")),
    Case("A9", "catalina.sh start, not run", f'[ "$1" = start ] && JAVA_OPTS="{A}"', **unit(f"Type=forking\nUser=jira\nExecStart={JIRA}/bin/catalina.sh start", [f"{JIRA}/bin/catalina.sh", "start"], user="jira")),
    Case("A9", "a script with getopts and functions", **sysv(f'USER=jira\nbase={JIRA}\ndo_start() {{\n  export JAVA_OPTS="{A}"\n  su $USER -m -c "$base/bin/start-jira.sh"\n}}\n' + CASE.format("do_start"))),
    Case("A9", "start-stop-daemon is not here: its rule", **unit(f"User=jira\nExecStart=/usr/bin/nice -n 5 {START} -fg", ["/usr/bin/nice", "-n", "5", START, "-fg"], user="jira"), asks=("base",)),
    Case("A9", "user.sh changes the user", unit=f"Type=forking\nExecStart={START}", run={"command": [START]}, files={f"{JIRA}/bin/user.sh": 'JIRA_USER="jira"\nexport JIRA_USER\n'},
         setenv=f'JAVA_OPTS="{TRUST}$HOME/ts.jks"', unknown=True),
    # A10: CATALINA_BASE apart from CATALINA_HOME.
    Case("A10", "CATALINA_BASE of the unit", **unit(f"User=jira\nEnvironment=CATALINA_BASE=/srv/site\nExecStart={JIRA}/bin/catalina.sh run", [f"{JIRA}/bin/catalina.sh", "run"], user="jira", env={"CATALINA_BASE": "/srv/site"}),
         build=site, asks=("base", "store")),
    Case("A10", "the base's own setenv.sh", f"JAVA_OPTS={TRUST}/etc/b.jks", **unit(f"User=jira\nEnvironment=CATALINA_BASE=/srv/site\nExecStart={JIRA}/bin/catalina.sh run", [f"{JIRA}/bin/catalina.sh", "run"], user="jira", env={"CATALINA_BASE": "/srv/site"}),
         build=lambda world: site(world).write("/srv/site/bin/setenv.sh", f"JRE_HOME={JRE}\nJAVA_OPTS={A}"), asks=("base", "store")),
    Case("A10", "exported by a wrapper", **wrapper(f"export CATALINA_BASE=/srv/site\ncd {JIRA}/bin && exec ./catalina.sh run", build=site), asks=("base",)),
    Case("A10", "CATALINA_HOME and CATALINA_BASE by env", **unit(f"User=jira\nExecStart=/usr/bin/env CATALINA_HOME={JIRA} CATALINA_BASE=/srv/site {JIRA}/bin/startup.sh", ["/usr/bin/env", f"CATALINA_HOME={JIRA}", "CATALINA_BASE=/srv/site", f"{JIRA}/bin/startup.sh"], user="jira"),
         build=site, asks=("base",)),
    Case("A10", "a base of links", **unit("User=jira\nEnvironment=CATALINA_BASE=/srv/current\n" + f"ExecStart={JIRA}/bin/catalina.sh run", [f"{JIRA}/bin/catalina.sh", "run"], user="jira", env={"CATALINA_BASE": "/srv/current"}),
         build=lambda world: site(world).link("/srv/current", "/srv/site"), asks=("base",)),
]  # fmt: skip


def run(case: Case, folder: Path, tomcat: Path) -> list[Row]:
    """One line of the table."""
    world = World(folder)
    world.jira(JIRA).scripts(JIRA, tomcat).writable(JIRA).recorder(JRE)
    world.link("/bin", "usr/bin").link("/usr/bin/sh", "dash" if case.dash else "bash").write("/usr/bin/dash")
    world.write("/etc/a.jks", jks(b"a")).write("/etc/b.jks", jks(b"b"))
    # As the installer writes it: without it a java of the machine would be taken.
    jre = {"A4": "", "A8": f"JRE_HOME={JRE}\n"}.get(case.kind, f'[ -n "$JAVA_HOME" ] || JRE_HOME={JRE}\n')
    world.write(START, STARTER, 0o755).write(f"{JIRA}/bin/user.sh", "").write(SETENV, jre + case.setenv)
    if not case.dash:
        world.bind("/usr/bin/bash", "/usr/bin/dash")
    case.build(world)
    for path, text in case.files.items():
        world.write(path, text, 0o755 if text.startswith("#!") else 0o644)
    if case.unit:
        world.unit("jira.service", case.unit)
    said = describe_said(world, case)
    ((started, *_more),) = world.run({"job": "record", **case.run})
    judged = describe_judged(world, started)
    keys = [key for key in judged if key in case.asks or said.get(key) != judged[key]]
    tolerated = case.unknown and all(
        said.get(key, "unknown").startswith("unknown") for key in keys if said.get(key) != judged[key]
    )
    row = Row(
        case.kind,
        case.about,
        ", ".join(f"{key} {said.get(key, 'none')}" for key in keys),
        ", ".join(f"{key} {judged[key]}" for key in keys),
        f"catalina.sh {tomcat.name.rpartition('-')[2]}",
        ONLY_RUNNING if tolerated else "",
    )
    return [row]


def describe_said(world: World, case: Case) -> dict[str, str]:
    """What detection says of the next start."""
    found = facts_of(world).applications
    if len(found) != 1:
        return {"base": f"{len(found)} installations"}
    (app,) = found
    store = app.java.truststore if app.java else None
    said = {name: value for name, value in app.properties.items() if name != STORE and not name.startswith(OWN)}
    said["base"] = app.install_dir
    said["java"] = (
        "none" if app.java is None else f"unknown ({app.java.unknown})" if app.java.unknown else app.java.home
    )
    if store is not None:
        said["store"] = f"unknown ({store.unknown})" if store.unknown else real(world, store.path)
    return said


def describe_judged(world: World, started: dict) -> dict[str, str]:
    """What a real start had, read as java(1) reads it."""
    environment = started["environment"]
    command, *words = started["args"]
    first, last = environment.get("JAVA_TOOL_OPTIONS", ""), environment.get("_JAVA_OPTIONS", "")
    options = [*first.split(), *words, *last.split()]
    properties = dict(word[2:].partition("=")[::2] for word in options if word.startswith("-D"))
    home = real(world, command).rpartition("/bin/")[0]
    store = properties.get(STORE, "")  # an empty one is as none (java.security.cert, TrustStoreManager)
    path = store if store.startswith("/") else f"{started['cwd']}/{store}" if store else f"{home}/lib/security/cacerts"
    judged = {name: value for name, value in properties.items() if name != STORE and not name.startswith(OWN)}
    return {**judged, "base": real(world, properties["catalina.base"]), "java": home, "store": real(world, path)}


def real(world: World, path: str) -> str:
    """A path of the world without links."""
    done = path
    for _round in range(40):
        for part in [*reversed(Path(done).parents), Path(done)]:
            place = world.path(str(part))
            if str(part) != "/" and place.is_symlink():
                target = str(place.readlink())
                done = str(Path(str(part.parent), target)) + done[len(str(part)) :]
                break
        else:
            break
    return str(Path(done).resolve()) if ".." not in done else str(Path(*_normal(done)))


def _normal(path: str) -> list[str]:
    parts: list[str] = ["/"]
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts
