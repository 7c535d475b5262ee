# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Confluence and Jira are installed on a host, found by every dependable sign.

Signs: running JVMs, units and SysV scripts that start one, the usual directories (the installer's, versioned ones of
archives, those of container images), directories that the caller names. One installation that is reached by several
paths is one, by its real path. What root does not vouch for does not count: see ``doubts``.
"""

from __future__ import annotations

import os
import re

from ansible_collections.collab.rtc.plugins.module_utils._detect.doubts import (
    Doubts,
    Installation,
    explain_installation,
    explain_process,
    find_exchangers,
    find_false_link,
    printable,
)
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._host.processes import Proc
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.service_units import Starter
from ansible_collections.collab.rtc.plugins.module_utils._java.options import JvmOptions, read_command_line
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import facts
from ansible_collections.collab.rtc.plugins.module_utils._xml import element_text, scanner

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
_RESPONSE_TITLE = re.compile(r"response file for (\D{1,60}?) (\d+(?:\.\d+)+)", re.IGNORECASE)


def discover(
    rootfs: RootFs, procs: dict[int, Proc], starters: list[Starter], extra: list[str], doubts: Doubts
) -> list[Installation]:
    """All installations that count, by kind and path.

    :param extra: directories to look at besides the usual ones: installations, or directories of installations.
    :param doubts: gets what does not count.
    """
    search = _Search(rootfs, extra, doubts)
    for starter in starters:
        search.add_starter(starter)
    for path, named in _list_candidates(rootfs, extra):
        search.add_place(path, named)
    search.sift()
    for proc in jvms(procs):
        search.add_process(proc)
    search.fold_homes()
    for item in search.found.values():
        item.evidence = list(dict.fromkeys(item.evidence))
    return sorted(search.found.values(), key=lambda item: (item.kind, item.path))


class _Search:
    """What was found so far, by real path."""

    def __init__(self, rootfs: RootFs, extra: list[str], doubts: Doubts) -> None:
        self.rootfs = rootfs
        self.extra = extra
        self.doubts = doubts
        self.found: dict[str, Installation] = {}
        self.named: dict[str, str] = {}  # real path -> the directory of ``extra`` that it is, or is in
        self.refused: set[str] = set()

    def add_starter(self, starter: Starter) -> None:
        """The installations that a unit or script starts, if only root may write it."""
        for folder in dict.fromkeys(starter.directories):
            home = starter.homes.get(folder, folder)
            kind = kind_of(self.rootfs, self.rootfs.real(folder), home=self.rootfs.real(home))
            if not kind:
                continue
            false = find_false_link(self.rootfs, folder) or find_false_link(self.rootfs, home)
            if starter.writers or false:
                reason = false or f"{', '.join(starter.writers)} can change it"
                self.doubts.add("starter", starter.path, reason, kind, [f"it starts {folder}"])
                continue
            item = self._add(folder, f"started by {starter.path}", self.rootfs.real(home))
            if item is not None and starter not in item.starters:
                item.starters.append(starter)

    def add_place(self, path: str, named: str) -> None:
        """A directory that may be an installation.

        :param named: the directory of ``extra`` that it is, or is in; "" for one of the usual places.
        """
        false = find_false_link(self.rootfs, path) if named else ""
        if false:
            kind = kind_of(self.rootfs, self.rootfs.real(path))
            if kind:
                self.doubts.add("installation", path, false, kind, [f"install_dirs names {named}"])
            return
        item = self._add(path, f"named by install_dirs ({named})" if named else "found in one of the usual places")
        if item is None:
            return
        if named:
            known = self.named.get(item.path, "")
            self.named[item.path] = known if known and self.rootfs.real(known) == item.path else named
        if self.rootfs.is_file(f"{item.path}/{_RESPONSE}"):
            item.evidence.append(f"the installer's answers are in {item.path}/{_RESPONSE}")

    def fold_homes(self) -> None:
        """A CATALINA_HOME that others share, and that nothing starts by itself, is no installation of its own."""
        for item in list(self.found.values()):
            home = self.found.get(item.tomcat)
            if home is not None and not home.starters and home.proc is None:
                del self.found[home.path]
                shared = [one for one in self.found.values() if one.tomcat == home.path]
                item.aliases += [home.path, *home.aliases] if len(shared) == 1 else []

    def sift(self) -> None:
        """Keep what counts."""
        for path, item in list(self.found.items()):
            if not self._counts(item, None):
                self.refused.add(path)
                del self.found[path]

    def add_process(self, proc: Proc) -> None:
        """What a Tomcat that runs says of an installation, if both count."""
        if not proc.settle():
            proc = Proc(self.rootfs, proc.pid)
            if not proc.settle() and not proc.has_ended() and is_tomcat(proc):
                self.doubts.add("process", "", "it changes while it is looked at", "", [_name(proc)], proc)
                return
            if not is_tomcat(proc):
                return
        properties = read_command_line(proc.args).properties
        base = properties.get("catalina.base") or properties.get("catalina.home", "")
        if not base.startswith("/"):
            return
        path = self.rootfs.real(base)
        home = self.rootfs.real(properties.get("catalina.home") or base)
        kind = kind_of(self.rootfs, path) or kind_of(self.rootfs, path, properties, home)
        if not kind or not self._is_here(proc, base, path, kind):
            return
        item = self.found.get(path) or Installation(kind, path)
        if path not in self.found and not self._counts(item, proc):
            return
        why, doubt = explain_process(self.rootfs, item, proc)
        if doubt:
            self.doubts.add("process", item.path, doubt, kind, [_name(proc)], proc)
            return
        self.found[path] = item
        item.evidence.append(f"process {proc.pid} runs with -Dcatalina.base={printable(base)}, {why}")
        item.tomcat = home if home != path else ""
        base = base.rstrip("/")
        if base not in (path, *item.aliases) and os.path.normpath(base) == printable(base):
            item.aliases.append(base)
        if item.proc is None or (_is_started(item, proc) and not _is_started(item, item.proc)):
            item.proc = proc

    def _add(self, path: str, evidence: str, home: str = "") -> Installation | None:
        real = self.rootfs.real(path)
        if real not in self.found:
            kind = kind_of(self.rootfs, real, home=home)
            if not kind:
                return None
            self.found[real] = Installation(kind, real)
        path = path.rstrip("/")
        item = self.found[real]
        item.tomcat = item.tomcat or (home if home != real else "")
        item.evidence.append(evidence if path == real else f"{evidence} (by the path {path})")
        if path not in (real, *item.aliases):
            item.aliases.append(path)
        return item

    def _counts(self, item: Installation, proc: Proc | None) -> bool:
        """Whether an installation counts; if not, that is remembered.

        :param proc: the process by which alone it is known.
        """
        why = explain_installation(self.rootfs, item, self.named.get(item.path, ""))
        if why:
            item.evidence.append(f"it counts: {why}")
            return True
        writers = ", ".join(map(str, find_exchangers(self.rootfs, item.path)))
        reason = f"nothing that only root may write starts it, and {writers} can exchange it"
        self.doubts.add("installation", item.path, reason, item.kind, [_name(proc)] if proc else item.evidence, proc)
        return False

    def _is_here(self, proc: Proc, base: str, path: str, kind: str) -> bool:
        """Whether a process means the directory that we see; if not, that is remembered."""
        starters = self.found[path].starters if path in self.found else []
        if proc.unit and proc.unit in {unit_of(starter) for starter in starters}:
            return True  # systemd may have given the service namespaces of its own
        if not proc.is_apart() and proc.sees(base):
            return True
        if not proc.has_ended():
            reason = f"it is in a container or a namespace of its own, where {base} is another directory"
            self.doubts.add("process", path, reason, kind, [_name(proc)], proc)
        return False


def _name(proc: Proc) -> str:
    return f"process {proc.pid} of user {proc.user}: {proc.exe or proc.args[0]}"


def _is_started(item: Installation, proc: Proc) -> bool:
    return proc.unit in {unit_of(starter) for starter in item.starters}


def unit_of(starter: Starter) -> str:
    """The name under which systemd knows a starter; it wraps SysV scripts in units."""
    return starter.name if starter.kind == "systemd" else starter.name + ".service"


def jvms(procs: dict[int, Proc]) -> list[Proc]:
    """The processes that say they are Tomcats, the newest first: one that hangs since before a restart comes last."""
    return sorted(filter(is_tomcat, procs.values()), key=lambda proc: proc.started, reverse=True)


def is_tomcat(proc: Proc) -> bool:
    """Whether the command line is that of a Tomcat, not of one that is being stopped."""
    return _BOOTSTRAP in proc.args and "stop" not in proc.args[-1:]


def _list_candidates(rootfs: RootFs, extra: list[str]) -> list[tuple[str, str]]:
    """Directories that may be installations, each with the directory of ``extra`` that it is, or is in."""
    found: list[tuple[str, str]] = []
    for path in extra:
        found += [(path, path), *((child, path) for child in _list_children(rootfs, path, False))]
    for place, telling in _PLACES:
        if kind_of(rootfs, place):  # container images with the files right in /opt/atlassian
            found.append((place, ""))
        for path in _list_children(rootfs, place, telling):
            found.append((path, ""))
            if not kind_of(rootfs, rootfs.real(path)):
                found += [(child, "") for child in _list_children(rootfs, path, False)]
    return list(dict.fromkeys(found))


def _list_children(rootfs: RootFs, place: str, telling: bool) -> list[str]:
    names = rootfs.names(place)[:_MOST_CHILDREN]
    paths = [f"{place.rstrip('/')}/{name}" for name in names if not telling or _TELLING.search(name)]
    return [path for path in paths if rootfs.is_dir(path)]


def kind_of(rootfs: RootFs, path: str, properties: dict[str, str] | None = None, home: str = "") -> str:
    """ "confluence", "jira", or "" when the directory has no Tomcat with one of them.

    :param properties: of the JVM that runs it.
    :param home: the CATALINA_HOME that it is started with, "" for an unknown one.
    """
    apart = home not in ("", path)
    if not (rootfs.is_dir(path + "/conf") and (rootfs.is_dir(path + "/bin") or properties or apart)):
        return ""
    for kind, webapp in WEBAPPS.items():
        if rootfs.is_dir(f"{path}/{webapp}/WEB-INF") or rootfs.is_file(f"{path}/bin/start-{kind}.sh"):
            return kind
    for kind in WEBAPPS:
        if properties and HOME_PROPERTY[kind] in properties:
            return kind
    text = rootfs.text(path + "/conf/server.xml") or ""
    closed = text.rfind("-->") + 3  # without a search to the end for each comment that is not closed
    text = re.sub(r"<!--.*?-->", "", text[:closed], flags=re.DOTALL) + text[closed:]
    for kind, webapp in WEBAPPS.items():
        if re.search(rf"""docBase\s*=\s*["'](?:[^"']*/)?{webapp}/?["']""", text):
            return kind
    return kind_of(rootfs, home) if apart else ""


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


def home(rootfs: RootFs, kind: str, path: str, options: JvmOptions, parameters: dict[str, str]) -> str:
    """The home directory, "" when nothing names it.

    The JVM's property beats the environment beats the parameter of the web application's context beats the pointer
    file within it beats the installer's answers (Atlassian, "Confluence Home and other important directories",
    "Setting your Jira application home").

    :param parameters: of the Context.
    """
    classes = f"{path}/{WEBAPPS[kind]}/WEB-INF/classes"
    pointer = {"confluence": "confluence-init.properties", "jira": "jira-application.properties"}[kind]
    answers = facts.read_properties_file(rootfs, f"{path}/{_RESPONSE}")
    usual = f"/var/atlassian/application-data/{kind}"
    return (
        options.properties.get(HOME_PROPERTY[kind])
        or options.environment.get(HOME_VARIABLE[kind])
        or parameters.get(HOME_PROPERTY[kind])
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
    path = folder + "/confluence.cfg.xml"
    try:
        document = scanner.read(rootfs.data(path) or b"<none/>", path)
    except RtcError as exc:
        rootfs.note(path, str(exc))
        return ""
    named = [node for node in document.nodes if node.attributes.get("name") == "confluence.cluster.home"]
    wanted = [node for node in named if node.name == "property"][-1:]  # the last one counts
    return next((element_text.read_text(document, node).strip() for node in wanted), "")
