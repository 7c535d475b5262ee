// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// node people.cjs URL TOKEN COUNT TOTAL VERSION…: real clients of the given generations, each over WebSocket, polling
// and the upgrade between them. Each joins the project "p", or the one that RTC_PROJECT names, submits COUNT changes and comes back by itself when the server
// goes. It is done when it has seen TOTAL changes and all of its own are acknowledged. Prints one JSON line for each:
// what it saw and which answers it got.
"use strict";
const [url, token, count, total, ...versions] = process.argv.slice(2);
const TRANSPORTS = { websocket: ["websocket"], polling: ["polling"], upgrade: ["polling", "websocket"] };
const WINDOW = 10;
const project = process.env.RTC_PROJECT || "p";

function person(version, way) {
  return new Promise((done, failed) => {
    const library = require("sio" + version);
    const io = library.io || library;
    const me = `js${version}-${way}`;
    const options = { transports: TRANSPORTS[way], forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200 };
    if (version === "2") options.query = { token };
    else options.auth = { token };
    const socket = io(url, options);
    const seen = [], told = {}, open = new Set();
    let next = 0, joined = false, connects = 0;

    const fail = (why) => failed(new Error(`${me}: ${why}`));
    const finish = () => {
      if (seen.length < +total || next < +count || open.size) return;
      const transport = socket.io.engine.transport.name;
      socket.disconnect();
      done({ me, seen, told, connects, transport });
    };
    const take = (change) => {
      if (change.revision !== seen.length + 1) fail(`revision ${change.revision} after ${seen.length}`);
      const { id, text, bytes } = change.data;
      if (id !== change.id || text !== "é😀\u2028\u0001" || bytes[1] !== 255) fail("data was changed on its way");
      seen.push(change.id);
    };
    const submit = (id) => {
      open.add(id);
      const data = { id, text: "é😀\u2028\u0001", bytes: [1, 255] };
      socket.emit("change", { project, id, data }, (answer) => {
        if (!answer.ok) {
          if (!["not_joined", "draining", "unavailable"].includes(answer.code)) fail(JSON.stringify(answer));
          return;
        }
        told[id] = answer.revision;
        open.delete(id);
        write();
        finish();
      });
    };
    const write = () => {
      while (joined && next < +count && open.size < WINDOW) submit(`${me}-${next++}`);
    };
    socket.on("connect", () => {
      connects++;
      socket.sendBuffer = []; // what was not sent is sent again below, after joining
      socket.emit("join", { project, since: seen.length }, (answer) => {
        if (!answer.ok || answer.reset) return fail(JSON.stringify({ ...answer, members: 0, changes: 0 }));
        page(answer);
      });
    });
    const page = ({ changes, more }) => {
      changes.forEach(take);
      if (more) return; // the rest comes as events "changes"
      joined = true;
      [...open].forEach(submit);
      write();
      finish();
    };
    socket.on("changes", page);
    socket.on("disconnect", () => { joined = false; });
    socket.on("change", (change) => { take(change); finish(); });
    socket.on("connect_error", (error) => { if (/token/.test(String(error.message))) fail(error.message); });
  });
}

const people = versions.flatMap((v) => Object.keys(TRANSPORTS).map((way) => person(v, way)));
Promise.all(people).then(
  (all) => process.stdout.write(all.map((p) => JSON.stringify(p) + "\n").join(""), () => process.exit(0)),
  (error) => process.stderr.write(error.message + "\n", () => process.exit(1)),
);
