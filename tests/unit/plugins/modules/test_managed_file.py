# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are written, recorded and shown."""

from __future__ import annotations

import stat

from ansible_collections.collab.rtc.plugins.module_utils import _undo
from ansible_collections.collab.rtc.tests.unit.servers import Authority


def test_certificate_and_key(run_module, tmp_path):
    authority = Authority("an authority")
    certificate, key = tmp_path / "tls" / "site.pem", tmp_path / "tls" / "site.key"
    files = [
        {"path": str(certificate), "content": authority.pem},
        {"path": str(key), "content": "secret\n", "mode": "0600"},
    ]
    options = {"files": files, "undo_dir": str(tmp_path / "undo")}

    foreseen = run_module("managed_file", options, check=True, diff=True)
    assert (foreseen["changed"], certificate.exists()) == (True, False)

    made = run_module("managed_file", options, diff=True)
    assert (made["changed"], made["paths"]) == (True, [str(certificate), str(key)])
    assert made["diff"] == foreseen["diff"]
    assert "an authority" in made["diff"][0]["after"]
    assert "sha256: " in made["diff"][0]["after"]
    assert "secret" not in made["diff"][1]["after"]
    assert (certificate.read_text(), key.read_text()) == (authority.pem, "secret\n")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [entry["kind"] for entry in _undo.entries(options["undo_dir"])] == ["missing", "missing"]

    assert run_module("managed_file", options)["changed"] is False


def test_a_wrong_mode_is_a_difference(run_module, tmp_path):
    path = tmp_path / "x"
    path.write_text("text")
    path.chmod(0o644)
    result = run_module("managed_file", {"files": [{"path": str(path), "content": "text", "mode": "0600"}]})
    assert (result["changed"], stat.S_IMODE(path.stat().st_mode)) == (True, 0o600)
