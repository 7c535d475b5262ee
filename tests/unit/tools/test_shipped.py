# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent to a host with a module, as tools/shipped.py counts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.collab.rtc.tools import shipped as shipping

# In a process of its own: Ansible's loader of collections takes over the imports of the process.
BUILD = """
import base64, io, json, re, sys, zipfile
from ansible.executor import module_common
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

root, module = sys.argv[1:]
init_plugin_loader([root])
built = module_common.modify_module(
    module_name=f"collab.rtc.{module}",
    module_path=f"{root}/ansible_collections/collab/rtc/plugins/modules/{module}.py",
    module_args={},
    templar=Templar(DataLoader()),
    task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
)
# The archive is by far the longest literal of the program that Ansible sends.
literal = max(re.findall(rb"[A-Za-z0-9+/=]{100,}", built.b_module_data), key=len)
prefix = "ansible_collections/collab/rtc/"
with zipfile.ZipFile(io.BytesIO(base64.b64decode(literal))) as archive:
    texts = {name[len(prefix):]: archive.read(name) for name in archive.namelist() if name.startswith(prefix)}
print(json.dumps({name: len(text.splitlines()) for name, text in texts.items() if text}))  # packages are empty files
"""


def sent_by_ansible(module, directory):
    """The files of this collection in what Ansible's executor builds: path -> lines."""
    root = next(path for path in sys.path if os.path.isdir(os.path.join(path, "ansible_collections", "collab", "rtc")))
    environment = {**os.environ, "ANSIBLE_LOCAL_TEMP": str(directory), "ANSIBLE_HOME": str(directory)}
    command = [sys.executable, "-c", BUILD, os.path.abspath(root), module]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_ansible_sends(tmp_path):
    """With ``keystore_pem``, which has imports under ``TYPE_CHECKING`` and in functions too."""
    pytest.importorskip("ansible.executor.module_common")
    assert shipping.shipped("keystore_pem") == sent_by_ansible("keystore_pem", tmp_path)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("import os", set()),
        ("from {h} import _errors", {"_errors.py"}),
        ("from {h}._errors import RtcError", {"_errors.py"}),
        ("import {h}._x509.asn1", {"_x509/asn1.py"}),
        ("def lazy():\n    from {h}._x509 import asn1, chain", {"_x509/asn1.py", "_x509/chain.py"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {h}._x509 import asn1", {"_x509/asn1.py"}),
    ],
)
def test_every_import_counts(text, files):
    wanted = {f"plugins/module_utils/{name}" for name in files}
    assert shipping.imported(text.format(h=shipping.HELPERS)) == wanted


def test_relative_imports_are_refused():
    with pytest.raises(ValueError, match="relative import"):
        shipping.imported("from . import _errors")


def test_java_key_stores_go_only_to_modules_that_read_them():
    with_readers = {"java_truststore", "jvm_truststore_option", "keystore_pem", "rtc_probe", "topology_info"}
    modules = {path.stem for path in (shipping.ROOT / "plugins" / "modules").glob("*.py")}
    # anchor_name.py and anchors.py read none: they are about the system's authorities
    readers = {
        name: [f for f in shipping.shipped(name) if "/_keystore/" in f and "/anchor" not in f] for name in modules
    }
    assert {name for name, files in readers.items() if files} == with_readers
