# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that another user may write are not run as root, and processes of his decide nothing."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from attacks import attackers

DATA = Path(__file__).resolve().parents[1] / "unit/data"
CERTIFICATE = {"src": str(DATA / "truststore/root.pem")}


def fake_jre(arena, folder):
    """A JRE with a keytool of Mallory's making; ``folder`` is below his home."""
    keytool = arena.mallorys(f"{folder}/bin/keytool", mode=0o755)
    attackers.make_fake_program(str(keytool), str(arena.drop))
    java = arena.mallorys(f"{folder}/bin/java", mode=0o755)
    shutil.copy("/bin/sleep", java)
    arena.mallorys(f"{folder}/lib/security/cacerts", (DATA / "truststore/trust.jks").read_bytes())
    return keytool.parents[1]


def installation(arena, owner=0):
    """A Confluence of root's, as its installer leaves it: the JRE is root's, conf/ of the run user."""
    folder = arena.root / "opt/confluence"
    for name in ("conf", "bin", "work", "confluence/WEB-INF", "jre/bin", "jre/lib/security"):
        (folder / name).mkdir(parents=True)
    shutil.copy(DATA / "server_xml/confluence.xml", folder / "conf/server.xml")
    (folder / "bin/start-confluence.sh").write_text("#!/bin/sh\n", encoding="ascii")
    (folder / "bin/setenv.sh").write_text("export CATALINA_OPTS\n", encoding="ascii")
    shutil.copy("/bin/sleep", folder / "jre/bin/java")
    shutil.copy(DATA / "truststore/trust.jks", folder / "jre/lib/security/cacerts")
    attackers.make_fake_program(str(folder / "jre/bin/keytool"), str(arena.drop))
    if owner:
        for path in [folder / "conf", *(folder / "conf").iterdir()]:
            os.chown(path, owner, owner)
    return folder


def detect(arena, run_module, folder):
    found = arena.call(run_module, "topology_info", {"install_dirs": [str(folder)]}) or {}
    applications = found.get("topology", {}).get("applications", [])
    return next((one for one in applications if one["install_dir"] == os.path.realpath(folder)), None)


# Which program is run.


def test_keytool_of_another_user(arena, run_module):
    jre = fake_jre(arena, "jre")
    store = arena.root / "cacerts"
    shutil.copy(DATA / "truststore/mixed.p12", store)
    for kind in ("trust.jks", "nopass.p12", "mixed.p12", "trust.jceks"):
        shutil.copy(DATA / "truststore" / kind, store)
        arena.call(
            run_module, "java_truststore", {"path": str(store), "jre_home": str(jre), "certificates": [CERTIFICATE]}
        )
    arena.judge()


@pytest.mark.parametrize("how", ["group", "everybody", "acl", "parent", "link", "owner"])
def test_keytool_that_somebody_else_may_write(arena, run_module, how):
    jre = arena.root / "jre"
    for name in ("bin", "lib/security"):
        (jre / name).mkdir(parents=True)
    keytool = jre / "bin/keytool"
    attackers.make_fake_program(str(keytool), str(arena.drop))
    if how == "group":
        os.chown(keytool, 0, 65534)
        keytool.chmod(0o775)
    elif how == "everybody":
        keytool.chmod(0o777)
    elif how == "acl":
        give_by_acl(keytool, 65534)
    elif how == "parent":
        os.chown(jre / "bin", 65534, 65534)
    elif how == "link":
        shutil.move(keytool, arena.home / "keytool")
        keytool.symlink_to(arena.home / "keytool")
    else:
        os.chown(keytool, 65534, 65534)
    store = jre / "lib/security/cacerts"
    shutil.copy(DATA / "truststore/mixed.p12", store)
    arena.call(run_module, "java_truststore", {"jre_home": str(jre), "certificates": [CERTIFICATE]})
    arena.judge()


def give_by_acl(path, uid):
    """user::rwx, user:uid:rwx, group::r-x, mask::rwx, other::r-x (acl(5), posix_acl_xattr.h)."""
    import struct

    entries = [(1, 7, 0xFFFFFFFF), (2, 7, uid), (4, 5, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 5, 0xFFFFFFFF)]
    data = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", data)
    except OSError as exc:
        pytest.skip(f"no ACLs on this file system: {exc.strerror}")


def test_key_store_that_needs_java_with_keytool_of_another_user(arena, run_module):
    jre = fake_jre(arena, "app/jre")
    arena.mallorys("app/conf/store", b"\xfe\xdc\xba\x98 of a kind that nobody knows")
    xml = (
        '<Server port="8005"><Service name="Catalina"><Connector port="8443" SSLEnabled="true" '
        f'keystoreFile="{arena.home}/app/conf/store" keystorePass="changeit" keystoreType="BCFKS"/></Service></Server>'
    )
    path = arena.mallorys("app/conf/server.xml", xml.encode())
    options = {"server_xml": str(path), "jre_home": str(jre), "key_dest": str(arena.root / "k"),
               "chain_dest": str(arena.root / "c")}  # fmt: skip
    arena.call(run_module, "keystore_pem", options)
    arena.judge()


# Which processes count.


def impostors(arena, folder):
    """Name -> a process of Mallory's, newer than any other, that names the installation or one of his own."""
    evil = fake_jre(arena, "evil")
    java = str(evil / "bin/java")
    base = str(folder)
    fake = arena.mallorys("confluence/bin/start-confluence.sh", b"#!/bin/sh\n", 0o755).parents[1]
    arena.mallorys("confluence/conf/server.xml", (DATA / "server_xml/confluence.xml").read_bytes())
    arena.mallorys("confluence/confluence/WEB-INF/web.xml")
    line = attackers.command_line
    return {
        "names the real one": (java, line(java, base)),
        "names it with root's java": (str(folder / "jre/bin/java"), line(str(folder / "jre/bin/java"), base)),
        "calls itself root's java": (java, line(str(folder / "jre/bin/java"), base)),
        "by another path": (java, line(java, f"{base}/../{folder.name}//")),
        "names another java": (java, line(java, base, b"-Djava.home=" + os.fsencode(evil))),
        "names a trust store": (java, line(java, base, b"-Djavax.net.ssl.trustStore=" + os.fsencode(evil / "ts"))),
        "names a home": (java, line(java, base, b"-Dconfluence.home=/etc")),
        "his own installation": (java, line(java, str(fake))),
        "no base": (java, [os.fsencode(java), b"-Dcatalina.base=", attackers.TOMCAT, b"start"]),
        "a relative base": (java, [os.fsencode(java), b"-Dcatalina.base=.", attackers.TOMCAT, b"start"]),
        "not text": (java, line(java, base, b"-Dx=\xff\xfe\n\x1b[2J")),
        "very long": (java, line(java, base, b"-Dx=" + b"A" * 100_000)),
        "no name": (java, [b"-", b"-Dcatalina.base=" + os.fsencode(base), attackers.TOMCAT, b"start"]),
        "control characters": (java, line(java, base + "\n\x1b]0;x\x07")),
    }


KINDS = ("names the real one", "names it with root's java", "calls itself root's java", "by another path",
         "names another java", "names a trust store", "names a home", "his own installation", "no base",
         "a relative base", "not text", "very long", "no name", "control characters")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_impostor_decides_nothing(arena, run_module, kind):
    folder = installation(arena)
    before = detect(arena, run_module, folder)
    executable, line = impostors(arena, folder)[kind]
    environment = {"JAVA_HOME": str(arena.home / "evil"), "JRE_HOME": str(arena.home / "evil")}
    arena.start(lambda: attackers.impersonate(executable, line, environment))
    time.sleep(0.3)
    after = detect(arena, run_module, folder)
    arena.judge()
    assert before is not None
    wrong = {key: (before[key], after[key]) for key in before if key != "evidence" and before[key] != after[key]}
    assert wrong == {}


def test_a_process_of_the_run_user_decides_not_what_root_runs(arena, run_module):
    """A compromised application: its own process, with a Java of its own, may count, but its keytool is not root's to run."""
    folder = installation(arena, owner=65534)
    evil = fake_jre(arena, "evil")
    java = str(evil / "bin/java")
    arena.start(lambda: attackers.impersonate(java, attackers.command_line(java, str(folder))))
    time.sleep(0.3)
    found = detect(arena, run_module, folder)
    assert found is not None
    store, home = found["java"]["truststore"]["path"], found["java"]["home"]
    for kind in ("trust.jks", "mixed.p12"):
        if store.startswith(str(arena.home)):
            arena.mallorys(os.path.relpath(store, arena.home), (DATA / "truststore" / kind).read_bytes())
        arena.call(run_module, "java_truststore", {"path": store, "jre_home": home, "certificates": [CERTIFICATE]})
    arena.judge()


def test_scripts_that_the_run_user_may_write(arena, run_module):
    """What setenv.sh says is read, never run; a Java that it names in a directory of his is not run as root."""
    folder = installation(arena, owner=65534)
    evil = fake_jre(arena, "evil")
    marker = arena.root / "drop/by-shell"
    text = f'JAVA_HOME={evil}\nJRE_HOME={evil}\nX=$(id -u; echo "sh 0" >{marker})\nY=`echo "sh 0" >{marker}`\n'
    for name in ("setenv.sh", "user.sh", "catalina.sh", "setjre.sh"):
        path = folder / "bin" / name
        path.write_text(text + 'CONF_USER="root"\n', encoding="ascii")
        os.chown(path, 65534, 65534)
    found = detect(arena, run_module, folder)
    assert found is not None
    java = found["java"] or {}
    store = java.get("truststore", {}).get("path", "")
    if store.startswith(str(arena.home)):
        arena.call(
            run_module, "java_truststore", {"path": store, "jre_home": java["home"], "certificates": [CERTIFICATE]}
        )
    arena.judge()
