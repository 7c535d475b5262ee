# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joining, changing, catching up: the contract between one server and a few clients."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rtc_support import Client, Closed, Site, config_text, running, token

from rtc_server import cli

BOTH = [("websocket", 4), ("polling", 4), ("websocket", 3), ("polling", 3)]


async def arrive(site: Site, user: str, transport: str = "websocket", revision: int = 4, **body: object) -> Client:
    """A client of that user that has joined project ``p``; the answer is in ``client.joined``."""
    bearer = token(user)
    query = f"&token={bearer}" if revision == 3 else ""
    client = await site.connect(bearer, transport=transport, revision=revision, query=query)
    client.joined = await client.ask("join", {"project": "p", **body})  # type: ignore[attr-defined]
    return client


def revisions(client: Client) -> list[int]:
    return [body["revision"] for body in client.of("change")]


@pytest.mark.parametrize(("transport", "revision"), BOTH)
async def test_a_change_reaches_every_member_the_sender_included(site: Site, transport: str, revision: int) -> None:
    ann, bob = await arrive(site, "ann", transport, revision), await arrive(site, "bob")
    assert ann.joined["revision"] == 0 and ann.joined["changes"] == [] and ann.joined["right"] == "edit"
    answer = await ann.ask("change", {"project": "p", "id": "c1", "data": {"x": [1, None, "é😀"]}})
    assert answer == {"ok": True, "revision": 1}
    for client in (ann, bob):
        await client.until(lambda c=client: c.of("change"))
        (change,) = client.of("change")
        assert isinstance(change.pop("time"), int)
        assert change == {"project": "p", "revision": 1, "id": "c1", "user": "ann", "data": {"x": [1, None, "é😀"]}}
    await ann.close()
    await bob.close()


async def test_the_senders_own_copy_comes_before_its_acknowledgement(site: Site) -> None:
    ann = await arrive(site, "ann")
    answers = [ann.asked("change", {"project": "p", "id": f"c{i}", "data": i}) for i in range(50)]
    for i, answer in enumerate(answers, 1):
        assert (await answer)["revision"] == i
        assert revisions(ann)[:i] == list(range(1, i + 1))


async def test_the_same_id_is_the_same_change(site: Site) -> None:
    ann = await arrive(site, "ann")
    body = {"project": "p", "id": "c1", "data": {"a": 1, "b": 2}}
    assert await ann.ask("change", body) == {"ok": True, "revision": 1}
    again = {"project": "p", "id": "c1", "data": {"b": 2, "a": 1}}
    assert await ann.ask("change", again) == {"ok": True, "revision": 1, "duplicate": True}
    other = await ann.ask("change", {**body, "data": "another"})
    assert other["code"] == "id_reused"
    bob = await arrive(site, "bob")  # ids belong to users: no one can take another's
    assert await bob.ask("change", {"project": "p", "id": "c1", "data": 3}) == {"ok": True, "revision": 2}
    assert revisions(ann) == [1, 2]


@pytest.mark.parametrize(("transport", "revision"), BOTH)
async def test_who_comes_back_gets_what_was_missed(site: Site, transport: str, revision: int) -> None:
    ann = await arrive(site, "ann")
    for i in range(20):
        await ann.ask("change", {"project": "p", "id": f"c{i}", "data": i})
    bob = await arrive(site, "bob", transport, revision, since=15, epoch=ann.joined["epoch"])
    assert [c["revision"] for c in bob.joined["changes"]] == [16, 17, 18, 19, 20]
    assert [c["data"] for c in bob.joined["changes"]] == [15, 16, 17, 18, 19]
    assert bob.joined["revision"] == 20 and bob.joined["more"] is False and bob.joined["reset"] is False
    await ann.ask("change", {"project": "p", "id": "next", "data": "n"})
    await bob.until(lambda: bob.of("change"))
    assert revisions(bob) == [21]


async def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        ann = await arrive(site, "ann")
        for i in range(5):
            await ann.ask("change", {"project": "p", "id": f"c{i}", "data": i})
        epoch = ann.joined["epoch"]
        await ann.close()
    async with running(tmp_path) as site:
        ann = await arrive(site, "ann", since=3, epoch=epoch)
        assert [c["revision"] for c in ann.joined["changes"]] == [4, 5]
        assert ann.joined["epoch"] == epoch
        assert (await ann.ask("change", {"project": "p", "id": "c2", "data": 2}))["duplicate"] is True


async def test_after_restoring_an_older_copy_clients_start_over(tmp_path: Path) -> None:
    journal, copy = tmp_path / "journal.db", tmp_path / "copy"
    async with running(tmp_path) as site:
        ann = await arrive(site, "ann")
        await ann.ask("change", {"project": "p", "id": "c1", "data": 1})
    assert not (tmp_path / "journal.db-wal").exists()  # after a stop the file is whole by itself
    copy.write_bytes(journal.read_bytes())
    async with running(tmp_path) as site:
        ann = await arrive(site, "ann")
        await ann.ask("change", {"project": "p", "id": "c2", "data": "lost by the restore"})
        epoch = ann.joined["epoch"]
    journal.write_bytes(copy.read_bytes())
    (tmp_path / "config.toml").write_text(config_text(tmp_path))
    assert cli.main(["new-epoch", "--config", str(tmp_path / "config.toml")]) == 0
    async with running(tmp_path) as site:
        bob = await arrive(site, "bob")
        await bob.ask("change", {"project": "p", "id": "c3", "data": "another second change"})
        ann = await arrive(site, "ann", since=2, epoch=epoch)
        assert ann.joined["reset"] is True and [c["id"] for c in ann.joined["changes"]] == ["c1", "c3"]


@pytest.mark.parametrize("void", [{"since": 3, "epoch": "another"}, {"since": 9}])
async def test_what_belongs_to_another_history_is_replaced(site: Site, void: dict[str, object]) -> None:
    ann = await arrive(site, "ann")
    for i in range(5):
        await ann.ask("change", {"project": "p", "id": f"c{i}", "data": i})
    bob = await arrive(site, "bob", **void)
    assert bob.joined["reset"] is True
    assert [c["revision"] for c in bob.joined["changes"]] == [1, 2, 3, 4, 5]


async def test_a_long_absence_is_caught_up_page_by_page(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"history_page": 10, "changes_burst": 10_000}) as site:
        ann = await arrive(site, "ann")
        await asyncio.gather(*[ann.asked("change", {"project": "p", "id": f"c{i}", "data": i}) for i in range(95)])
        bob = await arrive(site, "bob")
        late = [ann.asked("change", {"project": "p", "id": f"late{i}", "data": i}) for i in range(30)]
        assert bob.joined["more"] is True and len(bob.joined["changes"]) == 10
        await asyncio.gather(*late)
        await bob.until(
            lambda: revisions(bob)[-1:] == [125] or (bob.of("changes")[-1:] and not bob.of("changes")[-1]["more"])
        )
        await ann.ask("change", {"project": "p", "id": "last", "data": 0})
        await bob.until(lambda: 126 in revisions(bob))
        seen = [c["revision"] for c in bob.joined["changes"]]
        for name, body in bob.events:
            seen += [c["revision"] for c in body["changes"]] if name == "changes" else []
            seen += [body["revision"]] if name == "change" else []
        assert seen == list(range(1, 127))
        assert {m["user"] for m in bob.of("members")[0]["members"]} == {"ann", "bob"}


async def test_snapshot_compacts_and_nobody_is_left_behind(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"keep_changes": 3}) as site:
        ann = await arrive(site, "ann")
        for i in range(10):
            await ann.ask("change", {"project": "p", "id": f"c{i}", "data": i})
        stale = await ann.ask("snapshot", {"project": "p", "revision": 11, "data": "future"})
        assert stale["code"] == "stale"
        kept = await ann.ask("snapshot", {"project": "p", "revision": 8, "data": {"sum": 28}})
        assert kept == {"ok": True, "revision": 8, "base": 5}
        assert (await ann.ask("snapshot", {"project": "p", "revision": 8, "data": 0}))["code"] == "stale"
        near = await arrive(site, "near", since=5)
        assert "snapshot" not in near.joined
        assert [c["revision"] for c in near.joined["changes"]] == [6, 7, 8, 9, 10]
        for body in ({}, {"since": 2}):
            far = await arrive(site, "far", **body)
            assert far.joined["snapshot"] == {"revision": 8, "data": {"sum": 28}}
            assert [c["revision"] for c in far.joined["changes"]] == [9, 10]
        assert (await ann.ask("history", {"project": "p", "since": 2}))["code"] == "compacted"
        assert await ann.ask("snapshot", {"project": "p"}) == {
            "ok": True,
            "revision": 10,
            "snapshot": {"revision": 8, "data": {"sum": 28}},
        }
        page = await ann.ask("history", {"project": "p", "since": 5, "limit": 2})
        assert [c["data"] for c in page["changes"]] == [5, 6] and page["more"] is True
        assert (await ann.ask("change", {"project": "p", "id": "c0", "data": 0}))["duplicate"] is True


async def test_presence_reaches_the_others_only(site: Site) -> None:
    ann, bob = await arrive(site, "ann"), await arrive(site, "bob", "polling")
    await ann.emit("presence", {"project": "p", "state": {"x": 1}})
    await bob.until(lambda: bob.of("presence"))
    assert bob.of("presence") == [{"project": "p", "member": ann.joined["member"], "user": "ann", "state": {"x": 1}}]
    assert (await ann.ask("presence", {"project": "p", "state": 2})) == {"ok": True}
    assert ann.of("presence") == []


async def test_members_are_announced(site: Site) -> None:
    ann = await arrive(site, "ann")
    bob = await arrive(site, "bob")
    assert {m["user"] for m in bob.joined["members"]} == {"ann", "bob"}
    me = {"member": bob.joined["member"], "user": "bob", "name": "bob", "right": "edit"}
    await ann.until(lambda: any(me in b["joined"] for b in ann.of("members")))
    await bob.close()
    await ann.until(lambda: any(bob.joined["member"] in b["left"] for b in ann.of("members")))
    carl = await arrive(site, "carl")
    assert await carl.ask("leave", {"project": "p"}) == {"ok": True}
    await ann.until(lambda: any(carl.joined["member"] in b["left"] for b in ann.of("members")))
    await ann.ask("change", {"project": "p", "id": "c", "data": 0})
    assert (await carl.ask("history", {"project": "p"}))["code"] == "not_joined"
    assert carl.of("change") == []


async def test_an_upgrade_in_the_middle_loses_and_reorders_nothing(site: Site) -> None:
    ann, bob = await arrive(site, "ann"), await arrive(site, "bob", "polling")
    answers = [ann.asked("change", {"project": "p", "id": f"c{i}", "data": i}) for i in range(300)]
    await bob.upgrade()
    answers += [ann.asked("change", {"project": "p", "id": f"d{i}", "data": i}) for i in range(300)]
    await asyncio.gather(*answers)
    await bob.until(lambda: len(revisions(bob)) == 600)
    assert revisions(bob) == list(range(1, 601))


async def test_without_a_token_nothing_is_told(site: Site) -> None:
    with pytest.raises(Closed, match="token_missing"):
        await site.connect("")
    with pytest.raises(Closed, match="token_invalid"):
        await site.connect(token()[:-3] + "abc")


async def test_compaction_while_somebody_reads_the_older_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(client: Client, first: int) -> None:
        for i in range(first, first + 5):
            assert (await client.ask("change", {"project": "p", "id": f"c{i}", "data": i}))["ok"]
        assert (await client.ask("snapshot", {"project": "p", "revision": first + 4, "data": first + 4}))["ok"]

    async with running(tmp_path, limits={"keep_changes": 0}) as site:
        await write(await arrive(site, "ann"), 1)
    async with running(tmp_path, limits={"keep_changes": 0}) as site:
        ann = await arrive(site, "ann", since=5)
        journal, go_on, reading = site.service.journal, asyncio.Event(), asyncio.Event()
        read = journal.read_snapshot

        async def slowly(project: str) -> object:
            found = await read(project)
            reading.set()
            await go_on.wait()
            return found

        monkeypatch.setattr(journal, "read_snapshot", slowly)
        coming = asyncio.ensure_future(arrive(site, "bob"))
        await reading.wait()
        await write(ann, 6)
        go_on.set()
        bob = await coming
        assert bob.joined["snapshot"] == {"revision": 10, "data": 10}
        assert bob.joined["changes"] == [] and bob.joined["more"] is False
