# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the application's Java is to trust, in which trust store, and how that is named to the JVM. Pure."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._facts import Java
from ansible_collections.collab.rtc.plugins.module_utils._keystore import anchors
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import decide_container
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredTrust
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node

CLOCK_SLACK = 1.0  # seconds: the start of a process is known to about that from /proc


def decide_trust(classified: ClassifiedSite, node: Node) -> DesiredTrust:
    """Trust store, certificates and JVM option of one application."""
    if node.application.container:
        return decide_contained(classified, node, node.application.java)
    java, own = node.application.java, node.settings.truststore_path
    wanted = classified.tls and java is not None and bool(java.home)
    doubt = find_doubt(java) if java and not own else ""
    path, copy_from, why_path = decide_store(node, java, doubt) if wanted and java else ("", "", "")
    certificates, why_trusted = decide_certificates(classified, node) if wanted else ([], "")
    obstacle, remedy = find_obstacle(node) if own else ("", "")
    imports = bool(path and certificates)
    option_path, option_truststore = decide_option(node, java, imports, obstacle)
    return DesiredTrust(
        wanted=wanted,
        path=path,
        jre_home=java.home if java else "",
        certificates=certificates,
        copy_from=copy_from,
        option_path=option_path,
        option_truststore=option_truststore,
        doubt=doubt,
        obstacle=obstacle,
        obstacle_remedy=remedy,
        evidence={
            "wanted": f"{classified.site.name} is {classified.site.protocol}",
            "path": why_path,
            "certificates": why_trusted,
        },
    )


def decide_contained(classified: ClassifiedSite, node: Node, java: Java | None) -> DesiredTrust:
    """Trust of an application in a container: a store on the host, to be mounted; it begins with the JRE's own."""
    wanted, process = classified.tls and java is not None and bool(java.home), node.application.process
    certificates, why = decide_certificates(classified, node) if wanted else ([], "")
    if java is None or process is None or not certificates:
        return DesiredTrust(wanted=wanted, jre_home=java.home if java else "")
    return DesiredTrust(
        wanted=wanted,
        path=decide_container.decide_store(node),
        jre_home=java.home,
        certificates=certificates,
        copy_from=decide_container.find_copied(node, java),
        copy_process={"pid": process.pid, "started": process.started},
        evidence={
            "wanted": f"{classified.site.name} is {classified.site.protocol}",
            "path": "the next start of a container throws away what is written in it",
            "certificates": why,
        },
    )


def decide_store(node: Node, java: Java, doubt: str) -> tuple[str, str, str]:
    """The trust store to import into, the one that it begins with ("" for itself), and why it is that one."""
    used = java.truststore.path if java.truststore else ""
    if java.option and java.option.managed_store == used:
        # The store that the JVM would use without this collection's option: what a lost store begins with, too.
        used = java.option.effective_store_without_block
    own = node.settings.truststore_path
    if own:
        return own, used if own != used else "", "rtc_truststore_path"
    if doubt:
        return "", "", f"it is unknown which trust store the next start uses: {doubt}"
    real = java.truststore.real_path if java.truststore else ""
    source = anchors.find_source(real, lambda _path: node.facts.os_family == "debian")
    by_anchor = f", which {source.command[0]} generates, so that {source.anchors} is changed" if source else ""
    return used, "", f"the trust store that Java in {java.home} uses{by_anchor}"


def find_doubt(java: Java) -> str:
    """The place that makes it unknown which trust store Java uses after its next start, "" for none."""
    store = java.truststore
    named = store is not None and store.source == "property"
    return (store.unknown if store else "") or ("" if named else java.unknown)


def decide_certificates(classified: ClassifiedSite, node: Node) -> tuple[list[dict[str, str]], str]:
    """The certificates that Java has to trust, as options of ``java_truststore``; and where they come from."""
    if node.given and node.given.root_pem:
        return [{"pem": node.given.root_pem}], "rtc_tls_ca, else the highest certificate of rtc_tls_certificate"
    if node.settings.tls_fetch:
        host, port = classified.site.server_name, str(classified.application_port)
        return [{"host": host, "port": port}], "rtc_tls_fetch"
    return [], "no authority is given"


def decide_option(node: Node, java: Java | None, imports: bool, obstacle: str) -> tuple[str, str]:
    """The ``setenv.sh`` to change ("" for none) and the trust store to name there ("": the option has to go)."""
    option, own = java.option if java else None, node.settings.truststore_path
    if option is None:
        return "", ""
    if not own and option.managed_store and not option.obstacle:
        return option.path, ""
    if own and imports and not obstacle:
        return option.path, own
    return "", ""


def find_obstacle(node: Node) -> tuple[str, str]:
    """Why a trust store of its own cannot be named to the application's JVM, and what the administrator does about it.

    :returns: two sentences; empty ones when nothing is in the way.
    """
    own, java, process = node.settings.truststore_path, node.application.java, node.application.process
    by_hand = f"Add -Djavax.net.ssl.trustStore={own} to what starts the application's JVM, and restart it."
    option = java.option if java else None
    if option is None:
        if java and java.truststore and java.truststore.path == own:
            return "", ""
        return f"{node.application.install_dir}/bin/setenv.sh is not there or cannot be read.", by_hand
    running = process.properties.get("javax.net.ssl.trustStore", "") if process else ""
    current = process is not None and option.mtime <= process.started - CLOCK_SLACK
    other = option.store_without_block or (running if current and running not in (option.managed_store, own) else "")
    if other and other != own:
        return (
            f"The option -Djavax.net.ssl.trustStore={other} is set already, not by this collection.",
            f"Remove that option, or set rtc_truststore_path to {other}.",
        )
    if option.obstacle:
        return option.obstacle, ""
    if process and current and option.managed_store == own and running != own:
        return f"Process {process.pid} was started without what {option.path} says.", by_hand
    return "", ""
