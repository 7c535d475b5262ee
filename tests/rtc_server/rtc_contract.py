# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract (docs/asyncapi.yaml) as checks: the tests' client runs all its traffic through them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

PATH = Path(__file__).resolve().parent.parent.parent / "docs/asyncapi.yaml"


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    return dict(yaml.safe_load(PATH.read_text(encoding="utf-8")))


def follow(reference: str) -> Any:
    """What a ``$ref`` of the document points to."""
    value: Any = document()
    for part in reference.removeprefix("#/").split("/"):
        value = value[part]
    return follow(value["$ref"]) if isinstance(value, dict) and set(value) == {"$ref"} else value


@cache
def operations(action: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Event name to (message, replies) of the operations that the server receives or sends."""
    found = {}
    for operation in document()["operations"].values():
        if operation["action"] == action:
            (message,) = operation["messages"]
            replies = operation.get("reply", {}).get("messages", [])
            found[follow(message["$ref"])["name"]] = (message["$ref"], tuple(r["$ref"] for r in replies))
    return found


@cache
def _validator(references: tuple[str, ...]) -> Any:
    schemas = [follow(r).get("payload", follow(r)) for r in references]
    schema = {"oneOf": schemas, "components": document()["components"]}
    return jsonschema.Draft202012Validator(schema)


def fits(value: Any, *references: str) -> bool:
    """Whether a value is as exactly one of these messages or schemas says."""
    return bool(_validator(references).is_valid(value))


def check(value: Any, *references: str) -> None:
    """Raise when a value is as none of these messages or schemas says."""
    for error in _validator(references).iter_errors(value):
        raise AssertionError(
            f"not as {references} say: {value!r}: {error.message} {[e.message for e in error.context]}"
        )


def check_event(name: str, body: Any) -> None:
    """An event of the server."""
    sent = operations("send")
    assert name in sent, f"the contract has no event {name!r}"
    check(body, sent[name][0])


def check_answer(name: str, answer: Any) -> None:
    """The acknowledgement of a request."""
    check(answer, *operations("receive")[name][1])
