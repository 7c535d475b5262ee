# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract's document itself: whole, and about the server that there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import rtc_contract
from rtc_support import Site

PROTOCOL = rtc_contract.PATH.with_name("protocol.md").read_text(encoding="utf-8")
CONNECT_ERROR = "#/components/schemas/connectError"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere() -> None:
    found = set(references(rtc_contract.document()))
    assert len(found) > 40
    for reference in found:
        assert rtc_contract.follow(reference) is not None


def test_every_schema_is_one() -> None:
    document = rtc_contract.document()
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for message in document["components"]["messages"].values():
        jsonschema.Draft202012Validator.check_schema(message["payload"])
    used = set(references(document))
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in used | {CONNECT_ERROR}, f"{name} is used nowhere"


async def test_its_requests_are_those_that_the_server_takes(site: Site) -> None:
    assert set(rtc_contract.operations("receive")) == set(site.service.namespace("/").deferred)


def test_the_check_can_fail() -> None:
    good = {"ok": False, "code": "rate", "message": "m", "limit": 1.5}
    rtc_contract.check_answer("change", good)
    for bad in (
        {**good, "code": "other"},
        {"ok": True},
        {"ok": True, "revision": "1"},
        None,
        {"ok": True, "revision": 1, "x": 1},
    ):
        with pytest.raises(AssertionError):
            rtc_contract.check_answer("change", bad)
    with pytest.raises(AssertionError):
        rtc_contract.check_event("closing", {"reason": "mood", "retry_after": 0})
    with pytest.raises(AssertionError):
        rtc_contract.check_event("unheard of", {})


def test_the_page_names_what_the_document_has() -> None:
    schema = rtc_contract.follow("#/components/messages/closing")["payload"]["properties"]["reason"]
    for reason in schema["enum"]:
        assert f"| `{reason}` |" in PROTOCOL
    for code in rtc_contract.follow(CONNECT_ERROR)["properties"]["data"]["properties"]["code"]["enum"]:
        assert f"`{code}`" in PROTOCOL
    for request in rtc_contract.operations("receive"):
        assert f"`{request}`" in PROTOCOL


def test_the_source_uses_only_reasons_of_the_contract() -> None:
    import re

    schema = rtc_contract.follow("#/components/messages/closing")["payload"]["properties"]["reason"]
    source = Path(rtc_contract.PATH).parent.parent / "files/rtc_server/src/rtc_server"
    used = set()
    for path in source.glob("*.py"):
        used |= set(re.findall(r'(?:format_closing\(|send_away\([^,()]+(?:\.\w+)*, )"(\w+)"', path.read_text()))
    assert used == set(schema["enum"])
