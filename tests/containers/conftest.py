# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Confluence in a real container: a real Tomcat on a real Java, with the start script of the official images' kind.

``entrypoint.py`` renders server.xml anew at each start from ``ATL_*`` variables. Two kinds of containers: Podman's, and
one made of namespaces and a control group alone, which no manager knows.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time

import javas
import pytest
import tomcats

from ansible_collections.collab.rtc.tests.unit import module_runner

DATA = pathlib.Path(__file__).parent / "data"
PODMAN_CONF = pathlib.Path(__file__).parents[1] / "hosts" / "containers.conf"
INSTALL = "/opt/atlassian/confluence"
JAVA = "/opt/java/openjdk"
USER = 2002  # of Confluence in the official image
GROUPS = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup")  # systemd's hierarchy of version 1, version 2
SECONDS = 90


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """What a container is made of: all but /usr, which is the machine's own."""
    root = tmp_path_factory.mktemp("image")
    for name in ("usr", "proc", "dev", "tmp", "etc", "sys", "run"):
        (root / name).mkdir()
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    shutil.copytree(tomcats.unpacked("9.0.98"), f"{root}{INSTALL}")
    shutil.rmtree(f"{root}{INSTALL}/webapps")  # Tomcat's own: they take long to start
    (root / INSTALL[1:] / "webapps").mkdir()
    shutil.copytree(javas.home_of("17"), f"{root}{JAVA}", symlinks=True)
    shutil.copytree(DATA / "image", root, dirs_exist_ok=True)
    subprocess.run(["chmod", "--recursive", "a+rX", f"{root}/opt"], check=True)  # archives are for their owner only
    (root / "tmp").chmod(0o1777)
    for name in ("logs", "temp", "work", "conf"):
        os.chown(f"{root}{INSTALL}/{name}", USER, USER)
    for path in (root / "entrypoint.py", root / f"{INSTALL[1:]}/bin/start-confluence.sh"):
        path.chmod(0o755)
    return root


class Container:
    """A container that can be made anew with other options, as ``docker run`` takes them."""

    name = ""

    def __init__(self, root):
        self.root = root

    def inside(self, path):
        return pathlib.Path(f"{self.root}{path}")

    def start(self, options=()):
        self.stop()
        server_xml = self.inside(f"{INSTALL}/conf/server.xml")
        with contextlib.suppress(OSError):
            server_xml.unlink()
        self.run(list(options))
        end = time.monotonic() + SECONDS
        while not self.is_ready():
            assert time.monotonic() < end and not self.has_ended(), self.explain()
            time.sleep(0.1)

    def is_ready(self):
        """Whether Tomcat has read its server.xml: it listens then."""
        pid = self.find_jvm()
        if not pid:
            return False
        with contextlib.suppress(OSError):
            tables = [pathlib.Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
            wanted = f":{self.port:04X} "
            return any(wanted in line and " 0A " in line for table in tables for line in table.splitlines())
        return False

    port = 8090

    def find_jvm(self):
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (path / "cmdline").read_bytes().split(b"\0")
                same = os.path.samefile(f"{path}/root/.", self.find_root())
                if b"org.apache.catalina.startup.Bootstrap" in words and same:
                    return int(path.name)
        return 0

    def find_root(self):
        return self.root


class Podman(Container):
    """A container of Podman, with a network of its own."""

    def __init__(self, root):
        super().__init__(root)
        self.name = f"rtc-test-{os.getpid()}-{secrets.token_hex(3)}"
        self.environment = {**os.environ, "CONTAINERS_CONF": str(PODMAN_CONF)}

    def podman(self, *words, check=True):
        done = subprocess.run(
            ["podman", *words], env=self.environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def run(self, options):
        command = ["run", "--detach", "--name", self.name, "--volume", "/usr:/usr:ro", *options]
        self.podman(*command, "--rootfs", str(self.root), "/entrypoint.py")

    def has_ended(self):
        return self.podman("inspect", "--format", "{{.State.Running}}", self.name) == "false"

    def stop(self):
        self.podman("rm", "--force", "--time", "0", self.name, check=False)

    def find_root(self):
        return f"/proc/{self.podman('inspect', '--format', '{{.State.Pid}}', self.name)}/root/."

    def explain(self):
        return self.podman("logs", self.name, check=False)


class Namespaces(Container):
    """A container of namespaces and a control group of root's, as an unknown manager makes it; the host's network."""

    def __init__(self, root, port):
        super().__init__(root)
        self.port = port
        self.identity = secrets.token_hex(32)
        self.name = self.identity[:12]
        base = next((path for path in GROUPS if os.path.exists(f"{path}/cgroup.procs")), "")
        self.group = pathlib.Path(f"{base}/docker/{self.identity}")
        self.group.mkdir(parents=True)
        self.process = None
        self.joins = True

    def group_of_user(self):
        """Let it be in no control group of a container from the next start on."""
        self.joins = False

    def run(self, options):
        pairs = list(zip(options[::2], options[1::2], strict=True))
        variables = [f"{value}" for name, value in pairs if name == "--env"]
        script = [f"echo $$ > {self.group}/cgroup.procs"] if self.joins else []
        mounts = ["mount --bind /usr usr", "mount --bind /dev dev", "mount -t proc proc proc"]
        for name, value in pairs:
            if name == "--volume":
                source, target, _mode = value.split(":")
                mounts += [
                    f"mkdir -p .{target}",
                    f"mount --bind {source} .{target}",
                    f"mount -o remount,bind,ro .{target}",
                ]
        variables += [f"ATL_TOMCAT_PORT={self.port}", "PATH=/usr/bin:/bin"]
        inner = " && ".join(
            [f"cd {self.root}", *mounts, f"exec chroot . /usr/bin/env -i {shlex.join(variables)} /entrypoint.py"]
        )
        script += [f"exec unshare --mount --pid --fork --kill-child --propagation private sh -c {shlex.quote(inner)}"]
        log = open(f"{self.root}/tmp/log", "wb")  # noqa: SIM115 - the process has it
        self.process = subprocess.Popen(
            ["sh", "-c", " && ".join(script)], stdout=log, stderr=log, start_new_session=True
        )

    def has_ended(self):
        return self.process.poll() is not None

    def stop(self):
        if self.process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            end = time.monotonic() + SECONDS
            while self.find_jvm():
                assert time.monotonic() < end
                time.sleep(0.05)
            self.process = None

    def close(self):
        self.stop()
        end = time.monotonic() + 10
        while self.group.exists() and time.monotonic() < end:  # until the kernel has buried the processes
            with contextlib.suppress(OSError):
                self.group.rmdir()
            time.sleep(0.05)
        with contextlib.suppress(OSError):
            self.group.parent.rmdir()

    def find_root(self):
        return self.root

    def explain(self):
        return pathlib.Path(f"{self.root}/tmp/log").read_text(errors="replace")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def root(files, tmp_path):
    """The root directory of one container."""
    if os.geteuid() != 0:
        pytest.skip("containers are made by root")
    target = tmp_path / "root"
    subprocess.run(["cp", "--archive", str(files), str(target)], check=True)
    target.chmod(0o755)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    return target


@pytest.fixture
def in_podman(root):
    """A function: options -> a container of Podman that was started with them."""
    if not shutil.which("podman"):
        pytest.skip("podman is not installed")
    container = Podman(root)
    try:
        container.podman("info")
    except AssertionError as exc:
        pytest.skip(f"podman does not run here: {exc}")
    yield container
    container.stop()


@pytest.fixture
def in_namespaces(root):
    """The same without any manager of containers."""
    try:
        container = Namespaces(root, free_port())
    except OSError as exc:
        pytest.skip(f"no control groups can be made here: {exc}")
    yield container
    container.close()


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Run a module in this process as Ansible would; see ``module_runner``."""
    return module_runner.make_run_module(capsys, monkeypatch)
