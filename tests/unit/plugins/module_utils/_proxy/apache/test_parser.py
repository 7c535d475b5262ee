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


def _read_names(tmp_path, text):
    (tmp_path / "httpd.conf").write_text(text)
    config = parser.parse(str(tmp_path / "httpd.conf"), parser.ParserOptions(str(tmp_path), every_module=True))
    hosts = [item for item in config.directives if item.name == "virtualhost"]
    return ["".join(item.first("servername").args) + " " + item.args[0] for item in hosts], config.notes


def test_macros(tmp_path):
    lines = [
        "<Macro Site $name @names %port>", "<VirtualHost *:%port>", "ServerName @names", "ServerAlias x.$name", "</VirtualHost>", "</Macro>",
        "<IfDefine X>", "<Macro Site $name>", "</Macro>", "</IfDefine>", "<Macro Both $name>", "Use Site $name wiki.$name 9083",
        "use SITE $name jira.$name 9093", "</Macro>", "Use Both example.com", "Use Unknown x", "Use Site x", "UndefMacro Site",
        "Use Site a b 1",
    ]  # fmt: skip
    found, notes = _read_names(tmp_path, "\n".join(lines))
    assert found == ["wiki.example.com *:9083", "jira.example.com *:9093"]
    assert [note.partition("macro of ")[2].split(" could")[0] for note in notes] == [
        "Use Unknown x", "Use Site x", "Use Site a b 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "<Location />\n" * 5000,
        "<If true>\n" * 5000,
        "Include httpd.conf\n" * 3,
        "Include .\n" * 3,
        "<Macro A>\nUse A\nUse A\n</Macro>\nUse A\n",
        "\n".join(f"<Macro M{number}>\nUse M{number - 1}\nUse M{number - 1}\n</Macro>" for number in range(40))
        + "\nUse M39\n",
        "<Macro A",
    ],
)
def test_what_has_no_end_is_said(tmp_path, text):
    found, notes = _read_names(tmp_path, text)
    assert found == []
    assert notes
    assert len(notes) < 100000


def test_a_directory_is_read_with_all_below_it(tmp_path):
    (tmp_path / "sites" / "more").mkdir(parents=True)
    (tmp_path / "sites" / "more" / ".x").write_text("<VirtualHost *:2>\nServerName b\n</VirtualHost>\n")
    (tmp_path / "sites" / "a.conf").write_text("<VirtualHost *:1>\nServerName a\n</VirtualHost>\n")
    (tmp_path / "sites" / "more" / "above").symlink_to(tmp_path / "sites" / "more")
    for text in ("Include sites\n", "IncludeOptional sites/*\n"):
        found, notes = _read_names(tmp_path, text)
        assert sorted(set(found)) == ["a *:1", "b *:2"]
        assert notes


def test_conditions_of_directives(tmp_path):
    body = "<VirtualHost *:1>\nServerName a\n</VirtualHost>\n"
    text = f"<IfDirective ProxyPass>\n{body}</IfDirective>\n<IfSection !Location>\n{body}</IfSection>\n"
    assert _read_names(tmp_path, text) == (["a *:1"], [])
