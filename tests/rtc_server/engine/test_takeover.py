# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard at start: an aiohttp without what the server takes a connection over with is refused."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from rtc_server.engine import takeover


def test_this_aiohttp_can_be_used() -> None:
    assert takeover.check_aiohttp() == ""


def no_method(self: Any) -> None:
    """A method that takes nothing."""


@pytest.mark.parametrize(
    ("name", "value"),
    [("set_parser", None), ("connection_lost", no_method), ("handle_error", 5), ("data_received", no_method)],
)
def test_another_one_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setattr(web.RequestHandler, name, value)
    assert f"RequestHandler lacks {name};" in takeover.check_aiohttp()


def test_options_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.RequestHandler, "__init__", no_method)
    assert "auto_decompress, max_line_size, max_field_size" in takeover.check_aiohttp()


@pytest.mark.parametrize(
    ("version", "refused"), [("3.14.3", True), ("3.9.5", True), ("3.14.4", False), ("3.15.0a1", False)]
)
def test_versions(monkeypatch: pytest.MonkeyPatch, version: str, refused: bool) -> None:
    monkeypatch.setattr(takeover.aiohttp, "__version__", version)
    assert ("3.14.4 or later" in takeover.check_aiohttp()) is refused
