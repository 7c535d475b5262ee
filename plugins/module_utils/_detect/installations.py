# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Confluence and Jira are installed on a host, found by every dependable sign.

Signs: running JVMs, units and SysV scripts that start one, the usual directories (the installer's, versioned ones of
archives, those of container images), directories that the caller names. One installation that is reached by several
paths is one, by its real path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Callable

from ansible_collections.collab.rtc.plugins.module_utils import _shell_eval
from ansible_collections.collab.rtc.plugins.module_utils._host.processes import Proc
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.service_units import Starter
from ansible_collections.collab.rtc.plugins.module_utils._java.options import JvmOptions, read_command_line
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import facts

WEBAPPS = {"confluence": "confluence", "jira": "atlassian-jira"}
HOME_PROPERTY = {"confluence": "confluence.home", "jira": "jira.home"}
HOME_VARIABLE = {"confluence": "CONFLUENCE_HOME", "jira": "JIRA_HOME"}

# Directories that hold installations, and whether only children with a telling name are looked at.
_PLACES = (
    ("/opt/atlassian", False),
    ("/opt", True),
    ("/usr/local", True),
    ("/usr/local/atlassian", False),
    ("/srv", True),
    ("/srv/atlassian", False),
    ("/var/www", True),
    ("/app", True),
    ("/data", True),
    ("/data/atlassian", False),
)
_TELLING = re.compile(r"confluence|jira|atlassian", re.IGNORECASE)
_BOOTSTRAP = "org.apache.catalina.startup.Bootstrap"
_MOST_CHILDREN = 200  # of a directory; more is not a place of installations
_POM = {
    "confluence": "confluence/META-INF/maven/com.atlassian.confluence/confluence-webapp/pom.properties",
    "jira": "atlassian-jira/META-INF/maven/com.atlassian.jira/jira-webapp-dist/pom.properties",
}
_JAR = {
    "confluence": re.compile(r"(?:com\.atlassian\.confluence_)?confluence-(\d+(?:\.\d+)+)\.jar"),
    "jira": re.compile(r"(?:jira-core|atlassian-jira-core)-(\d+(?:\.\d+)+)\.jar"),
}
_RESPONSE = ".install4j/response.varfile"
_RESPONSE_TITLE = re.compile(r"response file for (\D+?) (\d+(?:\.\d+)+)", re.IGNORECASE)


@dataclass
class Installation:
    """An installation."""

    kind: str
    path: str  # real
    evidence: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)  # other paths to it
    starters: list[Starter] = field(default_factory=list)
    proc: Proc | None = None


def discover(rootfs: RootFs, procs: dict[int, Proc], starters: list[Starter], extra: list[str]) -> list[Installation]:
    """All installations, by kind and path.

    :param extra: directories to look at besides the usual ones: installations, or directories of installations.
    """
    found: dict[str, Installation] = {}

    def add(path: str, evidence: str, kind: str = "") -> Installation | None:
        real = rootfs.real(path)
        if real not in found:
            kind = kind or kind_of(rootfs, real)
            if not kind:
                return None
            found[real] = Installation(kind, real)
        path = path.rstrip("/")
        found[real].evidence.append(evidence if path == real else f"{evidence} (by the path {path})")
        if path not in (real, *found[real].aliases):
            found[real].aliases.append(path)
        return found[real]

    for proc in jvms(procs):
        _add_process(rootfs, proc, add)
    for starter in starters:
        for folder in dict.fromkeys(starter.directories):
            item = add(folder, f"started by {starter.path}")
            if item is not None and starter not in item.starters:
                item.starters.append(starter)
    for path in _list_candidates(rootfs, extra):
        item = add(path, "found in one of the usual places" if path not in extra else "named by install_dirs")
        if item is not None and rootfs.is_file(f"{item.path}/{_RESPONSE}"):
            item.evidence.append(f"the installer's answers are in {item.path}/{_RESPONSE}")
    for item in found.values():
        item.evidence = list(dict.fromkeys(item.evidence))
    return sorted(found.values(), key=lambda item: (item.kind, item.path))


def jvms(procs: dict[int, Proc]) -> list[Proc]:
    """The processes that are Tomcats."""
    found = [proc for proc in procs.values() if _BOOTSTRAP in proc.args and "stop" not in proc.args[-1:]]
    return sorted(
        found, key=lambda proc: proc.started, reverse=True
    )  # one that hangs since before a restart comes last


def _add_process(rootfs: RootFs, proc: Proc, add: Callable[[str, str, str], Installation | None]) -> None:
    properties = read_command_line(proc.args).properties
    base = properties.get("catalina.base") or properties.get("catalina.home", "")
    if not base.startswith("/"):
        return
    kind = kind_of(rootfs, rootfs.real(base), properties)
    if not kind:
        return
    if not proc.sees(base):
        rootfs.note(f"process {proc.pid}", f"a {kind} in a container that has {base} for itself: manage the container")
        return
    item = add(base, f"process {proc.pid} runs with -Dcatalina.base={base}", kind)
    if item is not None and item.proc is None:
        item.proc = proc


def _list_candidates(rootfs: RootFs, extra: list[str]) -> list[str]:
    found: list[str] = []
    for path in extra:
        found += [path, *_list_children(rootfs, path, False)]
    for place, telling in _PLACES:
        if kind_of(rootfs, place):  # container images with the files right in /opt/atlassian
            found.append(place)
        for path in _list_children(rootfs, place, telling):
            found.append(path)
            if not kind_of(rootfs, rootfs.real(path)):
                found += _list_children(rootfs, path, False)
    return list(dict.fromkeys(found))


def _list_children(rootfs: RootFs, place: str, telling: bool) -> list[str]:
    names = rootfs.names(place)[:_MOST_CHILDREN]
    paths = [f"{place.rstrip('/')}/{name}" for name in names if not telling or _TELLING.search(name)]
    return [path for path in paths if rootfs.is_dir(path)]


def kind_of(rootfs: RootFs, path: str, properties: dict[str, str] | None = None) -> str:
    """ "confluence", "jira", or "" when the directory has no Tomcat with one of them.

    :param properties: of the JVM that runs it.
    """
    if not (rootfs.is_dir(path + "/conf") and (rootfs.is_dir(path + "/bin") or properties)):
        return ""
    for kind, webapp in WEBAPPS.items():
        if rootfs.is_dir(f"{path}/{webapp}/WEB-INF") or rootfs.is_file(f"{path}/bin/start-{kind}.sh"):
            return kind
    for kind in WEBAPPS:
        if properties and HOME_PROPERTY[kind] in properties:
            return kind
    text = re.sub(r"<!--.*?-->", "", rootfs.text(path + "/conf/server.xml") or "", flags=re.DOTALL)
    for kind, webapp in WEBAPPS.items():
        if re.search(rf"""docBase\s*=\s*["'](?:[^"']*/)?{webapp}/?["']""", text):
            return kind
    return ""


def product_version(rootfs: RootFs, kind: str, path: str) -> str:
    """The version of the product: of the web application's own metadata, else of what the installer wrote, else of
    the directory's name; "" when unknown."""
    version = facts.read_properties_file(rootfs, f"{path}/{_POM[kind]}").get("version", "")
    if version:
        return version
    for name in rootfs.names(f"{path}/{WEBAPPS[kind]}/WEB-INF/lib"):
        found = _JAR[kind].fullmatch(name)
        if found:
            return found.group(1)
    title = _RESPONSE_TITLE.search(rootfs.text(f"{path}/{_RESPONSE}") or "")
    if title and title.group(1).lower().startswith(kind):
        return title.group(2)
    named = re.search(rf"{kind}[a-z-]*-(\d+(?:\.\d+)+)", path.rsplit("/", 1)[-1])
    return named.group(1) if named else ""


def home(rootfs: RootFs, kind: str, path: str, options: JvmOptions) -> str:
    """The home directory, "" when nothing names it.

    The JVM's property beats the environment beats the pointer file within the web application beats the installer's
    answers (Atlassian, "Confluence Home and other important directories", "Setting your Jira application home").
    """
    classes = f"{path}/{WEBAPPS[kind]}/WEB-INF/classes"
    pointer = {"confluence": "confluence-init.properties", "jira": "jira-application.properties"}[kind]
    answers = facts.read_properties_file(rootfs, f"{path}/{_RESPONSE}")
    usual = f"/var/atlassian/application-data/{kind}"
    return (
        options.properties.get(HOME_PROPERTY[kind])
        or options.environment.get(HOME_VARIABLE[kind])
        or facts.read_properties_file(rootfs, f"{classes}/{pointer}").get(HOME_PROPERTY[kind])
        or answers.get({"confluence": "app.confHome", "jira": "app.jiraHome"}[kind])
        or (usual if rootfs.is_dir(usual) else "")
    ).rstrip("/")


def shared_home(rootfs: RootFs, kind: str, folder: str) -> str:
    """The home that the nodes of a cluster share, "" when there is none or it cannot be seen."""
    if not folder:
        return ""
    if kind == "jira":
        return facts.read_properties_file(rootfs, folder + "/cluster.properties").get("jira.shared.home", "")
    text = rootfs.text(folder + "/confluence.cfg.xml") or ""
    found = re.search(r'<property name="confluence\.cluster\.home">\s*([^<]+?)\s*</property>', text)
    return found.group(1).replace("&amp;", "&") if found else ""


def user_of_scripts(rootfs: RootFs, kind: str, path: str) -> str:
    """The user that bin/user.sh of the installer names, "" for none."""
    text = rootfs.text(path + "/bin/user.sh") or ""
    values = _shell_eval.variables(text, {})
    names = ("CONF_USER", "CONFLUENCE_USER") if kind == "confluence" else ("JIRA_USER",)
    return next((values[name] for name in names if values.get(name)), "")
