# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules, run as root hundreds of times on files of another user, who exchanges them all the while."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from attacks import attackers

DATA = Path(__file__).resolve().parents[1] / "unit/data"
XML = """<?xml version="1.0"?>
<Server port="8005">
  <Service name="Catalina">
    <Connector port="8090" protocol="HTTP/1.1" proxyPort="1"/>
    <Connector port="8443" SSLEnabled="true" keystoreFile="{store}" keystorePass="changeit" keyAlias="Tomcat"
               keyPass="key secret"/>
  </Service>
</Server>
"""


class Application:
    """An installation of Mallory's, as a run user has it who owns all of it."""

    def __init__(self, arena):
        self.arena = arena
        self.store = arena.mallorys("app/conf/key.jks", (DATA / "truststore/key.jks").read_bytes(), 0o600)
        self.xml = arena.mallorys("app/conf/server.xml", XML.format(store=self.store).encode())
        self.setenv = arena.mallorys("app/bin/setenv.sh", b"export CATALINA_OPTS\n")
        self.cacerts = arena.mallorys("app/jre/lib/security/cacerts", (DATA / "truststore/trust.jks").read_bytes())
        self.keytool = arena.mallorys("app/jre/bin/keytool", mode=0o755)
        attackers.make_fake_program(str(self.keytool), str(arena.drop))
        # Of root, where a link to a directory leads to: a file of the same name, well-formed, so that it is tempting.
        arena.add_canary(
            "server.xml",
            XML.format(store=self.store)
            .replace("proxyPort", 'x="{}" proxyPort'.format("of-root-alone-5f3a91"))
            .encode(),
        )
        arena.add_canary("setenv.sh")
        arena.add_canary("cacerts", (DATA / "truststore/trust.jks").read_bytes())

    def connector(self, number, **more):
        attributes = {"proxyPort": 10000 + number, "proxyName": "wiki.example.com"}
        return "tomcat_connector", dict(
            path=str(self.xml), connector_port=8090, attributes=attributes, tomcat_version="9.0.98",
            undo_dir=str(self.arena.undo / str(number)), **more
        )  # fmt: skip

    def option(self, number):
        store = self.arena.root / "truststore"
        shutil.copy(DATA / "truststore/trust.jks", store)
        return "jvm_truststore_option", {
            "path": str(self.setenv), "truststore": str(store), "state": ["present", "absent"][number % 2],
            "undo_dir": str(self.arena.undo / str(number)),
        }  # fmt: skip

    def trust(self, number):
        certificates = [{"src": str(DATA / "truststore/root.pem"), "alias": "one"}]
        return "java_truststore", {
            "path": str(self.cacerts), "jre_home": str(self.keytool.parents[1]), "certificates": certificates, "trust": "exact",
            "state": ["present", "absent"][number % 2], "undo_dir": str(self.arena.undo / str(number)),
        }  # fmt: skip

    def key(self, number):
        return "keystore_pem", {
            "server_xml": str(self.xml), "connector_port": 8443, "key_dest": str(self.arena.root / "tls.key"),
            "chain_dest": str(self.arena.root / "tls.crt"), "jre_home": str(self.keytool.parents[1]),
            "undo_dir": str(self.arena.undo / str(number)),
        }  # fmt: skip

    def undo(self, number):
        return "rtc_undo", {"path": str(self.arena.undo)}


@pytest.fixture
def application(arena):
    return Application(arena)


def attack(application, run_module, calls, swaps, times, **more):
    """Call modules in turn while these are exchanged; returns nothing, judges."""
    for path, victim in swaps:
        application.arena.swap(path, victim=victim, **more)
    for number in application.arena.rounds(times, 1000):
        for name in calls:
            module, arguments = getattr(application, name)(number)
            application.arena.call(run_module, module, arguments)
    application.arena.judge(exchanges=1000)


def test_connector_while_server_xml_is_exchanged(application, run_module):
    victim = application.arena.vault / "server.xml"
    attack(application, run_module, ["connector"], [(application.xml, victim)], 300)


def test_connector_with_a_sniper(application, run_module):
    swap = attackers.Swap(str(application.xml), str(application.arena.vault / "server.xml"))
    swap.prepare()
    os.chown(swap.spare, 65534, -1, follow_symlinks=False)  # root just made it, whose links are followed
    application.arena.start(attackers.Sniper(swap, hold=0.02))
    time.sleep(0.05)
    for number in range(60):
        application.arena.call(run_module, *application.connector(number))
        time.sleep(0.02)
    application.arena.judge(exchanges=30)


def test_connector_while_conf_is_exchanged(application, run_module):
    attack(application, run_module, ["connector"], [(application.xml.parent, application.arena.vault)], 200)


def test_connector_with_backups_whose_names_are_guessed(application, run_module):
    arena = application.arena
    for ahead in range(20):
        moment = time.strftime("%Y-%m-%d@%H:%M:%S~", time.localtime(time.time() + ahead))
        link = application.xml.with_name(f"server.xml.{os.getpid()}.{moment}")
        link.symlink_to(arena.canary)
        os.chown(link, 65534, -1, follow_symlinks=False)
    for number in range(20):
        arena.call(run_module, *application.connector(number, backup=True))
    arena.judge()


def test_option_while_setenv_is_exchanged(application, run_module):
    victim = application.arena.vault / "setenv.sh"
    attack(application, run_module, ["option"], [(application.setenv, victim)], 150)


def test_option_while_bin_is_exchanged(application, run_module):
    attack(application, run_module, ["option"], [(application.setenv.parent, application.arena.vault)], 150)


def test_trust_store_while_cacerts_is_exchanged(application, run_module):
    attack(application, run_module, ["trust"], [(application.cacerts, application.arena.vault / "cacerts")], 60)


def test_trust_store_while_its_directory_is_exchanged(application, run_module):
    attack(application, run_module, ["trust"], [(application.cacerts.parent, application.arena.vault)], 60)


@pytest.mark.parametrize("bait", ["link", "fifo", "sparse", "device"])
def test_key_while_the_store_is_exchanged(application, run_module, bait):
    attack(application, run_module, ["key"], [(application.store, application.arena.canary)], 40, bait=bait)


def test_connector_and_undo_while_server_xml_is_exchanged(application, run_module):
    victim = application.arena.vault / "server.xml"
    attack(application, run_module, ["connector", "undo"], [(application.xml, victim)], 100)


def test_connector_and_undo_while_conf_is_exchanged(application, run_module):
    swaps = [(application.xml.parent, application.arena.vault)]
    attack(application, run_module, ["connector", "undo"], swaps, 100)


@pytest.mark.parametrize(
    "bait", ["fifo", "socket", "directory", "sparse", "device", "link", "hard link", "link to a device"]
)
@pytest.mark.parametrize("name", ["connector", "option", "trust", "key"])
def test_a_module_refuses_what_is_no_file_at_once(application, run_module, name, bait):
    path = {"connector": application.xml, "option": application.setenv, "trust": application.cacerts,
            "key": application.store}[name]  # fmt: skip
    path.unlink()
    attackers.make_bait(bait, str(path), str(application.arena.vault / ("canary" if name == "key" else path.name)))
    if bait != "hard link":
        os.chown(path, 65534, -1, follow_symlinks=False)
    application.arena.call(run_module, *getattr(application, name)(0))
    assert list(application.arena.outcomes) == ["refused"], application.arena.outcomes
    application.arena.judge()
