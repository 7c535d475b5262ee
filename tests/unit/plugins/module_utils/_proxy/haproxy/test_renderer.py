# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which surroundings matter to what is written for HAProxy."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser, renderer


@pytest.mark.parametrize(
    ("line", "harmless"),
    [
        ("mode tcp", True), ("timeout client 15min", True), ("option forwardfor except 127.0.0.0/8", True),
        ("option redispatch 1", True), ("default-server inter 3s fall 2 rise 4", True), ("errorfile 503 /x", True),
        ("maxconn 3000", True), ("log-format \"%ci x\"", True), ("no option httpclose", False),
        ("default-server inter 3s check", False), ("default-server ssl verify none", False), ("disabled", False),
        ("option http-use-proxy-header", False), ("maxconn 3", False), ("retry-on all-retryable-errors", False),
    ],
)  # fmt: skip
def test_which_defaults_of_haproxy_do_not_matter(tmp_path, line, harmless):
    (tmp_path / "x").write_text(f"defaults\n    {line}\n")
    (section,) = parser.parse([str(tmp_path / "x")]).sections
    assert renderer.is_harmless(section) is harmless
