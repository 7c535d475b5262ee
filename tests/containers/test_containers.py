# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real containers: what detection says of them, that what the plan prints comes into force, and what hostile ones get."""

from __future__ import annotations

import json
import os
import pathlib
import shlex

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils import _container_facts, _facts
from ansible_collections.collab.rtc.plugins.module_utils._detect.gather import gather
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import parse_pem
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import GivenTls
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import load_inventory
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput
from ansible_collections.collab.rtc.tests.unit import paths

INSTALL = "/opt/atlassian/confluence"
NAME = "wiki.example.com"
PEM = (paths.DATA / "truststore" / "root.pem").read_text(encoding="ascii")
ROOT = parse_pem(PEM, "")[0]
LEFT = {"RTC232", "RTC233", "RTC234", "RTC235", "RTC236", "RTC238"}  # what is to be done for a container


def look(container):
    """The facts of this machine, with the application of the container alone."""
    facts = gather(lookup=lambda name: [])
    facts.applications = [item for item in facts.applications if item.install_dir.startswith(f"{container.name}:")]
    facts.proxies, facts.resolves = [], {NAME: facts.addresses[:1]}
    return facts


def plan_of(facts, store):
    """The plan for a site with nginx beside the container, and a certificate of our own authority."""
    variables = {
        "rtc_server_name": NAME,
        "rtc_proxy": "wiki1",
        "rtc_proxy_kind": "nginx",
        "rtc_tls_certificate": "/pki/wiki.pem",
        "rtc_tls_key": "/pki/wiki.key",
        "rtc_truststore_path": str(store),
        "rtc_install_dir": facts.applications[0].install_dir,
    }
    plan_input = PlanInput(now=facts.clock, groups={"confluence": ["wiki1"], "rtc_proxies": ["wiki1"]})
    plan_input.facts["wiki1"] = _facts.from_dict(_facts.HostFacts, json.loads(json.dumps(_facts.to_dict(facts))))
    load_inventory.add_host(plan_input, "wiki1", variables)
    given = GivenTls(root_pem=PEM, root_subject=ROOT.subject, root_fingerprint=ROOT.fingerprint)
    plan_input.tls["wiki1"] = {"confluence": given}
    return make_plan(plan_input)


def find_ids(plan):
    return {item.id for item in plan.findings} & LEFT


def options_of(plan):
    return shlex.split(plan.hosts["wiki1"].containers[0].options.replace("\\\n", " "))


def check_course(container, tmp_path, run_module, first, expected, left=frozenset()):
    """From a container as the image makes it to one whose settings are in force.

    :param left: findings that no setting mends.
    """
    container.start(first)
    facts = look(container)
    (application,) = facts.applications
    assert (application.kind, application.tomcat_version) == ("confluence", "9.0.98")
    assert [item.port for item in application.server_xml.connectors if item.user] == [container.port]
    assert "/entrypoint.py" in application.server_xml.generated_by or "j2" in application.server_xml.generated_by
    assert application.java.version.startswith("17.")
    assert application.java.truststore.certificates > 50
    store = tmp_path / "store" / "cacerts"
    plan = plan_of(facts, store)
    assert find_ids(plan) == expected
    host = plan.hosts["wiki1"]
    assert (host.connectors, host.trust_options) == ([], [])

    # What the run does: the trust store on the host, with the authorities of the container's JRE.
    (trust,) = host.trust
    arguments = {name: getattr(trust, name) for name in ("path", "copy_from", "copy_process", "certificates")}
    made = run_module("java_truststore", arguments)
    assert made["changed"], made
    assert made["store"]["entries"] == application.java.truststore.certificates + 1

    # What the administrator does: the options that the plan printed.
    container.start(options_of(plan))
    facts = look(container)
    (application,) = facts.applications
    (connector,) = application.server_xml.connectors
    assert (connector.proxy_name, connector.proxy_port) == (NAME, 443)
    assert (connector.scheme, connector.secure) == ("https", True)
    assert application.java.truststore.path == f"{container.name}:/etc/rtc-truststore/cacerts"
    assert ROOT.fingerprint in application.java.truststore.fingerprints
    assert _container_facts.Mount(str(store.parent), "/etc/rtc-truststore", True) in application.container.mounts
    plan = plan_of(facts, store)
    assert find_ids(plan) == set(left)
    assert len(plan.hosts["wiki1"].containers[0].missing) == len(left)
    return application


def test_settings_come_into_force_in_podman(in_podman, tmp_path, run_module):
    port = 20000 + os.getpid() % 10000
    application = check_course(
        in_podman, tmp_path, run_module, ["--publish", f"{port}:8090"], {"RTC232", "RTC233", "RTC234"}
    )
    container = application.container
    assert (container.name, container.engine, container.network) == (in_podman.name, "podman", "own")
    assert container.ports == [_container_facts.PublishedPort("127.0.0.1", port, 8090)]
    assert container.source == "podman inspect"


def test_settings_come_into_force_without_any_manager(in_namespaces, tmp_path, run_module):
    expected, left = {"RTC232", "RTC233", "RTC234"}, {"RTC234"}  # it has the network of the host
    container = check_course(in_namespaces, tmp_path, run_module, [], expected, left).container
    assert (container.name, container.network, container.id) == (in_namespaces.name, "host", in_namespaces.identity)


def test_what_is_edited_in_a_container_is_seen_to_be_lost(in_namespaces, tmp_path):
    in_namespaces.start()
    path = in_namespaces.inside(f"{INSTALL}/conf/server.xml")
    text = path.read_text().replace('proxyName=""', f'proxyName="{NAME}"').replace('proxyPort=""', 'proxyPort="443"')
    path.write_text(text.replace('scheme="http"', 'scheme="https"').replace('secure="false"', 'secure="true"'))
    plan = plan_of(look(in_namespaces), tmp_path / "cacerts")
    (finding,) = [item for item in plan.findings if item.id == "RTC232"]
    assert all("the next start loses it" in line for line in finding.evidence)
    in_namespaces.start()
    assert NAME not in path.read_text()


CANARY = "geheim-5f1c"


@pytest.fixture(
    params=["link", "link of root", "climbing link", "through proc", "kernel", "fifo", "huge", "directory link"]
)
def hostile(request, tmp_path):
    """What the user of a container makes of its server.xml: a function of the container, and what it is called."""
    canary = tmp_path / "canary.xml"
    canary.write_text(f'<Server><Service><Connector port="8090" proxyName="{CANARY}"/></Service></Server>')
    canary.chmod(0o600)

    def make(container):
        path = container.inside(f"{INSTALL}/conf/server.xml")
        path.unlink()
        targets = {
            "link": str(canary),
            "link of root": "/etc/shadow",
            "climbing link": "../" * 20 + str(canary)[1:],
            "through proc": f"/proc/1/root{canary}",
            "kernel": "/proc/kcore",
        }
        if request.param in targets:
            path.symlink_to(targets[request.param])
        elif request.param == "fifo":
            os.mkfifo(path)
        elif request.param == "huge":
            with open(path, "wb") as file:
                file.truncate(1 << 40)
        else:
            path.parent.rename(path.parent.with_name("conf.old"))
            path.parent.symlink_to(canary.parent)
        if path.is_symlink() and request.param != "link of root":
            os.lchown(path, 2002, 2002)

    return make


def test_nothing_of_the_host_is_read_for_a_hostile_container(in_namespaces, hostile, request):
    in_namespaces.start()
    hostile(in_namespaces)
    shadow = pathlib.Path("/etc/shadow").read_text(encoding="utf-8").splitlines()[0]
    before = os.stat("/etc/shadow").st_atime
    facts = look(in_namespaces)
    text = json.dumps(_facts.to_dict(facts))
    assert CANARY not in text
    assert shadow not in text
    assert os.stat("/etc/shadow").st_atime == before
    # Where conf is no directory of the container any more, it has no Confluence.
    assert len(facts.applications) == ("directory link" not in request.node.name)
    for application in facts.applications:
        assert application.server_xml.error
        assert application.server_xml.connectors == []


def test_a_container_of_a_user_does_not_count(in_namespaces):
    """The same namespaces, in no control group of root's: anybody can make them."""
    in_namespaces.group_of_user()
    in_namespaces.start()
    pid = in_namespaces.find_jvm()
    facts = gather(lookup=lambda name: [])
    assert not any(item.process and item.process.pid == pid for item in facts.applications)
    (doubted,) = [item for item in facts.doubted if item.pid == pid]
    assert "nothing shows that root started the container" in doubted.reason
    (named,) = [item for item in gather(lookup=lambda name: [], install_dirs=[doubted.path]).applications
                if item.process and item.process.pid == pid]  # fmt: skip
    assert named.install_dir == doubted.path
