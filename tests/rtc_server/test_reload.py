# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reload of the running server: all of the new configuration or nothing, nobody is disconnected, and whoever asked
is told what came of it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rtc_support import SECRET, SOURCE, Client, Closed, Server, config_text, eventually, running, token

from rtc_server.auth import TokenError, Tokens
from rtc_server.config import load, parse
from rtc_server.reload import Reloading, find_fixed, read_outcome
from rtc_server.service import plan_returns

OTHER = b"another secret for tests, long enough for HS256 987654"


class Reloadable(Server):
    """A server with a runtime directory, as its unit gives it one."""

    def __init__(self, directory: Path, **sections: dict[str, Any]) -> None:
        super().__init__(directory, **sections)
        self.runtime = directory / "run"
        self.runtime.mkdir()

    def configure(self, **sections: dict[str, Any]) -> None:
        self.config.write_text(config_text(self.directory, self.port, **sections))

    async def reload(self, pid: int = 0, timeout: float = 20) -> tuple[int, str]:
        """What the unit's ExecReload= does: status and words."""
        assert self.process is not None
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rtc_server", "reload", "--pid", str(pid or self.process.pid)),
            *("--timeout", str(timeout)),
            env={**os.environ, "PYTHONPATH": str(SOURCE), "RUNTIME_DIRECTORY": str(self.runtime)},
            stderr=subprocess.PIPE,
        )
        words = (await process.communicate())[1].decode()
        assert process.returncode is not None
        return process.returncode, words

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.runtime / "reload.json").read_text())
        return found


@pytest.fixture
def reloadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reloadable]:
    server = Reloadable(tmp_path, log={"level": "info"})
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(server.runtime))
    try:
        server.start()
        yield server
    finally:  # also one that was too slow
        if server.process is not None and server.process.poll() is None:
            server.kill()


async def is_let_in(server: Server, bearer: str) -> bool:
    client = await Client.open(server.url)
    try:
        await client.connect(bearer)
    except Closed:
        return False
    finally:
        await client.close()
    return True


async def member(server: Server, **options: Any) -> Client:
    client = await Client.open(server.url)
    await client.connect(token(**options))
    assert (await client.ask("join", {"project": "p"}))["ok"]
    return client


async def test_old_and_new_secret_let_in_for_the_stated_time(reloadable: Reloadable) -> None:
    """Nobody is disconnected by the change of secrets, at its beginning or its end."""
    ann = await member(reloadable)
    new = Tokens([OTHER]).make("bob", {"*": "edit"}, 300)
    assert not await is_let_in(reloadable, new)
    (reloadable.directory / "token.key").write_bytes(OTHER)
    reloadable.configure(log={"level": "info"}, token={"overlap_seconds": 3600})
    assert await reloadable.reload() == (0, "")
    assert await is_let_in(reloadable, new) and await is_let_in(reloadable, token())
    assert "earlier keys of tokens let in until" in reloadable.log.read_text()
    # Nothing but a certificate is renewed: the time of the earlier secret goes on, and is not over either.
    assert await reloadable.reload() == (0, "")
    assert await is_let_in(reloadable, token())
    assert (await ann.ask("change", {"project": "p", "id": "c1", "data": 1}))["ok"]
    for word in (SECRET, OTHER):
        assert word.decode() not in reloadable.log.read_text() + json.dumps(reloadable.told())


async def test_a_secret_without_overlap_is_out_at_once(reloadable: Reloadable) -> None:
    """As for one that has leaked. Who is connected stays until the token ends."""
    ann = await member(reloadable)
    (reloadable.directory / "token.key").write_bytes(OTHER)
    reloadable.configure(token={"overlap_seconds": 0})
    assert await reloadable.reload() == (0, "")
    assert not await is_let_in(reloadable, token())
    assert (await ann.ask("change", {"project": "p", "id": "c1", "data": 1}))["ok"]


async def test_the_overlap_ends(reloadable: Reloadable) -> None:
    (reloadable.directory / "token.key").write_bytes(OTHER)
    reloadable.configure(token={"overlap_seconds": 0.3})
    assert await reloadable.reload() == (0, "")
    bearer = token()
    for _ in range(1000):
        if not await is_let_in(reloadable, bearer):
            break
    else:
        raise AssertionError("the earlier secret lets in for ever")
    assert await is_let_in(reloadable, Tokens([OTHER]).make("bob", {}, 300))


def test_a_token_of_an_earlier_key_is_checked_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also twice in a row, with another algorithm; and its end counts."""
    now = [1000.0]
    monkeypatch.setattr("rtc_server.auth._read_clock", lambda: now[0])
    first, second, third = Tokens([SECRET]), Tokens([OTHER * 2], "HS512"), Tokens([OTHER * 3])
    old = first.make("ann", {}, 300)
    assert second.follow(first, 100)
    assert second.check(old).user == "ann"
    now[0] += 60
    assert third.follow(second, 100)
    assert third.check(old).user == "ann" and third.check(second.make("bob", {}, 300)).user == "bob"
    assert len(third.list_fingerprints()) == 3
    with pytest.raises(TokenError) as gone:
        third.check(first.make("ann", {}, -300))
    assert gone.value.code == "token_expired"
    now[0] += 41
    with pytest.raises(TokenError) as gone:
        third.check(old)
    assert gone.value.code == "token_invalid"
    assert third.check(second.make("bob", {}, 300)).user == "bob"
    assert len(third.list_fingerprints()) == 2
    same = Tokens([OTHER * 3])
    assert not same.follow(third, 100)
    assert same.check(second.make("bob", {}, 300)).user == "bob"


def test_a_key_that_turns_out_to_have_leaked_is_out_with_the_next_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was taken out of use before, with time left (docs/operations.md, "The secret"). A shorter time counts, too."""
    now = [1000.0]
    monkeypatch.setattr("rtc_server.auth._read_clock", lambda: now[0])
    first, second, third, fourth = Tokens([SECRET]), Tokens([OTHER]), Tokens([OTHER]), Tokens([OTHER])
    old = first.make("ann", {}, 300)
    assert second.follow(first, 3600)
    assert not third.follow(second, 60)
    assert third.check(old).user == "ann"
    now[0] += 61
    for tokens in (third, fourth):
        with pytest.raises(TokenError):
            tokens.check(old)
    assert second.check(old).user == "ann"
    assert not fourth.follow(second, 0)
    with pytest.raises(TokenError):
        fourth.check(old)
    assert fourth.list_fingerprints() == fourth.fingerprints


async def test_limits_and_origins_of_who_is_connected(reloadable: Reloadable) -> None:
    ann, bob = await member(reloadable), await member(reloadable, user="bob")
    reloadable.configure(
        server={"origins": ["https://wiki.example.org"]},
        limits={"change_bytes": 100, "presence_bytes": 20, "changes_per_second": 0.01, "changes_burst": 2,
                "connections_per_user": 2, "projects_per_connection": 1, "members_per_project": 2},
    )  # fmt: skip
    assert await reloadable.reload() == (0, "")

    async def change(client: Client, number: int, size: int = 1) -> Any:
        return await client.ask("change", {"project": "p", "id": f"c{number}", "data": "x" * size})

    assert (await change(ann, 0, 101))["code"] == "too_large"
    assert [(await change(ann, number)).get("code") for number in range(1, 4)] == [None, None, "rate"]
    assert (await change(bob, 5))["ok"]
    await ann.emit("change", {"project": "p", "id": "c9", "data": "x" * 101})  # by the fast path's other way
    assert (await ann.ask("presence", {"project": "p", "state": "x" * 21}))["code"] == "too_large"
    assert (await ann.ask("join", {"project": "q"}))["code"] == "too_many"
    again = await Client.open(reloadable.url)
    await again.connect(token())
    assert (await again.ask("join", {"project": "p"}))["code"] == "full"
    assert not await is_let_in(reloadable, token())
    async with aiohttp.ClientSession() as http:
        where = f"{reloadable.url}/socket.io/?EIO=4&transport=polling"
        for origin, status in (("https://wiki.example.org", 200), ("https://other.example.org", 403)):
            async with http.get(where, headers={"Origin": origin}) as answer:
                assert answer.status == status
    reloadable.configure()  # and back: what was spent is given back with the greater limit
    assert await reloadable.reload() == (0, "")
    assert (await change(ann, 0, 101))["ok"]
    for client in (ann, bob, again):
        assert not client.closed.is_set()


async def test_the_disks_reserve_and_the_projects_quota(reloadable: Reloadable) -> None:
    ann = await member(reloadable)
    body = {"project": "p", "data": "x" * 100_000}
    assert (await ann.ask("change", {**body, "id": "c1"}))["ok"]
    reloadable.configure(limits={"reserve_bytes": 1 << 49})  # a tenth of the disk at most: it may be free
    assert await reloadable.reload() == (0, "")
    reloadable.configure(limits={"project_bytes": 100_000, "reserve_bytes": 0})
    assert await reloadable.reload() == (0, "")
    assert (await ann.ask("change", {**body, "id": "c2"}))["code"] == "quota"


BAD = {
    "toml": (lambda text: text + "[", "is not TOML"),
    "value": (lambda text: text.replace('level = "info"', 'level = "loud"'), "log.level: must be one of"),
    "unknown": (lambda text: text.replace("[limits]", "[limits]\nspeed = 1"), "limits.speed: is not an option"),
    "no key": (lambda text: text.replace("token.key", "missing.key"), "token.keys: cannot be read"),
    "port": (lambda text: re.sub(r"port = \d+", "port = 1", text), "server.port: changes with a restart only"),
    "path": (lambda text: text.replace("journal.db", "other.db"), "journal.path: changes with a restart only"),
    "beat": (lambda text: text.replace("[heartbeat]", "[heartbeat]\ninterval = 9"), "heartbeat.interval: changes"),
    "tls": (lambda text: text + '\n[tls]\ncertificate = "/c"\nkey = "/k"\n', "tls.certificate: changes with"),
    "empty": (lambda _text: "", "server.port: is missing"),
}  # fmt: skip


async def test_a_bad_configuration_changes_nothing_and_is_said(reloadable: Reloadable) -> None:
    """Not the part of it that would be good either: here a limit and an origin."""
    ann = await member(reloadable)
    good, before = reloadable.config.read_text(), reloadable.told()
    better = good.replace("[limits]", "[limits]\nchange_bytes = 100").replace(
        "[server]", '[server]\norigins = ["http://x"]'
    )
    where = f"{reloadable.url}/socket.io/?EIO=4&transport=polling"
    for number, (spoil, complaint) in enumerate(BAD.values(), 1):
        reloadable.config.write_text(spoil(better))
        status, words = await reloadable.reload()
        assert status == 1 and complaint in words and "all stays as it was" in words
        assert complaint in reloadable.log.read_text()
        after = reloadable.told()
        assert (after["digest"], after["at"], after["count"]) == (before["digest"], before["at"], number)
        assert complaint in after["refused"]
        assert (await ann.ask("change", {"project": "p", "id": f"c{number}", "data": "x" * 200}))["ok"]
        async with aiohttp.ClientSession() as http, http.get(where, headers={"Origin": "http://x"}) as answer:
            assert answer.status == 403
    (reloadable.directory / "token.key").write_bytes(b"short")
    reloadable.config.write_text(good)
    status, words = await reloadable.reload()
    assert status == 1 and "the secret has 5 bytes" in words
    assert await is_let_in(reloadable, token())
    (reloadable.directory / "token.key").write_bytes(SECRET)
    assert await reloadable.reload() == (0, "")
    assert reloadable.told()["refused"] == ""


async def test_a_reload_that_nobody_answers_is_no_success(reloadable: Reloadable) -> None:
    assert reloadable.process is not None
    status, words = await reloadable.reload(pid=os.getpid())
    assert status == 1 and f"is not of process {os.getpid()}" in words
    reloadable.process.send_signal(19)  # SIGSTOP: it hangs
    status, words = await reloadable.reload(timeout=0.2)
    assert status == 1 and "did not answer within 0.2 s" in words
    reloadable.kill()
    status, words = await reloadable.reload()
    assert status == 1 and "cannot be signalled" in words


async def test_a_store_of_states_that_cannot_be_written_is_said(reloadable: Reloadable) -> None:
    """Also root's: the place is taken by a directory."""
    (reloadable.runtime / "reload.json.new").mkdir()
    status, words = await reloadable.reload(timeout=0.5)
    assert status == 1 and "did not answer" in words
    assert "cannot be told" in reloadable.log.read_text()


async def test_what_the_process_runs_with_is_told_from_its_start(reloadable: Reloadable) -> None:
    """By this the collection knows whether a file is in force."""
    import hashlib

    told = reloadable.told()
    assert told["digest"] == hashlib.sha256(reloadable.config.read_bytes()).hexdigest()
    assert (told["count"], told["handed_over"]) == (0, {})
    reloadable.configure(token={"keys": ["$RUNTIME_DIRECTORY/secret"]})
    (reloadable.runtime / "secret").write_bytes(SECRET)
    assert await reloadable.reload() == (0, "")
    stamp = (reloadable.runtime / "secret").stat().st_mtime_ns
    assert reloadable.told()["handed_over"] == {"secret": stamp}


def test_every_option_is_reloadable_or_named() -> None:
    """One that is neither applied nor refused would be a silent lie; who adds one has to decide."""
    reloaded = {
        *("server.name", "server.origins", "server.trusted_proxies", "server.drain_seconds"),
        *("tls.certificate", "tls.key", "log.level"),
        *("token.keys", "token.algorithm", "token.audience", "token.leeway", "token.overlap_seconds"),
    }
    old = parse('[server]\nport = 1\n[token]\nkeys = ["/k"]\n[journal]\npath = "/j"\n[tls]\ncertificate="/c"\nkey="/k"')
    for section in ("server", "tls", "token", "journal", "limits", "heartbeat", "log"):
        settings = getattr(old, section)
        for option in dataclasses.fields(settings):
            changed = dataclasses.replace(settings, **{option.name: "/another"})
            name = f"{section}.{option.name}"
            found = find_fixed(old, dataclasses.replace(old, **{section: changed}))
            assert found == ([] if name in reloaded or section == "limits" else [name])


def test_a_fault_of_the_server_itself_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or systemd would wait for the end of the reload."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    (tmp_path / "config.toml").write_text(config_text(tmp_path))

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    reloading = Reloading(load(str(tmp_path / "config.toml")), fail, fail)
    reloading.reload()
    outcome = read_outcome(str(tmp_path / "reload.json"))
    assert outcome is not None and "ZeroDivisionError" in outcome.refused and outcome.count == 1


async def test_check_reload_tells_whether_it_is_possible(tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(config_text(tmp_path, 9083))

    def ask(text: str, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "rtc_server", "check-reload", str(old), *arguments],
            input=text, capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)}, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    assert ask(config_text(tmp_path, 9083, limits={"changes_burst": 9}), "-") == (0, "")
    status, words = ask(config_text(tmp_path, 9084), "-")
    assert status == 1 and "server.port: changes with a restart only" in words
    new.write_text("[")
    status, words = ask("", str(new))
    assert status == 1 and "is not TOML" in words


@pytest.mark.parametrize(("number", "spread"), [(0, 10), (1, 10), (200, 10), (5000, 60), (10, 0), (10, 0.5)])
def test_clients_are_told_to_return_one_after_another(number: int, spread: float) -> None:
    found = plan_returns(number, spread)
    assert len(found) == number and all(min(1, spread) <= wait <= spread for wait in found)
    if number >= 200:
        assert found != sorted(found)  # who is connected longest is not served first each time
        slots = [0] * 10
        for wait in found:
            slots[min(9, int((wait - 1) / (spread - 1) * 10))] += 1
        assert max(slots) - min(slots) <= 2


async def test_a_journal_that_hangs_keeps_nobody_from_hearing_of_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rtc_server.service.PATIENCE", 0.05)
    async with running(tmp_path) as site:
        ann = await site.connect()
        hanging = asyncio.Event()
        with monkeypatch.context() as patched:
            patched.setattr(site.service.journal, "wait_idle", hanging.wait)
            await site.service.drain()
        await eventually(lambda: ann.of("closing"), "the client hears of it")
        assert "clients will send them again" in caplog.text


async def test_two_hundred_clients_hear_when_to_come_back(tmp_path: Path) -> None:
    """And what they sent is kept or not acknowledged."""
    server = Server(tmp_path, server={"drain_seconds": 20})
    server.start()
    try:
        clients = [await Client.open(server.url) for _ in range(190)]
        await asyncio.gather(*[client.connect(token(f"u{number}")) for number, client in enumerate(clients)])
        members = [await member(server, user=f"m{number}") for number in range(10)]
        clients += members
        sent = [client.asked("change", {"project": "p", "id": f"c{n}", "data": n}) for n, client in enumerate(members)]
        assert server.process is not None
        stopped = asyncio.create_task(asyncio.to_thread(server.stop))
        answers = await asyncio.gather(*sent, return_exceptions=True)
        assert await stopped == 0
        waits = []
        for client in clients:
            await eventually(client.closed.is_set, "the server has hung up")
            (closing,) = client.of("closing")
            assert closing["reason"] == "restart"
            waits.append(closing["retry_after"])
        assert min(waits) >= 1 and max(waits) <= 20 and len(set(waits)) > 150
        for start in range(1, 20, 2):  # of 200 in 19 seconds, 21 are in each two
            assert 15 <= sum(start <= wait < start + 2 for wait in waits) <= 27 or start == 19
        server.start()
        ann = await member(server, user="bob")
        kept = {c["id"] for c in (await ann.ask("history", {"project": "p", "since": 0}))["changes"]}
        for number, answer in enumerate(answers):
            if isinstance(answer, dict) and answer.get("ok"):
                assert f"c{number}" in kept
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
