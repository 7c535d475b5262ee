# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens: what is let in, what is not, and what its bearer may do."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from rtc_support import SECRET, Client, Closed, Site, eventually, running, token

from rtc_server.auth import TokenError, Tokens

OLD = b"an older secret which is still let in, 0123456789abcdef"


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"sub": "ann", "projects": {"p": "edit"}, "aud": "rtc-server", "exp": now + 60}
    return {k: v for k, v in {**good, **more}.items() if v is not ...}


def signed(key: bytes = SECRET, algorithm: str = "HS256", **more: Any) -> str:
    return jwt.encode(claims(**more), key, algorithm=algorithm)


def unsigned() -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in ({"alg": "none"}, claims())
    ]
    return ".".join(parts) + "."


def forged(payload: str) -> str:
    """A token with the right signature over any text."""
    return jwt.api_jws.encode(payload.encode("latin-1"), SECRET, algorithm="HS256")


def now() -> int:
    return int(time.time())


# made when they are needed: a token's time goes on while other tests run
REFUSED = [
    ("token_missing", None),
    ("token_missing", ""),
    ("token_missing", 5),
    ("token_missing", ["x"]),
    ("token_invalid", "x"),
    ("token_invalid", "a.b.c"),
    ("token_invalid", "é" * 100),
    ("token_invalid", "x" * 9000),
    ("token_invalid", unsigned()),
    ("token_invalid", lambda: signed(b"a secret nobody knows of 0123456789abcdef")),
    ("token_invalid", lambda: signed(algorithm="HS512", key=SECRET + b"0" * 32)),
    (
        "token_invalid",
        lambda: signed(b"a secret nobody knows of 0123456789abcdef", exp=now() - 100),
    ),  # no news about a forgery
    ("token_expired", lambda: signed(exp=now() - 100)),
    ("token_invalid", lambda: signed(nbf=now() + 100)),
    ("token_invalid", lambda: signed(aud="another service")),
    ("token_invalid", lambda: signed(aud=...)),
    ("token_invalid", lambda: signed(exp=...)),
    ("token_invalid", lambda: signed(sub=...)),
    ("token_invalid", lambda: signed(sub="")),
    ("token_invalid", lambda: signed(sub="a\nb")),
    ("token_invalid", lambda: signed(sub="x" * 201)),
    ("token_invalid", lambda: signed(name=5)),
    ("token_invalid", lambda: signed(projects=["p"])),
    ("token_invalid", lambda: signed(projects={"p": "own"})),
    ("token_invalid", lambda: signed(projects={"p": ["edit"]})),
    ("token_invalid", lambda: signed(exp="soon")),
    ("token_invalid", lambda: signed(exp=float("inf"))),
    *[
        ("token_invalid", lambda name=name, value=value: signed(**{name: value}))
        for name in ("exp", "nbf", "iat")
        for value in (
            10**400, 10**30, -1, -0.5, -(10**400), float("nan"), float("inf"), float("-inf"), True, False, "", "9" * 300,
            "1e400", str(2**40), None, [], [2**40], {}, {"exp": 1},
        )
    ],
    ("token_invalid", lambda: signed(iat=now() + 100)),
    ("token_expired", lambda: signed(exp=0)),
    ("token_expired", lambda: signed(exp=1.5)),
    *[
        ("token_invalid", lambda name=name, value=value: signed(**{name: value}))
        for name in ("sub", "aud", "projects")
        for value in (None, True, 5, 10**400, 1.5, float("nan"), [], [[]], {"a": {"b": 1}}, "x" * 300, ["x", 5])
        # no project and no audience but one of several are what they are
        if (name, value) not in (("projects", []),)
    ],
    ("token_invalid", lambda: signed(projects={"p": None})),
    ("token_invalid", lambda: signed(projects={"p": True})),
    ("token_invalid", lambda: signed(name=["x"])),
    ("token_invalid", lambda: signed(name={"x": 1})),
    ("token_invalid", lambda: signed(projects={f"p{i}": "edit" for i in range(40_000)})),  # 1 MB
    ("token_invalid", lambda: forged('{"exp":1e400,"sub":"ann","aud":"rtc-server"}')),
    ("token_invalid", lambda: forged('{"exp":' + "9" * 5000 + ',"sub":"ann","aud":"rtc-server"}')),
    ("token_invalid", lambda: forged("[" * 3000)),
    ("token_invalid", lambda: forged("[1]")),
    ("token_invalid", lambda: forged("5")),
    ("token_invalid", lambda: forged("\xff")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "bearer"), REFUSED)
def test_refused(code: str, bearer: Any) -> None:
    with pytest.raises(TokenError) as caught:
        Tokens([SECRET, OLD], leeway=10).check(bearer() if callable(bearer) else bearer)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        ({"exp": ...}, "it has no exp"),
        ({"aud": ["other"]}, "aud does not name this server"),
        ({"exp": "soon"}, "exp, nbf or iat is no time"),
        ({"nbf": 9e9}, "compare the clocks"),
        ({"sub": "a\x00b"}, "sub must be"),
        ({"name": "Ann\u00a0B"}, "name must be"),
        ({"projects": {"p": "own"}}, "projects must be an object of edit and view"),
    ],
)
def test_what_is_wrong_is_told_to_who_has_a_signature(claim: dict[str, Any], why: str) -> None:
    """And to nobody else."""
    with pytest.raises(TokenError, match=why) as caught:
        Tokens([OLD, SECRET]).check(signed(**claim))
    assert caught.value.code == "token_invalid" and why in caught.value.why
    with pytest.raises(TokenError) as caught:
        Tokens([SECRET, OLD]).check(signed(b"a secret nobody knows of 0123456789abcdef", **claim))
    assert (str(caught.value), caught.value.why) == ("the token is not valid", "")


@pytest.mark.parametrize(
    "bearer",
    [
        signed,
        lambda: signed(OLD),
        lambda: signed(exp=now() - 3),
        lambda: signed(nbf=now() + 3),
        lambda: signed(aud=["x", "rtc-server"]),
        lambda: signed(name="Ann é"),
    ],
    ids=["plain", "older key", "expired within leeway", "not yet, within leeway", "one of several audiences", "name"],
)
def test_let_in(bearer: Any) -> None:
    identity = Tokens([SECRET, OLD], leeway=10).check(bearer() if callable(bearer) else bearer)
    assert identity.user == "ann" and identity.name in ("ann", "Ann é")
    assert identity.right("p") == "edit" and identity.right("q") is None and identity.right("*") is None


def test_a_right_to_one_project_beats_the_right_to_all() -> None:
    identity = Tokens([SECRET]).check(signed(projects={"*": "edit", "p": "view"}))
    assert identity.right("p") == "view" and identity.right("q") == "edit"
    assert Tokens([SECRET]).check(signed(projects=...)).right("p") is None


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_public_keys(algorithm: str) -> None:
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    make = {
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }[algorithm]
    keys = [make(), make()]
    public = [
        k.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        for k in keys
    ]
    tokens = Tokens(public, algorithm)
    for key in keys:
        assert tokens.check(jwt.encode(claims(), key, algorithm=algorithm)).user == "ann"
    with pytest.raises(TokenError):  # the public key is not a secret: it must not sign as one
        tokens.check(jwt.encode(claims(), "not the key, but long enough 0123456789", algorithm="HS256"))
    with pytest.raises(TokenError):
        tokens.check(jwt.encode(claims(), make(), algorithm=algorithm))
    with pytest.raises(Exception):  # noqa: B017 - many kinds, by algorithm: it cannot sign
        tokens.make("ann", {}, 10)


async def test_the_session_ends_with_its_token(tmp_path: Path) -> None:
    async with running(tmp_path, token={"leeway": 0}) as site:
        brief, long = await site.connect(token("ann", ttl=2)), await site.connect(token("bob"))
        for client in (brief, long):
            assert (await client.ask("join", {"project": "p"}))["ok"]
        await brief.closed.wait()
        assert brief.of("closing") == [{"reason": "token_expired", "retry_after": 0.0}]
        assert "41" in brief.other  # DISCONNECT: clients do not come back with the same token
        await long.until(lambda: any(b["left"] for b in long.of("members")))
        assert (await long.ask("change", {"project": "p", "id": "c", "data": 1}))["ok"]


@pytest.mark.parametrize("revision", [3, 4])
async def test_connect_errors(site: Site, revision: int) -> None:
    for bearer, code in ((signed(exp=now() - 100), "token_expired"), ("x", "token_invalid"), ("", "token_missing")):
        query = f"&token={bearer}" if revision == 3 else ""
        client = await Client.open(site.url, revision=revision, query=query)
        with pytest.raises(Closed, match=code):
            await client.connect(bearer)
        assert not client.of("members")


@pytest.mark.parametrize("packet", ['420["join",{"project":"p"}]', '451-["x",' + "[" * 9000, "430[]", "41", "4x"])
async def test_a_client_that_begins_with_anything_but_connect_is_hung_up_on(site: Site, packet: str) -> None:
    client = await Client.open(site.url)
    await client.send(packet)
    await eventually(client.closed.is_set)
    assert site.service.sessions == {}


@pytest.mark.parametrize(("ttl", "valid"), [(300, True), (301, False), (86400, False)])
def test_a_token_that_is_made_to_live_long_is_not_valid_in_a_query(ttl: int, valid: bool) -> None:
    tokens = Tokens([SECRET])
    made = tokens.make("ann", {"p": "edit"}, ttl)
    assert tokens.check(made).user == "ann"
    if valid:
        assert tokens.check(made, in_query=True).user == "ann"
        return
    with pytest.raises(TokenError, match="not valid in a query") as caught:
        tokens.check(made, in_query=True)
    assert caught.value.code == "token_invalid"


@pytest.mark.parametrize("revision", [3, 4])
async def test_only_clients_of_the_older_dialect_have_their_token_in_the_query(site: Site, revision: int) -> None:
    long = token("ann", ttl=3600)
    client = await Client.open(site.url, revision=revision, query=f"&token={long}" if revision == 3 else "")
    if revision == 4:
        await client.connect(long)
        assert (await client.ask("join", {"project": "p"}))["ok"]
        return
    with pytest.raises(Closed, match="token_invalid"):
        await client.connect(long)
