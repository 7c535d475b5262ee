# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers of a store tell each other of members and connections, over notices that get lost."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from rtc_server.store_postgres.company import ASK_AGAIN, LEASE, MOST_WAITING, Company


class Room:
    """The projects of one server: its members, and those that it believes to be elsewhere."""

    def __init__(self) -> None:
        self.members: dict[str, dict[str, str]] = {}
        self.guests: dict[str, dict[str, str]] = {}

    def list_loaded(self) -> list[str]:
        return list(self.members)

    def list_own_members(self, project: str) -> list[tuple[str, str]]:
        return list(self.members.get(project, {}).items())

    def set_guests(self, project: str, joined: Iterable[tuple[str, str]], left: Iterable[str]) -> None:
        guests = self.guests.setdefault(project, {})
        guests.update(joined)
        for id in left:
            guests.pop(id, None)
        if not guests:
            del self.guests[project]

    def pass_presence(self, project: str, body: str) -> None:
        pass


class Channel:
    """PostgreSQL's: every notice reaches every server in order, equal ones of one transaction once."""

    def __init__(self, count: int) -> None:
        self.now = 1000.0
        self.rooms = [Room() for _ in range(count)]
        self.companies = [Company(room, lambda: self.now) for room in self.rooms]  # type: ignore[arg-type]
        self.alive = list(self.companies)
        self.beat()

    def _pass_on(self, sender: Company, payloads: Iterable[str], lost: Callable[[str, Company], bool]) -> None:
        for payload in dict.fromkeys(payloads):
            assert len(payload.encode()) < 8000
            kind, _, text = payload.partition(" ")
            for company in self.alive:
                if not lost(payload, company):
                    company.hear(kind, text)

    def talk(self, lost: Callable[[str, Company], bool] = lambda _payload, _company: False) -> None:
        """Until nobody has anything to say."""
        while any(company.is_waiting for company in self.alive):
            for company in self.alive:
                self._pass_on(company, company.take_outgoing(), lost)

    def beat(self, times: int = 1) -> None:
        for _ in range(times):
            for company in self.alive:
                self._pass_on(company, company.take_heartbeat(), lambda _payload, _company: False)
            self.talk()
            self.now += 1.0
            for company in self.alive:
                company.expire()

    def enter(self, at: int, project: str, id: str) -> None:
        self.rooms[at].members.setdefault(project, {})[id] = f"text of {id}"
        self.companies[at].announce(project, [(id, f"text of {id}")], ())

    def leave(self, at: int, project: str, id: str) -> None:
        del self.rooms[at].members[project][id]
        self.companies[at].announce(project, (), [id])

    def check(self, connections: list[dict[str, int]]) -> None:
        """Everybody who is alive knows what the others have, and nothing else."""
        living = [self.companies.index(company) for company in self.alive]
        for at in living:
            others = [other for other in living if other != at]
            expected: dict[str, dict[str, str]] = {}
            for other in others:
                for project, members in self.rooms[other].members.items():
                    if members:
                        expected.setdefault(project, {}).update(members)
            assert self.rooms[at].guests == expected
            for user in {user for found in connections for user in found}:
                wanted = sum(connections[other].get(user, 0) for other in others)
                total = sum(sum(connections[other].values()) for other in others)
                assert self.companies[at].count_elsewhere(user) == (wanted, total)


def test_members_and_connections_are_known_everywhere() -> None:
    channel = Channel(3)
    channel.companies[0].note_connections("ann", 2)
    channel.companies[1].note_connections("ann", 1)
    channel.companies[1].note_connections("bob", 3)
    channel.enter(0, "p", "x")
    channel.talk()
    connections = [{"ann": 2}, {"ann": 1, "bob": 3}, {}]
    channel.check(connections)
    channel.companies[1].note_connections("bob", 0)
    channel.talk()
    channel.check([{"ann": 2}, {"ann": 1}, {}])
    channel.alive.remove(channel.companies[0])  # it dies, and nobody is told
    channel.beat(int(LEASE))
    assert channel.companies[1].count_elsewhere("ann") == (2, 2)
    channel.beat(2)
    channel.check([{}, {"ann": 1}, {}])


def test_a_server_that_comes_later_learns_all(monkeypatch: pytest.MonkeyPatch) -> None:
    channel = Channel(2)
    late = channel.alive.pop()
    channel.beat(int(LEASE) + 2)
    names = {f"user {number} é\ud800": number % 3 + 1 for number in range(2000)}
    for name, number in names.items():
        channel.companies[0].note_connections(name, number)
    for number in range(MOST_WAITING + 500):  # more than wait for anything else
        channel.enter(0, f"p{number % 7}", f"member{number}")
    channel.alive.append(late)
    channel.beat(2)
    channel.check([names, {}])


def test_whoever_could_not_be_heard_is_not_gone() -> None:
    """The store was away for longer than a lease: who connects first must not send away the members of the others."""
    channel = Channel(2)
    channel.enter(1, "p", "bob")
    channel.talk()
    channel.now += 10 * LEASE
    for company in channel.companies:
        company.begin_hearing()
    channel.alive = channel.companies[:1]
    channel.beat(5)
    assert channel.rooms[0].guests == {"p": {"bob": "text of bob"}}
    channel.beat(int(LEASE))
    assert channel.rooms[0].guests == {}


@pytest.mark.parametrize("seed", range(20))
def test_what_got_lost_is_told_again(seed: int) -> None:
    chance = random.Random(seed)
    channel = Channel(3)
    connections: list[dict[str, int]] = [{}, {}, {}]
    for step in range(200):
        at = chance.randrange(3)
        user, id, project = f"u{chance.randrange(9)}", f"m{at}-{chance.randrange(9)}", chance.choice("pqr")
        connections[at][user] = chance.randrange(4)
        channel.companies[at].note_connections(user, connections[at][user])
        if id in channel.rooms[at].members.get(project, {}):
            channel.leave(at, project, id)
        else:
            channel.enter(at, project, id)
        if step % 5 == 0:
            deaf = chance.choice(channel.companies)
            channel.talk(lambda _payload, company, deaf=deaf: company is deaf)  # type: ignore[misc]
        if step % 40 == 0:
            channel.beat(int(ASK_AGAIN) + 1)
            channel.check(connections)
    channel.beat(int(ASK_AGAIN) + 2)
    channel.check(connections)


def test_equal_notices_of_one_transaction_come_once() -> None:
    channel = Channel(2)
    channel.enter(0, "p", "x")
    channel.leave(0, "p", "x")
    channel.enter(0, "p", "x")
    channel.talk()
    channel.check([{}, {}])


def test_a_release_without_numbers_is_understood() -> None:
    """As one before this: members only, told when another server is new to it."""
    channel = Channel(1)
    (company,), (room,) = channel.companies, channel.rooms
    for payload in ("h older", 'm {"node":"older","project":"p","id":"x","text":"t"}'):
        company.hear(*payload.split(" ", 1))
    assert room.guests == {"p": {"x": "t"}}
    assert not any(payload.startswith("a ") for payload in company.take_outgoing())
    company.hear("m", '{"node":"older","project":"p","id":"x"}')
    assert room.guests == {}


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{}", '{"node":1}', '{"node":"x"}', '{"node":"x","n":0,"users":{"a":"b"}}', "\ud800"]
)
@pytest.mark.parametrize("kind", ["c", "m", "a", "q", "p"])
def test_what_cannot_be_read_spoils_nothing(kind: str, text: str) -> None:
    channel = Channel(2)
    channel.enter(1, "p", "x")
    channel.companies[0].hear(kind, text)
    channel.beat(2)
    assert channel.rooms[0].guests == {"p": {"x": "text of x"}}


def test_servers_with_other_keys_are_told(caplog: pytest.LogCaptureFixture) -> None:
    def say(*keys: list[str]) -> list[str]:
        caplog.clear()
        channel = Channel(0)
        channel.companies = channel.alive = [Company(Room(), lambda: 1.0) for _ in keys]  # type: ignore[arg-type]
        for company, own in zip(channel.companies, keys, strict=True):
            company.keys = own
        channel.beat(2)
        return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]

    told = say(["a"], ["b"])
    assert len(told) >= 2 and all("token.keys" in line for line in told)
    assert say(["a", "b"], ["b", "c"]) == []  # while keys are changed


def test_numbers_of_connections_have_no_names() -> None:
    channel = Channel(2)
    channel.companies[0].note_connections("a secret name", 1)
    (payload,) = channel.companies[0].take_outgoing()
    body: dict[str, Any] = json.loads(payload[2:])
    assert "secret" not in payload and list(body["users"].values()) == [1]
