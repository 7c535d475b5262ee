// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// node scenarios.mjs OPTIONS: what clients/js tells its caller, as test_client_python.py has it for the other client.
// OPTIONS is JSON: scenario, url, packages (where socket.io-client is), tokens (by user). Prints what is to be done to the
// server, one word a line, and reads a line when it is done.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { Client } from "../../../clients/js/rtc-client.js";

const options = JSON.parse(process.argv[2]);
const { io } = createRequire(options.packages + "/package.json")("sio4");
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function order(what) {
  process.stdout.write(what + "\n");
  await answers.next();
}

async function eventually(condition, what = String(condition)) {
  for (const until = Date.now() + 20_000; !condition(); ) {
    if (Date.now() > until) assert.fail(`never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A page whose state is the list of all changes' ids; what it was told. */
function makePage(state = []) {
  const page = { state: [...state], own: [], refused: {}, members: [], presence: [], resets: 0, lives: 0, end: null };
  return Object.assign(page, {
    onReset: () => { page.state = []; page.resets++; },
    onSnapshot: ({ data }) => { assert.deepEqual(data.slice(0, page.state.length), page.state); page.state = [...data]; },
    onChange: (change, own) => {
      assert.equal(change.revision, page.state.length + 1);
      page.state.push(change.id);
      if (own) page.own.push(change.id);
    },
    onRefused: ({ id }, why) => { page.refused[id] = why.code; },
    onMembers: (members) => page.members.push([...members.values()].map((member) => member.user).sort().join()),
    onPresence: (_member, user, state) => page.presence.push([user, state]),
    onLive: () => { page.lives++; },
    onEnd: (why) => { page.end = why; },
  });
}

const made = [];
async function someone(user = "ann", { saved, state, ...more } = {}) {
  const client = new Client(io, options.url, { token: () => options.tokens[user], delay: 0.1, ...more });
  made.push(client);
  await client.connect();
  const page = makePage(state);
  return { client, page, project: await client.join("p", page, saved) };
}

const scenarios = {
  async "a first token that is refused is an error"() {
    let asked = 0;
    const client = new Client(io, options.url, { token: () => (asked++, "nonsense") });
    await assert.rejects(client.connect(), { code: "token_invalid" });
    assert.equal(asked, 1);
  },

  async "a token that cannot be had is asked for again"() {
    const states = [];
    let asked = 0;
    const token = async () => { if (!asked++) throw new Error("the issuer is away"); return options.tokens.ann; };
    await someone("ann", { token, onStatus: ({ state, reason }) => states.push(state, reason) });
    assert.deepEqual(states, ["connecting", "", "away", "no_token", "connecting", "", "connected", ""]);
  },

  async "members and presence"() {
    const ann = await someone(), bob = await someone("bob");
    await eventually(() => ann.page.members.at(-1) === "ann,bob");
    assert.equal(bob.project.members.get(ann.project.member).user, "ann");
    for (let x = 0; x < 100; x++) bob.project.present({ x });
    await eventually(() => ann.page.presence.at(-1)?.[1].x === 99);
    assert.ok(ann.page.presence.length < 100, "states between may be left out");
    await order("kill");
    await order("start");
    await eventually(() => ann.page.lives === 2 && bob.page.lives === 2);
    bob.project.present({ x: 100 });
    await eventually(() => ann.page.presence.at(-1)[1].x === 100);
    await bob.project.leave();
    assert.equal(bob.page.end.code, "left");
    await assert.rejects(bob.project.submit(1), { code: "left" });
    await eventually(() => ann.page.members.at(-1) === "ann");
  },

  async "what is refused for good is told"() {
    const { client, project, page } = await someone();
    assert.equal(await project.submit(1, "x"), 1);
    await assert.rejects(project.submit(2, "x"), { code: "id_reused" });
    await assert.rejects(project.submit("x".repeat(300_000), "y"), (why) => why.code === "too_large" && why.details.limit > 0);
    assert.deepEqual([page.refused, page.state], [{ x: "id_reused", y: "too_large" }, ["x"]]);
    await assert.rejects(client.join("p", {}), /joined/);
    assert.equal(await project.submit(3), 2);
    const eve = await someone("eve");
    assert.equal(eve.project.right, "view");
    await assert.rejects(eve.project.submit(1), { code: "read_only" });
    await assert.rejects(eve.client.join("q", {}), { code: "forbidden" });
  },

  async "what is no JSON is told at once and costs nothing"() {
    const states = [], endless = [];
    endless.push(endless);
    const { project, page } = await someone("ann", { onStatus: ({ state }) => states.push(state) });
    for (const data of [1n, { at: [2n] }, endless, [new Uint8Array(2)], { at: new ArrayBuffer(2) }, Buffer.from("x")]) {
      await assert.rejects(project.submit(data, "x"), TypeError);
      assert.throws(() => project.present(data), TypeError);
      await assert.rejects(project.keepSnapshot(data, 0), TypeError);
    }
    assert.deepEqual(project.save().pending, []);
    assert.equal(await project.submit(1, "x"), 1);
    assert.deepEqual([page.state, states], [["x"], ["connecting", "connected"]]);
  },

  async "what the server hangs up on is given up"() {
    const { project, page } = await someone();
    const long = "x".repeat(1_200_000); // beyond limits.payload_bytes
    const large = project.submit(long, "large"), small = project.submit(1, "small");
    await assert.rejects(large, { code: "too_large" });
    assert.equal(await small, 1);
    await assert.rejects(project.keepSnapshot(long), { code: "too_large" });
    assert.throws(() => project.present(long), RangeError);
    assert.equal(await project.submit(2, "next"), 2);
    assert.deepEqual([page.refused, page.state], [{ large: "too_large" }, ["small", "next"]]);
  },

  async "what is beside what the server hangs up on gets through"() {
    const { project, page } = await someone();
    const told = [];
    page.onRefused = ({ id }) => { told.push(id); project.submit(0, `after ${id}`); };
    const long = "x".repeat(1_200_000);
    const refused = [project.submit(long, "large"), project.submit(long, "larger")];
    const beside = project.submit("x".repeat(600_000), "beside");
    for (const outcome of refused) await assert.rejects(outcome, { code: "too_large" });
    await beside;
    await eventually(() => page.state.length === 3, "what the listener submitted is kept");
    assert.deepEqual([told, page.state.sort()], [["large", "larger"], ["after large", "after larger", "beside"]]);
  },

  async "what was handed over stays as it was"() {
    const { project } = await someone();
    const bob = await someone("bob");
    const state = { x: [1] };
    const first = project.submit(state);
    state.x.push(2);
    const second = project.submit(state);
    state.x.push(3);
    assert.deepEqual(project.save().pending.map(({ data }) => data), [{ x: [1] }, { x: [1, 2] }]);
    assert.deepEqual(await Promise.all([first, second]), [1, 2]);
    const keeping = project.keepSnapshot(state, 2);
    state.x.push(4);
    assert.equal(await keeping, 2);
    assert.deepEqual((await bob.project.readSnapshot()).data, { x: [1, 2, 3] });
  },

  async "a rate is waited for"() {
    const states = [];
    const { project, page } = await someone("ann", { window: 1, onStatus: ({ state }) => states.push(state) });
    const ids = Array.from({ length: 40 }, (_, n) => `c${n}`);
    await Promise.all(ids.map((id) => project.submit(id, id)));
    assert.deepEqual([page.state, page.own, page.refused, states], [ids, ids, {}, ["connecting", "connected"]]);
  },

  async "snapshots and history"() {
    const { project, page } = await someone();
    assert.equal(await project.readSnapshot(), null);
    await Promise.all(Array.from({ length: 301 }, (_, n) => project.submit(n)));
    const read = async (since) => { const all = []; for await (const { data } of project.history(since)) all.push(data); return all; };
    assert.deepEqual(await read(), Array.from({ length: 301 }, (_, n) => n));
    assert.deepEqual(await read(298), [298, 299, 300]);
    assert.equal(await project.keepSnapshot(page.state), 301);
    await assert.rejects(project.keepSnapshot([], 5), { code: "stale" });
    assert.deepEqual(await project.readSnapshot(), { revision: 301, data: page.state });
    await project.submit("after");
    const bob = await someone("bob");
    assert.deepEqual([bob.page.state, bob.project.revision], [page.state, 302]);
  },

  async "another history starts all over"() {
    const { project, page } = await someone();
    await project.submit(1, "one");
    await order("stop");
    const late = project.submit(2, "late");
    await order("new-epoch");
    await order("start");
    await assert.rejects(late, { code: "reset" });
    await eventually(() => page.state.join() === "one");
    assert.deepEqual([page.resets, page.refused, await project.submit(3)], [1, { late: "reset" }, 2]);
  },

  async "a page that is loaded again goes on"() {
    const { client, project, page } = await someone();
    await project.submit(0, "first");
    await order("kill");
    for (let n = 0; n < 3; n++) project.submit(n, `late${n}`);
    const saved = project.save();
    client.close();
    assert.deepEqual([page.end.code, page.refused.late0], ["closed", "closed"]);
    await order("start");
    for (let time = 0; time < 2; time++) { // as a page that is gone before it has written down what came of it
      const again = await someone("ann", { saved, state: page.state });
      await eventually(() => !again.project.save().pending.length && again.page.state.length === 4);
      assert.deepEqual([again.page.state, again.page.refused], [["first", "late0", "late1", "late2"], {}]);
      again.client.close();
    }
  },

  async "a server that answers nothing is left"() {
    const reasons = [];
    const { project, page } = await someone("ann", { patience: 0.5, onStatus: ({ reason }) => reasons.push(reason) });
    await project.submit(1, "one");
    await order("freeze");
    const underWay = project.submit(2, "two");
    await eventually(() => reasons.includes("lost"));
    await order("thaw");
    assert.deepEqual([await underWay, page.state], [2, ["one", "two"]]);
  },
};

try {
  await scenarios[options.scenario]();
} catch (error) {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
}
for (const client of made) client.close();
answers.return();
process.stdin.destroy();
