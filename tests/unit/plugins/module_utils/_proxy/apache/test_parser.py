# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apache's lines and conditions."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import parser


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (">= 2.4", True),
        ("< 2.4.7", False),
        ("2.4.62", True),
        ("!2.4.62", False),
        ("> 2.4.62", False),
        ("<= 2.4.62", True),
        ("~ ^2\\.4", True),
        ("~ ^2\\.2", False),
        ("= /^2\\.2/", False),
        ("!~ ^2\\.2", True),
    ],
)
def test_versions(tmp_path, condition, holds):
    path = tmp_path / "x.conf"
    path.write_text(f"<IfVersion {condition}>\nListen 80\n</IfVersion>\n")
    tree = parser.parse(str(path), parser.ParserOptions(version="2.4.62"))
    assert bool(tree.directives) is holds


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ProxyPass\t/ http://127.0.0.1:9083/", ["proxypass", "/", "http://127.0.0.1:9083/"]),
        ("\tProxyPass \t/\thttp://127.0.0.1:9083/ nocanon", ["proxypass", "/", "http://127.0.0.1:9083/", "nocanon"]),
        ("Listen\v9083", ["listen", "9083"]),
        ("LISTEN\t\\\n9083 http", ["listen", "9083", "http"]),
        ('"Listen"\t9083', ["listen", "9083"]),
        ("Listen", ["listen"]),
    ],
)
def test_any_blank_ends_the_name(tmp_path, line, words):
    path = tmp_path / "x.conf"
    path.write_text(line + "\n")
    (found,) = parser.parse(str(path), parser.ParserOptions()).directives
    assert [found.name, *found.args] == words
