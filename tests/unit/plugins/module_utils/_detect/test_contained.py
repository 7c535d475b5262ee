# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applications in containers: seen through the root directory of their process."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _container_facts, _facts
from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import CONFLUENCE, Host, facts_of, fingerprint

ID = "5f" * 32
DOCKER = f"/system.slice/docker-{ID}.scope"
JAVA = "/opt/java/openjdk"
ME = os.getuid()  # whose the files of the fake container are


@pytest.fixture
def inner(tmp_path):
    """The files of a container of the official image's kind."""
    made = Host(tmp_path / "container")
    made.confluence().jre(JAVA, version="17.0.9")
    return made.write(
        "/entrypoint.py", "gen_cfg('server.xml.j2', '/opt/atlassian/confluence/conf/server.xml')\n", 0o755
    )


@pytest.fixture
def outer(tmp_path, inner):
    """A host whose Confluence runs in a container of Docker: containerd's shim, the JVM, and Docker's own file."""
    return Host(tmp_path / "host")


def run_in(outer, inner, pid=700, group=DOCKER, monitor=("/usr/bin/containerd-shim-runc-v2", "-namespace", "moby"),
           monitor_uid=0, **more):  # fmt: skip
    """Start a Confluence in a container."""
    if monitor:
        outer.process(pid - 10, list(monitor), uid=monitor_uid, exe=monitor[0])
    more.setdefault("environment", {"ATL_PROXY_NAME": "wiki.example.com", "PATH": "/bin"})
    outer.jvm(pid, CONFLUENCE, java=f"{JAVA}/bin/java", uid=ME, group=group, parent=pid - 10 if monitor else 1, **more)
    outer.link(f"/proc/{pid}/ns/net", "net:[5]").put_in(pid, inner)
    if not outer.path("/proc/self").exists():
        outer.link("/proc/self/ns/net", "net:[1]")
    return outer


def in_docker(outer, **changes):
    """Docker's own file of the container."""
    state = {
        "ID": ID,
        "Name": "/wiki",
        "Config": {
            "Image": "atlassian/confluence:9.2",
            "Env": ["ATL_PROXY_NAME=wiki.example.com", "ATL_JDBC_PASSWORD=geheim", "LANG=C"],
            "Labels": {
                "com.docker.compose.project": "site",
                "com.docker.compose.service": "confluence",
                "com.docker.compose.project.working_dir": "/srv/site",
                "com.docker.compose.project.config_files": "/srv/site/compose.yml",
            },
        },
        "NetworkSettings": {
            "Networks": {"site_default": {"IPAddress": "172.18.0.3"}},
            "Ports": {"8090/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18090"}], "8091/tcp": None},
        },
        **changes,
    }
    return outer.write(f"/var/lib/docker/containers/{ID}/config.v2.json", json.dumps(state))


def only(outer, **options):
    facts = facts_of(outer, **options)
    assert facts.doubted == []
    (application,) = facts.applications
    return application


def test_application_of_a_container(outer, inner):
    found = only(in_docker(run_in(outer, inner)))
    assert (found.kind, found.install_dir, found.version) == ("confluence", f"wiki:{CONFLUENCE}", "8.5.3")
    assert found.server_xml.path == f"wiki:{CONFLUENCE}/conf/server.xml"
    assert [item.port for item in found.server_xml.connectors if item.user] == [8090]
    assert "entrypoint.py" in found.server_xml.generated_by
    assert (found.java.home, found.java.version) == (f"wiki:{JAVA}", "17.0.9")
    assert found.java.truststore.path == f"wiki:{JAVA}/lib/security/cacerts"
    assert found.java.truststore.fingerprints == sorted(map(fingerprint, (b"first", b"second")))
    assert (found.process.pid, found.service.kind, found.java.option) == (700, "none", None)
    assert "container wiki" in found.service.reason


def test_paths_of_a_process_are_those_that_it_sees_after_chroot_too(outer, inner):
    run_in(outer, inner)
    outer.remove("/proc/700/exe").link("/proc/700/exe", f"{inner.root}{JAVA}/bin/java")
    assert "Java" not in [item.what for item in only(outer).process.differences]


def test_what_docker_says_of_the_container(outer, inner):
    found = only(in_docker(run_in(outer, inner))).container
    assert (found.name, found.id, found.engine, found.image) == ("wiki", ID, "docker", "atlassian/confluence:9.2")
    assert (found.compose_project, found.compose_service) == ("site", "confluence")
    assert (found.compose_directory, found.compose_files) == ("/srv/site", ["/srv/site/compose.yml"])
    assert found.ports == [_container_facts.PublishedPort("127.0.0.1", 18090, 8090)]
    assert (found.network, found.addresses, found.ports_unknown) == ("own", ["172.18.0.3"], "")
    assert found.environment == {"ATL_PROXY_NAME": "wiki.example.com", "ATL_JDBC_PASSWORD": "********"}


def test_secrets_in_options_are_not_shown(outer, inner):
    options = "-Xmx1g -Djavax.net.ssl.trustStorePassword=geheim -Dx=y"
    environment = {"JVM_SUPPORT_RECOMMENDED_ARGS": options, "ATL_JDBC_URL": "jdbc:x://h/db?user=a&password=geheim"}
    facts = facts_of(in_docker(run_in(outer, inner, environment=environment)))
    assert "geheim" not in json.dumps(_facts.to_dict(facts))
    shown = facts.applications[0].container.environment["JVM_SUPPORT_RECOMMENDED_ARGS"]
    assert shown == "-Xmx1g -Djavax.net.ssl.trustStorePassword=******** -Dx=y"


def test_a_container_that_nobody_can_tell_about(outer, inner):
    found = only(run_in(outer, inner)).container
    assert (found.name, found.engine, found.image, found.source) == (ID[:12], "docker", "", "the kernel")
    assert "could be asked" in found.ports_unknown


def test_ports_by_dockers_proxies(outer, inner):
    proxy = ["/usr/bin/docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "80"]
    run_in(outer, inner).process(801, [*proxy, "-container-ip", "172.17.0.2", "-container-port", "8090"], uid=0)
    outer.process(802, [*proxy, "-container-ip", "172.17.0.9", "-container-port", "5432"], uid=0)
    # Anybody can start a process of that name.
    outer.process(803, [*proxy, "-container-ip", "172.17.0.2", "-container-port", "22"], uid=1001)
    outer.write("/proc/700/net/fib_trie", "  +-- 0.0.0.0/0\n     |-- 172.17.0.2\n        /32 host LOCAL\n")
    found = only(outer).container
    assert found.addresses == ["172.17.0.2"]
    assert (found.ports, found.ports_unknown) == ([_container_facts.PublishedPort("0.0.0.0", 80, 8090)], "")


def test_podmans_name_is_that_of_its_monitor(outer, inner):
    group = f"/machine.slice/libpod-{ID}.scope/container"
    run_in(outer, inner, group=group, monitor=("/usr/bin/conmon", "-c", ID, "-u", ID, "-n", "wiki", "--exit-dir", "/x"))
    stored = [{"id": ID, "names": ["wiki"], "metadata": json.dumps({"image-name": "docker.io/atlassian/confluence:9"})}]
    outer.write("/var/lib/containers/storage/overlay-containers/containers.json", json.dumps(stored))
    found = only(outer).container
    assert (found.name, found.engine, found.image) == ("wiki", "podman", "docker.io/atlassian/confluence:9")


@pytest.mark.parametrize(
    ("group", "engine"),
    [
        (f"/docker/{ID}", "docker"),
        (f"/system.slice/docker-{ID}.scope", "docker"),
        (f"/system.slice/docker-{ID}.scope/inner.slice/app.scope", "docker"),
        (f"/libpod_parent/libpod-{ID}", "podman"),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman"),
        (f"/default/{ID}", ""),
        (f"/kubepods.slice/kubepods-pod7f.slice/cri-containerd-{ID}.scope", "kubernetes"),
        (f"/lxc.payload.box/system.slice/docker-{ID}.scope", "docker"),
    ],
)
def test_a_control_group_of_root_vouches(outer, inner, group, engine):
    found = only(run_in(outer, inner, group=group, monitor=())).container
    assert (found.id, found.name, found.engine) == (ID, ID[:12], engine)


@pytest.mark.parametrize(
    ("monitor", "group", "name", "engine"),
    [
        ("/usr/bin/lxc-start", "/lxc.payload.wiki/system.slice/confluence.service", "wiki", "lxc"),
        ("/usr/bin/lxc-start", "/lxc/wiki", "wiki", "lxc"),
        ("/usr/bin/systemd-nspawn", "/machine.slice/machine-wiki.scope/payload", "wiki", "nspawn"),
        ("/usr/bin/systemd-nspawn", "/machine.slice/systemd-nspawn@wiki.service/payload", "wiki", "nspawn"),
        ("/usr/bin/conmon", "/system.slice/wiki.service", "process-700", "podman"),
    ],
)
def test_containers_without_an_id(outer, inner, monitor, group, name, engine):
    found = only(run_in(outer, inner, group=group, monitor=(monitor,))).container
    assert (found.id, found.name, found.engine) == ("", name, engine)


@pytest.mark.parametrize(
    "group",
    [
        "/user.slice/user-1001.slice/session-3.scope",
        f"/user.slice/user-1001.slice/user@1001.service/user.slice/libpod-{ID}.scope/container",
        f"/system.slice/cron.service/docker-{ID}.scope",
        "/",
    ],
)
def test_what_a_user_can_do_himself_vouches_for_nothing(outer, inner, group):
    facts = facts_of(run_in(outer, inner, group=group, monitor=()))
    assert facts.applications == []
    assert [(item.what, item.pid, item.kind) for item in facts.doubted] == [("process", 700, "confluence")]
    assert "nothing shows that root started the container" in facts.doubted[0].reason


def test_a_container_of_a_user_counts_where_the_inventory_names_it(outer, inner):
    group = f"/user.slice/user-1001.slice/user@1001.service/user.slice/libpod-{ID}.scope/container"
    monitor = ("/usr/bin/conmon", "-c", ID, "-n", "wiki")
    run_in(outer, inner, group=group, monitor=monitor, monitor_uid=1001)
    facts = facts_of(outer)
    assert facts.applications == []
    place = f"confluence/wiki:{CONFLUENCE}"
    assert [item.path for item in facts.doubted] == [place]
    assert "user confluence started the container" in facts.doubted[0].reason
    assert facts_of(outer, install_dirs=[f"wiki:{CONFLUENCE}", CONFLUENCE]).applications == []
    (named,) = facts_of(outer, install_dirs=[place]).applications
    assert (named.container.name, named.install_dir) == ("confluence/wiki", place)


def test_links_lead_to_files_of_the_container(outer, inner, tmp_path):
    outer.write("/etc/secret.xml", inner.path(f"{CONFLUENCE}/conf/server.xml").read_text().replace("8090", "6666"))
    run_in(outer, inner)
    for target in (
        "/etc/secret.xml",
        "../../../../../../../../host/etc/secret.xml",
        str(outer.path("/etc/secret.xml")),
    ):
        inner.remove(f"{CONFLUENCE}/conf/server.xml").link(f"{CONFLUENCE}/conf/server.xml", target)
        xml = facts_of(outer).applications[0].server_xml
        assert xml.connectors == []
        assert "there is no such file" in xml.error
    inner.write("/etc/secret.xml", outer.path("/etc/secret.xml").read_text())
    inner.remove(f"{CONFLUENCE}/conf/server.xml").link(f"{CONFLUENCE}/conf/server.xml", "/etc/secret.xml")
    assert [item.port for item in only(outer).server_xml.connectors][:1] == [6666]


def test_odd_files_are_not_read(outer, inner):
    path = f"{CONFLUENCE}/conf/server.xml"
    inner.remove(path)
    os.mkfifo(inner.path(path))
    facts = facts_of(run_in(outer, inner))
    assert "not a regular file" in facts.applications[0].server_xml.error
    inner.path(path).unlink()
    with open(inner.path(path), "wb") as file:
        file.truncate(1 << 32)
    facts = facts_of(outer)
    assert "larger than" in facts.applications[0].server_xml.error
    assert [item.what for item in facts.unreadable if item.what.endswith("server.xml")] == [f"{ID[:12]}:{path}"]


def test_files_of_the_kernel_are_not_read(outer, inner):
    device = inner.path(CONFLUENCE).stat().st_dev
    run_in(outer, inner)
    outer.write("/proc/700/mountinfo", f"1 0 {os.major(device)}:{os.minor(device)} / /proc rw - proc proc rw\n")
    assert "file system of the kernel" in facts_of(outer).applications[0].server_xml.error


def test_mounts_are_named_by_their_place_on_the_host(outer, inner):
    run_in(outer, inner)
    outer.write("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 /@data /srv rw - btrfs x rw\n")
    outer.write(
        "/proc/700/mountinfo",
        "9 0 0:49 / / rw - overlay overlay rw\n10 9 8:1 /etc/rtc-truststore/confluence /etc/rtc-truststore ro - ext4 x rw\n"
        "11 9 8:2 /@data/a\\040b /var/atlassian rw - btrfs x rw\n12 9 8:3 / /mnt rw - ext4 y rw\n"
        "13 9 0:50 / /dev rw - tmpfs tmpfs rw\n14 9 0:51 / /proc rw - proc proc rw\n",
    )
    assert only(outer).container.mounts == [
        _container_facts.Mount("/etc/rtc-truststore/confluence", "/etc/rtc-truststore", True),
        _container_facts.Mount("/srv/a b", "/var/atlassian", False),
        _container_facts.Mount("", "/mnt", False),
    ]


def test_the_hosts_network(outer, inner):
    run_in(outer, inner)
    outer.remove("/proc/self/ns/net").link("/proc/self/ns/net", "net:[5]")
    found = only(outer).container
    assert (found.network, found.ports, found.ports_unknown) == ("host", [], "")


def test_an_installation_of_the_host_beside_it_is_left_over(outer, inner):
    outer.confluence().jre(f"{CONFLUENCE}/jre")
    facts = facts_of(in_docker(run_in(outer, inner)))
    assert [(item.install_dir, bool(item.leftover)) for item in facts.applications] == [
        (f"wiki:{CONFLUENCE}", False),
        (CONFLUENCE, True),
    ]


def test_two_containers(outer, inner):
    run_in(outer, inner)
    other = "6a" * 32
    run_in(outer, inner, pid=730, group=f"/docker/{other}")
    facts = facts_of(outer)
    assert sorted(item.install_dir for item in facts.applications) == [
        f"{ID[:12]}:{CONFLUENCE}",
        f"{other[:12]}:{CONFLUENCE}",
    ]


def test_a_lying_answer_about_another_container_is_not_taken(outer, inner):
    run_in(outer, inner)
    outer.write(f"/var/lib/docker/containers/{ID}/config.v2.json", "[1, 2")
    assert only(outer).container.name == ID[:12]


def test_json_and_back(outer, inner):
    facts = facts_of(in_docker(run_in(outer, inner)))
    assert _facts.from_dict(_facts.HostFacts, json.loads(json.dumps(_facts.to_dict(facts)))) == facts
