# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installations as the vendor's installers and public modules lay them out, stopped and running: the right values of each.

The installers' from Confluence 7 to 10 and Jira 8 to 11; the shapes of puppet-jira and puppet-confluence (Vox Pupuli), of
the Chef cookbooks, and of the archive with a SysV script and /etc/sysconfig.
"""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import CONFLUENCE, JIRA, only

DATA = "/var/atlassian/application-data"
# Product, its version, its Tomcat, the Java that comes with it.
RELEASES = [
    *(("confluence", "7.4.0", "9.0.33", "11.0.6"), ("confluence", "7.19.30", "9.0.91", "11.0.24")),
    *(("confluence", "8.5.19", "9.0.99", "17.0.14"), ("confluence", "9.2.1", "10.1.34", "17.0.14")),
    *(("confluence", "10.0.2", "10.1.42", "21.0.7"), ("jira", "8.5.19", "8.5.60", "1.8.0_202")),
    *(("jira", "8.20.30", "8.5.100", "11.0.22"), ("jira", "9.12.20", "9.0.102", "11.0.26")),
    *(("jira", "10.3.5", "10.1.40", "17.0.15"), ("jira", "11.0.0", "10.1.43", "21.0.8")),
]

# Jira's has one live connector; the others that it ships with are in comments.
SHIPPED = """<Server port="8005" shutdown="SHUTDOWN"><Service name="Catalina">
  <Connector port="8080" protocol="HTTP/1.1" redirectPort="8443" bindOnInit="false"/>
  <!-- <Connector port="8080" protocol="HTTP/1.1" proxyName="jira.domain.com" scheme="https" proxyPort="443"/> -->
  <Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps">
    <Context path="" docBase="${catalina.home}/atlassian-jira" reloadable="false"/>
  </Host></Engine>
</Service></Server>
"""


def install(host, product, version, tomcat, java):
    """As install4j leaves it; the run user and the SysV script have the product's name."""
    folder = f"/opt/atlassian/{product}"
    getattr(host, product)(folder, version)
    host.tomcat(folder, tomcat).own(1001 if product == "confluence" else 1002, f"{folder}/work", f"{folder}/logs")
    host.jre(f"{folder}/jre", java)
    names = {"confluence": ("CONF_USER", "app.confHome"), "jira": ("JIRA_USER", "app.jiraHome")}[product]
    host.write(
        f"{folder}/bin/user.sh", f'# START INSTALLER MAGIC ! DO NOT EDIT !\n{names[0]}="{product}"\nexport {names[0]}\n'
    )
    host.write(
        f"{folder}/.install4j/response.varfile",
        f"# install4j response file for {product.title()} {version}\n{names[1]}={DATA}/{product}\n"
        f"app.install.service$Boolean=true\nsys.installationDir={folder}\n",
    )
    if product == "confluence":
        host.write(f"{folder}/bin/setjre.sh", f'JRE_HOME="{folder}/jre/"; export JRE_HOME\n')
        host.write(
            f"{folder}/confluence/WEB-INF/classes/confluence-init.properties", f"confluence.home = {DATA}/confluence\n"
        )
    else:
        setenv = host.path(f"{folder}/bin/setenv.sh").read_text()
        store = "-Djavax.net.ssl.trustStore=/etc/ssl/wiki.jks -Djavax.net.ssl.trustStorePassword=s3cret"
        host.write(f"{folder}/bin/setenv.sh", setenv.replace(store, ""))
        host.write(f"{folder}/atlassian-jira/WEB-INF/classes/jira-application.properties", f"jira.home = {DATA}/jira\n")
        host.write(f"{folder}/bin/catalina.sh", "#!/bin/bash\n", 0o755).write(f"{folder}/conf/server.xml", SHIPPED)
    script = host.data("sysv-confluence.txt").replace("confluence", product)
    host.folder(f"{DATA}/{product}").write(f"/etc/init.d/{product}", "#!/bin/bash\n" + script, 0o755)
    return folder


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
@pytest.mark.parametrize("release", RELEASES, ids=lambda item: f"{item[0]}-{item[1]}")
def test_what_the_installer_leaves(host, release, running):
    product, version, tomcat, java = release
    folder = install(host, *release)
    if running:
        host.backdate().jvm(700, folder, uid=1001 if product == "confluence" else 1002)
    found = only(host)
    assert (found.kind, found.install_dir, found.version, found.tomcat_version) == (product, folder, version, tomcat)
    assert (found.user, found.home) == (product, f"{DATA}/{product}")
    assert (found.service.kind, found.service.name, found.service.active) == ("sysv", product, running)
    assert (found.java.home, found.java.version, found.java.unknown) == (f"{folder}/jre", java, "")
    store = found.java.truststore
    assert (store.path, store.unknown) == (f"{folder}/jre/lib/security/cacerts", "")
    (users,) = (item for item in found.server_xml.connectors if item.user)
    assert users.port == {"confluence": 8090, "jira": 8080}[product]
    assert (found.process is not None) == running


PUPPET_JIRA = "/opt/jira/atlassian-jira-software-9.12.20-standalone"
PUPPET_CONFLUENCE = "/opt/confluence/confluence-8.5.19"
SYSV_FUNCTIONS = f"""#!/bin/bash
ACTION=$1
SERVICE=jira
export JAVA_HOME=/usr/lib/jvm/jre-11
function stop() {{
  {PUPPET_JIRA}/bin/stop-jira.sh
}}
function start() {{
  echo -n $"Starting $SERVICE: "
  {PUPPET_JIRA}/bin/start-jira.sh
  RETVAL=$?
  [ $RETVAL -eq 0 ] && touch /var/lock/subsys/$SERVICE
  return $RETVAL
}}
function execute() {{
  case "$ACTION" in
    start) start ;;
    stop) stop ;;
    *) exit 1 ;;
  esac
}}
execute
"""
SYSV_SU = f"""#!/bin/sh -e
APP=confluence
USER=confluence
CATALINA_HOME={PUPPET_CONFLUENCE}
export JAVA_HOME=/usr/lib/jvm/jre-11
case "$1" in
  start)
    /bin/su -m $USER -c "$CATALINA_HOME/bin/startup.sh"
    ;;
  stop)
    /bin/su -m $USER -c "$CATALINA_HOME/bin/shutdown.sh -force"
    ;;
esac
"""
SYSCONFIG = """#!/bin/sh
[ -r /etc/sysconfig/jira ] && . /etc/sysconfig/jira
export JAVA_HOME CATALINA_OPTS
case "$1" in
  start) su - "$JIRA_USER" -c "$JIRA_INSTALL/bin/start-jira.sh" ;;
esac
"""
OWN_SETENV = "JAVA_OPTS=-Xmx2g\n"


def puppet_jira(host):
    host.jira(PUPPET_JIRA, "9.12.20").jre("/usr/lib/jvm/jre-11").write(f"{PUPPET_JIRA}/bin/setenv.sh", OWN_SETENV)
    return PUPPET_JIRA


def puppet_jira_unit(host):
    unit = 'Type=forking\nEnvironment="JAVA_HOME=/usr/lib/jvm/jre-11"\nUser=jira\n'
    host.unit(
        "jira.service", f"{unit}ExecStart={PUPPET_JIRA}/bin/start-jira.sh\nExecStop={PUPPET_JIRA}/bin/stop-jira.sh"
    )
    return puppet_jira(host)


def puppet_jira_script(host):
    host.write("/etc/rc.d/init.d/jira", SYSV_FUNCTIONS, 0o755)
    return puppet_jira(host)


def puppet_confluence_script(host):
    host.write("/etc/init.d/confluence", SYSV_SU, 0o755).jre("/usr/lib/jvm/jre-11").confluence(
        PUPPET_CONFLUENCE, "8.5.19"
    )
    host.write(f"{PUPPET_CONFLUENCE}/bin/setenv.sh", OWN_SETENV)
    return PUPPET_CONFLUENCE


def chef_confluence(host):
    """The archive, linked to the path without its version, and a script that goes there."""
    folder = "/opt/atlassian/confluence-7.19.30"
    host.confluence(folder, "7.19.30").link(CONFLUENCE, folder).jre("/usr/lib/jvm/jre-11")
    host.write(f"{folder}/bin/setenv.sh", OWN_SETENV)
    script = f"#!/bin/bash\nexport JAVA_HOME=/usr/lib/jvm/jre-11\ncd {CONFLUENCE}/bin\ncase $1 in start) ./start-confluence.sh;; esac\n"
    host.write("/etc/init.d/confluence", script, 0o755)
    return folder


def archive_with_sysconfig(host):
    host.jira(JIRA, "10.3.5").jre("/usr/lib/jvm/jre-11").write(f"{JIRA}/bin/setenv.sh", "")
    settings = f"JIRA_INSTALL={JIRA}\nJIRA_USER=jira\nJAVA_HOME=/usr/lib/jvm/jre-11\n"
    host.write("/etc/sysconfig/jira", settings).write("/etc/init.d/tracker", SYSCONFIG, 0o755)
    return JIRA


MODULES = {
    "puppet, unit": (puppet_jira_unit, ("systemd", "jira"), "jira"),
    "puppet, script with functions": (puppet_jira_script, ("sysv", "jira"), "jira"),
    "puppet, script with su": (puppet_confluence_script, ("sysv", "confluence"), "confluence"),
    "chef, a link without the version": (chef_confluence, ("sysv", "confluence"), "confluence"),
    "archive, script and sysconfig": (archive_with_sysconfig, ("sysv", "tracker"), "jira"),
}


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
@pytest.mark.parametrize("name", MODULES)
def test_what_public_modules_leave(host, name, running):
    build, service, user = MODULES[name]
    folder = build(host)
    if running:
        group = {"unit": "jira.service"} if service[0] == "systemd" else {}
        host.backdate().jvm(
            700, folder, java="/usr/lib/jvm/jre-11/bin/java", uid={"jira": 1002}.get(user, 1001), **group
        )
    found = only(host)
    assert (found.install_dir, found.user) == (folder, user)
    assert (found.service.kind, found.service.name) == service
    login = "su - " in SYSCONFIG and name == "archive, script and sysconfig"
    if running or not login:  # su - leaves nothing of the environment: which Java a login has is not known
        assert found.java.home == "/usr/lib/jvm/jre-11"
    assert (found.process is not None) == running
