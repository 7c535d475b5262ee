# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast path takes what the general path would take, and as the same; everything else it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st
from rtc_memory import MemoryClient, MemoryServer

from rtc_server.contract import MAX_DEPTH, MAX_ID, Refusal, read_body, read_id, read_json, read_whole
from rtc_server.engine import ProtocolError, sio_codec
from rtc_server.fast_path import parse_change
from rtc_server.strict_json import JSON as STRICT
from rtc_server.strict_json import is_deeper

LIMIT = 60  # bytes of data
PLAIN = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\')
IDS = st.text(PLAIN, min_size=1, max_size=MAX_ID)
TEXTS = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SINCE = st.integers(-1, 10**17) | JSON
BODIES = st.fixed_dictionaries(
    {"project": TEXTS, "id": IDS | TEXTS, "data": JSON}, optional={"since": SINCE, "more": JSON}
)
NUMBERS = st.sampled_from(["", "0", "7", "007", "999999999999999", "1" * 16, "-1", "x"])


def read_by_general_path(packet: str) -> tuple[int | None, str, str, Any, int | None] | None:
    """Number, project, id, data and since of a change that is right; None of anything else."""
    try:
        decoded = sio_codec.Decoder(sio_codec.Codec(STRICT), 1 << 20).decode_text(packet)
        assert decoded is not None
        body = read_body(decoded.data)
        data = read_json(body, "data", 10 * LIMIT)
        since = read_whole(body, "since")
        return (decoded.id, body["project"], read_id(body), data, since) if decoded.data[0] == "change" else None
    except (ProtocolError, Refusal, LookupError):
        return None


def check(packet: str) -> None:
    found = parse_change(packet, LIMIT)
    if found is not None:
        number, project, id, data, size, since = found
        assert (number, project, id, data, since) == read_by_general_path(packet)
        assert size == len(data.encode()) <= LIMIT and "\n" not in data


@given(BODIES, NUMBERS, st.sampled_from([(",", ":"), (", ", ": "), (",\n", ":")]), st.booleans())
def test_read_by_general_path(body: dict[str, Any], number: str, separators: tuple[str, str], ascii: bool) -> None:
    check(f"42{number}" + json.dumps(["change", body], separators=separators, ensure_ascii=ascii))


@given(st.dictionaries(TEXTS, st.integers(), max_size=2), st.integers(0, 80), st.text(max_size=3), st.integers(0, 3))
def test_damaged(data: dict[str, int], at: int, put: str, cut: int) -> None:
    body = {"project": "p", "id": "i", "data": data, "since": 12}
    packet = "427" + json.dumps(["change", body], separators=(",", ":"))
    check(packet[:at] + put + packet[at + cut :])


@given(
    IDS,
    st.lists(st.integers(0, 9), max_size=5),
    st.sampled_from(["", "0", "12"]),
    st.none() | st.integers(0, 10**15 - 1),
)
def test_what_clients_write_is_taken(id: str, data: list[int], number: str, since: int | None) -> None:
    body = {"project": "Zoë", "id": id, "data": data} | ({} if since is None else {"since": since})
    packet = f"42{number}" + json.dumps(["change", body], separators=(",", ":"), ensure_ascii=False)
    text = json.dumps(data, separators=(",", ":"))
    assert parse_change(packet, LIMIT) == (int(number) if number else None, "Zoë", id, text, len(text), since)


def test_the_longest_data() -> None:
    def packet(data: str) -> str:
        return f'42["change",{{"project":"p","id":"i","data":"{data}"}}]'

    assert parse_change(packet("x" * (LIMIT - 2)), LIMIT) and not parse_change(packet("x" * (LIMIT - 1)), LIMIT)
    assert parse_change(packet("é" * (LIMIT // 2 - 1)), LIMIT) and not parse_change(packet("é" * (LIMIT // 2)), LIMIT)
    deep = "[" * 100_000 + "]" * 100_000
    assert parse_change(f'42["change",{{"project":"p","id":"i","data":{deep}}}]', 1 << 20) is None


def nest(depth: int, around: str = "1") -> str:
    """By turns an array with a value beside, and an object."""
    opening = "".join(["[0," if at % 2 else '{"a":' for at in range(depth)])
    return opening + around + "".join(["]" if at % 2 else "}" for at in reversed(range(depth))])


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        (nest(MAX_DEPTH), True),
        (nest(MAX_DEPTH + 1), False),
        (nest(MAX_DEPTH - 1, "[[],[]]"), False),
        (nest(MAX_DEPTH - 1, "[1,2]"), True),
        ("[" + ",".join([nest(MAX_DEPTH - 1)] * 50) + "]", True),
        ("[" + ",".join(["[[]]"] * 1000) + "," + nest(MAX_DEPTH) + "]", False),
        (nest(MAX_DEPTH, '"' + "[{" * 300 + '"'), True),
        (nest(MAX_DEPTH, '"' + "]}" * 300 + '\\\\\\"]", [] '), False),
        ("[" + " " * 500 + "]", True),
        (nest(600), False),
    ],
)
def test_data_that_others_could_not_parse(data: str, taken: bool) -> None:
    """Brackets in texts are none. Each path to the journal says the same."""
    packet = f'427["change",{{"project":"p","id":"i","data":{data}}}]'
    assert (parse_change(packet, 1 << 20) is not None) == taken
    decoded = sio_codec.Decoder(sio_codec.Codec(STRICT), 1 << 20).decode_text(packet)
    assert decoded is not None
    body = read_body(decoded.data)
    for either in (body, {"data": json.loads(data)}):  # as written, and as in a packet with attachments
        if taken:
            read_json(either, "data", 1 << 20)
            continue
        with pytest.raises(Refusal, match=f"at most {MAX_DEPTH} ") as refused:
            read_json(either, "data", 1 << 20)
        assert refused.value.answer["code"] == "invalid" and refused.value.answer["limit"] == MAX_DEPTH


MARKS = st.text('[]{}"\\\\\n a\u00e9\ud800', max_size=6)
NESTED = st.recursive(MARKS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MARKS, inner, max_size=3))


def measure_depth(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(measure_depth, value.values() if isinstance(value, dict) else value), default=0)


@given(NESTED, st.integers(0, 6), st.booleans())
def test_depth_is_that_of_what_the_text_means(value: Any, most: int, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert is_deeper(text, most) == (measure_depth(value) > most)


CHANGE = '421["change",{"project":"p","id":"i","data":1}]'


@pytest.mark.parametrize(
    "before", ['451-9["presence",{"_placeholder":true,"num":0}]', "41"], ids=["attachment due", "gone"]
)
async def test_not_when_nothing_may_come(tmp_path: Path, before: str) -> None:
    """An attachment has to come first (Socket.IO protocol, "Packet encoding"); the client has left the namespace."""
    server = MemoryServer(tmp_path)
    await server.start()
    client = MemoryClient(server, "ann", "ws4")
    await client.connect()
    await client.request("join", {"project": "p"})
    await client.feed(CHANGE)
    await server.journal.wait_idle()
    await client.feed(before)
    await client.feed(CHANGE.replace('"i"', '"j"'))
    assert client.session.closed == (before != "41")
    await server.journal.wait_idle()
    assert [c.id for c in await server.journal.read_changes("p", 0, 9, 9)] == ["i"]
    await server.stop()


SPACES = st.text(" \t\r\n", max_size=3)
NUMBER_FORMS = st.sampled_from(["1E5", "1e+5", "1.0", "1.50", "-0", "-0.0", "100000000000000000000000001", "0.1e-7"])
STRING_FORMS = st.sampled_from(
    ['"\\u00e9"', '"\\/"', '"\\ud83d\\ude00"', '"\\ud800"', '"é"', '"\U0001f600"', '"a\\u0022b"']
)


@st.composite
def written(draw: st.DrawFn, depth: int = 2) -> str:
    """JSON text as nobody writes it."""
    kind = draw(st.integers(0, 4 if depth else 2))
    if kind == 0:
        return draw(NUMBER_FORMS)
    if kind == 1:
        return draw(STRING_FORMS)
    if kind == 2:
        return draw(st.sampled_from(["true", "null", "{}", "[]", "[ ]"]))
    inner = [draw(SPACES) + draw(written(depth - 1)) + draw(SPACES) for _ in range(draw(st.integers(1, 3)))]
    if kind == 3:
        return "[" + ",".join(inner) + "]"
    return "{" + ",".join(draw(SPACES) + draw(STRING_FORMS) + draw(SPACES) + ":" + value for value in inner) + "}"


@given(written(), st.lists(SPACES, min_size=12, max_size=12), st.permutations(["project", "id", "data"]), st.booleans())
def test_bytes_are_kept(data: str, spaces: list[str], order: list[str], escaped: bool) -> None:
    """Whatever the form of the packet; the fast path takes one form of it, and gives the same."""
    values = {"project": '"p"', "id": '"i"', "data": data}
    name = '"d\\u0061ta"' if escaped else '"data"'
    keys = {"project": '"project"', "id": '"id"', "data": name}
    space = iter(spaces)
    members = [next(space) + keys[k] + next(space) + ":" + next(space) + values[k] for k in order]
    packet = "425[" + next(space) + '"change",' + next(space) + "{" + ",".join(members) + next(space) + "}]"
    kept = data.replace("\n", " ")
    assert read_by_general_path(packet) == (5, "p", "i", kept, None)
    plain = f'425["change",{{"project":"p","id":"i","data":{data}}}]'
    assert read_by_general_path(plain) == (5, "p", "i", kept, None)
    fast = parse_change(plain, 1000)
    assert fast == (None if "\n" in data else (5, "p", "i", data, len(data.encode()), None))


def test_of_several_data_the_last_counts() -> None:
    packet = '42["change",{"data":1.0,"project":"p","id":"i","data":2.00,"x":{"data":3}}]'
    assert read_by_general_path(packet) == (None, "p", "i", "2.00", None)
