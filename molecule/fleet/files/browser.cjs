// Copyright (c) 2026, the collab.rtc authors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
//
// node browser.cjs < sites.json: socket.io-client, as a page uses it, on each site over polling alone, over WebSocket alone,
// and over the upgrade from one to the other. A site is {name, url, address, origin, token, version}; address is where its
// name points to, version the generation of the library (2 speaks Engine.IO 3), token "" for an add-on's own service. The
// latter may try ten times: netty-socketio loses an upgrade when a poll begins between its probe and its answer, without any
// proxy too, and the client then waits in vain.
// Prints {name: {polling, websocket, upgrade}}, each true or the words of the failure.
//
// node browser.cjs FILE < sites.json: one WebSocket to each site, which has to stay from before FILE is there until after.
// Writes FILE.ready when all are connected.
"use strict";
const dns = require("dns");
const fs = require("fs");
const { createRequire } = require("module");
const library = createRequire(process.env.CLIENTS + "/package.json");

const WAYS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };
const PATIENCE = 30000; // milliseconds
const addresses = {};
const resolve = dns.lookup;
dns.lookup = (name, options, done) => {
  const callback = typeof options === "function" ? options : done;
  const address = addresses[name];
  if (!address) return resolve(name, options, done);
  process.nextTick(() => (options && options.all ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4)));
};

const hold = process.argv[2];
let connected = 0, total = 0;
const released = hold && new Promise((done) => {
  const timer = setInterval(() => { if (fs.existsSync(hold)) { clearInterval(timer); done(); } }, 100);
});

function visit(site, way) {
  return new Promise((result) => {
    const module = library("sio" + site.version);
    const options = { transports: WAYS[way], forceNew: true, reconnection: false, extraHeaders: { Origin: site.origin } };
    if (site.token) options.auth = { token: site.token };
    const socket = (module.io || module)(site.url, options);
    const timer = setTimeout(() => end("nothing came in time"), hold ? 20 * PATIENCE : site.token ? PATIENCE : PATIENCE / 5);
    const end = (value) => {
      clearTimeout(timer);
      result(value); // the first counts: hanging up is told as a disconnection, too
      socket.disconnect();
    };
    const wanted = WAYS[way].at(-1);
    const settled = (done) => {
      const engine = socket.io.engine;
      if (engine.transport.name === wanted) return done();
      engine.once("upgrade", () => (engine.transport.name === wanted ? done() : end(`upgraded to ${engine.transport.name}`)));
    };
    const echo = () => socket.emit("echo", way, (answer) => end(answer === way || `the echo was ${JSON.stringify(answer)}`));
    const change = () => {
      const project = "rtc-verify", id = `${way}-${Date.now()}-${Math.random()}`;
      socket.on("change", (seen) => { if (seen.id === id) end(true); });
      socket.emit("join", { project }, (joined) => {
        if (!joined.ok) return end(`join: ${joined.code}`);
        socket.emit("change", { project, id, data: { way } }, (told) => { if (!told.ok) end(`change: ${told.code}`); });
      });
    };
    const act = site.token ? change : echo;
    const held = () => {
      if (++connected === total) fs.writeFileSync(hold + ".ready", "");
      released.then(act);
    };
    socket.on("connect", () => settled(hold ? held : act));
    for (const event of ["connect_error", "error"]) {
      socket.on(event, (error) => end(`${event}: ${error.message || error} ${(error.description && error.description.message) || ""}`));
    }
    socket.on("disconnect", (why) => end(`disconnected: ${why}`));
  });
}

async function main() {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  const sites = JSON.parse(text), results = {};
  for (const site of sites) addresses[new URL(site.url).hostname] = site.address;
  total = sites.length;
  await Promise.all(sites.map(async (site) => {
    results[site.name] = {};
    for (const way of hold ? ["websocket"] : Object.keys(WAYS)) {
      for (let tries = site.token ? 1 : 10; tries > 0 && results[site.name][way] !== true; tries--) {
        results[site.name][way] = await visit(site, way);
      }
    }
  }));
  process.stdout.write(JSON.stringify(results) + "\n", () => process.exit(0));
}

main();
