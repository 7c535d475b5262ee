# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the secrets of one run: ``secrets.json`` for the host and the search, ``vars.yml`` with vaulted ones.

secrets_file.py FOLDER PKI
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import textwrap
from pathlib import Path

from ansible.parsing.vault import VaultLib, VaultSecret

NAMES = (
    "catalina_property", "server_xml_comment", "server_xml_attribute", "truststore_password", "jvm_property", "canary",
    "setenv_variable", "user_sh", "keystore_password", "database", "nginx", "rtc_secret",
)  # fmt: skip


def main(folder: Path, pki: Path) -> None:
    os.umask(0o077)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = {name: secrets.token_hex(20) for name in NAMES}
    password = secrets.token_hex(16)
    vault = VaultLib([("default", VaultSecret(password.encode()))])

    def vaulted(text: str) -> str:
        return "!vault |\n" + textwrap.indent(vault.encrypt(text).decode(), "    ")

    key = (pki / "wiki.lab.test/privkey.pem").read_text()
    lines = [
        f"rtc_secret: {vaulted(made['rtc_secret'])}",
        f"rtc_truststore_password: {vaulted(made['truststore_password'])}",
        'rtc_tls_key: {confluence: "' + str(folder.resolve() / "proxy.key") + '"}',
    ]
    (folder / "proxy.key").write_bytes(vault.encrypt(key))
    # A line from the middle of each private key stands for the key.
    made["proxy_key"] = key.splitlines()[2]
    made["connector_key"] = (pki / "jira.lab.test/privkey.pem").read_text().splitlines()[2]
    (folder / "secrets.json").write_text(json.dumps(made))
    (folder / "vault-password").write_text(password + "\n")
    (folder / "vars.yml").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
