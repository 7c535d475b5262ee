# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation in full: its Tomcat, JVM, home, user and service as facts."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._detect import installations, jre, next_start, secret_places
from ansible_collections.collab.rtc.plugins.module_utils._detect.doubts import Installation, list_run_users
from ansible_collections.collab.rtc.plugins.module_utils._detect.starting import choose_starter, describe_service
from ansible_collections.collab.rtc.plugins.module_utils._facts import Application, Process
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._host.service_units import Starter, UnitState
from ansible_collections.collab.rtc.plugins.module_utils._host.users import find_home, may_read
from ansible_collections.collab.rtc.plugins.module_utils._java import setenv
from ansible_collections.collab.rtc.plugins.module_utils._java.options import JvmOptions, read_command_line
from ansible_collections.collab.rtc.plugins.module_utils._java.secrets import mask
from ansible_collections.collab.rtc.plugins.module_utils._mask import MASK
from ansible_collections.collab.rtc.plugins.module_utils._tomcat import facts, property_sources


def describe_all(
    rootfs: RootFs, found: list[Installation], states: dict[str, UnitState], services: dict[str, str]
) -> list[Application]:
    """The facts of all installations, those in use first.

    :param states: as :func:`service_units.states` says; empty when systemd was not asked.
    :param services: application -> the unit or SysV script that the inventory says starts it.
    """
    applications = [describe(rootfs, item, states, services.get(item.kind, "")) for item in found]
    return sort_out(applications)


def sort_out(applications: list[Application]) -> list[Application]:
    """Applications by kind, those in use first; the others get the reason in ``leftover``."""
    for application in applications:
        others = [item for item in applications if item.kind == application.kind and _is_used(item)]
        if others and not _is_used(application):
            application.leftover = (
                f"nothing starts it, and {others[0].install_dir} is the {application.kind} of this host that is started"
            )
    return sorted(applications, key=lambda item: (item.kind, bool(item.leftover), item.install_dir))


def _is_used(application: Application) -> bool:
    started = application.service is not None and application.service.kind != "none"
    return application.process is not None or started


def describe(
    rootfs: RootFs, found: Installation, states: dict[str, UnitState], named: str = "", contained: bool = False
) -> Application:
    """The facts of one installation.

    :param named: the unit or SysV script that the inventory says starts it; "" for none.
    :param contained: it is in a container, whose files ``rootfs`` has; nothing on the host reads its secrets.
    """
    starter = choose_starter(rootfs, found, states, named)
    user = _find_user(rootfs, found, starter)
    files = next_start.Configuration(rootfs, found, starter, user)
    configured = files.options
    running = read_command_line(found.proc.args, found.proc.environment) if found.proc else None
    newer = found.proc is not None and files.is_newer(found.proc.started)
    options = next_start.merge(configured, running, newer)
    if found.tomcat:
        options.properties.update({"catalina.home": found.home, "catalina.base": found.path})
    webapp = installations.WEBAPPS[found.kind]
    place = found.path if rootfs.is_dir(f"{found.path}/{webapp}") else found.home
    application = Application(
        kind=found.kind,
        install_dir=found.path,
        version=installations.product_version(rootfs, found.kind, place),
        tomcat_version=facts.tomcat_version(rootfs, _find_tomcat_home(rootfs, found.path, options)),
        properties=mask(options.properties),
        service=describe_service(found, starter, states, named),
        evidence=list(found.evidence),
        aliases=list(found.aliases),
    )
    application.user = user
    places = dict.fromkeys((found.path, found.home))
    application.writers = list(dict.fromkeys(item for one in places for item in jre.list_writers(rootfs, one)))
    application.java = next_start.find_jre(rootfs, found, starter, configured, newer)
    if application.java is not None:
        folder = next_start.find_folder(found, starter)
        application.java.truststore = jre.trust_store(rootfs, application.java.home, options.properties, folder)
        application.java.truststore.unknown = options.find_doubt(setenv.PROPERTY)
        unmanaged = files.read(setenv.without_block)
        store = unmanaged.properties.get(setenv.PROPERTY, "")
        application.java.option = jre.trust_option(rootfs, application.java.home, files.script, store, folder)
    known = _read_known(rootfs, application, found, options)
    application.server_xml = facts.describe(rootfs, found.path, found.kind, known)
    if not contained:
        secret_places.locate(rootfs, found, starter, application.server_xml.secrets, known)
    parameters = application.server_xml.context_parameters
    application.home = installations.home(rootfs, found.kind, place, options, parameters)
    application.shared_home = installations.shared_home(rootfs, found.kind, application.home)
    secrets = {source.name for source in application.server_xml.secrets}
    application.properties = _hide(application.properties, secrets)
    if found.proc is not None and running is not None:
        application.process = Process(
            pid=found.proc.pid,
            started=found.proc.started,
            user=found.proc.user,
            properties=_hide(mask(running.properties), secrets),
            differences=next_start.find_differences(rootfs, found, application.java, running, options, newer),
        )
        for item in application.process.differences:
            if item.what[len("-D") :] in secrets:
                item.running = item.following = MASK
    return application


def _read_known(rootfs: RootFs, application: Application, found: Installation, options: JvmOptions) -> dict[str, str]:
    """What ``${...}`` in server.xml may name.

    The run user chooses the file that ``catalina.config`` names, and values of it are shown: it is read only where he
    may read it, as Tomcat could not otherwise either.
    """
    given = {**_list_java_properties(rootfs, application, found, options), **options.properties}
    refused = []

    def read(path: str) -> bytes | None:
        if path.startswith(found.path + "/conf/") or may_read(rootfs, application.user, path):
            return rootfs.data(path)
        if rootfs.stat(path) is not None:
            refused.append(path)
            rootfs.note(path, f"user {application.user or '(unknown)'}, whom Tomcat runs as, may not read it")
        return None

    known = property_sources.read_known(found.path, given, options.environment, read)
    if property_sources.resolves_once(application.tomcat_version):
        known[property_sources.ONCE] = ""
    if refused:
        known.pop("catalina.config", None)  # that the modules do not read it either
    return known


def _hide(properties: dict[str, str], secrets: set[str]) -> dict[str, str]:
    return {name: MASK if name in secrets and value else value for name, value in properties.items()}


def _list_java_properties(
    rootfs: RootFs, application: Application, found: Installation, options: JvmOptions
) -> dict[str, str]:
    """System properties that no option sets: those that Java itself has (``System.getProperties``), CATALINA_HOME."""
    own = {
        "catalina.home": _find_tomcat_home(rootfs, found.path, options),
        "java.io.tmpdir": options.environment.get("CATALINA_TMPDIR", ""),
        "java.home": application.java.home if application.java else "",
        "user.name": application.user,
        "user.home": find_home(rootfs, application.user),
        "user.dir": found.proc.cwd if found.proc else "",
    }
    return {name: value for name, value in own.items() if value}


def _find_tomcat_home(rootfs: RootFs, path: str, options: JvmOptions) -> str:
    """CATALINA_HOME: another directory than the installation where several share one Tomcat."""
    named = options.properties.get("catalina.home") or options.environment.get("CATALINA_HOME") or path
    return named if rootfs.is_file(named + "/lib/catalina.jar") else path


def _find_user(rootfs: RootFs, found: Installation, starter: Starter | None) -> str:
    if found.proc is not None and found.proc.user:
        return found.proc.user
    if starter is not None and starter.user:
        return starter.user
    users = list_run_users(rootfs, found)
    return users[0][0] if users else ""
