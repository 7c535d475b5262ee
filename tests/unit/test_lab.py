# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab of test hosts thinks before it starts anything: its inventory, its certificates, its images."""

from __future__ import annotations

import datetime as dt
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from ansible_collections.collab.rtc.tests.hosts.hostlab import cli, images, inventory, machine, pki
from ansible_collections.collab.rtc.tests.hosts.hostlab.errors import LabError
from ansible_collections.collab.rtc.tests.hosts.hostlab.machine import Mirrors

ALL = {"lab_name": "try", "lab_subnet": "10.0.9.0/24", "lab_state": "state"}


def write(folder, hosts, groups=None, **changes):
    """An inventory with these hosts in group confluence (and `groups`: name -> {host: variables})."""
    children = {"confluence": {"hosts": hosts}}
    for name, members in (groups or {}).items():
        children[name] = {"hosts": members}
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"vars": {**ALL, **changes}, "children": children}}))
    return path


def test_a_host_by_its_address_alone_is_confluence_on_debian_12(tmp_path):
    lab = inventory.read(write(tmp_path, {"a": {"ansible_host": "10.0.9.5"}}))
    host = lab.hosts["a"]
    assert (host.products, host.debian, host.tomcat, host.service) == (("confluence",), 12, 10, "systemd")
    assert host.contexts == {"confluence": ""}
    assert host.ports == {"confluence": 8090}
    assert lab.container(host) == "try-a"
    assert lab.state == (tmp_path / "state").resolve()


def test_variables_win_in_ansibles_order(tmp_path):
    path = write(
        tmp_path, {"a": {"ansible_host": "10.0.9.5", "lab_service": "sysv"}, "b": {"ansible_host": "10.0.9.6"}}
    )
    for folder in ("group_vars", "host_vars"):
        (tmp_path / folder).mkdir()
    (tmp_path / "group_vars/all.yml").write_text("lab_debian: 11\nlab_service: systemd\nlab_product: jira\n")
    (tmp_path / "group_vars/confluence.yml").write_text("lab_product: confluence\n")
    (tmp_path / "host_vars/b.yml").write_text("lab_debian: 13\n")
    lab = inventory.read(path)
    seen = {name: (host.debian, host.service, host.products) for name, host in lab.hosts.items()}
    assert seen == {"a": (11, "sysv", ("confluence",)), "b": (13, "systemd", ("confluence",))}


def test_ansible_reads_the_same_from_the_labs_own_inventory():
    ansible = shutil.which("ansible-inventory", path=str(Path(sys.executable).parent))
    own = Path(__file__).resolve().parents[2] / "inventories/lab/hosts.yml"
    if not ansible or not own.exists():
        pytest.skip("no ansible-inventory beside this Python, or no inventory of the lab here")
    shown = subprocess.run([ansible, "-i", str(own), "--list", "--yaml"], capture_output=True, text=True, check=True)
    theirs: dict[str, dict] = {}

    def walk(group):
        for name, values in (group.get("hosts") or {}).items():
            theirs.setdefault(name, {}).update(values or {})
        for child in (group.get("children") or {}).values():
            walk(child or {})

    walk(yaml.safe_load(shown.stdout)["all"])
    lab = inventory.read(own)
    assert set(lab.hosts) == set(theirs)
    for name, host in lab.hosts.items():
        assert host.address == theirs[name]["ansible_host"]
        assert list(host.names) == theirs[name].get("lab_names", [])
        assert lab.name == theirs[name]["lab_name"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ansible_host": "10.0.8.5"}, ["a:", "ansible_host", "10.0.9.0/24"]),
        ({}, ["a:", "ansible_host"]),
        ({"ansible_host": "10.0.9.5", "lab_debian": 10}, ["a:", "lab_debian", "11, 12, 13"]),
        ({"ansible_host": "10.0.9.5", "lab_tomcat": 11}, ["a:", "lab_tomcat"]),
        ({"ansible_host": "10.0.9.5", "lab_product": "bamboo"}, ["a:", "lab_product", "jira"]),
        ({"ansible_host": "10.0.9.5", "lab_context_path": "wiki"}, ["a:", "lab_context_path", "'/'"]),
        ({"ansible_host": "10.0.9.5", "lab_service": "upstart"}, ["a:", "lab_service", "sysv"]),
        ({"ansible_host": "10.0.9.5", "lab_image": "windows"}, ["a:", "lab_image", "proxy"]),
        ({"ansible_host": "10.0.9.5", "lab_keystore": "PEM", "rtc_server_name": "w"}, ["a:", "lab_keystore", "JKS"]),
        ({"ansible_host": "10.0.9.5", "lab_keystore": "JKS"}, ["a:", "lab_keystore", "rtc_server_name"]),
        (
            {"ansible_host": "10.0.9.5", "lab_keystore": {"jira": "JKS"}, "rtc_server_name": "w"},
            ["lab_keystore", "jira"],
        ),
    ],
)
def test_a_wrong_variable_is_named_with_its_host(tmp_path, values, words):
    with pytest.raises(LabError) as caught:
        inventory.read(write(tmp_path, {"a": values}))
    assert [word for word in words if word not in str(caught.value)] == []


def test_an_application_with_a_key_store_ends_tls_itself(tmp_path):
    host = {
        "ansible_host": "10.0.9.5",
        "lab_product": ["jira", "confluence"],
        "lab_keystore": {"jira": "JKS"},
        "rtc_server_name": {"confluence": "wiki.test", "jira": "jira.test"},
    }
    lab = inventory.read(
        write(tmp_path, {"a": host, "b": {**host, "ansible_host": "10.0.9.6", "lab_keystore_name": "b.test"}})
    )
    assert lab.hosts["a"].ports == {"confluence": 8090, "jira": 8444}
    assert lab.hosts["a"].stores == {"jira": inventory.Store("JKS", "jira.test")}
    assert lab.hosts["b"].stores == {"jira": inventory.Store("JKS", "b.test")}
    assert lab.server_names == ("b.test", "jira.test", "wiki.test")


@pytest.mark.parametrize("shared", [{"ansible_host": "10.0.9.5"}, {"lab_names": ["wiki.test"]}])
def test_two_hosts_with_one_address_or_one_name_are_refused(tmp_path, shared):
    hosts = {"a": {"ansible_host": "10.0.9.5", **shared}, "b": {"ansible_host": "10.0.9.6", **shared}}
    with pytest.raises(LabError, match="b and a both have"):
        inventory.read(write(tmp_path, hosts))


def test_a_missing_or_broken_inventory_is_named(tmp_path):
    with pytest.raises(LabError, match=r"nothing\.yml"):
        inventory.read(tmp_path / "nothing.yml")
    (tmp_path / "broken.yml").write_text("all: [")
    with pytest.raises(LabError, match=r"broken.yml"):
        inventory.read(tmp_path / "broken.yml")
    with pytest.raises(LabError, match="lab_subnet"):
        inventory.read(write(tmp_path, {"a": {"ansible_host": "10.0.9.5"}}, lab_subnet=""))


def test_certificates_form_a_chain_that_names_the_server_and_are_kept(tmp_path):
    pki.ensure(tmp_path, ("wiki.test",))
    root = x509.load_pem_x509_certificate((tmp_path / "root.pem").read_bytes())
    leaf, middle = x509.load_pem_x509_certificates((tmp_path / "wiki.test/fullchain.pem").read_bytes())
    leaf.verify_directly_issued_by(middle)
    middle.verify_directly_issued_by(root)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["wiki.test"]
    assert stat.S_IMODE((tmp_path / "wiki.test/privkey.pem").stat().st_mode) == 0o600
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.pem")}
    pki.ensure(tmp_path, ("wiki.test",))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.pem")} == before


def test_a_leaf_is_renewed_before_it_ends_and_the_authority_stays(tmp_path, monkeypatch):
    pki.ensure(tmp_path, ("wiki.test",))
    root, chain = (tmp_path / "root.pem").read_bytes(), (tmp_path / "wiki.test/fullchain.pem").read_bytes()
    now = dt.datetime.now(dt.timezone.utc)
    for days, renewed in ((60, False), (71, True)):
        monkeypatch.setattr(pki, "_now", lambda days=days: now + dt.timedelta(days=days))
        pki.ensure(tmp_path, ("wiki.test",))
        assert ((tmp_path / "wiki.test/fullchain.pem").read_bytes() != chain) is renewed
    assert (tmp_path / "root.pem").read_bytes() == root


@pytest.mark.parametrize("damaged", ["root.pem", "intermediate.key", "wiki.test/privkey.pem"])
def test_what_is_damaged_is_made_anew_with_all_below_it(tmp_path, damaged):
    pki.ensure(tmp_path, ("wiki.test",))
    (tmp_path / damaged).write_text("not a PEM file")
    pki.ensure(tmp_path, ("wiki.test",))
    root = x509.load_pem_x509_certificate((tmp_path / "root.pem").read_bytes())
    leaf, middle = x509.load_pem_x509_certificates((tmp_path / "wiki.test/fullchain.pem").read_bytes())
    leaf.verify_directly_issued_by(middle)
    middle.verify_directly_issued_by(root)


MIRRORS = Mirrors("http://mirror.test/debian", "http://mirror.test/security", "", "")


def image(tmp_path, **values):
    lab = inventory.read(write(tmp_path, {"a": {"ansible_host": "10.0.9.5", **values}}))
    return images.image_for(lab.hosts["a"], MIRRORS)


def test_hosts_share_images_by_what_is_in_them_and_not_by_how_they_are_set(tmp_path):
    plain = image(tmp_path)
    assert image(tmp_path, lab_context_path="/wiki", lab_service="sysv", lab_names=["wiki.test"]).tag == plain.tag
    others = [image(tmp_path, lab_debian=11), image(tmp_path, lab_product="jira"), image(tmp_path, lab_image="proxy")]
    assert len({plain.tag, *(other.tag for other in others)}) == 4
    assert image(tmp_path, lab_image="proxy") == plain.below


def test_a_changed_recipe_changes_the_tags_that_stand_on_it(tmp_path, monkeypatch):
    recipes = tmp_path / "images"
    shutil.copytree(images.RECIPES, recipes)
    monkeypatch.setattr(images, "RECIPES", recipes)
    before = image(tmp_path)
    assert image(tmp_path) == before
    page = recipes / "application/webapp/request.jsp"
    page.write_text(page.read_text() + "\n")
    changed = image(tmp_path)
    assert changed.tag != before.tag
    assert changed.below == before.below
    script = recipes / "host/build.sh"
    script.write_text(script.read_text() + "\n")
    assert image(tmp_path).below.tag != before.below.tag
    assert image(tmp_path).below.below == before.below.below


@pytest.mark.parametrize("absent", ["podman", "netavark"])
def test_on_a_machine_where_no_lab_can_be_there_is_nothing_to_remove(tmp_path, monkeypatch, absent):
    """A scenario begins with removing what the last one left, also on a machine that has only a part of Podman."""
    needed = {"sh": {"podman", "netavark"} - {absent}, "/no/such/helper": {absent}}
    monkeypatch.setattr(machine, "NEEDED", {thing: names.pop() for thing, names in needed.items()})
    path = write(tmp_path, {"wiki": {"ansible_host": "10.0.9.11"}})
    monkeypatch.setattr(sys, "argv", ["lab", "down", "--inventory", str(path)])
    monkeypatch.setattr(cli.os, "geteuid", lambda: 0)

    def refuse(*_):
        raise LabError("could not find netavark")

    monkeypatch.setattr(cli.Podman, "containers", refuse)
    assert cli.main() == 0
