// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// node people.cjs URL ADDRESS ORIGIN TOKEN PROJECT: three people with socket.io-client as a page uses it, over polling,
// WebSocket and the upgrade. Each writes one change after another and comes back by itself, whatever happens; ADDRESS is
// where the name in URL points to. Prints a JSON line for each acknowledgement: {who, id, revision}. When its input ends,
// nobody writes anything new; then, for each, {who, seen, connects, transport}. The environment has CLIENTS, where the
// library is.
"use strict";
const dns = require("dns");
const { createRequire } = require("module");
const { io } = createRequire(process.env.CLIENTS + "/package.json")("sio4");

const [url, address, origin, token, project] = process.argv.slice(2);
const WAYS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };
const PAUSE = 50; // milliseconds between an acknowledgement and the next change
const PATIENCE = 10000; // for an acknowledgement: the connection may be to a node that hangs
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const resolve = dns.lookup;
dns.lookup = (name, options, done) => {
  const callback = typeof options === "function" ? options : done;
  if (name !== new URL(url).hostname) return resolve(name, options, done);
  process.nextTick(() => (options && options.all ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4)));
};

let stopping = false;
process.stdin.resume();
process.stdin.on("end", () => { stopping = true; });

function write(way) {
  return new Promise((done) => {
    const who = `js-${way}`, seen = [];
    let number = 0, open = null, connects = 0, joined = false, timer = null;
    const options = {
      transports: WAYS[way], forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500,
      auth: { token }, extraHeaders: { Origin: origin },
    };
    const socket = io(url, options);
    const fail = (why) => { process.stderr.write(`${who}: ${why}\n`, () => process.exit(1)); };
    const take = (change) => {
      if (change.revision <= seen.length) return; // a page and an event may both have it
      if (change.revision !== seen.length + 1) fail(`revision ${change.revision} after ${seen.length}`);
      seen.push(change.id);
    };
    // An answer fails with its connection, too; by then it may be the next one's turn.
    const hang_up = (turn) => { if (turn === connects && socket.connected) socket.io.engine.close(); };
    const later = (wait) => { clearTimeout(timer); timer = setTimeout(submit, wait); };
    const submit = () => {
      if (!joined) return;
      if (!open && stopping) {
        const transport = socket.io.engine.transport.name;
        joined = false;
        socket.disconnect();
        print({ who, seen, connects, transport });
        return done();
      }
      const id = (open = open || `${who}-${number++}`), turn = connects;
      socket.timeout(PATIENCE).emit("change", { project, id, data: { id } }, (late, answer) => {
        if (open !== id) return; // sent twice, over two connections
        if (late) return hang_up(turn);
        if (answer.ok) {
          open = null;
          print({ who, id, revision: answer.revision });
          return later(PAUSE);
        }
        if (answer.code === "not_joined") return; // it joins again, and goes on then
        if (answer.retry_after === undefined) return fail(JSON.stringify(answer));
        later(answer.retry_after * 1000);
      });
    };
    const join = () => {
      const turn = connects;
      socket.sendBuffer = []; // what was not sent is sent again below, after joining
      socket.timeout(PATIENCE).emit("join", { project, since: seen.length }, (late, answer) => {
        if (late) return hang_up(turn);
        if (!answer.ok && answer.retry_after !== undefined) return setTimeout(join, answer.retry_after * 1000);
        if (!answer.ok || answer.reset) return fail(JSON.stringify({ ...answer, members: 0, changes: 0 }));
        page(answer);
      });
    };
    const page = ({ changes, more }) => {
      changes.forEach(take);
      if (more) return; // the rest comes as events "changes"
      joined = true;
      later(0);
    };
    socket.on("connect", () => { connects++; join(); });
    socket.on("changes", page);
    socket.on("change", take);
    socket.on("disconnect", (why) => {
      joined = false;
      if (why === "io server disconnect") socket.connect(); // the library leaves that to the page
    });
    socket.on("connect_error", (error) => { if (/token/.test(String(error.message))) fail(error.message); });
  });
}

Promise.all(Object.keys(WAYS).map(write)).then(() => process.stdout.write("", () => process.exit(0)));
