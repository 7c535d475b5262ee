# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds a host's files beneath a directory: what tests of installations look at."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
from pathlib import Path

from ansible_collections.collab.rtc.plugins.module_utils._detect.gather import gather

DATA = Path(__file__).parent
CONFLUENCE = "/opt/atlassian/confluence"
JIRA = "/opt/atlassian/jira"
BOOTSTRAP = "org.apache.catalina.startup.Bootstrap"


def jks(*certificates, password="changeit"):
    """A JKS trust store with these certificates (any bytes)."""

    def text(value):
        return struct.pack(">H", len(value)) + value.encode()

    body = struct.pack(">III", 0xFEEDFEED, 2, len(certificates))
    for number, certificate in enumerate(certificates):
        body += struct.pack(">I", 2) + text(f"alias{number}") + struct.pack(">Q", 0)
        body += text("X.509") + struct.pack(">I", len(certificate)) + certificate
    return body + hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()


def fingerprint(certificate):
    return hashlib.sha256(certificate).hexdigest()


def facts_of(host, **options):
    """What detection finds on a host."""
    return gather(root=host.root, lstat=host.lstat, lookup=lambda name: [], **options)


def only(host, **options):
    """The only application that detection finds there."""
    (application,) = facts_of(host, **options).applications
    return application


# User ids of the hosts; group "staff" of Debian, which may write /usr/local.
EVE, RUN_USER, JIRA_USER, STAFF = 4000, 1001, 1002, 50


class Host:
    """A host under a directory; all paths are the host's.

    Whoever runs the tests owns the files. Detection is told by ``lstat`` that they are root's, but for those in ``owners``,
    with all that is below them.
    """

    def __init__(self, root):
        self.root = str(root)
        self.sockets = []
        self.owners = {}  # path -> user id, or (user id, group id)
        self.write(
            "/etc/passwd", "root:x:0:0::/root:/bin/sh\nconfluence:x:1001:1001::/:/bin/sh\njira:x:1002:1002::/:/bin/sh\n"
        )
        self.write("/etc/os-release", 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
        self.write("/proc/stat", "cpu 1 2 3\nbtime 1700000000\n")
        self.write("/proc/sys/kernel/hostname", "app1\n")
        self.process(1, ["/sbin/init"], uid=0, group="/init.scope")

    def with_eve(self):
        """Add a user who has nothing to do with the applications, and her home directory."""
        self.write("/etc/passwd", self.path("/etc/passwd").read_text() + "eve:x:4000:4000::/home/eve:/bin/sh\n")
        return self.folder("/home/eve").own(EVE, "/home/eve")

    def path(self, path):
        return Path(self.root + path)

    def own(self, uid, *paths, gid=0):
        """Give files away."""
        self.owners.update(dict.fromkeys(paths, (uid, gid)))
        return self

    def owner(self, path):
        """User and group of a file."""
        folders = [path, *map(str, Path(path).parents)]
        return next((self.owners[folder] for folder in folders if folder in self.owners), (0, 0))

    def lstat(self, path):
        """As ``os.lstat``, with the owners of the host."""
        info = list(os.lstat(path))
        info[4:6] = self.owner(path[len(self.root) :] or "/")
        return os.stat_result(info)

    def chmod(self, mode, *paths):
        for path in paths:
            self.path(path).chmod(mode)
        return self

    def write(self, path, content="", mode=0o644):
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        target.chmod(mode)
        return self

    def folder(self, *paths):
        for path in paths:
            self.path(path).mkdir(parents=True, exist_ok=True)
        return self

    def link(self, path, target):
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, self.path(path))
        return self

    def backdate(self, *paths, age=100):
        """Let files be of a time, in seconds after the host was started; without paths, all of them."""
        for path in map(self.path, paths) if paths else Path(self.root).rglob("*"):
            if not path.is_symlink():
                os.utime(path, (1700000000 + age, 1700000000 + age))
        return self

    def remove(self, path):
        target = self.path(path)
        if target.is_dir() and not target.is_symlink():
            target.rmdir()
        else:
            target.unlink()
        return self

    def data(self, name):
        return (DATA / name).read_text()

    def jre(self, home, version="11.0.21", store=None, security="lib/security"):
        self.write(f"{home}/bin/java", "#!", 0o755).write(f"{home}/bin/keytool", "#!", 0o755)
        self.write(f"{home}/release", f'IMPLEMENTOR="Eclipse Adoptium"\nJAVA_VERSION="{version}"\n')
        return self.write(f"{home}/{security}/cacerts", jks(b"first", b"second") if store is None else store)

    def tomcat(self, install, version="9.0.82"):
        self.folder(*(f"{install}/{name}" for name in ("bin", "conf", "lib", "logs", "temp", "work")))
        self.own(1001, *(f"{install}/{name}" for name in ("logs", "temp", "work")))
        self.write(f"{install}/bin/catalina.sh", "#!/bin/sh\n", 0o755)
        jar = io.BytesIO()
        with zipfile.ZipFile(jar, "w") as archive:
            archive.writestr("org/apache/catalina/util/ServerInfo.properties", f"server.info=Apache Tomcat/{version}\n")
        return self.write(f"{install}/lib/catalina.jar", jar.getvalue())

    def confluence(self, install="/opt/atlassian/confluence", version="8.5.3"):
        """An archive of Confluence, unpacked: no JRE, no installer's files."""
        self.tomcat(install)
        self.write(f"{install}/bin/start-confluence.sh", "#!/bin/bash\n", 0o755)
        self.write(f"{install}/bin/setenv.sh", self.data("confluence-setenv.txt"))
        self.write(f"{install}/bin/setjre.sh", "# sets JRE_HOME\n")
        self.write(f"{install}/bin/user.sh", 'CONF_USER=""\n')
        self.write(f"{install}/conf/server.xml", self.data("confluence-server.xml"))
        meta = "confluence/META-INF/maven/com.atlassian.confluence/confluence-webapp/pom.properties"
        self.write(f"{install}/{meta}", f"#Generated by Maven\nversion={version}\ngroupId=com.atlassian.confluence\n")
        return self.folder(f"{install}/confluence/WEB-INF/classes")

    def installed_confluence(self):
        """As the installer leaves it, with a SysV script."""
        install = "/opt/atlassian/confluence"
        self.confluence(install).jre(f"{install}/jre")
        self.write(f"{install}/bin/setjre.sh", f'JRE_HOME="{install}/jre/"; export JRE_HOME\n')
        self.write(f"{install}/bin/user.sh", 'CONF_USER="confluence" # user created by installer\n\nexport CONF_USER\n')
        self.write(
            f"{install}/.install4j/response.varfile",
            "# install4j response file for Confluence 8.5.3\nexistingInstallationDir=/opt/Confluence\n"
            f"app.confHome=/var/atlassian/application-data/confluence\nsys.installationDir={install}\n",
        )
        self.write(
            f"{install}/confluence/WEB-INF/classes/confluence-init.properties",
            "# comment\nconfluence.home = /var/atlassian/application-data/confluence\n",
        )
        self.folder("/var/atlassian/application-data/confluence")
        return self.write("/etc/init.d/confluence", "#!/bin/bash\n" + self.data("sysv-confluence.txt"), 0o755)

    def jira(self, install="/opt/atlassian/jira", version="9.4.1"):
        """An archive of Jira, unpacked."""
        self.tomcat(install).own(1002, *(f"{install}/{name}" for name in ("logs", "temp", "work")))
        self.write(f"{install}/bin/start-jira.sh", "#!/bin/bash\n", 0o755)
        self.write(f"{install}/bin/setenv.sh", self.data("jira-setenv.txt"))
        self.write(f"{install}/bin/user.sh", 'JIRA_USER="jira"\n')
        self.write(f"{install}/conf/server.xml", self.data("jira-server.xml"))
        meta = "atlassian-jira/META-INF/maven/com.atlassian.jira/jira-webapp-dist/pom.properties"
        return self.write(f"{install}/{meta}", f"version={version}\r\n").folder(f"{install}/atlassian-jira/WEB-INF")

    def process(
        self,
        pid,
        args,
        uid=1001,
        group="/user.slice/session-3.scope",
        exe="",
        environment=None,
        inodes=(),
        age=500,
        parent=1,
    ):
        """``age``: when it was started, in seconds after the host."""
        folder = f"/proc/{pid}"
        self.write(f"{folder}/cmdline", "\0".join(args) + "\0")
        self.write(f"{folder}/comm", os.path.basename(args[0])[:15] + "\n")
        self.write(f"{folder}/status", f"Name:\tx\nPPid:\t{parent}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        self.write(
            f"{folder}/stat", f"{pid} (a) b) S " + " ".join(["0"] * 18) + f" {age * os.sysconf('SC_CLK_TCK')} 0 0\n"
        )
        self.write(f"{folder}/cgroup", f"0::{group}\n")
        self.write(f"{folder}/environ", "\0".join(f"{key}={value}" for key, value in (environment or {}).items()))
        self.folder(f"{folder}/fd")
        if not self.path(f"{folder}/root").is_symlink():
            self.link(f"{folder}/root", self.root)
        if exe:
            self.link(f"{folder}/exe", exe)
        for number, inode in enumerate(inodes):
            self.link(f"{folder}/fd/{number}", f"socket:[{inode}]")
        return self

    def contain(self, pid, *paths):
        """Give a process a root directory of its own, with these files."""
        self.path(f"/proc/{pid}/root").unlink()
        for path in paths:
            self.write(f"/proc/{pid}/root{path}")
        return self.folder(f"/proc/{pid}/root")

    def put_in(self, pid, inner):
        """Let a process have the files of another host as its own, as in a container."""
        self.path(f"/proc/{pid}/root").unlink()
        return self.link(f"/proc/{pid}/root", inner.root)

    def jvm(self, pid, install, *options, java="", unit="", **more):
        """A running Tomcat, of the user that owns ``work``; ``unit`` is the systemd service that it belongs to."""
        more.setdefault("uid", self.owner(f"{install}/work")[0])
        java = java or f"{install}/jre/bin/java"
        group = f"/system.slice/{unit}" if unit else "/user.slice/user-0.slice/session-3.scope"
        group = more.pop("group", group)
        args = [java, "-Xmx1g", *options, "-classpath", f"{install}/bin/bootstrap.jar"]
        args += [
            f"-Dcatalina.base={install}",
            f"-Dcatalina.home={install}",
            "-Djava.io.tmpdir=/tmp",
            BOOTSTRAP,
            "start",
        ]
        return self.process(pid, args, group=group, exe=java, **more)

    def listen(self, address, port, inode, uid=1001):
        """An IPv4 socket that listens; ``address`` as the kernel writes it, such as ``0100007F``."""
        self.sockets.append(f"{address}:{port:04X} 00000000:0000 0A 0:0 00:0 0 {uid} 0 {inode} 1 0")
        rows = [f"{number}: {row}" for number, row in enumerate(self.sockets)]
        return self.write("/proc/net/tcp", "\n".join(["  sl  local_address", *rows]) + "\n")

    def unit(self, name, service, folder="/etc/systemd/system", enabled=False):
        self.write(f"{folder}/{name}", f"[Unit]\nDescription=x\n\n[Service]\n{service}\n")
        if enabled:
            self.link(f"/etc/systemd/system/multi-user.target.wants/{name}", f"{folder}/{name}")
        return self
