# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units and scripts in the field that start an application: what they start, as whom, and with which Java."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import only

HOME = "/apps/t"
START = f"{HOME}/bin/start-jira.sh"


def unit(*lines):
    return lambda host: host.unit("t.service", "\n".join(lines))


def script(text, name="t", more=None):
    """A SysV script, with more files."""

    def build(host):
        host.write(f"/etc/init.d/{name}", "#!/bin/bash\n" + text, 0o755)
        for path, content in (more or {}).items():
            host.write(path, content)

    return build


def wrapper(text, exec_start="/usr/local/sbin/wrap"):
    """A unit that runs a script of the administrator."""
    return lambda host: host.write("/usr/local/sbin/wrap", "#!/bin/bash\n" + text, 0o755).unit(
        "t.service", f"ExecStart={exec_start}"
    )


CASE = 'case "$1" in\n start) %s ;;\n stop) echo ;;\nesac\n'
STARTERS = {
    "shell with a directory": unit(f"ExecStart=/bin/bash -c 'cd {HOME}/bin && ./start-jira.sh -fg'"),
    "login shell": unit(f'ExecStart=/bin/bash -lc "cd {HOME} && exec bin/catalina.sh run"'),
    "shell with a variable of the unit": unit(
        f"Environment=B={HOME}", "ExecStart=/bin/sh -c 'cd $B/bin; ./startup.sh'"
    ),
    "su": unit(f"ExecStart=/bin/su - jira -c 'cd {HOME}/bin; ./start-jira.sh'"),
    "su, the options behind": unit(f'ExecStart=/usr/bin/su jira -s /bin/bash -c "{START} -fg"'),
    "runuser": unit(f"ExecStart=/sbin/runuser -u jira -- {START} -fg"),
    "sudo": unit(f"ExecStart=/usr/bin/sudo -H -u jira JAVA_HOME=/jdk {START}"),
    "env": unit(f"ExecStart=/usr/bin/env JAVA_HOME=/jdk nice -n 5 {START} -fg"),
    "flock": unit(f"ExecStart=/usr/bin/flock -n /run/lock/t {START} -fg"),
    "setpriv": unit(f"ExecStart=/usr/bin/setpriv --reuid=jira --init-groups {START} -fg"),
    "systemd-cat and a shell": unit(f"ExecStart=/usr/bin/systemd-cat -t jira /bin/sh -c 'exec {START} -fg'"),
    "a dot in the path": unit(f"WorkingDirectory={HOME}", "ExecStart=/bin/sh bin/./start-jira.sh"),
    "two slashes": unit(f"ExecStart={HOME}//bin//start-jira.sh -fg"),
    "directory of a file by a pattern": lambda host: host.write("/etc/t.d/1.env", f"BASE={HOME}\n").unit(
        "t.service", "EnvironmentFile=-/etc/t.d/*.env\nExecStart=/bin/sh -c '${BASE}/bin/start-jira.sh -fg'"
    ),
    "several commands": unit(f"ExecStart=/bin/true ; {START}"),
    "linked under another name": lambda host: host.write(
        "/opt/units/prod.service", f"[Service]\nExecStart={START}\n"
    ).link("/etc/systemd/system/t.service", "/opt/units/prod.service"),
    "instance that is a link": lambda host: host.unit("x@.service", "ExecStart=/apps/%i/bin/start-jira.sh").link(
        "/etc/systemd/system/multi-user.target.wants/x@t.service", "/etc/systemd/system/x@.service"
    ),
    "wrapper that goes there": wrapper(f"pushd {HOME}/bin >/dev/null\n./start-jira.sh\npopd"),
    "wrapper with a function": wrapper(f'go() {{ exec "$1/bin/start-jira.sh" -fg; }}\ngo {HOME}'),
    "wrapper of a wrapper": lambda host: (
        host.write("/usr/local/sbin/inner", "#!/bin/sh\ncd $1 && exec bin/catalina.sh run\n", 0o755)
        and wrapper(f"/usr/local/sbin/inner {HOME}")(host)
    ),
    "wrapper in a loop": wrapper(f"for a in {HOME} /gone; do $a/bin/start-jira.sh; done"),
    "wrapper of another language": lambda host: host.write(
        "/usr/local/sbin/wrap", f'#!/usr/bin/python3\nimport os\nos.system("{START}")\n', 0o755
    ).unit("t.service", "ExecStart=/usr/local/sbin/wrap"),
    "java itself": unit(f"ExecStart=/jdk/bin/java -Dcatalina.base={HOME} org.apache.catalina.startup.Bootstrap start"),
    "SysV script with settings": script(
        "[ -f /etc/sysconfig/t ] && . /etc/sysconfig/t\n" + CASE % 'su - $RUN_AS -c "cd $BASE/bin; ./start-jira.sh"',
        more={"/etc/sysconfig/t": f"# jira\nBASE={HOME}\nRUN_AS=jira\n"},
        name="jira",
    ),
    "SysV script with settings by its name": script(
        "NAME=`basename $0`\n. /etc/default/$NAME\n" + CASE % "$JIRA_DIR/bin/startup.sh",
        more={"/etc/default/t": f"JIRA_DIR={HOME}\n"},
    ),
    "SysV script with functions": script(
        '. /etc/init.d/functions\nstart() {\n  daemon --user=jira "' + START + '"\n}\n' + CASE % "start",
        more={"/etc/init.d/functions": 'daemon() {\n  local cgroup=\n  /bin/bash -c "$*"\n}\n'},
    ),
    "SysV script with start-stop-daemon": script(
        f"D={HOME}\n"
        + CASE % "start-stop-daemon --start --quiet --chuid jira:jira --chdir $D/bin --exec $D/bin/start-jira.sh -- -fg"
    ),
    "SysV script with a here-document": script(CASE % f"su - jira <<EOF\ncd {HOME}/bin\n./start-jira.sh\nEOF\n"),
    "SysV script with a subshell": script(CASE % f"(cd {HOME}/bin; nohup ./start-jira.sh > /dev/null 2>&1 &)"),
}


@pytest.mark.parametrize("name", STARTERS)
def test_what_starts_it(host, name):
    host.jira(HOME)
    STARTERS[name](host)
    found = only(host)
    assert (found.install_dir, found.service.kind != "none") == (HOME, True)


NONE = {
    "a script that stops it": wrapper(f"{HOME}/bin/stop-jira.sh"),
    "only when it is stopped": script(f'case "$1" in start) ;; stop) {START} ;; esac'),
    "it is only said": wrapper(f"echo {START}"),
    "a comment": wrapper(f"# {START}"),
    "function that is never called": wrapper(f"f() {{ {START}; }}"),
}


@pytest.mark.parametrize("name", NONE)
def test_what_does_not_start_it(host, name):
    NONE[name](host.jira(HOME))
    assert only(host, install_dirs=[HOME]).service.kind == "none"


JAVA = {
    "exported by a SysV script": script("export JAVA_HOME=/jdk\n" + CASE % START),
    "exported afterwards": script("JAVA_HOME=/jdk\nexport JAVA_HOME\n" + CASE % START),
    "exported by a file of settings": script(
        "set -a; . /etc/default/jira; set +a\n" + CASE % START, more={"/etc/default/jira": "JAVA_HOME=/jdk\n"}
    ),
    "for the command alone": script(CASE % f"JAVA_HOME=/jdk {START}"),
    "by env": unit(f"ExecStart=/usr/bin/env JAVA_HOME=/jdk {START}"),
    "by env in a shell": unit(f"ExecStart=/bin/sh -c 'exec env JAVA_HOME=/jdk {START}'"),
    "by the shell": unit(f"ExecStart=/bin/bash -c 'export JAVA_HOME=/jdk; {START}'"),
    "by a wrapper": wrapper(f"export JAVA_HOME=/jdk\nexec {START}"),
    "by su, for its command": unit(f"ExecStart=/bin/su jira -c 'JAVA_HOME=/jdk {START}'"),
    "by the profile of a login": lambda host: (
        host.write("/home/j/.bash_profile", "export JAVA_HOME=/jdk\n")
        .write("/etc/passwd", "root:x:0:0::/root:/bin/sh\njira:x:1002:1002::/home/j:/bin/sh\n")
        .unit("t.service", f"ExecStart=/bin/su - jira -c {START}")
    ),
    "by a file of a pattern": lambda host: host.write("/etc/t.d/1.env", "JAVA_HOME=/jdk\n").unit(
        "t.service", f"EnvironmentFile=/etc/t.d/*.env\nExecStart={START}"
    ),
}


@pytest.mark.parametrize("name", JAVA)
def test_java_that_a_starter_exports(host, name):
    host.jira(HOME).jre("/jdk").write(f"{HOME}/bin/setenv.sh", 'CATALINA_OPTS="$CATALINA_OPTS -Da=b"')
    JAVA[name](host)
    found = only(host)
    assert found.java and found.java.home == "/jdk", found


def test_options_that_a_starter_exports(host):
    host.jira(HOME).jre(f"{HOME}/jre").write(f"{HOME}/bin/setenv.sh", 'CATALINA_OPTS="$CATALINA_OPTS -Da=b"')
    script("export CATALINA_OPTS=-Djavax.net.ssl.trustStore=/a\nCATALINA_OPTS=$CATALINA_OPTS\n" + CASE % START)(host)
    assert only(host).java.truststore.path == "/a"
    script("CATALINA_OPTS=-Djavax.net.ssl.trustStore=/a\n" + CASE % START)(host)
    assert only(host).java.truststore.source == "cacerts"


def test_a_file_of_the_environment_wins_wherever_it_stands(host):
    host.jira(HOME).jre(f"{HOME}/jre").write("/etc/t.env", "JAVA_OPTS=-Djavax.net.ssl.trustStore=/a\n")
    host.write(f"{HOME}/bin/setenv.sh", "")
    unit("EnvironmentFile=/etc/t.env", "Environment=JAVA_OPTS=-Djavax.net.ssl.trustStore=/b", f"ExecStart={START}")(
        host
    )
    assert only(host).java.truststore.path == "/a"


def test_a_variable_that_a_command_takes_away(host):
    host.jira(HOME).jre(f"{HOME}/jre").write(f"{HOME}/bin/setenv.sh", "")
    unit("Environment=JAVA_OPTS=-Djavax.net.ssl.trustStore=/a", f"ExecStart=/usr/bin/env -u JAVA_OPTS {START}")(host)
    assert only(host).java.truststore.source == "cacerts"


def test_a_relative_store_is_in_the_directory_of_the_start(host):
    host.jira(HOME).jre(f"{HOME}/jre").write(f"{HOME}/bin/setenv.sh", "JAVA_OPTS=-Djavax.net.ssl.trustStore=conf/t")
    unit("WorkingDirectory=/srv/work", f"ExecStart={START}")(host)
    assert only(host).java.truststore.path == "/srv/work/conf/t"
    host.write("/srv/work/kept", "")
    unit(f"ExecStart=/bin/bash -c 'cd /srv && {START}'")(host)
    assert only(host).java.truststore.path == "/srv/conf/t"


def test_no_command_follows_a_directory_that_is_not_there(host):
    text = "cd /nowhere && JAVA_OPTS=-Djavax.net.ssl.trustStore=/a || JAVA_OPTS=-Djavax.net.ssl.trustStore=/b"
    host.jira(HOME).jre(f"{HOME}/jre").write(f"{HOME}/bin/setenv.sh", text)
    unit(f"ExecStart={START}")(host)
    assert only(host).java.truststore.path == "/b"


def test_home_is_unknown_where_the_start_script_changes_the_user(host):
    host.jira(HOME).jre(f"{HOME}/jre").write(f"{HOME}/bin/setenv.sh", "JAVA_OPTS=-Djavax.net.ssl.trustStore=$HOME/t")
    unit(f"ExecStart={START}")(host)
    assert only(host).java.truststore.unknown == f"{HOME}/bin/setenv.sh:1"


def test_sh_of_the_host_decides_what_a_script_means(host):
    host.jira(HOME).jre(f"{HOME}/jre").link("/bin/sh", "dash").write("/bin/dash")
    text = 'if [[ "$1" == start ]]; then JAVA_OPTS=-Djavax.net.ssl.trustStore=/a; fi'
    host.write(f"{HOME}/bin/setenv.sh", text)
    unit(f"ExecStart={START}")(host)
    assert only(host).java.truststore.source == "cacerts"
    host.write(f"{HOME}/bin/catalina.sh", "#!/bin/bash\n")
    assert only(host).java.truststore.path == "/a"
    host.write(f"{HOME}/bin/catalina.sh", "#!/bin/sh\n")
    host.remove("/bin/sh").link("/bin/sh", "bash").write("/bin/bash")
    assert only(host).java.truststore.path == "/a"


def test_user_that_a_starter_changes_to(host):
    host.jira(HOME)
    script(CASE % f"su - tracker -c {START}")(host)
    assert only(host).user == "tracker"


def test_command_that_catalina_gets(host):
    host.jira(HOME).jre(f"{HOME}/jre").write(
        f"{HOME}/bin/setenv.sh", 'if [ "$1" = start ]; then JAVA_OPTS=-Djavax.net.ssl.trustStore=/a; fi'
    )
    store = only(host, install_dirs=[HOME]).java.truststore  # nothing tells what it will get
    assert (store.source, store.unknown != "") == ("cacerts", True)
    unit(f"ExecStart={START}")(host)
    assert only(host).java.truststore.path == "/a"
    unit(f"ExecStart={START} -fg")(host)
    store = only(host).java.truststore
    assert (store.source, store.unknown) == ("cacerts", "")


def test_java_that_a_unit_runs_itself_does_not_read_setenv(host):
    host.jira(HOME).jre("/jdk").write(f"{HOME}/bin/setenv.sh", "JAVA_OPTS=-Djavax.net.ssl.trustStore=/a")
    main = "org.apache.catalina.startup.Bootstrap start"
    unit(f"ExecStart=/jdk/bin/java -Djavax.net.ssl.trustStore=/b -Dcatalina.base={HOME} {main}")(host)
    java = only(host).java
    assert (java.home, java.source, java.truststore.path) == ("/jdk", "unit", "/b")
