# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The JRE of an application, and the trust store that its JVM really uses."""

from __future__ import annotations

import hashlib
import os
import re

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Java, TrustOption, TrustStore
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._java import setenv
from ansible_collections.collab.rtc.plugins.module_utils._keystore import anchors, reader

_MOST = 32 * 1024 * 1024  # bytes


def home_of(rootfs: RootFs, executable: str) -> str:
    """The ``java.home`` of a ``java`` executable: two directories up, links followed; "" for none.

    The ``bin/java`` of a JDK 8 runs the JRE within it (``jre/``), which has the trust store.
    """
    if not executable.startswith("/") or os.path.basename(executable) != "java":
        return ""
    folder = rootfs.real(executable).rsplit("/", 2)[0]
    return java_home(rootfs, folder)


def java_home(rootfs: RootFs, folder: str) -> str:
    """The directory that has ``lib/security`` for a JDK's or JRE's directory."""
    folder = "/" + folder.strip("/")
    return folder + "/jre" if rootfs.is_dir(folder + "/jre/lib/security") else folder


def describe(rootfs: RootFs, home: str, source: str) -> Java:
    """A JRE as it is on the disk; no JVM is started."""
    java = Java(home=home, source=source, version=version(rootfs, home))
    places = [home, home[: -len("/jre")]] if home.endswith("/jre") else [home]
    tools = [f"{place}/bin/keytool" for place in places]
    java.keytool = next((path for path in tools if rootfs.is_file(path)), "")
    java.writers = list_writers(rootfs, find_java(rootfs, home) or home)
    return java


def find_java(rootfs: RootFs, home: str) -> str:
    """The ``java`` of a JRE; that of the JDK 8 around it, where there is one; "" for none."""
    places = [home, home[: -len("/jre")]] if home.endswith("/jre") else [home]
    return next((path for path in (f"{place}/bin/java" for place in places) if rootfs.is_file(path)), "")


def list_writers(rootfs: RootFs, path: str) -> list[str]:
    """Who besides root can change what a path leads to, in words."""
    try:
        return list(map(str, rootfs.writers(path)))
    except OSError as exc:
        return [f"somebody, perhaps ({exc.strerror})"]


def version(rootfs: RootFs, home: str) -> str:
    """The version that the file ``release`` names ("17.0.9", "1.8.0_392"), "" when there is none."""
    places = [home, home[: -len("/jre")]] if home.endswith("/jre") else [home]
    for place in places:
        found = re.search(r'^JAVA_VERSION="?([^"\n]+)"?', rootfs.text(place + "/release") or "", re.MULTILINE)
        if found:
            return found.group(1)
    return ""


def trust_store(rootfs: RootFs, home: str, properties: dict[str, str], folder: str) -> TrustStore:
    """The trust store that a JVM with these properties uses (JSSE Reference Guide, "The cacerts Certificates File").

    ``-Djavax.net.ssl.trustStore`` beats ``jssecacerts`` beats ``cacerts``. A property that names a missing file is an
    error here: the guide says that the JVM then trusts nobody, and Java 11, 17 and 21 read ``cacerts`` instead, as
    tried.

    :param properties: unmasked, for the password.
    :param folder: the directory of the process, for a relative path.
    """
    named = properties.get("javax.net.ssl.trustStore", "")
    store = locate_store(rootfs, home, named, folder)
    store.real_path = rootfs.real(store.path)
    if named == "NONE":
        store.path = store.real_path = "NONE"
        store.error = "-Djavax.net.ssl.trustStore=NONE: the JVM takes its trust from somewhere other than a file."
        return store
    info = rootfs.stat(store.path)
    content = rootfs.data(store.path, _MOST)
    if info is None or content is None:
        reason = rootfs.unreadable.get(
            store.path, "it is missing, so that the JVM trusts nobody, or others than is meant"
        )
        store.error = f"{store.path} cannot be read: {reason}."
        return store
    store.mtime = info.st_mtime
    password = properties.get("javax.net.ssl.trustStorePassword")
    source = anchors.find_source(store.real_path, rootfs.is_file)
    bundle = rootfs.data(source.bundle, _MOST) if source else None
    _read_contents(store, content, password, bundle)
    return store


def locate_store(rootfs: RootFs, home: str, named: str, folder: str) -> TrustStore:
    """The path of the trust store that a JVM uses, as for :func:`trust_store`; nothing of it is read."""
    security = home + "/lib/security"
    if named:
        return TrustStore(path=named if named.startswith("/") else f"{folder}/{named}", source="property")
    if rootfs.is_file(security + "/jssecacerts"):
        return TrustStore(path=security + "/jssecacerts", source="jssecacerts")
    return TrustStore(path=security + "/cacerts", source="cacerts")


def trust_option(rootfs: RootFs, home: str, script: str, named: str, folder: str) -> TrustOption | None:
    """Which trust store the managed block in a setenv.sh names, or could name.

    :param script: path of the setenv.sh.
    :param named: the trust store that is named to the next JVM without that block, "" for none.
    :param folder: the directory of the process, for a relative path.
    """
    text, info = rootfs.text(script), rootfs.stat(script)
    if text is None or info is None:
        return None
    problem = setenv.obstacle(text, script)
    return TrustOption(
        path=script,
        mtime=info.st_mtime,
        managed_store=setenv.named(setenv.block_of(text)),
        store_without_block=named,
        effective_store_without_block=locate_store(rootfs, home, named, folder).path,
        obstacle=str(problem) if problem else "",
    )


def _read_contents(store: TrustStore, content: bytes, given: str | None, bundle: bytes | None) -> None:
    try:
        store.type = reader.detect(content, store.path)
        usual = reader.choose_password(content, store.path)
        store.locked = usual is None
        # Of a store that a property names, Java has the password of a property only.
        read = reader.read(content, given or (None if store.source == "property" else usual), store.path)
    except RtcError as exc:
        store.error = str(exc)
        return
    trusted = [
        entry.certificates[0] for entry in read.entries.values() if entry.kind == "trusted" and entry.certificates
    ]
    store.certificates = len(trusted)
    store.fingerprints = sorted({hashlib.sha256(certificate).hexdigest() for certificate in trusted})
    store.strays = anchors.list_strays(read.trusted(), bundle) if bundle is not None else {}
