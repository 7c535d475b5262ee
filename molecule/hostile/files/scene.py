# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets the scene on the host: owners, planted secrets, fake programs and installations, canaries."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import struct
import subprocess
from pathlib import Path

import attackers
from places import BASE, CANARIES, CONFLUENCE, DROP, FOLDERS, HOME, JIRA, JIRA_HOME, STATE


def scene(secrets: dict[str, str]) -> None:
    STATE.mkdir(mode=0o755, exist_ok=True)
    DROP.mkdir(exist_ok=True)
    DROP.chmod(0o1777)
    own(JIRA, "jira")
    for product in (CONFLUENCE, JIRA):
        for name in ("bin", "conf", "jre/bin", "jre/lib/security"):
            unfold(product / name)
    plant(secrets)
    fakes()
    canaries(secrets)


def own(path: Path, user: str) -> None:
    """Everything below belongs to the user, as ``chown -R`` after unpacking an archive does it."""
    info = pwd.getpwnam(user)
    subprocess.run(["chown", "-R", f"{info.pw_uid}:{info.pw_gid}", str(path)], check=True)


def unfold(path: Path) -> None:
    """Bring a directory into the upper layer of the container: those of layers below cannot be exchanged."""
    copy = path.with_name(path.name + ".copy")
    subprocess.run(["cp", "-a", str(path), str(copy)], check=True)
    shutil.rmtree(path)
    copy.rename(path)


def plant(secrets: dict[str, str]) -> None:
    """A secret of its own in every file that the collection reads."""
    for product in (CONFLUENCE, JIRA):
        edit(product / "conf/catalina.properties", lambda text: f"{text}\ndb.password={secrets['catalina_property']}\n")
        edit(
            product / "conf/server.xml",
            lambda text: text.replace(
                "<Engine ",
                f'<!-- the old one: keystorePass="{secrets["server_xml_comment"]}" -->\n        <Engine ',
                1,
            ).replace(
                '<Manager pathname=""/>',
                '<Manager pathname=""/>\n<Resource name="jdbc/x" auth="Container" type="javax.sql.DataSource" '
                f'username="x" password="{secrets["server_xml_attribute"]}"/>',
                1,
            ),
        )
        lines = [
            f'CATALINA_OPTS="$CATALINA_OPTS -Ddb.password={secrets["jvm_property"]}"',
            f'export DB_PASSWORD="{secrets["setenv_variable"]}"',
        ]
        if product is CONFLUENCE:  # Jira has a trust store of its own, made from its cacerts, whose password is known
            keytool = [str(product / "jre/bin/keytool"), "-storepasswd", "-keystore"]
            keytool += [str(product / "jre/lib/security/cacerts"), "-storepass", "changeit"]
            new = secrets["truststore_password"]
            subprocess.run([*keytool, "-new", new], check=True, capture_output=True)
            lines.append(f'CATALINA_OPTS="$CATALINA_OPTS -Djavax.net.ssl.trustStorePassword={new}"')
        edit(
            product / "bin/setenv.sh",
            lambda text, lines=lines: text + "\n" + "\n".join(lines) + "\nexport CATALINA_OPTS\n",
        )
        edit(product / "bin/user.sh", lambda text: f"{text}\nTOKEN={secrets['user_sh']}\n")
        if product is JIRA:
            own(JIRA, "jira")
    key_store(secrets)
    for path, end in (
        (Path("/var/atlassian/application-data/confluence/confluence.cfg.xml"), "</properties>"),
        (JIRA_HOME / "dbconfig.xml", "</jdbc-datasource>"),
    ):
        password = f'<property name="hibernate.connection.password">{secrets["database"]}</property>\n'
        edit(path, lambda text, end=end, password=password: text.replace(end, password + end))
    Path("/etc/nginx/sites-enabled/other").write_text(
        "server { listen 127.0.0.1:8888; server_name other.lab.test; location / { proxy_pass http://127.0.0.1:1; "
        f'proxy_set_header Authorization "Basic {secrets["nginx"]}"; }} }}\n',
        encoding="ascii",
    )
    Path("/etc/nginx/sites-enabled/other").chmod(0o600)
    subprocess.run(["systemctl", "restart", "nginx", "confluence", "jira"], check=True)


def key_store(secrets: dict[str, str]) -> None:
    """The lab's own password is known to everybody: Jira's key store gets another."""
    store, lab = JIRA / "conf/keystore.jks", "the-lab-s-store-password"
    keytool = [str(JIRA / "jre/bin/keytool"), "-keystore", str(store), "-storepass", lab]
    new = secrets["keystore_password"]
    for more in (["-keypasswd", "-alias", "tomcat", "-keypass", lab, "-new", new], ["-storepasswd", "-new", new]):
        subprocess.run([*keytool, *more], check=True, capture_output=True)
    edit(JIRA / "conf/server.xml", lambda text: text.replace(lab, new))


def edit(path: Path, change) -> None:
    """Change a text in place: owner and mode stay."""
    with path.open("r+", encoding="utf-8") as file:
        text = change(file.read())
        file.seek(0)
        file.truncate()
        file.write(text)


def fakes() -> None:
    """Programs and installations of others. Each program says who runs it, and then does what the real one does."""
    for product, user in ((CONFLUENCE, "mallory"), (JIRA, "jira")):
        keytool = product / "jre/bin/keytool"
        keytool.rename(keytool.with_name("keytool.real"))
        attackers.make_fake_program(str(keytool), str(DROP), f"{keytool}.real")
        if user == "jira":
            shutil.chown(keytool, "jira", "jira")
        else:
            give_by_acl(keytool, pwd.getpwnam(user).pw_uid)
    for folder, user in ((HOME / "evil", "mallory"), (Path("/tmp/evil"), "mallory"), (Path("/home/jira/evil"), "jira")):
        real = JIRA if user == "jira" else CONFLUENCE
        for name in ("bin", "lib/security"):
            (folder / name).mkdir(parents=True)
        for name in ("java", "keytool"):
            behind = f"{real}/jre/bin/{'keytool.real' if name == 'keytool' else name}"
            attackers.make_fake_program(str(folder / "bin" / name), str(DROP), behind)
        shutil.copy("/bin/sleep", folder / "bin/jvm")  # for processes: /proc/PID/exe of a script is its shell
        shutil.copy(real / "jre/lib/security/cacerts", folder / "lib/security/cacerts")
        own(folder, user)
    # Jira's own scripts, of its user, name a Java of his, and have the shell do things.
    edit(JIRA / "bin/setenv.sh", lambda text: text + f'\nX="$(echo "setenv.sh $(id -u)" >>{DROP}/$(id -u).sh)"\n')
    edit(JIRA / "bin/setjre.sh", lambda text: text + "\nJRE_HOME=/home/jira/evil\nJAVA_HOME=/home/jira/evil\n")
    edit(JIRA / "bin/user.sh", lambda text: text + f'\necho "user.sh $(id -u)" >>{DROP}/$(id -u).sh\n')
    for folder, product in ((HOME / "confluence", "confluence"), (Path("/tmp/atlassian-jira"), "jira")):
        real = Path("/opt/atlassian") / product
        folder.mkdir()
        for name in ("bin", "conf"):
            shutil.copytree(real / name, folder / name)
        (folder / {"jira": "atlassian-jira", "confluence": "confluence"}[product] / "WEB-INF").mkdir(parents=True)
        own(folder, "mallory")
    # A directory of his that an administrator mounted among the others, long ago.
    bind, source = Path("/opt/atlassian/jira-old"), HOME / "jira-old"
    shutil.copytree("/tmp/atlassian-jira", source)
    own(source, "mallory")
    bind.mkdir()
    subprocess.run(["mount", "--bind", str(source), str(bind)], check=True)


def give_by_acl(path: Path, uid: int) -> None:
    """user::rwx, user:uid:rwx, group::r-x, mask::rwx, other::r-x (acl(5)): the owner that ``ls`` shows is root."""
    entries = [(1, 7, 0xFFFFFFFF), (2, 7, uid), (4, 5, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 5, 0xFFFFFFFF)]
    data = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", data)


def canaries(secrets: dict[str, str]) -> None:
    Path("/root/.ansible/tmp").mkdir(parents=True, exist_ok=True)  # Ansible's own, which would change /root
    for path, mode in CANARIES.items():
        Path(path).write_text(f"{secrets['canary']}\n", encoding="ascii")
        Path(path).chmod(mode)
    BASE.write_text(json.dumps({path: attackers.fingerprint(path) for path in [*CANARIES, *FOLDERS]}), encoding="ascii")
    BASE.chmod(0o600)
    (STATE / "begin").touch()
