# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is advised is read back as enough: the advice and the reading know the same limits."""

from __future__ import annotations

import re

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import capacity
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import parser as apache
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser as haproxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser as nginx
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.proxy_capacity import advise


def read(kind, path, text):
    path.write_text(text)
    if kind == "nginx":
        return capacity.read_nginx(nginx.parse(str(path)), 4, 1024, 2)
    if kind == "haproxy":
        return capacity.read_haproxy(haproxy.parse([str(path)]), 1024)
    return capacity.read_apache(apache.parse(str(path), apache.ParserOptions(str(path.parent))), 1024)


@pytest.mark.parametrize("needed", [1, 151, 400, 1000, 9999])
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("nginx", "worker_processes auto;\nevents { worker_connections 768; }\n"),
        ("nginx", "events { }\n"),
        ("haproxy", "global\n    maxconn 100\n"),
        ("haproxy", "global\n"),
        ("apache", "LoadModule mpm_event_module x.so\nMaxRequestWorkers 150\n"),
        ("apache", "LoadModule mpm_worker_module x.so\nThreadLimit 10\n"),
        ("apache", "LoadModule mpm_prefork_module x.so\n"),
    ],
)
def test_advice_is_enough(tmp_path, kind, text, needed):
    found = read(kind, tmp_path / "x", text)
    words = re.findall(r"'([^']*)'", advise(kind, found, needed))
    if kind == "nginx":
        head = re.sub(r"events.*", "", text)
        changed = f"{words[0]}\n{head}events {{ {words[1]} }}\n"
    else:
        changed = text + "\n".join(words) + "\n"
    assert read(kind, tmp_path / "y", changed).connections >= needed
    assert found.file


def test_an_mpm_that_is_not_known(tmp_path):
    assert read("apache", tmp_path / "x", "LoadModule mpm_itk_module x.so\n") is None
