# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host, as root: sets the scene, lets attackers loose as other users, counts what came of it.

    director.py scene < secrets.json        users, owners, planted secrets, fake programs, canaries
    director.py start ROUND < secrets.json  attackers of the round; they live until "stop"
    director.py stop                        ends them, and puts back what they moved
    director.py between NAME                what a run user does between two runs
    director.py report < secrets.json       the figures as JSON

Attackers are children of whoever logged in, as a local user's processes are: not of a unit, which would lend them a name.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import attackers

STATE = Path("/var/lib/hostile")
DROP = STATE / "ran"
COUNTS = STATE / "counts.jsonl"
PIDS = STATE / "pids"  # of a round's attackers; those that stay for all rounds are in another file beside it
BASE = STATE / "canaries.json"
SAMPLES = STATE / "samples.jsonl"
HOME = Path("/home/mallory")
CONFLUENCE, JIRA = Path("/opt/atlassian/confluence"), Path("/opt/atlassian/jira")
JIRA_HOME = Path("/var/atlassian/application-data/jira")
SPARE = ".spare"
# Files of root that the attacks aim at, and directories in which nothing may come or go.
CANARIES = {
    "/root/canary": 0o600,
    "/etc/hostile-shadow": 0o640,
    "/etc/profile.d/setenv.sh": 0o600,
    "/etc/profile.d/server.xml": 0o600,
    "/etc/cron.d/cacerts": 0o600,
    "/etc/cron.d/truststore": 0o600,
}
FOLDERS = ("/root", "/etc/profile.d", "/etc/cron.d", "/etc/sudoers.d")
# Kinds that the random exchanges go through.
KINDS = ("link", "fifo", "link to a device", "sparse", "directory", "socket", "hard link")


# The scene.


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
    """Copy a directory, so that it lies in the upper layer of the container alone: directories below cannot be exchanged."""
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
                "</Host>",
                f'<Valve className="org.apache.catalina.valves.AccessLogValve" pattern="%a" '
                f'prefix="{secrets["server_xml_attribute"]}"/></Host>',
                1,
            ),
        )
        keytool = str(product / "jre/bin/keytool")
        old, new = "changeit", secrets["truststore_password"]
        store = str(product / "jre/lib/security/cacerts")
        subprocess.run(
            [keytool, "-storepasswd", "-keystore", store, "-storepass", old, "-new", new],
            check=True,
            capture_output=True,
        )
        lines = [
            f'CATALINA_OPTS="$CATALINA_OPTS -Djavax.net.ssl.trustStorePassword={new}"',
            f'CATALINA_OPTS="$CATALINA_OPTS -Ddb.password={secrets["jvm_property"]}"',
            f'export DB_PASSWORD="{secrets["setenv_variable"]}"',
        ]
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
    for path, mode in CANARIES.items():
        Path(path).write_text(f"{secrets['canary']}\n", encoding="ascii")
        Path(path).chmod(mode)
    BASE.write_text(json.dumps({path: attackers.fingerprint(path) for path in [*CANARIES, *FOLDERS]}), encoding="ascii")
    BASE.chmod(0o600)
    (STATE / "begin").touch()


# Attackers.


def loose(user: str, name: str, attacker, namespace: bool = False) -> None:
    """Start an attacker as a user, for good; what it counted is written when it ends."""
    if os.fork():
        return
    os.setsid()
    supervisor = os.getpid()
    with pid_file(name in ("sampler", "watcher")).open("a", encoding="ascii") as file:
        file.write(f"{supervisor}\n")
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    worker = os.fork()
    if worker == 0:
        info = pwd.getpwnam(user)
        if namespace:
            attackers._LIBC.unshare(0x00020000)  # CLONE_NEWNS: where the real path is his own directory
            attackers._LIBC.mount(b"none", b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE
            attackers._LIBC.mount(b"/home/mallory/confluence", os.fsencode(CONFLUENCE), None, 0x1000, None)  # MS_BIND
        if user != "root":
            attackers.become(info.pw_uid, info.pw_gid)
        status = 1
        try:
            attacker()
            status = 0
        finally:
            os._exit(status)
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(worker, signal.SIGTERM))
    status = os.waitpid(worker, 0)[1]
    count = attacker.counter.value if hasattr(attacker, "counter") else 1
    with COUNTS.open("a", encoding="ascii") as file:
        file.write(json.dumps({"name": name, "user": user, "tried": count, "status": status}) + "\n")
    os._exit(0)


def pid_file(always: bool) -> Path:
    return PIDS.with_suffix(".always") if always else PIDS


def bait(swap: attackers.Swap, user: str) -> bool:
    """Make the bait as its user would. Says what the kernel does not let him make."""
    keep(Path(swap.path))
    kind = swap.bait.replace(" ", "-")
    swap.spare = os.path.join(os.path.dirname(swap.path), f".{os.path.basename(swap.path)}.{kind}{SPARE}")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            attackers.become(*owner(user))
            swap.prepare()
            status = 0
        except attackers.NoBait as exc:
            print(f"{user} cannot make it: {exc}", flush=True)
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def swap_kinds(user: str, path: str, victim: str, kinds: tuple[str, ...], hold: float, rest: float) -> None:
    """Exchange a file with every kind of bait that the user can make, one after the other."""
    swaps = [attackers.Swap(path, victim, kind) for kind in kinds]
    swaps = [one for one in swaps if bait(one, user)]
    loose(user, f"swap {path}", attackers.Swapper(swaps, hold, rest, in_turn=True))


def snipe(user: str, path: str, victim: str, bursts: tuple[int, ...] | None) -> None:
    one = attackers.Swap(path, victim)
    if bait(one, user):
        loose(user, f"snipe {path}", attackers.Sniper(one, bursts))


def keep(path: Path) -> None:
    """A copy of what an attack may lose, for the next round."""
    copy = STATE / "kept" / str(path).replace("/", "_")
    copy.parent.mkdir(mode=0o700, exist_ok=True)
    if path.is_file() and not path.is_symlink():
        shutil.copy2(path, copy)
        shutil.chown(copy, *owner(path.owner()))


def give_back() -> None:
    """Where an attacker has lost a file that he exchanged, the copy."""
    for copy in (STATE / "kept").glob("_opt_*"):
        path = Path(copy.name.replace("_", "/"))
        if path.parent.is_dir() and (path.is_symlink() or not path.is_file()):
            attackers.remove(str(path))
            shutil.copy2(copy, path)
            os.chown(path, copy.stat().st_uid, copy.stat().st_gid)


def impostors() -> None:
    """Processes that call themselves Tomcat; all newer than the real ones."""
    line = attackers.command_line
    evil = str(HOME / "evil/bin/jvm")
    java = str(HOME / "evil/bin/java")
    real = str(CONFLUENCE / "jre/bin/java")
    environment = {"JAVA_HOME": str(HOME / "evil"), "JRE_HOME": str(HOME / "evil")}
    confluence, jira = str(CONFLUENCE), str(JIRA)
    shown = [
        ("mallory", evil, line(java, confluence)),
        ("mallory", evil, line(java, jira)),
        ("mallory", "/tmp/evil/bin/jvm", line("/tmp/evil/bin/java", confluence)),
        ("mallory", evil, line(java, str(HOME / "confluence"))),
        ("mallory", evil, line(java, "/tmp/atlassian-jira")),
        (
            "mallory",
            evil,
            line(java, confluence, b"-Djavax.net.ssl.trustStore=/home/mallory/evil/lib/security/cacerts"),
        ),
        ("mallory", evil, line(java, confluence, b"-Dconfluence.home=/home/mallory")),
        ("mallory", evil, line(java, jira + "/../jira//")),
        ("mallory", evil, line(java, confluence, b"-Dx=" + b"A" * 100_000)),
        ("mallory", evil, line(java, confluence, b"-Dx=\xff\xfe\n\x1b[2J")),
        ("mallory", evil, [b"", b"-Dcatalina.base=" + os.fsencode(jira), attackers.TOMCAT, b"start"]),
        ("mallory", evil, [os.fsencode(java), b"-Dcatalina.base=.", attackers.TOMCAT, b"start"]),
        ("mallory", evil, [os.fsencode(java), b"-Dcatalina.base=", attackers.TOMCAT]),
        ("nobody", real, line(java, confluence)),
        ("nobody", real, line(java, jira)),
        ("jira", "/home/jira/evil/bin/jvm", line("/home/jira/evil/bin/java", confluence)),
        ("confluence", "/tmp/evil/bin/jvm", line("/tmp/evil/bin/java", confluence)),
        ("jira", "/home/jira/evil/bin/jvm", line("/home/jira/evil/bin/java", jira)),
    ]
    for number, (user, executable, arguments) in enumerate(shown):

        def act(executable=executable, arguments=arguments):
            attackers.impersonate(executable, arguments, environment)

        loose(user, f"impostor {number}", act)
    loose(
        "mallory",
        "impostor in a namespace",
        lambda: attackers.impersonate(evil, line(java, confluence), environment),
        True,
    )


# What each round has.


def start(name: str, secrets: dict[str, str]) -> None:
    xml, jira_xml = str(CONFLUENCE / "conf/server.xml"), str(JIRA / "conf/server.xml")
    cacerts, setenv = str(JIRA / "jre/lib/security/cacerts"), str(JIRA / "bin/setenv.sh")
    rare = (0.001, 0.12)  # the run must get as far as its writing: most of the time all is in order
    if name == "always":
        loose("mallory", "sampler", Sampler(secrets, False))
        loose("root", "watcher", Sampler(secrets, True))
    elif name == "first":
        impostors()
        snipe("confluence", xml, "/etc/hostile-shadow", (2,))
        snipe("jira", jira_xml, "/root/canary", (2, 3))
        snipe("jira", cacerts, "/etc/cron.d/cacerts", (2,))
        planters()
    elif name == "again":
        impostors()
        swap_kinds("confluence", xml, "/root/canary", KINDS, *rare)
        snipe("jira", jira_xml, "/root/canary", (2, 3))
        snipe("jira", setenv, "/etc/profile.d/setenv.sh", (2,))
        swap_kinds("jira", cacerts, "/etc/cron.d/cacerts", ("link",), *rare)
        planters()
    elif name == "check":
        impostors()
        swap_kinds("confluence", xml, "/root/canary", ("link", "fifo"), *rare)
        swap_kinds("jira", str(JIRA / "conf/keystore.jks"), "/root/canary", ("link", "fifo", "sparse"), *rare)
        subprocess.run(["mount", "-o", "remount,hidepid=2", "/proc"], check=False)
    elif name == "rollback":
        impostors()
        planters()
        snipe("confluence", xml, "/root/canary", None)


def planters() -> None:
    for user, folder, names, victim in (
        ("confluence", CONFLUENCE / "conf", ("server.xml",), "/root/canary"),
        ("jira", JIRA / "conf", ("server.xml",), "/root/canary"),
        ("jira", JIRA / "bin", ("setenv.sh",), "/etc/profile.d/setenv.sh"),
        ("jira", JIRA / "jre/lib/security", ("cacerts",), "/etc/cron.d/cacerts"),
    ):
        paths = [str(folder / pattern.format(name)) for name in names for pattern in (".{}.rtc-undo", ".{}.new", "{}~")]
        backups = [str(folder / name) for name in names]
        loose(user, f"planter {folder}", attackers.Planter(paths, victim, backups))


def stop(always: bool = False) -> None:
    kept = pid_file(always)
    pids = [int(line) for line in kept.read_text(encoding="ascii").split()] if kept.exists() else []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    kept.unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,hidepid=0", "/proc"], check=False)
    for folder in (CONFLUENCE / "conf", JIRA / "conf", JIRA / "bin", JIRA / "jre/lib/security"):
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if path.name.endswith(SPARE):
                    attackers.remove(str(path))
    give_back()


def between(name: str) -> None:
    """What a run user does between two runs, to himself."""
    if name == "provoke":  # so that the next run has something to write
        for product in (CONFLUENCE, JIRA):
            edit(product / "conf/server.xml", lambda text: text.replace('.lab.test"', '.example.com"'))
    elif name == "links":  # P2.2
        for folder, target in ((JIRA / "bin", "/etc/profile.d"), (JIRA / "conf", "/etc/profile.d"),
                               (JIRA / "jre/lib/security", "/etc/cron.d")):  # fmt: skip
            folder.rename(folder.with_name(folder.name + ".away"))
            folder.symlink_to(target)
            os.chown(folder, *owner("jira"), follow_symlinks=False)
    elif name == "no links":
        for folder in (JIRA / "bin", JIRA / "conf", JIRA / "jre/lib/security"):
            attackers.remove(str(folder)) if folder.is_symlink() else None
            folder.with_name(folder.name + ".away").rename(folder)
    elif name == "fifo":
        keep(JIRA / "conf/server.xml")
        attackers.remove(str(JIRA / "conf/server.xml"))
        os.mkfifo(JIRA / "conf/server.xml")
        os.chown(JIRA / "conf/server.xml", *owner("jira"))
    elif name == "no fifo":
        give_back()
    with COUNTS.open("a", encoding="ascii") as file:
        file.write(json.dumps({"name": f"between {name}", "user": "jira", "tried": 1, "status": 0}) + "\n")


def owner(user: str) -> tuple[int, int]:
    info = pwd.getpwnam(user)
    return info.pw_uid, info.pw_gid


# Secrets.


class Sampler:
    """Looks for secrets in what processes show to their neighbours and, as root, in temporary files, all the time."""

    PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/home/admin/.ansible/tmp", "/root/.ansible/tmp")

    def __init__(self, secrets: dict[str, str], files: bool) -> None:
        self.secrets = {name: value.encode() for name, value in secrets.items()}
        self.files = files
        self.counter = attackers.Counter()
        self.seen: set[tuple[str, str]] = set()
        # Opened as root, for it writes as another user then.
        self.out = os.open(SAMPLES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self) -> None:
        ending: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
        while not ending:
            for place, data in self._files() if self.files else self._processes():
                self.counter.add()
                for name, value in self.secrets.items():
                    if value in data and (place, name) not in self.seen:
                        self.seen.add((place, name))
                        os.write(self.out, (json.dumps({"where": place, "secret": name}) + "\n").encode())
            time.sleep(0.01)

    def _processes(self):
        own = {"confluence", "jira"}  # what an administrator wrote into a JVM's own options is his doing
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            for part in ("cmdline", "environ"):
                try:
                    user = pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name
                    with open(f"/proc/{pid}/{part}", "rb") as file:
                        data = file.read(200_000)
                except (OSError, KeyError):
                    continue
                if user not in own:
                    yield f"/proc/{part} of {data.split(bytes(1))[0].decode(errors='replace')}", data

    def _files(self):
        for place in self.PLACES:
            for folder, _names, files in os.walk(place):
                if folder.startswith(("/tmp/evil", "/tmp/atlassian-jira")):
                    continue
                for name in files:
                    path = os.path.join(folder, name)
                    with contextlib.suppress(OSError):
                        info = os.lstat(path)
                        if stat.S_ISREG(info.st_mode) and info.st_size < 20_000_000:
                            with open(path, "rb") as file:
                                yield path, file.read()


def readable_by(user: str, secrets: dict[str, str], passed: tuple[str, ...]) -> list[str]:
    """Files that came or changed since the beginning, that this user can read, and that have a secret in them."""
    begin = (STATE / "begin").stat().st_mtime
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        attackers.become(*owner(user))
        with os.fdopen(writer, "w") as out:
            for folder, names, files in os.walk("/"):
                names[:] = [
                    name for name in names if os.path.join(folder, name) not in ("/proc", "/sys", "/dev", "/usr")
                ]
                for name in files:
                    path = os.path.join(folder, name)
                    with contextlib.suppress(OSError):
                        info = os.lstat(path)
                        if stat.S_ISREG(info.st_mode) and info.st_ctime > begin and info.st_size < 20_000_000:
                            with open(path, "rb") as file:
                                data = file.read()
                            found = [key for key, value in secrets.items() if value.encode() in data]
                            out.writelines(
                                f"{key} in {path}, for {user}\n" for key in found if not path.startswith(passed)
                            )
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        return [line.strip() for line in lines]


def in_logs(secrets: dict[str, str]) -> list[str]:
    """Secrets in the journal and in the logs of the proxy and of the system."""
    journal = subprocess.run(["journalctl", "--no-pager", "-o", "export"], capture_output=True, check=False).stdout
    found = [f"{name} in the journal" for name, value in secrets.items() if value.encode() in journal]
    for folder, _names, files in os.walk("/var/log"):
        for name in files:
            with contextlib.suppress(OSError):
                data = Path(folder, name).read_bytes()
                found += [f"{key} in {folder}/{name}" for key, value in secrets.items() if value.encode() in data]
    return found


def report(secrets: dict[str, str]) -> dict[str, object]:
    base = json.loads(BASE.read_text(encoding="ascii"))
    touched = [path for path, before in base.items() if attackers.fingerprint(path) != before]
    counts = [json.loads(line) for line in COUNTS.read_text(encoding="ascii").splitlines()]
    samples = [json.loads(line) for line in SAMPLES.read_text(encoding="ascii").splitlines()]
    of_root = {"canary": secrets["canary"]}
    # A run user reads his own files, those that an administrator wrote secrets into; not root's.
    found = [
        *[f"{one['secret']} in {one['where']}" for one in samples],
        *in_logs(secrets),
        *readable_by("mallory", secrets, ("/opt/atlassian/", "/home/mallory/confluence/", "/home/mallory/jira-old")),
        *readable_by("jira", of_root, ()),
        *readable_by("confluence", of_root, ()),
    ]
    left = [str(path) for place in ("/home/admin/.ansible/tmp", "/root/.ansible/tmp") for path in Path(place).glob("*")]
    attempts = [one for one in counts if one["name"] not in ("sampler", "watcher")]
    return {
        "tried": sum(one["tried"] for one in attempts),
        "samples": sum(one["tried"] for one in counts if one not in attempts),
        "attackers": [f"{one['name']}: {one['tried']}" for one in attempts],
        "failed": [one["name"] for one in counts if one["status"] not in (0, 15)],
        "touched": touched,
        "ran": attackers.ran_as_root(str(DROP)),
        "secrets": found,
        "left": left,
    }


def main() -> None:
    verb, more = sys.argv[1], sys.argv[2:]
    if verb == "scene":
        scene(json.load(sys.stdin))
    elif verb == "start":
        start(more[0], json.load(sys.stdin))
    elif verb == "stop":
        stop(more == ["always"])
    elif verb == "between":
        between(more[0])
    elif verb == "kind":
        kind(*more)
    elif verb == "report":
        print(json.dumps(report(json.load(sys.stdin))))


def kind(name: str, path: str) -> None:
    """Put one kind of thing in place of a file, or ("file") the file back."""
    keep(Path(path))
    attackers.remove(path)
    if name == "file":
        give_back()
    else:
        attackers.make_bait(name, path, "/root/canary")
    if name != "hard link":
        os.chown(path, *owner("jira"), follow_symlinks=False)
    with COUNTS.open("a", encoding="ascii") as file:
        file.write(json.dumps({"name": f"kind {name} {path}", "user": "jira", "tried": 1, "status": 0}) + "\n")


if __name__ == "__main__":
    main()
